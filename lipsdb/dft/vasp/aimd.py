"""Ab initio molecular dynamics with VASP, as arrays by step. A run that was interrupted begins anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lipsdb.dft.progress import reporting
from lipsdb.dft.result import SinglePoint
from lipsdb.dft.settings import AimdSettings
from lipsdb.dft.vasp.inputs import aimd_inputs
from lipsdb.dft.vasp.level import VaspLevel
from lipsdb.dft.vasp.output import VaspSteps, outcar_pressures_kbar
from lipsdb.dft.vasp.run import VaspRun, check_entropy, run_vasp
from lipsdb.errors import RefusedError

BAR_PER_KBAR = 1000.0


@dataclass(frozen=True)
class VaspDynamics:
    """A finished run: every step from 0.

    Attributes
    ----------
    run : VaspRun
        Inputs, files and versions; its steps have the atoms unwrapped.
    steps : (n_steps + 1,) integers
    temperature_K, potential_eV, conserved_eV : (n_steps + 1,) arrays
        The potential energy is that of the labels, without the electronic entropy.
    pressure_bar : (n_steps + 1, 3, 3) array
        Pressure tensor, the motion of the atoms included.
    frame_steps : (n_frames,) integers
    positions : (n_frames, n_atoms, 3) array, Å
        Unwrapped, in the structure's orientation.
    """

    run: VaspRun
    steps: np.ndarray
    temperature_K: np.ndarray
    potential_eV: np.ndarray
    conserved_eV: np.ndarray
    pressure_bar: np.ndarray
    frame_steps: np.ndarray
    positions: np.ndarray

    def single_point(self, step: int) -> SinglePoint:
        """Energy, forces and virial of a step.

        Raises
        ------
        RefusedError
            If its electrons are too hot (gate 'entropy').
        """
        check_entropy(self.run.inputs.level, self.run.steps, step)
        return self.run.steps.single_point(step)


def run_aimd(
    folder: Path,
    level: VaspLevel,
    numbers: np.ndarray,
    positions: np.ndarray,
    cell: np.ndarray,
    settings: AimdSettings,
    *,
    lock_fd: int | None = None,
    progress: Callable[[float, float], None] | None = None,
    poll_s: float = 2.0,
) -> VaspDynamics:
    """Run VASP's molecular dynamics.

    Parameters
    ----------
    folder : Path
        Its own folder.
    level : VaspLevel
    numbers : (n_atoms,) integers
    positions : (n_atoms, 3) array, Å
    cell : (3, 3) array, Å
    settings : AimdSettings
    lock_fd : int, optional
        Descriptor of a lock that the program keeps open as long as it lives.
    progress : callable, optional
        Told the steps that are done, and all that there are.
    poll_s : float
        Seconds between looks at the process.

    Returns
    -------
    VaspDynamics

    Raises
    ------
    RefusedError
        As `run_vasp`; or its `gate` is 'file' if the files do not hold the whole run, 'finite' if a number is not.
    InterruptedRunError
        If VASP was killed; calling this again begins anew.
    """
    inputs = aimd_inputs(level, settings, numbers, positions, cell)
    with reporting(progress, settings.n_steps, lambda: _steps_in(folder / "OSZICAR")):
        run = run_vasp(folder, inputs, lock_fd=lock_fd, poll_s=poll_s)
    return dynamics_of(run, folder / "OUTCAR", settings)


def dynamics_of(run: VaspRun, outcar: Path, settings: AimdSettings) -> VaspDynamics:
    """Arrange what VASP left by step.

    Notes
    -----
    T = 2 E_kin / ((3 N − 3) k_B), N atoms: VASP lets the centre of mass rest.
    """
    from ase import units

    steps, kinetic, conserved = unwrapped(run.steps), run.steps.kinetic_energies, run.steps.conserved_energies
    pressure = outcar_pressures_kbar(outcar)
    if kinetic is None or conserved is None or len(pressure) != steps.n_steps:
        raise RefusedError(
            f"VASP's files hold no kinetic energy, or {len(pressure)} of {steps.n_steps} pressures; the disk may have "
            "been full: run the job again",
            "file",
        )
    found = VaspDynamics(
        run=replace(run, steps=steps),
        steps=np.arange(steps.n_steps),
        temperature_K=np.asarray(2.0 * kinetic / ((3 * len(steps.numbers) - 3) * units.kB)),
        potential_eV=steps.energies,
        conserved_eV=conserved,
        pressure_bar=pressure * BAR_PER_KBAR,
        frame_steps=np.arange(0, steps.n_steps, settings.dump_interval),
        positions=steps.positions[:: settings.dump_interval],
    )
    for name in ("temperature_K", "potential_eV", "conserved_eV", "pressure_bar", "positions"):
        if not np.isfinite(getattr(found, name)).all():
            raise RefusedError(f"the {name.partition('_')[0]} of the run is not finite; look at the log", "finite")
    return found


def unwrapped(steps: VaspSteps) -> VaspSteps:
    """The same steps with the atoms followed across the faces of the cell, from where the first step has them.

    Notes
    -----
    VASP wraps each step. The nearest image to the step before is taken: no atom moves by half a cell in a step.
    """
    fractional = np.einsum("sij,sjk->sik", steps.positions, np.linalg.inv(steps.cells))
    images = -np.cumsum(np.round(np.diff(fractional, axis=0)), axis=0)
    moved = fractional[1:] + images
    positions = np.concatenate([steps.positions[:1], moved @ steps.cells[1:]])
    return replace(steps, positions=positions)


def _steps_in(oszicar: Path) -> int:
    """Steps done: OSZICAR has one line with E0 a step, step 0 included."""
    return max(0, oszicar.read_bytes().count(b" E0= ") - 1)
