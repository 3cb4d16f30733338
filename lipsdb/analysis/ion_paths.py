"""Paths of single ions, ready to be drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.periodic_cells import checked_cells
from lipsdb.analysis.regions import checked_drift
from lipsdb.analysis.trajectory_arrays import BoolArray, FloatArray, IntArray, blocks, checked_mask, checked_positions
from lipsdb.errors import BadInputError


@dataclass(frozen=True, eq=False)
class IonPaths:
    """Paths of some ions.

    Attributes
    ----------
    ions : (n_ions,) array of int
        Their indices in the trajectory, in the order asked for.
    frames : (n_points,) array of int
        Frames of the points.
    unwrapped : (n_points, n_ions, 3) array, Å
        Positions, smoothed if asked for, as a continuous path.
    wrapped : (n_points, n_ions, 3) array, Å
        The same within the cell of each frame.
    crossings : (n_points, n_ions) array of bool
        True where the wrapped path comes in from another image: no line is drawn to there from the point before.
    """

    ions: IntArray
    frames: IntArray
    unwrapped: FloatArray
    wrapped: FloatArray
    crossings: BoolArray


def most_mobile(positions: ArrayLike, mask: ArrayLike, count: int, *, drift: ArrayLike | None = None) -> IntArray:
    """Indices of the ions that get farthest from where they start, the farthest first (dimensionless).

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        All atoms.
    mask : (n_atoms,) array of bool
        The ions to choose from: a species, in a region by ``region_mask(...)[0]`` (at the start) or `share_mask` (most
        of the time).
    count : int
        How many; all of them if there are fewer.
    drift : (n_frames, 3) array, Å, optional
        Of the framework, subtracted; see `lipsdb.analysis.displacement.framework_drift`.

    Returns
    -------
    (n_ions,) array of int

    Raises
    ------
    BadInputError
        Arrays that do not fit together, a mask that selects nothing, or a count below 1.

    Notes
    -----
    Ranked by ``max_k |r_i(k) - r_i(0)|``, so that an ion that went and came back counts. Of equal ones the first comes
    first.

    Examples
    --------
    >>> positions = np.zeros((2, 3, 3))
    >>> positions[1, :, 0] = [1.0, 5.0, 3.0]
    >>> most_mobile(positions, [True, True, True], 2).tolist()
    [1, 2]
    """
    array = checked_positions(positions)
    chosen = np.flatnonzero(checked_mask(mask, array.shape[1], "ion"))
    if count < 1:
        raise BadInputError(f"{count} ions are not allowed; expected at least 1")
    shift = checked_drift(drift, len(array))
    start = array[0, chosen].astype(np.float64) - shift[0]
    farthest = np.zeros(chosen.size)
    for frames in blocks(len(array), 8 * 3 * 3 * chosen.size):
        away = array[frames][:, chosen].astype(np.float64) - shift[frames, None] - start
        np.maximum(farthest, np.einsum("fac,fac->fa", away, away).max(axis=0), out=farthest)
    order = np.argsort(-farthest, kind="stable")
    result: IntArray = chosen[order[:count]].astype(np.int64)
    return result


def ion_paths(
    positions: ArrayLike,
    cell: ArrayLike,
    ions: ArrayLike,
    *,
    stride: int = 1,
    smoothing_frames: int = 1,
    drift: ArrayLike | None = None,
) -> IonPaths:
    """Paths of single ions in Å, continuous and wrapped into the cell.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        All atoms.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic.
    ions : (n_ions,) array of int
        Indices of the atoms wanted, as from `most_mobile`.
    stride : int
        Frames from one point to the next.
    smoothing_frames : int
        Each point is the mean over this many frames around it, an odd number, fewer at both ends; 1 for none. It takes
        away vibrations, and shortens quick hops.
    drift : (n_frames, 3) array, Å, optional
        Of the framework, subtracted; see `lipsdb.analysis.displacement.framework_drift`.

    Returns
    -------
    IonPaths

    Raises
    ------
    BadInputError
        Arrays that do not fit together, atoms that do not exist, or a stride or smoothing outside its range.

    Notes
    -----
    ``wrapped = r - h · floor(r · h⁻¹)`` with the rows of the cell h of that frame: fractional coordinates in [0, 1)
    but for rounding.

    References
    ----------
    doi:10.1038/s41467-025-56322-x, figure 3e.

    Examples
    --------
    >>> positions = np.array([1.0, 3.5, 4.5])[:, None, None] * np.array([1.0, 0.0, 0.0])
    >>> paths = ion_paths(positions, 4.0 * np.eye(3), [0])
    >>> paths.wrapped[:, 0, 0].tolist(), paths.crossings[:, 0].tolist()
    ([1.0, 3.5, 0.5], [False, False, True])
    """
    array = checked_positions(positions, minimum_frames=1)
    n_frames, n_atoms, _ = array.shape
    chosen = _checked_ions(ions, n_atoms)
    if not stride >= 1 or smoothing_frames < 1 or smoothing_frames % 2 == 0:
        raise BadInputError(
            f"stride {stride} and smoothing over {smoothing_frames} frames are not allowed; "
            "expected at least 1 and an odd number"
        )
    cells = checked_cells(cell, n_frames)
    frames = np.arange(0, n_frames, stride)
    path = array[:, chosen].astype(np.float64) - checked_drift(drift, n_frames)[:, None]
    unwrapped = _smoothed(path, smoothing_frames)[frames]
    cells = cells[frames]
    image = np.floor(unwrapped @ np.linalg.inv(cells))
    crossings = np.zeros(image.shape[:2], dtype=np.bool_)
    crossings[1:] = (image[1:] != image[:-1]).any(axis=2)
    return IonPaths(chosen, frames, unwrapped, unwrapped - image @ cells, crossings)


def _smoothed(path: FloatArray, width: int) -> FloatArray:
    """Centred running mean over frames; near both ends over those that there are."""
    half = width // 2
    sums = np.concatenate([np.zeros((1, *path.shape[1:])), np.cumsum(path - path[0], axis=0)])
    here = np.arange(len(path))
    first, last = np.maximum(here - half, 0), np.minimum(here + half + 1, len(path))
    smooth: FloatArray = path[0] + (sums[last] - sums[first]) / (last - first)[:, None, None]
    return path if width == 1 else smooth


def _checked_ions(ions: ArrayLike, n_atoms: int) -> IntArray:
    array: NDArray[Any] = np.asarray(ions)
    integral = array.ndim == 1 and array.size > 0 and np.issubdtype(array.dtype, np.integer)
    if not integral or array.min() < 0 or array.max() >= n_atoms:
        raise BadInputError(
            f"ions {np.array2string(array, threshold=6)} are not allowed; "
            f"expected indices of atoms from 0 to {n_atoms - 1}"
        )
    return array.astype(np.int64)
