"""Labels in CP2K's output: single points, and the trajectories of dynamics and relaxations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from lipsdb.dft.cp2k.output import HARTREE_PER_BOHR_IN_EV_PER_A, read_single_point
from lipsdb.dft.result import virial_of_stress
from lipsdb.documents.level_of_theory import LevelOfTheoryAsked
from lipsdb.errors import BadInputError, RefusedError
from lipsdb.ingest.files import find_files, text_of
from lipsdb.ingest.frames import Fault, Frame, Reading, element_numbers, reading_of, refuse_other_code
from lipsdb.ingest.storing import LabelFormat

HARTREE_IN_EV = 27.211386245988  # CODATA 2018
_SINGLE_POINTS = {"ENERGY", "ENERGY_FORCE"}
_CELL_DIGITS_A = 6e-4  # the output gives cell vectors in three digits, lengths and angles in six
_METRIC_DIGITS = 6e-7  # Å and degrees
_ENERGY_DIGITS_HARTREE = 2e-10  # trajectories give the energy in ten digits


def read_cp2k(path: Path) -> Reading:
    """Read an output file of CP2K; of a run with steps, also the trajectories that it wrote beside it.

    Parameters
    ----------
    path : Path
        Of the output. A single point has energy, forces and, if asked for, the stress in it. The frames of dynamics are
        those of ``PROJECT-pos-1.xyz`` for which ``PROJECT-frc-1.xyz`` has forces, with the cells of ``PROJECT-1.cell``.

    Returns
    -------
    Reading
        Whether the SCF of each frame converged is read off the output. So is the stress, which CP2K prints with the
        sign of a pressure (positive when compressed; W = V P): in ``PROJECT-1.stress`` it contains the atoms' kinetic
        energy, which is no part of a label. What the output says of its level of theory can be compared with a level.

    Raises
    ------
    BadInputError, RefusedError
        If a file is missing or incomplete.
    """
    if path.name.endswith(".xyz"):
        raise BadInputError(
            f"there is no output of CP2K (*.out, *.log) beside {path.name}; put it there: it says which SCF converged, "
            "and holds the stress"
        )
    text = text_of(path)
    run_type, project = _global(text, "Run type"), _global(text, "Project name")
    if run_type in _SINGLE_POINTS:
        return reading_of([_single_point(path.name, text)], partial(_check_level, text))
    return reading_of(_trajectory(path.parent, project, text), partial(_check_level, text))


def _check_level(text: str, level: LevelOfTheoryAsked) -> None:
    from lipsdb.dft.cp2k.comparison import check_level
    from lipsdb.dft.cp2k.level import Cp2kLevel

    refuse_other_code("cp2k", level)
    try:
        check_level(Cp2kLevel.model_validate(level.settings), text)
    except RefusedError as error:
        raise RefusedError(f"{error} ({level.name}); name the level that made the file", error.gate) from error


def _single_point(name: str, text: str) -> Frame:
    cell = cell_of_output(text)
    # pymatgen prefers the .ener, .stress and force files of whatever run lies in the same folder
    with TemporaryDirectory() as folder:
        alone = Path(folder) / name
        alone.write_text(text)
        try:
            point = read_single_point(alone, abs(float(np.linalg.det(cell))))
        except RefusedError as error:
            raise RefusedError(str(error).replace(str(alone), name), error.gate) from error
    return Frame(point.numbers, point.positions, cell, point.energy_eV, point.forces, point.virial, point.converged)


def _global(text: str, name: str) -> str:
    found = re.search(rf"GLOBAL\| {name}\s+(\S+)", text)
    if not found:
        raise BadInputError(f"the output does not tell its {name.lower()}; give a whole output file of CP2K")
    return found[1]


def cell_of_output(text: str) -> np.ndarray:
    """Cell of an output: vectors in three digits, made sharper by lengths and angles in six.

    Parameters
    ----------
    text : str

    Returns
    -------
    (3, 3) array, Å
        Rows are vectors: with the metric of the lengths and angles, turned to the printed vectors. The usual setting (a
        along x, b in the xy plane) is met exactly.

    Raises
    ------
    BadInputError
        If the output does not repeat the cell.

    Examples
    --------
    >>> cell_of_output('''
    ... CELL| Vector a [angstrom]:       4.000     0.000     0.000    |a| =     4.000321
    ... CELL| Vector b [angstrom]:       0.000     5.000     0.000    |b| =     5.000000
    ... CELL| Vector c [angstrom]:       0.000     0.000     6.000    |c| =     6.000000
    ... CELL| Angle (b,c), alpha [degree]:    90.000000
    ... CELL| Angle (a,c), beta  [degree]:    90.000000
    ... CELL| Angle (a,b), gamma [degree]:    90.000000
    ... ''')[0].round(9)
    array([4.000321, 0.      , 0.      ])
    """
    from ase.geometry import cell_to_cellpar, cellpar_to_cell

    vectors = re.findall(r"CELL\| Vector [abc] \[angstrom\]:\s+(\S+)\s+(\S+)\s+(\S+)\s+\|[abc]\| =\s+(\S+)", text)[:3]
    angles = re.findall(r"CELL\| Angle \([abc],[abc]\), (?:alpha|beta|gamma)\s+\[degree\]:\s+(\S+)", text)[:3]
    if len(vectors) < 3 or len(angles) < 3:
        raise BadInputError("the output does not repeat the cell; give a whole output file of CP2K")
    rows = np.array(vectors, dtype=float)
    printed, sharp = rows[:, :3], np.array([*rows[:, 3], *map(float, angles)])
    metric = cell_to_cellpar(printed)  # type: ignore[no-untyped-call]
    if np.abs(metric - sharp).max() < _METRIC_DIGITS:
        return np.asarray(printed)
    usual = cellpar_to_cell(sharp)  # type: ignore[no-untyped-call]
    if np.abs(usual - printed).max() < _CELL_DIGITS_A:
        return np.asarray(usual)
    left, _, right = np.linalg.svd(usual.T @ printed)
    return np.asarray(usual @ left @ right)


@dataclass(frozen=True)
class _Evaluations:
    """What the output says of each evaluation of energy and forces."""

    energies: np.ndarray  # (n,) Hartree
    converged: np.ndarray  # (n,) bool
    pressures_GPa: list[np.ndarray | None]  # (3, 3) each, positive when compressed

    @classmethod
    def of(cls, text: str) -> _Evaluations:
        pieces = re.split(r"ENERGY\| Total FORCE_EVAL.*?:?\s+(-?\d+\.\d+)\s*\n", text)
        after = pieces[2::2]
        return cls(
            energies=np.array(pieces[1::2], dtype=float),
            converged=np.array([_scf_converged(before) for before in pieces[0:-1:2]], dtype=bool),
            pressures_GPa=[_pressure(piece) for piece in after],
        )


def _scf_converged(text: str) -> bool:
    """Of the text that stands between two energies; the next SCF's words begin after the first energy."""
    reached = re.search(r"SCF run converged|outer SCF loop converged", text)
    return reached is not None and not re.search(r"NOT converged|FAILED to converge", text)


