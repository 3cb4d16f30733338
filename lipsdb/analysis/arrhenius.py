"""Replicas combined into one value, and the Arrhenius fit with its extrapolation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import constants

from lipsdb.analysis.conductivity import nernst_einstein
from lipsdb.analysis.trajectory_arrays import BoolArray, FloatArray
from lipsdb.errors import BadInputError

BOLTZMANN_EV_PER_K = constants.Boltzmann / constants.electron_volt
# Half-widths of the 68.27 % and 95 % intervals of a normal distribution, in standard deviations.
SIGMAS_68 = 1.0
SIGMAS_95 = 1.959963984540054


@dataclass(frozen=True)
class CombinedReplicas:
    """Replicas of one quantity in one value; units are those of the input.

    Attributes
    ----------
    value : float
        Weighted mean.
    std : float
        Its standard deviation, the spread between the replicas included.
    between_std : float
        Standard deviation between replicas beyond what their own uncertainties explain.
    chi2 : float
        Of the replicas about the mean weighted by their own uncertainties only; n_replicas - 1 is expected.
    n_replicas : int
        How many were combined.
    """

    value: float
    std: float
    between_std: float
    chi2: float
    n_replicas: int


@dataclass(frozen=True)
class ExcludedPoint:
    """A temperature left out of the fit: K, cm²/s, and why."""

    temperature: float
    diffusion: float
    reason: str


@dataclass(frozen=True, eq=False)
class ArrheniusResult:
    """Fit of ``ln D = ln D0 - Ea / (k T)`` and D and σ at a target temperature.

    Attributes
    ----------
    temperatures : (n,) array, K
        Temperatures used.
    diffusion, diffusion_std : (n,) arrays, cm²/s
        Values used.
    excluded : tuple of ExcludedPoint
        Points left out, with the reason.
    activation_energy, activation_energy_std : float
        Ea and its standard deviation, eV.
    ln_prefactor, ln_prefactor_std : float
        ln(D0 / (cm²/s)) and its standard deviation.
    covariance : (2, 2) array
        Of (ln D0, Ea in eV), after scaling.
    chi2 : float
        Weighted sum of squared residuals, before scaling.
    degrees_of_freedom : int
        Points less two. At 0 the line passes through the points and cannot show that it is wrong.
    scaled : bool
        True if chi2 per degree of freedom exceeded 1 and the uncertainties were enlarged by `birge_ratio`.
    birge_ratio : float
        That factor; 1 if not scaled.
    target_temperature : float
        Where D and σ are wanted, K.
    extrapolated : bool
        True if that lies outside the temperatures used.
    target_diffusion : float
        Median of D there, cm²/s.
    target_diffusion_68, target_diffusion_95 : tuple of two floats
        Its intervals, cm²/s; asymmetric.
    target_conductivity : float
        Median of the Nernst–Einstein conductivity there, S/cm.
    target_conductivity_68, target_conductivity_95 : tuple of two floats
        Its intervals, S/cm; asymmetric.
    target_ln_std : float
        Standard deviation of ln D, and of ln σ, there.
    """

    temperatures: FloatArray
    diffusion: FloatArray
    diffusion_std: FloatArray
    excluded: tuple[ExcludedPoint, ...]
    activation_energy: float
    activation_energy_std: float
    ln_prefactor: float
    ln_prefactor_std: float
    covariance: FloatArray
    chi2: float
    degrees_of_freedom: int
    scaled: bool
    birge_ratio: float
    target_temperature: float
    extrapolated: bool
    target_diffusion: float
    target_diffusion_68: tuple[float, float]
    target_diffusion_95: tuple[float, float]
    target_conductivity: float
    target_conductivity_68: tuple[float, float]
    target_conductivity_95: tuple[float, float]
    target_ln_std: float

    @property
    def zero_degrees_of_freedom(self) -> bool:
        """Whether the fit has as many parameters as points, so that chi2 says nothing."""
        return self.degrees_of_freedom == 0

    def diffusion_at(self, temperature_K: ArrayLike) -> FloatArray:
        """Median of D on the fitted line, cm²/s, at temperatures in K."""
        inverse = 1.0 / (BOLTZMANN_EV_PER_K * np.asarray(temperature_K, dtype=np.float64))
        line: FloatArray = np.exp(self.ln_prefactor - self.activation_energy * inverse)
        return line

    def ln_std_at(self, temperature_K: ArrayLike) -> FloatArray:
        """Standard deviation of ln D on the fitted line at temperatures in K (for the band of a plot)."""
        inverse = 1.0 / (BOLTZMANN_EV_PER_K * np.asarray(temperature_K, dtype=np.float64))
        gradient = np.stack([np.ones_like(inverse), -inverse])
        variance = np.einsum("i...,ij,j...->...", gradient, self.covariance, gradient)
        std: FloatArray = np.sqrt(variance)
        return std


def combine_replicas(values: ArrayLike, stds: ArrayLike) -> CombinedReplicas:
    """Combine replicas (seeds) of one quantity by a random-effects mean.

    Parameters
    ----------
    values : (n,) array
        One value a replica.
    stds : (n,) array
        Their standard deviations, positive, same unit.

    Returns
    -------
    CombinedReplicas

    Raises
    ------
    BadInputError
        No replicas, lengths that differ, values that are not finite, or a standard deviation that is not positive.

    Notes
    -----
    The variance between replicas is estimated as DerSimonian and Laird do, and each replica weighed by
    ``1 / (std² + between²)``. With two or three replicas that estimate is often zero by chance, so the standard
    deviation is the larger of the internal one ``(Σw)^-1/2`` and the external one ``[Σw(x-mean)² / ((n-1) Σw)]^1/2``. A
    single replica is returned as it is: nothing is then known about the spread between runs.

    References
    ----------
    R. DerSimonian, N. Laird, Control. Clin. Trials 7, 177 (1986), doi:10.1016/0197-2456(86)90046-2.
    G. Knapp, J. Hartung, Stat. Med. 22, 2693 (2003), doi:10.1002/sim.1482.

    Examples
    --------
    >>> combined = combine_replicas([1.0, 3.0], [0.1, 0.1])  # far apart: the spread decides
    >>> round(combined.value, 6), round(combined.std, 6)
    (2.0, 1.0)
    """
    x = np.asarray(values, dtype=np.float64)
    s = np.asarray(stds, dtype=np.float64)
    if x.ndim != 1 or x.size == 0 or s.shape != x.shape:
        raise BadInputError(
            f"values of shape {x.shape} and standard deviations of shape {s.shape}; expected one of each a replica"
        )
    if not (np.isfinite(x).all() and np.isfinite(s).all() and (s > 0).all()):
        raise BadInputError(
            f"replicas {x.tolist()} ± {s.tolist()} are not usable; expected finite values and positive "
            "standard deviations; leave out the replica that has none"
        )
    weights = s**-2
    fixed = np.average(x, weights=weights)
    chi2 = float((weights * (x - fixed) ** 2).sum())
    if x.size == 1:
        return CombinedReplicas(float(x[0]), float(s[0]), 0.0, 0.0, 1)
    excess = chi2 - (x.size - 1)
    between = max(0.0, excess / float(weights.sum() - (weights**2).sum() / weights.sum()))
    weights = 1.0 / (s**2 + between)
    mean = float(np.average(x, weights=weights))
    internal = float(weights.sum()) ** -0.5
    external = float((weights * (x - mean) ** 2).sum() / ((x.size - 1) * weights.sum())) ** 0.5
    return CombinedReplicas(mean, max(internal, external), between**0.5, chi2, int(x.size))


def fit_arrhenius(
    temperatures_K: ArrayLike,
    diffusion: ArrayLike,
    diffusion_std: ArrayLike,
    *,
    number_density_per_A3: float,
    charge: float,
    extrapolate_to_K: float = 300.0,
) -> ArrheniusResult:
    """Activation energy in eV, and D (cm²/s) and σ (S/cm) at a target temperature, from D at several temperatures.

    Parameters
    ----------
    temperatures_K : (n,) array, K
        At least two different ones.
    diffusion : (n,) array, cm²/s
        One value a temperature, replicas combined; values of 0 or below are left out and listed.
    diffusion_std : (n,) array, cm²/s
        Positive.
    number_density_per_A3 : float
        Mobile ions per volume at the target temperature, Å⁻³.
    charge : float
        Charge of one ion in elementary charges.
    extrapolate_to_K : float
        Target temperature, K.

    Returns
    -------
    ArrheniusResult

    Raises
    ------
    BadInputError
        Lengths that differ, values that are not finite, standard deviations or temperatures that are not positive, or
        fewer than two temperatures left.

    Notes
    -----
    Weighted linear least squares of ``ln D = ln D0 - Ea/(kT)`` with weights ``(D/std)²``. If chi2 per degree of freedom
    exceeds 1, the covariance is multiplied by it (Birge ratio squared); it is never reduced. ``ln D`` at the target is
    linear in the parameters, so its variance follows exactly from their covariance; D and σ are then log-normal, which
    makes the intervals asymmetric. The extrapolation assumes that the same process rules at the target temperature.

    References
    ----------
    R. T. Birge, Phys. Rev. 40, 207 (1932), doi:10.1103/PhysRev.40.207.

    Examples
    --------
    >>> kT = BOLTZMANN_EV_PER_K * np.array([600.0, 800.0, 1000.0])
    >>> D = 1e-3 * np.exp(-0.3 / kT)
    >>> fit = fit_arrhenius([600.0, 800.0, 1000.0], D, 0.1 * D, number_density_per_A3=0.02, charge=1)
    >>> round(fit.activation_energy, 6), fit.extrapolated, fit.scaled
    (0.3, True, False)
    """
    columns = [np.asarray(column, dtype=np.float64) for column in (temperatures_K, diffusion, diffusion_std)]
    if columns[0].ndim != 1 or any(column.shape != columns[0].shape for column in columns):
        raise BadInputError(
            f"temperatures, D and std have shapes {[column.shape for column in columns]}; "
            "expected three equally long rows"
        )
    temperature, value, std = columns
    target = float(extrapolate_to_K)
    if not (np.isfinite(columns).all() and (temperature > 0).all() and (std > 0).all() and 0 < target < np.inf):
        raise BadInputError(
            f"temperatures {temperature.tolist()} K (target {target} K), D {value.tolist()} ± {std.tolist()} "
            "cm²/s: expected finite numbers, temperatures and standard deviations above 0; leave out what has none"
        )
    positive: BoolArray = value > 0
    excluded = tuple(
        ExcludedPoint(
            float(t), float(d), f"D = {d:.3g} cm²/s is not above 0 and has no logarithm: no diffusion was seen"
        )
        for t, d in zip(temperature[~positive], value[~positive], strict=True)
    )
    temperature, value, std = temperature[positive], value[positive], std[positive]
    if np.unique(temperature).size < 2:
        left_out = "; ".join(f"{point.temperature:g} K: {point.reason}" for point in excluded) or "none"
        raise BadInputError(
            f"{np.unique(temperature).size} different temperatures to fit (left out: {left_out}); at least 2 are "
            "needed; run at more temperatures or longer"
        )

    # Centred on the weighted mean of 1/kT the two parameters are independent and nothing cancels.
    weights = (value / std) ** 2
    inverse = 1.0 / (BOLTZMANN_EV_PER_K * temperature)
    logarithm = np.log(value)
    centre = float(np.average(inverse, weights=weights))
    height = float(np.average(logarithm, weights=weights))
    spread = float(weights @ (inverse - centre) ** 2)
    energy = -float(weights @ ((inverse - centre) * logarithm)) / spread
    chi2 = float(weights @ (logarithm - height + energy * (inverse - centre)) ** 2)
    degrees = int(temperature.size) - 2
    factor = max(1.0, chi2 / degrees) if degrees > 0 else 1.0
    energy_variance = factor / spread
    height_variance = factor / float(weights.sum())
    covariance = np.array(
        [
            [height_variance + centre**2 * energy_variance, centre * energy_variance],
            [centre * energy_variance, energy_variance],
        ]
    )

    from_centre = 1.0 / (BOLTZMANN_EV_PER_K * target) - centre
    ln_target = height - energy * from_centre
    ln_std = float(height_variance + from_centre**2 * energy_variance) ** 0.5
    target_diffusion = float(np.exp(ln_target))
    conductivity = nernst_einstein(target_diffusion, number_density_per_A3, charge, target).conductivity

    def interval(median: float, sigmas: float) -> tuple[float, float]:
        return float(median * np.exp(-sigmas * ln_std)), float(median * np.exp(sigmas * ln_std))

    return ArrheniusResult(
        temperatures=temperature,
        diffusion=value,
        diffusion_std=std,
        excluded=excluded,
        activation_energy=energy,
        activation_energy_std=energy_variance**0.5,
        ln_prefactor=height + energy * centre,
        ln_prefactor_std=float(covariance[0, 0]) ** 0.5,
        covariance=covariance,
        chi2=chi2,
        degrees_of_freedom=degrees,
        scaled=factor > 1.0,
        birge_ratio=factor**0.5,
        target_temperature=target,
        extrapolated=not float(temperature.min()) <= target <= float(temperature.max()),
        target_diffusion=target_diffusion,
        target_diffusion_68=interval(target_diffusion, SIGMAS_68),
        target_diffusion_95=interval(target_diffusion, SIGMAS_95),
        target_conductivity=conductivity,
        target_conductivity_68=interval(conductivity, SIGMAS_68),
        target_conductivity_95=interval(conductivity, SIGMAS_95),
        target_ln_std=ln_std,
    )
