"""The trajectory of a run, with what is needed to make something from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from lipsdb.documents.structure import Structure
from lipsdb.errors import BadInputError, RefusedError, StoppedRunError
from lipsdb.store.database import Database


@dataclass(frozen=True)
class LoadedRun:
    """A run's trajectory with what analysis needs to know of it."""

    positions: np.ndarray  # (n_frames, n_atoms, 3) Å, unwrapped; single precision, mapped from a file
    cell: np.ndarray  # (n_frames, 3, 3) Å
    frame_interval_ps: float
    numbers: np.ndarray  # (n_atoms,)
    symbols: np.ndarray  # (n_atoms,)
    masses: np.ndarray  # (n_atoms,) amu
    conditions: dict[str, Any]  # stands in each property, so that queries need not join

    def atoms_of(self, elements: Sequence[str] | None) -> np.ndarray:
        """Mask of the atoms of some elements; of all atoms if it is None."""
        return np.full(len(self.symbols), True) if elements is None else np.isin(self.symbols, elements)

    def snapshots(self, number: int) -> np.ndarray:
        """Indices of so many frames, evenly over the run; of all if it has fewer."""
        n_frames = len(self.positions)
        return np.linspace(0, n_frames - 1, min(number, n_frames)).round().astype(int)

    def frames_in(self, time_ps: float, name: str) -> int:
        """Number of frames in a time (ps), a multiple of the one between frames; `name` says what it is.

        Raises
        ------
        BadInputError
            If the time is no multiple, or longer than the run.
        """
        number = round(time_ps / self.frame_interval_ps)
        off = abs(number * self.frame_interval_ps - time_ps) > 1e-6 * self.frame_interval_ps
        if number < 1 or off or number >= max(len(self.positions), 2):
            raise BadInputError(
                f"{name} is {time_ps:g}; expected a multiple of the {self.frame_interval_ps:g} ps between the "
                f"frames of {self.conditions['run_id']}, shorter than its {self.conditions['length_ps']:g} ps"
            )
        return number

    def every(self, interval_ps: float | None) -> LoadedRun:
        """The same with one frame in each interval (ps), a multiple of the one between frames; all if it is None.

        Raises
        ------
        BadInputError
            If the interval is no multiple, or longer than the run.
        """
        if interval_ps is None:
            return self
        step = self.frames_in(interval_ps, "every_ps")
        frames = slice(None, None, step)
        return replace(
            self,
            positions=self.positions[frames],
            cell=self.cell[frames],
            frame_interval_ps=step * self.frame_interval_ps,
        )


def load_run(database: Database, run_id: str, *, stopped: bool = False) -> LoadedRun:
    """Read a run's trajectory.

    Parameters
    ----------
    database : Database
    run_id : str
    stopped : bool
        Whether a run will do that was ended early since its potential extrapolated: for its frames, not for averages.

    Raises
    ------
    StoppedRunError
        If the run was ended early, and that will not do.
    RefusedError
        If the trajectory is not what the run's record says.
    """
    from ase.data import atomic_masses, chemical_symbols

    from lipsdb.md.trajectory import read_trajectory

    run = database.find(run_id)
    if not stopped:
        _check_whole(run)
    structure_link = next(link for link in run["inputs"] if link["role"] == "structure")
    forces = next(link for link in run["inputs"] if link["role"] in {"potential", "level_of_theory"})
    structure = Structure.from_stored(database.find(structure_link["id"])).answer
    answer, settings = run["answer"], run["asked"]["settings"]
    with TemporaryDirectory(prefix="lipsdb-") as folder:  # mapped: the file goes with the last array that shows it
        path = database.artifacts.save(answer["trajectory"]["sha256"], Path(folder) / "trajectory.nc")
        trajectory = read_trajectory(path)
    expected = (answer["n_frames"], structure.n_atoms, 3)
    if trajectory.positions.shape != expected:
        raise RefusedError(
            f"the trajectory of {run_id} has shape {trajectory.positions.shape}, its record says {expected}"
        )
    conditions = {
        "structure": structure.name,
        "formula": structure.formula,
        "potential_id": forces["id"],
        "run_id": run_id,
        "temperature_K": float(settings["temperature_K"]),
        "seed": settings["seed"],
        "ensemble": settings["ensemble"],
        "pressure_bar": settings["pressure_bar"],
        "volume_A3": float(answer["mean_volume_A3"]),
        "length_ps": float(answer["frame_interval_ps"] * max(answer["n_frames"] - 1, 0)),
    }
    return LoadedRun(
        trajectory.positions,
        trajectory.cell,
        float(answer["frame_interval_ps"]),
        structure.numbers,
        np.array([chemical_symbols[number] for number in structure.numbers]),
        atomic_masses[structure.numbers],
        conditions,
    )


def _check_whole(run: Mapping[str, Any]) -> None:
    """Refuse a run that its extrapolation grade ended."""
    grades = run["answer"].get("extrapolation") or {}
    if not grades.get("stopped"):
        return
    remedy = (
        "change the campaign (another potential or one trained with more labels, another temperature, or a larger "
        "break_grade) and submit it anew; to run the same again gives the same"
    )
    if not run["answer"]["n_frames"]:
        raise StoppedRunError(
            f"{run['_id']} stopped in its equilibration: {grades['stopped']}; it has no frame of production: {remedy}"
        )
    raise StoppedRunError(
        f"{run['_id']} stopped at step {grades['stopped_at_step']} of {run['asked']['settings']['n_steps']}: "
        f"{grades['stopped']}; it is no whole run: {remedy}"
    )


def join_labels_of_runs(database: Database, runs: Sequence[str], campaigns: Sequence[str]) -> None:
    """Note that campaigns asked for the labels, and their refusals, that these runs made themselves.

    Labels that were computed from their frames afterwards have a cost of their own, and are left alone.
    """
    if not runs:
        return
    made = {"inputs.id": {"$in": list(runs)}, "made_by.core_seconds": 0.0}
    for name in ("labels", "refusals"):
        database.join_matching(name, made, campaigns)
