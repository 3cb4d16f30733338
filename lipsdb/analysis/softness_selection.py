"""A softness classifier whose parameters are chosen by cross-validation, never on the samples that test it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.mobility_labels import MobilityLabels, labels_between, mobility_labels
from lipsdb.analysis.radial_features import FeatureDefinition, coarser_features
from lipsdb.analysis.softness import Classifier, held_out, train_classifier
from lipsdb.analysis.softness_grid import GridPoint, accuracy_grid


@dataclass(frozen=True)
class Selection:
    """A classifier, and what its parameters were chosen from.

    Attributes
    ----------
    classifier : Classifier
        Fitted to all training groups with the parameters chosen, tested on the groups held out.
    labels : MobilityLabels
        Of all samples, with the thresholds chosen.
    grid : tuple of GridPoint
        Every combination, cross-validated within the training groups; empty if there was nothing to choose.
    """

    classifier: Classifier
    labels: MobilityLabels
    grid: tuple[GridPoint, ...]


def select_classifier(
    features: NDArray[np.float32],
    definition: FeatureDefinition,
    displacement: ArrayLike,
    groups: ArrayLike,
    generator: np.random.Generator,
    *,
    thresholds: Sequence[float] = (),
    quantiles: Sequence[tuple[float, float]] = (),
    cutoffs: Sequence[float] = (10.0,),
    spacings: Sequence[float] = (0.2,),
    regularisations: Sequence[float] = (1.0,),
    folds: int = 5,
    test_fraction: float = 0.25,
    balance: bool = True,
) -> Selection:
    """Hold groups out, choose parameters by cross-validation in the others, fit to those, test on the held-out ones.

    Parameters
    ----------
    features : (n_samples, n_features) array
        In the finest spacing and up to the largest cutoff, at the start of each sample's block of windows.
    definition : FeatureDefinition
        What they are.
    displacement : (n_samples,) array, Å
        D_cum over that block.
    groups : (n_samples,) array
        As for `lipsdb.analysis.softness.held_out`.
    generator : numpy.random.Generator
        Chooses the groups held out and deals the others out to folds.
    thresholds : sequence of float
        D_c in Å that are tried.
    quantiles : sequence of (float, float)
        Pairs that are tried, as for `lipsdb.analysis.mobility_labels.mobility_labels`; of the training samples.
    cutoffs, spacings : sequence of float
        Å.
    regularisations : sequence of float
        C.
    folds : int
        Of the cross-validation.
    test_fraction : float
        Of the groups.
    balance : bool
        Give both classes the same total weight in the fits.

    Returns
    -------
    Selection

    Raises
    ------
    BadInputError
        As `lipsdb.analysis.softness.train_classifier` and `lipsdb.analysis.softness_grid.accuracy_grid`.

    Notes
    -----
    The combination with the largest balanced accuracy is taken, of equal ones the first. Pairs of quantiles that leave
    the middle out make the two classes easier to tell, and win; thresholds compare fairly with each other.

    References
    ----------
    Lithium thiophosphate study (disorder), Figs. S15 and S16.

    Examples
    --------
    >>> definition, generator = FeatureDefinition("Li", ("S",), cutoff=0.4, spacing=0.2), np.random.default_rng(0)
    >>> features, groups = generator.normal(size=(800, 2)).astype(np.float32), np.arange(800) // 4
    >>> grid = {"thresholds": [9.0], "cutoffs": [0.2, 0.4]}
    >>> found = select_classifier(features, definition, features[:, 1] + 9, groups, generator, **grid)
    >>> found.classifier.definition.cutoff, len(found.grid), found.classifier.test.accuracy > 0.9
    (0.4, 2, True)
    """
    moved, names = np.asarray(displacement, dtype=np.float64), np.asarray(groups)
    held = held_out(names, test_fraction, generator)
    tried = [mobility_labels(moved[~held], threshold=one) for one in thresholds]
    tried += [mobility_labels(moved[~held], quantiles=pair) for pair in quantiles]
    choices = list(product(range(len(tried)), cutoffs, spacings, regularisations))
    grid: tuple[GridPoint, ...] = ()
    if len(choices) > 1:
        grid = accuracy_grid(
            features[~held],
            definition,
            tried,
            names[~held],
            generator,
            cutoffs=cutoffs,
            spacings=spacings,
            regularisations=regularisations,
            folds=folds,
            balance=balance,
        )
    best = max(range(len(grid)), key=lambda k: grid[k].performance.balanced_accuracy) if grid else 0
    which, cutoff, spacing, regularisation = choices[best]
    labels = labels_between(moved, tried[which].immobile_below, tried[which].hopping_from)
    wanted = FeatureDefinition(definition.centre, definition.neighbours, cutoff, spacing, definition.smearing)
    table = coarser_features(features, definition, wanted)
    classifier = train_classifier(table, wanted, labels, names, held, regularisation=regularisation, balance=balance)
    return Selection(classifier, labels, grid)
