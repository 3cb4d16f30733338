"""The table of extrapolation grades."""

from __future__ import annotations

from typing import Any

from lipsdb.documents.run import RunAnswer
from lipsdb.queries import extrapolation
from lipsdb.queries.tables import render
from lipsdb.store.database import Database


def test_run_that_went_on_and_one_that_was_ended(database: Database, author: Any) -> None:
    author.watched_run([0.5, 2.5, 2.0, 1.0], seed=2)
    ended = author.watched_run([0.5, 1.0, 12.5])
    stopped, whole = extrapolation.rows(database)  # seeds 1 and 2
    assert (whole.structure, whole.engine, whole.max_grade, whole.max_grade_step) == ("beta", "mtp", 2.5, 0)
    assert (whole.n_selected, whole.n_evaluations, whole.stopped_at_step, whole.flags) == (2, 4, None, ())
    assert (stopped.max_grade, stopped.stopped_at_step, stopped.flags) == (12.5, 100, ("stopped",))
    table = extrapolation.table([stopped, whole])
    at = next(column for column in table.columns if column.name == "ended at step")
    assert [at.cell(row) for row in table.rows] == ["100 of 1000", "1000 of 1000"]
    assert f"{ended['id'][:12]}: extrapolation grade 12.5 of atom 0 (Li)" in table.footnotes()


def test_runs_without_grades_are_not_among_them(database: Database, author: Any) -> None:
    author.put(
        "run", {"program": "lammps", "settings": {"temperature_K": 600.0}}, dict.fromkeys(RunAnswer.model_fields)
    )
    found = extrapolation.rows(database)
    assert found == []
    assert "a campaign watches its runs" in extrapolation.table(found).footnotes()[0]


def test_run_that_ended_in_its_equilibration_fits_and_is_told_in_words(database: Database, author: Any) -> None:
    author.watched_run([12.5], equilibration_steps=500)
    author.watched_run([0.5, 1.0, 2.0, 1.0], seed=2, engine="deepmd")
    table = extrapolation.table(extrapolation.rows(database))
    at = next(column for column in table.columns if column.name == "ended at step")
    assert sorted(at.cell(row) for row in table.rows) == ["1000 of 1000", "400 of the 500 of the equilibration"]
    lines = render(table, width=80).splitlines()
    assert sum(line.strip().startswith("beta ") for line in lines) == 2  # a line for each run
