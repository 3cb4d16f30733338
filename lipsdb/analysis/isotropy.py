"""Isotropy of diffusion at a grain boundary or interface: along its normal over along its plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.displacement_moments import displacement_moments
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, checked_positions
from lipsdb.errors import BadInputError

GROUPS = 20  # of atoms, for the uncertainty


@dataclass(frozen=True, eq=False)
class Isotropy:
    """Isotropy parameter ξ of diffusion, with the slopes that make it.

    Attributes
    ----------
    xi : float
        ξ, dimensionless.
    xi_std : float
        Standard error of ξ: half the width of the central 68 % of the resampled values.
    interval_95 : tuple of two floats
        Central 95 % of the resampled values.
    isotropic_interval_95 : tuple of two floats
        Where 95 % of ξ would lie for an isotropic medium, all slopes having the relative error of the largest one. ξ
        within it does not show anisotropy. Its median is below 1: the larger of two uncertain slopes is too large.
    slopes : (3,) array, Å²/ps
        Slope of the MSD along x, y, z.
    slopes_std : (3,) array, Å²/ps
        Their standard errors.
    normal_axis : int
        0, 1 or 2 for x, y, z.
    start_ps, stop_ps : float
        Shortest and longest lag time fitted, ps.
    """

    xi: float
    xi_std: float
    interval_95: tuple[float, float]
    isotropic_interval_95: tuple[float, float]
    slopes: FloatArray
    slopes_std: FloatArray
    normal_axis: int
    start_ps: float
    stop_ps: float


def diffusion_isotropy(
    positions: ArrayLike,
    frame_interval_ps: float,
    *,
    start_ps: float,
    stop_ps: float,
    rng: np.random.Generator,
    normal_axis: Literal[0, 1, 2] = 2,
    n_groups: int | None = None,
    n_resamples: int = 2000,
    threads: int | None = None,
) -> Isotropy:
    """Isotropy parameter ``ξ = m_z / max(m_x, m_y)`` (dimensionless) from slopes m of the MSD along the axes.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        Of the diffusing atoms in the region, equally spaced in time, drift removed.
    frame_interval_ps : float
        Time between frames, ps.
    start_ps, stop_ps : float
        Window of lag times to which the straight lines are fitted, ps; all lags within it are used.
    rng : numpy.random.Generator
        For the resampling.
    normal_axis : 0, 1 or 2
        Cartesian axis normal to the boundary or interface.
    n_groups : int, optional
        Consecutive groups of atoms that are resampled; 20, or one an atom if there are fewer atoms, if not given.
    n_resamples : int
        At least 100.
    threads : int, optional
        The number of cores, at most 2, if not given. The result does not depend on it.

    Returns
    -------
    Isotropy

    Raises
    ------
    BadInputError
        Arrays or settings that do not fit together, a window with fewer than two lags, or an MSD that does not rise in
        the plane.

    Notes
    -----
    The lines have an intercept and are fitted by least squares, all lags of equal weight. A slope is then the mean over
    the atoms of their own slopes, so that the bootstrap over groups of atoms need only average the slopes of the groups
    drawn. Atoms that move in concert across groups make the true error larger.

    References
    ----------
    Equation (3) and Fig. 8 of doi:10.1039/d3ya00234a.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> walk = (rng.normal(size=(400, 60, 3)) * [1.0, 1.0, 0.5]).cumsum(axis=0)  # D_z a quarter of D_x and D_y
    >>> result = diffusion_isotropy(walk, 0.1, start_ps=0.5, stop_ps=4.0, rng=rng)
    >>> bool(abs(result.xi - 0.25) < 3 * result.xi_std), result.xi_std < 0.05
    (True, True)
    """
    array = checked_positions(positions)
    n_frames, n_atoms, _ = array.shape
    groups = min(GROUPS, n_atoms) if n_groups is None else n_groups
    if normal_axis not in {0, 1, 2} or n_resamples < 100 or groups < 2:
        raise BadInputError(
            f"normal axis {normal_axis} with {n_resamples} resamples of {groups} groups of atoms is not allowed; "
            "expected 0 (x), 1 (y) or 2 (z), at least 100 resamples and at least 2 groups"
        )
    lags = _lags_within(start_ps, stop_ps, frame_interval_ps, n_frames)
    moments = displacement_moments(array, lags, n_groups=groups, threads=threads)
    centred = (lags - lags.mean()) * frame_interval_ps
    group_slopes = np.einsum("glc,l->gc", moments.squares, centred) / (centred @ centred)
    slopes = np.average(group_slopes, axis=0, weights=moments.n_atoms)
    lateral = [axis for axis in range(3) if axis != normal_axis]
    if not slopes[lateral].max() > 0:
        raise BadInputError(
            f"the MSD in the plane rises by {slopes[lateral].max():.3g} Å²/ps from {start_ps} to {stop_ps} ps; "
            "a positive slope is needed; run longer or fit longer lags"
        )
    drawn = rng.integers(groups, size=(n_resamples, groups))
    weights = moments.n_atoms[drawn][..., None]
    resampled = (weights * group_slopes[drawn]).sum(axis=1) / weights.sum(axis=1)
    values = _ratio(resampled, normal_axis)
    low, high = _interval(values, 0.68)
    return Isotropy(
        xi=float(_ratio(slopes[None], normal_axis)[0]),
        xi_std=0.5 * (high - low),
        interval_95=_interval(values, 0.95),
        isotropic_interval_95=_interval(_ratio(_as_if_isotropic(resampled, slopes), normal_axis), 0.95),
        slopes=slopes,
        slopes_std=resampled.std(axis=0),
        normal_axis=int(normal_axis),
        start_ps=float(lags[0] * frame_interval_ps),
        stop_ps=float(lags[-1] * frame_interval_ps),
    )


def _lags_within(start_ps: float, stop_ps: float, frame_interval_ps: float, n_frames: int) -> IntArray:
    allowed = np.isfinite([start_ps, stop_ps, frame_interval_ps]).all() and frame_interval_ps > 0
    first = int(np.ceil(start_ps / frame_interval_ps - 1e-6)) if allowed else 0
    last = int(np.floor(stop_ps / frame_interval_ps + 1e-6)) if allowed else 0
    if not 1 <= first < last < n_frames:
        raise BadInputError(
            f"the window from {start_ps} to {stop_ps} ps with a frame every {frame_interval_ps} ps is not allowed; "
            f"expected two lags or more from 1 to {n_frames - 1} frames"
        )
    return np.arange(first, last + 1, dtype=np.int64)


def _as_if_isotropic(resampled: FloatArray, slopes: FloatArray) -> FloatArray:
    # Errors of a slope are proportional to it: those of a slow axis are too small for an isotropic medium.
    std = resampled.std(axis=0)
    largest = int(np.argmax(slopes))
    scaled = np.zeros_like(resampled)
    np.divide(resampled - slopes, std, out=scaled, where=std > 0)
    scaled *= std[largest] / slopes[largest]
    return scaled + 1.0


def _ratio(slopes: FloatArray, normal_axis: int) -> FloatArray:
    largest = np.delete(slopes, normal_axis, axis=1).max(axis=1)
    ratio = np.full(len(slopes), np.inf)  # where nothing diffuses in the plane
    np.divide(slopes[:, normal_axis], largest, out=ratio, where=largest > 0)
    return ratio


def _interval(values: FloatArray, probability: float) -> tuple[float, float]:
    tail = 0.5 * (1.0 - probability)
    low, high = np.quantile(values, [tail, 1.0 - tail], method="nearest").tolist()
    return low, high