_ROW = r"STRESS\|\s+{}\s+(\S+)\s+(\S+)\s+(\S+)\s*\n\s*"


def _pressure(text: str) -> np.ndarray | None:
    rows = "".join(_ROW.format(axis) for axis in "xyz")
    found = re.search(rf"STRESS\| (?:Analytical|Numerical) stress tensor \[(\w+)\].*?\n.*?\n\s*{rows}", text)
    if not found:
        return None
    if found[1] != "GPa":
        raise BadInputError(f"the stress is printed in {found[1]}; GPa is expected: leave STRESS_UNIT at its default")
    return np.array(found.groups()[1:], dtype=float).reshape(3, 3)


def _trajectory(folder: Path, project: str, text: str) -> list[Frame | Fault]:
    positions = _read_xyz(folder / f"{project}-pos-1.xyz")
    forces = _read_xyz(folder / f"{project}-frc-1.xyz")
    evaluations = _Evaluations.of(text)
    if not len(evaluations.energies):
        raise BadInputError("the output holds no energies; give the output of a run that was done")
    steps = sorted(positions.keys() & forces.keys())
    if not steps:
        raise BadInputError(
            f"{project}-pos-1.xyz and {project}-frc-1.xyz have no step in common; give those of one run"
        )
    cells = _cells(folder / f"{project}-1.cell", text)
    order = np.argsort(evaluations.energies)
    frames: list[Frame | Fault] = []
    for place, step in enumerate(steps):
        atoms = positions[step]
        at = _place(evaluations.energies, order, atoms.energy_hartree)
        if at is None:
            energy = f"the output has no energy of {atoms.energy_hartree:.10f} Hartree, which step {step} has"
            frames.append(Fault(place, "file", f"frame {place}: {energy}; give the output of the same run, whole"))
            continue
        cell = cells.get(step, cells.get(None))
        if cell is None:
            raise BadInputError(f"{project}-1.cell has no cell of step {step}; give the files of one run, whole")
        pressure = evaluations.pressures_GPa[at]
        frames.append(
            Frame(
                numbers=element_numbers(atoms.symbols, f"{project}-pos-1.xyz"),
                positions=atoms.vectors,
                cell=cell,
                energy=float(evaluations.energies[at]) * HARTREE_IN_EV,
                forces=forces[step].vectors * HARTREE_PER_BOHR_IN_EV_PER_A,
                virial=None if pressure is None else virial_of_stress(-pressure, abs(float(np.linalg.det(cell)))),
                converged=bool(evaluations.converged[at]),
            )
        )
    return frames


