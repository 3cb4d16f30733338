"""Errors of a potential against labels, also such as it was not made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.documents.base import Input, MadeBy
from lipsdb.documents.potential import Potential
from lipsdb.documents.property import PropertyAsked
from lipsdb.errors import BadInputError
from lipsdb.potentials.engines import engine
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Question, QuestionMaker, Selection, Workplace
from lipsdb.workflows.labels import load_labels

if TYPE_CHECKING:
    from lipsdb.potentials.prediction_errors import Predictions
    from lipsdb.potentials.training_set import LabelledFrames
    from lipsdb.store.database import Database

ALL = "all"  # the errors over all systems


@dataclass
class PotentialTestMaker(QuestionMaker):
    """Compares a potential with labels: energy, forces, and virial and stress where the labels have them.

    Parameters
    ----------
    threads : int
        Threads of the evaluation.
    """

    name: str = "prediction errors"
    threads: int = 1

    def question(
        self,
        potential: Question | dict[str, str],
        selections: Sequence[dict[str, Any]] = (),
        labels: Sequence[Question | dict[str, str]] = (),
    ) -> Question:
        """Ask for the errors against the labels that the selections find, and against others by themselves."""
        found = (Selection("label", "labels", tuple(selections)),) if selections else ()
        return Question(
            "property",
            self.name,
            PropertyAsked(property="prediction_errors", parameters={}),
            (("potential", potential), *found, *(("label", label) for label in labels)),
            f"{__name__}:measure_prediction_errors",
            "analysis",
            {"threads": self.threads},
        )


@dataclass(frozen=True)
class _Part:
    """Labels of one system, level of theory and composition, and what the potential says of them."""

    system: str
    level_of_theory: str
    composition: str
    ids: list[str]
    labels: LabelledFrames
    predictions: Predictions

    @property
    def energy_errors(self) -> np.ndarray:
        """(E − E₀)/N of each label, (n_frames,), eV/atom."""
        return np.asarray((self.predictions.energies - self.labels.energies) / self.labels.n_atoms)


def measure_prediction_errors(
    place: Workplace, asked: PropertyAsked, inputs: list[Input]
) -> tuple[dict[str, Any], MadeBy]:
    """Errors by system and level of theory and over all, and whether the labels were in the training data.

    Notes
    -----
    Levels of theory may differ by a constant for each kind of atom, which forces don't feel. So energy errors are
    given twice: as they are, and after the mean error of all labels of the same composition and level was taken away.
    A label that is alone with its composition says nothing the second time and is left out there.
    """
    from lipsdb.export.labels import frames_of_labels

    potential = Potential.from_stored(place.database.find(inputs[0].id))
    ids = [link.id for link in inputs if link.role == "label"]
    if not ids:
        raise BadInputError("all labels to test against were refused; `lipsdb list refused` says why")
    labels = load_labels(place.database, ids)
    model = potential.answer.model
    path = place.database.artifacts.save(model.sha256, place.folder / Path(model.name).name)
    groups = _groups(labels)
    frames = {key: frames_of_labels([labels[id_] for id_ in members])[0][1] for key, members in groups.items()}
    evaluator = engine(potential.asked.engine)
    predictions = evaluator.evaluate(path, frames, threads=int(place.options.get("threads", 1)))
    parts = [_part(members, labels, frames[key], predictions[key]) for key, members in groups.items()]
    offsets = _offsets(parts)
    training = _training_data(place.database, potential)
    answer = {
        "potential_id": inputs[0].id,
        "engine": potential.asked.engine,
        "n_labels": len(ids),
        "n_refused": sum(link.role == "refused" for link in inputs),
        "levels_of_theory": sorted({part.level_of_theory for part in parts}),
        "training_levels_of_theory": None if training is None else training.levels_of_theory,
        "training_data": _overlap(place.database, labels, training),
        "errors": [
            *(_errors(parts, offsets, *key) for key in sorted({(part.system, part.level_of_theory) for part in parts})),
            _errors(parts, offsets, ALL, None),
        ],
        "offsets": [
            {
                "composition": composition,
                "level_of_theory": level,
                "n_labels": n,
                "energy_offset_meV_per_atom": 1e3 * mean,
            }
            for (composition, level), (mean, n) in sorted(offsets.items())
        ],
    }
    return answer, place.watch.made_by(versions_of(*evaluator.libraries))


def _groups(labels: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Ids of labels with the same system, level, atoms and kinds of results, by a name of each group."""
    from lipsdb.provenance.canonical import decode_array

    groups: dict[tuple[Any, ...], list[str]] = {}
    for id_, label in sorted(labels.items()):
        answer = label["answer"]
        atoms = decode_array(answer["numbers"]).astype("u1").tobytes()
        key = (label["origin"]["system"], label["asked"]["level_of_theory"], atoms, answer["virial"] is None)
        groups.setdefault(key, []).append(id_)
    return {f"{number} {key[0]}": members for number, (key, members) in enumerate(groups.items())}


