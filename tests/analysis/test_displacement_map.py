from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis.displacement_map import displacement_map
from lipsdb.errors import BadInputError


def walkers(seed: int, n_frames: int, n_atoms: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_frames, n_atoms, 3)).cumsum(axis=0)


def test_a_real_run_moves_as_freud_says(real_run) -> None:  # type: ignore[no-untyped-def]
    import freud

    positions = real_run.positions.astype(np.float64)
    theirs = freud.msd.MSD(mode="direct").compute(positions).particle_msd  # squares, from the first frame
    ours = displacement_map(real_run.positions, 200, origins=[0, 100, 200])
    np.testing.assert_allclose(ours.distances[0], np.sqrt(theirs[200]), rtol=1e-5)
    np.testing.assert_allclose(ours.starts[1], positions[100])
    fraction = ours.mobile_fraction(4.0)
    assert 0.0 < fraction[0] < 0.5
    assert not (ours.distances[:, real_run.symbols == "P"] > 4.0).any()


def test_one_jump_is_seen_only_by_the_windows_that_hold_it() -> None:
    positions = np.zeros((30, 4, 3))
    positions[15:, 2] = [3.0, 4.0, 0.0]
    result = displacement_map(positions, 10)
    assert result.origins.tolist() == [0, 10]
    assert result.distances.tolist() == [[0.0] * 4, [0.0, 0.0, 5.0, 0.0]]
    assert result.mobile_fraction(4.0).tolist() == [0.0, 0.25]
    assert result.time_averaged.tolist() == [0.0, 0.0, 2.5, 0.0]


def test_brownian_walkers_move_by_the_mean_of_a_maxwell_distribution() -> None:
    from scipy.special import gammaincc

    result = displacement_map(walkers(1, 901, 200), 9)
    assert result.distances.shape == (100, 200)
    assert result.time_averaged.mean() == pytest.approx(6.0 * np.sqrt(2 / np.pi), rel=0.02)
    assert result.mobile_fraction(4.0).mean() == pytest.approx(gammaincc(1.5, 16 / 18), rel=0.03)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_translation_and_rotation_leave_the_distances_and_permutation_carries_them(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    positions, order = walkers(seed, 20, 5), rng.permutation(5)
    moved = (positions + rng.uniform(-50, 50, (1, 5, 3))) @ Rotation.random(rng=rng).as_matrix()
    np.testing.assert_allclose(
        displacement_map(moved[:, order], 6).distances, displacement_map(positions, 6).distances[:, order], atol=1e-9
    )


def test_windows_origins_and_thresholds_that_do_not_fit_are_refused() -> None:
    positions = walkers(0, 9, 2)
    with pytest.raises(BadInputError, match="whole numbers of frames from 1 to 8"):
        displacement_map(positions, 9)
    with pytest.raises(BadInputError, match=r"origins \[5\] are not allowed; expected frames from 0 to 4"):
        displacement_map(positions, 4, origins=[5])
    with pytest.raises(BadInputError, match=r"the threshold is -1\.0 Å"):
        displacement_map(positions, 4).mobile_fraction(-1.0)
