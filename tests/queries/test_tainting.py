"""A known small graph of which one label is withdrawn: exactly what stands on it is marked, or left out."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from pymongo import MongoClient, monitoring
from typer.testing import CliRunner

from lipsdb.cli.main import app
from lipsdb.provenance import withdrawal
from lipsdb.queries import counting
from lipsdb.queries.catalogue import QUERIES
from lipsdb.queries.tables import Format, render
from lipsdb.queries.tainting import TAINTED
from lipsdb.store.database import Database

REASON = "the SCF went to another state; the forces are off by 3 %"

# of all rows, by their keys: whether they are tainted if one label of the dataset is withdrawn
EXPECTED: dict[str, dict[Any, bool]] = {
    "arrhenius": {"beta": True},
    "conductivity": {300.0: True, 600.0: True, 800.0: False},
    "diffusion": {(600.0, 1): True, (600.0, 2): False, (800.0, 1): False, (800.0, 2): False},
    "coordination": {"P": False},
    "potentials": {"Li2S": True, "all": True},
    "prediction_errors": {"Li2S": True, "all": True},
    "reproduce": {"disorder": False},
}
KEYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "arrhenius": lambda row: row["structure"],
    "conductivity": lambda row: float(row["temperature_K"]),
    "diffusion": lambda row: (float(row["temperature_K"]), int(row["seed"])),
    "coordination": lambda row: row["centre"],
    "potentials": lambda row: row["system"],
    "prediction_errors": lambda row: row["system"],
    "reproduce": lambda row: row["recomputed_level"],
}


@pytest.fixture
def labels(author: Any) -> list[dict[str, str]]:
    """Labels of a campaign 'small': the first two trained a potential that one of its four diffusion runs used."""
    author.campaign("small")
    labels = author.labels(2, "Li2S", "Li64S32", 96)
    potential = author.potential(author.dataset(labels, ["small"]), ["small"])
    author.prediction_errors(potential, ["small"])
    links = [{"role": "run", **potential}]
    sources = [author.diffusion(600.0, 1, 1e-5, ["small"], links), author.diffusion(600.0, 2, 1e-5, ["small"])]
    sources += [author.diffusion(800.0, seed, 4e-5, ["small"]) for seed in (1, 2)]
    author.arrhenius(sources, ["small"])
    author.coordination(["small"])
    reference = author.computed(1, "pbe", -1.0, np.zeros((2, 3)), activity="ingest")
    recomputed = author.computed(1, "disorder", -1.0, np.zeros((2, 3)), campaigns=["small"])
    return [*labels, reference, recomputed]


def withdraw(database: Database, label: dict[str, str], **changes: Any) -> str:
    (record,) = withdrawal.withdraw(database, [label["id"]], REASON, "Ann Example", **changes)
    return str(record["id"])


def everything(database: Database) -> dict[tuple[str, str], str]:
    """Every query in every format."""
    tables = {name: QUERIES[name].table(database, "small") for name in (*EXPECTED, "labels", "cost")}
    return {
        (name, format): render(table, format, width=400)
        for name, table in tables.items()
        for format in get_args(Format)
    }


def lines_of_rows(format: str, text: str) -> list[str]:
    """The lines of a text table that hold its rows."""
    if format == "latex":
        return [line for line in text.splitlines() if line.endswith(r"\\")][1:]
    if format == "md":
        return [line for line in text.splitlines() if line.startswith("|")][2:]
    return [line for line in text.partition("──")[2].split("\n")[1:] if line.strip() and not line.startswith("  ")]


def test_rows_on_a_withdrawn_label_are_marked_in_all_formats_and_no_others_until_that_is_undone(
    database: Database, labels: list[dict[str, str]]
) -> None:
    clean = everything(database)
    withdraw(database, labels[0])
    marked = everything(database)
    for name, expected in EXPECTED.items():
        content = json.loads(marked[name, "json"])
        assert {KEYS[name](row): TAINTED in row["flags"] for row in content["rows"]} == expected, name
        assert {KEYS[name](row): row["withdrawals"] == [labels[0]["id"]] for row in content["rows"]} == expected, name
        said = [(one["document"], one["by"], one["reason"]) for one in content["withdrawals"]]
        assert said == ([(labels[0]["id"], "Ann Example", REASON)] if any(expected.values()) else []), name
        table = csv.DictReader(io.StringIO(marked[name, "csv"]))
        assert {KEYS[name](row): TAINTED in row["flags"].split(";") for row in table} == expected, name
        for format in ("table", "md", "latex"):
            text = marked[name, format]
            if not any(expected.values()):
                assert text == clean[name, format]
                continue
            assert [TAINTED in line for line in lines_of_rows(format, text)] == list(expected.values()), (name, format)
            assert "tainted: stands on a withdrawn document" in text
            assert re.search(r"withdrawn: label-[0-9a-f]{8} by Ann Example on 20\d\d-\d\d-\d\d: the SCF went", text)
    assert all(marked[name, "table"] != clean[name, "table"] for name in ("labels", "cost"))
    withdraw(database, labels[0], undo=True)
    assert everything(database) == clean


def test_excluded_rows_are_gone_and_the_table_says_how_many(database: Database, labels: list[dict[str, str]]) -> None:
    withdraw(database, labels[0])
    for name, expected in EXPECTED.items():
        content = json.loads(render(QUERIES[name].table(database, "small", exclude_tainted=True), "json"))
        kept = [key for key, tainted in expected.items() if not tainted]
        assert [KEYS[name](row) for row in content["rows"]] == kept, name
        n = len(expected) - len(kept)
        wanted = "left out (--exclude-tainted): " + (
            "1 row that stands on withdrawn documents" if n == 1 else f"{n} rows that stand on withdrawn documents"
        )
        assert (wanted in content["notes"]) == (n > 0), name
        assert not any(TAINTED in row["flags"] for row in content["rows"]), name
    empty = QUERIES["arrhenius"].table(database, "small", exclude_tainted=True)
    assert empty.footnotes()[0].startswith("nothing to show yet: what there is was left out; `lipsdb campaign plan")


def test_label_that_is_withdrawn_is_counted_beside_or_not_at_all(
    database: Database, labels: list[dict[str, str]]
) -> None:
    withdraw(database, labels[0])
    query = QUERIES["labels"]
    for by, campaign in itertools.product(("system", "level", "iteration"), (None, "small")):
        # the reference, which no campaign has, and the recomputed one
        others = [(1, 0)] * (2 if campaign is None else 1)
        for exclude, last in ((False, (2, 1)), (True, (1, 0))):
            rows = query.rows(database, campaign, by=by, exclude_tainted=exclude)
            assert sorted((row.n_labels, row.n_tainted) for row in rows if row.n_labels) == [*others, last], (by, rows)
            assert all((TAINTED in row.flags) == (row.n_tainted > 0) for row in rows)
            table = query.table(database, campaign, by=by, exclude_tainted=exclude)
            assert ("tainted" in [column.name for column in table.columns]) != exclude
            assert (
                "left out (--exclude-tainted): 1 document that stands on withdrawn documents" in table.footnotes()
            ) == exclude


def test_level_of_theory_that_is_withdrawn_taints_every_label_at_it(database: Database, author: Any) -> None:
    author.labels(3, "Li2S", "Li64S32", 96)
    author.labels(4, "Li2S", "Li64S32", 96, level="other")
    withdraw(database, author.level("pbe"))
    rows = QUERIES["labels"].rows(database, by="level")
    assert {row.level_of_theory: row.n_tainted for row in rows} == {"pbe": 3, "other": 0}
    left = QUERIES["labels"].rows(database, by="level", exclude_tainted=True)
    assert [(row.level_of_theory, row.n_labels) for row in left if row.n_labels] == [("other", 4)]


def test_counts_are_the_same_however_many_ids_one_pipeline_holds(
    database: Database, labels: list[dict[str, str]], author: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = author.labels(5, "Li3PS4", "Li48P16S64", 128, source="own", activity="run")
    withdrawal.withdraw(database, [label["id"] for label in [labels[0], *several[:3]]], REASON, "Ann Example")

    def found() -> list[list[Any]]:
        return [
            list(QUERIES[name].rows(database, campaign, exclude_tainted=exclude))
            for name in ("labels", "cost")
            for campaign in (None, "small")
            for exclude in (False, True)
        ]

    whole = found()
    monkeypatch.setattr(counting, "_AT_ONCE", 1)
    assert found() == whole
    assert {row.system: row.n_labels for row in whole[1] if row.source == "own"} == {"Li3PS4": 2}


def test_cost_of_tainted_work_is_told_and_can_be_left_out(database: Database, labels: list[dict[str, str]]) -> None:
    before = {row.work: row for row in QUERIES["cost"].rows(database, "small")}
    withdraw(database, labels[0])
    marked = {row.work: row for row in QUERIES["cost"].rows(database, "small")}
    # of the campaign: the labels of its dataset were not made for it
    expected = {"training": 1, "datasets": 1, "analysis": 3, "all": 5}
    assert {work: row.n_tainted for work, row in marked.items() if row.n_tainted} == expected
    assert all(row.core_seconds == before[work].core_seconds for work, row in marked.items())
    left = {row.work: row for row in QUERIES["cost"].rows(database, "small", exclude_tainted=True)}
    assert "training" not in left
    assert left["all"].n_documents == before["all"].n_documents - 5
    assert left["all"].core_seconds == before["all"].core_seconds - 5 * 5.0


def test_comparison_stands_on_both_labels_and_what_was_read_from_a_fit_on_the_fit(
    database: Database, labels: list[dict[str, str]]
) -> None:
    for label in labels[2:]:
        withdraw(database, label)
        (row,) = QUERIES["reproduce"].rows(database)
        assert row.withdrawals == (label["id"],)
        withdraw(database, label, undo=True)
    (fit,) = QUERIES["arrhenius"].rows(database)
    withdrawal.withdraw(database, [fit.id], REASON, "Ann Example")
    assert [TAINTED in row.flags for row in QUERIES["conductivity"].rows(database)] == [True, True, True]
    assert not any(row.flags for row in QUERIES["diffusion"].rows(database))  # its runs are as good as before


def test_seven_withdrawals_are_told_by_three_and_a_count(database: Database, author: Any) -> None:
    labels = author.labels(7, "Li2S", "Li64S32", 96)
    author.potential(author.dataset(labels))
    withdrawal.withdraw(database, [label["id"] for label in labels], REASON, "Ann Example")
    notes = [note for note in QUERIES["potentials"].table(database).footnotes() if note.startswith("withdrawn: ")]
    assert len(notes) == 4
    assert notes[-1] == "withdrawn: 4 more documents; `lipsdb list withdrawal` has all"
    assert len(QUERIES["potentials"].rows(database)[0].withdrawals) == 7


def test_withdrawals_say_what_stands_on_them_and_which_were_undone(
    database: Database, author: Any, published_entry: Callable[..., dict[str, Any]]
) -> None:
    labels = author.labels(2, "Li2S", "Li64S32", 96)
    potential = author.potential(author.dataset(labels, ["small"]), ["small"])
    author.campaign("small", [published_entry("Ea", 0.29), published_entry("D", 1e-5, temperature=600.0)])
    author.campaign("other")
    sources = [author.diffusion(600.0, 1, 1e-5, ["small"], [{"role": "run", **potential}])]
    sources += [author.diffusion(600.0, 2, 1e-5, ["small"]), author.diffusion(800.0, 1, 1e-5, ["small"])]
    author.arrhenius(sources, ["small"])
    record = withdraw(database, labels[0])
    again = withdraw(database, sources[2])
    undone = withdraw(database, sources[2], undo=True)

    newest, oldest = QUERIES["withdrawals"].rows(database, "small")
    assert (oldest.id, oldest.withdrawn, oldest.reason, oldest.by) == (labels[0]["id"], True, REASON, "Ann Example")
    assert oldest.downstream == (("dataset", 1), ("potential", 1), ("property", 2))
    assert oldest.numbers == ("Ea of beta", "D(600 K) of beta")
    assert oldest.records == (record,)
    assert (newest.id, newest.withdrawn, newest.records) == (sources[2]["id"], False, (again, undone))
    assert (newest.downstream, newest.numbers, newest.undone_by) == ((("property", 1),), ("Ea of beta",), "Ann Example")
    assert QUERIES["withdrawals"].rows(database, "other") == []
    text = render(QUERIES["withdrawals"].table(database, "small"), "md")
    assert f"Ann Example on {newest.undone_at:%Y-%m-%d}: {REASON}" in text
    assert "1 dataset, 1 potential, 2 properties" in text


def test_table_costs_one_more_command_while_nothing_is_withdrawn(database: Database) -> None:
    commands: list[str] = []

    class Listener(monitoring.CommandListener):
        def started(self, event: Any) -> None:
            commands.append(event.command_name)

        def succeeded(self, event: Any) -> None: ...

        def failed(self, event: Any) -> None: ...

    with MongoClient(database.uri, tz_aware=True, event_listeners=[Listener()]) as client:
        QUERIES["diffusion"].table(Database(client, database.uri, database.settings))
    assert commands.count("aggregate") == 2  # the query, and whether anything is withdrawn


def test_show_and_list_say_what_is_withdrawn_and_json_stays_json(
    database: Database, labels: list[dict[str, str]]
) -> None:
    record = withdraw(database, labels[0])
    (fit,) = QUERIES["arrhenius"].rows(database)

    def call(*arguments: str) -> Any:
        outcome = CliRunner().invoke(app, arguments)
        assert outcome.exit_code == 0, outcome.output
        return outcome

    own, tainted, clean = (call("show", id_) for id_ in (labels[0]["id"], fit.id, labels[1]["id"]))
    assert own.stderr.startswith("withdrawn by Ann Example on ")
    assert f"tainted: it stands on {labels[0]['id']}, withdrawn by Ann Example on " in tainted.stderr
    assert clean.stderr == ""
    assert [json.loads(each.stdout)["kind"] for each in (own, tainted, clean)] == ["label", "property", "label"]
    listed = {line.split()[0]: line for line in call("list", "label").stdout.splitlines() if line.startswith("label-")}
    assert [id_ for id_, line in listed.items() if line.endswith("  [withdrawn]")] == [labels[0]["id"]]
    assert call("list", "potential").stdout.count("[tainted]") == 1
    (entry,) = json.loads(call("list", "withdrawn", "--json").stdout)
    assert (entry["id"], entry["withdrawals"]) == (record, [])
    assert f"withdrawn by Ann Example: {REASON}" in entry["summary"]
    rows = csv.DictReader(io.StringIO(call("query", "conductivity", "--exclude-tainted", "-f", "csv").stdout))
    assert [float(row["temperature_K"]) for row in rows] == [800.0]
    pipeline = call("query", "labels", "--exclude-tainted", "--show-pipeline").stdout
    assert json.loads(pipeline.partition(".aggregate(")[2].strip().removesuffix(")"))
