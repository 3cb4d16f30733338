from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lipsdb.analysis.diffusion import self_diffusion
from lipsdb.analysis.displacement import framework_drift
from lipsdb.analysis.regional_diffusion import regional_diffusion
from lipsdb.analysis.regional_displacement import Assignment
from lipsdb.analysis.regions import Slab, region_mask
from lipsdb.errors import BadInputError

STEP_PS = 0.1
LEFT = np.array([1.0, 0.6, 0.3])  # D along x, y, z, Å²/ps: 1e-4 cm²/s
RIGHT = np.array([0.1, 0.2, 0.05])
MASSES = {"Li": 6.94, "P": 30.97, "S": 32.06}


def walkers(seed: int, length: float, *, exchange: bool, n_frames: int = 200, n_atoms: int = 60) -> np.ndarray:
    """Brownian walkers in a cell of two slabs across c; without exchange each slab's walls reflect them."""
    rng = np.random.default_rng(seed)
    now = rng.uniform(0.0, length, (n_atoms, 3))
    frames = np.empty((n_frames, n_atoms, 3))
    for frame in range(n_frames):
        frames[frame] = now
        left = now[:, 2] % length < length / 2
        d = np.where(left[:, None], LEFT, RIGHT)
        after = now + rng.normal(size=now.shape) * np.sqrt(2 * d * STEP_PS)
        if not exchange:
            low = np.where(left, 0.0, length / 2)
            depth = np.abs(after[:, 2] - low)
            after[:, 2] = low + np.where(depth > length / 2, length - depth, depth)
        now = after
    return frames


def pulls(length: float, *, exchange: bool, assignment: Assignment) -> dict[str, np.ndarray]:
    """(D - true D) / stated standard deviation over 20 seeds, for x, y, z, total."""
    found: dict[str, list[np.ndarray]] = {"left": [], "right": []}
    for seed in range(20):
        positions = walkers(seed, length, exchange=exchange)
        left = region_mask(Slab("c", 0.0, 0.5, "fraction"), positions, length * np.eye(3))
        for name, mask, d in (("left", left, LEFT), ("right", ~left, RIGHT)):
            result = regional_diffusion(positions, STEP_PS, mask, assignment=assignment, lag_count=25)
            assert result.fickian
            found[name].append((result.diffusion / 1e-4 - [*d, d.mean()]) / (result.diffusion_std / 1e-4))
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.parametrize("assignment", ["start", "followed", "whole"])
def test_two_diffusivities_behind_walls_come_out_within_their_uncertainty(assignment: Assignment) -> None:
    for values in pulls(200.0, exchange=False, assignment=assignment).values():
        rms = np.sqrt((values**2).mean(axis=0))
        assert (rms > 0.5).all()
        assert (rms < 1.5).all()
        assert (np.abs(values.mean(axis=0)) < 0.7).all()


def test_two_diffusivities_with_exchange_come_out_within_their_uncertainty_if_followed() -> None:
    for values in pulls(60.0, exchange=True, assignment="followed").values():
        rms = np.sqrt((values**2).mean(axis=0))
        assert (rms > 0.5).all()
        assert (rms < 1.5).all()
        assert (np.abs(values.mean(axis=0)) < 0.7).all()


def test_slow_slab_beside_a_fast_one_is_mixed_with_it_by_assignment_at_the_start_only() -> None:
    positions = walkers(1, 40.0, exchange=True, n_frames=600, n_atoms=500)
    slow = ~region_mask(Slab("c", 0.0, 0.5, "fraction"), positions, 40.0 * np.eye(3))
    results = {
        assignment: regional_diffusion(
            positions, STEP_PS, slow, assignment=assignment, fit_start_ps=5.0, least_retention=0.85
        )
        for assignment in ("start", "followed")
    }
    x = {name: (result.diffusion[0] / 1e-4, result.diffusion_std[0] / 1e-4) for name, result in results.items()}
    assert x["start"][0] > RIGHT[0] + 3 * x["start"][1]
    assert abs(x["followed"][0] - RIGHT[0]) < 2 * x["followed"][1]
    for result in results.values():
        assert result.retention[-1] >= 0.85
        assert result.fit_stop_ps < 50.0


