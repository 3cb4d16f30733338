from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis import trajectory_arrays
from lipsdb.analysis.displacement import (
    framework_drift,
    loglog_slope,
    mean_squared_displacement,
    remove_drift,
    squared_displacement_variance,
)
from lipsdb.errors import BadInputError


def random_walk(seed: int, n_frames: int = 60, n_atoms: int = 7) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 20, (1, n_atoms, 3)) + rng.normal(size=(n_frames, n_atoms, 3)).cumsum(axis=0)


def brute_force(positions: np.ndarray) -> np.ndarray:
    rows = [np.zeros(3)] + [
        ((positions[lag:] - positions[:-lag]) ** 2).mean(axis=(0, 1)) for lag in range(1, len(positions))
    ]
    table = np.array(rows)
    return np.concatenate([table, table.sum(axis=1, keepdims=True)], axis=1)


seeds = st.integers(0, 2**31)
few = settings(max_examples=25, deadline=None)


def test_random_walk_has_the_msd_of_a_direct_sum_over_origins() -> None:
    positions = random_walk(1)
    np.testing.assert_allclose(mean_squared_displacement(positions), brute_force(positions), rtol=1e-10, atol=1e-10)


@pytest.mark.filterwarnings("ignore")
def test_random_walk_has_the_msd_of_mdanalysis() -> None:
    import MDAnalysis
    from MDAnalysis.analysis.msd import EinsteinMSD

    positions = random_walk(2, n_frames=80, n_atoms=5).astype(np.float32)
    universe = MDAnalysis.Universe.empty(5, trajectory=True)
    universe.load_new(positions)
    theirs = EinsteinMSD(universe, msd_type="xyz", fft=False).run().results.timeseries
    np.testing.assert_allclose(mean_squared_displacement(positions)[:, 3], theirs, rtol=1e-8, atol=1e-8)


def test_lithium_of_a_real_run_has_the_msd_of_tidynamics_along_each_axis(real_run) -> None:  # type: ignore[no-untyped-def]
    import tidynamics

    lithium = real_run.positions[:, real_run.symbols == "Li"].astype(np.float64)
    theirs = [np.mean([tidynamics.msd(path) for path in lithium[:, :, axis].T], axis=0) for axis in range(3)]
    np.testing.assert_allclose(mean_squared_displacement(lithium)[:, :3], np.transpose(theirs), atol=1e-9)


def test_lithium_of_a_real_run_has_the_msd_of_freud(real_run) -> None:  # type: ignore[no-untyped-def]
    import freud

    lithium = real_run.positions[:, real_run.symbols == "Li"]
    near_zero = lithium - lithium.mean(axis=0)  # freud rounds to float32 and loses digits far from the origin
    theirs = freud.msd.MSD(mode="window").compute(near_zero).msd
    lags = [1, 10, 100, 400]
    np.testing.assert_allclose(mean_squared_displacement(lithium, lags=lags)[:, 3], theirs[lags], rtol=1e-5, atol=1e-4)


def test_far_from_the_origin_the_msd_keeps_its_digits() -> None:
    positions = random_walk(3)
    np.testing.assert_allclose(
        mean_squared_displacement(positions + 1e5), mean_squared_displacement(positions), rtol=1e-7, atol=1e-7
    )


def test_constant_velocity_gives_v_squared_t_squared() -> None:
    velocity = np.array([[0.3, -0.4, 1.2]])
    positions = np.arange(50.0)[:, None, None] * velocity
    msd = mean_squared_displacement(positions)
    np.testing.assert_allclose(msd[:, 3], 1.69 * np.arange(50.0) ** 2, atol=1e-8)
    np.testing.assert_allclose(loglog_slope(np.arange(1.0, 50.0), msd[1:, 3]), 2.0, atol=1e-8)


