from __future__ import annotations

import copy
import io
import json
import math
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import zstandard

from lipsdb.errors import NotFoundError
from lipsdb.provenance.audit import AuditReport, as_json, as_table, audit
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.sealing import seal

Damage = tuple[str, set[str]]  # what the audit must name, and what is downstream of it


def collection_of(id_: str) -> str:
    return COLLECTIONS[id_.partition("-")[0]]


def replace(graph: Any, document: dict[str, Any]) -> None:
    collection = graph.database.collection(collection_of(document["_id"]))
    collection.replace_one({"_id": document["_id"]}, document, bypass_document_validation=True)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inner = [leaf for key, item in items for leaf in leaves(item, (*path, key))]
    yield from inner or [path]


def other(value: Any, chance: random.Random) -> Any:
    """A value that differs as little as its type allows."""
    if isinstance(value, bytes):
        return flipped(value, chance)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return chance.choice([value + 1, float(value)])
    if isinstance(value, float):
        return math.nextafter(value, math.inf)
    if isinstance(value, str):
        return value + "x" if not value else value[:-1] + chr(ord(value[-1]) ^ 1)
    if isinstance(value, datetime):
        return value + timedelta(milliseconds=1)
    return 0 if value is None else [0]


def flipped(raw: bytes, chance: random.Random) -> bytes:
    """One byte changed, so that what was compressed comes out differently or not at all."""

    def content(compressed: bytes) -> bytes | None:
        try:
            return zstandard.ZstdDecompressor().decompressobj().decompress(compressed)
        except zstandard.ZstdError:
            return None

    while True:
        changed = bytearray(raw)
        changed[chance.randrange(len(raw))] ^= chance.randrange(1, 256)
        if content(bytes(changed)) != content(raw):
            return bytes(changed)


