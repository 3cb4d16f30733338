"""Chemical formulas from atomic numbers."""

from __future__ import annotations

import numpy as np


def formula(numbers: np.ndarray) -> str:
    """Composition of a cell, elements by atomic number.

    Parameters
    ----------
    numbers : (n_atoms,) array of int
        Atomic numbers.

    Examples
    --------
    >>> formula(np.array([3] * 6 + [15] * 2 + [16] * 8))
    'Li6P2S8'
    """
    from ase.data import chemical_symbols

    elements, counts = np.unique(numbers, return_counts=True)
    return "".join(f"{chemical_symbols[z]}{n if n > 1 else ''}" for z, n in zip(elements, counts, strict=True))
