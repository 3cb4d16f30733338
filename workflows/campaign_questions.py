"""A campaign file as questions: what each entry asks for, and what that is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from lipsdb.campaigns.classifier_problems import runs_of
from lipsdb.campaigns.dft import AbInitioMD, SinglePoints
from lipsdb.campaigns.load import CampaignFile
from lipsdb.campaigns.properties import (
    Arrhenius,
    Diffusion,
    Elasticity,
    Lattice,
    OfRun,
    PotentialChoice,
    Softness,
)
from lipsdb.errors import BadInputError
from lipsdb.ingest.record import read_record, reference_of_potential
from lipsdb.provenance.withdrawal import taint, withdrawn
from lipsdb.store.database import Database
from lipsdb.workflows.aimd import AimdMaker
from lipsdb.workflows.answering import Question
from lipsdb.workflows.labels import select_labels
from lipsdb.workflows.molecular_dynamics import MDMaker
from lipsdb.workflows.potential import DatasetMaker, PotentialMaker
from lipsdb.workflows.potential_choice import PotentialChoiceMaker
from lipsdb.workflows.potential_test import PotentialTestMaker
from lipsdb.workflows.properties import ArrheniusMaker, DiffusionMaker, ElasticityMaker, RunPropertyMaker, SoftnessMaker
from lipsdb.workflows.relaxation import RelaxationMaker
from lipsdb.workflows.single_points import SinglePointMaker
from lipsdb.workflows.softness import SoftnessClassifierMaker
from lipsdb.workflows.structure import StructureMaker


@dataclass
class CampaignQuestions:
    """All questions of a campaign, by section and name; adopted potentials are references from the start."""

    structures: dict[str, Question] = field(default_factory=dict)
    dft: dict[str, list[Question]] = field(default_factory=dict)
    datasets: dict[str, Question] = field(default_factory=dict)
    potentials: dict[str, Question | dict[str, str]] = field(default_factory=dict)
    grids: dict[str, list[Question]] = field(default_factory=dict)
    runs: dict[str, list[Question]] = field(default_factory=dict)
    classifiers: dict[str, Question] = field(default_factory=dict)
    properties: dict[str, list[Question]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Question]:
        """Every question once, what it is made from before it."""
        potentials = [question for question in self.potentials.values() if isinstance(question, Question)]
        groups = [
            *self.grids.values(),
            *self.dft.values(),
            *self.runs.values(),
            [*self.classifiers.values()],
            *self.properties.values(),
        ]
        yielded: set[int] = set()
        for question in (*self.structures.values(), *self.datasets.values(), *potentials, *chain(*groups)):
            yield from _after_its_parents(question, yielded)


def _after_its_parents(question: Question, yielded: set[int]) -> Iterator[Question]:
    if id(question) not in yielded:
        yielded.add(id(question))
        for parent in question.parents():
            yield from _after_its_parents(parent, yielded)
        yield question


def ask(database: Database, file: CampaignFile) -> CampaignQuestions:
    """Turn a campaign file into its questions.

    Parameters
    ----------
    database : Database
        Labels that are to be computed again are looked up here.
    file : CampaignFile
        Validated.

    Returns
    -------
    CampaignQuestions
        Nothing is computed or stored.

    Raises
    ------
    BadInputError
        If something is made from itself, such as a potential from labels of its own MD.
    """
    asker = _Asker(database, file)
    campaign = file.campaign
    for name in campaign.structures:
        asker.structure(name)
    for name in campaign.dft:
        asker.labels(name)
    for name in campaign.datasets:
        asker.dataset(name)
    for name in campaign.potentials:
        asker.potential(name)
    for name in campaign.grids:
        asker.grid(name)
    for name in campaign.md:
        asker.runs(name)
    for name in campaign.classifiers:
        asker.classifier(name)
    for name in campaign.properties:
        asker.property(name)
    return asker.asked


class _Asker:
    """Asks for what each entry of a campaign file is made from, however deep; each entry once."""

    def __init__(self, database: Database, file: CampaignFile) -> None:
        self.database, self.file, self.campaign = database, file, file.campaign
        self.asked, self.taint = CampaignQuestions(), taint(database)
        self._open: list[str] = []
        self._adopted: dict[str, list[dict[str, str]]] = {}

    @contextmanager
    def _making(self, what: str) -> Iterator[None]:
        if what in self._open:
            circle = " <- ".join([*self._open[self._open.index(what) :], what])
            raise BadInputError(f"{self.file.path.name}: {circle}: made from itself; use another name for one of them")
        self._open.append(what)
        yield
        self._open.pop()

    def _level(self, name: str) -> str:
        """A level's name, or the path of its file from here."""
        return str(self.file.resolve(name)) if name.endswith((".yaml", ".yml")) else name

    def structure(self, name: str) -> Question:
        found = self.asked.structures.get(name)
        if found is None:
            recipe = self.campaign.structures[name]
            with self._making(f"structures.{name}"):
                if recipe.relax is None:
                    settings = recipe.model_dump(mode="json", exclude={"relax"})
                    found = StructureMaker(name, settings, str(self.file.path.parent)).question()
                else:
                    relax = recipe.relax
                    settings = relax.model_dump(mode="json", include={"cell", "max_force_eV_A", "max_steps"})
                    maker = RelaxationMaker(name, self._level(relax.level_of_theory), settings, relax.ranks)
                    found = maker.question(self.structure(relax.structure))
            self.asked.structures[name] = found
        return found

    def labels(self, name: str) -> list[Question]:
        found = self.asked.dft.get(name)
        if found is None:
            with self._making(f"dft.{name}"):
                wanted = self.campaign.dft[name]
                found = self._aimd(name, wanted) if isinstance(wanted, AbInitioMD) else self._points(name, wanted)
            self.asked.dft[name] = found
        return found

    def _aimd(self, name: str, aimd: AbInitioMD) -> list[Question]:
        level, structure = self._level(aimd.level_of_theory), self.structure(aimd.structure)
        return [
            AimdMaker(_run_name(name, settings).replace("md", "aimd", 1), level, settings, aimd.ranks).question(
                structure
            )
            for settings in aimd.expand()
        ]

    def _points(self, name: str, points: SinglePoints) -> list[Question]:
        level = self._level(points.level_of_theory)

        def maker(of: str, frame: int | None = None) -> SinglePointMaker:
            return SinglePointMaker(f"label {name} {of}", level, frame, points.repeat, points.ranks)

        def of_frames(prefix: str, runs: Sequence[Question], frame_at: Callable[[float], int]) -> list[Question]:
            frames = [(time, frame_at(time)) for time in points.times_ps or []]
            return [
                maker(f"{run.name.removeprefix(prefix)} {time:g} ps", frame).question(run)
                for run in runs
                for time, frame in frames
            ]

        if points.structures is not None:
            return [maker(structure).question(self.structure(structure)) for structure in points.structures]
        if points.md is not None:
            return of_frames("md ", self.runs(points.md), self.campaign.md[points.md].frame_at)
        if points.aimd is not None:
            aimd = self.campaign.dft[points.aimd]
            assert isinstance(aimd, AbInitioMD)
            return of_frames("aimd ", self.labels(points.aimd), aimd.step_at)
        selections, adopted = self.chosen_labels([str(points.labels)])
        chosen = adopted or select_labels(self.database, selections)
        ids = [reference["id"] for reference in chosen]
        found = self.database.query("labels", {"_id": {"$in": ids}}, ["origin.system", "origin.frame"])
        names = {label["_id"]: f"{label['origin']['system']} frame {label['origin']['frame']}" for label in found}
        return [maker(names.get(reference["id"], reference["id"])).question(reference) for reference in chosen]

    def chosen_labels(self, names: Sequence[str]) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
        """Selections of labels in the database, and references of adopted labels; without those that are tainted."""
        entries = {name: self.campaign.labels[name] for name in names}
        selections = [
            entry.model_dump(mode="json", exclude={"adopt"}) for entry in entries.values() if entry.adopt is None
        ]
        tainted = self.taint.origins
        adopted = (label for name in names for label in self._adopted_labels(name))
        return selections, [label for label in adopted if label["id"] not in tainted]

    def _adopted_labels(self, name: str) -> list[dict[str, str]]:
        adopt = self.campaign.labels[name].adopt
        if adopt is not None and name not in self._adopted:
            recorded = read_record(self.file.resolve(adopt)).references("label")
            here = self.database.known(label["id"] for label in recorded)  # of two answers, the one that is here counts
            self._adopted[name] = [here.get(label["id"], label) for label in recorded]
        return self._adopted.get(name, [])

    def dataset(self, name: str) -> Question:
        found = self.asked.datasets.get(name)
        if found is None:
            dataset = self.campaign.datasets[name]
            with self._making(f"datasets.{name}"):
                maker = DatasetMaker(
                    f"dataset {name}",
                    dataset.held_fraction,
                    dataset.block_length,
                    dataset.seed,
                    dataset.mixed_levels_of_theory,
                )
                selections, adopted = self.chosen_labels(dataset.labels)
                computed = [label for points in dataset.dft for label in self.labels(points)]
                found = maker.question(selections, [*adopted, *computed])
            self.asked.datasets[name] = found
        return found

    def potential(self, name: str) -> Question | dict[str, str]:
        found = self.asked.potentials.get(name)
        if found is None:
            potential = self.campaign.potentials[name]
            with self._making(f"potentials.{name}"):
                if potential.train is None:
                    found = reference_of_potential(self.file.resolve(str(potential.adopt)))
                else:
                    train = potential.train
                    maker = PotentialMaker(f"train {name}", train.engine, train.settings, train.threads)
                    found = maker.question(self.dataset(train.dataset))
            self.asked.potentials[name] = found
        return found

    def grid(self, name: str) -> list[Question]:
        found = self.asked.grids.get(name)
        if found is None:
            grid = self.campaign.grids[name]
            with self._making(f"grids.{name}"):
                found = [
                    PotentialMaker(f"train {name} {member}", grid.engine, settings, grid.threads).question(
                        self.dataset(grid.dataset)
                    )
                    for member, settings in grid.expand()
                ]
            self.asked.grids[name] = found
        return found

    def runs(self, name: str) -> list[Question]:
        found = self.asked.runs.get(name)
        if found is None:
            md = self.campaign.md[name]
            with self._making(f"md.{name}"):
                structure, potential = self.structure(md.structure), self.potential(md.potential)
                found = [
                    MDMaker(_run_name(name, settings), settings, md.ranks, md.steps("checkpoint_ps")).question(
                        structure, potential
                    )
                    for settings in md.expand()
                ]
            self.asked.runs[name] = found
        return found

    def classifier(self, name: str) -> Question:
        found = self.asked.classifiers.get(name)
        if found is None:
            classifier = self.campaign.classifiers[name]
            with self._making(f"classifiers.{name}"):
                runs = [self.runs(md)[i] for md in classifier.md for i in runs_of(classifier, self.campaign.md[md])]
                in_force = withdrawn(self.database)  # several MD may ask for the same run, which then counts once
                chosen = {run.id(self.database, in_force): run for run in runs}
                found = SoftnessClassifierMaker(f"train {name}", classifier.settings()).question(
                    [chosen[id_] for id_ in sorted(chosen)]
                )
            self.asked.classifiers[name] = found
        return found

    def property(self, name: str) -> list[Question]:
        found = self.asked.properties.get(name)
        if found is None:
            wanted = self.campaign.properties[name]
            if isinstance(wanted, Lattice):
                wanted = wanted.resolved(self.campaign)
            if isinstance(wanted, Diffusion):
                maker_d = DiffusionMaker(
                    name, wanted.species, tuple(wanted.framework), wanted.charge_e, wanted.fit_start_ps
                )
                found = [maker_d.question(run) for run in self.runs(wanted.of)]
            elif isinstance(wanted, Softness):
                maker_s, classifier = SoftnessMaker(name, wanted.parameters()), self.classifier(wanted.classifier)
                found = [maker_s.question(run, classifier) for run in self.runs(wanted.of)]
            elif isinstance(wanted, OfRun):
                maker = RunPropertyMaker(name, wanted.kind, wanted.parameters(self.file.path.parent))
                found = [maker.question(run) for run in self.runs(wanted.of)]
            elif isinstance(wanted, Elasticity):
                maker_e = ElasticityMaker(name, wanted.parameters(), wanted.ranks)
                found = [maker_e.question(self.structure(wanted.structure), self.potential(wanted.potential))]
            elif isinstance(wanted, PotentialChoice):
                grid = self.campaign.grids[wanted.grid]
                maker_c = PotentialChoiceMaker(name, tuple(grid.over), wanted.criterion, wanted.tolerance)
                found = [maker_c.question(self.grid(wanted.grid), self.dataset(grid.dataset))]
            elif isinstance(wanted, Arrhenius):
                found = [ArrheniusMaker(name, wanted.extrapolate_to_K).question(self.property(wanted.of))]
            else:
                selections, adopted = self.chosen_labels(wanted.labels)
                computed = [label for points in wanted.dft for label in self.labels(points)]
                potential = self.potential(wanted.potential)
                found = [PotentialTestMaker(name).question(potential, selections, [*adopted, *computed])]
            self.asked.properties[name] = found
        return found


def _run_name(name: str, settings: dict[str, Any]) -> str:
    pressure = "" if settings.get("pressure_bar") is None else f" {settings['pressure_bar']:g} bar"
    return f"md {name} {settings['temperature_K']:g} K{pressure} seed {settings['seed']}"
