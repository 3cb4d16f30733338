"""Ionic conductivity from a self-diffusion coefficient (Nernst–Einstein)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import constants

from lipsdb.errors import BadInputError

# n [Å⁻³] D [cm²/s] e² / (k T) in S/cm: Å⁻³ to m⁻³ (1e30), cm²/s to m²/s (1e-4), S/m to S/cm (1e-2).
TO_S_PER_CM = constants.angstrom**-3 * constants.centi**2 * constants.centi


@dataclass(frozen=True)
class Conductivity:
    """Ionic conductivity with its standard deviation.

    Attributes
    ----------
    conductivity : float
        σ, S/cm.
    conductivity_std : float or None
        Standard deviation from that of D, S/cm; None if that was not given.
    haven_ratio : float
        Tracer over charge diffusion coefficient that was assumed: 1, ions that move independently.
    """

    conductivity: float
    conductivity_std: float | None
    haven_ratio: float = 1.0


def nernst_einstein(
    diffusion_cm2_s: float,
    number_density_per_A3: float,
    charge: float,
    temperature_K: float,
    *,
    diffusion_std_cm2_s: float | None = None,
) -> Conductivity:
    """Ionic conductivity in S/cm from the self-diffusion coefficient, Haven ratio 1.

    Parameters
    ----------
    diffusion_cm2_s : float
        Self-diffusion coefficient, cm²/s.
    number_density_per_A3 : float
        Mobile ions per volume, Å⁻³.
    charge : float
        Charge of one ion in elementary charges.
    temperature_K : float
        Temperature, K.
    diffusion_std_cm2_s : float, optional
        Standard deviation of the diffusion coefficient, cm²/s.

    Returns
    -------
    Conductivity
        In S/cm, with the standard deviation in proportion.

    Raises
    ------
    BadInputError
        A density or temperature that is not positive, a charge of zero, or a value that is not finite.

    Notes
    -----
    ``σ = n (z e)² D / (k T)``. Correlation between ions is neglected (Haven ratio 1); where ions move in concert, σ is
    larger than this.

    Examples
    --------
    >>> round(nernst_einstein(1e-6, 0.02, 1, 300.0).conductivity, 5)
    0.12395
    """
    values = (diffusion_cm2_s, number_density_per_A3, charge, temperature_K, diffusion_std_cm2_s or 0.0)
    usable = np.isfinite(values).all() and number_density_per_A3 > 0 and temperature_K > 0 and charge != 0
    if not usable or (diffusion_std_cm2_s or 0.0) < 0:
        raise BadInputError(
            f"D {diffusion_cm2_s} ± {diffusion_std_cm2_s} cm²/s, density {number_density_per_A3} Å⁻³, charge {charge}, "
            f"temperature {temperature_K} K: expected finite numbers, density and temperature above 0, charge not 0"
        )
    per_diffusion = (
        TO_S_PER_CM
        * number_density_per_A3
        * (charge * constants.elementary_charge) ** 2
        / (constants.Boltzmann * temperature_K)
    )
    std = None if diffusion_std_cm2_s is None else float(diffusion_std_cm2_s * per_diffusion)
    return Conductivity(float(diffusion_cm2_s * per_diffusion), std)
