"""Types of the arrays that make a trajectory, and the checks that they are one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.errors import BadInputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
PositionArray = NDArray[np.floating[Any]]  # of any precision and byte order: a mapped file is not copied

BLOCK_BYTES = 64 * 2**20  # of scratch memory that one block of frames or atoms may take


def blocks(number: int, bytes_each: int, limit: int | None = None) -> Iterator[slice]:
    """Consecutive slices of frames, or of atoms, with which scratch memory stays within `BLOCK_BYTES`.

    Parameters
    ----------
    number : int
        How many there are.
    bytes_each : int
        Scratch memory that each of them takes.
    limit : int, optional
        Instead of `BLOCK_BYTES`.

    Examples
    --------
    >>> list(blocks(5, BLOCK_BYTES // 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, (BLOCK_BYTES if limit is None else limit) // max(1, bytes_each))
    for start in range(0, number, step):
        yield slice(start, min(start + step, number))


def checked_positions(positions: ArrayLike, *, minimum_frames: int = 2) -> PositionArray:
    """Return positions as an array, refusing what is not a trajectory.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Anything numpy can read.
    minimum_frames : int
        Fewest frames allowed.

    Returns
    -------
    (n_frames, n_atoms, 3) array, Å
        Floating-point arrays are returned as they are, so that a trajectory in a mapped file stays there; convert to
        float64 block by block (`blocks`).

    Raises
    ------
    BadInputError
        Wrong shape, too few frames, no atoms, or a value that is not finite.
    """
    array = np.asarray(positions)
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    if array.ndim != 3 or array.shape[2] != 3 or array.shape[1] == 0:
        raise BadInputError(
            f"positions have shape {array.shape}; expected (n_frames, n_atoms, 3) with at least one atom; "
            "check how the trajectory was read"
        )
    if array.shape[0] < minimum_frames:
        raise BadInputError(
            f"the trajectory has {array.shape[0]} frames; at least {minimum_frames} are needed; "
            "run longer or write frames more often"
        )
    for frames in blocks(len(array), array[0].size):
        finite = np.isfinite(array[frames]).all(axis=(1, 2))
        if finite.all():
            continue
        first = frames.start + int(np.argmin(finite))
        raise BadInputError(
            f"frame {first} of {array.shape[0]} has a position that is NaN or infinite; "
            "all must be finite; the run is broken from there on"
        )
    return array


def checked_mask(mask: ArrayLike, n_atoms: int, name: str) -> BoolArray:
    """Return a boolean mask over atoms, refusing another shape, another type, or one that selects nothing.

    Parameters
    ----------
    mask : (n_atoms,) array of bool
        True for the atoms that are meant.
    n_atoms : int
        Number of atoms in the trajectory.
    name : str
        What the mask selects, for the message.

    Returns
    -------
    (n_atoms,) array of bool

    Raises
    ------
    BadInputError
        The mask does not fit or is empty.
    """
    array: NDArray[Any] = np.asarray(mask)
    if array.dtype != np.bool_ or array.shape != (n_atoms,):
        raise BadInputError(
            f"the {name} mask is {array.dtype} of shape {array.shape}; expected bool of shape ({n_atoms},), "
            "one value an atom"
        )
    if not array.any():
        raise BadInputError(
            f"the {name} mask selects none of {n_atoms} atoms; at least one is needed; check the species' names"
        )
    return array
