"""Softness classifiers trained on runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.documents.base import Input, MadeBy
from lipsdb.documents.classifier import (
    ClassifierAnswer,
    ClassifierAsked,
    ClassifierFeatures,
    ClassifierGridPoint,
    ClassifierPerformance,
    ClassifierRun,
)
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Question, QuestionMaker, Workplace
from lipsdb.workflows.runs import LoadedRun, load_run

if TYPE_CHECKING:
    from lipsdb.analysis.radial_features import FeatureDefinition
    from lipsdb.analysis.softness import Classifier, Performance


@dataclass
class SoftnessClassifierMaker(QuestionMaker):
    """Trains a classifier of mobile and immobile ions on runs.

    Parameters
    ----------
    settings : dict
        Of `lipsdb.campaigns.classifiers.Classifier`, as its `settings` gives them.
    """

    name: str = "train softness"
    settings: dict[str, Any] = field(default_factory=dict)

    def question(self, runs: Sequence[Question | dict[str, str]]) -> Question:
        """Ask for the classifier trained on these runs."""
        return Question(
            "classifier",
            self.name,
            ClassifierAsked(method="softness", settings=self.settings),
            tuple(("run", run) for run in runs),
            f"{__name__}:train_softness_classifier",
            "analysis",
        )


@dataclass(frozen=True)
class Motion:
    """Non-affine displacements of ions in a run.

    Attributes
    ----------
    start : (n_blocks,) array
        First frame of each block of windows.
    squared : (n_windows, n_ions) array, Å²
        D²_min of each window.
    cumulative : (n_blocks, n_ions) array, Å
        D_cum.
    """

    start: np.ndarray
    squared: np.ndarray
    cumulative: np.ndarray


def motion_of(run: LoadedRun, species: str, settings: Mapping[str, Any]) -> Motion:
    """Non-affine displacements of the ions of one element.

    Parameters
    ----------
    run : LoadedRun
    species : str
        Chemical symbol.
    settings : mapping
        Of a `lipsdb.campaigns.classifiers.Motion`.

    Raises
    ------
    BadInputError
        If a window is no multiple of the time between frames, or a block of windows is longer than the run.
    """
    from lipsdb.analysis.nonaffine import cumulative_nonaffine_displacement, nonaffine_squared_displacement

    increments = settings["increments"]
    found = nonaffine_squared_displacement(
        run.positions,
        run.cell,
        run.symbols == species,
        run.atoms_of(settings["neighbours"]),
        cutoff=settings["cutoff_A"],
        window=run.frames_in(settings["window_ps"], "window_ps"),
        average=settings["per_neighbour"],
    )
    cumulative = cumulative_nonaffine_displacement(found.squared, increments=increments)
    return Motion(found.start[::increments][: len(cumulative)], found.squared, cumulative)


def train_softness_classifier(
    place: Workplace, asked: ClassifierAsked, inputs: list[Input]
) -> tuple[ClassifierAnswer, MadeBy]:
    """Displacements and surroundings of the ions of all runs, choice of the parameters, fit and test."""
    from lipsdb.analysis.radial_features import FeatureDefinition
    from lipsdb.analysis.softness_selection import select_classifier

    settings, bins = asked.settings, asked.settings["surroundings"]
    definition = FeatureDefinition(
        settings["species"],
        tuple(bins["elements"]),
        cutoff=max(bins["cutoffs_A"]),
        spacing=min(bins["spacings_A"]),
        smearing=bins["smearing_A"],
    )
    generator = np.random.default_rng(settings["seed"])
    runs = [load_run(place.database, link.id) for link in inputs]
    motions = [motion_of(run, definition.centre, settings["motion"]) for run in runs]
    chosen = _drawn(sum(motion.cumulative.size for motion in motions), settings["most_samples"], generator)
    ends = np.cumsum([motion.cumulative.size for motion in motions])[:-1]
    parts = np.split(chosen, ends)
    features = []
    for number, (run, motion, part) in enumerate(zip(runs, motions, parts, strict=True)):
        place.progress(number, len(runs), "runs")
        features.append(features_at(run, motion.start, part.reshape(motion.cumulative.shape), definition))
    found = select_classifier(
        np.concatenate(features),
        definition,
        np.concatenate([motion.cumulative.ravel() for motion in motions])[chosen],
        _groups(motions, settings["group_by"])[chosen],
        generator,
        thresholds=settings["thresholds_A"],
        quantiles=[(low, high) for low, high in settings["quantiles"]],
        cutoffs=bins["cutoffs_A"],
        spacings=bins["spacings_A"],
        regularisations=settings["regularisations_C"],
        folds=settings["folds"],
        test_fraction=settings["test_fraction"],
        balance=settings["balance"],
    )
    labels = np.split(found.labels.values, np.cumsum([part.sum() for part in parts])[:-1])
    result = found.classifier
    answer = ClassifierAnswer(
        features=ClassifierFeatures(
            centre=result.definition.centre,
            neighbours=list(result.definition.neighbours),
            cutoff_A=result.definition.cutoff,
            spacing_A=result.definition.spacing,
            smearing_A=result.definition.smearing,
        ),
        mean=result.mean,
        std=result.std,
        weights=result.weights,
        bias=result.bias,
        regularisation_C=result.regularisation,
        immobile_below_A=result.immobile_below,
        hopping_from_A=result.hopping_from,
        train=_performance(result.train),
        test=_performance(result.test),
        grid=[
            ClassifierGridPoint(
                cutoff_A=point.cutoff,
                spacing_A=point.spacing,
                immobile_below_A=point.immobile_below,
                hopping_from_A=point.hopping_from,
                regularisation_C=point.regularisation,
                performance=_performance(point.performance),
            )
            for point in found.grid
        ],
        n_samples=int(chosen.sum()),
        n_left_out=int((found.labels.values < 0).sum()),
        runs=[_run(run, motion, of_run) for run, motion, of_run in zip(runs, motions, labels, strict=True)],
    )
    return answer, place.watch.made_by(versions_of("scikit-learn", "pymatgen", "scipy"))


def features_at(
    run: LoadedRun, frames: Sequence[int] | np.ndarray, chosen: np.ndarray, definition: FeatureDefinition
) -> np.ndarray:
    """Surroundings of ions in some frames, frame by frame, so that memory holds the chosen ones only.

    Parameters
    ----------
    run : LoadedRun
    frames : (n_frames,) array of int
    chosen : (n_frames, n_ions) array of bool
        Which ions in which frame.
    definition : FeatureDefinition

    Returns
    -------
    (n_chosen, n_features) array of float32, neighbours
    """
    from lipsdb.analysis.radial_features import radial_structure_functions

    features = np.empty((int(chosen.sum()), definition.n_features), dtype=np.float32)
    ends = np.cumsum(chosen.sum(axis=1))
    for frame, mask, end in zip(frames, chosen, ends, strict=True):
        one = slice(frame, frame + 1)
        found = radial_structure_functions(run.positions[one], run.cell[one], run.symbols, definition)[0]
        features[end - mask.sum() : end] = found[mask]
    return features


def classifier_of(answer: Mapping[str, Any]) -> Classifier:
    """The classifier in a stored answer, arrays decoded."""
    from lipsdb.analysis.radial_features import FeatureDefinition
    from lipsdb.analysis.softness import Classifier, Performance

    of = answer["features"]
    return Classifier(
        FeatureDefinition(of["centre"], tuple(of["neighbours"]), of["cutoff_A"], of["spacing_A"], of["smearing_A"]),
        mean=answer["mean"],
        std=answer["std"],
        weights=answer["weights"],
        bias=answer["bias"],
        regularisation=answer["regularisation_C"],
        hopping_from=answer["hopping_from_A"],
        immobile_below=answer["immobile_below_A"],
        train=Performance(**answer["train"]),
        test=Performance(**answer["test"]),
    )


def _drawn(n_samples: int, most: int, generator: np.random.Generator) -> np.ndarray:
    """Which samples are used: all, or as many as allowed, drawn at random."""
    chosen = np.full(n_samples, n_samples <= most)
    if n_samples > most:
        chosen[generator.choice(n_samples, most, replace=False)] = True
    return chosen


def _groups(motions: Sequence[Motion], group_by: str) -> np.ndarray:
    """Number of the group of each sample: of its run, or of its ion in its run."""
    groups, n_before = [], 0
    for number, motion in enumerate(motions):
        n_blocks, n_ions = motion.cumulative.shape
        ions = np.tile(np.arange(n_ions), n_blocks)
        groups.append(np.full(ions.size, number) if group_by == "run" else n_before + ions)
        n_before += n_ions
    return np.concatenate(groups)


def _performance(found: Performance) -> ClassifierPerformance:
    return ClassifierPerformance(**asdict(found))


def _run(run: LoadedRun, motion: Motion, labels: np.ndarray) -> ClassifierRun:
    n_blocks, n_ions = motion.cumulative.shape
    return ClassifierRun(
        run_id=run.conditions["run_id"],
        structure=run.conditions["structure"],
        temperature_K=run.conditions["temperature_K"],
        seed=run.conditions["seed"],
        n_ions=n_ions,
        n_blocks=n_blocks,
        mean_D_cum_A=float(motion.cumulative.mean()),
        hopping_fraction=float((labels == 1).mean()) if len(labels) else 0.0,
    )
