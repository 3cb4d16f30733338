from __future__ import annotations

import json
from typing import Any

import pytest

from lipsdb.errors import BadInputError
from lipsdb.provenance.audit import audit
from lipsdb.provenance.audit.record import manifest_digits
from lipsdb.provenance.sealing import seal


def make_lone_label_document(graph: Any) -> dict[str, Any]:
    """A sealed copy of a label with another geometry digest: nothing is made from it, no launch made it."""
    stored = graph.documents[graph.of_kind("label")[0]]
    asked = stored["asked"] | {"geometry": "f" * 64}
    return seal("label", asked, stored["inputs"], stored["answer"], stored["made_by"], [], stored["origin"])


def test_an_audit_is_kept_with_its_findings_and_linked_to_the_one_before(graph: Any) -> None:
    first, second = audit(graph.database, store=True), audit(graph.database, levels=["links"], store=True)
    assert first.record is not None
    assert second.record is not None
    stored = graph.database.find(second.record["id"])
    assert [link["id"] for link in stored["inputs"]] == [first.record["id"]]
    assert stored["asked"]["levels"] == ["links"]
    kept = graph.database.find(first.record["id"])["answer"]
    assert kept["passed"]
    findings = json.loads(graph.database.artifacts.read(kept["findings"]["sha256"]))
    assert findings["passed"]
    manifest = graph.database.artifacts.read(kept["manifest"]["sha256"]).decode().splitlines()
    assert manifest == sorted(f"{id_} {manifest_digits(one)}" for id_, one in graph.documents.items())
    assert audit(graph.database).passed


def test_a_document_on_which_nothing_stands_is_missed_after_an_audit(graph: Any) -> None:
    label = make_lone_label_document(graph)
    graph.database.insert(label)
    assert audit(graph.database, store=True).passed
    graph.database.collection("labels").delete_one({"_id": label["_id"]})
    for _ in range(2):  # an audit that failed is no base for the next one
        report = audit(graph.database, store=True)
        assert [(one.check, one.document) for one in report.errors] == [("manifest", label["_id"])]
        assert "it is gone; restore it from a dump" in report.errors[0].message
    graph.database.insert(label)
    assert audit(graph.database).passed


def test_a_document_that_was_forged_and_sealed_anew_is_found_after_an_audit(graph: Any) -> None:
    label = make_lone_label_document(graph)
    graph.database.insert(label)
    assert audit(graph.database, store=True).passed
    forged = seal(
        "label", label["asked"], label["inputs"], label["answer"] | {"energy_eV": -1.0}, label["made_by"], [],
        label["origin"],
    )  # fmt: skip
    assert forged["_id"] == label["_id"]
    graph.database.collection("labels").replace_one({"_id": label["_id"]}, forged)
    report = audit(graph.database)
    assert [(one.check, one.document) for one in report.errors] == [("manifest", label["_id"])]
    assert "another seal" in report.errors[0].message


def test_a_campaign_written_into_a_document_is_found_after_an_audit(graph: Any) -> None:
    assert audit(graph.database, store=True).passed
    run = graph.of_kind("run")[0]
    graph.database.collection("runs").update_one({"_id": run}, {"$push": {"campaigns": "another"}})
    assert ("manifest", run) in {(one.check, one.document) for one in audit(graph.database).errors}


def test_new_documents_between_two_audits_are_no_finding(graph: Any) -> None:
    assert audit(graph.database, store=True).passed
    graph.database.insert(make_lone_label_document(graph))
    assert audit(graph.database).findings == []


def test_a_level_that_there_is_not_is_refused_with_those_that_there_are(graph: Any) -> None:
    with pytest.raises(BadInputError, match="'hashes' is not a level of the audit; the levels are links, content"):
        audit(graph.database, levels=["hashes"])
