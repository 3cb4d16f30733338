"""Run CP2K in a folder under custodian, and continue it after an interruption."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipsdb.dft.cp2k.program import command, environment
from lipsdb.errors import InterruptedRunError, LipsdbError, RefusedError

if TYPE_CHECKING:
    from atomate2.cp2k.sets.base import Cp2kInputSet

INPUT, OUTPUT, ERRORS = "cp2k.inp", "cp2k.out", "std_err.txt"
_POLL_S = 1.0
_MONITOR_S = 10.0
# Where an input may differ after custodian's corrections: how the SCF converges, not to what.
_FREE = {
    ("FORCE_EVAL", "DFT", "SCF", "OT"),
    ("FORCE_EVAL", "DFT", "SCF", "MAX_SCF"),
    ("FORCE_EVAL", "DFT", "SCF", "OUTER_SCF", "MAX_SCF"),
    ("FORCE_EVAL", "DFT", "SCF", "SCF_GUESS"),
    ("FORCE_EVAL", "DFT", "WFN_RESTART_FILE_NAME"),
}
# In a child between fork and exec: leave the worker's terminal, and die when the worker is killed.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
if sys.platform == 'linux':
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""
_ABORT = re.compile(r"\[ABORT\](.*?)(?:={20}|\*{60})", re.DOTALL)
_PHYSICAL = re.compile(r"SCF|converge|[Cc]holesky|[Dd]iagonali|eigen|overlap|too close|NaN")
_SIGNALS = {-number for number in range(1, 65)} | {128 + number for number in range(1, 65)}


def run_cp2k(
    folder: Path, inputs: Cp2kInputSet, *, ranks: int, lock_fd: int | None = None, correct: bool = True
) -> Path:
    """Run CP2K until it is done.

    Parameters
    ----------
    folder : Path
        Its own folder; wave functions that an interrupted run left there are the first guess.
    inputs : Cp2kInputSet
        What is computed.
    ranks : int
        MPI ranks.
    lock_fd : int, optional
        Descriptor of a lock that the program keeps open as long as it lives.
    correct : bool
        Whether custodian's handlers may change how the SCF is converged (minimiser, line search, steps).

    Returns
    -------
    Path
        The output file.

    Raises
    ------
    RefusedError
        Its `gate` is 'scf' if the SCF does not converge whatever the handlers try, 'level' if they changed what is
        computed, 'program' if CP2K stops with an error of its own.
    InterruptedRunError
        If CP2K was killed; running it again continues.
    MissingProgramError
        If there is no CP2K.
    """
    words = command(ranks)
    for stale in (OUTPUT, ERRORS):
        (folder / stale).unlink(missing_ok=True)
    _drop_torn_wave_functions(folder)
    inputs.write_input(folder)
    asked = _settings(folder / INPUT)
    status, gave_up = _under_custodian(folder, words, lock_fd, correct)
    _judge(folder, status, gave_up)
    changed = sorted(
        path for path, _ in asked ^ _settings(folder / INPUT) if path not in _FREE and path[:4] not in _FREE
    )
    if changed:
        raise RefusedError(
            f"custodian changed {'/'.join(changed[0])} to make the SCF converge: that is another level of theory; "
            "change the structure or the level",
            "level",
        )
    return folder / OUTPUT


def _drop_torn_wave_functions(folder: Path) -> None:
    """Take away wave functions that were cut off while they were written: CP2K would die on them at every start."""
    for path in folder.glob("*.wfn"):
        previous = path.with_name(path.name + ".bak-1")
        whole = previous.stat().st_size if previous.is_file() else 1
        if path.stat().st_size < whole:
            path.unlink()


def files_of(folder: Path) -> list[Path]:
    """Input, basis sets, pseudopotentials and output of a run, as far as they are there."""
    return [path for name in (INPUT, "BASIS", "POTENTIAL", OUTPUT) if (path := folder / name).is_file()]


def is_whole(path: Path) -> bool:
    """Whether a restart file was written to its end: all its sections are closed."""
    text = path.read_text(errors="replace")
    opened, closed = (len(re.findall(pattern, text, re.MULTILINE)) for pattern in (r"^ *&(?!END)", r"^ *&END"))
    return opened == closed > 0


def _settings(path: Path) -> set[tuple[tuple[str, ...], str]]:
    """All keywords of an input with their sections."""
    from pymatgen.io.cp2k.inputs import Cp2kInput, Keyword, KeywordList, Section

    def walk(section: Section, where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        for name, keyword in section.keywords.items():
            for one in keyword.keywords if isinstance(keyword, KeywordList) else [keyword]:
                assert isinstance(one, Keyword)
                yield (*where, str(name).upper()), " ".join(map(str, one.values))
        for name, subsection in section.subsections.items():
            yield from walk(subsection, (*where, str(name).upper()))

    return set(walk(Cp2kInput.from_file(path), ()))


def _judge(folder: Path, status: int, gave_up: bool) -> None:
    """Tell a finished run from a failed and from an interrupted one."""
    output, errors = folder / OUTPUT, folder / ERRORS
    text = output.read_text(errors="replace") if output.exists() else ""
    if gave_up:
        raise RefusedError(
            "the SCF did not converge, also after custodian's corrections (minimiser, line search, more steps); look "
            "at the log (`lipsdb export files`), and change the structure or the level of theory",
            "scf",
        )
    if "PROGRAM ENDED AT" in text:
        return
    abort = _ABORT.search(text)
    if abort:
        reason = " ".join(line.strip(" *") for line in abort[1].splitlines() if "___" not in line and "/" not in line)
        reason = " ".join(word for word in reason.split() if re.search(r"\w", word))
        if _PHYSICAL.search(reason):
            raise RefusedError(f"CP2K gave up: {reason}; look at the log (`lipsdb export files`)", "scf")
        raise LipsdbError(f"CP2K stopped: {reason}; the output is {output.name} in the job's scratch folder")
    if status in _SIGNALS or not text:
        last = (errors.read_text(errors="replace").strip().splitlines() or [""])[-1] if errors.exists() else ""
        raise InterruptedRunError(
            f"CP2K was stopped before its end (exit status {status}{': ' + last if last else ''}); run the job again "
            "(`lpad rerun_fws -i ID`), it continues from the wave functions"
        )
    raise InterruptedRunError(f"CP2K ended early with exit status {status}; run the job again (`lpad rerun_fws -i ID`)")


def _under_custodian(folder: Path, words: list[str], lock_fd: int | None, correct: bool) -> tuple[int, bool]:
    """Run under custodian; gives the exit status of the last attempt, and whether its handlers gave up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from custodian.cp2k.handlers import FrozenJobErrorHandler, StdErrHandler, UnconvergedScfErrorHandler
        from custodian.cp2k.jobs import Cp2kJob
        from custodian.custodian import Custodian, CustodianError

    class Job(Cp2kJob):
        """As custodian's, but it keeps the lock, dies with the worker, and stops only what it started."""

        process: subprocess.Popen[bytes] | None = None

        def run(self, directory: str = "./") -> subprocess.Popen[bytes]:
            launcher = [sys.executable, "-S", "-E", "-c", _DIE_WITH_PARENT, str(os.getpid())]
            here = Path(directory)
            with (here / OUTPUT).open("wb") as out, (here / ERRORS).open("wb") as err:
                self.process = subprocess.Popen(
                    [*launcher, *self.cp2k_cmd, "-i", self.input_file],
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    env=environment(),
                    pass_fds=() if lock_fd is None else (lock_fd,),
                    start_new_session=True,
                )
            return self.process

        def terminate(self, directory: str = "./") -> None:
            if self.process is not None and self.process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGTERM)

    handlers: list[Any] = [StdErrHandler(std_err=str(folder / ERRORS)), FrozenJobErrorHandler()]
    if correct:
        handlers.append(UnconvergedScfErrorHandler())
    job = Job(words, backup=False)
    custodian = Custodian(
        handlers,
        [job],
        max_errors=4,
        polling_time_step=_POLL_S,
        monitor_freq=int(_MONITOR_S / _POLL_S),
        terminate_on_nonzero_returncode=False,
        directory=str(folder),
    )
    gave_up = False
    try:
        custodian.run()  # type: ignore[no-untyped-call]
    except CustodianError:
        tried = [correction["handler"] for job_log in custodian.run_log for correction in job_log["corrections"]]
        gave_up = any(isinstance(handler, UnconvergedScfErrorHandler) for handler in tried)
    if job.process is None:
        return 1, gave_up
    try:
        return job.process.wait(timeout=30), gave_up
    except subprocess.TimeoutExpired:
        job.terminate(str(folder))
        return job.process.wait(), gave_up
