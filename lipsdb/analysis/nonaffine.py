"""Non-affine displacements: what is left of the motion around an atom after the best local strain is taken out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.neighbour_pairs import NeighbourPairs, neighbour_pairs
from lipsdb.analysis.periodic_cells import checked_cells
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, checked_mask, checked_positions
from lipsdb.errors import BadInputError

SINGULAR = 1e-10  # of the largest eigenvalue: below it the neighbours are taken to lie in a plane or on a line


@dataclass(frozen=True)
class NonaffineDisplacement:
    """Non-affine squared displacements of the chosen atoms over windows of a trajectory.

    Attributes
    ----------
    start : (n_windows,) array of int
        First frame of each window.
    window : int
        Length of each, frames.
    squared : (n_windows, n_centres) array, Å²
        D²_min.
    neighbours : (n_windows, n_centres) array of int
        Neighbours that the strain was fitted to. With three or fewer D²_min is 0 and says nothing.
    """

    start: IntArray
    window: int
    squared: FloatArray
    neighbours: IntArray


def _residual(pairs: NeighbourPairs, change: FloatArray, n_centres: int) -> tuple[FloatArray, IntArray]:
    """Σ |change - E vector|² of each centre with its best E, and its number of neighbours."""
    from scipy.sparse import csr_array

    number = np.bincount(pairs.centre, minlength=n_centres)
    starts = np.concatenate([[0], np.cumsum(number)])
    total = csr_array((np.ones(len(change)), np.arange(len(change)), starts), shape=(n_centres, len(change)))
    squares = total @ (pairs.vector[:, :, None] * pairs.vector[:, None, :]).reshape(-1, 9)
    products = total @ (change[:, :, None] * pairs.vector[:, None, :]).reshape(-1, 9)
    inverse = np.linalg.pinv(squares.reshape(-1, 3, 3), rcond=SINGULAR, hermitian=True)
    strain = products.reshape(-1, 3, 3) @ inverse
    rest = change - np.einsum("pij,pj->pi", strain[pairs.centre], pairs.vector)
    return total @ np.einsum("pi,pi->p", rest, rest), number


def nonaffine_squared_displacement(
    positions: ArrayLike,
    cell: ArrayLike,
    centre_mask: ArrayLike,
    neighbour_mask: ArrayLike,
    *,
    cutoff: float,
    window: int,
    stride: int | None = None,
    average: bool = False,
) -> NonaffineDisplacement:
    """Non-affine squared displacement D²_min in Å² of each centre over each window of frames.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        A mapped file is read two frames at a time.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic, periodic in all three.
    centre_mask, neighbour_mask : (n_atoms,) arrays of bool
        The atoms whose D²_min is wanted (Li), and those that it is measured against (all atoms, or the framework).
    cutoff : float
        Largest distance of a neighbour in the first frame of the window, Å; all images count.
    window : int
        From frame k to frame k + window.
    stride : int, optional
        From one window's first frame to the next one's; `window` if not given, so that they follow one another.
    average : bool
        Divide by the number of neighbours; not in Falk and Langer's definition.

    Returns
    -------
    NonaffineDisplacement

    Raises
    ------
    BadInputError
        Arrays that do not fit together, a cutoff that is not positive, or a window or stride outside the trajectory.

    Notes
    -----
    ``D²_min(i) = min_J Σ_j |r_ij(k+m) - J r_ij(k)|²`` over the neighbours j in frame k, followed to frame k + m in the
    image that they had. The minimum is ``J = W V⁻¹``, ``W = Σ_j r_ij(k+m) r_ij(k)ᵀ``, ``V = Σ_j r_ij(k) r_ij(k)ᵀ``; it
    is applied to the change of r_ij, so that rounding stays small. Where neighbours lie in a plane or on a line the
    pseudoinverse gives the same minimum (J is then not unique). Rotation, translation and homogeneous strain, that of a
    fluctuating cell among them, drop out. The study does not say which atoms are neighbours, within which cutoff, nor
    whether the sum is divided by their number; see `cutoff`, `neighbour_mask` and `average`.

    References
    ----------
    Lithium thiophosphate study (disorder), Methods, "Machine learning classification"; M. L. Falk and J. S. Langer,
    Phys. Rev. E 57, 7192 (1998), doi:10.1103/PhysRevE.57.7192, eqs. 2.11-2.14.

    Examples
    --------
    >>> corners = np.array([[i, j, k] for i in range(3) for j in range(3) for k in range(3)], dtype=float)
    >>> sheared = corners @ np.array([[1.1, 0, 0], [0.2, 1, 0], [0, 0, 1]])
    >>> cells = 3.0 * np.array([np.eye(3), [[1.1, 0, 0], [0.2, 1, 0], [0, 0, 1]]])
    >>> everything = np.full(27, True)
    >>> result = nonaffine_squared_displacement(
    ...     np.stack([corners, sheared]), cells, everything, everything, cutoff=1.5, window=1
    ... )
    >>> bool(result.squared.max() < 1e-20), result.neighbours[0, 0].item()
    (True, 18)
    """
    array = checked_positions(positions)
    n_frames, n_atoms, _ = array.shape
    centres = np.flatnonzero(checked_mask(centre_mask, n_atoms, "centre"))
    others = np.flatnonzero(checked_mask(neighbour_mask, n_atoms, "neighbour"))
    cells = checked_cells(cell, n_frames)
    step = window if stride is None else stride
    if not (0 < window < n_frames and step > 0):
        raise BadInputError(
            f"windows of {window} frames every {step} frames of {n_frames}; expected a window from 1 to "
            f"{n_frames - 1} and a stride of at least 1; run longer or take shorter windows"
        )
    start = np.arange(0, n_frames - window, step, dtype=np.int64)
    squared = np.empty((len(start), len(centres)))
    number = np.empty(squared.shape, dtype=np.int64)
    for row, first in enumerate(start.tolist()):
        pairs = neighbour_pairs(array[first], cells[first], centres, others, cutoff)
        last = first + window
        end = array[last].astype(np.float64)
        change = end[others[pairs.neighbour]] - end[centres[pairs.centre]] + pairs.shift @ cells[last] - pairs.vector
        squared[row], number[row] = _residual(pairs, change, len(centres))
    if average:
        squared /= np.maximum(number, 1)
    return NonaffineDisplacement(start, window, squared, number)


def cumulative_nonaffine_displacement(squared: ArrayLike, *, increments: int | None = None) -> FloatArray:
    """Cumulative non-affine displacement D_cum in Å of each atom over blocks of consecutive windows.

    Parameters
    ----------
    squared : (n_windows, n_atoms) array, Å²
        D²_min over windows that follow one another (no `stride` in `nonaffine_squared_displacement`).
    increments : int, optional
        Windows in a block; all of them if not given. Windows left over at the end are not used.

    Returns
    -------
    (n_blocks, n_atoms) array, Å
        Block b starts with window ``b * increments``.

    Raises
    ------
    BadInputError
        Values below 0 or not finite, or a block longer than there are windows.

    Notes
    -----
    ``D_cum(i) = Σ_k sqrt(D²_min(i; k, k+m))``. Vibrations add to each increment, so that D_cum grows with the number of
    increments for an ion at rest too: thresholds hold for one window, number of increments and temperature.

    References
    ----------
    Lithium thiophosphate study (disorder), Methods, "Machine learning classification", and Fig. S16.

    Examples
    --------
    >>> cumulative_nonaffine_displacement([[1.0], [4.0], [9.0]], increments=2).tolist()
    [[3.0]]
    """
    values = np.asarray(squared, dtype=np.float64)
    if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all() or values.min() < 0:
        raise BadInputError(
            f"D²_min of shape {values.shape}; expected (n_windows, n_atoms) finite values of 0 or more, in Å²"
        )
    length = len(values) if increments is None else increments
    if not 0 < length <= len(values):
        raise BadInputError(
            f"blocks of {length} windows of {len(values)}; expected 1 to {len(values)}; run longer or shorten windows"
        )
    n_blocks = len(values) // length
    roots = np.sqrt(values[: n_blocks * length]).reshape(n_blocks, length, -1)
    total: FloatArray = roots.sum(axis=1)
    return total
