"""The answer of a molecular dynamics run, read from the files of its folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import RefusedError
from lipsdb.md.dcd import open_dcd, read_dcd_blocks
from lipsdb.md.extrapolation import GradeSeries, has_production
from lipsdb.md.restart import Segment
from lipsdb.md.settings import MDSettings
from lipsdb.md.thermo import Thermo, parse_thermo
from lipsdb.md.trajectory import Trajectory

_LOOP = re.compile(r"^Loop time of (\S+) on \d+ procs for (\d+) steps", re.MULTILINE)
_VERSION = re.compile(r"^LAMMPS \((.*)\)", re.MULTILINE)


@dataclass(frozen=True)
class MDResult:
    """A finished molecular dynamics run, or one that was ended since its potential extrapolated.

    Attributes
    ----------
    trajectory_path : Path
        AMBER NetCDF file of the production run, unwrapped, frames at 0, 1, 2 … dump intervals.
    n_frames : int
        Frames in it; 0 if the run was ended in its equilibration.
    topology_path : Path
        Extended XYZ file with the elements (the input structure, in LAMMPS' orientation).
    thermo : mapping of str to array
        Production rows; ``step`` and ``time`` (ps) count from the beginning of production. Empty arrays if the run was
        ended before it.
    equilibration_thermo : mapping of str to array
        The same for the equilibration, counted from its own beginning; empty arrays if there was none.
    thermo_units : mapping of str to str
        Unit of each column.
    log_path : Path
        Logs of LAMMPS: of interrupted processes first, then of the last.
    script : str
        Script of the uninterrupted run.
    final_restart_path : Path
        LAMMPS' restart file of the last step.
    rotation : (3, 3) array
        ``x_lammps = x_input @ rotation``: trajectory and restart files are in LAMMPS' orientation.
    mean_temperature_K, mean_pressure_bar, mean_volume_A3, mean_density_g_cm3, mean_potential_energy_eV : float
        Means over the production rows; over those of the equilibration, if the run was ended in it.
    mean_stress_GPa : (3, 3) array, GPa
        Mean stress over the same rows, tension positive (minus the pressure tensor; 1 bar = 1e-4 GPa).
    steps_per_second : float
        Of the loops of LAMMPS that came to their end, start-up excluded.
    wall_seconds : float
        Wall-clock time of all processes of LAMMPS, start-up and interrupted ones included (from the files' times).
    ranks : int
        MPI ranks, or threads of the potential's driver.
    lammps_version : str
        As LAMMPS prints it.
    n_restarts : int
        How many times an interrupted process was continued or begun again.
    program : str
        What ran: ``lmp``, or the driver of the potential.
    extrapolation : GradeSeries or None
        Extrapolation grades, and whether they ended the run; None if they were not asked for.
    """

    trajectory_path: Path
    n_frames: int
    topology_path: Path
    thermo: Mapping[str, NDArray[np.float64] | NDArray[np.int64]]
    equilibration_thermo: Mapping[str, NDArray[np.float64] | NDArray[np.int64]]
    thermo_units: Mapping[str, str]
    log_path: Path
    script: str
    final_restart_path: Path
    rotation: NDArray[np.float64]
    mean_temperature_K: float
    mean_pressure_bar: float
    mean_volume_A3: float
    mean_density_g_cm3: float
    mean_potential_energy_eV: float
    mean_stress_GPa: NDArray[np.float64]
    steps_per_second: float
    wall_seconds: float
    ranks: int
    lammps_version: str
    n_restarts: int
    program: str = "lmp"
    extrapolation: GradeSeries | None = None


def join_dumps(segments: list[Segment], settings: MDSettings, last_step: int | None = None) -> Iterator[Trajectory]:
    """Frames of all segments as one uninterrupted production run, in blocks.

    Parameters
    ----------
    segments : list of Segment
        Oldest first. Of each, the frames before the start of any later one are taken.
    settings : MDSettings
        What was asked for.
    last_step : int, optional
        Step at which the run was ended, counted from the beginning of the equilibration.

    Yields
    ------
    Trajectory
        Frames 0 … ``settings.n_frames`` − 1, or those up to the last step, each exactly once.

    Raises
    ------
    RefusedError
        If a frame is missing.
    """
    expected = settings.equilibration_steps
    end = settings.total_steps if last_step is None else last_step
    for position, segment in enumerate(segments):
        dump = open_dcd(segment.path("dcd"))
        last = min([end + 1, *(later.start_step for later in segments[position + 1 :])])
        wanted = range(expected, last, settings.dump_interval)
        if not wanted:
            continue
        in_file = range(dump.first_step, dump.first_step + dump.n_frames * dump.interval, dump.interval)
        if dump.interval != settings.dump_interval or wanted[0] not in in_file or wanted[-1] not in in_file:
            raise RefusedError(
                f"{dump.path.name} lacks frames of steps {wanted[0]} to {wanted[-1]} (it has {dump.n_frames} from step "
                f"{dump.first_step}); the disk may have been full: empty the folder and run again"
            )
        first_frame = in_file.index(wanted[0])
        yield from read_dcd_blocks(
            dump,
            first_frame + len(wanted),
            time_zero_step=settings.equilibration_steps,
            timestep_ps=settings.timestep_ps,
            first_frame=first_frame,
        )
        expected = wanted[-1] + settings.dump_interval
    if expected <= end:
        raise RefusedError(
            f"trajectory ends before step {end} (next missing frame: step {expected}); empty the folder and run again"
        )


def split_thermo(text: str, settings: MDSettings, last_step: int | None = None) -> tuple[Thermo, Thermo]:
    """Equilibration and production rows of a run's concatenated logs, each with its own zero of step and time.

    Parameters
    ----------
    text : str
    settings : MDSettings
        What was asked for.
    last_step : int, optional
        Step at which the run was ended, counted from the beginning of the equilibration.

    Raises
    ------
    RefusedError
        If a row is missing or holds a number that is not finite.
    """
    thermo = parse_thermo(text)
    step = thermo.columns["step"]
    boundary = settings.equilibration_steps
    end = settings.total_steps if last_step is None else last_step
    wanted = np.arange(0, end + 1, settings.thermo_interval)
    kept = np.isin(step, wanted)
    if not np.array_equal(step[kept], wanted):
        missing = np.setdiff1d(wanted, step)
        raise RefusedError(
            f"thermo output lacks {len(missing)} rows, the first at step {missing[:1]}; empty the folder and run again"
        )
    parts = []
    in_equilibration = kept & (step <= boundary) & (boundary > 0)
    in_production = kept & (step >= boundary) & has_production(end, settings)
    for selected, zero in ((in_equilibration, 0), (in_production, boundary)):
        columns = {name: values[selected] for name, values in thermo.columns.items()}
        columns["step"] = columns["step"] - zero
        columns["time"] = np.asarray(columns["step"] * settings.timestep_ps, dtype=np.float64)
        if not all(np.isfinite(values).all() for values in columns.values()):
            raise RefusedError("thermo output holds NaN or infinity; check the potential on this system")
        parts.append(Thermo(columns=columns, units={**thermo.units, "time": "ps"}))
    return parts[0], parts[1]


def mean_stress(thermo: Mapping[str, NDArray[np.float64] | NDArray[np.int64]]) -> NDArray[np.float64]:
    """Mean stress in GPa, tension positive, from the pressure tensor in bar.

    Examples
    --------
    >>> row = {name: np.array([0.0]) for name in ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz")}
    >>> float(mean_stress({**row, "pxx": np.array([10_000.0])})[0, 0])
    -1.0
    """
    names = (("pxx", "pxy", "pxz"), ("pxy", "pyy", "pyz"), ("pxz", "pyz", "pzz"))
    # 1 bar = 1e5 Pa = 1e-4 GPa; stress is minus pressure.
    return np.array([[-1e-4 * float(np.mean(thermo[name])) for name in row] for row in names])


def loop_speed(text: str) -> float:
    """Steps per second over the finished loops in a log (0 if none finished)."""
    loops = np.array(_LOOP.findall(text), dtype=np.float64).reshape(-1, 2)
    seconds = float(loops[:, 0].sum())
    return float(loops[:, 1].sum()) / seconds if seconds > 0 else 0.0


def version_in_log(text: str) -> str:
    """Version of LAMMPS as its log states it."""
    found = _VERSION.findall(text)
    return str(found[-1]) if found else "unknown"


def wall_seconds(segments: list[Segment]) -> float:
    """Time between the writing of each segment's script and the last line of its log, summed (s)."""
    total = 0.0
    for segment in segments:
        if segment.path("log").exists():
            total += max(0.0, segment.path("log").stat().st_mtime - segment.path("in").stat().st_mtime)
    return total
