"""Non-Gaussian parameter of the displacements, a measure of dynamic heterogeneity, and its peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.displacement import checked_lags
from lipsdb.analysis.displacement_moments import displacement_moments, jackknife_std
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, checked_positions
from lipsdb.errors import BadInputError

GROUPS = 10  # of atoms, for the uncertainty
PEAK_FACTOR = 2.0  # the parabola is fitted to the lags from t*/2 to 2 t*
SMALLEST_ERROR = 1e-9  # of the peak time, relative; less is rounding


@dataclass(frozen=True, eq=False)
class NonGaussian:
    """Non-Gaussian parameter α₂ against lag.

    Attributes
    ----------
    lags : (n_lags,) array of int, frames
    alpha2 : (n_lags,) array, dimensionless
    alpha2_std : (n_lags,) array, dimensionless
        Standard error, from groups of atoms; NaN for a single group.
    leave_one_out : (n_groups, n_lags) array, dimensionless
        α₂ without each group of atoms in turn, for `non_gaussian_peak`; without rows for a single group.
    msd : (n_lags,) array, Å²
        Mean squared displacement at the same lags.
    fourth : (n_lags,) array, Å⁴
        Mean fourth power of the displacement.
    """

    lags: IntArray
    alpha2: FloatArray
    alpha2_std: FloatArray
    leave_one_out: FloatArray
    msd: FloatArray
    fourth: FloatArray


@dataclass(frozen=True)
class NonGaussianPeak:
    """Peak of the non-Gaussian parameter.

    Attributes
    ----------
    time_ps : float
        Peak time t*, ps.
    time_std_ps : float
        Its standard error, ps; NaN at the edge, without groups of atoms, or if it is below 1e-9 of t*, which is
        rounding: all groups peak at the same lag.
    height : float
        α₂ there, dimensionless.
    height_std : float
        Its standard error, dimensionless; NaN without groups of atoms.
    at_edge : bool
        True if α₂ is largest at the first or last lag: then t* is only a bound, and no peak was seen.
    """

    time_ps: float
    time_std_ps: float
    height: float
    height_std: float
    at_edge: bool

    @property
    def found(self) -> bool:
        """Whether a peak lies within the lags and stands two standard errors above 0, the value of Gaussian motion.

        Without a standard error it is not told from noise, and not found.
        """
        return bool(not self.at_edge and self.height > 0 and self.height >= 2.0 * self.height_std)


def non_gaussian_parameter(
    positions: ArrayLike,
    *,
    lags: Sequence[int] | ArrayLike | None = None,
    n_groups: int | None = None,
    threads: int | None = None,
) -> NonGaussian:
    """Non-Gaussian parameter α₂ (dimensionless) of the displacements, over all time origins and atoms.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        Equally spaced in time, drift removed.
    lags : sequence of int, frames, optional
        Lags wanted; all from 1 to ``n_frames - 1`` if not given.
    n_groups : int, optional
        Consecutive groups of atoms for the uncertainty; 10, or one an atom if there are fewer atoms, if not given.
    threads : int, optional
        The number of cores, at most 2, if not given. The result does not depend on it.

    Returns
    -------
    NonGaussian

    Raises
    ------
    BadInputError
        Positions of the wrong shape or not finite; lags outside the trajectory; atoms that do not move.

    Notes
    -----
    ``α₂(t) = 3 <Δr⁴> / (5 <Δr²>²) - 1``, which is 0 for Gaussian displacements: Brownian motion, a Maxwell gas, a
    harmonic crystal of equal sites. Walkers that differ in D have ``<D²>/<D>² - 1`` at all times. Both moments come by
    FFT, at no more cost for all lags than for few (`lipsdb.analysis.displacement_moments`).

    The standard error is the jackknife over groups of atoms. Groups that are consecutive in the trajectory often are so
    in space, so that they keep most of the correlation between neighbours; if they are different by nature (half in
    a crystal, half in a glass), the error includes that difference.

    References
    ----------
    Equation (11) with d = 3 and Figs. 2b and 3b of doi:10.1038/s41467-025-56322-x.

    Examples
    --------
    >>> steps = np.random.default_rng(1).normal(size=(200, 50, 3))
    >>> result = non_gaussian_parameter(steps.cumsum(axis=0), lags=[1, 4])
    >>> (np.abs(result.alpha2) < 3 * result.alpha2_std).tolist()
    [True, True]
    """
    array = checked_positions(positions)
    wanted = checked_lags(lags, len(array), shortest=1)
    groups = min(GROUPS, array.shape[1]) if n_groups is None else n_groups
    moments = displacement_moments(array, wanted, n_groups=groups, fourth=True, threads=threads)
    weights = (moments.n_atoms / moments.n_atoms.sum())[:, None]
    square = weights * moments.squares.sum(axis=2)
    fourth = weights * moments.fourth
    msd, fourth_power = square.sum(axis=0), fourth.sum(axis=0)
    if not (msd > 0).all():
        raise BadInputError(
            f"no atom moves over a lag of {wanted[int(np.argmin(msd))]} frames and the non-Gaussian parameter is 0/0; "
            "expected atoms in thermal motion; check that the frames differ"
        )
    # Leaving out a group also leaves its weight out.
    rest = 1.0 - weights
    left = _alpha2((msd - square) / rest, (fourth_power - fourth) / rest) if groups > 1 else np.empty((0, wanted.size))
    return NonGaussian(
        lags=wanted,
        alpha2=_alpha2(msd, fourth_power),
        alpha2_std=jackknife_std(left),
        leave_one_out=left,
        msd=msd,
        fourth=fourth_power,
    )


def _alpha2(square: FloatArray, fourth: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):  # a group left out may be the only one that moves
        result: FloatArray = 3.0 * fourth / (5.0 * square**2) - 1.0
    return result


def non_gaussian_peak(
    lag_times: ArrayLike, alpha2: ArrayLike, leave_one_out: ArrayLike | None = None
) -> NonGaussianPeak:
    """Peak time in ps and height (dimensionless) of the non-Gaussian parameter.

    Parameters
    ----------
    lag_times : (n_lags,) array, ps
        Positive and increasing, at least three; best evenly spaced in their logarithm.
    alpha2 : (n_lags,) array, dimensionless
        From `non_gaussian_parameter`.
    leave_one_out : (n_groups, n_lags) array, dimensionless, optional
        The same without each group of atoms in turn, for the uncertainty.

    Returns
    -------
    NonGaussianPeak

    Raises
    ------
    BadInputError
        Lengths that differ, fewer than three lags, or lag times that are not positive and increasing.

    Notes
    -----
    A parabola in ln t is fitted to the lags within a factor of 2 of the largest value (at least three). Its standard
    errors are the jackknife over the groups, that of the time in ln t. Few origins make long lags noisy: leave out
    those beyond half of the trajectory.

    References
    ----------
    τ_NGP, red squares in Fig. 2b of doi:10.1038/s41467-025-56322-x.

    Examples
    --------
    >>> times = np.geomspace(0.1, 100.0, 31)
    >>> peak = non_gaussian_peak(times, 0.8 - 0.1 * np.log(times / 3.0) ** 2)
    >>> round(peak.time_ps, 6), round(peak.height, 6), peak.at_edge
    (3.0, 0.8, False)
    """
    times = np.asarray(lag_times, dtype=np.float64)
    values = np.asarray(alpha2, dtype=np.float64)
    left = np.empty((0, times.size)) if leave_one_out is None else np.asarray(leave_one_out, dtype=np.float64)
    fits = times.ndim == 1 and times.size >= 3 and values.shape == times.shape and left.shape[1:] == times.shape
    if not (fits and times[0] > 0 and (np.diff(times) > 0).all() and np.isfinite(values).all()):
        raise BadInputError(
            f"lag times {np.array2string(times, threshold=6)} with values of shape {values.shape} and {left.shape}; "
            "expected at least three positive, increasing times and one finite value for each"
        )
    logarithm = np.log(times)
    position, height = _parabola_top(logarithm, values)
    tops = np.array([_parabola_top(logarithm, row) for row in left if np.isfinite(row).all()]).reshape(-1, 2)
    position_std, height_std = jackknife_std(tops).tolist()
    time = float(np.exp(position))
    at_edge = int(np.argmax(values)) in {0, times.size - 1}
    if at_edge or position_std < SMALLEST_ERROR:
        position_std = np.nan
    return NonGaussianPeak(
        time_ps=time,
        time_std_ps=time * position_std,
        height=height,
        height_std=height_std,
        at_edge=at_edge,
    )


def _parabola_top(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    top = int(np.argmax(y))
    if top in {0, len(y) - 1}:
        return float(x[top]), float(y[top])
    near = np.abs(x - x[top]) <= np.log(PEAK_FACTOR) + 1e-9
    near[top - 1 : top + 2] = True
    curvature, slope, height = np.polyfit(x[near] - x[top], y[near], 2).tolist()
    if curvature >= 0.0:
        return float(x[top]), float(y[top])
    shift = float(np.clip(-slope / (2.0 * curvature), x[near][0] - x[top], x[near][-1] - x[top]))
    return float(x[top]) + shift, height + slope * shift + curvature * shift**2
