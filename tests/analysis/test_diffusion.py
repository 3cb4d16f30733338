from __future__ import annotations

import numpy as np
import pytest

from lipsdb.analysis.diffusion import DiffusionResult, self_diffusion
from lipsdb.analysis.displacement import mean_squared_displacement
from lipsdb.errors import BadInputError

TIMESTEP = 0.1  # ps between frames


def brownian(seed: int, diffusion: float, n_frames: int = 400, n_atoms: int = 16) -> np.ndarray:
    """Walkers with D in Å²/ps; 1 Å²/ps = 1e-4 cm²/s."""
    steps = np.random.default_rng(seed).normal(0, np.sqrt(2 * diffusion * TIMESTEP), (n_frames, n_atoms, 3))
    return steps.cumsum(axis=0)


def hopping(seed: int, rate: float, n_frames: int = 200, n_atoms: int = 16) -> np.ndarray:
    """Atoms that rattle by 0.35 Å and hop 3 Å at `rate` per ps along an axis: D = rate 9/6 Å²/ps."""
    rng = np.random.default_rng(seed)
    hops = rng.poisson(rate * TIMESTEP / 6, (2, n_frames, n_atoms, 3)).astype(float)
    return 3.0 * (hops[0] - hops[1]).cumsum(axis=0) + rng.normal(0, 0.35, (n_frames, n_atoms, 3))


def analyse(positions: np.ndarray, **settings: float) -> DiffusionResult:
    n_atoms = positions.shape[1]
    return self_diffusion(positions, TIMESTEP, np.full(n_atoms, True), None, np.ones(n_atoms), **settings)


def test_brownian_walkers_give_their_diffusion_coefficient_in_cm2_per_s() -> None:
    result = analyse(brownian(0, 0.5, n_frames=1000, n_atoms=32))
    assert abs(result.diffusion - 0.5e-4) < 3 * result.diffusion_std
    assert result.diffusion_std < 0.05 * result.diffusion
    low, high = result.credible_interval_95
    assert low < result.diffusion < high
    assert high - low == pytest.approx(4 * result.diffusion_std, rel=0.15)
    assert result.fickian
    assert result.window_found
    assert result.method == "kinisi"
    assert 25 <= result.lag_times_ps.size <= 60
    assert result.lag_times_ps[-1] == pytest.approx(49.9)
    np.testing.assert_allclose(result.msd, result.msd_per_axis.sum(axis=1))


def test_hopping_atoms_in_cages_have_calibrated_errors_over_40_seeds() -> None:
    rate = 1.0
    results = [analyse(hopping(seed, rate), posterior_steps=150, seed=seed) for seed in range(40)]
    scores = [(result.diffusion - rate * 1.5e-4) / result.diffusion_std for result in results]
    assert all(result.method == "kinisi" for result in results)
    assert 0.6 < np.sqrt(np.mean(np.square(scores))) < 1.6
    assert abs(np.mean(scores)) < 0.6


def test_posterior_of_brownian_walkers_is_that_of_generalised_least_squares() -> None:
    # Far from D = 0 the posterior of a line with Gaussian errors is known in closed form.
    result = analyse(brownian(1, 0.5), fit_start_ps=1.0)
    used = result.lag_times_ps >= 1.0 - 1e-9
    times, msd, std, count = (
        column[used] for column in (result.lag_times_ps, result.msd, result.msd_std, result.n_independent)
    )
    earlier, later = np.minimum.outer(*[np.arange(times.size)] * 2), np.maximum.outer(*[np.arange(times.size)] * 2)
    covariance = std[earlier] ** 2 * count[earlier] / count[later]
    design = np.stack([times, np.ones_like(times)], axis=1)
    parameter_covariance = np.linalg.inv(design.T @ np.linalg.solve(covariance, design))
    slope, intercept = parameter_covariance @ design.T @ np.linalg.solve(covariance, msd)
    slope_std = parameter_covariance[0, 0] ** 0.5
    assert result.diffusion * 6e4 == pytest.approx(slope, abs=0.15 * slope_std)
    assert result.diffusion_std * 6e4 == pytest.approx(slope_std, rel=0.1)
    assert result.intercept == pytest.approx(intercept, abs=0.2 * parameter_covariance[1, 1] ** 0.5)


def test_msd_and_its_error_are_those_of_kinisi() -> None:
    from types import SimpleNamespace

    import scipp
    from kinisi.displacement import calculate_msd

    positions = brownian(2, 0.5, n_frames=100, n_atoms=5)
    result = analyse(positions)
    lags = np.rint(result.lag_times_ps / TIMESTEP).astype(int)
    # kinisi scales the count by the longest lag it is given, which here is the whole trajectory.
    index = scipp.array(dims=["time interval"], values=[*lags.tolist(), 99])
    displacements = scipp.array(dims=["obs", "particle", "dimension"], values=positions[1:] - positions[0])
    parsed = SimpleNamespace(
        displacements=displacements, dt_index=index, dt=index * TIMESTEP, dimensionality=scipp.scalar(3)
    )
    data = calculate_msd(parsed, progress=False)["da"]["time interval", : lags.size]
    np.testing.assert_allclose(result.msd, data.values, rtol=1e-9)
    np.testing.assert_allclose(result.msd_std, np.sqrt(data.variances), rtol=1e-9)
    np.testing.assert_allclose(result.n_independent, data.coords["n_samples"].values)


