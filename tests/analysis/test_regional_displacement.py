from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis import regional_displacement
from lipsdb.analysis.displacement import framework_drift, mean_squared_displacement, remove_drift
from lipsdb.analysis.regional_displacement import Assignment, regional_msd
from lipsdb.analysis.regions import NearPlanes, region_mask
from lipsdb.errors import BadInputError

MODES: list[Assignment] = ["start", "followed", "whole"]
seeds = st.integers(0, 2**31)
few = settings(max_examples=15, deadline=None)


def walk_and_mask(seed: int, n_frames: int = 30, n_atoms: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, 20, (1, n_atoms, 3)) + rng.normal(size=(n_frames, n_atoms, 3)).cumsum(axis=0)
    return positions, (positions[..., 2] % 10.0) < 6.0


def direct_sum(positions: np.ndarray, mask: np.ndarray, lags: list[int], mode: str, stride: int = 1) -> np.ndarray:
    """Mean over (origin, atom), one displacement at a time: x, y, z, total, their number and the retention."""
    n_frames, n_atoms, _ = positions.shape
    rows = []
    for lag in lags:
        squares, started, kept = [], 0, 0
        for origin in range(0, n_frames - lag, stride):
            for atom in range(n_atoms):
                member = mask[:, atom].mean() > 0.5 if mode == "whole" else mask[origin, atom]
                stayed = mask[origin : origin + lag + 1, atom].all()
                started += member
                kept += member and {"start": mask[origin + lag, atom], "followed": stayed, "whole": True}[mode]
                if member and (stayed or mode != "followed"):
                    squares.append((positions[origin + lag, atom] - positions[origin, atom]) ** 2)
        mean = np.mean(squares, axis=0) if squares else np.full(3, np.nan)
        rows.append([*mean, mean.sum(), len(squares), kept / started])
    return np.array(rows)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stride", [1, 4])
