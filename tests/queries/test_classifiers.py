"""The table of classifiers tells how good they are, and whether that is more than nothing."""

from __future__ import annotations

from typing import Any

import pytest

from lipsdb.provenance.withdrawal import withdraw
from lipsdb.queries.catalogue import QUERIES
from lipsdb.queries.tables import render
from lipsdb.store.database import Database

TEST = {
    "n_samples": 96, "n_groups": 3, "accuracy": 0.61, "accuracy_low": 0.43, "accuracy_high": 0.77,
    "balanced_accuracy": 0.52, "roc_auc": 0.54, "majority": 0.6,
}  # fmt: skip


@pytest.fixture
def runs(author: Any) -> list[dict[str, str]]:
    ids = [f"run-{number:024d}" for number in (1, 2)]
    links = [{"collection": "runs", "id": id_, "content": "0" * 64} for id_ in ids]
    author.database.note_external(links)
    return links


def test_row_tells_training_choice_and_test(database: Database, author: Any, runs: list[dict[str, str]]) -> None:
    author.campaign("small")
    made = author.classifier(runs, ["small"], immobile_below_A=10.0)
    (row,) = QUERIES["classifiers"].rows(database, "small")
    assert (row.id, row.n_runs, row.structures, row.temperatures_K) == (made["id"], 2, ("beta",), (600.0,))
    assert (row.accuracy, row.accuracy_interval_95, row.majority) == (0.75, (0.7, 0.8), 0.55)
    assert (row.n_choices, row.flags) == (1, ())
    text = render(QUERIES["classifiers"].table(database, "small"), "md")
    assert "beta: 2 runs at 600 K | 400/400 | 12/12 ions | 0.75 [0.70, 0.80] | 0.55 | 0.74 | 0.82" in text
    assert "10 and 12 | 0.1" in text
    assert "their test is too kind" in text


@pytest.mark.parametrize("balance", [True, False])
def test_an_accuracy_that_the_larger_class_explains_is_flagged(
    database: Database, author: Any, runs: list[dict[str, str]], balance: bool
) -> None:
    author.classifier(runs, group_by="run", balance=balance, test=TEST)
    (row,) = QUERIES["classifiers"].rows(database)
    assert row.flags == ("no better than chance",)
    text = render(QUERIES["classifiers"].table(database))
    assert "its accuracy not above that of always answering the larger class" in " ".join(text.split())
    assert "too kind" not in text


@pytest.mark.parametrize(
    ("balance", "changes", "flags"),
    [
        # 0.02 below 0.85: the 1225 samples of 0.85 · 0.15 · (1.96 / 0.02)², of which 5 % and 95 % are worth 233
        (True, {}, ()),
        (False, {}, ("no better than chance",)),
        (True, {"balanced_accuracy": 0.55}, ("no better than chance",)),  # 0.5 + 1.96 · 0.5 / √233 = 0.564
        (True, {"balanced_accuracy": 0.58}, ()),
        (True, {"balanced_accuracy": 0.15}, ("no better than chance",)),
        (True, {"accuracy_low": 0.2}, ("no better than chance",)),  # of 1.5 samples nothing is known
        (False, {"accuracy": 0.98, "accuracy_low": 0.96}, ()),
        (True, {"accuracy": 1.0, "accuracy_low": 0.99, "balanced_accuracy": 1.0}, ()),
    ],
)
def test_a_balanced_fit_is_measured_by_its_balanced_accuracy(
    database: Database,
    author: Any,
    runs: list[dict[str, str]],
    balance: bool,
    changes: dict[str, float],
    flags: tuple[str, ...],
) -> None:
    rare = {"accuracy": 0.85, "accuracy_low": 0.83, "accuracy_high": 0.87, "balanced_accuracy": 0.85, "majority": 0.95}
    author.classifier(runs, balance=balance, test=TEST | rare | changes)
    (row,) = QUERIES["classifiers"].rows(database)
    assert row.flags == flags


def test_what_stands_on_a_withdrawn_run_or_classifier_is_tainted(
    database: Database, author: Any, runs: list[dict[str, str]]
) -> None:
    one, other = author.classifier(runs[:1]), author.classifier(runs[1:])
    answer = {"conditions": {"structure": "beta"}, "summary": []}
    asked = {"property": "softness", "parameters": {}}
    soft = [author.put("property", asked, answer, [{"role": "classifier", **link}]) for link in (one, other)]
    withdraw(database, [runs[0]["id"]], "the thermostat was off", "Ann")
    flags = {row.id: row.flags for row in QUERIES["classifiers"].rows(database)}
    assert flags == {one["id"]: ("tainted",), other["id"]: ()}
    from lipsdb.provenance.withdrawal import taint

    assert [bool(taint(database).of(link["id"])) for link in soft] == [True, False]
    withdraw(database, [other["id"]], "trained on another phase", "Ann")
    assert [bool(taint(database).of(link["id"])) for link in soft] == [True, True]
    assert len(QUERIES["classifiers"].rows(database, exclude_tainted=True)) == 0
