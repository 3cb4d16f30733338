"""A moment tensor potential that is good enough for MD without being trained."""

from __future__ import annotations

import numpy as np
from numpy.polynomial import chebyshev

from lipsdb.potentials.mtp.potential import MomentTensorPotential, random_start

EPSILON_eV, SIGMA_A, CUTOFF_A, NEAREST_A = 0.0104, 3.4, 6.0, 2.8


def argon_like() -> MomentTensorPotential:
    """Lennard-Jones krypton and argon, cut off smoothly, with a little of the many-body terms.

    The first scalar is the sum of the first radial function over the neighbours: half of a pair potential.
    """
    start = random_start(8, ["Kr", "Ar"], min_distance_A=NEAREST_A, cutoff_A=CUTOFF_A, radial_size=10, seed=1)
    r = np.linspace(NEAREST_A, CUTOFF_A - 0.3, 200)
    x = (SIGMA_A / r) ** 6
    xi = (2 * r - NEAREST_A - CUTOFF_A) / (CUTOFF_A - NEAREST_A)
    fitted = chebyshev.chebfit(xi, 2 * EPSILON_eV * (x**2 - x) / (CUTOFF_A - r) ** 2, 9, w=(CUTOFF_A - r) ** 2)
    radial = 1e-3 * start.radial_coefficients
    radial[:, :, 0] = fitted * np.array([[1.2, 1.1], [1.1, 1.0]])[:, :, None]
    moments = np.full(start.basis.n_scalars, 0.05)
    moments[start.basis.scalars == 0] = 1.0
    assert start.basis.basic[0].tolist() == [0, 0, 0, 0]
    return start.with_parameters(np.concatenate([moments, [-0.3, -0.1], radial.ravel()]))