def test_blocks_of_atoms_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    positions = random_walk(4)
    whole = mean_squared_displacement(positions), squared_displacement_variance(positions, [1, 5])
    monkeypatch.setattr(trajectory_arrays, "BLOCK_BYTES", 1)
    np.testing.assert_allclose(mean_squared_displacement(positions), whole[0], rtol=1e-12)
    np.testing.assert_allclose(squared_displacement_variance(positions, [1, 5]), whole[1], rtol=1e-12)


def test_variance_is_that_of_numpy_over_all_atoms_and_origins() -> None:
    positions = random_walk(5)
    squares = [((positions[lag:] - positions[:-lag]) ** 2).sum(axis=2).var(ddof=1) for lag in (1, 7, 30)]
    np.testing.assert_allclose(squared_displacement_variance(positions, [1, 7, 30]), squares, rtol=1e-10)


def test_threads_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    positions = random_walk(6)
    monkeypatch.setattr(trajectory_arrays, "BLOCK_BYTES", 1)
    for function in (mean_squared_displacement, squared_displacement_variance):
        one, two = (function(positions, lags=[1, 5], threads=threads) for threads in (1, 2))
        assert (one == two).all()


@few
@given(seeds, st.tuples(*[st.floats(-100, 100)] * 3))
def test_translation_leaves_the_msd(seed: int, shift: tuple[float, float, float]) -> None:
    positions = random_walk(seed, 30, 3)
    np.testing.assert_allclose(
        mean_squared_displacement(positions + shift), mean_squared_displacement(positions), rtol=1e-8, atol=1e-8
    )


