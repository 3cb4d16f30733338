"""Predictions of a moment tensor potential for labelled frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lipsdb.errors import BadInputError
from lipsdb.potentials.prediction_errors import Predictions
from lipsdb.potentials.training_set import LabelledFrames, types_of


def evaluate(model_path: Path, systems: Mapping[str, LabelledFrames], *, threads: int = 1) -> dict[str, Predictions]:
    """Predict energies, forces and virials of labelled frames.

    Parameters
    ----------
    model_path : Path
        Trained potential (``.mtp``) that names its elements.
    systems : mapping of name to LabelledFrames
    threads : int

    Returns
    -------
    dict of name to Predictions
        Energies in eV, forces in eV/Å, virials in eV.

    Raises
    ------
    BadInputError
        If there is no such potential, or an element that it does not know.
    """
    from lipsdb.potentials.mtp.files import read_mtp
    from lipsdb.potentials.mtp.kernel import ForceField

    if not Path(model_path).exists():
        raise BadInputError(f"there is no potential {model_path}: give the .mtp file of a trained one.")
    potential = read_mtp(model_path)
    predictions = {}
    for name, frames in systems.items():
        types = types_of(frames.numbers, potential.elements, f"system {name!r}")
        force_field = ForceField(potential, types, threads=threads, skin_A=0.0)
        energies, forces, virials = np.empty(frames.n_frames), np.empty_like(frames.forces), np.empty_like(frames.cells)
        for k, (positions, cell) in enumerate(zip(frames.positions, frames.cells, strict=True)):
            atoms, forces[k], virials[k] = force_field.compute(positions, cell, rebuild=True)
            energies[k] = atoms.sum()
        predictions[name] = Predictions(energies=energies, forces=forces, virials=virials)
    return predictions
