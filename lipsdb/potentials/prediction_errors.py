"""Errors of a potential against labels: energy, force and virial, of one system and over all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import BadInputError
from lipsdb.potentials.training_set import LabelledFrames

FloatArray = NDArray[np.float64]
MEV = 1000.0  # meV in one eV


@dataclass(frozen=True)
class Predictions:
    """What a potential says of the frames of one system.

    Parameters
    ----------
    energies : (n_frames,) array, eV
    forces : (n_frames, n_atoms, 3) array, eV/Å
    virials : (n_frames, 3, 3) array, eV, -dE/dε
    """

    energies: FloatArray
    forces: FloatArray
    virials: FloatArray


@dataclass(frozen=True)
class PredictionErrors:
    """Errors (prediction minus label) of a set of frames; energies and virials per atom.

    `energy_bias_meV_per_atom` is the mean signed energy error. The virial errors are over the nine components of
    the frames that have virial labels, None where no frame has.
    """

    n_frames: int
    n_force_components: int
    energy_mae_meV_per_atom: float
    energy_rmse_meV_per_atom: float
    energy_bias_meV_per_atom: float
    force_mae_meV_per_A: float
    force_rmse_meV_per_A: float
    virial_mae_meV_per_atom: float | None
    virial_rmse_meV_per_atom: float | None


def prediction_errors(pairs: Iterable[tuple[LabelledFrames, Predictions]]) -> PredictionErrors:
    """Mean absolute and root-mean-square errors over all frames of the given systems.

    Parameters
    ----------
    pairs : iterable of (labels, predictions)
        One pair a system. Energies (eV/atom) are weighted by frame, forces and virials (eV/atom) by component, so
        the result over several systems is that of their frames put together.

    Returns
    -------
    PredictionErrors
        meV/atom and meV/Å.

    Raises
    ------
    BadInputError
        If there is no frame.

    Examples
    --------
    >>> labels = LabelledFrames([3, 3], np.zeros((1, 2, 3)), np.ones((1, 3, 3)), np.zeros(1), np.zeros((1, 2, 3)))
    >>> predicted = Predictions(np.array([0.01]), np.full((1, 2, 3), -0.25), np.zeros((1, 3, 3)))
    >>> errors = prediction_errors([(labels, predicted)])
    >>> errors.energy_bias_meV_per_atom, errors.force_mae_meV_per_A, errors.virial_mae_meV_per_atom
    (5.0, 250.0, None)
    """
    energy, force, virial = [], [], []
    for labels, predictions in pairs:
        energy.append((predictions.energies - labels.energies) / labels.n_atoms)
        force.append((predictions.forces - labels.forces).ravel())
        if labels.virials is not None:
            virial.append((predictions.virials - labels.virials).ravel() / labels.n_atoms)
    energies = np.concatenate(energy) if energy else np.empty(0)
    if energies.size == 0:
        raise BadInputError("there is no frame to compare with: give at least one labelled frame.")
    forces = np.concatenate(force)
    virials = np.concatenate(virial) if virial else np.empty(0)
    return PredictionErrors(
        n_frames=energies.size,
        n_force_components=forces.size,
        energy_mae_meV_per_atom=_mean_absolute(energies),
        energy_rmse_meV_per_atom=_root_mean_square(energies),
        energy_bias_meV_per_atom=float(energies.mean()) * MEV,
        force_mae_meV_per_A=_mean_absolute(forces),
        force_rmse_meV_per_A=_root_mean_square(forces),
        virial_mae_meV_per_atom=_mean_absolute(virials) if virials.size else None,
        virial_rmse_meV_per_atom=_root_mean_square(virials) if virials.size else None,
    )


def _mean_absolute(errors: FloatArray) -> float:
    return float(np.abs(errors).mean()) * MEV


def _root_mean_square(errors: FloatArray) -> float:
    return float(np.sqrt(np.square(errors).mean())) * MEV