def test_ballistic_atoms_are_not_fickian() -> None:
    velocities = np.random.default_rng(3).normal(size=(1, 16, 3))
    result = analyse(np.arange(200.0)[:, None, None] * velocities * TIMESTEP)
    assert result.loglog_slope == pytest.approx(2.0, abs=1e-6)
    assert not result.fickian
    assert not result.window_found
    expected = (velocities**2).sum(axis=2).mean() * result.lag_times_ps**2
    np.testing.assert_allclose(result.msd, expected, rtol=1e-8)


def test_caged_atoms_have_no_diffusion_within_their_error_and_are_not_fickian() -> None:
    results = [analyse(hopping(seed, 0.0)) for seed in range(20)]
    scores = [result.diffusion / result.diffusion_std for result in results]
    assert all(np.isfinite(scores))
    assert 0.4 < np.sqrt(np.mean(np.square(scores))) < 1.6
    assert max(abs(result.diffusion) for result in results) < 1e-7
    assert not any(result.fickian or result.window_found for result in results)
    assert {result.method for result in results} == {"atoms"}


def test_atoms_that_seldom_hop_have_a_diffusion_coefficient_with_a_large_error() -> None:
    rate = 0.01
    results = [analyse(hopping(seed, rate, n_frames=1000), posterior_steps=150) for seed in range(12)]
    scores = np.array([(result.diffusion - rate * 1.5e-4) / result.diffusion_std for result in results])
    assert np.sqrt(np.mean(scores**2)) < 2.0
    assert np.mean([result.diffusion_std / result.diffusion for result in results]) > 0.15


def test_a_single_caged_atom_gets_a_finite_error() -> None:
    result = analyse(hopping(0, 0.0, n_atoms=1))
    assert 0 < result.diffusion_std < np.inf
    assert abs(result.diffusion) < 3 * result.diffusion_std


def test_drifting_cell_gives_the_diffusion_of_the_resting_one() -> None:
    rng = np.random.default_rng(4)
    lithium = brownian(5, 0.5, n_frames=200, n_atoms=8)
    framework = rng.normal(0, 0.1, (200, 12, 3))
    positions = np.concatenate([lithium, framework], axis=1)
    is_lithium = np.arange(20) < 8
    masses = np.where(is_lithium, 6.94, 32.06)
    drift = 0.5 * np.arange(200.0)[:, None, None]
    still = self_diffusion(positions, TIMESTEP, is_lithium, ~is_lithium, masses)
    moving = self_diffusion(positions + drift, TIMESTEP, is_lithium, ~is_lithium, masses)
    assert moving.diffusion == pytest.approx(still.diffusion, rel=1e-6)
    assert moving.framework_msd == pytest.approx(6 * 0.1**2, rel=0.3)


def test_the_seed_decides_and_numpys_global_generator_is_left_alone() -> None:
    positions = brownian(6, 0.5, n_frames=100, n_atoms=4)
    np.random.seed(1)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    first, again, other = (analyse(positions, posterior_steps=100, seed=seed) for seed in (7, 7, 8))
    assert np.random.random() == expected  # noqa: NPY002
    assert first.diffusion == again.diffusion
    assert first.diffusion_std == again.diffusion_std
    assert first.diffusion != other.diffusion


def test_order_of_atoms_does_not_matter() -> None:
    positions = brownian(7, 0.5, n_frames=100, n_atoms=6)
    first, second = analyse(positions), analyse(positions[:, ::-1])
    np.testing.assert_allclose(second.msd, first.msd, rtol=1e-10)
    np.testing.assert_allclose(second.msd_std, first.msd_std, rtol=1e-10)
    # The sampler turns a rounding error into another chain: equal within its sampling noise.
    assert second.diffusion == pytest.approx(first.diffusion, abs=0.25 * first.diffusion_std)


def test_reported_msd_is_that_of_the_species_alone() -> None:
    positions = brownian(8, 0.5, n_frames=60, n_atoms=6)
    mask = np.arange(6) < 2
    result = self_diffusion(positions, TIMESTEP, mask, None, np.ones(6))
    lags = np.rint(result.lag_times_ps / TIMESTEP).astype(int)
    np.testing.assert_allclose(result.msd, mean_squared_displacement(positions[:, mask], lags=lags)[:, 3])
    assert result.n_atoms == 2
    assert result.framework_msd is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": brownian(0, 0.5, n_frames=19)}, "has 19 frames; at least 20 are needed"),
        ({"positions": np.full((30, 16, 3), np.nan)}, "NaN or infinite"),
        ({"positions": np.zeros((30, 16, 3))}, "displacements of all atoms are the same"),
        ({"timestep_ps": 0.0}, "time between frames is 0.0 ps"),
        ({"species_mask": np.full(16, False)}, "species mask selects none of 16 atoms"),
        ({"species_mask": np.full(15, True)}, r"species mask is bool of shape \(15,\)"),
        ({"framework_mask": np.full(16, False)}, "framework mask selects none"),
        ({"masses": np.ones(3), "framework_mask": np.full(16, True)}, "expected 16 positive numbers"),
        ({"posterior_steps": 10}, "posterior_steps 10 is not allowed; expected at least 100"),
        ({"seed": -1}, "seed -1 is not allowed"),
        ({"fit_start_ps": 1000.0}, "the fit cannot start at 1000.0 ps"),
    ],
)
def test_bad_input_is_refused_in_one_line(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "positions": brownian(0, 0.5, n_frames=30),
        "timestep_ps": TIMESTEP,
        "species_mask": np.full(16, True),
        "framework_mask": None,
        "masses": np.ones(16),
    }
    with pytest.raises(BadInputError, match=message) as caught:
        self_diffusion(**(arguments | change))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
