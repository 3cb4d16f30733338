"""How well softness classifiers do with other cutoffs, spacings, thresholds and regularisations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.mobility_labels import MobilityLabels
from lipsdb.analysis.radial_features import FeatureDefinition, coarser_features
from lipsdb.analysis.softness import Performance, fit_plane, labelled_samples, performance_of
from lipsdb.errors import BadInputError


@dataclass(frozen=True)
class GridPoint:
    """Cross-validated performance of one choice of parameters.

    Attributes
    ----------
    cutoff, spacing, hopping_from, immobile_below : float
        Å.
    regularisation : float
        C.
    performance : Performance
        Of every sample by the classifier that was fitted without its group.
    """

    cutoff: float
    spacing: float
    hopping_from: float
    immobile_below: float
    regularisation: float
    performance: Performance


def accuracy_grid(
    features: NDArray[np.float32],
    definition: FeatureDefinition,
    labels: Sequence[MobilityLabels],
    groups: ArrayLike,
    generator: np.random.Generator,
    *,
    cutoffs: Sequence[float] = (10.0,),
    spacings: Sequence[float] = (0.2,),
    regularisations: Sequence[float] = (1.0,),
    folds: int = 5,
    balance: bool = True,
) -> tuple[GridPoint, ...]:
    """Cross-validated accuracy (dimensionless) for every combination of cutoff, spacing, labels and C.

    Parameters
    ----------
    features : (n_samples, n_features) array
        In the finest spacing and up to the largest cutoff; the others are made from them by adding bins.
    definition : FeatureDefinition
        What they are.
    labels : sequence of MobilityLabels
        One for each threshold that is tried.
    groups : (n_samples,) array
        As for `train_classifier`.
    generator : numpy.random.Generator
        Deals the groups out to the folds.
    cutoffs, spacings : sequence of float
        Å.
    regularisations : sequence of float
        C.
    folds : int
        Parts, each of which is held out once; at most as many as groups.
    balance : bool
        As for `train_classifier`.

    Returns
    -------
    tuple of GridPoint
        In the order of ``itertools.product(labels, cutoffs, spacings, regularisations)``.

    Raises
    ------
    BadInputError
        As `train_classifier`; features that do not hold what is wanted; too many folds.

    Notes
    -----
    Compare thresholds by the balanced accuracy or the ROC-AUC: where one class is rare, a high accuracy is easily had.

    References
    ----------
    Lithium thiophosphate study (disorder), Figs. S15 (spacing and cutoff) and S16 (C and threshold).

    Examples
    --------
    >>> from lipsdb.analysis.mobility_labels import mobility_labels
    >>> definition = FeatureDefinition("Li", ("S",), cutoff=0.4, spacing=0.2)
    >>> generator = np.random.default_rng(0)
    >>> features = generator.normal(size=(400, 2)).astype(np.float32)
    >>> labels = mobility_labels(features[:, 1], threshold=0.0)
    >>> grid = accuracy_grid(
    ...     features, definition, [labels], np.arange(400) // 4, generator, cutoffs=(0.2, 0.4), folds=2
    ... )
    >>> [point.performance.accuracy > 0.9 for point in grid]
    [False, True]
    """
    from sklearn.model_selection import StratifiedGroupKFold

    seed = int(generator.integers(2**32 - 1))
    points = []
    for label, cutoff, spacing in product(labels, cutoffs, spacings):
        wanted = FeatureDefinition(definition.centre, definition.neighbours, cutoff, spacing, definition.smearing)
        table = coarser_features(np.asarray(features), definition, wanted)
        samples, classes, group = labelled_samples(table, wanted, label, groups)
        if not 2 <= folds <= group.max() + 1:
            raise BadInputError(f"{folds} folds of {group.max() + 1} groups; expected 2 to {group.max() + 1}")
        parts = list(StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(samples, classes, group))
        for regularisation in regularisations:
            margins = np.empty(len(samples))
            for training, testing in parts:
                mean, std, weights, bias = fit_plane(samples[training], classes[training], regularisation, balance)
                margins[testing] = ((samples[testing] - mean) / std) @ weights - bias
            performance = performance_of(margins, classes, group)
            points.append(
                GridPoint(cutoff, spacing, label.hopping_from, label.immobile_below, regularisation, performance)
            )
    return tuple(points)
