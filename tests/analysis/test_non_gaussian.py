from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis.fit_window import choose_lags
from lipsdb.analysis.non_gaussian import non_gaussian_parameter, non_gaussian_peak
from lipsdb.errors import BadInputError

few = settings(max_examples=15, deadline=None)


def walkers(seed: int, n_frames: int, n_atoms: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_frames, n_atoms, 3)).cumsum(axis=0)


def by_formula(positions: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """3 <r⁴> / (5 <r²>²) - 1 by sums over all atoms and origins."""
    values = []
    for lag in lags.tolist():
        squares = ((positions[lag:] - positions[:-lag]) ** 2).sum(axis=2)
        values.append(3.0 * (squares**2).mean() / (5.0 * squares.mean() ** 2) - 1.0)
    return np.array(values)


def test_lithium_of_a_real_run_agrees_with_the_formula_summed_directly(real_run) -> None:  # type: ignore[no-untyped-def]
    lithium = real_run.positions[:, real_run.symbols == "Li"]
    result = non_gaussian_parameter(lithium)
    lags = np.array([1, 2, 5, 20, 100, 300, 400])
    expected = by_formula(lithium.astype(np.float64), lags)
    np.testing.assert_allclose(result.alpha2[lags - 1], expected, rtol=1e-9, atol=1e-9)
    assert result.alpha2[9] > 5 * result.alpha2_std[9] > 0  # hopping ions are not Gaussian at 0.5 ps


def test_brownian_walkers_have_none_within_the_standard_error() -> None:
    result = non_gaussian_parameter(walkers(1, 1000, 200), lags=[1, 3, 10, 30])
    assert (np.abs(result.alpha2) < 3 * result.alpha2_std).all()
    assert result.alpha2_std[0] < 0.01


def test_standard_error_is_that_of_repeated_runs_of_brownian_walkers() -> None:
    runs = [non_gaussian_parameter(walkers(seed, 60, 40), lags=[4]) for seed in range(60)]
    spread = np.std([run.alpha2[0] for run in runs])
    assert spread == pytest.approx(np.sqrt(np.mean([run.alpha2_std[0] ** 2 for run in runs])), rel=0.3)


def test_ballistic_particles_with_maxwell_velocities_have_none_at_any_time() -> None:
    velocities = np.random.default_rng(2).normal(size=(1, 20000, 3))
    result = non_gaussian_parameter(np.arange(5.0)[:, None, None] * velocities)
    assert (np.abs(result.alpha2) < 3 * result.alpha2_std).all()
    np.testing.assert_allclose(result.alpha2, result.alpha2[0], atol=1e-9)
    np.testing.assert_allclose(result.msd / result.msd[0], result.lags**2, rtol=1e-9)


def test_two_populations_of_walkers_have_the_relative_variance_of_d() -> None:
    scale = np.tile([1.0, 2.0], 150)[:, None]  # D as 1 to 4: <D²>/<D>² - 1 = 8.5/6.25 - 1
    result = non_gaussian_parameter(scale * walkers(3, 800, 300), lags=[1, 5, 20])
    assert (np.abs(result.alpha2 - 0.36) < 3 * result.alpha2_std).all()
    assert result.alpha2_std.max() < 0.03


def test_harmonic_crystal_of_equal_sites_has_none() -> None:
    rng = np.random.default_rng(4)
    crystal = rng.uniform(0, 10, (1, 100, 3)) + rng.normal(0.0, 0.1, (500, 100, 3))
    result = non_gaussian_parameter(crystal, lags=[1, 10, 100])
    assert (np.abs(result.alpha2) < 3 * result.alpha2_std).all()
    np.testing.assert_allclose(result.msd, 0.06, rtol=0.02)


@few
@given(st.integers(0, 2**31))
def test_translation_rotation_scale_and_permutation_leave_it(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    positions = walkers(seed, 25, 6)
    moved = 3.0 * (positions + rng.uniform(-50, 50, (1, 6, 3))) @ Rotation.random(rng=rng).as_matrix()
    np.testing.assert_allclose(
        non_gaussian_parameter(moved[:, rng.permutation(6)]).alpha2, non_gaussian_parameter(positions).alpha2, atol=1e-7
    )


def test_peak_of_a_real_run_lies_between_vibration_and_diffusion(real_run) -> None:  # type: ignore[no-untyped-def]
    lithium = real_run.positions[:, real_run.symbols == "Li"]
    result = non_gaussian_parameter(lithium, lags=choose_lags(len(lithium)))
    peak = non_gaussian_peak(result.lags * real_run.frame_interval_ps, result.alpha2, result.leave_one_out)
    assert peak.found
    assert 0.1 < peak.time_ps < 5.0
    assert 0.0 < peak.time_std_ps < peak.time_ps
    assert peak.height == pytest.approx(result.alpha2.max(), abs=3 * peak.height_std)


def test_errors_of_the_peak_are_the_jackknife_of_shifted_parabolas() -> None:
    times = np.geomspace(0.1, 100.0, 61)
    shifts = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])

    def parabola(shift: float) -> np.ndarray:
        return 0.8 + shift - 0.1 * (np.log(times / 3.0) - shift) ** 2

    peak = non_gaussian_peak(times, parabola(0.0), np.array([parabola(shift) for shift in shifts]))
    expected = np.sqrt(4 * np.mean(shifts**2))
    assert (peak.time_ps, peak.height) == pytest.approx((3.0, 0.8))
    assert peak.time_std_ps == pytest.approx(3.0 * expected)
    assert peak.height_std == pytest.approx(expected)


def test_values_that_only_fall_have_no_peak_and_a_single_group_no_error() -> None:
    peak = non_gaussian_peak([1.0, 2.0, 4.0], [0.3, 0.2, 0.1])
    assert (peak.time_ps, peak.at_edge, peak.found) == (1.0, True, False)
    assert np.isnan(peak.time_std_ps)


def test_rounding_is_no_error_of_the_time_and_without_an_error_no_peak_is_found() -> None:
    times = np.geomspace(0.7, 70.0, 21)
    falling = np.linspace(0.9, 0.1, 21)
    edge = non_gaussian_peak(times, falling, np.linspace(0.9, 1.1, 10)[:, None] * falling)
    assert edge.at_edge
    assert np.isnan(edge.time_std_ps)
    assert edge.height_std > 0
    within = 0.8 - 0.1 * np.log(times / 3.0) ** 2
    same = non_gaussian_peak(times, within, np.linspace(0.9, 1.1, 10)[:, None] * within)  # but for rounding
    assert same.found
    assert np.isnan(same.time_std_ps)
    alone = non_gaussian_peak(times, within)
    assert (alone.at_edge, alone.found) == (False, False)
    assert np.isnan(alone.height_std)
    assert np.isnan(non_gaussian_parameter(walkers(0, 9, 4), n_groups=1).alpha2_std).all()


def test_what_has_no_answer_is_refused() -> None:
    with pytest.raises(BadInputError, match="no atom moves over a lag of 1 frames"):
        non_gaussian_parameter(np.ones((5, 3, 3)))
    with pytest.raises(BadInputError, match="whole numbers of frames from 1 to 8"):
        non_gaussian_parameter(walkers(0, 9, 4), lags=[0, 1])
    with pytest.raises(BadInputError, match="at least three positive, increasing times"):
        non_gaussian_peak([1.0, 2.0], [0.1, 0.2])
    with pytest.raises(BadInputError, match="one finite value for each"):
        non_gaussian_peak([1.0, 2.0, 3.0], [0.1, np.nan, 0.2])
