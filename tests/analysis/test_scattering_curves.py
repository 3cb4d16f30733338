from __future__ import annotations

import numpy as np
import pytest

from lipsdb.analysis.scattering_curves import (
    Form,
    first_sharp_peak,
    neutron_structure_factor,
    wright_factor,
    xray_structure_factor,
)
from lipsdb.analysis.scattering_tables import form_factors, scattering_lengths
from lipsdb.analysis.structure_factor import StructureFactor
from lipsdb.errors import BadInputError


def test_neutron_weights_worked_out_by_hand() -> None:
    # Two kinds, c = 1/4 and 3/4, b = -1.9 and 2.847 fm; S_ij - 1 = 1, 2, 3 for LiLi, LiS, SS:
    # F = 1/16 * 3.61 + 2 * 3/16 * (-5.4093) * 2 + 9/16 * 8.105409 * 3 = 9.846528 fm², <b> = 1.66025 fm.
    factor = StructureFactor(
        ("Li", "S"), np.array([0.25, 0.75]), np.array([2.0]), np.array([[[2.0], [3.0]], [[3.0], [4.0]]]), 0.1
    )
    curve = neutron_structure_factor(factor)
    assert curve.interference[0] == pytest.approx(9.846528, abs=1e-5)
    assert curve.normalised[0] == pytest.approx(1 + 9.846528 / 1.66025**2, abs=1e-5)
    # 7Li: F = 1/16 * 4.9284 + 3/8 * (-6.32034) * 2 + 9/16 * 8.105409 * 3 = 9.245648
    assert neutron_structure_factor(factor, {"Li": -2.22}).interference[0] == pytest.approx(9.245648, abs=1e-5)
    assert np.isnan(neutron_structure_factor(factor, {"Li": -3 * 2.847}).normalised).all()  # null mixture
    assert xray_structure_factor(factor, {"Li": [-1.9], "S": [2.847]}).interference == pytest.approx(curve.interference)


def test_form_factors_agree_with_another_fit_up_to_25_per_angstrom() -> None:
    from ase.utils.xrdebye import waasmaier

    q = np.linspace(0.0, 25.0, 26)
    elements = ("N", "O", "P", "S", "Cl")
    for name, factor in zip(elements, form_factors(elements, q), strict=True):
        *pairs, c = waasmaier[name]  # D. Waasmaier, A. Kirfel, Acta Cryst. A 51, 416 (1995)
        a, b = np.array(pairs).reshape(5, 2).T
        np.testing.assert_allclose(factor, np.exp(-np.outer((q / 4 / np.pi) ** 2, b)) @ a + c, atol=0.01)
    lithium = [2.396, 1.858, 1.644, 1.268, 0.748, 0.510, 0.203, 0.088, 0.044]  # the same fit
    np.testing.assert_allclose(form_factors(("Li",), [1, 2, 3, 5, 8, 10, 15, 20, 25])[0], lithium, atol=0.01)


def test_form_factors_at_zero_are_the_numbers_of_electrons() -> None:
    from ase.data import atomic_numbers

    elements = ("Li", "N", "O", "F", "Na", "Al", "Si", "P", "S", "Cl", "Ge", "Se", "Br", "Sn", "I")
    expected = [atomic_numbers[name] for name in elements]
    np.testing.assert_allclose(form_factors(elements, [0.0])[:, 0], expected, atol=0.025)


def test_unknown_elements_and_too_large_q_are_refused() -> None:
    with pytest.raises(BadInputError, match="no form factor of Xx"):
        form_factors(("Xx",), [1.0])
    with pytest.raises(BadInputError, match=r"Q reaches 26 1/Å; form factors are tabulated up to 25.13"):
        form_factors(("Li",), [26.0])
    with pytest.raises(BadInputError, match=r"form factor of Li has shape \(2,\)"):
        form_factors(("Li",), [1.0], {"Li": [1.0, 2.0]})
    with pytest.raises(BadInputError, match="no scattering length of Xx"):
        scattering_lengths(("Xx",))


def test_wright_factor_of_known_curves() -> None:
    q = np.linspace(0.5, 12.0, 200)
    measured_q = np.array([9.0, 1.0, 3.0, 2.0, 20.0, 4.0])  # unsorted, one beyond the simulation
    measured = np.array([1.0, 2.0, 2.0, 1.0, 7.0, np.nan])
    # The line 0.1 q + 1 at 1, 2, 3, 9: 1.1, 1.2, 1.3, 1.9; squares of the differences: .81 + .04 + .49 + .81 = 2.15
    result = wright_factor(q, 0.1 * q + 1, measured_q, measured, q_max=12.0)
    assert result.value == pytest.approx(100 * (2.15 / 10) ** 0.5)
    assert (result.q_min, result.q_max, result.n_points) == (1.0, 9.0, 4)
    part = wright_factor(q, 0.1 * q + 1, measured_q, measured, q_min=1.5, q_max=5.0)
    assert part.value == pytest.approx(100 * (0.53 / 5) ** 0.5)
    assert wright_factor(q, np.cos(q), q[::-1], np.cos(q[::-1])).value == 0.0
    for bad in ({"q_max": 25.0}, {"q_min": 5.0, "q_max": 6.0}, {"q_min": 0.1}):
        with pytest.raises(BadInputError, match="expected two or more"):
            wright_factor(q, q, measured_q, measured, **bad)
    with pytest.raises(BadInputError, match="measured curve"):
        wright_factor(q, q, measured_q, measured[:3])


@pytest.mark.parametrize("form", ["S", "S-1", "Q(S-1)", "interference"])
def test_a_curve_in_any_form_gives_its_normalised_one_back(form: Form) -> None:
    q = np.linspace(1.0, 10.0, 30)
    partial = 1 + np.sin(q) * np.array([[1.0, 0.3], [0.3, 0.5]])[..., None]
    curve = xray_structure_factor(StructureFactor(("Li", "S"), np.array([0.25, 0.75]), q, partial, 0.1))
    np.testing.assert_allclose(curve.normalised_from(q, curve.in_form(form), form), curve.normalised, atol=1e-12)
    assert curve.in_form("Q(S-1)")[-1] == pytest.approx(10.0 * (curve.normalised[-1] - 1.0))


def test_first_sharp_peak_is_neither_noise_nor_below_its_limit() -> None:
    q = np.arange(0.025, 15.0, 0.05)
    curve = 1 + 3 * np.exp(-(((q - 0.3) / 0.05) ** 2)) + 0.8 * np.exp(-(((q - 1.475) / 0.2) ** 2))
    curve += 0.02 * np.sin(40 * q) * (q > 0.4) + 1.5 * np.exp(-(((q - 3.7) / 0.3) ** 2))
    peak = first_sharp_peak(q, curve)
    assert peak.q == pytest.approx(1.475, abs=0.06)
    assert peak.height == pytest.approx(1.8, abs=0.03)
    assert first_sharp_peak(q, curve, q_min=0.1).q == pytest.approx(0.3, abs=0.03)
    assert np.isnan(first_sharp_peak(q, np.exp(-q)).q)
    assert np.isnan(first_sharp_peak(q, np.full(q.shape, np.nan)).height)
