from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis.isotropy import diffusion_isotropy
from lipsdb.errors import BadInputError

WINDOW: dict[str, Any] = {"start_ps": 0.5, "stop_ps": 3.0}


def walkers(seed: int, scale: list[float], n_frames: int = 300, n_atoms: int = 60) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(size=(n_frames, n_atoms, 3))
    return (steps * np.sqrt(scale)).cumsum(axis=0)


def test_walkers_with_known_diffusion_along_each_axis_give_its_ratio() -> None:
    result = diffusion_isotropy(walkers(1, [0.5, 1.0, 0.3]), 0.1, rng=np.random.default_rng(0), **WINDOW)
    assert abs(result.xi - 0.3) < 3 * result.xi_std < 0.1
    assert (np.abs(result.slopes - [5.0, 10.0, 3.0]) < 3 * result.slopes_std).all()  # steps of variance s every 0.1 ps
    assert result.xi < result.isotropic_interval_95[0]
    assert result.isotropic_interval_95 == pytest.approx((0.87, 1.1), abs=0.06)
    assert (result.start_ps, result.stop_ps) == pytest.approx((0.5, 3.0))


def test_slopes_of_a_real_run_are_those_of_tidynamics_and_polyfit(real_run) -> None:  # type: ignore[no-untyped-def]
    import tidynamics

    lithium = real_run.positions[:, real_run.symbols == "Li"].astype(np.float64)
    result = diffusion_isotropy(lithium, 0.05, start_ps=2.0, stop_ps=8.0, rng=np.random.default_rng(0), normal_axis=1)
    lags = np.arange(40, 161)
    slopes = [
        np.polyfit(lags * 0.05, np.mean([tidynamics.msd(path) for path in lithium[:, :, axis].T], axis=0)[lags], 1)[0]
        for axis in range(3)
    ]
    np.testing.assert_allclose(result.slopes, slopes, rtol=1e-8)
    assert result.xi == pytest.approx(slopes[1] / max(slopes[0], slopes[2]))


def test_error_and_isotropic_interval_are_those_of_repeated_isotropic_runs() -> None:
    runs = [
        diffusion_isotropy(walkers(seed, [1.0] * 3, 100, 40), 0.1, rng=np.random.default_rng(0), **WINDOW)
        for seed in range(60)
    ]
    spread = np.std([run.xi for run in runs])
    assert spread == pytest.approx(np.mean([run.xi_std for run in runs]), rel=0.35)
    inside = [run.isotropic_interval_95[0] <= run.xi <= run.isotropic_interval_95[1] for run in runs]
    assert np.mean(inside) > 0.85
    assert np.mean([run.xi for run in runs]) < 1.0  # the larger of two is too large on average


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.1, 10.0))
def test_exchanging_axes_exchanges_the_answer_and_scale_leaves_it(seed: int, factor: float) -> None:
    positions = walkers(seed, [1.0, 2.0, 0.5], 60, 10)

    def xi(some: np.ndarray, axis: Any) -> tuple[float, float]:
        result = diffusion_isotropy(
            some, 0.1, rng=np.random.default_rng(1), normal_axis=axis, n_resamples=100, **WINDOW
        )
        return result.xi, result.xi_std

    expected = xi(positions, 2)
    assert xi(factor * positions[:, :, [2, 0, 1]], 0) == pytest.approx(expected, rel=1e-6)
    assert xi(positions[:, :, [1, 0, 2]] + 7.0, 2) == pytest.approx(expected, rel=1e-6)


def test_the_same_generator_gives_the_same_answer_whatever_the_threads() -> None:
    positions = walkers(3, [1.0] * 3)
    one, two = (
        diffusion_isotropy(positions, 0.1, rng=np.random.default_rng(5), threads=threads, **WINDOW)
        for threads in (1, 2)
    )
    assert (one.xi, one.xi_std, one.interval_95) == (two.xi, two.xi_std, two.interval_95)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stop_ps": 60.0}, "window from 0.5 to 60.0 ps .* two lags or more from 1 to 299 frames"),
        ({"start_ps": 3.0}, "two lags or more"),
        ({"frame_interval_ps": 0.0}, "a frame every 0.0 ps is not allowed"),
        ({"normal_axis": 3}, "normal axis 3"),
        ({"n_groups": 1}, "at least 2 groups"),
        ({"n_resamples": 5}, "at least 100 resamples"),
        ({"positions": np.zeros((300, 4, 3))}, "the MSD in the plane rises by 0 Å²/ps"),
    ],
)
def test_settings_that_have_no_answer_are_refused(changed: dict[str, Any], message: str) -> None:
    settings_: dict[str, Any] = {
        "positions": walkers(0, [1.0] * 3, n_atoms=4), "frame_interval_ps": 0.1, "rng": np.random.default_rng(0),
        **WINDOW, **changed,
    }  # fmt: skip
    with pytest.raises(BadInputError, match=message):
        diffusion_isotropy(**settings_)
