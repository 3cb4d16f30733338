"""Which atoms moved how far during a short window, and from where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.displacement import checked_lags
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, blocks, checked_positions
from lipsdb.errors import BadInputError


@dataclass(frozen=True, eq=False)
class DisplacementMap:
    """Displacement of every atom over a window, from several origins.

    Attributes
    ----------
    window : int, frames
    origins : (n_origins,) array of int, frames
    starts : (n_origins, n_atoms, 3) array, Å
        Positions at the origins.
    distances : (n_origins, n_atoms) array, Å
        Length of the displacement over the window.
    """

    window: int
    origins: IntArray
    starts: FloatArray
    distances: FloatArray

    @property
    def time_averaged(self) -> FloatArray:
        """Displacement in Å of each atom averaged over the origins, of shape (n_atoms,)."""
        mean: FloatArray = self.distances.mean(axis=0)
        return mean

    def mobile_fraction(self, threshold: float) -> FloatArray:
        """Fraction (dimensionless) of the atoms that moved by more than a threshold in Å, of shape (n_origins,)."""
        if not (np.isfinite(threshold) and threshold >= 0):
            raise BadInputError(f"the threshold is {threshold} Å; expected 0 or more, such as 4 Å")
        fraction: FloatArray = (self.distances > threshold).mean(axis=1)
        return fraction


def displacement_map(
    positions: ArrayLike, window: int, *, origins: Sequence[int] | ArrayLike | None = None
) -> DisplacementMap:
    """Length in Å of each atom's displacement over a window, with where it started.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        Equally spaced in time, drift removed.
    window : int, frames
        At least 1.
    origins : sequence of int, frames, optional
        First frames of the windows; one window after another, without overlap, if not given.

    Returns
    -------
    DisplacementMap

    Raises
    ------
    BadInputError
        Positions of the wrong shape or not finite; a window or an origin outside the trajectory.

    Notes
    -----
    ``|r_i(t₀+Δt) - r_i(t₀)|`` with Δt of 10 ps in the study, where 4 Å or more is called mobile.

    References
    ----------
    Fig. 2c of doi:10.1038/s41467-025-56322-x.

    Examples
    --------
    >>> straight = np.arange(5.0)[:, None, None] * np.array([[0.6, 0.8, 0.0], [0.0, 0.0, 3.0]])
    >>> moved = displacement_map(straight, 2)
    >>> moved.origins.tolist(), moved.distances.tolist(), moved.mobile_fraction(4.0).tolist()
    ([0, 2], [[2.0, 6.0], [2.0, 6.0]], [0.5, 0.5])
    """
    array = checked_positions(positions)
    n_frames, n_atoms, _ = array.shape
    checked_lags([window], n_frames, shortest=1)
    last = n_frames - 1 - window
    wanted = np.arange(0, last + 1, window) if origins is None else np.asarray(origins)
    whole = wanted.ndim == 1 and wanted.size > 0 and np.issubdtype(wanted.dtype, np.integer)
    if not whole or wanted.min() < 0 or wanted.max() > last:
        raise BadInputError(
            f"origins {np.array2string(wanted, threshold=6)} are not allowed; expected frames from 0 to {last}, "
            f"{window} frames before the last of {n_frames}"
        )
    starts = array[wanted].astype(np.float64)
    distances = np.empty((wanted.size, n_atoms))
    for some in blocks(wanted.size, 4 * 8 * array[0].size):
        steps = array[wanted[some] + window] - starts[some]
        distances[some] = np.sqrt(np.einsum("oac,oac->oa", steps, steps))
    return DisplacementMap(window=int(window), origins=wanted.astype(np.int64), starts=starts, distances=distances)
