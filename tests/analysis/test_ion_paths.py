from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis.ion_paths import ion_paths, most_mobile
from lipsdb.errors import BadInputError

TRICLINIC = np.array([[12.0, 0.0, 0.0], [4.0, 9.0, 0.0], [-3.0, 5.0, 15.0]])


def walk(seed: int, n_frames: int = 40, n_atoms: int = 5) -> np.ndarray:
    return 2.0 * np.random.default_rng(seed).normal(size=(n_frames, n_atoms, 3)).cumsum(axis=0)


def test_wrapped_paths_of_a_triclinic_cell_are_those_of_freud() -> None:
    import freud

    positions = walk(1)
    paths = ion_paths(positions, TRICLINIC, [4, 0])
    box = freud.box.Box.from_matrix(TRICLINIC.T)
    centre = TRICLINIC.sum(axis=0) / 2  # the middle of freud's cell is the origin
    theirs = box.wrap((positions[:, [4, 0]] - centre).reshape(-1, 3)).reshape(-1, 2, 3) + centre
    np.testing.assert_allclose(paths.wrapped, theirs, atol=1e-4)  # theirs in float32
    np.testing.assert_array_equal(paths.unwrapped, positions[:, [4, 0]])


def test_path_is_put_together_again_from_its_wrapped_pieces(real_run: Any) -> None:
    li = np.flatnonzero(real_run.symbols == "Li")
    paths = ion_paths(real_run.positions, real_run.cell, li)
    fractions = paths.wrapped @ np.linalg.inv(real_run.cell)
    assert fractions.min() > -1e-9
    assert fractions.max() < 1 + 1e-9
    # Steps of 0.05 ps are far shorter than half the cell: nearest images give the unwrapped path.
    steps = np.diff(fractions, axis=0)
    again = paths.wrapped[0] + np.cumsum((steps - np.round(steps)) @ real_run.cell[1:], axis=0)
    shift = paths.unwrapped[0] - paths.wrapped[0]
    np.testing.assert_allclose(again + shift, paths.unwrapped[1:], atol=1e-9)
    np.testing.assert_array_equal(paths.crossings[1:], (np.round(steps) != 0).any(axis=2))
    assert paths.crossings.any()


def test_smoothing_is_a_running_mean_of_scipy_and_keeps_straight_paths() -> None:
    from scipy.ndimage import uniform_filter1d

    positions = walk(2)
    smooth = ion_paths(positions, TRICLINIC, [1], smoothing_frames=5).unwrapped
    np.testing.assert_allclose(smooth[2:-2], uniform_filter1d(positions[:, [1]], 5, axis=0)[2:-2], atol=1e-12)
    np.testing.assert_allclose(smooth[0], positions[:3, [1]].mean(axis=0))
    line = np.arange(20.0)[:, None, None] * np.array([0.3, -0.2, 1.0])
    np.testing.assert_allclose(
        ion_paths(line, TRICLINIC, [0], smoothing_frames=3).unwrapped[1:-1], line[1:-1], atol=1e-12
    )


def test_stride_and_drift() -> None:
    positions, drift = walk(3), walk(4, n_atoms=1)[:, 0]
    paths = ion_paths(positions + drift[:, None], np.repeat(TRICLINIC[None], 40, axis=0), [2], stride=7, drift=drift)
    assert paths.frames.tolist() == [0, 7, 14, 21, 28, 35]
    np.testing.assert_allclose(paths.unwrapped, positions[::7, [2]], atol=1e-12)


def test_the_ion_that_went_far_and_came_back_is_the_most_mobile() -> None:
    positions = np.zeros((4, 4, 3))
    positions[2, 1] = [0.0, 9.0, 0.0]  # back in frame 3
    positions[:, 2, 0] = [0.0, 1.0, 2.0, 3.0]
    positions[:, 3, 0] = [0.0, 2.0, 4.0, 6.0]
    assert most_mobile(positions, np.full(4, True), 3).tolist() == [1, 3, 2]
    assert most_mobile(positions, np.array([True, False, True, True]), 9).tolist() == [3, 2, 0]
    assert most_mobile(positions, np.full(4, True), 2, drift=positions[:, 3]).tolist() == [1, 0]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_translation_rotation_and_images_leave_the_order_of_mobility(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    positions = walk(seed)
    rng = np.random.default_rng(seed)
    moved = positions @ Rotation.random(rng=rng).as_matrix() + rng.integers(-2, 3, (5, 3)) @ TRICLINIC
    everything = np.full(5, True)
    np.testing.assert_array_equal(most_mobile(moved, everything, 5), most_mobile(positions, everything, 5))


def test_what_is_no_path_is_refused() -> None:
    positions = walk(5)
    with pytest.raises(BadInputError, match="indices of atoms from 0 to 4"):
        ion_paths(positions, TRICLINIC, [5])
    with pytest.raises(BadInputError, match="smoothing over 4 frames"):
        ion_paths(positions, TRICLINIC, [0], smoothing_frames=4)
    with pytest.raises(BadInputError, match="has no volume"):
        ion_paths(positions, np.zeros((3, 3)), [0])
    with pytest.raises(BadInputError, match="0 ions are not allowed"):
        most_mobile(positions, np.full(5, True), 0)
