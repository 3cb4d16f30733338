"""Training sets as folders of DeePMD-kit's npy format."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lipsdb.errors import BadInputError
from lipsdb.potentials.training_set import LabelledFrames, elements_of, types_of

_FOLDER_NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_+.=-]*")


def write_deepmd_systems(
    folder: Path, frames_by_system: Mapping[str, LabelledFrames], *, elements: Sequence[str] | None = None
) -> list[Path]:
    """Write one DeePMD-kit system (npy format) a labelled system.

    Parameters
    ----------
    folder : Path
        Where the systems' folders are made.
    frames_by_system : mapping of name to LabelledFrames
        The names become the folders' names.
    elements : sequence of str, optional
        Type map written to every system, so that one potential can be trained on all of them; by default all elements
        that occur, by atomic number.

    Returns
    -------
    list of Path
        The systems' folders, in the order of `frames_by_system`.

    Raises
    ------
    BadInputError
        If there are no frames, a name is no plain folder name, or an element is not in `elements`.

    Notes
    -----
    A system is type.raw, type_map.raw and set.000/{coord,box,energy,force,virial}.npy, in Å, eV and eV/Å; the virial is
    -dE/dε in eV (stress = -virial / volume), and its file is absent where there are no virial labels.
    """
    if not frames_by_system:
        raise BadInputError("there is no system to write: give at least one.")
    symbols = list(elements) if elements is not None else elements_of(frames_by_system)
    types = {name: types_of(frames.numbers, symbols, f"system {name!r}") for name, frames in frames_by_system.items()}
    return [
        _write_system(Path(folder), name, frames, types[name], symbols) for name, frames in frames_by_system.items()
    ]


def _write_system(
    folder: Path,
    name: str,
    frames: LabelledFrames,
    types: np.ndarray[tuple[int], np.dtype[np.int64]],
    symbols: list[str],
) -> Path:
    if not _FOLDER_NAME.fullmatch(name):
        raise BadInputError(f"system name {name!r} is no plain folder name: use letters, digits and _ + - . = only.")
    if frames.n_frames == 0:
        raise BadInputError(f"system {name!r} has no frame: leave it out.")
    system = folder / name
    arrays = system / "set.000"
    arrays.mkdir(parents=True, exist_ok=True)
    (system / "type.raw").write_text("".join(f"{t}\n" for t in types.tolist()))
    (system / "type_map.raw").write_text("".join(f"{symbol}\n" for symbol in symbols))
    n = frames.n_frames
    np.save(arrays / "coord.npy", frames.positions.reshape(n, -1))
    np.save(arrays / "box.npy", frames.cells.reshape(n, 9))
    np.save(arrays / "energy.npy", frames.energies)
    np.save(arrays / "force.npy", frames.forces.reshape(n, -1))
    if frames.virials is None:
        (arrays / "virial.npy").unlink(missing_ok=True)
    else:
        np.save(arrays / "virial.npy", frames.virials.reshape(n, 9))
    return system
