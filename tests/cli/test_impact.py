"""``lipsdb impact`` and the formats of ``lipsdb lineage``, as a person calls them."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from lipsdb.cli.main import app
from lipsdb.documents.base import Input
from lipsdb.documents.property import Property, PropertyAsked
from lipsdb.documents.structure import Structure, StructureAnswer, StructureAsked
from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.provenance.machine import Stopwatch
from lipsdb.store.database import Database


def call(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return str(done.stdout)


@pytest.fixture
def stored(database: Database) -> tuple[str, list[str]]:
    """A structure and three coordination numbers that were counted in it."""
    import numpy as np

    made = Stopwatch("analysis").made_by({"numpy": "2.0"})
    size = {"volume_A3": 64.0, "density_g_cm3": 1.0, "n_atoms": 1}
    answer = StructureAnswer(
        name="lithium", formula="Li", elements=["Li"], numbers=np.array([3]), positions=np.zeros((1, 3)),
        cell=np.eye(3) * 4, **size,
    )  # fmt: skip
    asked = StructureAsked(builder="file", parameters={})
    link = Input.of("structure", database.insert(Structure(asked=asked, answer=answer).sealed(made)))
    ids = []
    for cutoff in (2.0, 3.0, 4.0):
        asked_now = PropertyAsked(property="coordination", parameters={"cutoff_A": cutoff})
        found = {"centre": "Li", "neighbour": "Li", "mean": cutoff, "conditions": {}}
        ids.append(database.insert(Property(asked=asked_now, inputs=[link], answer=found).sealed(made, ["tiny"]))["id"])
    return link.id, ids


def test_impact_lists_so_many_numbers_and_counts_the_rest(stored: tuple[str, list[str]]) -> None:
    structure, ids = stored
    text = call("impact", structure[:20], "--limit", "2")
    assert f"3 numbers depend on {structure}: 3 coordination." in text
    assert sum(id_ in text for id_ in ids) == 2
    assert "tiny" in text
    everything = json.loads(call("impact", structure, "--limit", "0", "--format", "json"))
    assert {one["id"] for one in everything["published"]} == set(ids)
    assert everything["n_numbers"] == 3
    assert {one["value"] for one in everything["published"]} >= {"coordination Li–Li mean 2.00"}


def test_impact_of_a_version_is_asked_by_program_first(stored: tuple[str, list[str]]) -> None:
    assert call("impact", "--version", "numpy").splitlines()[0] == "numpy=2.0"
    assert "3 numbers depend on numpy 2.0 (1 structure, 3 coordination)" in call("impact", "--version", "numpy=2.0")
    with pytest.raises(NotFoundError, match=r"no version of numpy '3' in this database; there are numpy=2\.0"):
        call("impact", "--version", "numpy=3")


def test_impact_wants_exactly_one_thing(database: Database) -> None:
    with pytest.raises(BadInputError, match="0 of ID, --version, --host and --level-of-theory were given; give one"):
        call("impact")
    with pytest.raises(BadInputError, match="2 of ID"):
        call("impact", "run-1", "--host", "here")


def test_lineage_in_each_format(stored: tuple[str, list[str]]) -> None:
    structure, ids = stored
    texts: dict[str, Any] = {
        name: call("lineage", ids[0], "--format", name) for name in ("tree", "json", "dot", "svg", "prov-json")
    }
    assert all(structure in text for text in texts.values())
    ElementTree.fromstring(texts["svg"])
    assert {node["id"] for node in json.loads(texts["json"])["nodes"]} == {structure, ids[0]}
    assert f"lipsdb:{ids[0]}" in json.loads(texts["prov-json"])["entity"]
