"""Relaxation of atoms and cell with CP2K; one that was killed goes on from its restart file."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipsdb.dft.cp2k.aimd_output import last_energy_and_pressure, read_frames, read_table
from lipsdb.dft.cp2k.inputs import PROJECT, relaxation_inputs
from lipsdb.dft.cp2k.level import Cp2kLevel
from lipsdb.dft.cp2k.output import HARTREE_PER_BOHR_IN_EV_PER_A
from lipsdb.dft.cp2k.run import is_whole, run_cp2k
from lipsdb.dft.settings import RelaxationSettings
from lipsdb.errors import RefusedError

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

CONTINUED = "continued.restart"
BAR_PER_GPA = 1e4


@dataclass(frozen=True)
class Relaxed:
    """A relaxed structure.

    Attributes
    ----------
    positions : (n_atoms, 3) array, Å
    cell : (3, 3) array, Å
        If it was relaxed, in LAMMPS' orientation (a along x, b in the xy plane); as it was otherwise.
    energy_eV : float
    max_force_eV_A : float
        Largest component of a force.
    pressure_bar : float
        Of the forces.
    """

    positions: np.ndarray
    cell: np.ndarray
    energy_eV: float
    max_force_eV_A: float
    pressure_bar: float


def run_relaxation(
    folder: Path,
    level: Cp2kLevel,
    structure: Structure,
    settings: RelaxationSettings,
    *,
    ranks: int,
    lock_fd: int | None = None,
) -> Relaxed:
    """Relax a structure.

    Parameters
    ----------
    folder : Path
        Its own folder; the restart file that an interrupted run left there is continued.
    level : Cp2kLevel
    structure : pymatgen Structure
    settings : RelaxationSettings
    ranks : int
        MPI ranks.
    lock_fd : int, optional
        Descriptor of a lock that the program keeps open as long as it lives.

    Returns
    -------
    Relaxed

    Raises
    ------
    RefusedError
        Its `gate` is 'relaxation' if forces or pressure are not below their limits after so many steps, 'scf' if the
        last SCF did not converge.
    InterruptedRunError
        If CP2K was killed; calling this again continues.
    """
    start = upright(structure) if settings.cell else structure
    restarts = sorted(folder.glob(f"{PROJECT}-1.restart*"), key=lambda path: -path.stat().st_mtime_ns)
    whole = next((path for path in restarts if is_whole(path)), None)
    if whole is not None:
        shutil.copyfile(whole, folder / CONTINUED)
    inputs = relaxation_inputs(level, start, settings, restart=CONTINUED if whole is not None else None)
    output = run_cp2k(folder, inputs, ranks=ranks, lock_fd=lock_fd, correct=False)
    text = output.read_text(errors="replace")
    if "GEOMETRY OPTIMIZATION COMPLETED" not in text:
        raise RefusedError(
            f"the relaxation did not reach its limits within max_steps = {settings.max_steps}; allow more steps, or "
            "start from a better structure",
            "relaxation",
        )
    if text.rfind("SCF run NOT converged") > text.rfind("SCF run converged in"):
        raise RefusedError("the SCF of the relaxed structure did not converge; change the structure or level", "scf")
    relaxed = _last(folder, text, start)
    largest, pressure = relaxed.max_force_eV_A, relaxed.pressure_bar
    if largest > settings.max_force_eV_A or (settings.cell and abs(pressure) > settings.pressure_tolerance_bar):
        raise RefusedError(
            f"forces up to {largest:.2g} eV/Å and {pressure:.0f} bar remain after the relaxation; allowed are "
            f"{settings.max_force_eV_A:g} eV/Å and {settings.pressure_tolerance_bar:g} bar; run it again from there",
            "relaxation",
        )
    return relaxed


def upright(structure: Structure) -> Structure:
    """The same structure turned so that a is along x and b in the xy plane, which CP2K's cell optimiser needs."""
    from ase.calculators.lammps import Prism
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

    prism = Prism(structure.lattice.matrix)
    positions = structure.cart_coords @ np.array(prism.rot_mat)
    return Structure(Lattice(np.array(prism.cell)), structure.species, positions, coords_are_cartesian=True)


def _last(folder: Path, text: str, start: Structure) -> Relaxed:
    """What the output and the other files say of the last step."""
    symbols, steps, positions = read_frames(folder / f"{PROJECT}-pos-1.xyz")
    same, force_steps, forces = read_frames(folder / f"{PROJECT}-frc-1.xyz")
    cells = read_table(folder / f"{PROJECT}-1.cell", 12)
    if not symbols or symbols != same or symbols != [site.specie.symbol for site in start]:
        raise RefusedError("CP2K's atoms are not those that were asked for, or in another order", "structure")
    energy, pressure = last_energy_and_pressure(text)
    if steps[-1] != force_steps[-1] or energy is None or pressure is None:
        raise RefusedError("CP2K's output lacks energy, stress or forces of the last step; run the job again", "file")
    return Relaxed(
        positions[-1],
        cells[-1, 2:11].reshape(3, 3) if len(cells) else np.array(start.lattice.matrix),
        energy,
        float(np.abs(forces[-1]).max()) * HARTREE_PER_BOHR_IN_EV_PER_A,
        float(np.trace(pressure) / 3) * BAR_PER_GPA,
    )
