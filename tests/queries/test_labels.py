from __future__ import annotations

from typing import Any

import pytest

from lipsdb.errors import BadInputError
from lipsdb.queries import labels
from lipsdb.store.database import Database


def test_counts_of_published_systems_stand_beside_tables_s1_and_s2(database: Database, author: Any) -> None:
    author.labels(3, "Li2S", "Li64S32", 96, temperatures=[3000.0])
    author.labels(2, "67Li2S-33P2S5", "Li82P40S138", 260, iteration=1)
    found = {(row.system, row.part): row for row in labels.rows(database)}
    assert len(found) == 23  # 20 rows of Table S1, 3 columns of Table S2
    assert (found["Li2S", "initial"].n_labels, found["Li2S", "initial"].n_published) == (3, 1000)
    glass = found["67Li2S-33P2S5", "explored"]
    assert (glass.n_labels, glass.n_published, glass.iterations) == (2, 14878, (1,))  # the column's sum
    initial = found["67Li2S-33P2S5", "initial"]
    assert (initial.n_labels, initial.n_published, initial.flags) == (0, 1000, ("none here",))


def test_counts_by_iteration_match_that_iteration_of_table_s2(database: Database, author: Any) -> None:
    author.labels(2, "67Li2S-33P2S5", "Li82P40S138", 260, iteration=1)
    author.labels(1, "75Li2S-25P2S5", "Li91P35S129", 255, iteration=11)
    found = {(row.system, row.iterations): row for row in labels.rows(database, by="iteration")}
    assert len(found) == 53
    first = found["67Li2S-33P2S5", (1,)]
    assert (first.n_labels, first.n_published) == (2, 579)
    assert (first.published_temperatures_K, first.published_pressures_bar) == ((500.0, 800.0, 1000.0), (0.0, 50.0))
    last = found["75Li2S-25P2S5", (11,)]
    assert (last.n_labels, last.n_published, last.published_pressures_bar) == (1, 1250, (2000.0,))


def test_counts_by_level_sum_all_published_ones(database: Database, author: Any) -> None:
    author.labels(2, "Li2S", "Li64S32", 96)
    author.labels(1, "Li3P", "Li48P16", 64)
    author.labels(4, "mine", "LiS", 2, level="scan", source="mine")
    found = {row.level_of_theory: row for row in labels.rows(database, by="level")}
    assert (found["pbe"].n_labels, found["pbe"].n_systems, found["pbe"].n_published) == (3, 2, 60315)
    assert (found["scan"].n_labels, found["scan"].n_published) == (4, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"formula": "Li8S4", "n_atoms": 12},
        {"temperatures": [600.0]},
        {"activity": "dft:run_cp2k"},
        {"iteration": 3},
    ],
)
def test_labels_that_are_not_the_published_ones_are_not_matched(
    database: Database, author: Any, changes: dict[str, Any]
) -> None:
    author.labels(2, **({"system": "Li2S", "formula": "Li64S32", "n_atoms": 96} | changes))
    (row,) = labels.rows(database)
    assert (row.n_labels, row.n_published) == (2, None)


def test_of_two_sources_the_study_itself_is_matched(database: Database, author: Any) -> None:
    author.labels(4, "Li2S", "Li64S32", 96, source="copy", geometry="other")
    author.labels(2, "Li2S", "Li64S32", 96)
    found = {row.source: row for row in labels.rows(database) if row.n_labels}
    assert found["copy"].n_published is None
    assert found["doi:10.1038/s41467-025-56322-x"].n_published == 1000


def test_labels_of_a_campaign_are_those_of_its_datasets_and_external_ones(database: Database, author: Any) -> None:
    author.campaign("small")
    used = author.labels(3, "Li2S", "Li64S32", 96)
    author.labels(5, "Li3P", "Li48P16", 64)
    tagged = author.labels(1, "P2S5", "P8S20", 28, campaigns=["small"])
    away = {"collection": "labels", "id": "label-" + "f" * 24, "content": "0" * 64}
    author.dataset([*used, away], ["small"])
    found = {row.system: row for row in labels.rows(database, "small")}
    assert len(tagged) == 1
    assert {system: row.n_labels for system, row in found.items()} == {"Li2S": 3, "P2S5": 1, "not in this database": 1}
    assert found["not in this database"].flags == ("labels external",)


def test_level_of_theory_limits_the_count(database: Database, author: Any) -> None:
    author.labels(2, "Li2S", "Li64S32", 96)
    author.labels(1, "Li2S", "Li64S32", 96, level="scan")
    (row,) = labels.rows(database, level_of_theory="scan")
    assert (row.n_labels, row.level_of_theory) == (1, "scan")


def test_counts_by_level_describe_the_level_and_count_what_was_refused(database: Database, author: Any) -> None:
    settings = {"functional": "PBE", "dispersion": None, "cutoff_Ry": 500.0, "rel_cutoff_Ry": 50.0}
    author.level("disorder", "set", "cp2k", **settings)
    author.labels(3, "Li2S", "Li64S32", 96, level="disorder", source="cp2k", activity="run_cp2k")
    author.labels(2, "Li2S", "Li64S32", 96)
    for frame in (1, 2):
        author.refusal("disorder", frame)
    author.refusal("scan", 3)
    found = {row.level_of_theory: row for row in labels.rows(database, by="level")}
    row = found["disorder"]
    assert (row.n_labels, row.n_refused) == (3, 2)
    assert (row.code, row.functional, row.dispersion, row.cutoff) == ("cp2k", "PBE", "no dispersion", "500/50 Ry")
    assert (row.how_known, found["pbe"].how_known, found["pbe"].functional) == ("set", "named", None)
    assert (found["pbe"].n_refused, found["scan"].n_labels, found["scan"].n_refused) == (0, 0, 1)
    table = labels.table(list(found.values()), by="level")
    assert "refused" in [column.name for column in table.columns]
    assert "refused: `lipsdb list refused` gives the reasons" in table.notes
    (only,) = labels.rows(database, by="level", level_of_theory="scan")
    assert (only.n_labels, only.n_refused) == (0, 1)


def test_without_refused_labels_there_is_no_such_column(database: Database, author: Any) -> None:
    author.labels(2, "Li2S", "Li64S32", 96)
    table = labels.table(labels.rows(database, by="level"), by="level")
    assert "refused" not in [column.name for column in table.columns]


def test_counts_by_level_of_a_campaign_count_its_own_refused_labels(database: Database, author: Any) -> None:
    author.campaign("small")
    author.dataset(author.labels(3, "Li2S", "Li64S32", 96, level="disorder", source="cp2k"), ["small"])
    author.refusal("disorder", 1, ["small"])
    author.refusal("disorder", 2)
    (row,) = labels.rows(database, "small", by="level")
    assert (row.n_labels, row.n_refused, row.how_known) == (3, 1, "named")


def test_unknown_way_of_counting_names_those_that_there_are() -> None:
    with pytest.raises(BadInputError, match="cannot be counted by 'colour'; use one of: system, iteration, level"):
        labels.aggregation(by="colour")  # type: ignore[arg-type]


def test_empty_database_says_how_to_ingest(database: Database) -> None:
    assert "lipsdb ingest deepmd" in labels.table(labels.rows(database)).footnotes()[0]
