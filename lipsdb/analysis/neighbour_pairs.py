"""Pairs of atoms within a cutoff, with all periodic images, exact in small and skewed cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray
from lipsdb.errors import BadInputError


@dataclass(frozen=True)
class NeighbourPairs:
    """Pairs of atoms within a cutoff in one frame, sorted by the centre."""

    centre: IntArray  # (n_pairs,) row in the centres given
    neighbour: IntArray  # (n_pairs,) row in the neighbours given
    shift: IntArray  # (n_pairs, 3) cell vectors to add to ``r_neighbour - r_centre`` of the positions given
    vector: FloatArray  # (n_pairs, 3) Å, from the centre to this image of the neighbour
    distance: FloatArray  # (n_pairs,) Å


def neighbour_pairs(
    position: ArrayLike, cell: ArrayLike, centres: ArrayLike, neighbours: ArrayLike, cutoff: float
) -> NeighbourPairs:
    """Neighbours within a cutoff in Å of each centre in one frame, all periodic images among them.

    Parameters
    ----------
    position : (n_atoms, 3) array, Å
        Wrapped or not.
    cell : (3, 3) array, Å
        Rows are the cell vectors, in any orientation; periodic in all three.
    centres, neighbours : arrays of int
        Which atoms. They may overlap; an atom is not its own neighbour, but its images are.
    cutoff : float
        Largest distance, Å. It may exceed half the cell, and the cell.

    Returns
    -------
    NeighbourPairs

    Raises
    ------
    BadInputError
        A cell without volume, or a cutoff that is not positive.

    Notes
    -----
    pymatgen's cell lists (`pymatgen.optimization.neighbors`), which are exact in small and skewed cells. freud's and
    ASE's lists take several times as long, and freud's is in single precision and wants a cell wider than two cutoffs.

    Examples
    --------
    >>> pairs = neighbour_pairs(np.zeros((1, 3)), 3.0 * np.eye(3), [0], [0], 4.3)  # simple cubic: 6 + 12
    >>> len(pairs.distance), sorted(set(pairs.distance.round(3).tolist()))
    (18, [3.0, 4.243])
    """
    from pymatgen.optimization.neighbors import find_points_in_spheres

    matrix = np.ascontiguousarray(cell, dtype=np.float64)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
        raise BadInputError("the cell has no volume or is not (3, 3); expected three independent vectors in Å")
    if not (np.isfinite(cutoff) and cutoff > 0):
        raise BadInputError(f"the cutoff is {cutoff} Å; expected a positive number")
    points = np.asarray(position, dtype=np.float64)
    first, second = np.asarray(centres, dtype=np.int64), np.asarray(neighbours, dtype=np.int64)
    periodic = np.ones(3, dtype=np.int64)
    centre, neighbour, images, distance = find_points_in_spheres(
        points[second], points[first], float(cutoff), periodic, matrix
    )
    shift = images.astype(np.int64)
    kept = (distance <= cutoff) & ((first[centre] != second[neighbour]) | shift.any(axis=1))
    centre, neighbour, shift = centre[kept], neighbour[kept], shift[kept]
    vector = points[second[neighbour]] - points[first[centre]] + shift @ matrix
    return NeighbourPairs(centre, neighbour, shift, vector, distance[kept])
