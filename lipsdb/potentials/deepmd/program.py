"""Running DeePMD-kit's program ``dp``: finding it, its threads, its end, and what it died of."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lipsdb.errors import MissingProgramError
from lipsdb.potentials.program import last_meaningful_line as last_line
from lipsdb.potentials.program import run_program

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
    return run_program(
        [find_dp(), "--tf", *arguments],
        what=f"dp {arguments[0]}",
        folder=folder,
        log=log,
        variables=thread_variables(threads),
        lock_fd=lock_fd,
        poll=poll,
        died_of=last_meaningful_line,
    )


def last_meaningful_line(log: Path, begin: int = 0) -> str:
    """Last error line of a log of dp from a byte on, else its last line that is not known noise."""
    return last_line(log, begin, error=_ERROR_LINE, noise=_NOISE)


def versions_in(log: Path) -> dict[str, str]:
    """Versions of DeePMD-kit and TensorFlow that the last training in a log named."""
    text = log.read_text(errors="replace") if log.exists() else ""
    patterns = {"deepmd-kit": r"INFO\s+Source:\s+v?(\S+)", "tensorflow": r"INFO\s+TF Ver:\s+v?(\S+)"}
    found = {name: re.findall(pattern, text) for name, pattern in patterns.items()}
    return {name: matches[-1] for name, matches in found.items() if matches}
