from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from lipsdb.analysis.arrhenius import ArrheniusResult, combine_replicas, fit_arrhenius
from lipsdb.errors import BadInputError

TEMPERATURES = np.array([600.0, 700.0, 850.0, 1000.0])
K_EV = 8.617333262e-5  # Boltzmann constant, eV/K (CODATA 2018)
ENERGY, PREFACTOR = 0.25, 1e-3


def line(temperatures: Any) -> np.ndarray:
    return PREFACTOR * np.exp(-ENERGY / (K_EV * np.asarray(temperatures)))


def fit(temperatures: Any, diffusion: Any, std: Any, **settings: float) -> ArrheniusResult:
    return fit_arrhenius(temperatures, diffusion, std, number_density_per_A3=0.02, charge=1, **settings)


def test_points_on_a_line_give_back_energy_prefactor_and_conductivity_at_300_k() -> None:
    result = fit(TEMPERATURES, line(TEMPERATURES), 0.1 * line(TEMPERATURES))
    assert result.activation_energy == pytest.approx(ENERGY, rel=1e-6)
    assert np.exp(result.ln_prefactor) == pytest.approx(PREFACTOR, rel=1e-5)
    # By hand: 1e-3 exp(-0.25 / 0.02585200) = 1e-3 exp(-9.670432) = 6.31175e-8 cm²/s;
    # times 0.1239499 S/cm per 1e-6 cm²/s (worked out beside the Nernst-Einstein relation) = 7.8234e-3 S/cm.
    assert result.target_diffusion == pytest.approx(6.31175e-8, rel=1e-4)
    assert result.target_conductivity == pytest.approx(7.8234e-3, rel=1e-4)
    assert result.extrapolated
    assert not result.scaled
    assert result.degrees_of_freedom == 2
    np.testing.assert_allclose(result.diffusion_at(TEMPERATURES), line(TEMPERATURES), rtol=1e-6)
    assert result.ln_std_at(300.0) == pytest.approx(result.target_ln_std)


def test_parameters_and_covariance_are_those_of_curve_fit() -> None:
    rng = np.random.default_rng(0)
    relative = np.array([0.3, 0.1, 0.05, 0.04])
    diffusion = line(TEMPERATURES) * np.exp(0.3 * relative * rng.normal(size=4))
    result = fit(TEMPERATURES, diffusion, relative * diffusion)
    best, covariance = optimize.curve_fit(
        lambda t, a, e: a - e / (K_EV * t),
        TEMPERATURES,
        np.log(diffusion),
        p0=[-7, 0.2],
        sigma=relative,
        absolute_sigma=True,
    )
    assert not result.scaled
    np.testing.assert_allclose([result.ln_prefactor, result.activation_energy], best, rtol=1e-6)
    np.testing.assert_allclose(result.covariance, covariance, rtol=1e-4)
    assert result.activation_energy_std == pytest.approx(covariance[1, 1] ** 0.5, rel=1e-4)


def test_noisy_lines_have_calibrated_energy_and_conductivity_over_300_seeds() -> None:
    rng = np.random.default_rng(1)
    relative = np.array([0.25, 0.15, 0.1, 0.08])
    energy_scores, target_scores, covered = [], [], []
    for _ in range(300):
        diffusion = line(TEMPERATURES) * np.exp(relative * rng.normal(size=4))
        result = fit(TEMPERATURES, diffusion, relative * diffusion)
        truth = line([300.0])[0]
        energy_scores.append((result.activation_energy - ENERGY) / result.activation_energy_std)
        target_scores.append(np.log(result.target_diffusion / truth) / result.target_ln_std)
        low, high = result.target_diffusion_95
        covered.append(low < truth < high)
    assert 0.6 < np.sqrt(np.mean(np.square(energy_scores))) < 1.2
    assert 0.6 < np.sqrt(np.mean(np.square(target_scores))) < 1.2
    assert np.mean(covered) > 0.93


def test_scatter_beyond_the_errors_enlarges_them() -> None:
    diffusion = line(TEMPERATURES) * np.exp([0.5, -0.5, 0.5, -0.5])
    result = fit(TEMPERATURES, diffusion, 0.1 * diffusion)
    assert result.scaled
    assert result.birge_ratio == pytest.approx((result.chi2 / 2) ** 0.5)
    larger = fit(TEMPERATURES, diffusion, 0.1 * result.birge_ratio * diffusion)
    assert not larger.scaled or larger.birge_ratio == pytest.approx(1.0)
    np.testing.assert_allclose(result.covariance, larger.covariance, rtol=1e-6)


def test_intervals_are_asymmetric_and_nested() -> None:
    result = fit(TEMPERATURES, line(TEMPERATURES), 0.3 * line(TEMPERATURES))
    median = result.target_conductivity
    for low, high in (result.target_conductivity_68, result.target_conductivity_95):
        assert high - median > median - low > 0
        assert low * high == pytest.approx(median**2)
    assert result.target_conductivity_95[0] < result.target_conductivity_68[0]
    assert result.target_conductivity_68[1] / median == pytest.approx(np.exp(result.target_ln_std))


def test_two_temperatures_leave_no_degree_of_freedom() -> None:
    result = fit([600.0, 1000.0], line([600.0, 1000.0]), 0.1 * line([600.0, 1000.0]))
    assert result.zero_degrees_of_freedom
    assert not result.scaled
    assert result.activation_energy_std > 0


