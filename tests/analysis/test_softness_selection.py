from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lipsdb.analysis.radial_features import FeatureDefinition
from lipsdb.analysis.softness import held_out
from lipsdb.analysis.softness_selection import Selection, select_classifier
from lipsdb.errors import BadInputError

DEFINITION = FeatureDefinition("Li", ("P", "S"), cutoff=1.0, spacing=0.2)  # ten features
GROUPS = np.arange(2400) // 10


def samples(noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Surroundings, and displacements that only P at 0.6-0.8 Å decides."""
    rng = np.random.default_rng(0)
    features = rng.normal(3.0, 1.0, size=(2400, 10)).astype(np.float32)
    return features, 5 + features[:, 3] + noise * rng.normal(size=2400)


def select(features: np.ndarray, displacement: np.ndarray, seed: int = 1, **options: Any) -> Selection:
    chosen = {"cutoffs": (1.0,), "folds": 3} | options
    return select_classifier(features, DEFINITION, displacement, GROUPS, np.random.default_rng(seed), **chosen)


def test_what_decides_the_motion_is_found() -> None:
    found = select(
        *samples(), quantiles=[(0.5, 0.5)], cutoffs=(0.4, 0.8, 1.0), spacings=(0.2,), regularisations=(0.1, 1)
    )
    assert len(found.grid) == 6
    assert found.classifier.definition.cutoff > 0.4
    best = max(found.grid, key=lambda point: point.performance.balanced_accuracy)
    assert (best.cutoff, best.regularisation) == (found.classifier.definition.cutoff, found.classifier.regularisation)
    # two normal variables with correlation c have equal signs in 1 - arccos(c) / pi
    assert found.classifier.test.accuracy == pytest.approx(1 - np.arccos(1 / np.sqrt(1.25)) / np.pi, abs=0.04)
    weights = found.classifier.weights_by_pair()
    assert weights["Li-P"][3] == max(abs(found.classifier.weights))


def test_samples_held_out_have_no_say_in_anything_but_the_test() -> None:
    features, displacement = samples()
    held = held_out(GROUPS, 0.25, np.random.default_rng(1))
    other_features, other_displacement = features.copy(), displacement.copy()
    other_features[held], other_displacement[held] = features[held][::-1], 16 - displacement[held]
    options = {"quantiles": [(0.5, 0.5), (0.3, 0.7)], "regularisations": (0.01, 1.0)}
    one, other = select(features, displacement, **options), select(other_features, other_displacement, **options)
    assert one.grid == other.grid
    np.testing.assert_array_equal(one.classifier.weights, other.classifier.weights)
    assert one.classifier.hopping_from == other.classifier.hopping_from
    assert one.classifier.train == other.classifier.train
    assert one.classifier.test.accuracy > 0.8
    assert other.classifier.test.accuracy < 0.6


def test_without_a_choice_nothing_is_cross_validated() -> None:
    found = select(*samples(), thresholds=[8.0])
    assert found.grid == ()
    assert (found.classifier.hopping_from, found.classifier.regularisation) == (8.0, 1.0)
    assert (found.labels.values == 1).sum() == (samples()[1] >= 8.0).sum()


def test_a_split_that_leaves_nothing_to_fit_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"a test fraction of 0\.9 of 2 groups"):
        held_out([1, 1, 2], 0.9, np.random.default_rng(0))
