"""A sample of the mutations that `tests/provenance/mutations.py` makes by the thousand."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lipsdb.documents.base import Input
from lipsdb.documents.dataset import Dataset
from lipsdb.documents.label import Label, LabelAsked
from lipsdb.documents.refusal import Refusal, RefusalAnswer, RefusalAsked
from lipsdb.provenance.audit import audit
from lipsdb.provenance.sealing import reference
from lipsdb.provenance.withdrawal import withdraw

NUMBER = 68  # four of each kind


@pytest.fixture(scope="module")
def mutations() -> Iterator[ModuleType]:
    """The harness, a program of its own."""
    folder = str(Path(__file__).parent)
    sys.path.insert(0, folder)
    yield importlib.import_module("mutations")
    sys.path.remove(folder)


@pytest.fixture
def campaign_graph(graph: Any, launcher: Any, labels: Any, record: Any) -> Any:
    """The graph with all that a campaign may leave: a refusal, a withdrawal, stray and external labels."""
    asked, inputs = LabelAsked(level_of_theory="disorder", repeat=1), labels(1)[0].inputs
    label_id = Label.identity_of(asked, inputs)
    (fw_id,) = launcher.submit({label_id: ("label", asked.model_dump())})
    place = launcher.start(fw_id)
    refused = RefusalAsked(
        document=label_id, system="P2S5", source="cp2k", folder="", frame=None, level_of_theory="disorder"
    )
    answer = RefusalAnswer(gate="scf", reason="the SCF did not converge")
    refusal = Refusal(asked=refused, inputs=inputs, answer=answer).sealed(record("label", **place), ["small"])
    graph.database.insert(refusal)
    launcher.end(place, reference(refusal))
    *elsewhere, stray = labels(12)[6:]
    graph.database.insert(stray.sealed(record("ingest")))
    dataset = graph.database.find(graph.of_kind("dataset")[0])
    adopted = Dataset.from_stored(dataset).model_copy(update={"inputs": elsewhere_links(elsewhere, record)})
    sealed = adopted.sealed(record("adopt"))
    graph.database.note_external(sealed["inputs"])
    graph.database.insert(sealed)
    withdraw(graph.database, graph.of_kind("run")[:1], "the thermostat was off", "Ann")
    return graph


def elsewhere_links(labels: list[Label], record: Any) -> list[Any]:
    links = [Input.of("label", reference(label.sealed(record("none")))) for label in labels]
    return sorted(links, key=lambda link: link.id)


def test_each_of_some_random_mutations_is_found_and_undone(campaign_graph: Any, mutations: ModuleType) -> None:
    outcome = mutations.run(campaign_graph.database, NUMBER, seed=1)
    assert outcome.noticed == []
    assert outcome.missed == []
    assert outcome.not_undone == []
    assert set(outcome.tried.values()) == {NUMBER // len(mutations.KINDS)}


def test_label_that_nobody_uses_is_missed_only_after_an_audit(campaign_graph: Any, mutations: ModuleType) -> None:
    database, labels = campaign_graph.database, campaign_graph.database.collection("labels")
    used = {link["id"] for stored in campaign_graph.documents.values() for link in stored["inputs"]}
    (stray,) = [entry["_id"] for entry in labels.find({}, {"_id": 1}) if entry["_id"] not in used]
    before = labels.find_one({"_id": stray})
    assert before is not None
    labels.delete_one({"_id": stray})
    assert audit(database, levels=mutations.LEVELS).errors == []
    labels.insert_one(before)
    audit(database, levels=mutations.LEVELS, store=True)
    labels.delete_one({"_id": stray})
    assert [finding.document for finding in audit(database, levels=mutations.LEVELS).errors] == [stray]
