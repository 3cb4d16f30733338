"""Which frames a run keeps, and what it says of them."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest

from lipsdb.documents.run import Extrapolation
from lipsdb.errors import RefusedError
from lipsdb.md import grade_watch
from lipsdb.md.grade_watch import GradeWatch


class Told:
    """Grades of two atoms, one after another."""

    def __init__(self, grades: list[list[float]]) -> None:
        self.grades_of_looks = iter(grades)

    def grades(self, positions, cell):
        return np.array(next(self.grades_of_looks))


def watched(folder: Path, grades: list[list[float]], **before) -> tuple[list[str], list[bool]]:
    """The rows that are written, and whether the run was to end after each."""
    watch = GradeWatch(Told(grades), ["Li", "S"], 10, 2.0, 50.0, folder / "rows", folder / "kept.xyz", **before)
    ended = [watch.look(10 * i, np.zeros((2, 3)), 9 * np.eye(3)) for i in range(len(grades))]
    watch.close()
    return (folder / "rows").read_text().splitlines(), ended


def test_after_the_first_frames_only_those_with_a_larger_grade_are_kept(tmp_path, monkeypatch) -> None:
    assert f"the first {grade_watch.MOST_SELECTED} of the run" in Extrapolation.model_fields["n_selected"].description
    monkeypatch.setattr(grade_watch, "MOST_SELECTED", 2)
    largest = [1.0, 3.0, 9.0, 2.0, 9.0, 9.5, 60.0]
    rows, ended = watched(tmp_path, [[0.5, grade] for grade in largest])
    assert [row.split()[3] for row in rows] == list("0110011")
    assert [frame.info["step"] for frame in ase.io.read(tmp_path / "kept.xyz", ":")] == [10, 20, 50, 60]
    assert ended == [False] * 6 + [True]
    # A process that continues the run goes on as if it had met these frames itself.
    rest, _ = watched(tmp_path, [[0.5, grade] for grade in largest[3:]], kept_before=2, largest_before=9.0)
    assert [row.split()[3] for row in rest] == list("0011")


def test_no_atom_is_named_where_all_have_the_same_grade(tmp_path) -> None:
    rows, _ = watched(tmp_path, [[0.5, 3.0], [3.0, 3.0]])
    assert rows == ["0 3.0 1 1", "10 3.0 -1 1"]


def test_a_grade_that_is_no_number_ends_the_run(tmp_path) -> None:
    with pytest.raises(RefusedError, match="grade is not a number at step 10"):
        watched(tmp_path, [[0.5, 1.0], [0.5, np.nan]])
