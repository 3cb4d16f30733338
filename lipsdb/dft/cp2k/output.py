"""CP2K output to energy, forces and virial, read by pymatgen."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from lipsdb.dft.result import SinglePoint, virial_of_stress
from lipsdb.errors import RefusedError

# CODATA 2018, eV/Å in one Hartree/Bohr: 27.211386245988 / 0.529177210903
HARTREE_PER_BOHR_IN_EV_PER_A = 51.42206747632590


CELL_TOLERANCE_A = 6e-4  # the output gives cell vectors in three digits


def read_single_point(path: Path, volume_A3: float) -> SinglePoint:
    """Read a single point's output.

    Parameters
    ----------
    path : Path
        The output file.
    volume_A3 : float
        Volume of the cell that was asked for, Å³: the output gives the cell in three digits only.

    Returns
    -------
    SinglePoint
        CP2K prints the stress with the sign of a pressure (positive when compressed), in GPa.

    Raises
    ------
    RefusedError
        If the output is not complete.
    """
    from ase.data import atomic_numbers
    from pymatgen.io.cp2k.outputs import Cp2kOutput

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        output: Any = Cp2kOutput(str(path), auto_load=False)  # type: ignore[no-untyped-call]
        try:
            output.convergence()
            output.parse_forces()
            output.parse_stresses()
            output.parse_energies()
            output.parse_atomic_kind_info()
        except (ValueError, IndexError, KeyError, TypeError) as error:
            raise RefusedError(f"{path.name} cannot be read to its end ({error}); run it again", "file") from error
    data = output.data
    if not data.get("forces") or not data.get("total_energy"):
        raise RefusedError(f"{path.name} holds no forces or no energy; run it again", "file")
    text = path.read_text(errors="replace")
    symbols, positions = _atoms(text)
    cell = _cell(text)
    stress = data.get("stress_tensor") or []
    virial = virial_of_stress(-np.array(stress[-1], dtype=float), volume_A3) if stress else None
    return SinglePoint(
        numbers=np.array([atomic_numbers[symbol] for symbol in symbols]),
        positions=positions,
        cell=cell,
        energy_eV=float(data["total_energy"][-1]),
        forces=np.array(data["forces"][-1], dtype=float) * HARTREE_PER_BOHR_IN_EV_PER_A,
        virial=virial,
        converged=bool(data.get("scf_converged")) and all(data["scf_converged"]),
        n_electrons=_n_electrons(text),
        cell_tolerance_A=CELL_TOLERANCE_A,
    )


def _atoms(text: str) -> tuple[list[str], np.ndarray]:
    """Elements and positions (Å) from the table ``ATOMIC COORDINATES``."""
    lines = iter(text.partition("ATOMIC COORDINATES IN")[2].splitlines())
    unit = next(lines, "").split()
    symbols, positions = [], []
    for line in lines:
        words = line.split()
        if len(words) >= 7 and words[0].isdigit() and words[1].isdigit():
            symbols.append(words[2])
            positions.append([float(word) for word in words[4:7]])
        elif symbols:
            break
    if not symbols or [word.lower() for word in unit[:1]] != ["angstrom"]:
        raise RefusedError("the output does not repeat the atoms in Å; run it again", "file")
    return symbols, np.array(positions)


def _cell(text: str) -> np.ndarray:
    """Cell vectors (Å) from the lines ``CELL| Vector``."""
    rows = [line.split("[angstrom]:")[1].split()[:3] for line in text.splitlines() if line.startswith(" CELL| Vector")]
    if len(rows) < 3:
        raise RefusedError("the output does not repeat the cell; run it again", "file")
    return np.array(rows[:3], dtype=float)


def _n_electrons(text: str) -> float | None:
    rest = text.partition("Number of electrons:")[2]
    return float(rest.split(None, 1)[0]) if rest else None
