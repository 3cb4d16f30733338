"""The Ziegler-Biersack-Littmark (ZBL) repulsion as the pair table that DeePMD-kit interpolates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

COULOMB_EV_A = 14.399645  # e² / (4 π ε0), eV Å
SPACING_A = 0.005


def zbl_energy(distance: ArrayLike, number_1: int, number_2: int) -> FloatArray:
    """Universal screened nuclear repulsion of two atoms, eV.

    Parameters
    ----------
    distance : array, Å
    number_1, number_2 : int
        Atomic numbers.

    Returns
    -------
    array, eV

    Notes
    -----
    E(r) = e²/(4πε0) Z1 Z2 / r · φ(r/a), a = 0.46850 Å / (Z1^0.23 + Z2^0.23),
    φ(x) = 0.18175 exp(-3.19980 x) + 0.50986 exp(-0.94229 x) + 0.28022 exp(-0.40290 x) + 0.02817 exp(-0.20162 x).

    References
    ----------
    J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range of Ions in Matter, vol. 1 (1985); in the
    constants of LAMMPS' ``pair_style zbl``.

    Examples
    --------
    >>> round(float(zbl_energy(1.0, 3, 16)), 3)
    18.121
    """
    r = np.asarray(distance, dtype=np.float64)
    x = r * (number_1**0.23 + number_2**0.23) / 0.46850
    screening = (
        0.18175 * np.exp(-3.19980 * x)
        + 0.50986 * np.exp(-0.94229 * x)
        + 0.28022 * np.exp(-0.40290 * x)
        + 0.02817 * np.exp(-0.20162 * x)
    )
    return np.asarray(COULOMB_EV_A * number_1 * number_2 / r * screening)


def write_zbl_table(path: Path, elements: Sequence[str], *, unchanged_to_A: float, cutoff_A: float) -> Path:
    """Write the table for DeePMD-kit's `use_srtab`: distance (Å), then the energy (eV) of each pair of types.

    Parameters
    ----------
    path : Path
    elements : sequence of str
        The potential's type map; columns are the pairs 0-0, 0-1 … 1-1, 1-2 …
    unchanged_to_A, cutoff_A : float, Å
        The repulsion is exact up to the first and is taken smoothly (two continuous derivatives) to zero at the second,
        the potential's cutoff, where DeePMD-kit's neighbour list ends.

    Returns
    -------
    Path
        `path`.
    """
    from ase.data import atomic_numbers

    r = SPACING_A * np.arange(1, int(np.ceil(cutoff_A / SPACING_A)) + 2)
    t = np.clip((r - unchanged_to_A) / (cutoff_A - unchanged_to_A), 0, 1)
    fade = 1 - t**3 * (10 - 15 * t + 6 * t**2)
    fade[r >= cutoff_A - 1e-9] = 0.0
    pairs = combinations_with_replacement([atomic_numbers[e] for e in elements], 2)
    np.savetxt(path, np.column_stack([r, *(zbl_energy(r, a, b) * fade for a, b in pairs)]), fmt="%.12g")
    return path
