from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from lipsdb.errors import NotFoundError
from lipsdb.queries import prediction_errors
from lipsdb.queries.tables import render
from lipsdb.store.database import Database


@pytest.fixture
def potential(author: Any) -> dict[str, str]:
    return author.potential(author.dataset(author.labels(2, "Li2S", "Li64S32", 96)))


def test_held_out_errors_of_the_same_system_stand_beside(
    database: Database, author: Any, potential: dict[str, str]
) -> None:
    stored = author.prediction_errors(potential, systems=("Li2S", "P2S5"))
    first, second, overall = prediction_errors.rows(database)
    assert (first.system, second.system, overall.system, overall.id) == ("Li2S", "P2S5", "all", stored["id"])
    assert (first.n_held, first.held_energy_mae_meV_per_atom, first.held_force_mae_meV_per_A) == (3, 4.25, 120.0)
    assert (second.n_held, second.held_energy_mae_meV_per_atom, second.held_force_mae_meV_per_A) == (None, None, None)
    assert overall.n_held == 3
    assert first.energy_offset_meV_per_atom == 31.5
    assert (first.n_trained, overall.n_trained, overall.n_trained_by_geometry) == (None, 0, "unknown")


def test_table_says_what_the_labels_are_worth_as_a_test(
    database: Database, author: Any, potential: dict[str, str]
) -> None:
    author.prediction_errors(potential)
    table = prediction_errors.table(prediction_errors.rows(database))
    text = render(table, "md")
    start = f"| {potential['id'][:18]} | Li2S | disorder | 4 | 31.5 | +31.50 | 2.50 | 90.0 |"
    assert start in text
    assert "0 of its 4 labels were trained on, by id; by geometry that is unknown" in text
    assert "; trained at pbe; 2 labels were refused and are left out" in text
    (row, _) = json.loads(render(table, "json"))["rows"]
    assert row["training_level_of_theory"] == ["pbe"]
    assert len(list(csv.DictReader(io.StringIO(render(table, "csv"))))) == 2


@pytest.mark.parametrize(
    ("changes", "levels", "note"),
    [
        (
            {"trained_by_geometry": 3},
            ["pbe"],
            "3 of the configurations of its 4 labels were trained on; trained at pbe",
        ),
        ({"trained_by_geometry": 0}, ["disorder"], "0 of the configurations of its 4 labels were trained on; 2 labels"),
        ({"trained_by_id": "unknown"}, None, "the potential's dataset is not in this database; 2 labels were refused"),
    ],
)
def test_note_tells_whether_the_labels_were_trained_on(
    database: Database,
    author: Any,
    potential: dict[str, str],
    changes: dict[str, Any],
    levels: list[str] | None,
    note: str,
) -> None:
    author.prediction_errors(potential, levels=levels, **changes)
    assert note in " ".join(render(prediction_errors.table(prediction_errors.rows(database))).split())


def test_campaign_limits_the_rows_and_its_absence_is_told(
    database: Database, author: Any, potential: dict[str, str]
) -> None:
    author.campaign("mine")
    author.prediction_errors(potential, ["mine"])
    author.prediction_errors(potential, systems=("P2S5",))
    assert [row.system for row in prediction_errors.rows(database, "mine")] == ["Li2S", "all"]
    assert len(prediction_errors.rows(database)) == 4
    with pytest.raises(NotFoundError, match="no campaign 'other'"):
        prediction_errors.rows(database, "other")


def test_test_of_a_potential_that_is_elsewhere_has_rows(database: Database, author: Any) -> None:
    author.prediction_errors({"collection": "potentials", "id": "potential-" + "9" * 24, "content": "0" * 64})
    assert prediction_errors.rows(database)[0].n_held is None


def test_empty_table_tells_how_to_get_rows() -> None:
    shown = " ".join(render(prediction_errors.table([])).split())
    assert "section `properties`, kind prediction_errors" in shown
