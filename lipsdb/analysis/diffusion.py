"""Self-diffusion coefficient from a trajectory, with an uncertainty that respects the correlation of the MSD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import constants

from lipsdb.analysis.displacement import mean_squared_displacement, remove_drift, squared_displacement_variance
from lipsdb.analysis.fit_window import FitWindow, choose_lags, select_fit_window
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, checked_mask, checked_positions
from lipsdb.errors import BadInputError

MINIMUM_FRAMES = 20
DIMENSIONS = 3
# Å²/ps to cm²/s: 1e-16 cm² over 1e-12 s.
CM2_PER_S = constants.angstrom**2 / constants.pico / constants.centi**2
# Below this exponent of the MSD the covariance model (displacements that do not overlap are independent) is not used.
LEAST_MODEL_SLOPE = 0.75
# variance(t)/t² must grow at least as t to this power, or the model covariance would not be positive definite.
LEAST_VARIANCE_GROWTH = 0.25


@dataclass(frozen=True, eq=False)
class DiffusionResult:
    """Self-diffusion coefficient of one species in one trajectory, with what is needed to judge or refit it.

    Attributes
    ----------
    lag_times_ps : (n_lags,) array, ps
        Lag times, evenly spaced in their logarithm.
    msd : (n_lags,) array, Å²
        Total mean squared displacement over all time origins, drift removed.
    msd_per_axis : (n_lags, 3) array, Å²
        The same along x, y, z.
    msd_std : (n_lags,) array, Å²
        Standard deviation of `msd` from the number of displacements that do not overlap.
    n_independent : (n_lags,) array
        That number: atoms times trajectory length over lag.
    fit_start_ps, fit_stop_ps : float
        Window of the straight-line fit, ps.
    window_found : bool
        False if no diffusive regime was found and the default window was taken.
    intercept : float
        Of the fitted line at lag 0, Å².
    diffusion : float
        D in cm²/s.
    diffusion_std : float
        Its standard deviation, cm²/s.
    credible_interval_95 : tuple of two floats
        Its 95 % interval, cm²/s.
    loglog_slope : float
        Exponent of the MSD within the window, dimensionless.
    fickian : bool
        Whether that exponent is within 0.15 of 1. If False, D is a rate over the window, not a diffusion coefficient.
    method : "kinisi" or "atoms"
        How the line was fitted; see `self_diffusion`.
    framework_msd : float or None
        MSD of the framework atoms at the longest lag, Å²; None without a framework. Large if the framework melts.
    n_atoms, n_frames : int
        Atoms of the species and frames used.
    seed : int
        Seed of the posterior sampling.
    """

    lag_times_ps: FloatArray
    msd: FloatArray
    msd_per_axis: FloatArray
    msd_std: FloatArray
    n_independent: FloatArray
    fit_start_ps: float
    fit_stop_ps: float
    window_found: bool
    intercept: float
    diffusion: float
    diffusion_std: float
    credible_interval_95: tuple[float, float]
    loglog_slope: float
    fickian: bool
    method: Literal["kinisi", "atoms"]
    framework_msd: float | None
    n_atoms: int
    n_frames: int
    seed: int


@dataclass(frozen=True)
class _Line:
    """A fitted line: slopes in Å²/ps, intercept in Å²."""

    slope: float
    slope_std: float
    interval_95: tuple[float, float]
    intercept: float


def self_diffusion(
    positions: ArrayLike,
    timestep_ps: float,
    species_mask: ArrayLike,
    framework_mask: ArrayLike | None,
    masses: ArrayLike,
    *,
    lag_count: int = 50,
    longest_fraction: float = 0.5,
    fit_start_ps: float | None = None,
    posterior_steps: int = 1000,
    seed: int = 0,
) -> DiffusionResult:
    """Self-diffusion coefficient in cm²/s of one species, by a Bayesian fit of a line to its MSD.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        All atoms, equally spaced in time, at least 20 frames.
    timestep_ps : float
        Time between two *frames*, ps (not the integrator's step).
    species_mask : (n_atoms,) array of bool
        The diffusing atoms.
    framework_mask : (n_atoms,) array of bool or None
        The atoms whose centre of mass is taken to be at rest (P and S for Li). None: no drift is removed.
    masses : (n_atoms,) array, amu
        Weights of that centre of mass.
    lag_count : int
        Most lags at which the MSD is evaluated.
    longest_fraction : float
        Longest lag as a fraction of the trajectory.
    fit_start_ps : float, optional
        Start of the fitted window; chosen by `lipsdb.analysis.fit_window.select_fit_window` if not given.
    posterior_steps : int
        Steps of the posterior sampling by 32 walkers, after 500 discarded (with 200 the interval is too narrow).
    seed : int
        Seed of the posterior sampling, 0 to 2**32 - 1. The same seed gives the same result.

    Returns
    -------
    DiffusionResult

    Raises
    ------
    BadInputError
        Arrays that do not fit together, values that are not finite, fewer than 20 frames, an empty mask, or atoms that
        do not move independently at all.

    Notes
    -----
    ``MSD(t) = 6 D t + c``. The MSD at different lags comes from the same displacements, so that its values are
    correlated: kinisi's covariance model ``cov(t_i, t_j) = var(t_i) n_i / n_j`` for ``t_i ≤ t_j``, with ``n`` the
    number of displacements that do not overlap and ``var`` their variance over n, makes the Gaussian likelihood of the
    line (method "kinisi"); D is the mean of the posterior, restricted to D ≥ 0. Variances that grow too slowly for this
    matrix to be positive definite are raised first.

    For atoms that hardly diffuse (log-log slope below 0.75) that model does not hold. Then each atom's own MSD is
    fitted by least squares and the spread of these slopes over the atoms gives the uncertainty (method "atoms"); D may
    then be negative within its error. For a single atom, the deviation of the MSD at the window's start over that time
    bounds it.

    Both assume that the atoms move independently of each other; concerted motion makes the true error larger, which the
    spread between replicas shows (`lipsdb.analysis.arrhenius.combine_replicas`).

    References
    ----------
    A. R. McCluskey, S. W. Coles, B. J. Morgan, J. Chem. Theory Comput. 21, 79 (2025), doi:10.1021/acs.jctc.4c01249.

    Examples
    --------
    >>> steps = np.random.default_rng(1).normal(0.0, np.sqrt(2 * 0.5 * 0.1), (400, 16, 3))  # D = 0.5 Å²/ps
    >>> result = self_diffusion(steps.cumsum(axis=0), 0.1, np.full(16, True), None, np.full(16, 6.94))
    >>> result.fickian, bool(abs(result.diffusion - 0.5e-4) < 3 * result.diffusion_std)
    (True, True)
    """
    array = checked_positions(positions, minimum_frames=MINIMUM_FRAMES)
    n_frames, n_atoms, _ = array.shape
    mask = checked_mask(species_mask, n_atoms, "species")
    if not (np.isfinite(timestep_ps) and timestep_ps > 0):
        raise BadInputError(f"the time between frames is {timestep_ps} ps; expected a positive number")
    if not 0 <= seed < 2**32:
        raise BadInputError(f"seed {seed} is not allowed; expected a whole number from 0 to {2**32 - 1}")
    if posterior_steps < 100:
        raise BadInputError(f"posterior_steps {posterior_steps} is not allowed; expected at least 100")
    lags = choose_lags(n_frames, lag_count=lag_count, longest_fraction=longest_fraction)
    framework_msd = None
    if framework_mask is not None:
        framework = checked_mask(framework_mask, n_atoms, "framework")
        array = remove_drift(array, masses, framework)
        framework_msd = float(mean_squared_displacement(array[:, framework], lags=lags[-1:])[0, 3])
    species: FloatArray = np.asarray(array[:, mask], dtype=np.float64)

    times: FloatArray = lags.astype(np.float64) * timestep_ps
    msd = mean_squared_displacement(species, lags=lags)
    n_independent = species.shape[1] * (n_frames - 1) / lags
    variance = squared_displacement_variance(species, lags) / n_independent
    window = select_fit_window(times, msd[:, 3], msd_std=np.sqrt(variance), start_ps=fit_start_ps)
    if not (variance[window.first :] > (1e-12 * msd[window.first :, 3]) ** 2).all():
        raise BadInputError(
            "the displacements of all atoms are the same, so that no uncertainty can be had; "
            "expected atoms in thermal motion; check that the positions are unwrapped and not of one frame"
        )
    method: Literal["kinisi", "atoms"] = "kinisi" if window.slope >= LEAST_MODEL_SLOPE else "atoms"
    if method == "kinisi":
        line = _fit_correlated_line(
            times, msd[:, 3], variance, n_independent, first=window.first, steps=posterior_steps, seed=seed
        )
    else:
        line = _fit_line_of_each_atom(species, timestep_ps, lags, window, float(variance[window.first]) ** 0.5)
    to_diffusion = CM2_PER_S / (2 * DIMENSIONS)
    return DiffusionResult(
        lag_times_ps=times,
        msd=msd[:, 3],
        msd_per_axis=msd[:, :3],
        msd_std=np.sqrt(variance),
        n_independent=n_independent,
        fit_start_ps=window.start_ps,
        fit_stop_ps=window.stop_ps,
        window_found=window.found,
        intercept=line.intercept,
        diffusion=line.slope * to_diffusion,
        diffusion_std=line.slope_std * to_diffusion,
        credible_interval_95=(line.interval_95[0] * to_diffusion, line.interval_95[1] * to_diffusion),
        loglog_slope=window.slope,
        fickian=window.fickian,
        method=method,
        framework_msd=framework_msd,
        n_atoms=int(species.shape[1]),
        n_frames=n_frames,
        seed=seed,
    )


def _fit_correlated_line(
    times: FloatArray,
    msd: FloatArray,
    variance: FloatArray,
    n_independent: FloatArray,
    *,
    first: int,
    steps: int,
    seed: int,
) -> _Line:
    import scipp
    from kinisi.diffusion import Diffusion

    used = slice(first, None)
    x = times[used]
    growth = variance[used] / x ** (2 + LEAST_VARIANCE_GROWTH)
    raised = np.maximum.accumulate(growth) * x ** (2 + LEAST_VARIANCE_GROWTH)
    # In units of the window's start and of the last MSD: the sampler is given numbers near 1.
    unit_time, unit_msd = float(x[0]), float(msd[-1])

    def along_lags(values: FloatArray) -> scipp.Variable:
        return scipp.array(dims=["time interval"], values=values)

    data = scipp.DataArray(
        scipp.array(dims=["time interval"], values=msd[used] / unit_msd, variances=raised / unit_msd**2),
        coords={"time interval": along_lags(x / unit_time), "n_samples": along_lags(n_independent[used])},
    )
    fit = Diffusion(scipp.DataGroup({"da": data, "dimensionality": scipp.scalar(float(DIMENSIONS))}))
    # kinisi seeds numpy's global generator; the caller's stream is put back.
    state = np.random.get_state()  # noqa: NPY002
    try:
        fit.bayesian_regression(
            start_dt=scipp.scalar(0.0),
            n_samples=steps,
            n_burn=500,
            progress=False,
            random_state=np.random.RandomState(seed),
        )
    finally:
        np.random.set_state(state)  # noqa: NPY002
    slopes = fit.gradient.values * unit_msd / unit_time
    low, high = np.quantile(slopes, [0.025, 0.975])
    intercept = float(fit.intercept.values.mean()) * unit_msd
    return _Line(float(slopes.mean()), float(slopes.std(ddof=1)), (float(low), float(high)), intercept)


def _fit_line_of_each_atom(
    species: FloatArray, timestep_ps: float, lags: IntArray, window: FitWindow, msd_std_at_start: float
) -> _Line:
    used = lags[window.first :]
    x = used * timestep_ps
    # The line's slope is a weighted sum of the MSD at the lags, so each atom's slope needs its MSD there only.
    centred = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    slopes = np.zeros(species.shape[1])
    mean = 0.0
    for lag, weight in zip(used.tolist(), centred.tolist(), strict=True):
        steps = species[lag:] - species[:-lag]
        squares = np.einsum("fac,fac->a", steps, steps) / steps.shape[0]
        slopes += weight * squares
        mean += float(squares.mean()) / used.size
    slope = float(slopes.mean())
    spread = float(slopes.std(ddof=1)) / slopes.size**0.5 if slopes.size > 1 else None
    std = msd_std_at_start / window.start_ps if spread is None else spread
    return _Line(slope, std, (slope - 1.96 * std, slope + 1.96 * std), mean - slope * float(x.mean()))
