"""Neighbours of each atom within a cutoff, in periodic cells of any shape and size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.errors import BadInputError


@dataclass(frozen=True)
class Neighbours:
    """Pairs of atoms by centre: those of atom i stand at first[i] … first[i + 1] - 1.

    Attributes
    ----------
    first : (n_atoms + 1,) int32 array
    index : (n_pairs,) int32 array
        The neighbour j.
    shifts : (n_pairs, 3) int32 array
        Whole cell vectors that are added to the position of j.
    vectors : (n_pairs, 3) float64 array, Å
        From i to (the image of) j.
    """

    first: NDArray[np.int32]
    index: NDArray[np.int32]
    shifts: NDArray[np.int32]
    vectors: NDArray[np.float64]

    @property
    def centre(self) -> NDArray[np.int32]:
        """The atom i of each pair, (n_pairs,)."""
        return np.repeat(np.arange(self.first.size - 1, dtype=np.int32), np.diff(self.first))


def neighbour_list(positions: ArrayLike, cell: ArrayLike, cutoff_A: float) -> Neighbours:
    """All pairs of atoms, with their periodic images, that are not farther apart than the cutoff.

    Parameters
    ----------
    positions : (n_atoms, 3) array, Å
        Inside or outside of the cell.
    cell : (3, 3) array, Å
        Cell vectors as rows; periodic in all three directions. A cell smaller than the cutoff gives an atom several
        images of the same neighbour, and images of itself.
    cutoff_A : float, Å

    Returns
    -------
    Neighbours
        Each pair twice, as (i, j) and (j, i).

    Raises
    ------
    BadInputError
        If a shape is wrong, a value is not finite or the cell has no volume.

    Examples
    --------
    >>> simple_cubic = neighbour_list([[0.0, 0.0, 0.0]], 3.0 * np.eye(3), cutoff_A=3.5)
    >>> simple_cubic.first.tolist(), sorted(map(tuple, simple_cubic.vectors.tolist()))[0]
    ([0, 6], (-3.0, 0.0, 0.0))
    """
    from vesin import NeighborList

    positions = np.ascontiguousarray(positions, dtype=np.float64)
    cell = np.ascontiguousarray(cell, dtype=np.float64)
    check_frame(positions, cell)
    search = NeighborList(cutoff=cutoff_A, full_list=True, sorted=True, n_threads=1)
    pairs, shifts, vectors = search.compute(positions, cell, True, "PSD")
    return Neighbours(
        first=np.searchsorted(pairs[:, 0], np.arange(len(positions) + 1)).astype(np.int32),
        index=pairs[:, 1].astype(np.int32),
        shifts=shifts,
        vectors=vectors,
    )


def half_list(
    positions: NDArray[np.float64], cell: NDArray[np.float64], cutoff_A: float
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Each pair once and in any order, which is quicker: (n_pairs, 2) atoms i and j, and (n_pairs, 3) shifts of j."""
    from vesin import NeighborList

    search = NeighborList(cutoff=cutoff_A, full_list=False, n_threads=1)
    pairs, shifts = search.compute(positions, cell, True, "PS")
    return pairs.astype(np.int64), shifts


def check_frame(positions: NDArray[np.float64], cell: NDArray[np.float64]) -> None:
    """Refuse arrays of a wrong shape or with values that are not finite, and a flat cell."""
    if positions.ndim != 2 or positions.shape[1] != 3 or cell.shape != (3, 3):
        raise BadInputError(
            f"positions have shape {positions.shape} and the cell {cell.shape}: give (n_atoms, 3) and (3, 3), in Å."
        )
    if not (np.isfinite(positions).all() and np.isfinite(cell).all()):
        raise BadInputError("a position or cell vector is not finite: leave that frame out.")
    if abs(np.linalg.det(cell)) < 1e-6:
        raise BadInputError(f"the cell {cell.tolist()} has no volume: give three independent cell vectors, in Å.")
