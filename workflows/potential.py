"""Datasets frozen from labels, and potentials trained on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.documents.base import ArtifactReference, Input, MadeBy
from lipsdb.documents.dataset import Dataset, DatasetAnswer, DatasetAsked, DatasetSystem
from lipsdb.documents.potential import Parity, PotentialAnswer, PotentialAsked, SystemErrors
from lipsdb.errors import BadInputError
from lipsdb.potentials.engines import engine
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Question, QuestionMaker, Selection, Workplace
from lipsdb.workflows.labels import frames_by_system, load_labels

if TYPE_CHECKING:
    from lipsdb.potentials.training_set import LabelledFrames
    from lipsdb.store.database import Database

_PARITY_FORCES = 20_000  # force components kept for the parity figure


@dataclass
class DatasetMaker(QuestionMaker):
    """Freezes a dataset: which labels, and which of them are held out of training.

    Parameters
    ----------
    held_fraction : float
        Fraction of the labels held out.
    block_length : int
        Frames of one trajectory stay together in blocks of so many neighbours; single points are split one by one.
    seed : int
        Seed of the split.
    mixed_levels_of_theory : bool
        Whether labels of several levels of theory may stand in it.
    """

    name: str = "dataset"
    held_fraction: float = 0.1
    block_length: int = 20
    seed: int = 1
    mixed_levels_of_theory: bool = False

    def question(
        self, selections: Sequence[dict[str, Any]], labels: Sequence[Question | dict[str, str]] = ()
    ) -> Question:
        """Ask for the dataset of the labels that the selections find, and of others by themselves."""
        found = (Selection("label", "labels", tuple(selections)),) if selections else ()
        return Question(
            "dataset",
            self.name,
            DatasetAsked(
                held_fraction=self.held_fraction,
                block_length=self.block_length,
                seed=self.seed,
                mixed_levels_of_theory=self.mixed_levels_of_theory,
            ),
            (*found, *(("label", label) for label in labels)),
            f"{__name__}:freeze_dataset",
            "analysis",
        )


def freeze_dataset(place: Workplace, asked: DatasetAsked, inputs: list[Input]) -> tuple[DatasetAnswer, MadeBy]:
    """Split the labels: whole blocks of neighbouring frames are held out."""
    from lipsdb.potentials.training_set import grouped_split

    fields = {"answer.n_atoms": 1, "origin": 1, "asked.level_of_theory": 1}
    ids = [link.id for link in inputs if link.role == "label"]
    if not ids:
        raise BadInputError("all labels of the dataset were refused; `lipsdb list refused` says why")
    labels = {label["_id"]: label for label in place.database.collection("labels").find({"_id": {"$in": ids}}, fields)}
    origins = [labels[id_]["origin"] for id_ in ids]
    levels = sorted({label["asked"]["level_of_theory"] for label in labels.values()})
    if len(levels) > 1 and not asked.mixed_levels_of_theory:
        raise BadInputError(
            f"the labels are of {len(levels)} levels of theory ({', '.join(levels)}), whose energies do not compare; "
            "take one of them, or set mixed_levels_of_theory: true in the dataset"
        )
    groups = [f"{origin['source']}/{origin['folder']}" for origin in origins]
    lengths = {
        group: asked.block_length if origin["trajectory"] else 1 for group, origin in zip(groups, origins, strict=True)
    }
    frames = np.array([origin["frame"] for origin in origins])
    held = grouped_split(groups, frames, held_fraction=asked.held_fraction, block_length=lengths, seed=asked.seed)
    kinds = [(labels[id_]["origin"]["system"], labels[id_]["answer"]["n_atoms"]) for id_ in ids]
    total, kept_out = Counter(kinds), Counter(kind for kind, out in zip(kinds, held, strict=True) if out)
    answer = DatasetAnswer(
        level_of_theory=levels,
        held=held,
        systems=[
            DatasetSystem(
                system=kind[0], n_atoms=kind[1], n_training=total[kind] - kept_out[kind], n_held=kept_out[kind]
            )
            for kind in sorted(total)
        ],
        n_training=int((~held).sum()),
        n_held=int(held.sum()),
    )
    return answer, place.watch.made_by(versions_of())


@dataclass
class PotentialMaker(QuestionMaker):
    """Trains a potential on a dataset, and evaluates it on what was held out.

    Parameters
    ----------
    engine : str
        One of `lipsdb.potentials.engines`.
    settings : dict
        Of the engine's model.
    threads : int
        Threads that the training uses.
    """

    name: str = "train"
    engine: str = "mtp"
    settings: dict[str, Any] = field(default_factory=dict)
    threads: int = 1

    def question(self, dataset: Question | dict[str, str]) -> Question:
        """Ask for the potential trained on this dataset."""
        settings = engine(self.engine).settings_model().model_validate(self.settings).model_dump(mode="json")
        return Question(
            "potential",
            self.name,
            PotentialAsked(engine=self.engine, settings=settings),
            (("dataset", dataset),),
            f"{__name__}:train_potential",
            "train",
            {"threads": self.threads},
        )


def train_potential(place: Workplace, asked: PotentialAsked, inputs: list[Input]) -> tuple[PotentialAnswer, MadeBy]:
    """Train and evaluate; continues from the last checkpoint when started again."""
    from lipsdb.potentials.prediction_errors import prediction_errors

    training, held = training_frames(place.database, inputs[0].id), held_frames(place.database, inputs[0].id)
    made = engine(asked.engine)
    threads = int(place.options.get("threads", 1))
    result = made.train(
        place.folder,
        made.settings_model().model_validate(asked.settings),
        training,
        held,
        threads=threads,
        progress=lambda done, total, row: place.progress(done, total, note=_loss(row)),
        lock_fd=place.lock_fd,
    )
    predictions = made.evaluate(result.model, held, threads=threads)
    parts = {name: [(held[name], predicted)] for name, predicted in predictions.items()}
    parts["all"] = [pair for pairs in parts.values() for pair in pairs]
    answer = PotentialAnswer(
        elements=list(result.elements),
        cutoff_A=result.cutoff_A,
        model=_stored(place, result.model),
        files=[_stored(place, path) for path in result.other_models],
        active_set=None if result.active_set is None else _stored(place, result.active_set),
        learning_curve={key: np.asarray(column) for key, column in result.learning_curve.items()},
        errors=[SystemErrors(system=name, **asdict(prediction_errors(pairs))) for name, pairs in parts.items()],
        parity=_parity(held, predictions),
    )
    made_by = place.watch.made_by(
        versions_of(*made.libraries) | dict(result.versions),
        [place.put_text(path, name) for name, path in result.records.items()],
        executable=result.executable,
        core_seconds=result.core_seconds,
    )
    return answer, made_by


train_deepmd = train_potential  # its name in launchpads from before there were several engines


def _stored(place: Workplace, path: Path) -> ArtifactReference:
    return ArtifactReference(**place.put(path, path.name))


def _loss(row: Mapping[str, float]) -> str:
    """What the progress bar says of a row of the learning curve."""
    found = next(((name, row[name]) for name in ("loss", "rmse_trn", "rmse") if name in row), None)
    return "" if found is None else f"loss {found[1]:.3g}" if found[0] == "loss" else f"RMSE {found[1]:.3g}"


def training_frames(database: Database, dataset_id: str) -> dict[str, LabelledFrames]:
    """Frames of a dataset to train on, by system."""
    return _frames(database, dataset_id, held=False)


def held_frames(database: Database, dataset_id: str) -> dict[str, LabelledFrames]:
    """Frames of a dataset that are held out, by system."""
    return _frames(database, dataset_id, held=True)


def _frames(database: Database, dataset_id: str, *, held: bool) -> dict[str, LabelledFrames]:
    """Frames of one part of a dataset.

    Raises
    ------
    BadInputError
        If the dataset is not in this database.
    """
    stored = database.collection("datasets").find_one({"_id": dataset_id})
    if stored is None:
        raise BadInputError(f"the dataset {dataset_id} is not in this database; submit its campaign again")
    dataset = Dataset.from_stored(stored)
    ids = [link.id for link in dataset.inputs if link.role == "label"]
    wanted = [id_ for id_, out in zip(ids, dataset.answer.held, strict=True) if out == held]
    labels = load_labels(database, wanted)
    return frames_by_system([labels[id_] for id_ in wanted])


def _parity(systems: dict[str, Any], predictions: dict[str, Any]) -> Parity:
    """Held-out labels against the potential; of the force components a random sample."""
    names = sorted(systems)
    n_atoms = {name: systems[name].n_atoms for name in names}
    index = np.concatenate([np.full(systems[name].n_frames, i, "u2") for i, name in enumerate(names)])
    label = np.concatenate([systems[name].forces.ravel() for name in names])
    predicted = np.concatenate([predictions[name].forces.ravel() for name in names])
    of_component = np.concatenate([np.full(systems[name].forces.size, i, "u2") for i, name in enumerate(names)])
    sample = np.sort(np.random.default_rng(0).permutation(label.size)[:_PARITY_FORCES])
    return Parity(
        system=names,
        system_index=index,
        energy_label=np.concatenate([systems[name].energies / n_atoms[name] for name in names]),
        energy_potential=np.concatenate([predictions[name].energies / n_atoms[name] for name in names]),
        force_system_index=of_component[sample],
        force_label=label[sample].astype("f4"),
        force_potential=predicted[sample].astype("f4"),
    )
