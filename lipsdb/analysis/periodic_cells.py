"""Periodic cells of a trajectory: checks, and frames as freud wants them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.trajectory_arrays import FloatArray, PositionArray
from lipsdb.errors import BadInputError

COINCIDENT_A = 1e-4  # voro++ ends the whole process when it meets two atoms within some 1e-6 Å


def checked_cells(cell: ArrayLike, n_frames: int) -> FloatArray:
    """Return one cell for each frame, refusing another shape and cells without volume.

    Parameters
    ----------
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors.
    n_frames : int
        Frames in the trajectory.

    Returns
    -------
    (n_frames, 3, 3) array, Å
        Read-only where one cell stands for all frames.

    Raises
    ------
    BadInputError
        Another shape, a value that is not finite, or a cell without volume.

    Examples
    --------
    >>> checked_cells(4.0 * np.eye(3), 10).shape
    (10, 3, 3)
    """
    cells = np.asarray(cell, dtype=np.float64)
    if cells.shape not in {(3, 3), (n_frames, 3, 3)}:
        raise BadInputError(
            f"the cell has shape {cells.shape}; expected (3, 3) or ({n_frames}, 3, 3), rows are vectors"
        )
    if _lacks_volume(cells):
        raise BadInputError(
            "the cell has no volume or a value that is not finite; expected three independent vectors in Å"
        )
    return np.broadcast_to(cells, (n_frames, 3, 3))


def checked_cell_series(cells: ArrayLike) -> FloatArray:
    """Return the cells of a run at constant pressure as an array, refusing what is not one cell for each frame.

    Parameters
    ----------
    cells : (n_frames, 3, 3) array, Å
        Rows are the cell vectors; at least one frame.

    Returns
    -------
    (n_frames, 3, 3) array, Å

    Raises
    ------
    BadInputError
        Another shape, a value that is not finite, or a cell without volume.

    Examples
    --------
    >>> checked_cell_series(np.tile(np.eye(3), (10, 1, 1))).shape
    (10, 3, 3)
    """
    vectors = np.asarray(cells, dtype=np.float64)
    if vectors.ndim != 3 or vectors.shape[1:] != (3, 3) or len(vectors) == 0:
        raise BadInputError(f"the cells have shape {vectors.shape}; expected (n_frames, 3, 3), rows are vectors, in Å")
    if _lacks_volume(vectors):
        raise BadInputError(
            "a cell has no volume or a value that is not finite; expected three independent vectors in Å; "
            "the run is broken from there on"
        )
    return vectors


def _lacks_volume(cells: FloatArray) -> bool:
    return not np.isfinite(cells).all() or bool((np.abs(np.linalg.det(cells)) < 1e-9).any())


def freud_frames(positions: PositionArray, cells: FloatArray) -> Iterator[tuple[Any, NDArray[np.float32]]]:
    """Box and wrapped positions in Å of each frame, as freud wants them.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Wrapped or not.
    cells : (n_frames, 3, 3) array, Å
        Rows are the cell vectors, of any orientation and handedness.

    Yields
    ------
    freud.box.Box, (n_atoms, 3) array of float32, Å

    Notes
    -----
    freud wants a along x, b in the xy plane and the origin in the middle. The Cholesky factor L of the metric tensor,
    ``L Lᵀ = C Cᵀ``, has such rows: the frame is turned (a left-handed one mirrored), which leaves distances and
    volumes as they are. Atoms are wrapped in float64 before freud's float32, so that unwrapped ones lose no digits.

    Examples
    --------
    >>> box, points = next(freud_frames(np.full((1, 1, 3), 6.0), np.diag([4.0, 5.0, 8.0])[None]))
    >>> box.L.tolist(), points.tolist()
    ([4.0, 5.0, 8.0], [[0.0, -1.5, 2.0]])
    """
    import freud

    for frame, cell in zip(positions, cells, strict=True):
        lower = np.linalg.cholesky(cell @ cell.T)
        (lx, _, _), (b_x, ly, _), (c_x, c_y, lz) = lower.tolist()
        fractional = frame.astype(np.float64) @ np.linalg.inv(cell)
        fractional -= np.floor(fractional) + 0.5
        box = freud.box.Box(lx, ly, lz, b_x / ly, c_x / lz, c_y / lz)
        yield box, (fractional @ lower).astype(np.float32)
