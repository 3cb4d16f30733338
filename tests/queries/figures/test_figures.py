"""Figures from documents made of known numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsdb.analysis.arrhenius import BOLTZMANN_EV_PER_K, fit_arrhenius
from lipsdb.queries.figures.arrhenius import arrhenius_figure, fitted_line
from lipsdb.queries.figures.coordination import coordination_figure
from lipsdb.queries.figures.extrapolation import extrapolation_figure
from lipsdb.queries.figures.learning_curve import learning_curve_figure
from lipsdb.queries.figures.msd import line_in_window
from lipsdb.queries.figures.parity import energy_parity_figure, force_parity_figure
from lipsdb.queries.figures.potential_choice import potential_choice_figure
from lipsdb.queries.figures.published_lines import published_results
from lipsdb.queries.figures.run_health import block_means

SOURCE: dict[str, Any] = {"doi": "10.1000/example", "where": "Table 1", "cites": None}


def test_published_line_through_a_conductivity_worked_out_by_hand() -> None:
    # sigma = n e^2 D / (k T): n = 0.02 A^-3 = 2e22 cm^-3, D = 1e-6 cm^2/s, kT/e = 0.025852 V, e = 1.602e-19 C
    # sigma = 2e22 * 1.602177e-19 * 1e-6 / 0.0258520 = 0.123950 S/cm
    entries = [
        {"structure": "a", "quantity": "Ea", "value": 0.3, "method": "AC impedance", "source": SOURCE},
        {"structure": "a", "quantity": "sigma_300K", "value": 0.123950, "method": "AC impedance", "source": SOURCE},
    ]
    (result,) = published_results(entries)
    line = result.diffusion_at(np.array([300.0, 600.0]), 0.02, 1.0)
    assert line is not None
    assert line[0] == pytest.approx(1.0e-6, rel=1e-5)
    assert np.log(line[1] / line[0]) == pytest.approx(0.3 / BOLTZMANN_EV_PER_K * (1 / 300 - 1 / 600))


def test_published_values_of_two_sources_and_one_without_conductivity() -> None:
    other = {**SOURCE, "cites": "Someone et al., 2020"}
    entries = [
        {"structure": "a", "quantity": "Ea", "value": 0.3, "method": "AC impedance", "source": SOURCE},
        {"structure": "a", "quantity": "Ea", "value": 0.4, "method": "AC impedance", "source": other},
        {"structure": "a", "quantity": "sigma_300K", "value": 1e-4, "method": "AC impedance", "source": other},
        {"structure": "a", "quantity": "D", "value": None, "method": "AC impedance", "source": other},
    ]
    first, second = published_results(entries)
    assert (first.activation_energy_eV, first.conductivity_300K_S_cm) == (0.3, None)
    assert first.diffusion_at(np.array([300.0]), 0.02, 1.0) is None
    assert (second.activation_energy_eV, second.conductivity_300K_S_cm) == (0.4, 1e-4)
    assert second.label == "AC impedance (Someone et al.)"


def test_band_of_a_stored_fit_against_the_fit_itself() -> None:
    temperatures = np.array([600.0, 750.0, 900.0, 1100.0])
    rng = np.random.default_rng(5)
    diffusion = 1e-3 * np.exp(-0.3 / (BOLTZMANN_EV_PER_K * temperatures)) * np.exp(rng.normal(0, 0.1, 4))
    fit = fit_arrhenius(temperatures, diffusion, 0.1 * diffusion, number_density_per_A3=0.02, charge=1)
    stored = {"ln_D0_cm2_s": fit.ln_prefactor, "Ea_eV": fit.activation_energy, "covariance": fit.covariance}
    grid = np.linspace(300.0, 1200.0, 20)
    line, ln_std = fitted_line(stored, grid)
    np.testing.assert_allclose(line, fit.diffusion_at(grid))
    np.testing.assert_allclose(ln_std, fit.ln_std_at(grid), rtol=1e-6)


def test_fitted_line_of_an_msd_that_is_a_line_in_its_window() -> None:
    lag = np.array([0.5, 1.0, 2.0, 3.0, 4.0])
    diffusion, constant = 2.5e-5, 0.8  # 2.5e-5 cm^2/s = 0.25 A^2/ps
    msd = 6 * 0.25 * lag + constant
    msd[0] = 0.3  # before the window
    answer = {
        "D_cm2_s": diffusion,
        "intercept_A2": constant,
        "fit_start_ps": 1.0,
        "fit_stop_ps": 4.0,
        "msd": {"lag_ps": lag, "msd_A2": msd, "msd_std_A2": np.full(5, 0.1)},
    }
    used, line = line_in_window(answer)
    np.testing.assert_allclose(used, lag[1:])
    np.testing.assert_allclose(line, msd[1:])


def test_energies_of_two_systems_with_a_bias_of_one() -> None:
    parity = {
        "system": ["a", "b<b>"],
        "system_index": np.array([0, 0, 1, 1]),
        "energy_label": np.array([-300.0, -300.02, -100.0, -100.01]),
        "energy_potential": np.array([-300.0, -300.02, -99.995, -100.005]),
        "force_system_index": np.repeat([0, 1], 5000),
        "force_label": np.linspace(-1, 1, 10000),
        "force_potential": np.linspace(-1, 1, 10000),
    }
    potential = {"_id": "potential-0", "answer": {"parity": parity}}
    _, first, second = energy_parity_figure(potential).data
    np.testing.assert_allclose(first.x, [10.0, -10.0], atol=1e-3)
    np.testing.assert_allclose(first.y, first.x, atol=1e-3)
    np.testing.assert_allclose(np.subtract(second.y, second.x), 5.0, atol=1e-3)
    assert second.name == "b‹b›"
    assert sum(len(trace.x) for trace in force_parity_figure(potential).data[1:]) == 2500


def test_shares_of_replicas_with_different_coordination_numbers() -> None:
    def document(seed: int, fractions: dict[str, float], mean: float) -> dict[str, object]:
        conditions = {"temperature_K": 600.0, "seed": seed}
        answer = {"conditions": conditions, "centre": "P", "neighbour": "S", "mean": mean, "fractions": fractions}
        return {"answer": answer}

    figure = coordination_figure([document(1, {"4": 1.0}, 4.0), document(2, {"3": 0.2, "4": 0.8}, 3.8)])
    shares = {trace.name: trace.y[0] for trace in figure.data if trace.type == "bar"}
    assert shares == {"4 neighbours": pytest.approx(90.0), "3 neighbours": pytest.approx(10.0)}
    assert figure.data[-1].text[0] == "mean 3.900"


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=200), st.integers(1, 50))
def test_block_means_of_any_series_keep_its_mean(values: list[float], most: int) -> None:
    means = block_means(np.array(values), most)
    length = -(-len(values) // most)
    assert len(means) <= most
    sizes = np.minimum(length, len(values) - length * np.arange(len(means)))
    assert np.average(means, weights=sizes) == pytest.approx(np.mean(values), abs=1e-8)


def potential(engine: str, **curve: list[float]) -> dict[str, Any]:
    columns = {name: np.array(values) for name, values in curve.items()}
    return {"asked": {"engine": engine}, "answer": {"learning_curve": columns}}


def test_learning_curve_of_a_moment_tensor_potential_counts_iterations() -> None:
    errors = {"rmse_e_trn": [0.02, 0.01], "rmse_e_val": [0.03, 0.02], "rmse_v_trn": [np.nan] * 2}
    figure = learning_curve_figure(potential("mtp", step=[0, 5], loss=[2.0, 1.0], **errors))
    assert figure is not None
    assert {trace.name: list(trace.y) for trace in figure.data} == {"held out": [30.0, 20.0], "training": [20.0, 10.0]}
    assert "iteration" in figure.layout.xaxis.title.text
    assert figure.layout.yaxis.title.text == "energy (meV/atom)"  # alone: there are no labels of the virial


def test_learning_curve_of_a_program_that_tells_its_loss_only() -> None:
    figure = learning_curve_figure(potential("mtp", step=[0, 1, 2], rmse=[3.0, np.nan, 1.0], loss=[9.0, np.nan, 1.0]))
    assert figure is not None
    (trace,) = figure.data
    assert (trace.name, list(trace.x), list(trace.y)) == ("training", [0, 2], [3000.0, 1000.0])
    assert learning_curve_figure(potential("mtp", step=[0], loss=[1.0])) is None


def test_learning_curve_of_deepmd_is_of_batches() -> None:
    figure = learning_curve_figure(potential("deepmd", step=[0, 100], rmse_f_trn=[1.0, 0.5], rmse_f_val=[1.0, 0.6]))
    assert figure is not None
    assert [trace.name for trace in figure.data] == ["held out", "training batch"]
    assert figure.layout.xaxis.title.text == "training step"


def test_grid_search_has_a_line_for_each_cutoff_and_a_ring_around_the_choice() -> None:
    rows = [
        {"settings": {"cutoff_A": cutoff, "level": level, "seed": 1}, "potential_id": f"potential-{cutoff}-{level}"}
        | {"force_mae_meV_per_A": error, "energy_mae_meV_per_atom": error / 30}
        | {"time_us_per_atom": cutoff * level, "chosen": (cutoff, level) == (5.0, 14)}
        for cutoff, level, error in ((5.0, 14, 102.0), (5.0, 8, 160.0), (6.0, 8, 150.0), (6.0, 14, 100.0))
    ]
    parameters = {"over": ["cutoff_A", "level", "seed"], "criterion": "force_mae_meV_per_A", "tolerance": 0.05}
    figure = potential_choice_figure({"answer": {"rows": rows}, "asked": {"parameters": parameters}})
    force = {trace.name: trace for trace in figure.data if trace.yaxis == "y"}
    assert list(force) == ["cutoff 5 Å", "chosen: cutoff 5 Å, level 14, seed 1", "cutoff 6 Å"]
    assert (list(force["cutoff 5 Å"].x), list(force["cutoff 5 Å"].y)) == ([40.0, 70.0], [160.0, 102.0])
    assert list(force["cutoff 5 Å"].text) == ["8", "14"]
    for trace in figure.data:
        if trace.name.startswith("chosen"):
            assert (list(trace.x), list(trace.y)) == ([70.0], [102.0 if trace.yaxis == "y" else 3.4])
    (band,) = figure.layout.shapes
    assert (band.y0, band.y1, band.yref) == (100.0, pytest.approx(105.0), "y")


def test_grades_of_a_run_that_was_ended_in_the_equilibration() -> None:
    watch = {"interval": 500, "select_grade": 2.0, "break_grade": 10.0}
    settings = {"temperature_K": 900.0, "seed": 1, "timestep_fs": 2.0, "extrapolation": watch}
    grades = {"steps": np.array([-1500, -1000, -500]), "max_grades": np.array([0.7, 2.5, 12.0]), "stopped": "too far"}
    run = {"_id": "run-1", "asked": {"settings": settings}, "answer": {"extrapolation": grades}}
    curve, cross, select, stop = extrapolation_figure([run]).data
    assert (list(curve.x), list(curve.y)) == ([-3.0, -2.0, -1.0], [0.7, 2.5, 12.0])  # ps
    assert (list(cross.x), list(cross.y)) == ([-1.0], [12.0])
    assert (list(select.y), list(stop.y)) == ([2.0, 2.0], [10.0, 10.0])


def test_fits_of_two_potentials_have_names_and_colours_of_their_own() -> None:
    def fit(number: int) -> dict[str, Any]:
        point = {
            "temperature_K": 600.0,
            "D_cm2_s": 1e-6,
            "D_std_cm2_s": 1e-7,
            "sigma_S_cm": 0.1,
            "sigma_std_S_cm": 0.01,
        }
        points = [point | {"temperature_K": t, "n_replicas": 1, "fickian": True} for t in (600.0, 900.0)]
        line = {"Ea_eV": 0.3, "Ea_std_eV": 0.01, "ln_D0_cm2_s": -6.0, "covariance": np.zeros((2, 2))}
        answer = {"conditions": {"structure": "beta"}, "points": points, "target_temperature_K": 300.0, **line}
        return {"_id": f"property-{number}", "inputs": [], "answer": answer}

    figure = arrhenius_figure([fit(1), fit(2)], [], names=["deepmd 3f2a", "mtp 91bc"], styles=[1, 0])
    lines = {trace.name: trace.line.color for trace in figure.data if trace.showlegend}
    assert list(lines) == [f"{name}: Ea = 0.300 ± 0.010 eV" for name in ("deepmd 3f2a", "mtp 91bc")]
    other = arrhenius_figure([fit(2)], [], names=["mtp 91bc"], styles=[0])
    assert [trace.line.color for trace in other.data if trace.showlegend] == [lines["mtp 91bc: Ea = 0.300 ± 0.010 eV"]]
    assert len(set(lines.values())) == 2
