"""LAMMPS' DCD dumps, written while a simulation runs: of fixed frame size, so that a torn end is cut by arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import RefusedError
from lipsdb.md.trajectory import Trajectory, cell_from_parameters

_HEADER_BYTES = 276
_BLOCK_BYTES = 32 * 2**20


@dataclass(frozen=True)
class DcdDump:
    """The whole frames of one DCD dump of LAMMPS; a torn last frame is left out.

    Attributes
    ----------
    path : Path
        The file.
    n_atoms, n_frames : int
        Atoms a frame, whole frames in the file.
    first_step : int
        Step of the first frame.
    interval : int
        Steps between frames.
    """

    path: Path
    n_atoms: int
    n_frames: int
    first_step: int
    interval: int


def _frame_dtype(n_atoms: int) -> np.dtype[np.void]:
    axis = [("head", "<i4"), ("values", "<f4", (n_atoms,)), ("tail", "<i4")]
    return np.dtype([("cell", [("head", "<i4"), ("values", "<f8", (6,)), ("tail", "<i4")]), ("xyz", axis, (3,))])


def open_dcd(path: str | Path) -> DcdDump:
    """Read the header of a DCD dump; a file without a whole header has no frames.

    Raises
    ------
    RefusedError
        If the file is not a DCD dump of LAMMPS.
    """
    path = Path(path)
    size = path.stat().st_size if path.exists() else 0
    if size < _HEADER_BYTES:
        return DcdDump(path, 0, 0, 0, 1)
    with path.open("rb") as stream:
        header = stream.read(_HEADER_BYTES)
    if header[4:8] != b"CORD" or header[:4] != b"\x54\x00\x00\x00":
        raise RefusedError(f"{path.name} is not a little-endian DCD dump; run the simulation again in an empty folder")
    words = np.frombuffer(header, dtype="<i4")
    n_atoms = int(words[67])
    n_frames = (size - _HEADER_BYTES) // _frame_dtype(n_atoms).itemsize
    return DcdDump(path, n_atoms, n_frames, first_step=int(words[3]), interval=int(words[4]))


def read_dcd_blocks(
    dump: DcdDump, n_frames: int, *, time_zero_step: int, timestep_ps: float, first_frame: int = 0
) -> Iterator[Trajectory]:
    """Frames `first_frame` … `n_frames` − 1 of a dump, in blocks of bounded memory.

    Parameters
    ----------
    dump : DcdDump
        What :func:`open_dcd` returned.
    n_frames : int
        Where to stop.
    time_zero_step : int
        The step at time zero.
    timestep_ps : float
        Timestep, ps.
    first_frame : int
        Where to begin.

    Yields
    ------
    Trajectory
        Times in ps, unwrapped positions in Å, cells in Å (LAMMPS' orientation).
    """
    dtype = _frame_dtype(dump.n_atoms)
    if n_frames <= first_frame:
        return
    frames = np.memmap(dump.path, dtype=dtype, mode="r", offset=_HEADER_BYTES, shape=(dump.n_frames,))
    per_block = max(1, _BLOCK_BYTES // dtype.itemsize)
    for begin in range(first_frame, n_frames, per_block):
        block = frames[begin : min(begin + per_block, n_frames)]
        steps = dump.first_step + dump.interval * np.arange(begin, begin + len(block), dtype=np.int64)
        yield Trajectory(
            time=np.asarray((steps - time_zero_step) * timestep_ps, dtype=np.float64),
            positions=np.ascontiguousarray(block["xyz"]["values"].transpose(0, 2, 1)),
            cell=_cells(block["cell"]["values"]),
        )


def _cells(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    # LAMMPS writes a, cos γ, b, cos β, cos α, c.
    lengths = parameters[:, [0, 2, 5]]
    cosines = parameters[:, [4, 3, 1]]
    return cell_from_parameters(lengths, cosines)
