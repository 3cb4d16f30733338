"""Running DeePMD-kit's program ``dp``: finding it, its threads, its end, and what it died of."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lipsdb.errors import InterruptedRunError, LipsdbError, MissingProgramError

POLL_SECONDS = 0.5
_STOP_SECONDS = 10.0
# Asks the kernel (prctl PR_SET_PDEATHSIG = 1, SIGKILL = 9) to kill this process with its parent, then becomes the
# program. Not a preexec_fn: code between fork and exec may hang where the parent has threads (database, pings).
_BIND_TO_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
os.getppid() == int(sys.argv[1]) or os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""
_ERROR_LINE = re.compile(r"[\w.]*(Error|Exception|Interrupt|Exit)\b.*")
_NOISE = re.compile(r"\s|implib-gen|DeePMD-kit: |WARNING: All log|[IW]\d{4} |To enable the following|\*+$|-+$")


def find_dp() -> str:
    """Path of ``dp``: beside this Python first, then on PATH."""
    beside = Path(sys.executable).with_name("dp")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("dp")
    if found is None:
        raise MissingProgramError(
            f"dp is neither beside {sys.executable} nor on PATH: install DeePMD-kit (pip install 'deepmd-kit[cpu]')."
        )
    return found


def thread_variables(threads: int) -> dict[str, str]:
    """Environment variables that hold TensorFlow and DeePMD-kit to a number of threads."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "TF_INTRA_OP_PARALLELISM_THREADS": str(threads),
        "TF_INTER_OP_PARALLELISM_THREADS": "1",
        "DP_INTRA_OP_PARALLELISM_THREADS": str(threads),
        "DP_INTER_OP_PARALLELISM_THREADS": "1",
    }


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables of this process for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def run_dp(
    arguments: Sequence[str],
    *,
    folder: Path,
    log: Path,
    threads: int = 1,
    lock_fd: int | None = None,
    poll: Callable[[float], None] | None = None,
) -> float:
    """Run ``dp --tf`` with the given arguments in a folder, and wait for it.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``dp --tf``.
    folder, log : Path
        Where it runs, and the file that its output is added to.
    threads : int
    lock_fd : int, optional
        Open file descriptor that the program inherits, so that a lock is held until it, too, is gone.
    poll : callable, optional
        Called with the seconds since the start every half second and at the end; what it raises stops the program.

    Returns
    -------
    float
        Wall-clock seconds.

    Raises
    ------
    InterruptedRunError
        If a signal stopped the program.
    LipsdbError
        If it ended with an error; the message has its last meaningful line.

    Notes
    -----
    The program is killed with the thread that called this function (Linux: PR_SET_PDEATHSIG), also when that is killed
    outright.
    """
    program = [find_dp(), "--tf", *arguments]
    command = [sys.executable, "-I", "-S", "-c", _BIND_TO_PARENT, str(os.getpid()), *program]
    start = time.monotonic()
    with log.open("ab") as output:
        begin = output.tell()
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **thread_variables(threads)},
            pass_fds=() if lock_fd is None else (lock_fd,),
        )
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)
            if poll is not None:
                poll(time.monotonic() - start)
            if process.returncode is not None:
                break
    finally:
        _stop(process)
    what = f"dp {arguments[0]}"
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        raise InterruptedRunError(
            f"{what} was stopped by {name} in {folder}: run the job again, it continues from there."
        )
    if process.returncode > 0:
        reason = last_meaningful_line(log, begin)
        raise LipsdbError(f"{what} failed with exit code {process.returncode}: {reason} (all of its output: {log})")
    return time.monotonic() - start


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def last_meaningful_line(log: Path, begin: int = 0) -> str:
    """Last error line of a log from a byte on, else its last line that is not known noise."""
    with log.open("rb") as file:
        file.seek(begin)
        lines = file.read().decode(errors="replace").splitlines()
    said = [line.strip() for line in lines if line.strip() and not _NOISE.match(line)]
    errors = [line for line in said if _ERROR_LINE.fullmatch(line)]
    return (errors or said or ["it wrote nothing"])[-1]


def versions_in(log: Path) -> dict[str, str]:
    """Versions of DeePMD-kit and TensorFlow that the last training in a log named."""
    text = log.read_text(errors="replace") if log.exists() else ""
    patterns = {"deepmd-kit": r"INFO\s+Source:\s+v?(\S+)", "tensorflow": r"INFO\s+TF Ver:\s+v?(\S+)"}
    found = {name: re.findall(pattern, text) for name, pattern in patterns.items()}
    return {name: matches[-1] for name, matches in found.items() if matches}
