"""A campaign as a plan and a FireWorks workflow."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lipsdb.campaigns.load import CampaignFile
from lipsdb.dft.levels_of_theory import find_level, store_level
from lipsdb.documents.base import Input
from lipsdb.documents.campaign import Campaign, CampaignAnswer, CampaignAsked
from lipsdb.documents.level_of_theory import LevelOfTheory
from lipsdb.errors import NotFoundError
from lipsdb.ingest.record import adopt_potential, adopt_record
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.provenance.withdrawal import Taint, Withdrawn, taint
from lipsdb.store.database import Database
from lipsdb.workflows.answering import Question
from lipsdb.workflows.campaign_questions import ask
from lipsdb.workflows.refusals import refusals_of
from lipsdb.workflows.runs import join_labels_of_runs


@dataclass(frozen=True)
class PlannedQuestion:
    """One row of a plan."""

    question: Question
    document_id: str
    state: str  # 'known', 'refused', 'tainted', a FireWorks state, or 'to do'
    fw_id: int | None
    core_seconds: float | None  # estimate; 0 for what is known, None if nothing like it was done before
    withdrawn: tuple[Withdrawn, ...] = ()  # what it stands on, if tainted; what it is asked again for, if to do

    @property
    def answered(self) -> bool:
        """Whether there is nothing to compute."""
        return self.state in {"known", "refused", "tainted"}


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

    Costs are estimated from the database's own records of like work. What was withdrawn is asked again, and with it
    what was made from it; what stands on something withdrawn that this campaign cannot ask again (an adopted
    potential, say) is tainted, and is not computed.
    """
    from lipsdb.workflows.estimate import Estimates
    from lipsdb.workflows.launchpad import waiting_documents

    try:
        questions, blocked = list(ask(database, file)), None
    except NotFoundError as error:  # labels to be computed again are not there yet
        return Plan([], str(error))
    ids, marks = [], taint(database)
    for question in questions:
        try:
            ids.append(question.id(database, marks.withdrawn))
        except NotFoundError as error:
            blocked = str(error)
            break
    known, waiting, estimates = database.known(ids), waiting_documents(database, ids), Estimates(database)
    refused = refusals_of(database, ids)
    rows = []
    standing = _standing_on(marks, questions, ids)
    for question, id_ in zip(questions, ids, strict=False):
        if standing[id_]:
            rows.append(PlannedQuestion(question, id_, "tainted", None, 0.0, standing[id_]))
        elif id_ in known or id_ in refused:
            rows.append(PlannedQuestion(question, id_, "known" if id_ in known else "refused", None, 0.0))
        else:
            firework = waiting.get(id_)
            state, fw_id = (firework["state"], firework["fw_id"]) if firework else ("to do", None)
            again = () if question.replaces is None else (marks.withdrawn[question.replaces],)
            rows.append(PlannedQuestion(question, id_, state, fw_id, estimates.core_seconds(question), again))
    return Plan(rows, blocked)


def _standing_on(marks: Taint, questions: list[Question], ids: list[str]) -> dict[str, tuple[Withdrawn, ...]]:
    """For each question, the withdrawn documents that its answer stands on or would stand on."""
    found: dict[str, tuple[Withdrawn, ...]] = {}
    for question, id_ in zip(questions, ids, strict=False):
        standing = list(marks.of(id_))
        for source in question.computed_from():
            standing += marks.of(source) if isinstance(source, str) else found.get(source.known_id, ())
        found[id_] = tuple(dict.fromkeys(standing))
    return found


@dataclass(frozen=True)
class Submission:
    """What a submission did."""

    n_known: int
    n_waiting: int
    n_submitted: int
    n_tainted: int
    adopted: list[str]
    fw_ids: list[int]


def submit(database: Database, file: CampaignFile) -> Submission:
    """Register a campaign, adopt its potentials and labels, and submit what is to be computed as one workflow.

    What is known is not computed again; what waits in the launchpad is not submitted again, unless something new
    needs its answer.
    """
    from jobflow import Flow
    from jobflow.managers.fireworks import flow_to_workflow

    from lipsdb.workflows.jobstore import job_store
    from lipsdb.workflows.launchpad import initialise, launchpad

    name = file.campaign.name
    registered = _register(database, file)
    for level in _levels(file):
        store_level(database, level)
    folders = [file.resolve(one.adopt) for one in file.campaign.potentials.values() if one.adopt is not None]
    adopted = [adopt_potential(database, folder, [name])["id"] for folder in folders]
    for folder in (one.adopt for one in file.campaign.labels.values() if one.adopt is not None):
        labels = adopt_record(database, file.resolve(folder), [name], kind="label")
        adopted.append(f"{len(labels)} labels of {folder}")
    planned = plan(database, file)
    if planned.blocked is not None:
        raise NotFoundError(planned.blocked)
    state = {row.document_id: row.state for row in planned.rows}
    everything = [row.question for row in planned.rows]
    wanted = _wanted(everything, state, database)
    known = database.known(state) | refusals_of(database, list(state))
    for kind_ids in _by_kind([id_ for id_ in state if state[id_] in {"known", "tainted"} and id_ in known]):
        database.join_campaigns(kind_ids, [name])
        if kind_ids[0].startswith("run-"):
            join_labels_of_runs(database, kind_ids, [name])
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
        metadata = {"campaign": name, "campaign_id": registered["id"], "file": file.path.name}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Some jobs are not connected", UserWarning)  # in most campaigns
            workflow = flow_to_workflow(Flow(jobs, name=name), store=job_store(), metadata=metadata)
        fw_ids = sorted(pad.add_wf(workflow).values())
    counts = Counter("known" if here in {"known", "refused"} else here for here in state.values())
    n_waiting = len(state) - counts["known"] - counts["tainted"] - len(jobs)
    return Submission(counts["known"], n_waiting, len(jobs), counts["tainted"], adopted, fw_ids)


def _wanted(questions: list[Question], state: dict[str, str], database: Database) -> set[str]:
    """Ids to submit: what is to do, and what waits elsewhere but is needed by something to do."""
    wanted = {question.id(database) for question in questions if state[question.id(database)] == "to do"}
    for question in reversed(questions):
        if question.id(database) in wanted:
            parents = [parent.id(database) for parent in question.parents()]
            wanted |= {id_ for id_ in parents if state[id_] not in {"known", "refused"}}
    return wanted


def _levels(file: CampaignFile) -> list[LevelOfTheory]:
    """The levels of theory with which the campaign computes."""
    relaxed = [recipe.relax for recipe in file.campaign.structures.values() if recipe.relax is not None]
    names = {entry.level_of_theory for entry in (*file.campaign.dft.values(), *relaxed)}
    return [find_level(str(file.resolve(name)) if name.endswith((".yaml", ".yml")) else name) for name in sorted(names)]


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
