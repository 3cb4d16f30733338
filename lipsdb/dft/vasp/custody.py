"""Which of custodian's corrections a run may have: those that change how the SCF converges, not to what."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipsdb.dft.vasp.inputs import Task

#: Errors whose remedies in custodian's VaspErrorHandler leave the level alone (ALGO, mixing, NBANDS, first guess).
#: Left out are those remedied by other k-points, smearing, symmetry, projectors, PREC or another cell.
HARMLESS_ERRORS = [
    *("amin", "brmix", "pssyevx", "pdsyevx", "eddrmm", "edddav", "zheev", "eddiag", "too_few_bands", "coef"),
    *("nbands_not_sufficient", "grad_not_orth", "set_core_wf", "read_error"),
]
#: Those of the ionic loop: a relaxation may take another path (POTIM, IBRION, a tighter EDIFF).
RELAXATION_ERRORS = ["brions", "zbrent"]

#: INCAR tags that may differ from what was asked for.
FREE_TAGS = frozenset(
    {
        *("ALGO", "IALGO", "ISEARCH", "TIME", "NELM", "NELMIN", "NELMDL", "ICHARG", "ISTART", "LWAVE", "LCHARG"),
        *("AMIX", "BMIX", "AMIN", "AMIX_MAG", "BMIX_MAG", "IMIX", "MAXMIX"),
        *("NBANDS", "NCORE", "NPAR", "KPAR", "NSIM", "LPLANE"),
    }
)
FREE_TAGS_OF_RELAXATION = frozenset({"IBRION", "POTIM", "SMASS", "IOPT"})

_MONITOR_S = 60.0
# Between fork and exec: end when the worker does. SIGTERM lets mpirun end its ranks.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
if sys.platform == 'linux':
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class Custody:
    """How a run under custodian ended.

    Attributes
    ----------
    status : int
        Exit status of the last attempt, negative for a signal.
    stopped_here : bool
        Whether custodian stopped the last attempt.
    n_attempts : int
        How often VASP was started.
    corrections : tuple of str
        What was changed between the attempts: error and new settings.
    failure : str or None
        Why custodian gave up.
    """

    status: int
    stopped_here: bool
    n_attempts: int
    corrections: tuple[str, ...]
    failure: str | None


def handlers_of(task: Task) -> list[Any]:
    """atomate2's handlers for a task, without those that change what is computed.

    Left out: MeshSymmetry (k-points), LargeSigma, IncorrectSmearing (ISMEAR, SIGMA), KspacingMetal (k-points); of
    dynamics also those that go on from another configuration or set IBRION.
    """
    from custodian.vasp.handlers import (
        FrozenJobErrorHandler,
        NonConvergingErrorHandler,
        PositiveEnergyErrorHandler,
        PotimErrorHandler,
        StdErrHandler,
        UnconvergedErrorHandler,
        VaspErrorHandler,
    )

    errors = HARMLESS_ERRORS + (RELAXATION_ERRORS if task == "relaxation" else [])
    handlers = [VaspErrorHandler(errors_subset_to_catch=errors), NonConvergingErrorHandler(), StdErrHandler()]
    if task != "aimd":
        handlers += [UnconvergedErrorHandler(), PositiveEnergyErrorHandler(), FrozenJobErrorHandler()]
    if task == "relaxation":
        handlers.append(PotimErrorHandler())
    return handlers


def run_in_custody(
    folder: Path, words: list[str], task: Task, lock_fd: int | None, max_errors: int, poll_s: float
) -> Custody:
    """Run VASP in a folder under custodian, with atomate2's handlers and validators as far as they are harmless."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from custodian.custodian import Custodian, CustodianError
        from custodian.vasp.jobs import VaspJob
        from custodian.vasp.validators import VaspFilesValidator, VasprunXMLValidator

    class Job(VaspJob):
        """As custodian's, but it keeps the lock, ends with the worker, and stops only its own process group."""

        attempts = 0
        stopped_here = False

        def run(self, directory: str = "./") -> subprocess.Popen[bytes]:
            self.attempts += 1
            self.stopped_here = False
            here = Path(directory)
            launcher = [sys.executable, "-S", "-E", "-c", _DIE_WITH_PARENT, str(os.getpid())]
            with (here / self.output_file).open("wb") as out, (here / self.stderr_file).open("wb") as err:
                self._vasp_process = subprocess.Popen(
                    [*launcher, *self.vasp_cmd],
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")},
                    pass_fds=() if lock_fd is None else (lock_fd,),
                    start_new_session=True,
                )
            return self._vasp_process

        def terminate(self, directory: str = "./") -> None:
            self.stopped_here = True
            if self._vasp_process.poll() is None:
                for number in (signal.SIGTERM, signal.SIGKILL):
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(self._vasp_process.pid, number)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._vasp_process.wait(self.terminate_timeout)
                        return

    job = Job(words, backup=False, auto_npar=False, auto_gamma=False)
    custodian = Custodian(
        handlers_of(task),
        [job],
        validators=[VasprunXMLValidator(), VaspFilesValidator()],
        max_errors=max_errors,
        polling_time_step=poll_s,
        monitor_freq=max(1, round(_MONITOR_S / poll_s)),
        directory=str(folder),
    )
    failure = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            custodian.run()  # type: ignore[no-untyped-call]
        except CustodianError as error:
            failure = str(error.message)
        finally:
            process = getattr(job, "_vasp_process", None)
            if process is not None and process.poll() is None:
                job.terminate(str(folder))
    corrections = [correction for entry in custodian.run_log for correction in entry["corrections"]]
    return Custody(
        status=1 if process is None else int(process.returncode),
        stopped_here=job.stopped_here,
        n_attempts=job.attempts,
        corrections=tuple(_words_of(correction) for correction in corrections),
        failure=failure,
    )


def _words_of(correction: dict[str, Any]) -> str:
    """Errors and remedies of one correction, such as 'Unconverged: INCAR ALGO=All ISEARCH=1'."""
    remedies = []
    for action in correction.get("actions") or []:
        where = action.get("dict") or action.get("file")
        changes = [f"{key}={value}" for key, value in action["action"].get("_set", {}).items() if key != "structure"]
        remedies.append(" ".join([str(where), *(changes or list(action["action"]))]))
    return f"{', '.join(map(str, correction['errors']))}: {'; '.join(remedies) or 'no remedy'}"