def set_leaf(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    *way, last = path
    for key in way:
        document = document[key]
    document[last] = value


def any_field(graph: Any, chance: random.Random) -> Damage:
    stored = copy.deepcopy(graph.documents[chance.choice(sorted(graph.documents))])
    part = chance.choice([part for part in ("asked", "answer", "made_by", "inputs") if stored[part]])
    path = chance.choice(list(leaves(stored[part], (part,))))
    value: Any = stored
    for key in path:
        value = value[key]
    set_leaf(stored, path, other(value, chance))
    replace(graph, stored)
    return stored["_id"], graph.downstream(stored["_id"])


def any_array_byte(graph: Any, chance: random.Random) -> Damage:
    with_arrays = [id_ for id_, stored in sorted(graph.documents.items()) if "zstd" in repr(stored["answer"])]
    stored = copy.deepcopy(graph.documents[chance.choice(with_arrays)])
    arrays = [path for path in leaves(stored["answer"], ("answer",)) if path[-1] == "zstd"]
    path = chance.choice(arrays)
    value: Any = stored
    for key in path:
        value = value[key]
    set_leaf(stored, path, flipped(value, chance))
    replace(graph, stored)
    return stored["_id"], graph.downstream(stored["_id"])


def any_answer_sealed_again(graph: Any, chance: random.Random) -> Damage:
    """A forger's work: the answer is changed and all hashes of the document are made anew."""
    stored = graph.documents[chance.choice([id_ for id_ in sorted(graph.documents) if graph.downstream(id_)])]
    answer = copy.deepcopy(stored["answer"])
    of_array = {"zstd", "crc32", "dtype"}
    path = chance.choice([path for path in leaves(answer) if path[-1] not in of_array and "shape" not in path])
    value: Any = answer
    for key in path:
        value = value[key]
    set_leaf(answer, path, other(value, chance))
    forged = seal(stored["kind"], stored["asked"], stored["inputs"], answer, stored["made_by"], stored["campaigns"])
    assert forged["_id"] == stored["_id"]
    replace(graph, forged)
    return stored["_id"], graph.downstream(stored["_id"])


def any_artifact_byte(graph: Any, chance: random.Random) -> Damage:
    entry = chance.choice(sorted(graph.database.collection("artifacts").find(), key=lambda entry: entry["_id"]))
    chunks = graph.database.collection("artifacts.chunks")
    chunk = chunks.find_one({"files_id": entry["key"]})
    chunks.update_one({"_id": chunk["_id"]}, {"$set": {"data": flipped(chunk["data"], chance)}})
    return entry["_id"], graph.downstream_of_artifact(entry["_id"])


def any_link(part: str) -> Callable[[Any, random.Random], Damage]:
    def damage(graph: Any, chance: random.Random) -> Damage:
        with_links = [id_ for id_, stored in sorted(graph.documents.items()) if stored["inputs"]]
        stored = copy.deepcopy(graph.documents[chance.choice(with_links)])
        link = chance.choice(stored["inputs"])
        link[part] = other(link[part], chance)
        replace(graph, stored)
        return stored["_id"], graph.downstream(stored["_id"])

    return damage


def deleted_document(graph: Any, chance: random.Random) -> Damage:
    id_ = chance.choice([id_ for id_ in sorted(graph.documents) if not id_.startswith("campaign-")])
    graph.database.collection(collection_of(id_)).delete_one({"_id": id_})
    return id_, graph.downstream(id_)


def deleted_field(graph: Any, chance: random.Random) -> Damage:
    stored = copy.deepcopy(graph.documents[chance.choice(sorted(graph.documents))])
    del stored[chance.choice(sorted(set(stored) - {"_id", "campaigns"}))]
    replace(graph, stored)
    return stored["_id"], graph.downstream(stored["_id"])


def deleted_artifact(graph: Any, chance: random.Random) -> Damage:
    sha256 = chance.choice(sorted(entry["_id"] for entry in graph.database.collection("artifacts").find()))
    graph.database.collection("artifacts").delete_one({"_id": sha256})
    return sha256, graph.downstream_of_artifact(sha256)


def deleted_blob(graph: Any, chance: random.Random) -> Damage:
    entry = chance.choice(sorted(graph.database.collection("artifacts").find(), key=lambda entry: entry["_id"]))
    graph.database.collection("artifacts.files").delete_one({"_id": entry["key"]})
    return entry["_id"], graph.downstream_of_artifact(entry["_id"])


def duplicate(graph: Any, chance: random.Random) -> Damage:
    stored = copy.deepcopy(graph.documents[chance.choice(sorted(graph.documents))])
    stored["_id"] = stored["_id"][:-4] + f"{chance.randrange(16**4):04x}"
    graph.database.collection(collection_of(stored["_id"])).insert_one(stored)
    return stored["_id"], set()


def in_another_collection(graph: Any, chance: random.Random) -> Damage:
    stored = graph.documents[chance.choice(graph.of_kind("label"))]
    graph.database.collection("structures").insert_one(dict(stored), bypass_document_validation=True)
    return stored["_id"], graph.downstream(stored["_id"])


# `tests/provenance/mutations.py` has all kinds of damage; here it matters what is said to be downstream
DAMAGES = [
    *[(any_field, seed) for seed in range(4)],
    *[(any_array_byte, seed) for seed in range(2)],
    *[(any_answer_sealed_again, seed) for seed in range(5)],
    *[(any_artifact_byte, seed) for seed in range(2)],
    (any_link("id"), 0),
    (any_link("content"), 0),
    *[(deleted_document, seed) for seed in range(4)],
    (deleted_field, 0),
    (deleted_artifact, 0),
    (deleted_blob, 0),
    (duplicate, 0),
    (in_another_collection, 0),
]


def downstream_in(report: AuditReport, document: str) -> set[str]:
    return {affected.id for finding in report.errors if finding.document == document for affected in finding.downstream}


def written(report: AuditReport) -> str:
    from rich.console import Console

    console = Console(width=200, record=True, file=io.StringIO())
    console.print(as_table(report))
    return console.export_text()


def test_audit_of_an_untouched_graph_finds_nothing(graph: Any) -> None:
    report = audit(graph.database)
    assert report.findings == []
    assert report.passed
    expected = {
        "levels_of_theory": 1,
        "labels": 12,
        "datasets": 1,
        "potentials": 1,
        "runs": 2,
        "properties": 3,
        "fireworks": 8,
        "launches": 8,
    }
    assert {name: report.counts[name] for name in expected} == expected
    assert report.counts["links"] == 12 + 12 + 1 + 2 * 2 + 2 + 2
    assert "Audit passed" in written(report)


@pytest.mark.parametrize(
    ("damage", "seed"), DAMAGES, ids=[f"{damage.__qualname__.partition('.')[0]}-{seed}" for damage, seed in DAMAGES]
)
def test_audit_names_the_damage_and_everything_downstream(
    graph: Any, damage: Callable[[Any, random.Random], Damage], seed: int
) -> None:
    named, downstream = damage(graph, random.Random(seed))
    report = audit(graph.database)
    assert named in {finding.document for finding in report.errors}
    assert downstream_in(report, named) == downstream
    assert not report.passed
    everything = json.dumps(as_json(report)) + written(report)
    assert named in everything


def test_table_shows_the_damaged_label_and_the_names_of_what_was_made_from_it(graph: Any) -> None:
    id_ = graph.of_kind("label")[0]
    graph.database.collection("labels").update_one({"_id": id_}, {"$inc": {"answer.energy_eV": 1e-9}})
    text = written(audit(graph.database))
    assert f"{id_}\n  content: the answer is not the one that was stored" in text
    assert "downstream of it: 7 documents" in text
    assert "potential: deepmd, F MAE 150 meV/Å" in text
    assert "Audit failed: 1 thing is not as it should be, 7 documents are downstream" in text


def test_impossible_date_is_a_finding_and_not_a_crash(graph: Any) -> None:
    from bson.datetime_ms import DatetimeMS

    id_ = graph.of_kind("run")[0]
    graph.database.collection("runs").update_one({"_id": id_}, {"$set": {"made_by.started_at": DatetimeMS(2**60)}})
    assert [finding.document for finding in audit(graph.database).errors] == [id_]


def test_campaign_scope_reads_upstream_and_leaves_the_rest(graph: Any, labels: Any, record: Any) -> None:
    stray = labels(20)[-1].sealed(record("ingest"))
    stray["answer"]["energy_eV"] += 1.0
    graph.database.insert(stray)
    assert audit(graph.database, "small").passed
    assert [finding.document for finding in audit(graph.database).errors] == [stray["_id"]]
    upstream = graph.of_kind("label")[3]  # has no campaign of its own
    graph.database.collection("labels").update_one({"_id": upstream}, {"$set": {"answer.formula": "Li"}})
    assert [finding.document for finding in audit(graph.database, "small").errors] == [upstream]


def test_unknown_campaign_is_refused(graph: Any) -> None:
    with pytest.raises(NotFoundError, match="no campaign 'nothing' in this database; `lipsdb list campaign`"):
        audit(graph.database, "nothing")


def test_adopted_dataset_has_external_labels_until_they_are_stored(
    database: Any, labels: Any, level: Any, dataset_of: Any, record: Any
) -> None:
    some = labels(12)
    dataset = dataset_of(some).sealed(record("work", fw_id=3, launch_id=4, launchpad="another database"))
    database.note_external(dataset["inputs"])
    database.insert(dataset)
    report = audit(database)
    assert [(finding.level, finding.document) for finding in report.findings] == [("note", dataset["_id"])]
    assert "12 labels that it was made from are not in this database" in report.findings[0].message
    assert report.counts["external links"] == 12
    database.insert_many([label.sealed(record("ingest")) for label in some])
    missing = level.sealed(record("describe"))
    assert [(finding.check, finding.document) for finding in audit(database).errors] == [("links", missing["_id"])]
    database.insert(missing)
    assert audit(database).findings == []


def test_external_label_with_another_content_is_an_error(
    database: Any, labels: Any, dataset_of: Any, record: Any
) -> None:
    dataset = dataset_of(labels(12)).sealed(record("work"))
    database.note_external(dataset["inputs"])
    database.insert(dataset)
    label = dataset["inputs"][0]["id"]
    database.collection("externals").update_one({"_id": label}, {"$set": {"content": "0" * 64}})
    report = audit(database)
    assert [(finding.document, finding.check) for finding in report.errors] == [(label, "links")]
    assert downstream_in(report, label) == {dataset["_id"]}


def test_remains_of_interrupted_jobs_are_notes(graph: Any) -> None:
    database = graph.database
    lone = database.artifacts.put(b"nobody's", "lone.txt")["sha256"]
    blob = database.artifacts.blobs.write("left", io.BytesIO(b"left behind"))
    database.collection("artifacts.chunks").insert_one({"files_id": "killed upload", "n": 0, "data": b"part"})
    report = audit(database)
    assert report.passed
    assert {finding.document for finding in report.findings} == {lone, f"blob-{blob}", "blob-killed upload"}
    assert all("harmless remains of an interrupted job" in finding.message for finding in report.findings)


def test_progress_is_told_by_stage(graph: Any) -> None:
    told: list[tuple[str, int, int]] = []
    audit(graph.database, progress=lambda stage, done, total: told.append((stage, done, total)))
    assert ("labels", 12, 12) in told
    assert {"artifact bytes", "launches", "fireworks"} <= {stage for stage, _, _ in told}
    assert all(done <= total for _, done, total in told)
