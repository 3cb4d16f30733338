"""Relaxation of a crystal and of strained copies of it by LAMMPS at zero temperature, in one process."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.errors import BadInputError, InterruptedRunError, LipsdbError, RefusedError
from lipsdb.md.coupling import Coupling, DriverArguments
from lipsdb.md.input import write_lammps_data
from lipsdb.md.process import (
    error_line,
    is_machine_failure,
    killed_by,
    lammps_command,
    lammps_environment,
    stop_process,
)
from lipsdb.md.result import version_in_log
from lipsdb.md.run import POLL_SECONDS

DATA_FILE = "structure.data"
SCRIPT_FILE = "static.in"
LOG_FILE = "static.log"
OUTPUT_FILE = "static.out"
REFERENCE_FILE = "reference.dump"

#: Stress that may be left in a cell that was to be relaxed (GPa).
STRESS_LIMIT_GPa = 0.01
#: Cell and atoms are relaxed together, then the atoms by themselves, at most so many times.
ROUNDS = 20
_BAR_IN_GPa = 1e-4

_STATE = re.compile(r"^state (\d+) (.+)$", re.MULTILINE)
_PRESSURE = tuple(f"c_pressure[{component}]" for component in range(1, 7))  # xx yy zz xy xz yz
_BOX = ("lx", "ly", "lz", "xy", "xz", "yz")
_VALUES = (*_BOX, "pe", "fmax", *_PRESSURE)


@dataclass(frozen=True)
class StrainedCells:
    """A reference crystal and strained copies of it, atoms relaxed; the reference comes first.

    Attributes
    ----------
    cells : (n + 1, 3, 3) array, Å
        Row vectors in LAMMPS' orientation.
    energies_eV : (n + 1,) array, eV
        Of all atoms.
    stresses_GPa : (n + 1, 3, 3) array, GPa
        Cauchy stress, tension positive.
    max_forces_eV_A : (n + 1,) array, eV/Å
        Largest component of a force that was left.
    positions : (n_atoms, 3) array, Å
        Of the reference, in LAMMPS' orientation.
    original_cell : (3, 3) array, Å
        Of the structure as it was given, in LAMMPS' orientation.
    rotation : (3, 3) array
        ``x_lammps = x_input @ rotation`` for row vectors.
    script_path, log_path : Path
    wall_seconds : float
    lammps_version : str
    program : str
        What ran: ``lmp``, or the driver of the potential.
    """

    cells: NDArray[np.float64]
    energies_eV: NDArray[np.float64]
    stresses_GPa: NDArray[np.float64]
    max_forces_eV_A: NDArray[np.float64]
    positions: NDArray[np.float64]
    original_cell: NDArray[np.float64]
    rotation: NDArray[np.float64]
    script_path: Path
    log_path: Path
    wall_seconds: float
    lammps_version: str
    program: str


def static_script(
    pair_commands: str, deformations: ArrayLike, *, relax_cell: bool, max_force_eV_A: float, max_steps: int
) -> str:
    """LAMMPS script that relaxes a crystal and strained copies of it.

    Parameters
    ----------
    pair_commands : str
        The potential's lines of input.
    deformations : (n, 3, 3) array, dimensionless
        Upper triangular deformation gradients F: the strained cell is ``cell @ F.T``.
    relax_cell : bool
        Whether the cell is relaxed at zero pressure before it is strained.
    max_force_eV_A : float
        Atoms are relaxed until no component of a force is larger (eV/Å).
    max_steps : int
        Most steps of a minimisation.

    Returns
    -------
    str

    Notes
    -----
    Each strained cell starts from the reference's fractional coordinates, not from those of the cell before it. Box
    lengths are in Å, the box's corner stays at the origin.
    """
    minimise = f"minimize        0.0 {max_force_eV_A:.12g} {max_steps} {10 * max_steps}"
    lines = [
        "units           metal",
        "atom_style      atomic",
        "boundary        p p p",
        f"read_data       {DATA_FILE}",
        *(line.strip() for line in pair_commands.strip().splitlines()),
        "neighbor        1.0 bin",
        "neigh_modify    every 1 delay 0 check yes",
        "compute         pressure all pressure NULL virial",
        f"thermo_style    custom step pe fmax {' '.join(_PRESSURE)}",
        "thermo_modify   norm no lost error flush yes",
        f"thermo          {max_steps}",
        "min_modify      norm inf",
        "min_style       fire",
    ]
    if relax_cell:
        lines += [
            f"variable        stress equal {'+'.join(f'abs({name})' for name in _PRESSURE)}",
            f"variable        round loop {ROUNDS}",
            "label           relax",
            "fix             cell all box/relax tri 0.0 vmax 0.001 fixedpoint 0.0 0.0 0.0",
            "min_style       cg",
            minimise,
            "unfix           cell",
            "min_style       fire",
            minimise,
            f'if "$(v_stress) < {STRESS_LIMIT_GPa / _BAR_IN_GPa:.12g}" then "jump SELF relaxed"',
            "next            round",
            "jump            SELF relax",
            "label           relaxed",
        ]
    else:
        lines.append(minimise)
    lines += [
        _state_line(0),
        "reset_timestep  0",
        f"write_dump      all custom {REFERENCE_FILE} id type x y z modify sort id format float %.17g",
        *(f"variable        {name}0 equal $({name}:%.17g)" for name in _BOX),
    ]
    for number, gradient in enumerate(np.asarray(deformations, dtype=np.float64), start=1):
        lines += [
            *([f"read_dump       {REFERENCE_FILE} 0 x y z box yes replace yes"] if number > 1 else []),
            f"change_box      all {_strained_box(gradient)} remap units box",
            minimise,
            _state_line(number),
        ]
    return "\n".join(lines) + "\n"


def _state_line(number: int) -> str:
    return f'print           "state {number} ' + " ".join(f"$({name}:%.15g)" for name in _VALUES) + '"'


def _strained_box(gradient: NDArray[np.float64]) -> str:
    """Box of the rows of ``cell @ F.T``, written with the reference's lengths and tilts."""
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = gradient.tolist()
    box = {
        "x": [(xx, "lx0")],
        "y": [(yy, "ly0")],
        "z": [(zz, "lz0")],
        "xy": [(xx, "xy0"), (xy, "ly0")],
        "xz": [(xx, "xz0"), (xy, "yz0"), (xz, "lz0")],
        "yz": [(yy, "yz0"), (yz, "lz0")],
    }
    words = []
    for name, terms in box.items():
        length = "+".join(f"{factor:.17g}*v_{variable}" for factor, variable in terms).replace("+-", "-")
        words.append(f"{name} final {'0.0 ' if len(name) == 1 else ''}$({length}:%.17g)")
    return " ".join(words)


