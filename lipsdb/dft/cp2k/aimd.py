"""Ab initio molecular dynamics with CP2K, in segments: a run that was killed continues in the next one.

Each CP2K process works in a folder of its own, ``segment-000``, ``segment-001`` …, the later ones from a restart file
of the one before. Of each, what was computed up to the step at which the next one starts is taken.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipsdb.dft.cp2k.aimd_output import Segment, last_step_in_energies, read_segment
from lipsdb.dft.cp2k.inputs import PROJECT, aimd_inputs
from lipsdb.dft.cp2k.level import Cp2kLevel
from lipsdb.dft.cp2k.run import INPUT, OUTPUT, is_whole, run_cp2k
from lipsdb.dft.progress import reporting
from lipsdb.dft.settings import AimdSettings
from lipsdb.errors import RefusedError

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

RESTART = f"{PROJECT}-1.restart"
WAVE_FUNCTIONS = f"{PROJECT}-RESTART.wfn"
CONTINUED = "continued.restart"


@dataclass(frozen=True)
class AimdResult:
    """A finished run: every step from 0, and every frame, once.

    Attributes
    ----------
    data : Segment
        Steps 0 … n_steps as one.
    restart_path : Path
        CP2K's restart file of the last step.
    file_paths : list of Path
        Input, basis sets and pseudopotentials; then the outputs of all segments.
    wall_seconds : float
        Time in which CP2K ran, interrupted processes included.
    n_segments : int
    """

    data: Segment
    restart_path: Path
    file_paths: list[Path]
    wall_seconds: float
    n_segments: int


def run_aimd(
    folder: Path,
    level: Cp2kLevel,
    structure: Structure,
    settings: AimdSettings,
    *,
    ranks: int,
    lock_fd: int | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> AimdResult:
    """Run CP2K until the last step, from where an interrupted run in this folder stopped.

    Parameters
    ----------
    folder : Path
        Its own folder.
    level : Cp2kLevel
    structure : pymatgen Structure
    settings : AimdSettings
    ranks : int
        MPI ranks.
    lock_fd : int, optional
        Descriptor of a lock that the program keeps open as long as it lives.
    progress : callable, optional
        Told the steps that are done, and all that there are.

    Returns
    -------
    AimdResult

    Raises
    ------
    RefusedError
        If CP2K gives up, or its files do not make one whole run.
    InterruptedRunError
        If CP2K was killed; calling this again continues.
    """
    segments = _usable_segments(folder, settings)
    if not segments or segments[-1][1].last_step < settings.n_steps:
        place = folder / f"segment-{len(segments):03d}"
        first = _continue(segments, place, settings) if segments else 0
        place.mkdir(exist_ok=True)
        inputs = aimd_inputs(
            level,
            structure,
            settings,
            remaining_steps=settings.n_steps - first,
            restart=CONTINUED if segments else None,
        )
        energies = place / f"{PROJECT}-1.ener"
        with reporting(progress, settings.n_steps, partial(last_step_in_energies, energies)):
            run_cp2k(place, inputs, ranks=ranks, lock_fd=lock_fd, correct=False)
        segments.append((place, read_segment(place, settings.dump_interval, first=first + 1 if segments else 0)))
    places = [place for place, _ in segments]
    last = _restart_of(*segments[-1])
    if last is None:
        raise RefusedError("CP2K left no restart file; the disk may have been full: run the job again", "file")
    data = segments[0][1]
    for _, later in segments[1:]:
        data = data.continued_by(later)
    _check(data, structure, settings)
    return AimdResult(
        data,
        last[1],
        [places[0] / name for name in (INPUT, "BASIS", "POTENTIAL")] + [place / OUTPUT for place in places],
        sum(max(0.0, (place / OUTPUT).stat().st_mtime - (place / INPUT).stat().st_mtime) for place in places),
        len(places),
    )


def _usable_segments(folder: Path, settings: AimdSettings) -> list[tuple[Path, Segment]]:
    """The segments that are there, the last with whatever it has; one from which nothing can go on is removed."""
    found: list[tuple[Path, Segment]] = []
    for place in sorted(folder.glob("segment-*")):
        first = (_start_of(place / CONTINUED) or 0) + 1 if found else 0
        found.append((place, read_segment(place, settings.dump_interval, first=first)))
    while found:
        place, data = found[-1]
        if data.last_step >= settings.n_steps or _restart_of(place, data) is not None:
            break
        shutil.rmtree(place)
        found.pop()
    return found


def _start_of(path: Path) -> int | None:
    """The step that a restart file holds; None if the file is torn."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(r"STEP_START_VAL\s+(\d+)", text)
    return int(found[1]) if found and is_whole(path) else None


def _restart_of(place: Path, data: Segment) -> tuple[int, Path] | None:
    """The newest restart file whose step, and all before, the segment's other files hold."""
    steps = ((_start_of(path), path) for path in place.glob(f"{RESTART}*"))
    whole = [(step, path) for step, path in steps if step is not None and data.first_step <= step <= data.last_step]
    return max(whole, default=None)


def _continue(segments: list[tuple[Path, Segment]], place: Path, settings: AimdSettings) -> int:
    """Prepare the next segment's folder; gives the step from which it goes on."""
    before, data = segments[-1]
    found = _restart_of(before, data)
    assert found is not None
    step, restart = found
    shutil.rmtree(place, ignore_errors=True)
    part = place.with_name("next")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    shutil.copyfile(restart, part / CONTINUED)
    # A first guess only. One that was being written is shorter than the one before it.
    guesses = sorted(before.glob(f"{WAVE_FUNCTIONS}*"), key=lambda path: -path.stat().st_mtime_ns)
    if len(guesses) > 1:
        whole = guesses[1].stat().st_size
        newest = next(path for path in guesses if path.stat().st_size == whole)
        shutil.copyfile(newest, part / WAVE_FUNCTIONS)
    part.rename(place)
    return step


def _check(data: Segment, structure: Structure, settings: AimdSettings) -> None:
    expected = np.arange(settings.n_steps + 1)
    if not np.array_equal(data.steps, expected) or not np.array_equal(
        data.frame_steps, expected[:: settings.dump_interval]
    ):
        raise RefusedError(
            f"CP2K's files hold {len(data.steps)} of {len(expected)} steps; the disk may have been full: empty the "
            "job's scratch folder and run it again",
            "file",
        )
    if not np.array_equal(data.numbers, np.array(structure.atomic_numbers)):
        raise RefusedError("CP2K's atoms are not those that were asked for, or in another order", "structure")
    away = float(np.abs(data.positions[0] - structure.cart_coords).max())
    if away > 1e-8:  # the file has ten digits
        raise RefusedError(f"CP2K's first positions are off by {away:.1e} Å from those asked for", "structure")
    for name in ("temperature_K", "potential_eV", "conserved_eV", "pressure_bar", "positions"):
        if not np.isfinite(getattr(data, name)).all():
            raise RefusedError(f"the {name.partition('_')[0]} of the run is not finite; look at the log", "finite")
