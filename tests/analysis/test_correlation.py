from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lipsdb.analysis.correlation import correlation
from lipsdb.errors import BadInputError


def test_correlation_of_normal_variables_and_its_error() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000).round(1)  # with ties
    y = (-0.6 * x + 0.8 * rng.normal(size=2000)).round(1)
    result = correlation(x, y, rng, resamples=300)
    assert result.pearson == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
    assert result.spearman == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert result.pearson_error == pytest.approx((1 - 0.36) / np.sqrt(2000), rel=0.15)
    assert result.pearson_interval[0] < -0.6 < result.pearson_interval[1]
    assert result.spearman_interval[0] < 6 / np.pi * np.arcsin(-0.3) < result.spearman_interval[1]


def test_a_draw_has_the_ranks_of_its_own_samples() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 6, 30).astype(float), rng.integers(0, 6, 30).astype(float)
    result = correlation(x, y, np.random.default_rng(7), resamples=50)
    same = np.random.default_rng(7)
    draws = [same.integers(30, size=30) for _ in range(50)]
    assert result.spearman_error == pytest.approx(np.std([stats.spearmanr(x[d], y[d])[0] for d in draws], ddof=1))
    assert result.pearson_error == pytest.approx(np.std([stats.pearsonr(x[d], y[d])[0] for d in draws], ddof=1))


def test_samples_of_one_ion_count_once_in_the_error() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=60), rng.normal(size=60)
    ions = np.repeat(np.arange(60), 25)
    alone = correlation(x, y, np.random.default_rng(1), resamples=200)
    repeated = correlation(x[ions], y[ions], np.random.default_rng(1), groups=ions, resamples=200)
    assert repeated.pearson_error == pytest.approx(alone.pearson_error, rel=1e-9)
    assert (repeated.n_samples, repeated.n_groups) == (1500, 60)


def test_a_constant_is_refused() -> None:
    with pytest.raises(BadInputError, match="not all the same"):
        correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], np.random.default_rng(0))
