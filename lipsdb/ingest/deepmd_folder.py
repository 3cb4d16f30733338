"""The labelled frames in a DeePMD-kit npy folder: found and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lipsdb.errors import BadInputError
from lipsdb.ingest.frames import Frames, Reading, element_numbers


def find_folders(root: Path) -> list[Path]:
    """Find the DeePMD system folders at or below a folder: those with ``type.raw`` or a ``set.*`` folder."""
    if not root.is_dir():
        raise BadInputError(
            f"{root} is not a folder; give the folder that holds DeePMD npy data (type.raw, set.000/ …)"
        )
    found = {path.parent for pattern in ("type.raw", "set.*/") for path in root.rglob(pattern)}
    if not found:
        raise BadInputError(
            f"no DeePMD npy data below {root}; expected folders with type.raw, type_map.raw and set.000/"
        )
    return sorted(found)


def _load(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Load one array of one set as float64 with the shape it must have (-1: number of frames)."""
    if not path.is_file():
        raise BadInputError(f"{path.parent.name}/{path.name} is missing")
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise BadInputError(f"{path.parent.name}/{path.name} is not a NumPy array: {error}") from error
    if not np.issubdtype(array.dtype, np.number):
        raise BadInputError(f"{path.parent.name}/{path.name} holds {array.dtype}, not numbers")
    per_frame = int(np.prod(shape[1:], dtype=int))
    n_frames = len(array) if array.ndim else 0
    if array.ndim == 0 or array.size != n_frames * per_frame or array.ndim not in {1, 2, len(shape)}:
        raise BadInputError(
            f"{path.parent.name}/{path.name} has shape {array.shape}; expected (n_frames, {per_frame}) for these atoms"
        )
    return np.ascontiguousarray(array, dtype=np.float64).reshape(n_frames, *shape[1:])


def read_folder(folder: Path) -> Reading:
    """Read a DeePMD npy folder.

    Parameters
    ----------
    folder : Path
        With ``type.raw``, ``type_map.raw`` and ``set.*/{coord,box,energy,force}.npy``, ``virial.npy`` if there is one;
        eV, Å, eV/Å; virial in eV, W = −dE/dε.

    Returns
    -------
    Reading
        The frames of all sets, in order.

    Raises
    ------
    BadInputError
        Names the file and what is wrong with it.
    """
    for name in ("type.raw", "type_map.raw"):
        if not (folder / name).is_file():
            raise BadInputError(f"{name} is missing")
    symbols = (folder / "type_map.raw").read_text().split()
    elements = element_numbers(symbols, "type_map.raw")
    try:
        types = np.array((folder / "type.raw").read_text().split(), dtype=int)
    except ValueError as error:
        raise BadInputError(f"type.raw does not hold integers: {error}") from error
    if not types.size or types.min() < 0 or types.max() >= len(symbols):
        raise BadInputError(f"type.raw must hold indices from 0 to {len(symbols) - 1}, for {' '.join(symbols)}")
    n = types.size
    sets = sorted(path for path in folder.glob("set.*") if path.is_dir())
    if not sets:
        raise BadInputError("no set.000 folder")
    columns: dict[str, list[np.ndarray]] = {"coord": [], "box": [], "energy": [], "force": [], "virial": []}
    shapes = {"coord": (-1, n, 3), "box": (-1, 3, 3), "energy": (-1,), "force": (-1, n, 3), "virial": (-1, 3, 3)}
    with_virial = (sets[0] / "virial.npy").exists()
    for set_ in sets:
        arrays = {
            name: _load(set_ / f"{name}.npy", shape)
            for name, shape in shapes.items()
            if name != "virial" or with_virial
        }
        lengths = {name: len(array) for name, array in arrays.items()}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise BadInputError(f"the arrays of {set_.name} have different numbers of frames ({counts})")
        for name, array in arrays.items():
            columns[name].append(array)
    joined = {name: parts[0] if len(parts) == 1 else np.concatenate(parts) for name, parts in columns.items() if parts}
    if not len(joined["energy"]):
        raise BadInputError("there are no frames")
    frames = Frames(
        numbers=elements[types],
        positions=joined["coord"],
        cells=joined["box"],
        energies=joined["energy"],
        forces=joined["force"],
        virials=joined.get("virial"),
    )
    return Reading([frames])
