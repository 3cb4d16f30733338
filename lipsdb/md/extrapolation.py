"""Extrapolation grades along a run, read when it has ended; `lipsdb.md.grade_watch` wrote them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import RefusedError
from lipsdb.md.restart import Segment

if TYPE_CHECKING:
    from lipsdb.md.settings import MDSettings


@dataclass(frozen=True)
class GradeSeries:
    """Extrapolation grades along a run.

    Attributes
    ----------
    steps : (n,) array
        Counted from the beginning of production; negative in the equilibration.
    max_grades : (n,) array, dimensionless
        Largest grade of an atom.
    atoms : (n,) array
        Index of that atom, from 0.
    n_selected : int
        Kept frames.
    selected_path : Path or None
        Extended XYZ file of the kept frames, with their steps and the grade of each atom; None if there are none.
    stopped_at_step : int or None
        Step at which the run was ended, counted as `steps`; None if it came to its end.
    stopped : str or None
        Why.
    """

    steps: NDArray[np.int64]
    max_grades: NDArray[np.float64]
    atoms: NDArray[np.int64]
    n_selected: int
    selected_path: Path | None
    stopped_at_step: int | None
    stopped: str | None


def last_step(segments: Sequence[Segment], settings: MDSettings) -> int:
    """Step at which a run ended, counted from the beginning of the equilibration: early if a grade was too large."""
    if settings.extrapolation is not None:
        rows = _rows(segments)
        if rows and rows[-1][1] >= settings.extrapolation.break_grade:
            return rows[-1][0]
    return settings.total_steps


def read_grades(
    segments: Sequence[Segment], settings: MDSettings, symbols: Sequence[str], selected_path: Path
) -> GradeSeries | None:
    """Grades of all segments as one uninterrupted run; None if none were asked for.

    Parameters
    ----------
    segments : sequence of Segment
        Oldest first. Of each, rows and frames before the start of any later one are taken.
    settings : MDSettings
    symbols : sequence of str
        Of each atom, for the words that say where a run was stopped.
    selected_path : Path
        Where the kept frames are joined.

    Raises
    ------
    RefusedError
        If a row or a frame is missing.
    """
    asked = settings.extrapolation
    if asked is None:
        return None
    rows, end = _rows(segments), last_step(segments, settings)
    if [row[0] for row in rows] != list(range(0, end + 1, asked.interval)):
        raise RefusedError(
            f"there are {len(rows)} extrapolation grades up to step {end}, expected one every {asked.interval} steps; "
            "the disk may have been full: empty the folder and run again"
        )
    n_selected = _join_frames(segments, {row[0] for row in rows if row[3]}, selected_path)
    step, grade, atom, _ = rows[-1]
    stopped = None
    if grade >= asked.break_grade:
        stopped = (
            f"extrapolation grade {grade:.3g} of atom {atom} ({symbols[atom]}) at {_words(step, settings)} "
            f"exceeds break_grade {asked.break_grade:g}"
        )
    boundary = settings.equilibration_steps
    return GradeSeries(
        steps=np.array([row[0] for row in rows], dtype=np.int64) - boundary,
        max_grades=np.array([row[1] for row in rows]),
        atoms=np.array([row[2] for row in rows], dtype=np.int64),
        n_selected=n_selected,
        selected_path=selected_path if n_selected else None,
        stopped_at_step=step - boundary if stopped else None,
        stopped=stopped,
    )


def _words(step: int, settings: MDSettings) -> str:
    if step < settings.equilibration_steps:
        return f"step {step} of the {settings.equilibration_steps} of the equilibration"
    return f"step {step - settings.equilibration_steps} of {settings.n_steps}"


def _rows(segments: Sequence[Segment]) -> list[tuple[int, float, int, bool]]:
    """Rows (step, largest grade, atom, whether kept) of all segments; a torn last row is left out."""
    found: list[tuple[int, float, int, bool]] = []
    for segment in segments:
        found = [row for row in found if row[0] < segment.start_step]
        path = segment.path("grades")
        text = path.read_text("ascii") if path.exists() else ""
        for line in text[: text.rfind("\n") + 1].splitlines():
            step, grade, atom, kept = line.split()
            found.append((int(step), float(grade), int(atom), kept == "1"))
    return found


def _join_frames(segments: Sequence[Segment], wanted: set[int], target: Path) -> int:
    """Write the frames of these steps into one file; gives their number."""
    found: dict[int, str] = {}
    for segment in segments:
        found = {step: text for step, text in found.items() if step < segment.start_step}
        found |= {step: text for step, text in _frames(segment.path("selected.xyz")) if step in wanted}
    if len(found) != len(wanted):
        raise RefusedError(
            f"{len(wanted) - len(found)} of {len(wanted)} frames above select_grade are missing; the disk may have "
            "been full: empty the folder and run again"
        )
    if found:
        target.write_text("".join(found.values()), "utf-8")
    return len(found)


def _frames(path: Path) -> Iterator[tuple[int, str]]:
    """Steps and texts of the whole frames of an extended XYZ file."""
    lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
    while lines and lines[0].strip():
        n_lines = int(lines[0]) + 2
        frame, lines = lines[:n_lines], lines[n_lines:]
        if len(frame) < n_lines or not frame[-1].endswith("\n"):
            return
        step = next(word for word in frame[1].split() if word.startswith("step="))
        yield int(step.removeprefix("step=")), "".join(frame)
