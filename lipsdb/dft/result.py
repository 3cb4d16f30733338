"""What a DFT calculation of one configuration gives, and the gates that it must pass to become a label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lipsdb.errors import RefusedError

FORCE_LIMIT_eV_A = 50.0
STRESS_LIMIT_GPa = 500.0
POSITION_TOLERANCE_A = 2e-6  # programs print positions in six digits
EV_A3_IN_GPA = 160.2176634  # 1 eV/Å³, exact by the definition of the elementary charge


@dataclass(frozen=True)
class SinglePoint:
    """Energy, forces and virial of one configuration, as a program printed them.

    Attributes
    ----------
    numbers : (n_atoms,) integers
    positions : (n_atoms, 3) array, Å
        As the program repeats them.
    cell : (3, 3) array, Å
    energy_eV : float
    forces : (n_atoms, 3) array, eV/Å
    virial : (3, 3) array or None, eV
        W = −dE/dε.
    converged : bool
        Whether the SCF reached its threshold.
    n_electrons : float or None
        Electrons that the program counted.
    cell_tolerance_A : float
        To how many digits the program repeats the cell.
    """

    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    energy_eV: float
    forces: np.ndarray
    virial: np.ndarray | None
    converged: bool
    n_electrons: float | None
    cell_tolerance_A: float = POSITION_TOLERANCE_A


def virial_of_stress(stress_GPa: np.ndarray, volume_A3: float) -> np.ndarray:
    """Virial W = −V σ (eV) of a stress that is positive under tension (GPa).

    Examples
    --------
    >>> float(virial_of_stress(np.eye(3) * -160.2176634, 8.0)[0, 0])  # 8 Å³ × 1 eV/Å³
    8.0
    """
    return np.asarray(-volume_A3 * np.asarray(stress_GPa) / EV_A3_IN_GPA)


def check_single_point(
    found: SinglePoint,
    numbers: np.ndarray,
    positions: np.ndarray,
    cell: np.ndarray,
    valence: Mapping[int, float] | None = None,
) -> None:
    """Let a result pass only if it can be a label of the configuration that was asked for.

    Parameters
    ----------
    found : SinglePoint
    numbers, positions, cell
        The configuration that was asked for; Å.
    valence : dict, optional
        Atomic number -> electrons that the pseudopotential of the level of theory leaves.

    Raises
    ------
    RefusedError
        Its `gate` is 'scf', 'structure', 'valence', 'finite' or 'size'.
    """
    if not found.converged:
        raise RefusedError(
            "the SCF did not reach its threshold; look at the log (`lipsdb export files`), and change the structure or "
            "the level of theory's thresholds",
            "scf",
        )
    _check_structure(found, numbers, positions, cell)
    if valence is not None and found.n_electrons is not None:
        expected = sum(valence[int(number)] for number in numbers)
        if abs(found.n_electrons - expected) > 1e-6:
            raise RefusedError(
                f"the program counted {found.n_electrons:g} electrons, the pseudopotentials leave {expected:g}; "
                "check the pseudopotential files",
                "valence",
            )
    arrays = {"energy": np.array(found.energy_eV), "forces": found.forces}
    if found.virial is not None:
        arrays["virial"] = found.virial
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise RefusedError(f"the {name} is not finite; look at the log (`lipsdb export files`)", "finite")
    largest = float(np.linalg.norm(found.forces, axis=1).max())
    if largest > FORCE_LIMIT_eV_A:
        raise RefusedError(
            f"a force of {largest:.1f} eV/Å is above the limit of {FORCE_LIMIT_eV_A:g} eV/Å; atoms are too close",
            "size",
        )
    if found.virial is not None:
        stress = float(np.abs(found.virial).max() / abs(np.linalg.det(cell)) * EV_A3_IN_GPA)
        if stress > STRESS_LIMIT_GPa:
            raise RefusedError(
                f"a stress of {stress:.0f} GPa is above the limit of {STRESS_LIMIT_GPa:g} GPa; check the cell", "size"
            )


def _check_structure(found: SinglePoint, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray) -> None:
    if len(found.numbers) != len(numbers) or (np.asarray(found.numbers) != np.asarray(numbers)).any():
        raise RefusedError("the program's atoms are not those that were asked for, or in another order", "structure")
    away = float(np.abs(np.asarray(found.cell) - cell).max())
    if away > found.cell_tolerance_A:
        raise RefusedError(f"the program's cell is off by {away:.1e} Å from the one asked for", "structure")
    away = float(np.abs(np.asarray(found.positions) - positions).max())
    if away > POSITION_TOLERANCE_A:
        raise RefusedError(f"the program's positions are off by {away:.1e} Å from those asked for", "structure")
