from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.data import atomic_numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from motep.potentials.mtp.cext.engine import CExtMTPEngine
from motep.potentials.mtp.data import BasisData, MTPData
from motep.potentials.mtp.numpy.engine import NumpyMTPEngine
from scipy.spatial.transform import Rotation

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.kernel import ForceField
from lipsdb.potentials.mtp.potential import MomentTensorPotential, random_start

ELEMENTS = ("Li", "P", "S")
TRICLINIC = np.array([[8.0, 0.5, -0.6], [1.8, 7.0, 0.4], [-0.7, 1.1, 7.5]])
SMALL = np.array([[3.0, 0.0, 0.0], [0.4, 3.1, 0.0], [-0.3, 0.5, 2.9]])
seeds = st.integers(0, 2**32 - 1)


def _potential(level: int, scaling: float = 1.0, radial_size: int = 8) -> MomentTensorPotential:
    start = random_start(level, ELEMENTS, min_distance_A=1.6, cutoff_A=5.0, radial_size=radial_size, seed=level)
    return replace(start, scaling=scaling)


def _frame(n_atoms: int, cell: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Types and positions; some atoms are outside of the cell, and some nearer than the potential's range."""
    rng = np.random.default_rng(seed)
    per_edge = int(np.ceil(n_atoms ** (1 / 3)))
    sites = np.array(list(np.ndindex(per_edge, per_edge, per_edge)))[:n_atoms] / per_edge
    return rng.integers(0, 3, n_atoms), (sites + rng.normal(0.0, 0.04, sites.shape)) @ cell


def _evaluate(potential, types, positions, cell, threads=1):
    return ForceField(potential, types, threads=threads, skin_A=0.0).compute(positions, cell)


def _to_motep(potential: MomentTensorPotential) -> MTPData:
    basis = potential.basis
    data = MTPData(
        scaling=potential.scaling,
        radial_basis=BasisData("RBChebyshev", potential.min_distance_A, potential.cutoff_A, potential.radial_size),
        radial_funcs_count=basis.n_radial,
        radial_coeffs=potential.radial_coefficients,
        alpha_moments_count=basis.n_moments,
        alpha_index_basic_count=len(basis.basic),
        alpha_index_basic=basis.basic,
        alpha_index_times_count=len(basis.products),
        alpha_index_times=basis.products,
        alpha_scalar_moments=basis.n_scalars,
        alpha_moment_mapping=basis.scalars,
        species_coeffs=potential.species_coefficients,
        moment_coeffs=potential.moment_coefficients,
    )
    data.species = np.array([atomic_numbers[element] for element in potential.elements], dtype=np.int32)
    return data


def _assert_as_motep(engine, potential, types, positions, cell):
    energies, forces, virial = _evaluate(potential, types, positions, cell)
    atoms = Atoms([ELEMENTS[t] for t in types], positions, cell=cell, pbc=True)
    expected = engine(_to_motep(potential)).calculate(atoms)
    stress = -virial.ravel()[[0, 4, 8, 5, 2, 1]] / abs(np.linalg.det(cell))
    for ours, theirs in ((energies, "energies"), (forces, "forces"), (stress, "stress")):
        np.testing.assert_allclose(ours, expected[theirs], rtol=1e-10, atol=1e-10 * abs(expected[theirs]).max())


@pytest.mark.parametrize("level", range(2, 17, 2))
def test_three_elements_in_a_triclinic_cell_are_as_with_motep(level):
    _assert_as_motep(CExtMTPEngine, _potential(level), *_frame(21, TRICLINIC, seed=level), TRICLINIC)


def test_a_cell_smaller_than_the_cutoff_is_as_with_motep():
    _assert_as_motep(CExtMTPEngine, _potential(12), *_frame(2, SMALL, seed=1), SMALL)
    _assert_as_motep(CExtMTPEngine, _potential(8), *_frame(1, SMALL, seed=2), SMALL)


@pytest.mark.parametrize("radial_size", [2, 3, 5])
def test_scaling_and_the_size_of_the_radial_basis_are_as_with_motep(radial_size):
    potential = _potential(10, scaling=0.5, radial_size=radial_size)
    _assert_as_motep(NumpyMTPEngine, potential, *_frame(9, TRICLINIC, seed=radial_size), TRICLINIC)


def test_an_atom_alone_has_the_energy_of_its_species():
    potential = _potential(8)
    energies, forces, virial = _evaluate(potential, [1, 2], np.array([[0.0, 0, 0], [9, 9, 9]]), 18.0 * np.eye(3))
    np.testing.assert_array_equal(energies, potential.species_coefficients[[1, 2]])
    assert not forces.any()
    assert not virial.any()


@pytest.mark.parametrize(("n_atoms", "cell"), [(11, TRICLINIC), (2, SMALL)], ids=["triclinic", "small"])
def test_forces_and_virial_are_derivatives_of_the_energy(n_atoms, cell):
    potential = _potential(12)
    types, positions = _frame(n_atoms, cell, seed=5)
    _, forces, virial = _evaluate(potential, types, positions, cell)

    def slope(change):
        energies = [_evaluate(potential, types, *change(h))[0].sum() for h in (-2e-3, -1e-3, 1e-3, 2e-3)]
        return np.dot([1.0, -8.0, 8.0, -1.0], energies) / 12e-3

    for atom, axis in ((0, 0), (1, 1), (n_atoms - 1, 2)):
        moved = np.zeros_like(positions)
        moved[atom, axis] = 1.0
        assert np.isclose(-slope(lambda h, x=moved: (positions + h * x, cell)), forces[atom, axis], rtol=1e-6)
    for a, b in ((0, 0), (0, 1), (1, 1), (1, 2), (2, 0), (2, 2)):
        strain = np.zeros((3, 3))
        strain[a, b] = 1.0
        strained = slope(lambda h, e=strain: (positions + h * positions @ e, cell + h * cell @ e))
        assert np.isclose(-strained, virial[a, b], rtol=1e-6, atol=1e-7 * abs(virial).max())


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_translation_and_wrapping_change_nothing(seed):
    rng = np.random.default_rng(seed)
    types, positions = _frame(7, TRICLINIC, seed)
    moved = positions + rng.uniform(-9.0, 9.0, 3) + rng.integers(-2, 3, positions.shape) @ TRICLINIC
    for before, after in zip(
        _evaluate(_potential(10), types, positions, TRICLINIC),
        _evaluate(_potential(10), types, moved, TRICLINIC),
        strict=True,
    ):
        np.testing.assert_allclose(after, before, atol=1e-9 * abs(before).max())


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_a_rotation_turns_forces_and_virial(seed):
    types, positions = _frame(7, TRICLINIC, seed)
    turn = Rotation.random(rng=np.random.default_rng(seed)).as_matrix() * (-1) ** seed  # with and without inversion
    energies, forces, virial = _evaluate(_potential(10), types, positions, TRICLINIC)
    turned = _evaluate(_potential(10), types, positions @ turn, TRICLINIC @ turn)
    for before, after in zip((energies, forces @ turn, turn.T @ virial @ turn), turned, strict=True):
        np.testing.assert_allclose(after, before, atol=1e-9 * abs(before).max())


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_another_order_of_the_atoms_gives_the_same_in_that_order(seed):
    types, positions = _frame(13, TRICLINIC, seed)
    order = np.random.default_rng(seed).permutation(13)
    energies, forces, virial = _evaluate(_potential(10), types, positions, TRICLINIC)
    permuted = _evaluate(_potential(10), types[order], positions[order], TRICLINIC)
    for before, after in zip((energies[order], forces[order], virial), permuted, strict=True):
        np.testing.assert_allclose(after, before, atol=1e-9 * abs(before).max())


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_change_rounding_only_and_repeat_to_the_last_bit(threads):
    types, positions = _frame(27, TRICLINIC, seed=9)
    one = _evaluate(_potential(12), types, positions, TRICLINIC)
    several = [_evaluate(_potential(12), types, positions, TRICLINIC, threads) for _ in range(3)]
    for k in range(3):
        np.testing.assert_allclose(several[0][k], one[k], atol=1e-12 * abs(one[k]).max())
        np.testing.assert_array_equal(several[1][k], several[0][k])
        np.testing.assert_array_equal(several[2][k], several[0][k])


def _assert_as_fresh(force_field, potential, types, positions, cell):
    expected = _evaluate(potential, types, positions, cell)
    for ours, fresh in zip(force_field.compute(positions, cell), expected, strict=True):
        np.testing.assert_allclose(ours, fresh, atol=1e-9 * abs(fresh).max())


@pytest.mark.parametrize(("n_atoms", "cell"), [(21, TRICLINIC), (2, SMALL)], ids=["triclinic", "small"])
@pytest.mark.parametrize("threads", [1, 2])
def test_steps_of_a_walk_with_a_changing_cell_are_as_evaluated_afresh(n_atoms, cell, threads):
    potential = _potential(8)
    types, start = _frame(n_atoms, cell, seed=3)
    force_field = ForceField(potential, types, threads=threads, skin_A=0.5)
    rng = np.random.default_rng(8)
    displacement, strain = np.zeros_like(start), np.eye(3)
    for step in range(60):
        displacement += rng.normal(0.0, 0.015, start.shape)
        strain = strain @ (np.eye(3) + rng.normal(0.0, 0.003, (3, 3)))
        now = cell @ strain
        images = rng.integers(-1, 2, start.shape) if step % 5 == 0 else np.zeros(start.shape)
        _assert_as_fresh(force_field, potential, types, start @ strain + displacement + images @ now, now)
    assert 2 <= force_field.n_lists <= 30


def test_a_list_is_kept_while_atoms_move_less_than_half_the_skin_or_by_a_cell_vector():
    potential = _potential(6)
    types, positions = _frame(8, TRICLINIC, seed=2)
    force_field = ForceField(potential, types, skin_A=0.5)
    moved = positions.copy()
    for x, n_lists in ((0.0, 1), (0.24, 1), (0.26, 2), (0.40, 2)):
        moved[3, 1] = positions[3, 1] + x
        _assert_as_fresh(force_field, potential, types, moved, TRICLINIC)
        assert force_field.n_lists == n_lists
    moved[3] += [2.0, -1.0, 1.0] @ TRICLINIC
    _assert_as_fresh(force_field, potential, types, moved, TRICLINIC)
    assert force_field.n_lists == 2
    force_field.compute(moved, TRICLINIC, rebuild=True)
    assert force_field.n_lists == 3


@pytest.mark.parametrize("strain", [[0.85, 1.0, 1.0], [1.0, 1.0, 0.97]])
def test_pairs_that_only_the_strain_of_the_cell_brings_into_the_cutoff_are_found(strain):
    potential = _potential(6)
    types, positions = _frame(8, TRICLINIC, seed=2)
    force_field = ForceField(potential, types, skin_A=0.5)
    force_field.compute(positions, TRICLINIC)
    _assert_as_fresh(force_field, potential, types, positions * strain, TRICLINIC * strain)


def test_arrays_of_the_caller_are_neither_changed_nor_kept():
    types, positions = _frame(8, TRICLINIC, seed=2)
    force_field = ForceField(_potential(6), types)
    cell, given_positions = TRICLINIC.copy(), positions.copy()
    first = force_field.compute(given_positions, cell)
    np.testing.assert_array_equal(given_positions, positions)
    cell *= 1.02
    given_positions *= 1.02
    second = force_field.compute(given_positions, cell)
    assert not np.allclose(first[1], second[1])
    np.testing.assert_allclose(second[1], _evaluate(_potential(6), types, positions * 1.02, TRICLINIC * 1.02)[1])


def test_what_is_no_frame_of_the_potential_is_refused():
    potential = _potential(6)
    types, positions = _frame(8, TRICLINIC, seed=2)
    with pytest.raises(BadInputError, match=r"types are \[0, 3\] .*, but the potential has 0 to 2"):
        ForceField(potential, [0, 3])
    with pytest.raises(BadInputError, match="threads are 0"):
        ForceField(potential, types, threads=0)
    force_field = ForceField(potential, types)
    with pytest.raises(BadInputError, match=r"positions have shape \(7, 3\), but there are 8 atoms"):
        force_field.compute(positions[:7], TRICLINIC)
    force_field.compute(positions, TRICLINIC)
    positions[5, 1] = np.nan
    with pytest.raises(BadInputError, match="is not finite"):
        force_field.compute(positions, TRICLINIC)
