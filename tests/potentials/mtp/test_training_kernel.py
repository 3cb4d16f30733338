"""The loss and its gradient against motep, against finite differences, and on cases with a known answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers
from ase.spacegroup import crystal
from motep.loss import LossFunction, LossSetting
from motep.potentials.mtp.data import BasisData, MTPData

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.potential import MomentTensorPotential, random_start
from lipsdb.potentials.mtp.training_data import TrainingData, training_data
from lipsdb.potentials.mtp.training_kernel import LossWeights, loss_and_gradient, loss_terms
from lipsdb.potentials.training_set import LabelledFrames

ELEMENTS = ["Li", "P", "S"]
LI3P = crystal(["Li", "Li", "P"], [(0, 0, 0.5), (1 / 3, 2 / 3, 0.25), (0, 0, 0)], cellpar=[4.2, 4.2, 7.6, 90, 90, 120])
LI2S = crystal(["Li", "S"], [(0.25, 0.25, 0.25), (0, 0, 0)], spacegroup=225, cellpar=[5.7] * 3 + [90] * 3)
SHEARED = make_supercell(LI2S, [[1, 0, 0], [1, 1, 0], [0, -1, 1]])


def shaken(atoms: Atoms, n_frames: int, *, virials: bool, seed: int) -> LabelledFrames:
    """Frames near a crystal, with random labels of the size of real ones."""
    rng = np.random.default_rng(seed)
    strains = np.eye(3) + rng.normal(0, 0.03, (n_frames, 3, 3))
    positions = (atoms.positions + rng.normal(0, 0.1, (n_frames, len(atoms), 3))) @ strains
    virial = rng.normal(0, len(atoms), (n_frames, 3, 3))
    return LabelledFrames(
        numbers=atoms.numbers,
        positions=positions,
        cells=atoms.cell.array @ strains,
        energies=rng.normal(-4, 1, n_frames) * len(atoms),
        forces=rng.normal(0, 1, positions.shape),
        virials=virial + virial.transpose(0, 2, 1) if virials else None,
    )


# motep takes the wrong volume for a frame with stress after one without: those without come last.
SYSTEMS = {
    "triclinic": shaken(SHEARED, 2, virials=True, seed=1),
    "many images": shaken(LI3P, 3, virials=True, seed=2),
    "no virials": shaken(LI2S, 2, virials=False, seed=3),
}


def potential(level: int, scaling: float = 1.0) -> MomentTensorPotential:
    start = random_start(level, ELEMENTS, min_distance_A=1.6, cutoff_A=4.6, radial_size=5, seed=4)
    return replace(start, scaling=scaling)


def motep_data(potential: MomentTensorPotential) -> MTPData:
    basis = potential.basis
    data = MTPData(
        scaling=potential.scaling,
        species_count=len(potential.elements),
        radial_basis=BasisData(
            "RBChebyshev", potential.min_distance_A, potential.cutoff_A, potential.radial_coefficients.shape[3]
        ),
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
    data.species = [atomic_numbers[element] for element in potential.elements]
    return data


def labelled_atoms(systems: dict[str, LabelledFrames]) -> list[Atoms]:
    images = []
    for frames in systems.values():
        for k in range(frames.n_frames):
            atoms = Atoms(frames.numbers, frames.positions[k], cell=frames.cells[k], pbc=True)
            labels = {"energy": frames.energies[k], "forces": frames.forces[k]}
            if frames.virials is not None:
                labels["stress"] = (-frames.virials[k] / atoms.get_volume()).flat[[0, 4, 8, 5, 2, 1]]
            atoms.calc = SinglePointCalculator(atoms, **labels)
            images.append(atoms)
    return images


def packed(systems: dict[str, LabelledFrames] = SYSTEMS) -> TrainingData:
    return training_data(systems, ELEMENTS, 4.6)


@pytest.mark.parametrize(("level", "scaling"), [(2, 1.0), (8, 0.3), (12, 1.0)])
def test_loss_and_gradient_are_those_of_motep(level: int, scaling: float) -> None:
    trained = potential(level, scaling)
    oracle = LossFunction(labelled_atoms(SYSTEMS), motep_data(trained), LossSetting(), engine="cext")
    expected_loss, expected_gradient = oracle(trained.parameters), oracle.jac(trained.parameters)

    loss, gradient, _ = loss_and_gradient(trained, packed())

    assert loss == pytest.approx(expected_loss, rel=1e-12)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-10, atol=1e-12 * np.abs(expected_gradient).max())


@pytest.mark.parametrize("weights", [LossWeights(1, 0, 0), LossWeights(0, 1, 0), LossWeights(0, 0, 1)])
def test_gradient_of_each_term_is_the_slope_of_the_loss(weights: LossWeights) -> None:
    trained, data = potential(8), packed()
    _, gradient, _ = loss_and_gradient(trained, data, weights)
    directions = np.random.default_rng(5).normal(size=(3, trained.n_parameters)) * np.abs(trained.parameters)

    for direction in directions:
        step = 1e-5
        ahead, behind = (
            loss_terms(trained.with_parameters(trained.parameters + sign * step * direction), data, weights)[0]
            for sign in (1, -1)
        )
        slope = gradient @ direction
        assert (ahead - behind) / (2 * step) == pytest.approx(slope, rel=1e-5)


def test_labels_that_the_potential_gives_have_no_loss_and_no_gradient() -> None:
    # An ideal gas of Li: each atom has its own energy, no forces, no virial.
    atoms = Atoms("Li2", [[0, 0, 0], [0, 0, 6.0]], cell=[12.0] * 3)
    own = potential(8).species_coefficients[0]
    frames = LabelledFrames(
        atoms.numbers, [atoms.positions], [atoms.cell.array], [2 * own], np.zeros((1, 2, 3)), np.zeros((1, 3, 3))
    )
    loss, gradient, _ = loss_and_gradient(potential(8), packed({"gas": frames}))
    assert loss == 0
    assert not gradient.any()


def test_errors_of_energies_forces_and_virials_are_counted_apart() -> None:
    # The same gas with labels off by 3 eV, by (0, 0, ±0.5) eV/Å and by 0.2 eV in xy and yx.
    atoms = Atoms("Li2", [[0, 0, 0], [0, 0, 6.0]], cell=[12.0] * 3)
    own = potential(8).species_coefficients[0]
    virial = np.zeros((1, 3, 3))
    virial[0, 0, 1] = virial[0, 1, 0] = 0.2
    forces = np.array([[[0, 0, 0.5], [0, 0, -0.5]]])
    frames = LabelledFrames(atoms.numbers, [atoms.positions], [atoms.cell.array], [2 * own + 3], forces, virial)
    without = replace(frames, virials=None)

    loss, terms = loss_terms(potential(8), packed({"gas": frames, "again": without}))

    assert (terms.n_frames, terms.n_force_components, terms.n_virial_components) == (2, 12, 9)
    assert terms.energy_rmse == pytest.approx(1.5)
    assert terms.force_rmse == pytest.approx(0.5 / np.sqrt(3))
    assert terms.virial_rmse == pytest.approx(0.1 * np.sqrt(2) / 3)
    per_frame = 1.0 * 1.5**2 + 0.01 * 0.5 / 2
    assert loss == pytest.approx(per_frame + 0.001 * 0.01 * 2 / 2)
    assert loss_terms(potential(8), packed({"again": without}))[1].virial_rmse is None


def test_result_is_the_same_to_the_last_bit_for_any_number_of_threads() -> None:
    many = {f"copy {k}": shaken(SHEARED * (2, 2, 1), 3, virials=True, seed=k) for k in range(12)}
    data = packed(many)
    assert data.chunk_frames.size > 3
    loss, gradient, terms = loss_and_gradient(potential(8), data, threads=1)
    for threads in (2, 3):
        again = loss_and_gradient(potential(8), data, threads=threads)
        assert (again[0], again[2]) == (loss, terms)
        assert np.array_equal(again[1], gradient)
    assert loss_terms(potential(8), data, threads=2) == (loss, terms)


def test_other_elements_or_cutoff_are_refused() -> None:
    with pytest.raises(BadInputError, match=r"Li, P, S with a cutoff of 4.6 Å, but the data are of Li, P, S and 4.0 Å"):
        loss_and_gradient(potential(2), training_data(SYSTEMS, ELEMENTS, 4.0))
    with pytest.raises(BadInputError, match="data are of S, P, Li"):
        loss_terms(potential(2), training_data(SYSTEMS, ["S", "P", "Li"], 4.6))
    with pytest.raises(BadInputError, match="threads is 0"):
        loss_terms(potential(2), packed(), threads=0)
