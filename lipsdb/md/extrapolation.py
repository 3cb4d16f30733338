"""Extrapolation grades along a run, read when it has ended; `lipsdb.md.grade_watch` wrote them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
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
        Index of that atom, from 0; -1 where all atoms have the same grade.
    n_selected : int
        Kept frames; see `lipsdb.md.grade_watch.MOST_SELECTED`.
    selected_path : Path or None
        Extended XYZ file of the kept frames, with their steps and the grade of each atom; None if there are none.
    stopped_at_step : int or None
        Step at which the run was ended early, counted as `steps`; None if it came to its end.
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


def has_production(end: int, settings: MDSettings) -> bool:
    """Whether a run that ended at a step, counted from the beginning of the equilibration, came to its production.

    Ended at the last step of its equilibration, it did not: the first frame of production is not written then.
    """
    return end > settings.equilibration_steps or settings.equilibration_steps == 0


def kept_before(segments: Sequence[Segment]) -> tuple[int, float]:
    """Kept frames and largest grade of a run up to the start of its last segment, which has not begun."""
    rows = _rows(segments)
    return sum(row[3] for row in rows), max((row[1] for row in rows), default=0.0)


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
    if grade >= asked.break_grade and end < settings.total_steps:
        where = "the frame" if atom < 0 else f"atom {atom} ({symbols[atom]})"
        stopped = (
            f"extrapolation grade {grade:.3g} of {where} at step "
            f"{step_in_words(step - settings.equilibration_steps, settings.n_steps, settings.equilibration_steps)} "
            f"reaches break_grade {asked.break_grade:g}"
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


def step_in_words(step: int, n_steps: int, equilibration_steps: int) -> str:
    """Which step of how many, for people.

    Parameters
    ----------
    step : int
        Counted from the beginning of production; not positive in the equilibration.
    n_steps, equilibration_steps : int
        Of the run.

    Examples
    --------
    >>> step_in_words(-20, 50, 25), step_in_words(30, 50, 25)
    ('5 of the 25 of the equilibration', '30 of 50')
    """
    if step <= 0 < equilibration_steps:
        return f"{step + equilibration_steps} of the {equilibration_steps} of the equilibration"
    return f"{step} of {n_steps}"


def grades_in_words(segments: Sequence[Segment], settings: MDSettings) -> str:
    """What a run that failed should say of its grades; empty if there are none."""
    rows = _rows(segments)
    if settings.extrapolation is None or not rows:
        return ""
    step, largest = max(rows, key=lambda row: row[1])[:2]
    where = step_in_words(step - settings.equilibration_steps, settings.n_steps, settings.equilibration_steps)
    return (
        f"; its largest extrapolation grade was {largest:.3g} at step {where}, under break_grade "
        f"({settings.extrapolation.break_grade:g}): a smaller one ends such a run before, and keeps its frames"
    )


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
    n_found = 0
    part = target.with_name(f"{target.name}.part")
    with part.open("w", encoding="utf-8") as stream:
        for position, segment in enumerate(segments):
            end = min((later.start_step for later in segments[position + 1 :]), default=None)
            for step, text in _frames(segment.path("selected.xyz")):
                if step in wanted and (end is None or step < end):
                    stream.write(text)
                    n_found += 1
    if n_found != len(wanted):
        part.unlink()
        raise RefusedError(
            f"{len(wanted) - n_found} of {len(wanted)} frames above select_grade are missing; the disk may have "
            "been full: empty the folder and run again"
        )
    if n_found:
        part.replace(target)
    else:
        part.unlink()
    return n_found


def _frames(path: Path) -> Iterator[tuple[int, str]]:
    """Steps and texts of the whole frames of an extended XYZ file."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as stream:
        for first in stream:
            if not first.endswith("\n"):
                return
            frame = [first, *islice(stream, int(first) + 1)]
            if len(frame) < int(first) + 2 or not frame[-1].endswith("\n"):
                return
            step = next(word for word in frame[1].split() if word.startswith("step="))
            yield int(step.removeprefix("step=")), "".join(frame)
