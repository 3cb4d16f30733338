from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lipsdb.errors import BadInputError
from lipsdb.queries.catalogue import QUERIES, find_query
from lipsdb.queries.tables import render
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
    dataset = author.dataset(author.labels(2, "Li2S", "Li64S32", 96), ["small"])
    author.potential(dataset, ["small"])
    author.database.note_external([{"collection": "labels", "id": "label-" + "f" * 24, "content": "0" * 64}])


@pytest.mark.parametrize("campaign", [None, "small"])
@pytest.mark.parametrize("name", QUERIES)
def test_pipeline_uses_indexes(database: Database, filled: None, name: str, campaign: str | None) -> None:
    aggregation = QUERIES[name].aggregation(campaign)
    command = {"aggregate": aggregation.collection, "pipeline": aggregation.pipeline, "cursor": {}}
    explained = database.mongo.command("explain", command, verbosity="executionStats")
    found = list(_plans(explained))
    assert ("stage", "COLLSCAN") not in found
    assert all(int(value) == 0 for key, value in found if key == "collectionScans")
    assert any(value == "IXSCAN" for key, value in found if key == "stage")


@pytest.mark.parametrize("campaign", [None, "small"])
@pytest.mark.parametrize("name", QUERIES)
def test_printed_pipeline_is_json_and_gives_the_same_documents(
    database: Database, filled: None, name: str, campaign: str | None
) -> None:
    aggregation = QUERIES[name].aggregation(campaign)
    head, _, body = aggregation.text().partition(".aggregate(")
    assert head == f'db.getCollection("{aggregation.collection}")'
    pasted = json.loads(body.removesuffix(")"))
    assert pasted == aggregation.pipeline
    assert len(list(database.collection(aggregation.collection).aggregate(pasted))) == len(aggregation.run(database))


@pytest.mark.parametrize("format", ["table", "json", "csv", "md", "latex"])
@pytest.mark.parametrize("name", QUERIES)
def test_every_query_renders_full_and_empty_in_every_format(
    database: Database, filled: None, author: Any, name: str, format: str
) -> None:
    author.campaign("empty")
    assert render(QUERIES[name].table(database, "small"), format)
    assert render(QUERIES[name].table(database, "empty"), format)


def test_options_reach_the_query(database: Database, filled: None) -> None:
    table = QUERIES["labels"].table(database, by="level")
    assert table.title == "Labels by level of theory"
    assert QUERIES["labels"].options["by"] == ("system", "iteration", "level")


def test_unknown_query_names_those_that_there_are() -> None:
    with pytest.raises(BadInputError, match="no query 'colour'; there are: arrhenius, conductivity, diffusion"):
        find_query("colour")
