"""What a training starts from: the range of the radial functions, and random coefficients of sensible size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.potential import MomentTensorPotential, random_start
from lipsdb.potentials.mtp.settings import MTPSettings
from lipsdb.potentials.mtp.training_data import TrainingData
from lipsdb.potentials.training_set import LabelledFrames

FloatArray = NDArray[np.float64]

# Found by trial on Li3PS4 (levels 8 to 14, several seeds); a factor of three either way matters little.
_MOMENT, _STEP, _RADIAL_STEP = 0.1, 3.0, 150.0


def shortest_distance(data: TrainingData) -> float:
    """Shortest distance between two atoms of the frames, Å; the cutoff if all are further apart.

    Examples
    --------
    >>> from lipsdb.potentials.mtp.training_data import training_data
    >>> salt = LabelledFrames([3, 3], [[[0, 0, 0], [0, 0, 3.0]]], [9 * np.eye(3)], [-1.0], np.zeros((1, 2, 3)))
    >>> shortest_distance(training_data({"salt": salt}, ["Li"], 5.0))
    3.0
    """
    squared = np.square(data.vectors.reshape(-1, 3, data.slot_atoms.shape[1])).sum(axis=1)
    return float(np.sqrt(squared.min(initial=data.cutoff_A**2)))


def composition_energies(systems: Mapping[str, LabelledFrames], elements: Sequence[str]) -> FloatArray:
    """Energy of an atom of each element (eV) that fits the frames' energies best by their compositions alone.

    Where the compositions do not tell the elements apart, the smallest energies are taken (least norm).

    Examples
    --------
    >>> pair = LabelledFrames([3, 16], np.zeros((1, 2, 3)), np.ones((1, 3, 3)), [-6.0], np.zeros((1, 2, 3)))
    >>> metal = LabelledFrames([3, 3], np.zeros((1, 2, 3)), np.ones((1, 3, 3)), [-4.0], np.zeros((1, 2, 3)))
    >>> composition_energies({"pair": pair, "metal": metal}, ["Li", "S"]).round(6)
    array([-2., -4.])
    """
    from ase.data import atomic_numbers

    numbers = [atomic_numbers[element] for element in elements]
    fractions, energies = [], []
    for frames in systems.values():
        fraction = [np.count_nonzero(frames.numbers == number) / frames.n_atoms for number in numbers]
        fractions.append(np.tile(fraction, (frames.n_frames, 1)))
        energies.append(frames.energies / frames.n_atoms)
    fitted: FloatArray = np.linalg.lstsq(np.concatenate(fractions), np.concatenate(energies), rcond=1e-8)[0]
    return fitted


def crowding(data: TrainingData) -> float:
    """Sum of (cutoff - r)² over an atom's neighbours, Å², averaged over the atoms: the size of a plain radial function.

    Examples
    --------
    >>> from lipsdb.potentials.mtp.training_data import training_data
    >>> salt = LabelledFrames([3, 3], [[[0, 0, 0], [0, 0, 3.0]]], [9 * np.eye(3)], [-1.0], np.zeros((1, 2, 3)))
    >>> crowding(training_data({"salt": salt}, ["Li"], 5.0))
    4.0
    """
    r = np.sqrt(np.square(data.vectors.reshape(-1, 3, data.slot_atoms.shape[1])).sum(axis=1))
    return float(np.square(data.cutoff_A - r).sum() / data.n_atoms)


def starting_potential(
    settings: MTPSettings, data: TrainingData, systems: Mapping[str, LabelledFrames], number: int = 0
) -> MomentTensorPotential:
    """Potential that a training starts from.

    Parameters
    ----------
    settings : MTPSettings
    data : TrainingData
        Of `systems`.
    systems : mapping of name to LabelledFrames
        The training frames.
    number : int
        Of the start, from 0: each has other random numbers.

    Returns
    -------
    MomentTensorPotential
        Random radial and moment coefficients by the seed, elements' energies fitted to the compositions.

    Raises
    ------
    BadInputError
        If no two atoms are within the cutoff.

    Notes
    -----
    Basis functions are products of up to four moments. With radial coefficients of about 1 / `crowding`, moments are of
    the order of 1 whatever the cutoff, and products of all degrees are of one size; larger ones let the highest
    products rule the start, which the optimiser then hardly leaves.
    """
    shortest = shortest_distance(data)
    if shortest >= settings.cutoff_A:
        raise BadInputError(
            f"no two atoms of the training frames are closer than cutoff_A ({settings.cutoff_A} Å): give a larger one."
        )
    smallest = math.floor(10 * shortest) / 10 if settings.min_distance_A == "auto" else settings.min_distance_A
    start = random_start(
        settings.level,
        data.elements,
        min_distance_A=smallest,
        cutoff_A=settings.cutoff_A,
        radial_size=settings.radial_size,
        seed=int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0]),
        largest_moment=_MOMENT,
        largest_radial=1.0 / crowding(data),
    )
    return replace(start, species_coefficients=composition_energies(systems, data.elements))


def first_inverse_hessian(potential: MomentTensorPotential, data: TrainingData) -> FloatArray:
    """What the optimiser starts with in place of the unit matrix, (n_parameters, n_parameters): bold first steps.

    Radial coefficients are measured in units of 1 / `crowding`, so that the path of a training does not depend on the
    cutoff by way of units.
    """
    steps = np.full(potential.n_parameters, _STEP)
    steps[-potential.radial_coefficients.size :] = _RADIAL_STEP / crowding(data)
    return np.diag(np.square(steps))
