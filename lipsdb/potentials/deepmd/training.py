"""Training a DeePMD-kit potential in a folder, stage by stage; restartable at any moment."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import BadInputError, InterruptedRunError, LipsdbError, RefusedError
from lipsdb.potentials.deepmd import learning_curve
from lipsdb.potentials.deepmd.inputs import CHECKPOINT, LEARNING_CURVE, ZBL_TABLE, training_input
from lipsdb.potentials.deepmd.program import run_dp, versions_in
from lipsdb.potentials.deepmd.settings import DeepMDSettings, TrainingStage
from lipsdb.potentials.deepmd.zbl import write_zbl_table

Progress = Callable[[int, int, dict[str, float]], None]

INPUT, RESTART_INPUT, LOG, FINISHED, COST = "input.json", "restart.json", "train.log", "finished", "cost.json"
MODEL, COMPRESSED = "model.pb", "model-compressed.pb"


@dataclass(frozen=True)
class TrainingResult:
    """A finished training.

    Parameters
    ----------
    inputs : tuple of dict
        Input of dp of each stage.
    learning_curve : dict of column to (n_rows,) array
        stage (from 1), step (in the stage), lr, and the columns of `lipsdb.potentials.deepmd.learning_curve`.
    model_path, compressed_path : Path
        The frozen model and its compressed form (faster, the same within its tabulation error).
    versions : dict
        Of deepmd-kit and tensorflow.
    wall_seconds, core_seconds : float
        Over all stages and restarts; core-seconds are wall seconds times threads.
    """

    inputs: tuple[dict[str, Any], ...]
    learning_curve: dict[str, NDArray[np.float64]]
    model_path: Path
    compressed_path: Path
    versions: dict[str, str]
    wall_seconds: float
    core_seconds: float


def train(
    folder: Path,
    settings: DeepMDSettings,
    training_systems: Sequence[Path],
    held_systems: Sequence[Path] = (),
    *,
    threads: int = 1,
    progress: Progress | None = None,
    lock_fd: int | None = None,
) -> TrainingResult:
    """Train, freeze and compress a potential; called again in the same folder, it continues.

    Parameters
    ----------
    folder : Path
        Working folder of this training alone, with one folder a stage in it.
    settings : DeepMDSettings
    training_systems, held_systems : sequences of Path
        Folders in DeePMD-kit's npy format, all with the same type map.
    threads : int
        Threads of dp.
    progress : callable, optional
        Called with (steps done, steps in all stages, row of the learning curve with the key stage) at each new row.
    lock_fd : int, optional
        Open file descriptor that dp inherits (see `run_dp`).

    Returns
    -------
    TrainingResult

    Raises
    ------
    BadInputError
        If the folder holds a training with another input, or the systems do not fit together.
    InterruptedRunError
        If a signal stopped dp.
    RefusedError
        If the loss becomes NaN, or the frozen model cannot be compressed.
    LipsdbError
        If dp fails otherwise.
    MissingProgramError
        If there is no dp.
    """
    folder = Path(folder)
    elements = _common_elements([*training_systems, *held_systems])
    stages = [folder / f"stage-{i}" for i in range(1, len(settings.stages) + 1)]
    inputs = []
    for stage, stage_folder in zip(settings.stages, stages, strict=True):
        train_paths, held_paths = _seen_from(stage_folder, training_systems), _seen_from(stage_folder, held_systems)
        inputs.append(training_input(settings, stage, train_paths, held_paths, elements=elements))
        _check_same_training(stage_folder, inputs[-1])
    run = _Run(folder, threads, lock_fd, progress, sum(stage.steps for stage in settings.stages))
    done_before, start_from = 0, None
    for number, stage in enumerate(settings.stages, start=1):
        stage_folder = stages[number - 1]
        stage_folder.mkdir(parents=True, exist_ok=True)
        _write_atomically(stage_folder / INPUT, json.dumps(inputs[number - 1], indent=1))
        if stage.zbl_range_A is not None:
            table = stage_folder / ZBL_TABLE
            write_zbl_table(table, elements, unchanged_to_A=stage.zbl_range_A[1], cutoff_A=settings.cutoff_A)
        run.stage(number, stage_folder, stage, inputs[number - 1], start_from=start_from, done_before=done_before)
        done_before += stage.steps
        start_from = f"../{stage_folder.name}/{CHECKPOINT}-{stage.steps}"
    run.freeze(stages[-1], settings.stages[-1].steps)
    run.compress(stages[-1], settings.compression_step)
    costs = json.loads((folder / COST).read_text())
    return TrainingResult(
        inputs=tuple(inputs),
        learning_curve=_joined_learning_curve(stages),
        model_path=folder / MODEL,
        compressed_path=folder / COMPRESSED,
        versions=versions_in(stages[-1] / LOG),
        wall_seconds=sum(cost["wall_s"] for cost in costs),
        core_seconds=sum(cost["wall_s"] * cost["threads"] for cost in costs),
    )


@dataclass(frozen=True)
class _Run:
    """The dp runs of one call of `train`."""

    folder: Path
    threads: int
    lock_fd: int | None
    progress: Progress | None
    total_steps: int

    def stage(
        self,
        number: int,
        folder: Path,
        stage: TrainingStage,
        stage_input: dict[str, Any],
        *,
        start_from: str | None,
        done_before: int,
    ) -> None:
        """Run one stage to its end, from its newest checkpoint if it has one."""
        if (folder / FINISHED).exists():
            return
        curve, reached = folder / LEARNING_CURVE, newest_checkpoint(folder)
        if reached is None or reached < stage.steps:
            arguments = ["train", INPUT]
            if reached is not None:
                learning_curve.drop_rows_from(curve, reached)
                restart = json.loads(json.dumps(stage_input))
                restart["training"]["seed"] += reached
                _write_atomically(folder / RESTART_INPUT, json.dumps(restart, indent=1))
                arguments = ["train", RESTART_INPUT, "--restart", f"{CHECKPOINT}-{reached}"]
            else:
                curve.unlink(missing_ok=True)
                if start_from is not None:
                    arguments += ["--init-model", start_from]
            watch = _CurveWatch(
                curve, number, done_before=done_before, total_steps=self.total_steps, progress=self.progress
            )
            try:
                self._dp(arguments, folder, LOG, watch.poll)
            except InterruptedRunError as error:
                at = f"at step {watch.step} of {stage.steps} of stage {number}"
                raise InterruptedRunError(f"{error} (it was {at})") from error
            except LipsdbError as error:
                diverged = re.search(r"NaN detected at batch\s+(\d+)", str(error))
                if diverged:
                    raise _diverged("the loss", int(diverged[1]), number) from error
                raise
            watch.poll(0.0)
            if newest_checkpoint(folder) != stage.steps:
                raise LipsdbError(f"dp train ended without the checkpoint of step {stage.steps}: see {folder / LOG}.")
        learning_curve.drop_rows_from(curve, stage.steps + 1)
        _write_atomically(folder / FINISHED, f"{stage.steps}\n")

    def freeze(self, folder: Path, step: int) -> None:
        """Freeze the checkpoint of a step of the last stage."""
        if not (self.folder / MODEL).exists():
            self._dp(["freeze", "-c", f"{CHECKPOINT}-{step}", "-o", MODEL], folder, "freeze.log")
            os.replace(folder / MODEL, self.folder / MODEL)

    def compress(self, folder: Path, step: float) -> None:
        """Compress the frozen model (in the last stage's folder, where a ZBL table is found)."""
        if (self.folder / COMPRESSED).exists():
            return
        try:
            self._dp(["compress", "-i", f"../{MODEL}", "-o", COMPRESSED, "-s", f"{step:g}"], folder, "compress.log")
        except InterruptedRunError:
            raise
        except LipsdbError as error:
            raise RefusedError(f"the potential is trained and frozen ({self.folder / MODEL}), but {error}") from error
        os.replace(folder / COMPRESSED, self.folder / COMPRESSED)

    def _dp(self, arguments: list[str], folder: Path, log: str, watch: Callable[[float], None] | None = None) -> None:
        path = self.folder / COST
        costs = json.loads(path.read_text()) if path.exists() else []
        entry: dict[str, Any] = {"run": f"{folder.name} {arguments[0]}", "threads": self.threads, "wall_s": 0.0}

        def poll(seconds: float) -> None:
            # Written while it runs, so that a killed run's cost is not lost.
            if seconds > entry["wall_s"] + 5:
                entry["wall_s"] = seconds
                _write_atomically(path, json.dumps([*costs, entry], indent=1))
            if watch is not None:
                watch(seconds)

        entry["wall_s"] = run_dp(
            arguments, folder=folder, log=folder / log, threads=self.threads, lock_fd=self.lock_fd, poll=poll
        )
        _write_atomically(path, json.dumps([*costs, entry], indent=1))


class _CurveWatch:
    """Follows a growing learning curve: reports new rows, refuses one that is not a number."""

    def __init__(
        self, path: Path, stage: int, *, done_before: int, total_steps: int, progress: Progress | None
    ) -> None:
        self.path, self.stage, self.done_before, self.total_steps = path, stage, done_before, total_steps
        self.progress = progress
        self.seen = len(learning_curve.complete_rows(path.read_text())) if path.exists() else 0
        self.step = 0

    def poll(self, seconds: float) -> None:
        """Look for new rows."""
        if not self.path.exists():
            return
        text = self.path.read_text()
        columns, rows = learning_curve.columns_of(text), learning_curve.complete_rows(text)
        new, self.seen = rows[self.seen :], len(rows)
        bad = learning_curve.first_not_a_number(columns, new)
        if bad is not None:
            raise _diverged(bad[1], bad[0], self.stage)
        for row in new:
            self.step = int(row[0])
            if self.progress is not None:
                named = dict(zip(columns, row, strict=True))
                self.progress(self.done_before + self.step, self.total_steps, {"stage": float(self.stage), **named})


def _diverged(what: str, step: int, stage: int) -> RefusedError:
    return RefusedError(
        f"{what} is not a number at step {step} of stage {stage}: the training diverged; "
        "check the labels or start in an empty folder with a lower learning rate."
    )


def newest_checkpoint(folder: Path) -> int | None:
    """Step of the newest complete checkpoint in a stage's folder, or None.

    The links without a step that dp keeps are not used: a kill can leave them pointing at two checkpoints.
    """
    parts: dict[int, set[str]] = {}
    for path in folder.glob(f"{CHECKPOINT}-*"):
        match = re.fullmatch(re.escape(CHECKPOINT) + r"-(\d+)\.(index|meta|data)(?:-\d+-of-\d+)?", path.name)
        if match:
            parts.setdefault(int(match[1]), set()).add(match[2])
    return max((step for step, kinds in parts.items() if len(kinds) == 3), default=None)


def _joined_learning_curve(stages: Sequence[Path]) -> dict[str, NDArray[np.float64]]:
    curves = [learning_curve.read_learning_curve(folder / LEARNING_CURVE) for folder in stages]
    joined = {name: np.concatenate([curve[name] for curve in curves]) for name in curves[0]}
    numbers = [np.full(len(curve["step"]), float(i)) for i, curve in enumerate(curves, start=1)]
    return {"stage": np.concatenate(numbers), **joined}


def _common_elements(systems: Sequence[Path]) -> list[str]:
    maps = {}
    for system in systems:
        path = Path(system) / "type_map.raw"
        if not path.exists():
            raise BadInputError(f"{system} has no type_map.raw: give folders in DeePMD-kit's npy format.")
        maps[str(system)] = path.read_text().split()
    different = [name for name, elements in maps.items() if elements != next(iter(maps.values()))]
    if different:
        first = next(iter(maps))
        raise BadInputError(
            f"{different[0]} has the type map {maps[different[0]]}, but {first} has {maps[first]}: "
            "write them with the same."
        )
    return next(iter(maps.values()), [])


def _seen_from(folder: Path, systems: Sequence[Path]) -> list[str]:
    return [os.path.relpath(Path(system).resolve(), folder.resolve()) for system in systems]


def _check_same_training(stage_folder: Path, stage_input: dict[str, Any]) -> None:
    path = stage_folder / INPUT
    if path.exists() and json.loads(path.read_text()) != json.loads(json.dumps(stage_input)):
        raise BadInputError(
            f"{path} is of another training than the one asked for: use an empty folder, or the same settings."
        )


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)
