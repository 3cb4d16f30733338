from __future__ import annotations

import hashlib
from typing import Any

import bson
import pytest

from lipsdb.provenance.audit.findings import Survey
from lipsdb.provenance.audit.links import check_links
from lipsdb.provenance.packed.links import RECORD, read

N_LABELS = 1500  # a document long enough that its links are cut out, not decoded


def content(name: Any) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def link(kind: str, collection: str, number: int, role: str | None = None) -> dict[str, str]:
    id_ = f"{kind}-{content((kind, number))[:24]}"
    return {"role": role or kind, "collection": collection, "id": id_, "content": content(number)}


def many_links() -> list[dict[str, str]]:
    labels = [link("label", "labels", number) for number in range(N_LABELS)]
    refused = [link("refusal", "refusals", number, "refused") for number in range(120)]
    return [link("level_of_theory", "levels_of_theory", 0), *labels, *refused]


def raw(inputs: Any) -> bytes:
    return bson.encode({"_id": "dataset-" + "0" * 24, "inputs": inputs, "content": content("dataset")})


def test_links_cut_out_of_a_long_document_are_those_that_decoding_gives() -> None:
    links = many_links()
    assert len(raw(links)) > 100_000
    document, cut = read(raw(links))
    assert document == {"_id": "dataset-" + "0" * 24, "content": content("dataset")}
    few = [links[start : start + 50] for start in range(0, len(links), 50)]
    one_by_one = [read(raw(some))[1] for some in few]
    assert cut == b"".join(part or b"" for part in one_by_one)
    assert len(cut or b"") == RECORD.itemsize * len(links)


@pytest.mark.parametrize(
    "damage",
    [
        lambda links: links[700].update(content=links[700]["content"].upper()),
        lambda links: links[700].update(id=links[700]["id"][:-1] + "g"),
        lambda links: links[700].update(id="label-" + "0" * 23),
        lambda links: links[700].update(added=1),
        lambda links: links[700].pop("role"),
        lambda links: links[0].update(id=5),
        lambda links: links.insert(3, "no link"),
    ],
)
def test_long_document_with_one_odd_link_is_decoded(damage: Any) -> None:
    links = many_links()
    damage(links)
    document, cut = read(raw(links))
    packed = cut is None or len(cut) == RECORD.itemsize * len(links)
    assert packed
    assert cut is not None or document["inputs"] == links


def insert(database: Any, name: str, **document: Any) -> None:
    database.mongo.command("insert", name, documents=[document], bypassDocumentValidation=True)


def found(database: Any) -> tuple[dict[tuple[str, str], str], dict[str, int]]:
    survey = Survey()
    check_links(database, survey, lambda stage, done, total: None)
    return {(one.level, one.document): one.message for one in survey.findings}, dict(survey.counts)


def test_links_alone_tell_what_is_missing_changed_elsewhere_and_illegible(database: Any) -> None:
    links = many_links()
    for one in (links[0], *links[1:-2]):
        insert(database, one["collection"], _id=one["id"], inputs=[], content=one["content"])
    dataset, run = "dataset-" + "0" * 24, link("run", "runs", 1)
    insert(database, "datasets", _id=dataset, inputs=links, content=content("dataset"))
    insert(database, "externals", _id=links[-1]["id"], collection="refusals", content=links[-1]["content"])
    missing, changed, early = links[-2]["id"], links[700]["id"], links[1]["id"]
    database.collection("labels").update_one({"_id": changed}, {"$set": {"content": content("else")}}, **BYPASS)
    # of a run, whose collection is read later; and of something that is no document
    update = {"$set": {"inputs": [run, "no link", {"role": "run", "id": "?", "content": ""}]}}
    database.collection("labels").update_one({"_id": early}, update, **BYPASS)
    insert(
        database, "runs", _id=run["id"], inputs=[run | {"content": content("itself before")}], content=run["content"]
    )
    findings, counts = found(database)
    assert findings == {
        ("error", missing): f"it is missing, but {dataset} was made from it; restore it from a dump",
        ("error", changed): f"its content is not the one that {dataset} was made from",
        ("error", run["id"]): f"its content is not the one that {run['id']} was made from",
        ("error", early): "one of its inputs cannot be read",
        ("note", dataset): "1 refusals that it was made from are not in this database; `lipsdb ingest` can add them",
    }
    assert counts == {"links": len(links) + 2, "external links": 1}


BYPASS = {"bypass_document_validation": True}
