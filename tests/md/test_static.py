"""Crystals with known constants, relaxed and strained by LAMMPS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

from lipsdb.analysis.elasticity import elastic_moduli, fit_elastic_tensor, strain_deformations
from lipsdb.errors import BadInputError, LipsdbError, RefusedError
from lipsdb.md import static as static_module
from lipsdb.md.coupling import Coupling
from lipsdb.md.static import StrainedCells, relax_strained_cells

EV_PER_A3_IN_GPa = 160.21766208  # 1.602176634e-19 J in 1e-30 m³
EPSILON_eV, SIGMA_A, CUTOFF_A = 0.0104, 3.4, 2.32 * 3.4
ARGON = f"pair_style lj/cut {CUTOFF_A}\npair_coeff * * {EPSILON_eV} {SIGMA_A}"
# F. H. Stillinger and T. A. Weber, Phys. Rev. B 31, 5262 (1985), doi:10.1103/PhysRevB.31.5262; ε from its Table I.
SILICON = "Si Si Si 2.1683 2.0951 1.80 21.0 1.20 -0.333333333333 7.049556277 0.6022245584 4.0 0.0 0.0\n"


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_module, "POLL_SECONDS", 0.02)


def lennard_jones_fcc() -> tuple[float, np.ndarray]:
    """Lattice constant (Å) at zero pressure and constants (GPa), by sums over the shells within the cutoff."""
    grid = np.array(np.meshgrid(*[np.arange(-4, 5)] * 3)).reshape(3, -1).T
    sites = grid[(grid.sum(axis=1) % 2 == 0) & grid.any(axis=1)] / 2

    def derivatives(a: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        vectors = a * sites
        vectors = vectors[np.linalg.norm(vectors, axis=1) < CUTOFF_A]
        x = np.linalg.norm(vectors, axis=1) / SIGMA_A
        first = EPSILON_eV / SIGMA_A * (-48 / x**13 + 24 / x**7)
        return vectors, first, EPSILON_eV / SIGMA_A**2 * (624 / x**14 - 168 / x**8)

    def pressure(a: float) -> float:
        vectors, first, _ = derivatives(a)
        return float((first * np.linalg.norm(vectors, axis=1)).sum())

    a = float(brentq(pressure, 5.1, 5.4, xtol=1e-12))
    vectors, first, second = derivatives(a)
    r = np.linalg.norm(vectors, axis=1)
    weight = (second - first / r) / r**2 / (2 * a**3 / 4) * EV_PER_A3_IN_GPa
    c11, c12 = ((weight * vectors[:, 0] ** 2 * vectors[:, axis] ** 2).sum() for axis in (0, 1))
    stiffness = np.diag([c11 - c12] * 3 + [c12] * 3)  # Cauchy: C44 = C12
    stiffness[:3, :3] += c12
    return a, stiffness


def relaxed(
    folder: Path, crystal, deformations: np.ndarray, skew: np.ndarray | None = None, **options
) -> StrainedCells:
    skew = np.eye(3) if skew is None else skew
    return relax_strained_cells(
        folder, Coupling(options.pop("pair_commands", ARGON)), crystal.numbers, crystal.positions @ skew,
        crystal.cell @ skew, options.pop("elements", ["Ar"]), deformations, **{"max_force_eV_A": 1e-6} | options,
    )  # fmt: skip


def test_argon_in_a_skewed_cell_relaxes_to_its_lattice_sum_and_has_its_constants(tmp_path: Path, argon) -> None:
    deformations = strain_deformations([-0.001, 0.001])
    skew = np.array([[1.01, 0.0, 0.0], [0.01, 0.99, 0.0], [-0.01, 0.005, 1.02]])
    told: list[tuple[int, int]] = []
    found = relaxed(tmp_path, argon, deformations, skew, progress=lambda *numbers: told.append(numbers))
    a, stiffness = lennard_jones_fcc()
    np.testing.assert_allclose(found.cells[0], 3 * a * np.eye(3), atol=1e-4)
    np.testing.assert_allclose(found.cells[1:], found.cells[0] @ deformations.transpose(0, 2, 1), atol=1e-9)
    fit = fit_elastic_tensor(deformations, found.stresses_GPa[1:])
    np.testing.assert_allclose(fit.stiffness, stiffness, atol=2e-4 * stiffness.max())
    assert np.abs(found.stresses_GPa[0]).max() < 1e-4
    assert told
    assert {total for _, total in told} == {13}


def test_stress_is_the_derivative_of_the_energy(tmp_path: Path, argon) -> None:
    """σ_ij = (1/V) ∂E/∂ε_ij, tension positive, in a compressed and sheared crystal."""
    skew = np.array([[0.98, 0.0, 0.0], [0.02, 0.97, 0.0], [0.01, -0.03, 0.99]])
    step = 1e-4
    found = relaxed(tmp_path, argon, strain_deformations([-step, step]), skew, relax_cell=False)
    volume = np.linalg.det(found.cells[0])
    slopes = (found.energies_eV[2::2] - found.energies_eV[1::2]) / (2 * step) / volume * EV_PER_A3_IN_GPa
    stress = found.stresses_GPa[0]
    assert stress[0, 0] < -0.05  # compressed
    np.testing.assert_allclose(slopes, stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]], atol=1e-5)


def test_silicon_has_its_published_constants_relaxed(tmp_path: Path) -> None:
    """Atoms move under shear: if they could not, C44 would be 109 GPa."""
    from ase.build import bulk

    (tmp_path / "Si.sw").write_text(SILICON)
    atoms = bulk("Si", "diamond", a=5.45, cubic=True)
    deformations = strain_deformations([-0.002, 0.002])
    found = relax_strained_cells(
        tmp_path, Coupling("pair_style sw\npair_coeff * * Si.sw Si"), atoms.numbers, atoms.positions,
        atoms.cell.array, ["Si"], deformations, max_force_eV_A=1e-5,
    )  # fmt: skip
    assert found.cells[0, 0, 0] == pytest.approx(5.431, abs=1e-3)
    stiffness = fit_elastic_tensor(deformations, found.stresses_GPa[1:]).stiffness
    # E. R. Cowley, Phys. Rev. Lett. 60, 2379 (1988), doi:10.1103/PhysRevLett.60.2379: 151.4, 76.4 and 56.4 GPa.
    for (row, column), published in {(0, 0): 151.4, (0, 1): 76.4, (3, 3): 56.4}.items():
        assert stiffness[row, column] == pytest.approx(published, abs=0.5)
    assert elastic_moduli(stiffness).bulk == pytest.approx(101.4, abs=0.5)


def test_atoms_that_are_not_relaxed_are_refused_with_their_force(tmp_path: Path, argon) -> None:
    argon.positions[0] += 0.3
    with pytest.raises(
        RefusedError, match=r"reference cell were not relaxed: a force of \S+ eV/Å is left after 1 steps"
    ):
        relaxed(tmp_path, argon, strain_deformations([0.01])[:1], relax_cell=False, max_steps=1)


def test_a_cell_that_is_not_relaxed_is_refused_with_its_stress(
    tmp_path: Path, argon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static_module, "ROUNDS", 1)
    with pytest.raises(RefusedError, match=r"a stress of \S+ GPa is left after 1 rounds of 2 steps.*allowed is 0\.01"):
        relaxed(tmp_path, argon, strain_deformations([0.01])[:1], 0.95 * np.eye(3), max_steps=2)


def test_errors_of_lammps_and_bad_deformations_are_told(tmp_path: Path, argon) -> None:
    with pytest.raises(LipsdbError, match=r"after 0 of 2 cells: ERROR: .*unknown/style"):
        relaxed(tmp_path, argon, strain_deformations([0.01])[:1], pair_commands="pair_style unknown/style")
    with pytest.raises(BadInputError, match="not upper triangular"):
        relaxed(tmp_path, argon, np.array([[[1.0, 0.0, 0.0], [0.1, 1.0, 0.0], [0.0, 0.0, 1.0]]]))
    with pytest.raises(BadInputError, match="max_steps = 0"):
        relaxed(tmp_path, argon, strain_deformations([0.01]), max_steps=0)
