"""A campaign file as questions, a plan, and a FireWorks workflow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lipsdb.campaigns.load import CampaignFile
from lipsdb.campaigns.properties import Arrhenius, Coordination, Diffusion
from lipsdb.documents.base import Input
from lipsdb.documents.campaign import Campaign, CampaignAnswer, CampaignAsked
from lipsdb.errors import NotFoundError
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.store.database import Database
from lipsdb.workflows.answering import Question
from lipsdb.workflows.molecular_dynamics import MDMaker
from lipsdb.workflows.potential import DatasetMaker, DeepMDMaker
from lipsdb.workflows.properties import ArrheniusMaker, CoordinationMaker, DiffusionMaker
from lipsdb.workflows.structure import StructureMaker


@dataclass
class CampaignQuestions:
    """All questions of a campaign, by section and name; adopted potentials are references from the start."""

    structures: dict[str, Question] = field(default_factory=dict)
    datasets: dict[str, Question] = field(default_factory=dict)
    potentials: dict[str, Question | dict[str, str]] = field(default_factory=dict)
    runs: dict[str, list[Question]] = field(default_factory=dict)
    properties: dict[str, list[Question]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Question]:
        """Every question once, what it is made from before it."""
        yield from self.structures.values()
        yield from self.datasets.values()
        yield from (question for question in self.potentials.values() if isinstance(question, Question))
        for group in (*self.runs.values(), *self.properties.values()):
            yield from group


def ask(file: CampaignFile) -> CampaignQuestions:
    """Turn a campaign file into its questions.

    Parameters
    ----------
    file : CampaignFile
        Validated.

    Returns
    -------
    CampaignQuestions
        Nothing is computed or stored.
    """
    campaign, asked = file.campaign, CampaignQuestions()
    for name, recipe in campaign.structures.items():
        asked.structures[name] = StructureMaker(name, recipe.model_dump(mode="json"), str(file.path.parent)).question()
    for name, dataset in campaign.datasets.items():
        selections = [campaign.labels[label].model_dump(mode="json") for label in dataset.labels]
        maker = DatasetMaker(f"dataset {name}", dataset.held_fraction, dataset.block_length, dataset.seed)
        asked.datasets[name] = maker.question(selections)
    for name, potential in campaign.potentials.items():
        if potential.adopt is not None:
            from lipsdb.ingest.potential import reference_of_record

            asked.potentials[name] = reference_of_record(file.resolve(potential.adopt))
        elif potential.train is not None:
            maker_ = DeepMDMaker(f"train {name}", potential.train.settings, potential.train.threads)
            asked.potentials[name] = maker_.question(asked.datasets[potential.train.dataset])
    for name, md in campaign.md.items():
        asked.runs[name] = [
            MDMaker(_run_name(name, settings), settings, md.ranks, md.steps("checkpoint_ps")).question(
                asked.structures[md.structure], asked.potentials[md.potential]
            )
            for settings in md.expand()
        ]
    for name, wanted in campaign.properties.items():
        if isinstance(wanted, Diffusion):
            maker_d = DiffusionMaker(
                name, wanted.species, tuple(wanted.framework), wanted.charge_e, wanted.fit_start_ps
            )
            asked.properties[name] = [maker_d.question(run) for run in asked.runs[wanted.of]]
        elif isinstance(wanted, Coordination):
            maker_c = CoordinationMaker(name, wanted.centre, wanted.neighbour, wanted.cutoff_A)
            asked.properties[name] = [maker_c.question(run) for run in asked.runs[wanted.of]]
    for name, wanted in campaign.properties.items():  # after those that it is made from
        if isinstance(wanted, Arrhenius):
            diffusion = asked.properties[wanted.of]
            asked.properties[name] = [ArrheniusMaker(name, wanted.extrapolate_to_K).question(diffusion)]
    return asked


def _run_name(name: str, settings: dict[str, Any]) -> str:
    pressure = "" if settings["pressure_bar"] is None else f" {settings['pressure_bar']:g} bar"
    return f"md {name} {settings['temperature_K']:g} K{pressure} seed {settings['seed']}"


@dataclass(frozen=True)
class PlannedQuestion:
    """One row of a plan."""

    question: Question
    document_id: str
    state: str  # 'known', a FireWorks state, or 'to do'
    fw_id: int | None
    core_seconds: float | None  # estimate; 0 for what is known, None if nothing like it was done before


@dataclass(frozen=True)
class Plan:
    """What a campaign would compute, and what is there already."""

    rows: list[PlannedQuestion]
    blocked: str | None = None  # why later questions cannot be named yet

    @property
    def to_do(self) -> list[PlannedQuestion]:
        """What is neither known nor waiting in the launchpad."""
        return [row for row in self.rows if row.state == "to do"]


def plan(database: Database, file: CampaignFile) -> Plan:
    """Find out what a campaign would compute, what is known already, and what it would cost.

    Costs are estimated from the database's own records of like work.
    """
    from lipsdb.workflows.estimate import Estimates
    from lipsdb.workflows.launchpad import waiting_documents

    questions, blocked = list(ask(file)), None
    ids = []
    for question in questions:
        try:
            ids.append(question.id(database))
        except NotFoundError as error:
            blocked = str(error)
            break
    known, waiting, estimates = database.known(ids), waiting_documents(database, ids), Estimates(database)
    rows = []
    for question, id_ in zip(questions, ids, strict=False):
        if id_ in known:
            rows.append(PlannedQuestion(question, id_, "known", None, 0.0))
        else:
            firework = waiting.get(id_)
            state, fw_id = (firework["state"], firework["fw_id"]) if firework else ("to do", None)
            rows.append(PlannedQuestion(question, id_, state, fw_id, estimates.core_seconds(question)))
    return Plan(rows, blocked)


@dataclass(frozen=True)
class Submission:
    """What a submission did."""

    n_known: int
    n_waiting: int
    n_submitted: int
    adopted: list[str]
    fw_ids: list[int]


def submit(database: Database, file: CampaignFile) -> Submission:
    """Register a campaign, adopt its potentials, and put what is to be computed into the launchpad as one workflow.

    What is known is not computed again; what waits in the launchpad is not submitted again, unless something new
    needs its answer.
    """
    from jobflow import Flow
    from jobflow.managers.fireworks import flow_to_workflow

    from lipsdb.ingest.potential import adopt_potential
    from lipsdb.workflows.jobstore import job_store
    from lipsdb.workflows.launchpad import initialise, launchpad

    name = file.campaign.name
    _register(database, file)
    folders = [file.resolve(one.adopt) for one in file.campaign.potentials.values() if one.adopt is not None]
    adopted = [adopt_potential(database, folder, [name])["id"] for folder in folders]
    planned = plan(database, file)
    if planned.blocked is not None:
        raise NotFoundError(planned.blocked)
    state = {row.document_id: row.state for row in planned.rows}
    everything = [row.question for row in planned.rows]
    wanted = _wanted(everything, state, database)
    known = database.known(state)
    for kind_ids in _by_kind([id_ for id_ in state if state[id_] == "known"]):
        database.join_campaigns(kind_ids, [name])
    sources: dict[int, Any] = {}
    by_document: dict[str, Any] = {}
    jobs = []
    for question in everything:
        id_ = question.id(database)
        if id_ in known:
            sources[id(question)] = known[id_]
        elif id_ in by_document:
            sources[id(question)] = by_document[id_]
        elif id_ in wanted:
            made = question.job(sources, [name], id_)
            jobs.append(made)
            sources[id(question)] = by_document[id_] = made.output
    fw_ids: list[int] = []
    if jobs:
        pad = launchpad(database)
        initialise(pad, database)
        workflow = flow_to_workflow(
            Flow(jobs, name=name), store=job_store(), metadata={"campaign": name, "file": file.path.name}
        )
        fw_ids = sorted(pad.add_wf(workflow).values())
    n_known = sum(state == "known" for state in state.values())
    return Submission(n_known, len(state) - n_known - len(jobs), len(jobs), adopted, fw_ids)


def _wanted(questions: list[Question], state: dict[str, str], database: Database) -> set[str]:
    """Ids to submit: what is to do, and what waits elsewhere but is needed by something to do."""
    wanted = {question.id(database) for question in questions if state[question.id(database)] == "to do"}
    for question in reversed(questions):
        if question.id(database) in wanted:
            wanted |= {parent.id(database) for parent in question.parents() if state[parent.id(database)] != "known"}
    return wanted


def _by_kind(ids: Iterable[str]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for id_ in ids:
        groups.setdefault(id_.partition("-")[0], []).append(id_)
    return list(groups.values())


def _register(database: Database, file: CampaignFile) -> dict[str, str]:
    """Store the campaign file's meaning and text."""
    asked = CampaignAsked(name=file.campaign.name, specification=file.campaign.model_dump(mode="json"))
    inputs: list[Input] = []
    id_ = Campaign.identity_of(asked, inputs)
    known = database.known([id_])
    if known:
        return known[id_]
    watch = Stopwatch("submit")
    text = database.artifacts.put(file.text.encode(), file.path.name)
    document = Campaign(asked=asked, inputs=inputs, answer=CampaignAnswer(file=text))
    return database.insert(document.sealed(watch.made_by(versions_of()), [file.campaign.name]))
