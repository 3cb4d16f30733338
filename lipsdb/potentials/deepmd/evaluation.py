"""Predictions of a trained DeePMD-kit potential."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lipsdb.errors import BadInputError
from lipsdb.potentials.deepmd.program import environment, thread_variables
from lipsdb.potentials.prediction_errors import Predictions
from lipsdb.potentials.training_set import LabelledFrames, types_of


def evaluate(model_path: Path, systems: Mapping[str, LabelledFrames], *, threads: int = 1) -> dict[str, Predictions]:
    """Predict energies, forces and virials of frames.

    Parameters
    ----------
    model_path : Path
        Frozen or compressed model.
    systems : mapping of name to LabelledFrames
    threads : int
        Threads of TensorFlow, if this process has not loaded it before.

    Returns
    -------
    dict
        Predictions by system, in eV, eV/Å and eV.

    Raises
    ------
    BadInputError
        If there is no such model, no frame, or an element that the model does not know.
    """
    if not Path(model_path).exists():
        raise BadInputError(f"there is no model {model_path}: give a frozen model (.pb).")
    with environment(thread_variables(threads)), _without_messages():
        from deepmd.infer import DeepPot

        model = DeepPot(str(model_path), auto_batch_size=True)
        return {name: _predict(model, name, frames) for name, frames in systems.items()}


@contextlib.contextmanager
def _without_messages() -> Iterator[None]:
    """Keep what TensorFlow and DeePMD-kit say of the machine (it has no GPU …) off the terminal; errors are raised."""
    sys.stderr.flush()
    kept = os.dup(2)
    _silence()
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        atexit.unregister(_silence)
        atexit.register(_silence)  # their libraries speak once more when the process ends


def _silence() -> None:
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)


def _predict(model: Any, name: str, frames: LabelledFrames) -> Predictions:
    types = types_of(frames.numbers, model.get_type_map(), f"system {name!r}")
    n = frames.n_frames
    energies, forces, virials = model.eval(frames.positions.reshape(n, -1), frames.cells.reshape(n, 9), types)[:3]
    return Predictions(
        energies=np.asarray(energies, dtype=np.float64).reshape(n),
        forces=np.asarray(forces, dtype=np.float64).reshape(n, frames.n_atoms, 3),
        virials=np.asarray(virials, dtype=np.float64).reshape(n, 3, 3),
    )
