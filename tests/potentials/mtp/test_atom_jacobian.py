"""The Jacobian of the atoms' energies against motep, and against their dependence on the parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.data import atomic_numbers
from ase.spacegroup import crystal
from motep.calculator import MTP
from motep.potentials.mtp.data import BasisData, MTPData

from lipsdb.potentials.mtp.atom_jacobian import atom_jacobian
from lipsdb.potentials.mtp.neighbours import neighbour_list
from lipsdb.potentials.mtp.potential import MomentTensorPotential, random_start

ELEMENTS = ["Li", "P", "S"]
LI3P = crystal(["Li", "Li", "P"], [(0, 0, 0.5), (1 / 3, 2 / 3, 0.25), (0, 0, 0)], cellpar=[4.2, 4.2, 7.6, 90, 90, 120])
LI2S = crystal(["Li", "S"], [(0.25, 0.25, 0.25), (0, 0, 0)], spacegroup=225, cellpar=[5.7] * 3 + [90] * 3)
FRAMES = {"many images": LI3P, "triclinic": make_supercell(LI2S, [[1, 0, 0], [1, 1, 0], [0, -1, 1]])}


def shaken(name: str) -> Atoms:
    atoms = FRAMES[name].copy()
    atoms.rattle(0.15, seed=6)
    return atoms


def potential(level: int, scaling: float = 1.0) -> MomentTensorPotential:
    start = random_start(level, ELEMENTS, min_distance_A=1.6, cutoff_A=4.6, radial_size=5, seed=4)
    return replace(start, scaling=scaling)


def motep_energies(potential: MomentTensorPotential, atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Energies of the atoms and their Jacobian by motep."""
    basis = potential.basis
    data = MTPData(
        scaling=potential.scaling,
        species_count=len(ELEMENTS),
        radial_basis=BasisData("RBChebyshev", potential.min_distance_A, potential.cutoff_A, 5),
        radial_funcs_count=basis.n_radial,
        radial_coeffs=potential.radial_coefficients.copy(),
        alpha_moments_count=basis.n_moments,
        alpha_index_basic_count=len(basis.basic),
        alpha_index_basic=basis.basic,
        alpha_index_times_count=len(basis.products),
        alpha_index_times=basis.products,
        alpha_scalar_moments=len(basis.scalars),
        alpha_moment_mapping=basis.scalars,
        species_coeffs=potential.species_coefficients.copy(),
        moment_coeffs=potential.moment_coefficients.copy(),
    )
    data.species = [atomic_numbers[element] for element in ELEMENTS]
    atoms = atoms.copy()
    atoms.calc = MTP(data, engine="cext", mode="train")
    return atoms.get_potential_energies(), atoms.calc.engine.jac_energies(atoms).parameters.T


def jacobian_of(potential: MomentTensorPotential, atoms: Atoms, reach_A: float = 4.6) -> np.ndarray:
    types = [ELEMENTS.index(symbol) for symbol in atoms.symbols]
    return atom_jacobian(potential, types, neighbour_list(atoms.positions, atoms.cell.array, reach_A))


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize(("level", "scaling"), [(2, 1.0), (8, 0.3), (12, 1.0)])
def test_jacobian_is_that_of_motep(name: str, level: int, scaling: float) -> None:
    _, expected = motep_energies(potential(level, scaling), shaken(name))
    jacobian = jacobian_of(potential(level, scaling), shaken(name))
    np.testing.assert_allclose(jacobian, expected, rtol=1e-9, atol=1e-11 * np.abs(expected).max())


def test_linear_coefficients_times_their_columns_are_the_energies_of_the_atoms() -> None:
    atoms, trained = shaken("triclinic"), potential(12)
    energies, _ = motep_energies(trained, atoms)
    n_linear = trained.moment_coefficients.size + len(ELEMENTS)
    jacobian = jacobian_of(trained, atoms)
    np.testing.assert_allclose(jacobian[:, :n_linear] @ trained.parameters[:n_linear], energies, rtol=1e-10)


def test_radial_columns_are_the_slopes_of_the_energies() -> None:
    atoms, trained = shaken("many images"), potential(8)
    direction = np.random.default_rng(7).normal(size=trained.n_parameters) * np.abs(trained.parameters)
    step = 1e-5
    ahead, behind = (
        motep_energies(trained.with_parameters(trained.parameters + sign * step * direction), atoms)[0]
        for sign in (1, -1)
    )
    slopes = (ahead - behind) / (2 * step)
    np.testing.assert_allclose(jacobian_of(trained, atoms) @ direction, slopes, rtol=1e-6)


def test_pairs_beyond_the_cutoff_do_not_count() -> None:
    trained, atoms = potential(8), shaken("triclinic")
    near, far = jacobian_of(trained, atoms), jacobian_of(trained, atoms, reach_A=5.4)
    np.testing.assert_allclose(far, near, rtol=1e-12, atol=1e-12 * np.abs(near).max())
