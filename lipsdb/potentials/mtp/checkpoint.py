"""What a training keeps in its folder, so that it can be killed at any moment and go on."""

from __future__ import annotations

import io
import json
import os
import resource
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.optimisation import Minimisation
from lipsdb.potentials.training_set import LabelledFrames
from lipsdb.provenance.canonical import digest

ASKED, CHECKPOINT, COST = "asked.json", "checkpoint.npz", "cost.json"
_SECONDS_BETWEEN = 5.0  # in which the cost is written

Row = dict[str, float]


def claim_folder(
    folder: Path,
    settings: Mapping[str, Any],
    elements: Sequence[str],
    training: Mapping[str, LabelledFrames],
    held: Mapping[str, LabelledFrames],
) -> None:
    """Make the folder that of this training.

    Raises
    ------
    BadInputError
        If it is already that of another: with other settings, elements or frames; or what says so cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asked = {
        "settings": dict(settings),
        "elements": list(elements),
        "training": {name: digest(vars(frames)) for name, frames in training.items()},
        "held": {name: digest(vars(frames)) for name, frames in held.items()},
    }
    path = folder / ASKED
    if not path.exists():
        write_atomically(path, json.dumps(asked, indent=1).encode())
    elif _asked_before(path) != asked:
        raise BadInputError(
            f"{path} is of another training than the one asked for: use an empty folder, or the same settings."
        )


def _asked_before(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise BadInputError(
            f"{path} cannot be read ({error}), so that nothing says which training the folder is of: empty the folder."
        ) from error


@dataclass(frozen=True)
class Attempt:
    """One start and what became of it: where its minimisation is, and its learning curve."""

    state: Minimisation
    rows: list[Row]


@dataclass(frozen=True)
class Search:
    """A training: several starts are tried for some iterations, and the best of them goes on.

    Parameters
    ----------
    now : Attempt
        The start that is tried now; after the last, the best.
    best : Attempt, optional
        The best of those tried.
    trials : tuple of float
        The loss that each start which was tried came to.
    """

    now: Attempt
    best: Attempt | None = None
    trials: tuple[float, ...] = ()


def save_checkpoint(folder: Path, search: Search) -> None:
    """Keep where the training has come to."""
    arrays = {"trials": np.array(search.trials, dtype=np.float64), **_arrays("now", search.now)}
    if search.best is not None and search.best is not search.now:
        arrays |= _arrays("best", search.best)
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_atomically(folder / CHECKPOINT, content.getvalue())


def load_checkpoint(folder: Path) -> Search | None:
    """What `save_checkpoint` kept; None if there is nothing, or nothing that can be read."""
    try:
        with np.load(folder / CHECKPOINT) as kept:
            best = _attempt("best", kept) if "best parameters" in kept else None
            return Search(_attempt("now", kept), best, tuple(kept["trials"].tolist()))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _arrays(name: str, attempt: Attempt) -> dict[str, Any]:
    columns = list(attempt.rows[0])
    arrays: dict[str, Any] = {
        f"{name} parameters": attempt.state.parameters,
        f"{name} losses": attempt.state.losses,
        f"{name} ended": np.array(attempt.state.ended),
        f"{name} converged": np.array(attempt.state.converged),
        f"{name} columns": np.array(columns, dtype=str),
        f"{name} rows": np.array([[row[column] for column in columns] for row in attempt.rows], dtype=np.float64),
    }
    if attempt.state.inverse_hessian is not None:
        arrays[f"{name} inverse hessian"] = attempt.state.inverse_hessian
    return arrays


def _attempt(name: str, kept: Any) -> Attempt:
    state = Minimisation(
        parameters=kept[f"{name} parameters"],
        losses=kept[f"{name} losses"],
        inverse_hessian=kept.get(f"{name} inverse hessian"),
        ended=str(kept[f"{name} ended"]),
        converged=bool(kept[f"{name} converged"]),
    )
    columns = [str(column) for column in kept[f"{name} columns"]]
    return Attempt(state, [dict(zip(columns, map(float, row), strict=True)) for row in kept[f"{name} rows"]])


@dataclass
class Cost:
    """Wall-clock and CPU seconds of a training, over all restarts.

    CPU seconds are those of this process and of programs that it ran and that have ended. They are written while it
    runs, so that a killed run's cost is not lost.
    """

    folder: Path
    before: dict[str, float] = field(init=False)
    begun: tuple[float, float] = field(init=False)
    written: float = field(init=False)

    def __post_init__(self) -> None:
        """Look up what was spent before."""
        self.before = _spent_before(self.folder / COST)
        self.begun = time.monotonic(), _cpu_seconds()
        self.written = self.begun[0]

    def note(self, *, now: bool = False) -> dict[str, float]:
        """Write what was spent, if it is time to."""
        spent = {
            "wall_s": self.before["wall_s"] + time.monotonic() - self.begun[0],
            "cpu_s": self.before["cpu_s"] + _cpu_seconds() - self.begun[1],
        }
        if now or time.monotonic() - self.written > _SECONDS_BETWEEN:
            write_atomically(self.folder / COST, json.dumps(spent).encode())
            self.written = time.monotonic()
        return spent


def _spent_before(path: Path) -> dict[str, float]:
    try:
        kept = json.loads(path.read_text())
        return {name: float(kept[name]) for name in ("wall_s", "cpu_s")}
    except (OSError, ValueError, KeyError, TypeError):
        return {"wall_s": 0.0, "cpu_s": 0.0}


def _cpu_seconds() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a kill, or a power cut, leaves the old one or the new one."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