def test_frozen_half_of_the_real_run_has_no_diffusion_and_leaves_the_other_half_alone(real_run: Any) -> None:
    li = real_run.symbols == "Li"
    half = region_mask(Slab("b", 0.0, 0.5, "fraction"), real_run.positions[:1], real_run.cell[:1])[0]
    positions = real_run.positions.copy()
    positions[:, half] = positions[0, half]

    def result(moving: np.ndarray, chosen: np.ndarray) -> Any:
        mask = np.broadcast_to(chosen & li, (401, 128))
        return regional_diffusion(moving, real_run.frame_interval_ps, mask, assignment="start")

    frozen = result(positions, half)
    assert not frozen.diffusion.any()
    assert not frozen.diffusion_std.any()
    assert not frozen.fickian
    assert np.isnan(frozen.xi)
    free, before = result(positions, ~half), result(real_run.positions, ~half)
    np.testing.assert_array_equal(free.diffusion, before.diffusion)
    assert (free.diffusion > 3 * free.diffusion_std).all()
    mixed = result(positions, np.full(128, True))
    share = (~half & li).sum() / li.sum()
    assert mixed.diffusion[3] == pytest.approx(share * free.diffusion[3], abs=2 * free.diffusion_std[3])


def test_region_of_everything_in_the_real_run_diffuses_as_by_kinisi(real_run: Any) -> None:
    li = real_run.symbols == "Li"
    masses = np.array([MASSES[symbol] for symbol in real_run.symbols])
    theirs = self_diffusion(real_run.positions, real_run.frame_interval_ps, li, ~li, masses, posterior_steps=200)
    ours = regional_diffusion(
        real_run.positions,
        real_run.frame_interval_ps,
        np.broadcast_to(li, (401, 128)),
        assignment="start",
        drift=framework_drift(real_run.positions, masses, ~li),
        fit_start_ps=theirs.fit_start_ps,
    )
    np.testing.assert_allclose(ours.msd[:, 3], theirs.msd, rtol=1e-6)
    assert theirs.method == "kinisi"
    assert abs(ours.diffusion[3] - theirs.diffusion) < 0.5 * theirs.diffusion_std
    assert 0.5 < ours.diffusion_std[3] / theirs.diffusion_std < 2.0


def test_total_is_the_mean_of_the_directions_and_xi_their_ratio() -> None:
    positions = walkers(2, 200.0, exchange=False)
    left = region_mask(Slab("c", 0.0, 0.5, "fraction"), positions, 200.0 * np.eye(3))
    result = regional_diffusion(positions, STEP_PS, left)
    assert result.diffusion[3] == pytest.approx(result.diffusion[:3].mean())
    assert result.xi == pytest.approx(result.diffusion[2] / result.diffusion[:2].max())
    assert abs(result.xi - 0.3) < 3 * result.xi_std
    assert 0.005 < result.xi_std < 0.05
    assert result.mean_occupation == pytest.approx(left.sum(axis=1).mean())
    assert result.n_atoms == pytest.approx(result.n_effective, abs=0.1)


def test_regions_without_a_stated_uncertainty_are_refused() -> None:
    positions = walkers(3, 40.0, exchange=True)
    mask = np.zeros(positions.shape[:2], dtype=bool)
    mask[:, :2] = True
    with pytest.raises(BadInputError, match=r"the region holds 2\.0 atoms, weighted by their time"):
        regional_diffusion(positions, STEP_PS, mask)
    blinking = np.zeros(positions.shape[:2], dtype=bool)
    blinking[::3] = True
    with pytest.raises(BadInputError, match="50% are needed at three lags; write frames more often"):
        regional_diffusion(positions, STEP_PS, blinking)
    with pytest.raises(BadInputError, match=r"time between frames is 0\.0 ps"):
        regional_diffusion(positions, 0.0, ~mask)
    with pytest.raises(BadInputError, match="normal_axis 3"):
        regional_diffusion(positions, STEP_PS, ~mask, normal_axis=3)
    with pytest.raises(BadInputError, match="has 10 frames; at least 20"):
        regional_diffusion(positions[:10], STEP_PS, mask[:10])
