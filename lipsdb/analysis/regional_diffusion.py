"""Self-diffusion coefficient of the atoms of a region, by direction and in total, with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.diffusion import CM2_PER_S, LEAST_VARIANCE_GROWTH, MINIMUM_FRAMES
from lipsdb.analysis.fit_window import choose_lags, select_fit_window, window_slope
from lipsdb.analysis.regional_displacement import Assignment, DisplacementSums, displacement_sums, gathered_sums
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, checked_positions
from lipsdb.errors import BadInputError

# Fewer atoms (weighted by their time in the region) have no spread to take an uncertainty from.
MINIMUM_ATOMS = 3.0
DIMENSIONS = np.array([1.0, 1.0, 1.0, 3.0])  # x, y, z, total


@dataclass(frozen=True, eq=False)
class RegionalDiffusion:
    """Self-diffusion of the atoms of a region, with what is needed to judge or refit it. Columns: x, y, z, total.

    Attributes
    ----------
    lag_times_ps : (n_lags,) array, ps
        Lag times, evenly spaced in their logarithm, up to where `retention` falls below what was asked for.
    msd, msd_std : (n_lags, 4) arrays, Å²
        Mean squared displacement and its standard deviation from the spread over the atoms.
    n_displacements : (n_lags,) array of int
        Displacements averaged over, overlapping ones included.
    retention : (n_lags,) array, dimensionless
        Fraction of the displacements whose atoms are (assignment "start") or stayed ("followed") in the region.
    fit_start_ps, fit_stop_ps : float
        Window of the straight-line fits, ps.
    window_found : bool
        False if no diffusive regime was found in the total MSD and the default window was taken.
    intercept : (4,) array, Å²
        Of the fitted lines at lag 0.
    diffusion, diffusion_std : (4,) arrays, cm²/s
        D along x, y, z and their mean, and the standard deviations.
    loglog_slope : (4,) array, dimensionless
        Exponents of the MSD within the window.
    fickian : bool
        Whether that of the total is within 0.15 of 1. If False, D is a rate over the window.
    xi, xi_std : float, dimensionless
        Isotropy ``ξ = m_z / max(m_x, m_y)`` of the slopes, z the normal, and its standard deviation; NaN if nothing
        moves laterally. The larger of two uncertain slopes makes it a little too small
        (`lipsdb.analysis.isotropy.diffusion_isotropy` says by how much).
    n_atoms : int
        Atoms that contribute.
    n_effective : float
        The same, weighted by their time in the region: ``(Σ W)² / Σ W²``.
    mean_occupation : float
        Mean number of atoms in the region at the origins.
    assignment : "start", "followed" or "whole"
        Which displacements count; see `lipsdb.analysis.regional_displacement.regional_msd`.
    """

    lag_times_ps: FloatArray
    msd: FloatArray
    msd_std: FloatArray
    n_displacements: IntArray
    retention: FloatArray
    fit_start_ps: float
    fit_stop_ps: float
    window_found: bool
    intercept: FloatArray
    diffusion: FloatArray
    diffusion_std: FloatArray
    loglog_slope: FloatArray
    fickian: bool
    xi: float
    xi_std: float
    n_atoms: int
    n_effective: float
    mean_occupation: float
    assignment: Assignment


def regional_diffusion(
    positions: ArrayLike,
    timestep_ps: float,
    mask: ArrayLike,
    *,
    assignment: Assignment = "followed",
    normal_axis: int = 2,
    drift: ArrayLike | None = None,
    lag_count: int = 50,
    longest_fraction: float = 0.5,
    least_retention: float = 0.5,
    fit_start_ps: float | None = None,
    origin_stride: int = 1,
    share: float = 0.5,
) -> RegionalDiffusion:
    """Self-diffusion coefficient in cm²/s of the atoms of a region along x, y, z and in total.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        Equally spaced in time, at least 20 frames.
    timestep_ps : float
        Time between two *frames*, ps (not the integrator's step).
    mask : (n_frames, n_atoms) array of bool
        Whether each atom is in the region in each frame, ``region_mask(...) & species``.
    assignment : "start", "followed" or "whole"
        Which displacements count: see `lipsdb.analysis.regional_displacement.regional_msd`, and the notes.
    normal_axis : int
        Cartesian axis across the region, 0, 1 or 2; it matters to ξ only.
    drift : (n_frames, 3) array, Å, optional
        Of the framework, subtracted; see `lipsdb.analysis.displacement.framework_drift`.
    lag_count : int
        Most lags at which the MSD is evaluated.
    longest_fraction : float
        Longest lag as a fraction of the trajectory.
    least_retention : float
        Lags end where fewer of the atoms than this fraction are (or stayed) in the region, so that D is that of the
        region and not of its surroundings; 0 for no limit.
    fit_start_ps : float, optional
        Start of the fitted window; chosen by `lipsdb.analysis.fit_window.select_fit_window` from the total MSD if not
        given.
    origin_stride : int
        Frames between time origins.
    share : float
        Share of the time that atoms must spend in the region, for assignment "whole".

    Returns
    -------
    RegionalDiffusion

    Raises
    ------
    BadInputError
        Arrays that do not fit together, a region with fewer than three atoms, or one that they leave within three lags.

    Notes
    -----
    ``MSD_α(t) = 2 D_α t + c_α``; the total D is the mean of the three. The lines are generalised least-squares ones
    with kinisi's covariance, ``cov(t_i, t_j) = var(t_i) n_i / n_j`` for ``t_i ≤ t_j``, n the number of displacements
    that do not overlap and ``var = MSD² / n`` up to a factor, as for Gaussian displacements: what
    `lipsdb.analysis.diffusion.self_diffusion` samples, in closed form. These weights need not be right, since the
    uncertainty does not come from them: each atom's sums over its origins in the region are one sample, and the
    variance of the slope, a ratio of such sums, is their linearised jackknife (the atoms' squared influences, summed).
    So it respects all correlation in time, between lags and of membership; it takes the atoms to be independent of each
    other, as `self_diffusion` does. The spread of replicas shows what concerted motion adds.

    The uncertainty leaves out what the region's finite size does, which `RegionalDiffusion.retention` measures. With
    "start" the slope is mixed with that of the surroundings, by about ``1 - retention`` of the difference: in excess of
    40 % in a slab of a tenth of their diffusivity at a retention of 0.95. With "followed", the default, lateral slopes
    are those of the region alone; the one along the normal is too low by a fraction of about ``1 - retention``, since
    atoms that go far leave. In a solid, atoms that vibrate across its faces seem to leave at once: bridge such
    absences first (`lipsdb.analysis.region_membership.bridged_mask`). Lags that end before diffusion sets in show as
    not fickian.

    References
    ----------
    doi:10.1039/d3ya00234a, equations 1 and 3, figures 5 and 8. A. R. McCluskey, S. W. Coles, B. J. Morgan, J. Chem.
    Theory Comput. 21, 79 (2025), doi:10.1021/acs.jctc.4c01249.

    Examples
    --------
    >>> steps = np.random.default_rng(1).normal(0.0, np.sqrt(2 * 0.1 * np.array([0.5, 0.5, 0.1])), (400, 40, 3))
    >>> result = regional_diffusion(steps.cumsum(axis=0), 0.1, np.full((400, 40), True))  # D = 0.5, 0.5, 0.1 Å²/ps
    >>> bool((abs(result.diffusion[:3] / 1e-4 - [0.5, 0.5, 0.1]) < 3 * result.diffusion_std[:3] / 1e-4).all())
    True
    """
    array = checked_positions(positions, minimum_frames=MINIMUM_FRAMES)
    if not (np.isfinite(timestep_ps) and timestep_ps > 0):
        raise BadInputError(f"the time between frames is {timestep_ps} ps; expected a positive number")
    if normal_axis not in {0, 1, 2} or not 0.0 <= least_retention < 1.0:
        raise BadInputError(
            f"normal_axis {normal_axis} and least_retention {least_retention} are not allowed; "
            "expected 0, 1 or 2 and at least 0, below 1"
        )
    lags = choose_lags(len(array), lag_count=lag_count, longest_fraction=longest_fraction)
    sums = gathered_sums(
        list(
            displacement_sums(
                array,
                mask,
                lags,
                assignment=assignment,
                origin_stride=origin_stride,
                share=share,
                drift=drift,
            )
        )
    )
    sums, retention = _retained(sums, least_retention, timestep_ps * lags.astype(np.float64))
    lags = lags[: len(retention)]
    times: FloatArray = timestep_ps * lags.astype(np.float64)
    counts = sums.counts.sum(axis=0)
    n_effective = float(counts[0] ** 2 / (sums.counts[:, 0] ** 2).sum())
    if n_effective < MINIMUM_ATOMS:
        raise BadInputError(
            f"the region holds {n_effective:.1f} atoms, weighted by their time in it; at least {MINIMUM_ATOMS:g} are "
            "needed for an uncertainty; make it larger or run longer"
        )
    msd = sums.squares.sum(axis=0).T / counts[:, None]
    influences = _influences(sums, msd, counts) * np.sqrt(n_effective / (n_effective - 1.0))
    msd_std = np.sqrt(np.einsum("acl,acl->lc", influences, influences))
    window = select_fit_window(times, msd[:, 3], msd_std=msd_std[:, 3], start_ps=fit_start_ps)
    used = slice(window.first, None)
    n_independent = counts / (len(array) - lags) * (len(array) - 1) / lags
    slope_weights, intercept_weights = _line_weights(times[used], msd[used, 3], n_independent[used])
    slopes = slope_weights @ msd[used]
    slope_influences = influences[..., used] @ slope_weights
    xi, xi_std = _isotropy(slopes, slope_influences, normal_axis)
    return RegionalDiffusion(
        lag_times_ps=times,
        msd=msd,
        msd_std=msd_std,
        n_displacements=counts.astype(np.int64),
        retention=retention,
        fit_start_ps=window.start_ps,
        fit_stop_ps=window.stop_ps,
        window_found=window.found,
        intercept=intercept_weights @ msd[used],
        diffusion=slopes * CM2_PER_S / (2.0 * DIMENSIONS),
        diffusion_std=np.linalg.norm(slope_influences, axis=0) * CM2_PER_S / (2.0 * DIMENSIONS),
        loglog_slope=np.array([window_slope(times[used], column) for column in msd[used].T]),
        fickian=window.fickian,
        xi=xi,
        xi_std=xi_std,
        n_atoms=int(np.count_nonzero(sums.counts[:, 0])),
        n_effective=n_effective,
        mean_occupation=float(sums.origins[0]) / len(range(0, len(array) - int(lags[0]), origin_stride)),
        assignment=assignment,
    )


def _retained(sums: DisplacementSums, least_retention: float, times: FloatArray) -> tuple[DisplacementSums, FloatArray]:
    """Drop the lags from the first one on at which too few atoms are still in the region."""
    retention = np.divide(sums.retained, sums.origins, out=np.zeros(times.size), where=sums.origins > 0)
    enough = (retention >= least_retention) & (sums.counts.sum(axis=0) > 0)
    n_lags = int(np.argmin(enough)) if not enough.all() else times.size
    if n_lags < 3:
        raise BadInputError(
            f"after {times[2]:g} ps {retention[2]:.0%} of the atoms are in the region; {least_retention:.0%} are "
            "needed at three lags; write frames more often, make the region thicker or lower least_retention"
        )
    kept = slice(n_lags)
    shorter = DisplacementSums(sums.squares[..., kept], sums.counts[:, kept], sums.origins[kept], sums.retained[kept])
    return shorter, retention[kept]


def _influences(sums: DisplacementSums, msd: FloatArray, counts: FloatArray) -> FloatArray:
    """(n_atoms, 4, n_lags) changes of the MSD that each atom makes, Å²: (S_i - MSD W_i) / Σ W."""
    influences = sums.squares - msd.T * sums.counts[:, None]
    influences /= counts
    return influences


def _line_weights(times: FloatArray, msd: FloatArray, n_independent: FloatArray) -> FloatArray:
    """(2, n_lags) weights with which MSD values add up to the line's slope and intercept."""
    design = np.stack([times, np.ones_like(times)], axis=1)
    if not (msd > 0).all():
        return np.linalg.pinv(design)
    # n MSD has the covariance g(min(t_i, t_j)) with g = var n²: its increments are independent. g must grow for that.
    growth = msd**2 * n_independent / times**LEAST_VARIANCE_GROWTH
    variance = np.maximum.accumulate(growth) * times**LEAST_VARIANCE_GROWTH
    whitening = (np.eye(times.size) - np.eye(times.size, k=-1)) * n_independent
    whitening /= np.sqrt(np.diff(variance, prepend=0.0))[:, None]
    return np.linalg.pinv(whitening @ design) @ whitening


def _isotropy(slopes: FloatArray, influences: FloatArray, normal: int) -> tuple[float, float]:
    lateral = max((axis for axis in range(3) if axis != normal), key=lambda axis: float(slopes[axis]))
    if not slopes[lateral] > 0:
        return float("nan"), float("nan")
    ratio = float(slopes[normal] / slopes[lateral])
    change = (influences[:, normal] - ratio * influences[:, lateral]) / slopes[lateral]
    return ratio, float(np.linalg.norm(change))