def test_a_target_within_the_temperatures_is_no_extrapolation() -> None:
    assert not fit(TEMPERATURES, line(TEMPERATURES), line(TEMPERATURES), extrapolate_to_K=800.0).extrapolated


def test_points_without_diffusion_are_left_out_and_listed() -> None:
    diffusion = np.array([-1e-9, 0.0, *line([850.0, 1000.0])])
    result = fit(TEMPERATURES, diffusion, np.full(4, 1e-7))
    assert [point.temperature for point in result.excluded] == [600.0, 700.0]
    assert all("not above 0" in point.reason for point in result.excluded)
    assert result.temperatures.tolist() == [850.0, 1000.0]
    assert result.activation_energy == pytest.approx(ENERGY, rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(4)), st.floats(1e-3, 1e3))
def test_order_of_points_and_unit_of_d_do_not_change_the_energy(order: list[int], factor: float) -> None:
    diffusion = line(TEMPERATURES) * np.array([1.1, 0.95, 1.02, 1.0])
    reference = fit(TEMPERATURES, diffusion, 0.1 * diffusion)
    changed = fit(TEMPERATURES[order], factor * diffusion[order], 0.1 * factor * diffusion[order])
    assert changed.activation_energy == pytest.approx(reference.activation_energy, rel=1e-8)
    assert changed.activation_energy_std == pytest.approx(reference.activation_energy_std, rel=1e-8)


@pytest.mark.parametrize(
    ("temperatures", "diffusion", "std", "message"),
    [
        ([600.0], [1e-6], [1e-7], "1 different temperatures"),
        ([600.0, 600.0], [1e-6, 2e-6], [1e-7, 1e-7], "1 different temperatures"),
        ([600.0, 700.0], [1e-6, -1e-6], [1e-7, 1e-7], "left out: 700 K: D = -1e-06"),
        ([600.0, 700.0], [1e-6, np.nan], [1e-7, 1e-7], "expected finite numbers"),
        ([600.0, 700.0], [1e-6, 1e-6], [1e-7, 0.0], "standard deviations above 0"),
        ([600.0, -1.0], [1e-6, 1e-6], [1e-7, 1e-7], "temperatures and standard deviations above 0"),
        ([600.0, 700.0], [1e-6], [1e-7, 1e-7], "equally long rows"),
    ],
)
def test_too_few_or_unusable_points_are_refused(temperatures: Any, diffusion: Any, std: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        fit(temperatures, diffusion, std)


def test_replicas_that_agree_are_weighted_by_their_errors() -> None:
    # Weights 1 and 1/4: (1.0 + 1.1 / 4) / 1.25 = 1.02; std = 1.25^-1/2 * 0.1 = 0.0894427
    combined = combine_replicas([1.0, 1.1], [0.1, 0.2])
    assert combined.value == pytest.approx(1.02)
    assert combined.std == pytest.approx(0.0894427, rel=1e-6)
    assert combined.between_std == 0.0


def test_between_replica_variance_by_hand() -> None:
    # 1, 2, 6 ± 1: mean 3, chi2 = 4 + 1 + 9 = 14; between² = (14 - 2) / (3 - 3/3) = 6; std = (7/3)^1/2
    combined = combine_replicas([1.0, 2.0, 6.0], [1.0, 1.0, 1.0])
    assert combined.value == pytest.approx(3.0)
    assert combined.chi2 == pytest.approx(14.0)
    assert combined.between_std == pytest.approx(6**0.5)
    assert combined.std == pytest.approx((7 / 3) ** 0.5)


def test_a_single_replica_stays_as_it_is() -> None:
    combined = combine_replicas([2.0], [0.3])
    assert (combined.value, combined.std, combined.n_replicas) == (2.0, 0.3, 1)


@pytest.mark.parametrize("n_replicas", [2, 3, 5])
@pytest.mark.parametrize("between", [0.0, 0.3])
def test_replicas_with_and_without_a_spread_have_calibrated_errors(n_replicas: int, between: float) -> None:
    rng = np.random.default_rng(n_replicas)
    stds = np.linspace(0.1, 0.2, n_replicas)
    scores = []
    for _ in range(500):
        combined = combine_replicas(1.0 + rng.normal(size=n_replicas) * np.hypot(stds, between), stds)
        scores.append((combined.value - 1.0) / combined.std)
    assert 0.6 < np.sqrt(np.mean(np.square(scores))) < (1.6 if n_replicas > 2 else 2.0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(0.01, 10)), min_size=1, max_size=6), st.randoms())
def test_order_of_replicas_does_not_matter_and_the_mean_lies_among_them(pairs: list, shuffler: Any) -> None:
    combined = combine_replicas(*np.array(pairs).T)
    shuffled = list(pairs)
    shuffler.shuffle(shuffled)
    again = combine_replicas(*np.array(shuffled).T)
    assert again.value == pytest.approx(combined.value, abs=1e-9)
    assert again.std == pytest.approx(combined.std, rel=1e-6)
    values = [value for value, _ in pairs]
    assert min(values) - 1e-9 <= combined.value <= max(values) + 1e-9


@pytest.mark.parametrize(
    ("values", "stds"), [([], []), ([1.0], [0.1, 0.2]), ([1.0, np.nan], [0.1, 0.1]), ([1.0, 2.0], [0.1, 0.0])]
)
def test_unusable_replicas_are_refused(values: list[float], stds: list[float]) -> None:
    with pytest.raises(BadInputError, match="expected"):
        combine_replicas(values, stds)
