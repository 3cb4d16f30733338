"""Where a mean squared displacement is diffusive: the lags that are looked at and the window that is fitted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.trajectory_arrays import BoolArray, FloatArray, IntArray
from lipsdb.errors import BadInputError

# How far the exponent of MSD ~ t^a may be from 1 and still count as diffusion.
FICKIAN_TOLERANCE = 0.15
# The window spans at least this factor in time, and the local exponent is taken over it.
WINDOW_FACTOR = 3.0
# Where no lag qualifies, the fit starts at this fraction of the longest lag.
FALLBACK_START_FRACTION = 0.2


@dataclass(frozen=True)
class FitWindow:
    """The lags used for a fit of the MSD.

    Attributes
    ----------
    first : int
        Index of the first lag used; the last lag is always used.
    start_ps, stop_ps : float
        Lag times at both ends, ps.
    slope : float
        Log-log slope of the MSD between them, dimensionless (least squares on the lags used).
    found : bool
        True if a diffusive regime was found; False if the default start was taken for want of one.
    """

    first: int
    start_ps: float
    stop_ps: float
    slope: float
    found: bool

    @property
    def fickian(self) -> bool:
        """Whether the exponent in the window is 1 within `FICKIAN_TOLERANCE`."""
        return bool(abs(self.slope - 1.0) <= FICKIAN_TOLERANCE)


def choose_lags(n_frames: int, *, lag_count: int = 50, longest_fraction: float = 0.5) -> IntArray:
    """Lags in frames, evenly spaced in their logarithm, from 1 to a fraction of the trajectory.

    Parameters
    ----------
    n_frames : int
        Frames in the trajectory.
    lag_count : int
        Most lags wanted; rounding to whole frames leaves fewer.
    longest_fraction : float
        Longest lag over the length of the trajectory, in (0, 1).

    Returns
    -------
    (n_lags,) array of int, frames

    Raises
    ------
    BadInputError
        Settings outside their ranges, or a trajectory too short for three lags.

    Examples
    --------
    >>> choose_lags(41, lag_count=6).tolist()
    [1, 2, 3, 6, 11, 20]
    """
    if lag_count < 5 or not 0.0 < longest_fraction < 1.0:
        raise BadInputError(
            f"lag_count {lag_count} and longest_fraction {longest_fraction} are not allowed; "
            "expected at least 5 lags and a fraction between 0 and 1"
        )
    longest = int((n_frames - 1) * longest_fraction)
    if longest < 5:
        raise BadInputError(
            f"the longest lag is {longest} frames ({longest_fraction:g} of {n_frames} frames); at least 5 are needed; "
            "write frames more often or raise longest_fraction"
        )
    lags: IntArray = np.unique(np.rint(np.geomspace(1, longest, lag_count)).astype(np.int64))
    return lags


def window_slope(lag_times: ArrayLike, msd: ArrayLike) -> float:
    """Exponent a of ``MSD ~ t^a`` by least squares on the logarithms; 0 where the MSD is not positive.

    Parameters
    ----------
    lag_times : (n_lags,) array, ps
        Positive.
    msd : (n_lags,) array, Å²
        Mean squared displacement.

    Returns
    -------
    float, dimensionless

    Examples
    --------
    >>> round(window_slope([1.0, 2.0, 4.0], [3.0, 6.0, 12.0]), 6)
    1.0
    """
    times = np.asarray(lag_times, dtype=np.float64)
    values = np.asarray(msd, dtype=np.float64)
    if times.size < 2 or (values <= 0).any():
        return 0.0
    x = np.log(times) - np.log(times).mean()
    return float(x @ np.log(values) / (x @ x))


def _qualifying(lag_times: FloatArray, msd: FloatArray, msd_std: FloatArray) -> BoolArray:
    logarithm = np.log(lag_times)
    log_msd = np.log(np.maximum(msd, np.finfo(np.float64).tiny))
    ahead = logarithm + np.log(WINDOW_FACTOR)
    spans = ahead <= logarithm[-1] + 1e-9
    # Exponent from t to 3t and, in the same unit, the statistical error of the MSD at 3t.
    local = (np.interp(ahead, logarithm, log_msd) - log_msd) / np.log(WINDOW_FACTOR)
    relative_std = msd_std / np.maximum(msd, np.finfo(np.float64).tiny)
    noise = np.interp(ahead, logarithm, relative_std) / np.log(WINDOW_FACTOR)
    deviation = np.abs(local - 1.0)
    steady = (deviation <= FICKIAN_TOLERANCE + 2.0 * noise) | ~spans
    stays = np.logical_and.accumulate(steady[::-1])[::-1]
    overall = np.array([window_slope(lag_times[first:], msd[first:]) for first in range(lag_times.size)])
    qualifying: BoolArray = (
        spans & stays & (msd > 0) & (deviation <= FICKIAN_TOLERANCE) & (np.abs(overall - 1.0) <= FICKIAN_TOLERANCE)
    )
    return qualifying


def select_fit_window(
    lag_times: FloatArray, msd: FloatArray, *, msd_std: FloatArray | None = None, start_ps: float | None = None
) -> FitWindow:
    """Choose where the straight line is fitted to the MSD.

    Parameters
    ----------
    lag_times : (n_lags,) array, ps
        Positive and increasing.
    msd : (n_lags,) array, Å²
        Total mean squared displacement.
    msd_std : (n_lags,) array, Å², optional
        Its standard deviation, zero if not given.
    start_ps : float, optional
        Start wanted; the rule below is then not applied and `FitWindow.found` says whether it would have qualified.

    Returns
    -------
    FitWindow

    Raises
    ------
    BadInputError
        A start that leaves fewer than three lags.

    Notes
    -----
    The window ends at the longest lag. It starts at the smallest lag t for which the MSD grows as ``t^a`` with
    ``|a - 1| ≤ 0.15`` both from t to 3t and from t to the end, 3t being not beyond the end, and for which the exponent
    from any later t' to 3t' stays in that range, widened by two standard deviations of its noise. The last condition
    keeps the crossing from ballistic motion (a = 2) to the vibrational plateau (a ≈ 0) from being taken for
    diffusion. If no lag qualifies the fit starts at a fifth of the longest lag and `FitWindow.found` is False.

    Examples
    --------
    >>> times = np.arange(1.0, 31.0)
    >>> select_fit_window(times, 6.0 * times).start_ps
    1.0
    >>> select_fit_window(times, times**2).found
    False
    """
    stop = float(lag_times[-1])
    qualifying = _qualifying(lag_times, msd, np.zeros_like(msd) if msd_std is None else msd_std)
    if start_ps is not None:
        first = int(np.searchsorted(lag_times, start_ps * (1.0 - 1e-9)))
        if not start_ps > 0 or lag_times.size - first < 3:
            raise BadInputError(
                f"the fit cannot start at {start_ps} ps; expected a time above 0 that leaves three lags, "
                f"so at most {lag_times[-3]:g} ps; start earlier or run longer"
            )
        found = bool(qualifying[first])
    else:
        found = bool(qualifying.any())
        fallback = min(int(np.searchsorted(lag_times, FALLBACK_START_FRACTION * stop)), lag_times.size - 3)
        first = int(np.argmax(qualifying)) if found else fallback
    slope = window_slope(lag_times[first:], msd[first:])
    return FitWindow(first, float(lag_times[first]), stop, slope, found)
