from __future__ import annotations

import numpy as np
import pytest

from lipsdb.analysis.mobility_labels import MobilityLabels, mobility_labels
from lipsdb.analysis.radial_features import FeatureDefinition
from lipsdb.analysis.softness_grid import accuracy_grid
from lipsdb.errors import BadInputError

DEFINITION = FeatureDefinition("Li", ("P", "S"), cutoff=1.0, spacing=0.2)  # ten features


def test_grid_finds_where_the_information_is() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(3.0, 1.0, size=(3000, 10)).astype(np.float32)
    displacement = 5 + features[:, 3] - features[:, 9] + 0.5 * rng.normal(size=3000)  # P at 0.6-0.8 Å, S at 0.8-1.0 Å
    labels = [mobility_labels(displacement, quantiles=q) for q in [(0.5, 0.5), (0.2, 0.8)]]
    grid = accuracy_grid(
        features, DEFINITION, labels, np.arange(3000) // 10, rng, cutoffs=(0.4, 0.8), spacings=(0.2, 0.4), folds=3
    )
    accuracy = {(p.hopping_from > p.immobile_below, p.cutoff, p.spacing): p.performance.accuracy for p in grid}
    assert len(grid) == 8
    # Of two normal variables with correlation c, the share of equal signs is 1 - arccos(c) / pi.
    assert accuracy[False, 0.4, 0.2] == pytest.approx(0.5, abs=0.04)
    assert accuracy[False, 0.8, 0.2] == pytest.approx(1 - np.arccos(1 / 1.5) / np.pi, abs=0.03)
    assert accuracy[False, 0.8, 0.4] == pytest.approx(1 - np.arccos(1 / 1.5 / np.sqrt(2)) / np.pi, abs=0.03)
    assert accuracy[True, 0.8, 0.2] > accuracy[False, 0.8, 0.2]  # without those that are neither
    assert grid[-1].performance.n_samples == 1200


def test_ions_that_are_merely_recognised_are_not_predicted_in_other_ions() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(24), 50)
    features = (10 * rng.normal(size=(24, 10))[groups] + rng.normal(size=(1200, 10))).astype(np.float32)
    labels = MobilityLabels((rng.permutation(24) < 12)[groups].astype(np.int8), 1.0, 1.0)  # nothing to do with features
    by_ion = accuracy_grid(features, DEFINITION, [labels], groups, rng, cutoffs=(1.0,), regularisations=(1e3,))[0]
    by_sample = accuracy_grid(
        features, DEFINITION, [labels], np.arange(1200), rng, cutoffs=(1.0,), regularisations=(1e3,)
    )[0]
    assert by_sample.performance.accuracy > 0.65  # what leaks when samples of one ion stand on both sides
    assert by_ion.performance.accuracy_low < 0.5 < by_ion.performance.accuracy_high
    # Fifty samples of an ion are all right or all wrong: the interval must know that there are but two dozen.
    assert by_ion.performance.accuracy_high - by_ion.performance.accuracy_low > 0.2


def test_more_folds_than_groups_are_refused() -> None:
    rng = np.random.default_rng(0)
    labels = MobilityLabels((rng.random(200) < 0.5).astype(np.int8), 1.0, 1.0)
    features = rng.normal(size=(200, 10)).astype(np.float32)
    with pytest.raises(BadInputError, match="11 folds of 10 groups"):
        accuracy_grid(features, DEFINITION, [labels], np.arange(200) // 20, rng, cutoffs=(1.0,), folds=11)
