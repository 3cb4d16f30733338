"""Types of the arrays that make a trajectory, and the checks that they are one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.errors import BadInputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def checked_positions(positions: ArrayLike, *, minimum_frames: int = 2) -> FloatArray:
    """Return positions as float64, refusing what is not a trajectory.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Anything numpy can read.
    minimum_frames : int
        Fewest frames allowed.

    Returns
    -------
    (n_frames, n_atoms, 3) array of float64, Å
        The same memory where no conversion is needed.

    Raises
    ------
    BadInputError
        Wrong shape, too few frames, no atoms, or a value that is not finite.
    """
    array = np.asarray(positions, dtype=np.float64)
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
    finite = np.isfinite(array).all(axis=(1, 2))
    if not finite.all():
        raise BadInputError(
            f"frame {int(np.argmin(finite))} of {array.shape[0]} has a position that is NaN or infinite; "
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
