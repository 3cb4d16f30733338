"""What a CP2K process of molecular dynamics left: energies, stresses, positions and forces by step.

Signs: CP2K prints its stress tensors with the sign of a pressure, positive when compressed. The file ``.stress`` holds
the whole one, with the motion of the atoms (bar); the output that of the forces alone (GPa), which belongs to a label.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from lipsdb.dft.cp2k.inputs import PROJECT
from lipsdb.dft.cp2k.output import HARTREE_PER_BOHR_IN_EV_PER_A, _n_electrons
from lipsdb.dft.cp2k.run import OUTPUT
from lipsdb.errors import RefusedError

_FRAMES_AT_ONCE = 500
_NUMBER = r"[-+]?\d+\.\d+(?:[Ee][-+]?\d+)?"
_STEP = re.compile(r"^ MD\| Step number +(\d+) *$|^ MD_INI\| MD initialization", re.MULTILINE)
_ENERGY = re.compile(r"^ ENERGY\| Total FORCE_EVAL.*?(-?\d+\.\d+) *$", re.MULTILINE)
_STRESS = re.compile(
    r"^ STRESS\| Analytical stress tensor \[GPa\]\n.*\n"
    + "".join(rf" STRESS\| +{axis} +({_NUMBER}) +({_NUMBER}) +({_NUMBER})\n" for axis in "xyz"),
    re.MULTILINE,
)
_CONVERGED = re.compile(r"\*\*\* SCF run converged in|outer SCF loop converged in")
_FAILED = re.compile(r"SCF run NOT converged|outer SCF loop FAILED to converge")
_OF_STEPS = (
    "steps",
    "temperature_K",
    "potential_eV",
    "conserved_eV",
    "pressure_bar",
    "converged",
    "energy_eV",
    "force_pressure_GPa",
)
_OF_FRAMES = ("frame_steps", "positions", "forces")
_HEADER = re.compile(r"i = *(\d+)")


@dataclass(frozen=True)
class Segment:
    """Consecutive steps of a run.

    Attributes
    ----------
    numbers : (n_atoms,) integers
    steps : (n_steps,) integers
    temperature_K, potential_eV, conserved_eV : (n_steps,) arrays
    pressure_bar : (n_steps, 3, 3) array
        Pressure tensor, the motion of the atoms included.
    converged : (n_steps,) booleans
        Whether the SCF reached its threshold.
    energy_eV : (n_steps,) array
        The potential energy again, with all its digits.
    force_pressure_GPa : (n_steps, 3, 3) array
        Pressure tensor of the forces alone.
    frame_steps : (n_frames,) integers
    positions : (n_frames, n_atoms, 3) array, Å
        Unwrapped, in the structure's orientation.
    forces : (n_frames, n_atoms, 3) array, eV/Å
    n_electrons : float or None
        Electrons that CP2K counted.
    """

    numbers: np.ndarray
    steps: np.ndarray
    temperature_K: np.ndarray
    potential_eV: np.ndarray
    conserved_eV: np.ndarray
    pressure_bar: np.ndarray
    converged: np.ndarray
    energy_eV: np.ndarray
    force_pressure_GPa: np.ndarray
    frame_steps: np.ndarray
    positions: np.ndarray
    forces: np.ndarray
    n_electrons: float | None

    @property
    def first_step(self) -> int:
        """The first step; large if there is none."""
        return int(self.steps[0]) if len(self.steps) else 2**62

    @property
    def last_step(self) -> int:
        """The last step; -1 if there is none."""
        return int(self.steps[-1]) if len(self.steps) else -1

    def until(self, step: int) -> Segment:
        """The same up to a step."""
        of_steps: dict[str, Any] = {name: getattr(self, name)[self.steps <= step] for name in _OF_STEPS}
        of_frames: dict[str, Any] = {name: getattr(self, name)[self.frame_steps <= step] for name in _OF_FRAMES}
        return replace(self, **of_steps, **of_frames)

    def continued_by(self, later: Segment) -> Segment:
        """This one up to where the later one begins, and the later one."""
        start = self.until(later.first_step - 1)
        if not len(later.frame_steps):
            later = replace(later, positions=start.positions[:0], forces=start.forces[:0])
        elif not np.array_equal(self.numbers, later.numbers):
            raise RefusedError("the atoms differ between the parts of the run; run the job again", "structure")
        names = _OF_STEPS + _OF_FRAMES
        joined: dict[str, Any] = {name: np.concatenate([getattr(start, name), getattr(later, name)]) for name in names}
        return replace(self, **joined)


def read_segment(place: Path, dump_interval: int, *, first: int) -> Segment:
    """Read what a process left, as far as all files hold it.

    Parameters
    ----------
    place : Path
        Folder of the process, also of one that was killed.
    dump_interval : int
        Distance of two frames (steps).
    first : int
        The first step that belongs to it.

    Returns
    -------
    Segment
        Steps `first` … s, where s is the last for which energies, stresses, output and (where due) positions and forces
        are complete; nothing if there is none.

    Raises
    ------
    RefusedError
        If the files contradict each other.
    """
    from ase.data import atomic_numbers
    from pymatgen.core.units import Ha_to_eV

    energies = read_table(place / f"{PROJECT}-1.ener", 7)
    whole_stress = read_table(place / f"{PROJECT}-1.stress", 11)
    log_steps, converged, log_energy, stress, n_electrons = _read_output(place / OUTPUT)
    symbols, frame_steps, positions = read_frames(place / f"{PROJECT}-pos-1.xyz")
    same, force_steps, forces = read_frames(place / f"{PROJECT}-frc-1.xyz")
    end = min(_gap(present, first, 1) for present in (energies[:, 0], whole_stress[:, 0], log_steps))
    first_due = -(-first // dump_interval) * dump_interval
    end = min(end, *(_gap(present, first_due, dump_interval) for present in (frame_steps, force_steps)))
    wanted, due = np.arange(first, end), np.arange(first_due, end, dump_interval)
    if len(due) and same != symbols:
        raise RefusedError("CP2K's files of positions and forces name different atoms; run the job again", "structure")
    rows, from_log = _rows(energies[:, 0], wanted), _rows(log_steps, wanted)
    potential = energies[rows, 4] * Ha_to_eV
    exact = log_energy[from_log] * Ha_to_eV
    if len(exact) and np.abs(exact - potential).max() > 1e-6:
        raise RefusedError("energies in CP2K's output and in its .ener file differ; run the job again", "file")
    return Segment(
        numbers=np.array([atomic_numbers[symbol] for symbol in symbols], dtype=int),
        steps=wanted,
        temperature_K=energies[rows, 3],
        potential_eV=potential,
        conserved_eV=energies[rows, 5] * Ha_to_eV,
        pressure_bar=whole_stress[_rows(whole_stress[:, 0], wanted), 2:].reshape(-1, 3, 3),
        converged=converged[from_log],
        energy_eV=exact,
        force_pressure_GPa=stress[from_log],
        frame_steps=due,
        positions=positions[_rows(frame_steps, due)],
        forces=forces[_rows(force_steps, due)] * HARTREE_PER_BOHR_IN_EV_PER_A,
        n_electrons=n_electrons,
    )


def last_step_in_energies(path: Path) -> int | None:
    """The last step in a file of energies, which may be being written; None if there is none."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 400))
            lines = stream.read().decode(errors="replace").split("\n")
        return int(lines[-2].split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _gap(present: np.ndarray, first: int, interval: int) -> int:
    """The first of the steps `first`, `first` + `interval` … that is not present."""
    due = np.arange(first, int(present.max(initial=first)) + 2 * interval, interval)
    return int(due[~np.isin(due, present)][0])


def _rows(present: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where the wanted steps are, the last time that each appears."""
    reverse = present[::-1]
    order = np.argsort(reverse, kind="stable")
    return len(present) - 1 - order[np.searchsorted(reverse, wanted, sorter=order)]


def read_table(path: Path, columns: int) -> np.ndarray:
    """All whole rows of a table of numbers below one line of headings; a torn last row is left out."""
    if not path.is_file():
        return np.empty((0, columns))
    lines = path.read_text(errors="replace").split("\n")[:-1]
    text = " ".join(line for line in lines if not line.startswith("#"))
    try:
        return np.array(text.split(), dtype=float).reshape(-1, columns)
    except ValueError as error:
        raise RefusedError(f"{path.name} is damaged ({error}); empty the job's scratch folder", "file") from error


def last_energy_and_pressure(text: str) -> tuple[float | None, np.ndarray | None]:
    """Last energy (eV) and last pressure tensor of the forces, (3, 3), GPa, in an output; None where there is none."""
    from pymatgen.core.units import Ha_to_eV

    energies, stresses = _ENERGY.findall(text), _STRESS.findall(text)
    return (
        float(energies[-1]) * float(Ha_to_eV) if energies else None,
        np.array(stresses[-1], dtype=float).reshape(3, 3) if stresses else None,
    )


def _read_output(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float | None]:
    """Steps; for each whether the SCF converged, energy (Hartree), pressure tensor of the forces (GPa); electrons."""
    text = path.read_text(errors="replace") if path.is_file() else ""
    marks = list(_STEP.finditer(text))
    energies, stresses = list(_ENERGY.finditer(text)), list(_STRESS.finditer(text))
    at = np.array([mark.start() for mark in marks], dtype=int)
    before = np.concatenate([[0], at[:-1]]) if len(at) else at

    def last(found: list[re.Match[str]]) -> tuple[np.ndarray, np.ndarray]:
        begins = np.array([one.start() for one in found], dtype=int)
        index = np.searchsorted(begins, at) - 1
        return index, (index >= 0) & (begins[index] > before) if len(begins) else np.zeros(len(at), dtype=bool)

    def count(pattern: re.Pattern[str]) -> np.ndarray:
        begins = np.array([one.start() for one in pattern.finditer(text)], dtype=int)
        return np.asarray(np.searchsorted(begins, at) - np.searchsorted(begins, before))

    energy_of, has_energy = last(energies)
    stress_of, has_stress = last(stresses)
    whole = has_energy & has_stress
    energy = np.array([float(one[1]) for one in energies])
    stress = np.array([one.groups() for one in stresses], dtype=float).reshape(-1, 3, 3)
    steps = np.array([int(mark[1] or 0) for mark in marks], dtype=int)
    converged = (count(_CONVERGED) > 0) & (count(_FAILED) == 0)
    return steps[whole], converged[whole], energy[energy_of[whole]], stress[stress_of[whole]], _n_electrons(text)


def read_frames(path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Elements, steps and values (as they stand) of all whole frames of an XYZ file."""
    symbols: list[str] = []
    steps: list[int] = []
    blocks: list[np.ndarray] = []
    if not path.is_file() or not path.stat().st_size:
        return symbols, np.empty(0, dtype=int), np.empty((0, 0, 3))
    with path.open(encoding="utf-8", errors="replace") as stream:
        n_atoms = int(stream.readline())
        stream.seek(0)
        size = n_atoms + 2
        while lines := list(islice(stream, size * _FRAMES_AT_ONCE)):
            if not lines[-1].endswith("\n"):
                lines.pop()
            del lines[len(lines) - len(lines) % size :]
            headers = [_HEADER.search(line) for line in lines[1::size]]
            if not all(headers):
                raise RefusedError(f"{path.name} is damaged; empty the job's scratch folder", "file")
            steps += [int(header[1]) for header in headers if header]
            words = np.array([line.split() for i, line in enumerate(lines) if i % size > 1]).reshape(-1, n_atoms, 4)
            blocks.append(words[:, :, 1:].astype(float))
            if len(words):
                symbols = symbols or [str(symbol) for symbol in words[0, :, 0]]
    values = np.concatenate(blocks) if blocks else np.empty((0, n_atoms, 3))
    return symbols, np.array(steps, dtype=int), values