def _place(energies: np.ndarray, order: np.ndarray, energy: float) -> int | None:
    """Which evaluation has the energy of a step; None if the output has none."""
    at = np.searchsorted(energies, energy - _ENERGY_DIGITS_HARTREE, sorter=order)
    if at == len(order) or abs(energies[order[at]] - energy) > _ENERGY_DIGITS_HARTREE:
        return None
    return int(order[at])


@dataclass(frozen=True)
class _Step:
    """One step of a trajectory file."""

    symbols: list[str]
    vectors: np.ndarray  # (n_atoms, 3), Å or Hartree/Bohr
    energy_hartree: float


_COMMENT = re.compile(r"i =\s*(\d+),.*E =\s*(-?\d+\.\d+)")


def _read_xyz(path: Path) -> dict[int, _Step]:
    """Steps of a trajectory of positions or forces; one that was cut short is left out."""
    if not path.is_file():
        raise BadInputError(
            f"{path.name} is missing beside the output; a run with steps needs its positions (pos-1) and forces "
            "(frc-1), as XYZ"
        )
    lines = path.read_text(errors="replace").splitlines()
    steps: dict[int, _Step] = {}
    start = 0
    try:
        while start < len(lines):
            n_atoms = int(lines[start])
            comment = _COMMENT.search(lines[start + 1])
            if comment is None:
                raise BadInputError(f"{path.name}: line {start + 2} does not tell step and energy, as CP2K writes them")
            rows = [line.split() for line in lines[start + 2 : start + 2 + n_atoms]]
            if len(rows) == n_atoms and len(rows[-1]) == 4:
                vectors = np.array([row[1:4] for row in rows], dtype=float)
                steps[int(comment[1])] = _Step([row[0] for row in rows], vectors, float(comment[2]))
            start += 2 + n_atoms
    except (ValueError, IndexError) as error:
        raise BadInputError(f"{path.name} is not a trajectory of CP2K at line {start + 1} ({error})") from error
    return steps


def _cells(path: Path, text: str) -> dict[int | None, np.ndarray]:
    """Cell of each step, or the one of all steps under None."""
    if path.is_file():
        table = np.loadtxt(path, ndmin=2)
        return {int(row[0]): row[2:11].reshape(3, 3) for row in table}
    changing = re.search(r"Ensemble type\s+(NPT\S*|NPE\S*|NPH\S*|MSST)", text)
    if changing or _global(text, "Run type") == "CELL_OPT":
        raise BadInputError(f"the cell changes in this run, but {path.name} is missing; put it beside the output")
    return {None: cell_of_output(text)}


_HEAD = 40_000  # bytes in which an output says whose it is


def _is_output(path: Path) -> bool:
    if "-pos-" in path.name:
        others = [one for pattern in ("*.out", "*.log") for one in path.parent.glob(pattern)]
        return path.suffix == ".xyz" and not any(_is_output(one) for one in others)
    with path.open("rb") as file:
        return b"CP2K| version string" in file.read(_HEAD)


def _find(path: Path) -> list[Path]:
    return find_files(path, ["*.out", "*.log", "*-pos-*.xyz"], "output file of CP2K", _is_output)


CP2K = LabelFormat("cp2k", _find, read_cp2k)
