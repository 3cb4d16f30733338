from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis.cell_statistics import cell_statistics, lattice_parameters, time_average
from lipsdb.errors import BadInputError


def correlated(rng: np.random.Generator, number: int, correlation_time: float) -> np.ndarray:
    """AR(1) series of unit variance."""
    from scipy.signal import lfilter

    factor = np.exp(-1.0 / correlation_time) if correlation_time else 0.0
    noise = rng.normal(scale=np.sqrt(1 - factor**2), size=number + 2000)
    return lfilter([1.0], [1.0, -factor], noise)[2000:]


@pytest.mark.parametrize("correlation_time", [0.0, 5.0, 20.0])
def test_error_of_an_autoregressive_series_is_its_analytic_one(correlation_time: float) -> None:
    rng = np.random.default_rng(5)
    number = 1 << 15
    averages = [time_average(7.0 + correlated(rng, number, correlation_time)) for _ in range(20)]
    factor = np.exp(-1.0 / correlation_time) if correlation_time else 0.0
    inefficiency = (1 + factor) / (1 - factor)
    errors = np.array([average.standard_error for average in averages])
    assert errors.mean() == pytest.approx(np.sqrt(inefficiency / number), rel=0.05)
    assert np.abs(errors / errors.mean() - 1).mean() < 0.15
    assert all(average.converged for average in averages)
    assert np.std([average.drift_sigma for average in averages]) == pytest.approx(1.0, abs=0.4)
    pulls = [(average.mean - 7.0) / average.standard_error for average in averages]
    assert np.std(pulls) == pytest.approx(1.0, abs=0.4)


def test_inefficiency_agrees_with_the_autocorrelation_time_of_emcee() -> None:
    from emcee.autocorr import integrated_time

    series = correlated(np.random.default_rng(6), 1 << 15, 10.0)
    theirs = float(integrated_time(series[:, None], quiet=True)[0])
    assert time_average(series).statistical_inefficiency == pytest.approx(theirs, rel=0.15)


def test_drift_is_seen_and_a_run_shorter_than_its_correlation_is_not_converged() -> None:
    rng = np.random.default_rng(7)
    drifting = correlated(rng, 4000, 5.0) + np.linspace(0.0, 3.0, 4000)
    assert time_average(drifting).drift_sigma > 5
    assert not time_average(np.cumsum(rng.normal(size=64))).converged


def test_a_series_that_does_not_move_has_no_error() -> None:
    average = time_average(np.full(100, 12.7, dtype=np.float32))
    assert (average.standard_error, average.drift_sigma, average.converged) == (0.0, 0.0, True)
    jump = time_average(np.repeat([1.0, 2.0], 50))
    assert jump.drift_sigma == np.inf


def test_density_of_lithium_thiophosphate_worked_out_by_hand() -> None:
    # 4 Li3PS4: 4 (3 × 6.94 + 30.974 + 4 × 32.06) = 720.136 amu; 12.819 × 8.2195 × 6.1236 = 645.224 Å³
    # 720.136 × 1.660539e-24 g / 645.224e-24 cm³ = 1.85334 g/cm³
    masses = np.repeat([6.94, 30.974, 32.06], [12, 4, 16])
    cells = np.tile(np.diag([2 * 12.819, 8.2195, 3 * 6.1236]), (20, 1, 1))
    result = cell_statistics(cells, np.tile(masses, 6), repeats=(2, 1, 3))
    assert result.density.mean == pytest.approx(1.85334, abs=2e-5)
    assert result.volume.mean == pytest.approx(645.224, abs=1e-2)
    assert [result.a.mean, result.b.mean, result.c.mean] == pytest.approx([12.819, 8.2195, 6.1236])
    assert [result.alpha.mean, result.beta.mean, result.gamma.mean] == pytest.approx([90.0] * 3)


def test_fluctuating_cells_give_each_mean_its_error() -> None:
    rng = np.random.default_rng(8)
    lengths = 10.0 + 0.1 * np.stack([correlated(rng, 8192, 4.0) for _ in range(3)], axis=1)
    cells = lengths[:, :, None] * np.eye(3)
    result = cell_statistics(cells, np.ones(100), repeats=(1, 2, 1))
    factor = np.exp(-0.25)
    expected = 0.1 * np.sqrt((1 + factor) / (1 - factor) / 8192)
    assert result.a.standard_error == pytest.approx(expected, rel=0.25)
    assert result.b.standard_error == pytest.approx(expected / 2, rel=0.25)
    assert result.a.standard_deviation == pytest.approx(0.1, rel=0.1)
    assert result.density.mean == pytest.approx((100 * 1.66053907 / lengths.prod(axis=1)).mean())
    # volume: three independent relative errors
    assert result.volume.standard_error / result.volume.mean == pytest.approx(3**0.5 * expected / 10, rel=0.25)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_lattice_parameters_agree_with_ase_in_any_orientation(seed: int) -> None:
    from ase.cell import Cell
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(3, 8, 3)) + np.tril(rng.uniform(-6, 6, (3, 3)), -1)
    turned = cell @ Rotation.random(rng=rng).as_matrix()
    parameters = lattice_parameters(np.stack([cell, turned]))
    np.testing.assert_allclose(parameters, [Cell(cell).cellpar()] * 2, rtol=1e-9)


def test_cells_of_the_real_run_at_constant_volume(real_run) -> None:
    from ase.data import atomic_masses, atomic_numbers

    masses = [atomic_masses[atomic_numbers[symbol]] for symbol in real_run.symbols]
    result = cell_statistics(real_run.cell, masses, repeats=(1, 2, 2))
    assert [result.a.mean, result.b.mean, result.c.mean] == pytest.approx([12.819, 8.2195, 6.1236], abs=1e-4)
    assert result.density.mean == pytest.approx(1.853, abs=0.002)
    assert result.density.standard_error == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": np.eye(3)}, r"the cells have shape \(3, 3\); expected \(n_frames, 3, 3\)"),
        ({"cells": np.zeros((20, 3, 3))}, "a cell has no volume"),
        ({"cells": np.full((20, 3, 3), np.nan)}, "a cell has no volume or a value that is not finite"),
        ({"cells": np.tile(np.eye(3), (15, 1, 1))}, r"a series of shape \(15,\), 15 values finite; expected 16"),
        ({"masses": [1.0, -2.0]}, r"masses of shape \(2,\), \[ 1. -2.\]; expected positive numbers in amu"),
        ({"repeats": (1, 0, 1)}, r"repeats \(1, 0, 1\); expected three whole numbers of 1 or more"),
    ],
)
def test_bad_input_is_refused_in_one_line(changes: dict[str, object], message: str) -> None:
    arguments = {"cells": np.tile(np.eye(3), (20, 1, 1)), "masses": np.ones(2), "repeats": (1, 1, 1)} | changes
    with pytest.raises(BadInputError, match=message):
        cell_statistics(**arguments)
