from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest

from lipsdb.errors import BadInputError
from lipsdb.provenance.withdrawal import withdraw
from lipsdb.queries.catalogue import QUERIES, find_query
from lipsdb.queries.counting import Among
from lipsdb.queries.descriptors import DESCRIPTORS
from lipsdb.queries.tables import Format, render
from lipsdb.store.database import Database


def _plans(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key, item
            yield from _plans(item)
    elif isinstance(value, list):
        for item in value:
            yield from _plans(item)


@pytest.fixture
def filled(author: Any, small_campaign: dict[str, Any]) -> None:
    """Documents of every kind that the queries read."""
    labels = author.labels(2, "Li2S", "Li64S32", 96)
    dataset = author.dataset(labels, ["small"])
    author.prediction_errors(author.potential(dataset, ["small"]), ["small"])
    author.coordination(["small"])
    author.potential_choice({(4.0, 8): 150.0, (5.0, 8): 140.0}, ["small"])
    author.watched_run([1.0, 3.0], ["small"])
    author.classifier([{"collection": "runs", "id": "run-" + "0" * 24, "content": "0" * 64}], ["small"])
    for descriptor in DESCRIPTORS:
        author.descriptor(descriptor.kind, descriptor.fields, ["small"])
    author.computed(1, "pbe", -1.0, np.zeros((2, 3)), activity="ingest")
    author.computed(1, "disorder", -1.0, np.zeros((2, 3)), campaigns=["small"])
    author.refusal("disorder", 2, ["small"])
    withdraw(author.database, [labels[0]["id"]], "a slip of the pen", "Ann")
    author.database.note_external([{"collection": "labels", "id": "label-" + "f" * 24, "content": "0" * 64}])


@pytest.mark.parametrize("campaign", [None, "small"])
def test_every_pipeline_uses_indexes(database: Database, filled: None, campaign: str | None) -> None:
    aggregations = {name: query.aggregation(campaign) for name, query in QUERIES.items()}
    aggregations["labels by level"] = QUERIES["labels"].aggregation(campaign, by="level")
    for name in ("labels", "cost"):
        among = Among({"$gt": "label-5", "$nin": ["label-" + "a" * 24]})
        aggregations[f"{name} without some"] = QUERIES[name].aggregation(campaign, among=among)
    for name, aggregation in aggregations.items():
        command = {"aggregate": aggregation.collection, "pipeline": aggregation.pipeline, "cursor": {}}
        found = list(_plans(database.mongo.command("explain", command, verbosity="executionStats")))
        assert ("stage", "COLLSCAN") not in found, name
        assert all(int(value) == 0 for key, value in found if key == "collectionScans"), name
        assert ("stage", "IXSCAN") in found, name


@pytest.mark.parametrize("campaign", [None, "small"])
def test_every_printed_pipeline_is_json_and_gives_the_same_documents(
    database: Database, filled: None, campaign: str | None
) -> None:
    for query in QUERIES.values():
        aggregation = query.aggregation(campaign)
        head, _, body = aggregation.text().partition(".aggregate(")
        assert head == f'db.getCollection("{aggregation.collection}")'
        pasted = json.loads(body.removesuffix(")"))
        assert pasted == aggregation.pipeline
        assert len(list(database.collection(aggregation.collection).aggregate(pasted))) == len(
            aggregation.run(database)
        )


@pytest.mark.parametrize("campaign", ["small", "empty"])
def test_every_query_renders_in_every_format(database: Database, filled: None, author: Any, campaign: str) -> None:
    author.campaign("empty")
    for query in QUERIES.values():
        table = query.table(database, campaign)
        assert table.rows or campaign == "empty"
        for format in get_args(Format):
            assert render(table, format)


def test_options_reach_the_query(database: Database, filled: None) -> None:
    table = QUERIES["labels"].table(database, by="level")
    assert table.title == "Labels by level of theory"
    assert QUERIES["labels"].options["by"] == ("system", "iteration", "level")


def test_unknown_query_names_those_that_there_are() -> None:
    with pytest.raises(BadInputError, match="no query 'colour'; there are: arrhenius, conductivity, diffusion"):
        find_query("colour")