@few
@given(seeds)
def test_rotation_leaves_the_total_msd(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    positions = random_walk(seed, 30, 3)
    turned = positions @ Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    np.testing.assert_allclose(
        mean_squared_displacement(turned)[:, 3], mean_squared_displacement(positions)[:, 3], rtol=1e-8, atol=1e-8
    )


@few
@given(seeds)
def test_permutation_of_atoms_and_reversal_of_time_leave_the_msd(seed: int) -> None:
    positions = random_walk(seed, 30, 6)
    shuffled = positions[::-1, np.random.default_rng(seed).permutation(6)]
    np.testing.assert_allclose(
        mean_squared_displacement(shuffled), mean_squared_displacement(positions), rtol=1e-8, atol=1e-8
    )


@few
@given(seeds)
def test_any_drift_of_the_whole_cell_is_removed(seed: int) -> None:
    positions = random_walk(seed, 30, 6)
    drift = np.random.default_rng(seed + 1).normal(size=(30, 1, 3)).cumsum(axis=0)
    masses = np.array([6.94, 6.94, 30.97, 32.06, 32.06, 32.06])
    framework = np.array([False, False, True, True, True, True])
    still = remove_drift(positions, masses, framework)
    np.testing.assert_allclose(remove_drift(positions + drift, masses, framework) - drift[0], still, atol=1e-9)
    centre = np.average(still[:, framework], axis=1, weights=masses[framework])
    np.testing.assert_allclose(centre, np.broadcast_to(centre[0], centre.shape), atol=1e-9)


def test_drift_is_weighted_by_mass() -> None:
    positions = np.zeros((2, 2, 3))
    positions[1, 0, 0] = 1.0  # the atom of mass 3 moves by 1 Å: the centre by 3/4 Å
    moved = remove_drift(positions, [3.0, 1.0], np.array([True, True]))
    np.testing.assert_allclose(moved[1, :, 0], [0.25, -0.75])


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (np.zeros((5, 3)), r"shape \(5, 3\); expected \(n_frames, n_atoms, 3\)"),
        (np.zeros((5, 0, 3)), "at least one atom"),
        (np.zeros((1, 2, 3)), "has 1 frames; at least 2"),
        (np.concatenate([np.zeros((4, 2, 3)), np.full((1, 2, 3), np.nan)]), "frame 4 of 5 .* NaN"),
    ],
)
def test_what_is_no_trajectory_is_refused(positions: np.ndarray, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        mean_squared_displacement(positions)


@pytest.mark.parametrize("lags", [[60], [-1], [1.5], []])
def test_lags_outside_the_trajectory_are_refused(lags: list[float]) -> None:
    with pytest.raises(BadInputError, match="whole numbers of frames from 0 to 59"):
        mean_squared_displacement(random_walk(0), lags=lags)


def test_masks_and_masses_that_do_not_fit_are_refused() -> None:
    positions = random_walk(0)
    with pytest.raises(BadInputError, match="selects none of 7 atoms"):
        remove_drift(positions, np.ones(7), np.zeros(7, dtype=bool))
    with pytest.raises(BadInputError, match="expected bool of shape"):
        remove_drift(positions, np.ones(7), np.ones(7))
    with pytest.raises(BadInputError, match="expected 7 positive numbers in amu"):
        remove_drift(positions, np.zeros(7), np.ones(7, dtype=bool))


def test_slope_refuses_lag_zero_and_is_nan_where_the_msd_is_zero() -> None:
    with pytest.raises(BadInputError, match="leave out lag 0"):
        loglog_slope([0.0, 1.0], [0.0, 1.0])
    with pytest.raises(BadInputError, match="equally long"):
        loglog_slope([1.0, 2.0], [1.0])
    assert np.isnan(loglog_slope([1.0, 2.0, 3.0], [0.0, 1.0, 2.0])[0])


def test_smoothing_recovers_a_power_law_from_noise_and_leaves_an_exact_one() -> None:
    times = np.unique(np.rint(np.geomspace(1, 1000, 200)))
    noise = np.exp(0.02 * np.random.default_rng(7).normal(size=times.size))
    rough, smooth = (loglog_slope(times, times**0.8 * noise, factor=factor) for factor in (1.0, 2.0))
    assert np.abs(smooth[20:-20] - 0.8).max() < 0.06 < np.abs(rough[20:-20] - 0.8).max()
    np.testing.assert_allclose(loglog_slope(times, 3.0 * times**1.7, factor=1.5), 1.7, atol=1e-9)


def test_smoothing_leaves_out_what_is_not_positive_and_refuses_a_factor_below_one() -> None:
    msd = np.array([1.0, 2.0, 0.0, 4.0, 5.0, 6.0])
    slope = loglog_slope(np.arange(1.0, 7.0), msd, factor=3.0)
    assert np.isnan(slope[2])
    np.testing.assert_allclose(slope[[1, 3, 4, 5]], 1.0)
    with pytest.raises(BadInputError, match=r"smoothing factor is 0\.5"):
        loglog_slope([1.0, 2.0], [1.0, 2.0], factor=0.5)


def test_a_cell_that_breathes_is_no_drift_and_drift_within_it_is() -> None:
    rng = np.random.default_rng(4)
    cells = (np.eye(3) + 0.1 * rng.normal(size=(3, 3))) * np.linspace(10.0, 11.0, 6)[:, None, None]
    fractions, masses, framework = rng.uniform(-1.0, 2.0, (8, 3)), rng.uniform(1.0, 30.0, 8), np.arange(8) > 2
    moved = 0.01 * np.arange(6)[:, None] * np.array([1.0, -2.0, 0.5])
    positions = (fractions + moved[:, None]) @ cells
    drift = framework_drift(positions, masses, framework, cells)
    np.testing.assert_allclose(drift, np.einsum("fi,fij->fj", moved, cells), atol=1e-12)
    assert np.abs(framework_drift(positions, masses, framework) - drift).max() > 0.1


def test_drift_in_a_constant_cell_is_that_of_the_centre_of_mass() -> None:
    positions = np.random.default_rng(5).normal(size=(5, 4, 3))
    masses, framework = [1.0, 2.0, 3.0, 4.0], np.array([True, True, False, True])
    plain = framework_drift(positions, masses, framework)
    np.testing.assert_array_equal(framework_drift(positions, masses, framework, np.diag([3.1, 4.7, 5.3])), plain)
