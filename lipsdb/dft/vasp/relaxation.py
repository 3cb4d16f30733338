"""Relaxation with VASP: of the atoms, or of atoms and cell, again from where it ended if the cell changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipsdb.dft.result import EV_A3_IN_GPA
from lipsdb.dft.settings import RelaxationSettings
from lipsdb.dft.vasp.inputs import relaxation_inputs
from lipsdb.dft.vasp.level import VaspLevel
from lipsdb.dft.vasp.output import VaspSteps
from lipsdb.dft.vasp.run import VaspRun, run_vasp
from lipsdb.errors import RefusedError

BAR_PER_GPA = 1e4
#: Relative change of the volume in a round, above which the basis of its first cell does not fit its last.
VOLUME_TOLERANCE = 1e-3
MOST_ROUNDS = 6


@dataclass(frozen=True)
class VaspRelaxation:
    """A relaxed structure, its atoms in the order of the question.

    Attributes
    ----------
    positions : (n_atoms, 3) array, Å
        In the images nearest to those of the start.
    cell : (3, 3) array, Å
    pressure_bar : float or None
        Mean pressure at the end; None if the stress was not computed.
    rounds : tuple of VaspRun
        One, or more if the cell was relaxed; in the folders ``round-0``, ``round-1`` …
    """

    positions: np.ndarray
    cell: np.ndarray
    pressure_bar: float | None
    rounds: tuple[VaspRun, ...]


def run_relaxation(
    folder: Path,
    level: VaspLevel,
    numbers: np.ndarray,
    positions: np.ndarray,
    cell: np.ndarray,
    settings: RelaxationSettings,
    *,
    lock_fd: int | None = None,
    poll_s: float = 2.0,
) -> VaspRelaxation:
    """Relax a structure.

    Parameters
    ----------
    folder : Path
        Its own folder. An interrupted relaxation begins anew.
    level : VaspLevel
    numbers : (n_atoms,) integers
    positions : (n_atoms, 3) array, Å
    cell : (3, 3) array, Å
    settings : RelaxationSettings
        Each round may take ``max_steps``.
    lock_fd : int, optional
        Descriptor of a lock that the program keeps open as long as it lives.
    poll_s : float
        Seconds between looks at the process.

    Returns
    -------
    VaspRelaxation

    Raises
    ------
    RefusedError
        As `run_vasp`; its `gate` is 'ionic' if a round does not converge within ``max_steps``, or if volume and
        pressure do not settle in `MOST_ROUNDS` rounds.
    InterruptedRunError
        If VASP was killed; calling this again begins anew.

    Notes
    -----
    VASP keeps the plane waves of the first cell while the cell changes: at the end the cutoff is another one in each
    direction, and the stress is off by the Pulay stress of that basis. So if the volume changed by more than
    `VOLUME_TOLERANCE` the relaxation is repeated from its end, with the basis that belongs to the cell there. VASP has
    no criterion for the pressure alone: if more than ``pressure_tolerance_bar`` is left, the next round has a tighter
    EDIFFG.
    """
    rounds: list[VaspRun] = []
    start, box, force = np.asarray(positions, np.float64), np.asarray(cell, np.float64), settings.max_force_eV_A
    pressure, change = None, 0.0
    for number in range(MOST_ROUNDS):
        wanted = settings.model_copy(update={"max_force_eV_A": force})
        inputs = relaxation_inputs(level, wanted, numbers, start, box)
        rounds.append(run_vasp(folder / f"round-{number}", inputs, lock_fd=lock_fd, poll_s=poll_s))
        steps = rounds[-1].steps
        change = abs(float(np.linalg.det(steps.cells[-1]) / np.linalg.det(steps.cells[0])) - 1.0)
        start, box, pressure = _end(steps, start, box), steps.cells[-1], _pressure_bar(steps)
        left = 0.0 if pressure is None else abs(pressure) / settings.pressure_tolerance_bar
        if not settings.cell or (change <= VOLUME_TOLERANCE and left <= 1.0):
            return VaspRelaxation(start, box, pressure, tuple(rounds))
        if left > 1.0:
            force *= max(0.1, 0.5 / left)
    raise RefusedError(
        f"after {MOST_ROUNDS} rounds of relaxation the volume still changes by {100 * change:.2g} % (allowed "
        f"{100 * VOLUME_TOLERANCE:g} %) and {pressure or 0.0:.0f} bar are left (allowed "
        f"{settings.pressure_tolerance_bar:g} bar); raise pressure_tolerance_bar or begin nearer to the minimum",
        "ionic",
    )


def _end(steps: VaspSteps, start: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Last positions, in the images nearest to the start: VASP wraps them."""
    before = start @ np.linalg.inv(cell)
    after = steps.positions[-1] @ np.linalg.inv(steps.cells[-1])
    return np.asarray((after + np.round(before - after)) @ steps.cells[-1])


def _pressure_bar(steps: VaspSteps) -> float | None:
    """Mean pressure tr(W)/(3V) of the last step, bar."""
    if steps.virials is None:
        return None
    volume = abs(float(np.linalg.det(steps.cells[-1])))
    return float(np.trace(steps.virials[-1]) / (3.0 * volume)) * EV_A3_IN_GPA * BAR_PER_GPA
