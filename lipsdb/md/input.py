"""LAMMPS input: the data file with the structure, and the script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.errors import BadInputError
from lipsdb.md.settings import MDSettings

#: Columns of the thermo output, in LAMMPS' keywords.
THERMO_KEYWORDS = "step temp pe ke etotal econserve press vol density lx ly lz xy xz yz pxx pyy pzz pxy pxz pyz"

#: Periodic restart files are named with this prefix and the step.
RESTART_PREFIX = "restart."


@dataclass(frozen=True)
class LammpsOrientation:
    """How a structure was turned to fit LAMMPS' convention for cells.

    Attributes
    ----------
    cell : (3, 3) array, Å
        Row vectors as LAMMPS has them: a along x, b in the xy plane.
    rotation : (3, 3) array
        A proper rotation R with ``x_lammps = x_input @ R`` for row vectors; ``x_input = x_lammps @ R.T``.
    """

    cell: NDArray[np.float64]
    rotation: NDArray[np.float64]


def write_lammps_data(
    path: str | Path,
    numbers: ArrayLike,
    positions: ArrayLike,
    cell: ArrayLike,
    elements: Sequence[str],
    *,
    force_triclinic: bool = False,
) -> LammpsOrientation:
    """Write a periodic structure as a LAMMPS data file (``units metal``, ``atom_style atomic``).

    Parameters
    ----------
    path : path
        The file to write.
    numbers : (n_atoms,) array of int
        Atomic numbers. Atom ids are 1 … n_atoms in this order.
    positions : (n_atoms, 3) array, Å
        Cartesian positions, wrapped or not.
    cell : (3, 3) array, Å
        Lattice vectors as rows; right-handed.
    elements : sequence of str
        Symbols in the order of LAMMPS' atom types 1, 2, …; may name elements that the structure lacks.
    force_triclinic : bool
        Write tilt factors even for an orthogonal cell (barostats that vary the angles need them).

    Returns
    -------
    LammpsOrientation
        The cell in LAMMPS' orientation and the rotation that was applied.

    Raises
    ------
    BadInputError
        If shapes disagree, values are not finite, the cell is flat or left-handed, or an element has no type.
    """
    from ase import Atoms
    from ase.calculators.lammps import Prism
    from ase.data import chemical_symbols
    from ase.io.lammpsdata import write_lammps_data as ase_write

    z = np.asarray(numbers, dtype=np.int64)
    x = np.asarray(positions, dtype=np.float64)
    h = np.asarray(cell, dtype=np.float64)
    _check_structure(z, x, h)
    present = {chemical_symbols[number] for number in np.unique(z)}
    if len(set(elements)) != len(elements) or not present <= set(elements):
        raise BadInputError(
            f"elements = {' '.join(elements)} must name each of {' '.join(sorted(present))} exactly once; "
            "give the type order of the potential, with every element of the structure"
        )
    prism = Prism(h)
    with Path(path).open("w", encoding="utf-8") as stream:
        ase_write(
            stream,
            Atoms(numbers=z, positions=x, cell=h, pbc=True),
            specorder=list(elements),
            force_skew=force_triclinic,
            prismobj=prism,
            masses=True,
            units="metal",
            atom_style="atomic",
        )
    return LammpsOrientation(cell=np.array(prism.cell), rotation=np.array(prism.rot_mat))


def _check_structure(z: NDArray[np.int64], x: NDArray[np.float64], h: NDArray[np.float64]) -> None:
    if z.ndim != 1 or z.size == 0 or x.shape != (z.size, 3) or h.shape != (3, 3):
        raise BadInputError(
            f"structure of shapes numbers {z.shape}, positions {x.shape}, cell {h.shape}; "
            "give (n,), (n, 3) and (3, 3) with n of at least 1"
        )
    if not (np.isfinite(x).all() and np.isfinite(h).all()):
        raise BadInputError("positions or cell hold NaN or infinity; give finite numbers in Å")
    volume = float(np.linalg.det(h))
    if volume <= 1e-6 * float(np.prod(np.linalg.norm(h, axis=1))):
        raise BadInputError(
            f"cell with a volume of {volume:g} Å³; it must be positive (right-handed, not flat); mend the vectors"
        )


def lammps_script(
    settings: MDSettings,
    pair_commands: str,
    restart_interval: int,
    *,
    data_file: str = "structure.data",
    dump_file: str = "segment.dcd",
    start_step: int = 0,
    restart_file: str | None = None,
    final_restart: str = "final.restart",
) -> str:
    """LAMMPS script of a run, or of its continuation from a restart file.

    Parameters
    ----------
    settings : MDSettings
        What to run.
    pair_commands : str
        The potential's lines, such as ``pair_style …`` and ``pair_coeff …``.
    restart_interval : int
        Distance of two restart files (steps).
    data_file, dump_file, final_restart : str
        File names, relative to the folder where LAMMPS runs.
    start_step : int
        Step of `restart_file`, counted from the beginning of the equilibration.
    restart_file : str, optional
        Continue from this file; ``None`` begins anew from `data_file` and draws velocities.

    Returns
    -------
    str
        The script. Steps count through: production begins at step ``equilibration_steps``.

    Notes
    -----
    A continued run gives the same bits as an uninterrupted one on one rank and in an orthogonal cell (in a triclinic
    one LAMMPS passes through fractional coordinates when it reads a restart file, and rounds). To that end, on every
    step that writes a restart file LAMMPS rebuilds the neighbour list, re-sorts the atoms, and sets up the integrator
    anew (``run … every``: the thermostat otherwise carries a rounding error that restart files lack).
    This costs one evaluation of the forces a restart interval. The barostat dilates about the cell's corner, which
    stays at the origin. With ensemble ``nve`` the equilibration runs in nvt.

    Examples
    --------
    >>> settings = MDSettings(temperature_K=300, n_steps=1000)
    >>> print(lammps_script(settings, "pair_style zero 5.0", 500).splitlines()[0])
    units           metal
    """
    if restart_interval < 1:
        raise BadInputError(f"restart_interval = {restart_interval}; it must be at least 1 step")
    boundary = settings.equilibration_steps
    lines = [
        "units           metal",
        "atom_style      atomic",
        "boundary        p p p",
        f"read_restart    {restart_file}" if restart_file else f"read_data       {data_file}",
        f"atom_modify     sort {restart_interval} 0.0",
        *(line.strip() for line in pair_commands.strip().splitlines()),
        "neighbor        1.0 bin",
        "neigh_modify    every 1 delay 0 check yes",
        f"timestep        {settings.timestep_ps:.12g}",
    ]
    if restart_file is None:
        # rot no: angular momentum has no meaning in a periodic cell. loop all: the same on any number of ranks.
        lines.append(
            f"velocity        all create {settings.temperature_K:.12g} {settings.seed} "
            "mom yes rot no dist gaussian loop all"
        )
    lines += [
        f"thermo_style    custom {THERMO_KEYWORDS}",
        "thermo_modify   line yaml format float %.15g flush yes lost error norm no",
        f"thermo          {settings.thermo_interval}",
        f"restart         {restart_interval} {RESTART_PREFIX}*",
    ]
    if start_step < boundary:
        ensemble = "nvt" if settings.ensemble == "nve" else settings.ensemble
        lines += [_integrator(settings, ensemble), *_runs(start_step, boundary, restart_interval)]
        if settings.ensemble == "nve":
            lines += ["unfix           dynamics", _integrator(settings, "nve")]
    else:
        lines.append(_integrator(settings, settings.ensemble))
    lines += [
        f"dump            trajectory all dcd {settings.dump_interval} {dump_file}",
        "dump_modify     trajectory unwrap yes flush yes",
        *_runs(max(start_step, boundary), settings.total_steps, restart_interval),
        f"write_restart   {final_restart}",
    ]
    return "\n".join(lines) + "\n"


def _runs(begin: int, end: int, restart_interval: int) -> list[str]:
    """Run commands from one step to another that set the integrator up anew on every step with a restart file."""
    aligned = begin + -begin % restart_interval
    if aligned >= end:
        return [f"run             {end} upto"]
    first = [f"run             {aligned} upto post no"] if aligned > begin else []
    return [*first, f"run             {end} upto post no every {restart_interval} NULL"]


def _integrator(settings: MDSettings, ensemble: str) -> str:
    if ensemble == "nve":
        return "fix             dynamics all nve"
    temperature, damping = f"{settings.temperature_K:.12g}", f"{settings.thermostat_damping_ps:.12g}"
    command = f"fix             dynamics all {ensemble} temp {temperature} {temperature} {damping}"
    if ensemble == "npt":
        pressure = f"{settings.pressure_bar:.12g}"
        command += (
            f" {settings.npt_coupling} {pressure} {pressure} {settings.barostat_damping_ps:.12g} fixedpoint 0.0 0.0 0.0"
        )
    return command
