from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lipsdb.analysis.softness_distribution import softness_distribution
from lipsdb.errors import BadInputError


def test_distribution_of_two_phases() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(-1, 0.5, 4000), rng.normal(1, 1, 2000)])
    phases = np.array(["crystal"] * 4000 + ["glass"] * 2000)
    result = softness_distribution(values, phases)
    assert result.names == ("crystal", "glass")
    np.testing.assert_allclose(result.mean, [-1, 1], atol=0.07)
    np.testing.assert_allclose(result.std, [0.5, 1], atol=0.05)
    np.testing.assert_allclose(result.soft_fraction, stats.norm.cdf([-2, 1]), atol=0.03)
    np.testing.assert_allclose((result.density * np.diff(result.edges)).sum(axis=1), 1.0)
    assert result.number.tolist() == [4000, 2000]


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadInputError, match="two equally long rows"):
        softness_distribution([1.0, 2.0], ["glass"])