def test_walkers_that_come_and_go_have_the_msd_of_a_direct_sum(mode: Assignment, stride: int) -> None:
    positions, mask = walk_and_mask(1)
    lags = [0, 1, 2, 7, 20]
    result = regional_msd(positions, mask, lags=lags, assignment=mode, origin_stride=stride)
    slow = direct_sum(positions, mask, lags, mode, stride)
    np.testing.assert_allclose(result.msd, slow[:, :4], rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(result.n_displacements, slow[:, 4])
    np.testing.assert_allclose(result.retention, slow[:, 5], rtol=1e-12)


def test_li_near_a_plane_of_the_real_run_has_the_msd_of_a_direct_sum(real_run: Any) -> None:
    positions, cell = real_run.positions[::10], real_run.cell[::10]
    mask = region_mask(NearPlanes("b", (0.0,), 3.0), positions, cell) & (real_run.symbols == "Li")
    for mode in MODES:
        result = regional_msd(positions, mask, lags=[1, 10, 30], assignment=mode)
        slow = direct_sum(positions.astype(float), mask, [1, 10, 30], mode)
        np.testing.assert_allclose(result.msd, slow[:, :4], rtol=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_static_region_of_the_real_run_has_the_msd_of_mdanalysis(real_run: Any) -> None:
    import MDAnalysis
    from MDAnalysis.analysis.msd import EinsteinMSD

    positions = real_run.positions[:120]
    inside = region_mask(NearPlanes("b", (0.0,), 3.0), positions, real_run.cell[:120])[0] & (real_run.symbols == "Li")
    universe = MDAnalysis.Universe.empty(int(inside.sum()), trajectory=True)
    universe.load_new(positions[:, inside])
    ours = regional_msd(positions, np.broadcast_to(inside, (120, 128)))
    for column, kind in enumerate(["x", "y", "z", "xyz"]):
        theirs = EinsteinMSD(universe, msd_type=kind, fft=False).run().results.timeseries
        np.testing.assert_allclose(ours.msd[:, column], theirs, rtol=1e-5, atol=1e-5)  # theirs in float32


@pytest.mark.parametrize("mode", MODES)
def test_region_of_all_atoms_has_the_plain_msd(mode: Assignment) -> None:
    positions, _ = walk_and_mask(2)
    result = regional_msd(positions, np.full(positions.shape[:2], True), assignment=mode)
    np.testing.assert_allclose(result.msd, mean_squared_displacement(positions), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(result.retention, 1.0)
    assert result.n_atoms == 8


def test_far_from_the_origin_the_msd_keeps_its_digits() -> None:
    positions, mask = walk_and_mask(3)
    np.testing.assert_allclose(
        regional_msd(positions + 1e5, mask).msd, regional_msd(positions, mask).msd, rtol=1e-7, atol=1e-7
    )


def test_atoms_at_rest_have_a_msd_of_exactly_zero() -> None:
    positions = np.repeat(walk_and_mask(4)[0][:1], 30, axis=0)
    for mode in MODES:
        result = regional_msd(positions, np.full((30, 8), True), assignment=mode)
        assert not result.msd.any()
        assert not result.msd_std.any()


def test_std_of_equal_shares_is_the_standard_error_over_atoms() -> None:
    positions, _ = walk_and_mask(5)
    result = regional_msd(positions, np.full((30, 8), True), lags=[3])
    each = ((positions[3:] - positions[:-3]) ** 2).mean(axis=0)
    np.testing.assert_allclose(result.msd_std[0, :3], each.std(axis=0, ddof=1) / 8**0.5, rtol=1e-9)
    np.testing.assert_allclose(result.msd_std[0, 3], each.sum(axis=1).std(ddof=1) / 8**0.5, rtol=1e-9)


def test_std_is_the_spread_between_runs() -> None:
    values, stds = [], []
    for seed in range(60):
        positions, mask = walk_and_mask(seed, n_frames=60, n_atoms=30)
        result = regional_msd(positions, mask, lags=[2, 10])
        values.append(result.msd)
        stds.append(result.msd_std)
    np.testing.assert_allclose(np.mean(stds, axis=0), np.std(values, axis=0), rtol=0.3)


@few
@given(seeds, st.sampled_from(MODES), st.tuples(*[st.floats(-100, 100)] * 3))
def test_translation_and_order_of_atoms_leave_the_msd(
    seed: int, mode: Assignment, shift: tuple[float, float, float]
) -> None:
    positions, mask = walk_and_mask(seed)
    order = np.random.default_rng(seed).permutation(8)
    lags = np.array([0, 1, 9])
    np.testing.assert_allclose(
        regional_msd((positions + shift)[:, order], mask[:, order], lags=lags, assignment=mode).msd,
        regional_msd(positions, mask, lags=lags, assignment=mode).msd,
        rtol=1e-8,
        atol=1e-8,
    )


@few
@given(seeds, st.sampled_from(MODES))
def test_rotation_leaves_the_total_msd(seed: int, mode: Assignment) -> None:
    from scipy.spatial.transform import Rotation

    positions, mask = walk_and_mask(seed)
    turned = positions @ Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    np.testing.assert_allclose(
        regional_msd(turned, mask, lags=[1, 9], assignment=mode).msd[:, 3],
        regional_msd(positions, mask, lags=[1, 9], assignment=mode).msd[:, 3],
        rtol=1e-8,
    )


@few
@given(seeds)
def test_two_regions_that_share_all_atoms_average_to_the_plain_msd(seed: int) -> None:
    positions, mask = walk_and_mask(seed)
    parts = [regional_msd(positions, part) for part in (mask, ~mask)]
    weights = np.array([part.n_displacements for part in parts], dtype=float)
    together = sum(np.nan_to_num(p.msd) * w[:, None] for p, w in zip(parts, weights, strict=True))
    np.testing.assert_allclose(
        together / weights.sum(axis=0)[:, None], mean_squared_displacement(positions), rtol=1e-8, atol=1e-8
    )


def test_drift_is_subtracted_as_remove_drift_does() -> None:
    positions, mask = walk_and_mask(6)
    masses = np.array([6.94] * 4 + [30.97] + [32.06] * 3)
    framework = np.arange(8) > 3
    drift = framework_drift(positions, masses, framework)
    still = remove_drift(positions, masses, framework)
    np.testing.assert_allclose(positions - drift[:, None], still, atol=1e-12)
    np.testing.assert_allclose(
        regional_msd(positions, mask, drift=drift).msd, regional_msd(still, mask).msd, rtol=1e-9, atol=1e-9
    )


def test_chunks_and_threads_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    positions, mask = walk_and_mask(7)
    monkeypatch.setattr(regional_displacement, "CACHE_BYTES", 1)
    runs = []
    for threads in (1, 2):
        monkeypatch.setattr(regional_displacement, "THREADS", threads)
        runs.append(regional_msd(positions, mask))
    np.testing.assert_array_equal(runs[0].msd, runs[1].msd)
    np.testing.assert_array_equal(runs[0].msd_std, runs[1].msd_std)
    monkeypatch.undo()
    np.testing.assert_allclose(regional_msd(positions, mask).msd, runs[0].msd, rtol=1e-9, atol=1e-12)


def test_what_does_not_fit_is_refused() -> None:
    positions, mask = walk_and_mask(8)
    with pytest.raises(BadInputError, match=r"expected bool of shape \(30, 8\)"):
        regional_msd(positions, mask[:-1])
    with pytest.raises(BadInputError, match="none of 8 atoms is in the region in any of 30 frames"):
        regional_msd(positions, np.zeros_like(mask))
    with pytest.raises(BadInputError, match="assignment 'end'"):
        regional_msd(positions, mask, assignment="end")  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="an origin every 30 frames"):
        regional_msd(positions, mask, origin_stride=30)
    with pytest.raises(BadInputError, match="from 0 to 29"):
        regional_msd(positions, mask, lags=[30])
    with pytest.raises(BadInputError, match="expected 8 positive numbers in amu"):
        framework_drift(positions, np.zeros(8), np.full(8, True))
