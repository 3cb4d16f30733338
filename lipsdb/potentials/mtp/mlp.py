"""Training by MLIP's own program ``mlp`` (MLIP-2), where it is installed."""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import InterruptedRunError, LipsdbError, MissingProgramError, RefusedError
from lipsdb.potentials.mtp.files import read_mtp, write_cfg, write_mtp
from lipsdb.potentials.mtp.potential import MomentTensorPotential
from lipsdb.potentials.mtp.settings import MTPSettings
from lipsdb.potentials.program import last_meaningful_line, run_program
from lipsdb.potentials.training_set import LabelledFrames

START, CURRENT, TRAINED, LOG = "start.mtp", "current.mtp", "trained.mtp", "mlp.log"
TRAINING, HELD = "training.cfg", "held.cfg"

_ITERATION = re.compile(r"^BFGS iter (\d+): f=(\S+)$", re.MULTILINE)
_ERROR_LINE = re.compile(r".*\b(error|exception|terminate|what\(\)|cannot|can't)\b.*", re.IGNORECASE)
_NOISE = re.compile(r"\s*(BFGS iter|_+$|$)")


@dataclass(frozen=True)
class MlpTraining:
    """What ``mlp train`` did.

    Attributes
    ----------
    potential : MomentTensorPotential
        Its scaling may differ from 1.
    losses : (n_iterations,) array
        The loss as mlp printed it, over all restarts.
    ended : str
        Why it ended, in mlp's words.
    converged : bool
    log : Path
        All that it printed.
    version : str
    executable : str
    """

    potential: MomentTensorPotential
    losses: NDArray[np.float64]
    ended: str
    converged: bool
    log: Path
    version: str
    executable: str


def find_mlp() -> str:
    """Path of ``mlp``.

    Raises
    ------
    MissingProgramError
        If it is not on PATH, or is not that of MLIP-2.
    """
    found = shutil.which("mlp")
    remedy = "install MLIP-2 (https://gitlab.com/ashapeev/mlip-2) or set program: lipsdb, which needs nothing else."
    if found is None:
        raise MissingProgramError(f"mlp is not on PATH: {remedy}")
    if "--trained-pot-name" not in _output_of(found, "help", "train"):
        raise MissingProgramError(f"{found} does not know `mlp train --trained-pot-name`: {remedy}")
    return found


def version_of(mlp: str) -> str:
    """What mlp says of its version, and the beginning of its SHA-256, since MLIP numbers few of its states."""
    lines = _output_of(mlp, "help").splitlines()
    banner = next((line.strip() for line in lines if " version" in line), "MLIP-2")
    return f"{banner.split(',')[0]} (sha256 {hashlib.sha256(Path(mlp).read_bytes()).hexdigest()[:12]})"


