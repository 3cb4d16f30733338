from __future__ import annotations

import numpy as np
import pytest

from lipsdb.analysis.displacement import loglog_slope, mean_squared_displacement
from lipsdb.analysis.msd_exponent import diffusive_from, msd_with_exponent
from lipsdb.errors import BadInputError


def test_flight_at_constant_speed_has_the_exponent_two_without_error() -> None:
    speeds = np.random.default_rng(1).normal(size=(1, 30, 3))
    found = msd_with_exponent(np.arange(60.0)[:, None, None] * speeds, [1, 2, 4, 8, 16])
    np.testing.assert_allclose(found.exponent, 2.0, atol=1e-9)
    np.testing.assert_allclose(found.exponent_std, 0.0, atol=1e-9)
    np.testing.assert_allclose(found.msd[:, :3], np.array([1, 2, 4, 8, 16])[:, None] ** 2 * (speeds[0] ** 2).mean(0))


def test_errors_of_brownian_walkers_cover_the_known_msd_and_exponent() -> None:
    lags = [1, 2, 4, 8, 16]
    off_msd, off_exponent = [], []
    for seed in range(20):
        walk = np.random.default_rng(seed).normal(size=(200, 40, 3)).cumsum(axis=0)
        found = msd_with_exponent(walk, lags)
        off_msd.append((found.msd[:, 3] - 3.0 * np.array(lags)) / found.msd_std[:, 3])
        off_exponent.append((found.exponent - 1.0) / found.exponent_std)
    assert 0.6 < np.std(off_msd) < 1.7
    assert 0.6 < np.std(off_exponent) < 1.7


def test_lithium_of_a_real_run_has_the_msd_of_the_other_function_and_the_error_of_two_halves(real_run) -> None:  # type: ignore[no-untyped-def]
    lithium = real_run.positions[:, real_run.symbols == "Li"]
    lags = [1, 10, 100, 200]
    found = msd_with_exponent(lithium, lags, smoothing_factor=1.0, n_groups=2)
    np.testing.assert_allclose(found.msd, mean_squared_displacement(lithium, lags=lags), rtol=1e-12)
    halves = [mean_squared_displacement(lithium[:, part], lags=lags) for part in (slice(24), slice(24, None))]
    np.testing.assert_allclose(found.msd_std, abs(halves[0] - halves[1]) / 2, rtol=1e-9)
    slopes = [loglog_slope(lags, half[:, 3]) for half in halves]
    np.testing.assert_allclose(found.exponent_std, abs(slopes[0] - slopes[1]) / 2, rtol=1e-9)


def test_one_atom_has_no_error() -> None:
    walk = np.random.default_rng(2).normal(size=(50, 1, 3)).cumsum(axis=0)
    found = msd_with_exponent(walk, [1, 2, 3])
    assert np.isnan(found.msd_std).all()
    assert np.isnan(found.exponent_std).all()


def test_lag_zero_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"lags \[0 1\] are not allowed; expected .* from 1 to 4"):
        msd_with_exponent(np.random.default_rng(1).normal(size=(5, 2, 3)), [0, 1])


def test_diffusion_begins_after_the_cage_and_not_on_the_fall_from_ballistic_motion() -> None:
    times = np.array([0.1, 0.2, 0.5, 1.0, 2.0, 5.0])
    assert diffusive_from(times, [2.0, 1.0, 0.3, 0.6, 0.91, 0.95]) == 2.0
    assert diffusive_from(times, [2.0, 1.0, 0.3, 0.6, 0.7, 0.8]) is None
    assert diffusive_from(times, [1.0, 0.99, 1.02, 1.0, 0.97, 1.1]) == 0.1
    assert diffusive_from(times, [np.nan, 1.0, 0.3, np.nan, 0.9, 0.95]) == 2.0
    assert diffusive_from(times, np.full(6, np.nan)) is None
