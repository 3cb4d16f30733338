from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis import trajectory_arrays
from lipsdb.analysis.region_membership import (
    bridged_mask,
    frames_remaining,
    region_fractions,
    residence,
    scalar_mask,
    share_mask,
)
from lipsdb.analysis.regions import NearPlanes, region_mask
from lipsdb.errors import BadInputError


def visits(seed: int, n_frames: int = 30, n_atoms: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_frames, n_atoms)).cumsum(axis=0) > 0


def test_survival_of_li_near_a_plane_is_that_of_mdanalysis(real_run: Any) -> None:
    from MDAnalysis.lib.correlations import autocorrelation

    mask = region_mask(NearPlanes("b", (0.0,), 2.0), real_run.positions[::4], real_run.cell[::4])
    mask &= real_run.symbols == "Li"
    sets = [set(np.flatnonzero(row).tolist()) for row in mask]
    _, _, ratios = autocorrelation(sets, 12)
    sizes = np.array([len(ids) for ids in sets], dtype=float)
    theirs = [np.dot(values, sizes[: len(values)]) / sizes[: len(values)].sum() for values in ratios]
    ours = residence(mask, np.arange(13)).stayed
    assert ours[1] > ours[12] > 0.05
    # Theirs leaves lag 0 in or out, depending on its version.
    np.testing.assert_allclose(ours[13 - len(theirs) :], theirs, rtol=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_residence_of_random_visits_is_a_direct_sum(seed: int) -> None:
    mask = visits(seed)
    result = residence(mask, [0, 1, 5, 29])
    for index, lag in enumerate(result.lags):
        origins = mask[: 30 - lag]
        if not origins.any():
            assert np.isnan(result.present[index])
            continue
        stayed = np.all([mask[j : 30 - lag + j] for j in range(lag + 1)], axis=0)
        assert result.present[index] == pytest.approx((origins & mask[lag:]).sum() / origins.sum())
        assert result.stayed[index] == pytest.approx(stayed.sum() / origins.sum())


def test_constant_chance_of_leaving_gives_an_exponential_survival() -> None:
    rng = np.random.default_rng(5)
    stays = rng.random((400, 300)) < 0.9
    mask = np.empty(stays.shape, dtype=bool)
    mask[0] = True
    for frame in range(1, 400):  # back after one frame outside
        mask[frame] = np.where(mask[frame - 1], stays[frame], True)
    np.testing.assert_allclose(residence(mask, [1, 3, 8]).stayed, 0.9 ** np.array([1, 3, 8]), rtol=0.03)


def test_remaining_frames_are_those_of_a_loop_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = visits(7)
    slow = np.zeros(mask.shape, dtype=int)
    for frame, atom in np.argwhere(mask):
        while frame + slow[frame, atom] < len(mask) and mask[frame + slow[frame, atom], atom]:
            slow[frame, atom] += 1
    np.testing.assert_array_equal(frames_remaining(mask), slow)
    whole = residence(mask, [0, 3])
    monkeypatch.setattr(trajectory_arrays, "BLOCK_BYTES", 1)
    np.testing.assert_array_equal(residence(mask, [0, 3]).present, whole.present)
    np.testing.assert_array_equal(region_fractions({"here": mask}, np.full(6, True))["here"], mask.mean(axis=1))


@pytest.mark.parametrize("gap", [0, 1, 3])
def test_bridged_absences_are_a_binary_closing_by_scipy(gap: int) -> None:
    from scipy.ndimage import binary_closing

    mask = np.random.default_rng(gap).random((60, 9)) < 0.4
    padded = np.pad(mask, ((5, 5), (0, 0)))
    np.testing.assert_array_equal(bridged_mask(mask, gap), binary_closing(padded, np.ones((gap + 1, 1)))[5:-5])
    with pytest.raises(BadInputError, match="expected 0 or more"):
        bridged_mask(mask, -1)


def test_fractions_of_two_halves_add_up_to_one(real_run: Any) -> None:
    near = region_mask(NearPlanes("b", (0.0,), 4.0), real_run.positions[:20], real_run.cell[:20])
    fractions = region_fractions({"near": near, "far": ~near}, real_run.symbols == "Li")
    np.testing.assert_allclose(fractions["near"] + fractions["far"], 1.0)
    assert fractions["near"][0] == pytest.approx(near[0, real_run.symbols == "Li"].sum() / 48)


def test_half_the_time_is_not_most_of_it() -> None:
    mask = np.array([[True, True], [False, True], [True, True], [False, False]])
    assert share_mask(mask).tolist() == [False, True]
    assert share_mask(mask, 0.49).tolist() == [True, True]


def test_thresholds_by_mean_and_by_frame_and_atoms_without_a_value() -> None:
    values = np.array([[1.0, 3.0, np.nan], [3.0, 5.0, np.nan], [np.nan, 7.0, np.nan]])
    assert scalar_mask(values, 3, lower=2.0, upper=5.0)[0].tolist() == [True, False, False]
    by_frame = scalar_mask(values, 3, lower=2.0, upper=6.0, averaged=False)
    assert by_frame.tolist() == [[False, True, False], [True, True, False], [False, False, False]]
    assert scalar_mask(values[0], 5, lower=2.0).shape == (5, 3)


def test_frames_between_samples_take_the_nearest_one() -> None:
    values = np.array([[0.0], [1.0], [0.0]])
    mask = scalar_mask(values, 12, lower=0.5, averaged=False, sampled_frames=[1, 5, 8])
    assert np.flatnonzero(mask[:, 0]).tolist() == [4, 5, 6]  # frame 3 is as near to 1 as to 5


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(BadInputError, match="float64 of shape"):
        share_mask(np.ones((2, 2)))
    with pytest.raises(BadInputError, match=r"share of 1\.0 of the time"):
        share_mask(visits(0), 1.0)
    with pytest.raises(BadInputError, match="from 0 to 29"):
        residence(visits(0), [30])
    with pytest.raises(BadInputError, match="give sampled_frames"):
        scalar_mask(np.zeros((3, 2)), 10, averaged=False)
    with pytest.raises(BadInputError, match="lower number first"):
        scalar_mask(np.zeros((3, 2)), 3, lower=1.0, upper=1.0)
