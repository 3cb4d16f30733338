"""How the mean squared displacement grows: its local exponent with an error, and where it becomes diffusive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.displacement import checked_lags, loglog_slope
from lipsdb.analysis.displacement_moments import displacement_moments, jackknife_std
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, checked_positions

GROUPS = 10  # of atoms, for the uncertainty


@dataclass(frozen=True, eq=False)
class MSDExponent:
    """Mean squared displacement and its local exponent against lag.

    Attributes
    ----------
    lags : (n_lags,) array of int, frames
    msd : (n_lags, 4) array, Å²
        Along x, y, z, and in total.
    msd_std : (n_lags, 4) array, Å²
        Standard error, from groups of atoms; NaN for a single group.
    exponent : (n_lags,) array, dimensionless
        ``d ln MSD / d ln t`` of the total.
    exponent_std : (n_lags,) array, dimensionless
        Standard error, likewise.
    """

    lags: IntArray
    msd: FloatArray
    msd_std: FloatArray
    exponent: FloatArray
    exponent_std: FloatArray


def msd_with_exponent(
    positions: ArrayLike,
    lags: Sequence[int] | ArrayLike,
    *,
    smoothing_factor: float = 1.5,
    n_groups: int | None = None,
    threads: int | None = None,
) -> MSDExponent:
    """Mean squared displacement in Å² and its local exponent (dimensionless), both with standard errors.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        Equally spaced in time, drift removed.
    lags : sequence of int, frames
        At least two, from 1, increasing.
    smoothing_factor : float
        Of `lipsdb.analysis.displacement.loglog_slope`.
    n_groups : int, optional
        Consecutive groups of atoms for the uncertainty; 10, or one an atom if there are fewer atoms, if not given.
    threads : int, optional
        The number of cores, at most 2, if not given. The result does not depend on it.

    Returns
    -------
    MSDExponent

    Raises
    ------
    BadInputError
        Positions of the wrong shape or not finite; lags outside the trajectory, too few, or not increasing.

    Notes
    -----
    The standard errors are the jackknife over groups of atoms: all is computed again without each group in turn. Atoms
    that move in concert across groups make the true error larger.

    References
    ----------
    Equation (10) and Fig. S5d-f of doi:10.1038/s41467-025-56322-x.

    Examples
    --------
    >>> walk = np.random.default_rng(1).normal(size=(300, 60, 3)).cumsum(axis=0)
    >>> found = msd_with_exponent(walk, [1, 2, 4, 8, 16])
    >>> bool((np.abs(found.exponent - 1.0) < 4 * found.exponent_std).all()), bool((found.exponent_std < 0.1).all())
    (True, True)
    """
    array = checked_positions(positions)
    wanted = checked_lags(lags, len(array), shortest=1)
    groups = min(GROUPS, array.shape[1]) if n_groups is None else n_groups
    moments = displacement_moments(array, wanted, n_groups=groups, threads=threads)
    weights = (moments.n_atoms / moments.n_atoms.sum())[:, None, None]
    parts = weights * np.concatenate([moments.squares, moments.squares.sum(axis=2, keepdims=True)], axis=2)
    msd: FloatArray = parts.sum(axis=0)
    exponent = loglog_slope(wanted, msd[:, 3], factor=smoothing_factor)
    if groups == 1:
        return MSDExponent(wanted, msd, np.full(msd.shape, np.nan), exponent, np.full(exponent.shape, np.nan))
    left = (msd - parts) / (1.0 - weights)  # leaving out a group also leaves its weight out
    exponents = np.array([loglog_slope(wanted, row[:, 3], factor=smoothing_factor) for row in left])
    return MSDExponent(wanted, msd, jackknife_std(left), exponent, jackknife_std(exponents))


def diffusive_from(lag_times: ArrayLike, exponent: ArrayLike, *, reached: float = 0.9) -> float | None:
    """First lag time in ps at which the exponent of the MSD comes near 1, or None if it does not.

    Parameters
    ----------
    lag_times : (n_lags,) array, ps
        Increasing.
    exponent : (n_lags,) array, dimensionless
        From `msd_with_exponent`; NaN is passed over.
    reached : float
        Smallest exponent that counts.

    Returns
    -------
    float or None, ps

    Notes
    -----
    Looked for from the smallest exponent on, where atoms rattle in their cages: the fall from ballistic motion
    (exponent 2) passes through 1 too, and means no diffusion.

    Examples
    --------
    >>> diffusive_from([0.1, 0.2, 1.0, 5.0, 20.0], [1.8, 0.95, 0.4, 0.7, 0.92])
    20.0
    >>> diffusive_from([0.1, 0.2], [1.0, 1.1]), diffusive_from([0.1, 0.2], [0.2, 0.5])
    (0.1, None)
    """
    times, values = np.asarray(lag_times, dtype=np.float64), np.asarray(exponent, dtype=np.float64)
    there = np.isfinite(values)
    times, values = times[there], values[there]
    if not len(values):
        return None
    lowest = 0 if values.min() >= reached else int(np.argmin(values))
    near = np.flatnonzero(values[lowest:] >= reached)
    return float(times[lowest + near[0]]) if len(near) else None