def _output_of(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def train_by_mlp(
    folder: Path,
    settings: MTPSettings,
    start: MomentTensorPotential,
    training: Mapping[str, LabelledFrames],
    held: Mapping[str, LabelledFrames],
    *,
    threads: int = 1,
    on_iteration: Callable[[int, float], None] | None = None,
    lock_fd: int | None = None,
) -> MlpTraining:
    """Train from a start by ``mlp train``; called again in the same folder, it goes on from mlp's current potential.

    Parameters
    ----------
    folder : Path
    settings : MTPSettings
    start : MomentTensorPotential
        Given to mlp as a fitted potential, so that it begins there instead of at random numbers of its own.
    training, held : mapping of system to LabelledFrames
    threads : int
        OMP_NUM_THREADS of mlp.
    on_iteration : callable, optional
        Called with (iteration, loss).
    lock_fd : int, optional
        Open file descriptor that mlp inherits.

    Returns
    -------
    MlpTraining

    Raises
    ------
    MissingProgramError
        If there is no mlp of MLIP-2.
    RefusedError
        If the loss or the potential is not a number.
    InterruptedRunError
        If a signal stopped mlp.
    LipsdbError
        If mlp fails otherwise.

    Notes
    -----
    ``--weighting=structures`` makes mlp's loss the one of `MTPSettings`; by default it weighs large frames more.
    """
    mlp = find_mlp()
    log = folder / LOG
    if not (folder / TRAINED).exists():
        _run(mlp, folder, settings, start, training, held, threads=threads, on_iteration=on_iteration, lock_fd=lock_fd)
    potential = read_mtp(folder / TRAINED, start.elements)
    if not np.isfinite(potential.parameters).all():
        raise RefusedError(f"mlp trained to coefficients that are not numbers ({folder / TRAINED}): check the labels.")
    text = log.read_text(errors="replace")
    ended = re.findall(r"^(?:BFGS ended.*|step limit reached)$", text, re.MULTILINE)
    return MlpTraining(
        potential=potential,
        losses=np.array(_losses(text)),
        ended=ended[-1] if ended else "mlp did not say why",
        converged=bool(ended) and ended[-1].startswith("BFGS ended"),
        log=log,
        version=version_of(mlp),
        executable=mlp,
    )


def _run(
    mlp: str,
    folder: Path,
    settings: MTPSettings,
    start: MomentTensorPotential,
    training: Mapping[str, LabelledFrames],
    held: Mapping[str, LabelledFrames],
    *,
    threads: int,
    on_iteration: Callable[[int, float], None] | None,
    lock_fd: int | None,
) -> None:
    log, current, unfinished = folder / LOG, folder / CURRENT, folder / f"{TRAINED}.tmp"
    begin = _newest(current, start)
    if begin is start:
        log.unlink(missing_ok=True)
    write_mtp(folder / START, begin)
    write_cfg(folder / TRAINING, training, start.elements)
    arguments = [
        f"--trained-pot-name={unfinished.name}",
        f"--curr-pot-name={current.name}",
        f"--energy-weight={settings.energy_weight!r}",
        f"--force-weight={settings.force_weight!r}",
        f"--stress-weight={settings.stress_weight!r}",
        f"--bfgs-conv-tol={settings.convergence_tolerance!r}",
        "--weighting=structures",
    ]
    if any(frames.n_frames for frames in held.values()):
        write_cfg(folder / HELD, held, start.elements)
        arguments.append(f"--valid-cfgs={HELD}")
    watch = _Watch(log, on_iteration)
    left = max(1, settings.max_iterations - watch.seen)
    try:
        run_program(
            [mlp, "train", START, TRAINING, *arguments, f"--max-iter={left}"],
            what="mlp train",
            folder=folder,
            log=log,
            variables={"OMP_NUM_THREADS": str(threads)},
            lock_fd=lock_fd,
            poll=watch.poll,
            died_of=_died_of,
        )
    except InterruptedRunError as error:
        raise InterruptedRunError(f"{error} (it was at iteration {watch.seen} of {settings.max_iterations})") from error
    if not unfinished.exists():
        raise LipsdbError(f"mlp train wrote no potential: {_died_of(log, 0)} (all of its output: {log})")
    with unfinished.open("rb") as written:
        os.fsync(written.fileno())  # else a power cut may leave an empty file of that name
    unfinished.replace(folder / TRAINED)


def _newest(current: Path, start: MomentTensorPotential) -> MomentTensorPotential:
    """The potential that an interrupted mlp had come to; the start if there is none, or a kill left half of one."""
    if not current.exists():
        return start
    try:
        return read_mtp(current, start.elements)
    except LipsdbError:
        return start


class _Watch:
    """Follows mlp's log: reports new iterations, refuses a loss that is not a number."""

    def __init__(self, log: Path, on_iteration: Callable[[int, float], None] | None) -> None:
        self.log, self.on_iteration = log, on_iteration
        self.seen = len(_losses(log.read_text(errors="replace"))) if log.exists() else 0

    def poll(self, seconds: float) -> None:
        """Look for new lines."""
        losses = _losses(self.log.read_text(errors="replace"))
        new, self.seen = losses[self.seen :], len(losses)
        for iteration, loss in enumerate(new, start=self.seen - len(new)):
            if not math.isfinite(loss):
                raise RefusedError(
                    f"the loss is {loss} at iteration {iteration} of mlp: the training diverged; check the labels for "
                    "absurd values and the frames for atoms on top of each other."
                )
            if self.on_iteration is not None:
                self.on_iteration(iteration, loss)


def _losses(text: str) -> list[float]:
    return [float(loss) for _, loss in _ITERATION.findall(text[: text.rfind("\n") + 1])]


def _died_of(log: Path, begin: int) -> str:
    return last_meaningful_line(log, begin, error=_ERROR_LINE, noise=_NOISE)
