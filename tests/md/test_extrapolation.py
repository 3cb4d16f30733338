"""What is said of the grades of a run that failed."""

from __future__ import annotations

from pathlib import Path

from lipsdb.md.extrapolation import grades_in_words
from lipsdb.md.restart import Segment
from lipsdb.md.settings import Extrapolation, MDSettings

WATCHED = MDSettings(
    temperature_K=300,
    n_steps=1000,
    equilibration_steps=200,
    extrapolation=Extrapolation(interval=50, select_grade=2, break_grade=1000),
)


def test_largest_grade_before_a_failure_and_what_would_have_ended_the_run_are_told(tmp_path: Path) -> None:
    first, second = Segment(tmp_path, 0, 0), Segment(tmp_path, 1, 500)
    first.path("grades").write_text("0 0.9 3 0\n450 7.5 1 1\n500 900.0 2 1\n")  # step 500 was done again
    second.path("grades").write_text("500 8.5 2 1\n550 412.25 17 1\n600 ")  # torn at the end
    assert grades_in_words([first, second], WATCHED) == (
        "; its largest extrapolation grade was 412 at step 350 of 1000, under break_grade (1000): a smaller one ends "
        "such a run before, and keeps its frames"
    )


def test_nothing_is_told_of_a_run_without_grades(tmp_path: Path) -> None:
    assert grades_in_words([Segment(tmp_path, 0, 0)], WATCHED) == ""
    assert grades_in_words([Segment(tmp_path, 0, 0)], MDSettings(temperature_K=300, n_steps=1000)) == ""
