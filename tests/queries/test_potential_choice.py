"""The table of grid searches for potentials."""

from __future__ import annotations

from typing import Any

import pytest

from lipsdb.provenance.withdrawal import withdraw
from lipsdb.queries import potential_choice
from lipsdb.queries.catalogue import QUERIES
from lipsdb.queries.tables import render, short_id
from lipsdb.store.database import Database

ERRORS = {(5.0, 14): 101.0, (5.0, 8): 160.0, (10.0, 14): 100.0, (10.0, 8): 104.0}  # cutoff (Å), level -> meV/Å


def test_members_are_sorted_by_cutoff_and_level_and_marked(database: Database, author: Any) -> None:
    id_, *members = author.potential_choice(ERRORS)
    found = potential_choice.rows(database)
    assert [tuple(row.settings.values()) for row in found] == [(5.0, 8), (5.0, 14), (10.0, 8), (10.0, 14)]
    assert {row.potential_id for row in found} == set(members)
    assert {row.id for row in found} == {id_}
    table = potential_choice.table(found)
    cells = [[column.cell(row) for column in table.columns[:7]] for row in table.rows]
    assert [column.header for column in table.columns[:2]] == ["cutoff (Å)", "level"]
    assert cells[0] == [5, 8, pytest.approx(160 / 30), 160.0, None, 8.0, None]
    assert [row[6] for row in cells] == [None, "within 5 %", "chosen", "within 5 %"]  # the quickest of three


def test_why_one_was_chosen_stands_below_the_table(database: Database, author: Any) -> None:
    author.potential_choice(ERRORS)
    notes = potential_choice.table(potential_choice.rows(database)).footnotes()
    assert notes[0].endswith("was chosen: it is the quickest")
    assert "on 3 held-out labels" in notes[1]
    assert "one core of the machine that timed them all" in notes[1]


def test_two_searches_are_told_apart(database: Database, author: Any) -> None:
    first, *_ = author.potential_choice(ERRORS)
    second, *_ = author.potential_choice({(4.0, 8): 200.0, (4.0, 10): 190.0})
    table = potential_choice.table(potential_choice.rows(database))
    assert table.columns[0].name == "search"
    assert [row.id for row in table.rows] == [first] * 4 + [second] * 2
    assert [table.columns[0].cell(row) for row in table.rows] == [1] * 4 + [2] * 2
    notes = [note for note in table.notes if "was chosen" in note]
    assert [note.partition(": ")[0] for note in notes] == [
        f"search {n} ({short_id(of)})" for n, of in ((1, first), (2, second))
    ]
    lines = render(table, width=80).splitlines()
    assert sum(line.split()[:1] in (["1"], ["2"]) for line in lines) == 6  # a line for each member


def test_choice_that_stands_on_a_withdrawn_potential_is_tainted(database: Database, author: Any) -> None:
    _, *members = author.potential_choice(ERRORS)
    withdraw(database, [members[0]], "trained on the wrong labels", "Ann")
    table = QUERIES["potential_choice"].table(database)
    assert {row.flags for row in table.rows} == {("tainted",)}
    assert "trained on the wrong labels" in render(table, width=200)
    assert QUERIES["potential_choice"].rows(database, exclude_tainted=True) == []