def _part(
    ids: list[str], labels: Mapping[str, Mapping[str, Any]], frames: LabelledFrames, predictions: Predictions
) -> _Part:
    from lipsdb.structures.composition import formula

    elements, counts = np.unique(frames.numbers, return_counts=True)
    composition = formula(np.repeat(elements, counts // np.gcd.reduce(counts)))
    first = labels[ids[0]]
    return _Part(first["origin"]["system"], first["asked"]["level_of_theory"], composition, ids, frames, predictions)


def _offsets(parts: Sequence[_Part]) -> dict[tuple[str, str], tuple[float, int]]:
    """Mean energy error (eV/atom) and number of labels, by composition and level of theory."""
    errors: dict[tuple[str, str], list[np.ndarray]] = {}
    for part in parts:
        errors.setdefault((part.composition, part.level_of_theory), []).append(part.energy_errors)
    joined = {key: np.concatenate(values) for key, values in errors.items()}
    return {key: (float(values.mean()), len(values)) for key, values in joined.items()}


def _errors(
    parts: Sequence[_Part], offsets: Mapping[tuple[str, str], tuple[float, int]], system: str, level: str | None
) -> dict[str, Any]:
    """Errors of one system at one level, or of all (level None)."""
    from lipsdb.dft.result import EV_A3_IN_GPA
    from lipsdb.potentials.prediction_errors import prediction_errors

    chosen = [part for part in parts if level is None or (part.system, part.level_of_theory) == (system, level)]
    centred, stress = [], []
    for part in chosen:
        mean, n = offsets[part.composition, part.level_of_theory]
        if n > 1:
            centred.append(part.energy_errors - mean)
        if part.labels.virials is not None:
            volumes = np.abs(np.linalg.det(part.labels.cells))[:, None, None]
            stress.append(-(part.predictions.virials - part.labels.virials) / volumes * EV_A3_IN_GPA)
    energy_mae, energy_rmse = _mae_and_rmse(centred, 1e3)
    stress_mae, stress_rmse = _mae_and_rmse(stress, 1.0)
    return {
        "system": system,
        "levels_of_theory": sorted({part.level_of_theory for part in chosen}),
        **asdict(prediction_errors((part.labels, part.predictions) for part in chosen)),
        "n_frames_without_offset": sum(len(errors) for errors in centred),
        "energy_mae_without_offset_meV_per_atom": energy_mae,
        "energy_rmse_without_offset_meV_per_atom": energy_rmse,
        "stress_mae_GPa": stress_mae,
        "stress_rmse_GPa": stress_rmse,
    }


def _mae_and_rmse(errors: Sequence[np.ndarray], factor: float) -> tuple[float | None, float | None]:
    if not errors:
        return None, None
    every = np.concatenate([one.ravel() for one in errors])
    return float(np.abs(every).mean()) * factor, float(np.sqrt(np.square(every).mean())) * factor


@dataclass(frozen=True)
class _TrainingData:
    levels_of_theory: list[str]
    held: dict[str, bool]  # of each label of the dataset by id: whether it was held out of training


def _training_data(database: Database, potential: Potential) -> _TrainingData | None:
    """The dataset of a potential; None if it is not in this database."""
    from lipsdb.documents.dataset import Dataset

    link = next((link for link in potential.inputs if link.role == "dataset"), None)
    if link is None or not database.known([link.id]):
        return None
    stored = database.find(link.id)
    dataset = Dataset.from_stored(stored)
    ids = [one.id for one in dataset.inputs if one.role == "label"]
    held = {id_: bool(out) for id_, out in zip(ids, dataset.answer.held, strict=True)}
    return _TrainingData(dataset.answer.level_of_theory, held)


def _overlap(
    database: Database, labels: Mapping[str, Mapping[str, Any]], training: _TrainingData | None
) -> dict[str, Any]:
    """How many of the labels' configurations were trained on, or held out of that training.

    By id counts a label that is in the dataset, or that recomputes the configuration of one that is. By geometry
    counts a label of the same configuration as one in the dataset, if the dataset's labels are all in this database;
    otherwise that is 'unknown'.
    """
    if training is None:
        return dict.fromkeys(("trained_by_id", "held_by_id", "trained_by_geometry", "held_by_geometry"), "unknown")
    sources = [
        {id_, *(link["id"] for link in label["inputs"] if link["role"] == "label")} for id_, label in labels.items()
    ]
    found = {
        "trained_by_id": sum(any(training.held.get(id_) is False for id_ in one) for one in sources),
        "held_by_id": sum(any(training.held.get(id_) is True for id_ in one) for one in sources),
    }
    if len(database.existing("label", training.held)) < len(training.held):
        return {**found, "trained_by_geometry": "unknown", "held_by_geometry": "unknown"}
    geometries = [label["answer"]["geometry"] for label in labels.values()]
    same = {"answer.geometry": {"$in": sorted(set(geometries))}}
    state: dict[str, set[bool]] = {}
    for label in database.query("labels", same, ["answer.geometry"]):
        if label["_id"] in training.held:
            state.setdefault(label["answer"]["geometry"], set()).add(training.held[label["_id"]])
    return {
        **found,
        "trained_by_geometry": sum(False in state.get(geometry, ()) for geometry in geometries),
        "held_by_geometry": sum(True in state.get(geometry, ()) for geometry in geometries),
    }