def relax_strained_cells(
    folder: str | Path,
    coupling: Coupling,
    numbers: ArrayLike,
    positions: ArrayLike,
    cell: ArrayLike,
    elements: Sequence[str],
    deformations: ArrayLike,
    *,
    relax_cell: bool = True,
    max_force_eV_A: float = 1e-3,
    max_steps: int = 2000,
    ranks: int = 1,
    progress: Callable[[int, int], None] | None = None,
    lock_fd: int | None = None,
) -> StrainedCells:
    """Relax a crystal, then its atoms in each of its strained cells, in GPa and eV.

    Parameters
    ----------
    folder : path
        Where LAMMPS runs; created if missing. Files that `coupling` names are relative to it.
    coupling : Coupling
        How LAMMPS uses the potential.
    numbers : (n_atoms,) array of int
        Atomic numbers.
    positions : (n_atoms, 3) array, Å
    cell : (3, 3) array, Å
        Lattice vectors as rows, right-handed.
    elements : sequence of str
        Symbols in the order of the potential's atom types.
    deformations : (n, 3, 3) array, dimensionless
        Upper triangular deformation gradients from the reference; see `lipsdb.analysis.elasticity`.
    relax_cell : bool
        Whether the reference is relaxed at zero pressure, all lengths and angles; else only its atoms are.
    max_force_eV_A : float
        Largest component of a force that may be left, eV/Å.
    max_steps : int
        Most steps of one minimisation.
    ranks : int
        MPI ranks, or threads of the coupling's driver.
    progress : callable, optional
        Called about once a second with the number of relaxed cells and how many there are.
    lock_fd : int, optional
        Descriptor of a locked file, inherited by LAMMPS.

    Returns
    -------
    StrainedCells

    Raises
    ------
    RefusedError
        If a force or the stress of the relaxed cell is larger than allowed when the minimisation ends.
    InterruptedRunError
        If LAMMPS was killed by a signal from outside, or a driver lacked memory or disk.
    BadInputError
        If a value is not allowed.
    LipsdbError
        If LAMMPS refuses its input or crashes; with its own ERROR line.

    Notes
    -----
    Stress is minus LAMMPS' pressure tensor (1 bar = 1e-4 GPa): ``σ_ij = (1/V) ∂E/∂ε_ij``.
    """
    gradients = np.asarray(deformations, dtype=np.float64)
    _check_gradients(gradients)
    if max_steps < 1 or not max_force_eV_A > 0 or ranks < 1:
        raise BadInputError(
            f"max_steps = {max_steps}, max_force_eV_A = {max_force_eV_A}, ranks = {ranks}; all must be positive"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    orientation = write_lammps_data(folder / DATA_FILE, numbers, positions, cell, elements, force_triclinic=True)
    script = static_script(
        coupling.commands, gradients, relax_cell=relax_cell, max_force_eV_A=max_force_eV_A, max_steps=max_steps
    )
    (folder / SCRIPT_FILE).write_text(script, "utf-8")
    _run(folder, coupling, ranks, len(gradients) + 1, progress, lock_fd)
    log = (folder / LOG_FILE).read_text("utf-8", errors="replace")
    states = _states(log)
    if len(states) != len(gradients) + 1:
        raise LipsdbError(f"lmp ended after {len(states)} of {len(gradients) + 1} cells; see {LOG_FILE} in {folder}")
    cells, stresses = _cells(states), _stresses(states)
    max_forces = states[:, _VALUES.index("fmax")]
    if relax_cell:
        _check_stress(stresses[0], max_steps)
    _check_forces(max_forces, max_force_eV_A, max_steps)
    return StrainedCells(
        cells=cells,
        energies_eV=states[:, _VALUES.index("pe")],
        stresses_GPa=stresses,
        max_forces_eV_A=max_forces,
        positions=np.loadtxt(folder / REFERENCE_FILE, skiprows=9, ndmin=2)[:, 2:],
        original_cell=orientation.cell,
        rotation=orientation.rotation,
        script_path=folder / SCRIPT_FILE,
        log_path=folder / LOG_FILE,
        wall_seconds=max(0.0, (folder / LOG_FILE).stat().st_mtime - (folder / SCRIPT_FILE).stat().st_mtime),
        lammps_version=version_in_log(log),
        program=coupling.program,
    )


def _check_gradients(gradients: NDArray[np.float64]) -> None:
    if gradients.ndim != 3 or gradients.shape[1:] != (3, 3) or not np.isfinite(gradients).all():
        raise BadInputError(f"deformations of shape {gradients.shape}; expected finite numbers of shape (n, 3, 3)")
    if np.abs(np.tril(gradients, -1)).max(initial=0.0) > 0 or (np.linalg.det(gradients) <= 0).any():
        raise BadInputError(
            "a deformation is not upper triangular, or inverts space; take those of lipsdb.analysis.elasticity"
        )


def _run(
    folder: Path,
    coupling: Coupling,
    ranks: int,
    total: int,
    progress: Callable[[int, int], None] | None,
    lock_fd: int | None,
) -> None:
    """Run LAMMPS to its end, looking at its log once in a while."""
    log = folder / LOG_FILE
    log.unlink(missing_ok=True)
    with (folder / OUTPUT_FILE).open("wb") as out:
        process = subprocess.Popen(
            lammps_command(coupling, DriverArguments(SCRIPT_FILE, LOG_FILE, threads=ranks), ranks),
            cwd=folder,
            env=lammps_environment(ranks),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            pass_fds=() if lock_fd is None else (lock_fd,),
        )
    try:
        while process.poll() is None:
            try:
                process.wait(timeout=POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if progress is not None and log.exists():
                    progress(len(_STATE.findall(log.read_text("utf-8", errors="replace"))), total)
    finally:
        stop_process(process)
    if process.returncode == 0:
        return
    texts = [path.read_text("utf-8", errors="replace") for path in (log, folder / OUTPUT_FILE) if path.exists()]
    where = f"after {len(_STATE.findall(texts[0]))} of {total} cells"
    error, killer = error_line(texts), killed_by(process.returncode, texts)
    if error is None and killer is not None:
        raise InterruptedRunError(f"lmp was stopped by {killer} {where}; run it again, from the start")
    if error is not None and is_machine_failure(error):
        raise InterruptedRunError(f"lmp was stopped {where}: {error}; mend that and run it again, from the start")
    raise LipsdbError(
        f"lmp ended with status {process.returncode} {where}: {error or 'no ERROR line'}; see {LOG_FILE} in {folder}"
    )


def _states(log: str) -> NDArray[np.float64]:
    """Values of each state in a log, (n_states, n_values), in the order in which they were asked for.

    Examples
    --------
    >>> _states("state 0 " + " ".join(["1.5"] * 14) + "\\n").shape
    (1, 14)
    """
    found = _STATE.findall(log)
    values = np.array([[float(word) for word in words.split()] for _, words in found]).reshape(-1, len(_VALUES))
    if [int(number) for number, _ in found] != list(range(len(found))) or not np.isfinite(values).all():
        raise RefusedError(
            "a strained cell is missing in the log, or has an energy, force or stress that is not finite; "
            "check the potential on this structure"
        )
    return values


def _cells(states: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row vectors from lengths and tilts, Å."""
    cells = np.zeros((len(states), 3, 3))
    rows, columns = (0, 1, 2, 1, 2, 2), (0, 1, 2, 0, 0, 1)
    cells[:, rows, columns] = states[:, :6]
    return cells


def _stresses(states: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cauchy stresses from the pressure tensor, GPa.

    Examples
    --------
    >>> bar = np.array([[0.0] * 8 + [10_000.0] + [0.0] * 5])
    >>> float(_stresses(bar)[0, 0, 0])
    -1.0
    """
    pxx, pyy, pzz, pxy, pxz, pyz = states[:, 8:].T
    return -_BAR_IN_GPa * np.array([[pxx, pxy, pxz], [pxy, pyy, pyz], [pxz, pyz, pzz]]).transpose(2, 0, 1)


def _check_stress(stress: NDArray[np.float64], max_steps: int) -> None:
    left = float(np.abs(stress).max())
    if left > STRESS_LIMIT_GPa:
        raise RefusedError(
            f"the reference cell was not relaxed: a stress of {left:.3g} GPa is left after {ROUNDS} rounds of "
            f"{max_steps} steps at most, allowed is {STRESS_LIMIT_GPa:g}; raise max_steps, or give a structure that is "
            "nearer to the potential's own"
        )


def _check_forces(largest: NDArray[np.float64], allowed: float, max_steps: int) -> None:
    worst = int(largest.argmax())
    if largest[worst] > allowed:
        which = "the reference cell" if worst == 0 else f"strained cell {worst} of {len(largest) - 1}"
        raise RefusedError(
            f"the atoms of {which} were not relaxed: a force of {largest[worst]:.3g} eV/Å is left after {max_steps} "
            f"steps at most, allowed is {allowed:g}; raise max_steps or max_force_eV_A"
        )
