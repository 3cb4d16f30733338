"""Running another program: in its folder, bound to this process, watched while it runs; and what it died of."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from lipsdb.errors import InterruptedRunError, LipsdbError

POLL_SECONDS = 0.5
_STOP_SECONDS = 10.0
_CRASHES = {signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV}
# Asks the kernel (prctl PR_SET_PDEATHSIG = 1, SIGKILL = 9) to kill this process with its parent, then becomes the
# program. Not a preexec_fn: code between fork and exec may hang where the parent has threads (database, pings).
_BIND_TO_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
os.getppid() == int(sys.argv[1]) or os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def run_program(
    command: Sequence[str],
    *,
    what: str,
    folder: Path,
    log: Path,
    variables: Mapping[str, str] | None = None,
    lock_fd: int | None = None,
    poll: Callable[[float], None] | None = None,
    died_of: Callable[[Path, int], str],
) -> float:
    """Run a program in a folder, and wait for it.

    Parameters
    ----------
    command : sequence of str
        Path of the program and its arguments.
    what : str
        What messages call it, say "dp train".
    folder, log : Path
        Where it runs, and the file that its output is added to.
    variables : mapping, optional
        Environment variables to set for it.
    lock_fd : int, optional
        Open file descriptor that the program inherits, so that a lock is held until it, too, is gone.
    poll : callable, optional
        Called with the seconds since the start every half second and at the end; what it raises stops the program.
    died_of : callable
        Called with the log and the byte in it at which the program began to write, if it fails: the reason, one line.

    Returns
    -------
    float
        Wall-clock seconds.

    Raises
    ------
    InterruptedRunError
        If a signal stopped the program.
    LipsdbError
        If it ended with an error or crashed.

    Notes
    -----
    The program is killed with the thread that called this function (Linux: PR_SET_PDEATHSIG), also when that is killed
    outright.
    """
    bound = [sys.executable, "-I", "-S", "-c", _BIND_TO_PARENT, str(os.getpid()), *command]
    start = time.monotonic()
    with log.open("ab") as output:
        begin = output.tell()
        process = subprocess.Popen(
            bound,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(variables or {})},
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
    stopped_by = signal.Signals(-process.returncode) if process.returncode < 0 else None
    if stopped_by is not None and stopped_by not in _CRASHES:
        raise InterruptedRunError(
            f"{what} was stopped by {stopped_by.name} in {folder}: run the job again, it continues from there."
        )
    if process.returncode:
        end = f"crashed ({stopped_by.name})" if stopped_by else f"failed with exit code {process.returncode}"
        raise LipsdbError(f"{what} {end}: {died_of(log, begin)} (all of its output: {log})")
    return time.monotonic() - start


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def last_meaningful_line(log: Path, begin: int, *, error: re.Pattern[str], noise: re.Pattern[str]) -> str:
    """Last error line of a log from a byte on, else its last line that is not known noise."""
    with log.open("rb") as file:
        file.seek(begin)
        lines = file.read().decode(errors="replace").splitlines()
    said = [line.strip() for line in lines if line.strip() and not noise.match(line)]
    errors = [line for line in said if error.fullmatch(line)]
    return (errors or said or ["it wrote nothing"])[-1]
