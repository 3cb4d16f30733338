"""Coordination numbers in periodic cells of any shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.periodic_cells import checked_cells
from lipsdb.analysis.trajectory_arrays import (
    BoolArray,
    FloatArray,
    IntArray,
    blocks,
    checked_mask,
    checked_positions,
)
from lipsdb.errors import BadInputError


def _image_shifts(inverse: FloatArray, cutoff: float) -> IntArray:
    # Within the cutoff a component of the fractional distance is at most cutoff / height, the height between two faces
    # being 1 / |column of the inverse|. Nearest-image components are at most 1/2, so few further images can matter.
    reach = np.linalg.norm(inverse, axis=1).max(axis=0) * cutoff
    most = np.floor(reach + 0.5 + 1e-9).astype(np.int64)
    most[reach < 0.5] = 0
    axes = [np.arange(-n, n + 1) for n in most.tolist()]
    shifts: IntArray = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return shifts


def coordination_numbers(
    positions: ArrayLike, cell: ArrayLike, centre_mask: ArrayLike, neighbour_mask: ArrayLike, cutoff: float
) -> NDArray[np.int64]:
    """Number of neighbours within a cutoff of each centre in each frame, all periodic images counted.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Wrapped or not.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic, periodic in all three.
    centre_mask, neighbour_mask : (n_atoms,) arrays of bool
        Which atoms are counted at, and which are counted. They may overlap; an atom is not its own neighbour, but its
        images are.
    cutoff : float
        Largest distance counted, Å. It may exceed half the cell.

    Returns
    -------
    (n_frames, n_centres) array of int

    Raises
    ------
    BadInputError
        Arrays that do not fit together, a cell without volume, or a cutoff that is not positive.

    Notes
    -----
    All pairs, in blocks of frames: for the hundreds of atoms of a training cell this takes less time than building a
    neighbour list for every frame. Differences are reduced to fractional components in [-1/2, 1/2); all further
    images that can lie within the cutoff are then visited, so that skewed and small cells are exact.

    Examples
    --------
    >>> atom = np.zeros((1, 1, 3))  # simple cubic: six neighbours
    >>> coordination_numbers(atom, 3.0 * np.eye(3), np.array([True]), np.array([True]), 3.1).tolist()
    [[6]]
    """
    array = checked_positions(positions, minimum_frames=1)
    n_frames, n_atoms, _ = array.shape
    centres: BoolArray = checked_mask(centre_mask, n_atoms, "centre")
    neighbours: BoolArray = checked_mask(neighbour_mask, n_atoms, "neighbour")
    cells = checked_cells(cell, n_frames)
    if not (np.isfinite(cutoff) and cutoff > 0):
        raise BadInputError(f"the cutoff is {cutoff} Å; expected a positive number")
    inverse: FloatArray = np.linalg.inv(cells).astype(np.float64)
    shifts = _image_shifts(inverse, float(cutoff))
    same = np.flatnonzero(centres)[:, None] == np.flatnonzero(neighbours)[None, :]
    counts = np.zeros((n_frames, int(centres.sum())), dtype=np.int64)
    for frames in blocks(n_frames, 8 * 12 * same.size):
        fractional = array[frames] @ inverse[frames]
        difference = fractional[:, None, neighbours] - fractional[:, centres, None]
        difference -= np.floor(difference + 0.5)
        vectors = np.einsum("fcni,fij->fcnj", difference, cells[frames])
        for shift in shifts:
            image = vectors + (shift @ cells[frames])[:, None, None]
            within = np.einsum("fcni,fcni->fcn", image, image) <= cutoff**2
            if not shift.any():
                within &= ~same
            counts[frames] += within.sum(axis=2)
    return counts


def fraction_with_coordination(counts: ArrayLike, coordination: int) -> FloatArray:
    """Fraction of the centres with exactly this coordination number in each frame, dimensionless.

    Parameters
    ----------
    counts : (n_frames, n_centres) array of int
        From `coordination_numbers`.
    coordination : int
        The number wanted: 4 for P by S in a thiophosphate.

    Returns
    -------
    (n_frames,) array, dimensionless

    Raises
    ------
    BadInputError
        Counts that are not a table of whole numbers, or a coordination below 0.

    Examples
    --------
    >>> fraction_with_coordination(np.array([[4, 4], [4, 3]]), 4).tolist()
    [1.0, 0.5]
    """
    table: NDArray[np.int64] = np.asarray(counts)
    if table.ndim != 2 or table.size == 0 or not np.issubdtype(table.dtype, np.integer) or coordination < 0:
        raise BadInputError(
            f"counts are {table.dtype} of shape {table.shape}, coordination {coordination}; "
            "expected (n_frames, n_centres) whole numbers and a coordination of 0 or more"
        )
    fraction: FloatArray = (table == coordination).mean(axis=1)
    return fraction
