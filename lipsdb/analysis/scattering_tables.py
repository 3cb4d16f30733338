"""How strongly each element scatters neutrons and X-rays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.trajectory_arrays import FloatArray
from lipsdb.errors import BadInputError

LARGEST_Q = 8.0 * np.pi  # Å⁻¹: the fits end at sin θ / λ = 2 Å⁻¹

# f = Σ a_k exp(-b_k s²) + c of neutral atoms, s = sin θ / λ in Å⁻¹: International Tables for Crystallography C (2006),
# table 6.1.1.4. pymatgen's table is of another kind (electron scattering) and off by up to 20 % beyond 10 Å⁻¹.
FORM_FACTORS = {
    "Li": ((1.1282, 0.7508, 0.6175, 0.4653), (3.9546, 1.0524, 85.3905, 168.261), 0.0377),
    "N": ((12.2126, 3.1322, 2.0125, 1.1663), (0.0057, 9.8933, 28.9975, 0.5826), -11.529),
    "O": ((3.0485, 2.2868, 1.5463, 0.867), (13.2771, 5.7011, 0.3239, 32.9089), 0.2508),
    "F": ((3.5392, 2.6412, 1.517, 1.0243), (10.2825, 4.2944, 0.2615, 26.1476), 0.2776),
    "Na": ((4.7626, 3.1736, 1.2674, 1.1128), (3.285, 8.8422, 0.3136, 129.424), 0.676),
    "Al": ((6.4202, 1.9002, 1.5936, 1.9646), (3.0387, 0.7426, 31.5472, 85.0886), 1.1151),
    "Si": ((6.2915, 3.0353, 1.9891, 1.541), (2.4386, 32.3337, 0.6785, 81.6937), 1.1407),
    "P": ((6.4345, 4.1791, 1.78, 1.4908), (1.9067, 27.157, 0.526, 68.1645), 1.1149),
    "S": ((6.9053, 5.2034, 1.4379, 1.5863), (1.4679, 22.2151, 0.2536, 56.172), 0.8669),
    "Cl": ((11.4604, 7.1964, 6.2556, 1.6455), (0.0104, 1.1662, 18.5194, 47.7784), -9.5574),
    "Ge": ((16.0816, 6.3747, 3.7068, 3.683), (2.8509, 0.2516, 11.4468, 54.7625), 2.1313),
    "Se": ((17.0006, 5.8196, 3.9731, 4.3543), (2.4098, 0.2726, 15.2372, 43.8163), 2.8409),
    "Br": ((17.1789, 5.2358, 5.6377, 3.9851), (2.1723, 16.5796, 0.2609, 41.4328), 2.9557),
    "Sn": ((19.1889, 19.1005, 4.4585, 2.4663), (5.8303, 0.5031, 26.8909, 83.9571), 4.7821),
    "I": ((20.1472, 18.9949, 7.5138, 2.2735), (4.347, 0.3814, 27.766, 66.8776), 4.0712),
}


def scattering_lengths(elements: tuple[str, ...], given: Mapping[str, float] | None = None) -> FloatArray:
    """Coherent neutron scattering lengths in fm of natural elements, or as given.

    Parameters
    ----------
    elements : tuple of str
        Chemical symbols.
    given : mapping of str to float, fm, optional
        Values that replace the tabulated ones: ``{"Li": -2.22}`` for a sample of ⁷Li.

    Returns
    -------
    (n_elements,) array, fm

    Raises
    ------
    BadInputError
        An element that is neither in the table nor given.

    Notes
    -----
    The table is pymatgen's, from the Neutron Data Booklet, 2nd ed. (2003).

    Examples
    --------
    >>> scattering_lengths(("Li", "P", "S")).tolist(), scattering_lengths(("Li",), {"Li": -2.22}).tolist()
    ([-1.9, 5.13, 2.847], [-2.22])
    """
    from pymatgen.analysis.diffraction.neutron import ATOMIC_SCATTERING_LEN

    table: dict[str, float] = {**ATOMIC_SCATTERING_LEN, **(given or {})}
    for name in elements:
        if name not in table:
            raise BadInputError(f"there is no scattering length of {name} in the table; give it in fm yourself")
    return np.array([float(table[name]) for name in elements])


def form_factors(elements: tuple[str, ...], q: ArrayLike, given: Mapping[str, ArrayLike] | None = None) -> FloatArray:
    """X-ray form factors in electrons of neutral atoms, or as given, at each scattering vector.

    Parameters
    ----------
    elements : tuple of str
        Chemical symbols.
    q : (n_q,) array, Å⁻¹
        Up to 8π = 25.13.
    given : mapping of str to (n_q,) array, electrons, optional
        Values that replace the tabulated ones: ions, or elements that are not tabulated.

    Returns
    -------
    (n_elements, n_q) array, electrons
        The number of electrons at Q = 0. Without dispersion corrections.

    Raises
    ------
    BadInputError
        An element that is neither in the table nor given, a given row of the wrong length, or Q beyond the fits.

    Notes
    -----
    ``f = Σ a_k exp(-b_k s²) + c`` with ``s = Q / 4π``.

    References
    ----------
    International Tables for Crystallography C (2006), table 6.1.1.4, doi:10.1107/97809553602060000103.

    Examples
    --------
    >>> form_factors(("Li", "S"), [0.0, 5.0]).round(2).tolist()
    [[3.0, 1.28], [16.0, 7.88]]
    """
    wanted = np.atleast_1d(np.asarray(q, dtype=np.float64))
    own = given or {}
    squared = (wanted / (4.0 * np.pi)) ** 2
    result = np.empty((len(elements), len(wanted)))
    for row, name in enumerate(elements):
        if name in own:
            values = np.asarray(own[name], dtype=np.float64)
            if values.shape != wanted.shape:
                raise BadInputError(
                    f"the form factor of {name} has shape {values.shape}; expected {wanted.shape}, as Q"
                )
            result[row] = values
        elif name not in FORM_FACTORS:
            raise BadInputError(
                f"there is no form factor of {name} in the table; those there are {', '.join(FORM_FACTORS)}; "
                "give it yourself"
            )
        elif not (np.abs(wanted) <= LARGEST_Q).all():
            raise BadInputError(f"Q reaches {wanted.max():g} 1/Å; form factors are tabulated up to {LARGEST_Q:.2f} 1/Å")
        else:
            a, b, c = FORM_FACTORS[name]
            result[row] = np.array(a) @ np.exp(-np.outer(b, squared)) + c
    return result
