"""Audit of contents: every document's identity, content and seal, every artifact's bytes, every link."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bson.codec_options import CodecOptions, DatetimeConversion

from lipsdb.provenance.audit_findings import Progress, Survey
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.lineage import batches, links_of
from lipsdb.provenance.sealing import SCHEMA_VERSION, seal_faults

if TYPE_CHECKING:
    from lipsdb.store.database import Database

_AT_ONCE = 250  # documents in memory
_TOLD_EVERY = 100
# a damaged date or text must become a finding, not end the reading
_LENIENT: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
)


def documents(
    database: Database, name: str, scope: set[str] | None, fields: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Documents of a collection, a few at a time; those in the scope only."""
    collection = database.collection(name).with_options(codec_options=_LENIENT)
    if scope is None:
        yield from collection.find({}, fields, batch_size=_AT_ONCE)
        return
    kind = next(kind for kind, many in COLLECTIONS.items() if many == name)
    for batch in batches(sorted(id_ for id_ in scope if id_.startswith(f"{kind}-"))):
        yield from collection.find({"_id": {"$in": batch}}, fields, batch_size=_AT_ONCE)


def check_documents(database: Database, survey: Survey, progress: Progress) -> None:
    """Recompute identity, content and seal of every document, and remember what the other checks need."""
    from lipsdb.export.record import artifact_references

    for kind, name in COLLECTIONS.items():
        total = _number(database, name, kind, survey.scope)
        done = 0
        for document in documents(database, name, survey.scope):
            id_ = str(document["_id"])
            for fault in (*seal_faults(document), *_misplaced(document, kind, name)):
                survey.error("content", id_, fault)
            survey.contents[id_] = str(document.get("content"))
            for reference in artifact_references([document.get("answer"), document.get("made_by")]):
                named = survey.files.setdefault(str(reference["sha256"]), [])
                if id_ not in named:
                    named.append(id_)
            _remember_launch(database, survey, document)
            done += 1
            if done % _TOLD_EVERY == 0:
                progress(name, done, max(done, total))
        progress(name, done, done)
        survey.counts[name] = done


def _number(database: Database, name: str, kind: str, scope: set[str] | None) -> int:
    if scope is None:
        return database.collection(name).estimated_document_count()
    return sum(id_.startswith(f"{kind}-") for id_ in scope)


def _misplaced(document: Mapping[str, Any], kind: str, name: str) -> Iterator[str]:
    version = document.get("schema_version")
    if document.get("kind") != kind or not str(document["_id"]).startswith(f"{kind}-"):
        yield f"it is a {document.get('kind')} but lies in {name}, where ids begin with {kind}-"
    if isinstance(version, int) and not isinstance(version, bool) and 1 <= version <= SCHEMA_VERSION:
        return
    yield f"its schema version {version!r} is unknown (known: 1 to {SCHEMA_VERSION}); a newer lipsdb may read it"


def _remember_launch(database: Database, survey: Survey, document: Mapping[str, Any]) -> None:
    id_, made_by = str(document["_id"]), document.get("made_by")
    if not isinstance(made_by, Mapping) or made_by.get("launchpad") != database.identifier:
        return  # made outside FireWorks, or adopted from another database
    if isinstance(made_by.get("fw_id"), int):
        survey.made_in[id_] = (made_by["fw_id"], made_by.get("launch_id"), _asked_for(document))


def _asked_for(document: Mapping[str, Any]) -> frozenset[str]:
    """Ids that the Firework that made a document may have been asked for."""
    kind, asked = str(document["_id"]).partition("-")[0], document.get("asked")
    wanted = {str(document["_id"])}
    if kind == "refusal" and isinstance(asked, Mapping):
        wanted.add(str(asked.get("document")))
    if kind in {"label", "refusal"}:
        wanted |= {link["id"] for link in links_of(document) if link["id"].startswith("run-")}
    return frozenset(wanted)


def check_links(database: Database, survey: Survey, progress: Progress) -> None:
    """Follow every input: it exists with the content that was recorded, or was noted as external with it."""
    from lipsdb.store.database import EXTERNALS

    noted = {str(entry["_id"]): entry.get("content") for entry in database.collection(EXTERNALS).find({})}
    absent: dict[str, list[str]] = {}
    changed: dict[str, list[str]] = {}
    external: dict[str, list[str]] = {}
    for name in COLLECTIONS.values():
        done = 0
        for document in documents(database, name, survey.scope, {"inputs": 1}):
            consumer = str(document["_id"])
            for link in links_of(document):
                survey.counts["links"] += 1
                here = survey.contents.get(link["id"])
                if here == link["content"]:
                    continue
                if here is not None:
                    changed.setdefault(link["id"], []).append(consumer)
                elif noted.get(link["id"]) == link["content"]:
                    external.setdefault(consumer, []).append(link["id"])
                elif link["id"] in noted:
                    changed.setdefault(link["id"], []).append(consumer)
                else:
                    absent.setdefault(link["id"], []).append(consumer)
            done += 1
        progress(f"links of {name}", done, done)
    _report_links(database, survey, absent, changed, external)


def _report_links(
    database: Database,
    survey: Survey,
    absent: Mapping[str, list[str]],
    changed: Mapping[str, list[str]],
    external: Mapping[str, list[str]],
) -> None:
    stored_since = database.known(id_ for id_ in absent if id_.partition("-")[0] in COLLECTIONS)
    for id_, consumers in absent.items():
        if id_ not in stored_since:
            survey.error("links", id_, f"it is missing, but {_several(consumers)} made from it; restore it from a dump")
    for id_, consumers in changed.items():
        survey.error("links", id_, f"its content is not the one that {_several(consumers)} made from")
    for id_, links in external.items():
        kinds = Counter(link.partition("-")[0] for link in links)
        what = ", ".join(f"{number} {COLLECTIONS.get(kind, kind)}" for kind, number in kinds.items())
        survey.counts["external links"] += len(links)
        survey.note(
            "links", id_, f"{what} that it was made from are not in this database; `lipsdb ingest` can add them"
        )


def _several(consumers: list[str]) -> str:
    several = sorted(set(consumers))
    return f"{several[0]} was" if len(several) == 1 else f"{several[0]} and {len(several) - 1} more were"


def check_artifacts(database: Database, survey: Survey, progress: Progress) -> None:
    """Read every artifact again and hash it; find those that are missing, and those that nobody names."""
    blobs, done, present, keys = database.artifacts.blobs, 0, set(), set()
    total = database.collection("artifacts").estimated_document_count() if survey.scope is None else len(survey.files)
    for entry in _entries(database, survey):
        present.add(entry["_id"])
        keys.add(entry.get("key"))
        if entry.get("place") == blobs.place:
            fault = database.artifacts.fault(entry)
        else:
            fault = f"its blob lies in {entry.get('place')!r}, but LIPSDB_ARTIFACTS names {blobs.place!r}; set it right"
        if fault is not None:
            survey.error("artifacts", str(entry["_id"]), f"{entry.get('name')}: {fault}")
        elif survey.scope is None and entry["_id"] not in survey.files:
            survey.note(
                "orphans", str(entry["_id"]), f"the artifact {entry.get('name')} belongs to no document {_REMAINS}"
            )
        survey.counts["artifact bytes"] += entry["size"] if isinstance(entry.get("size"), int) else 0
        done += 1
        progress("artifacts", done, max(done, total))
    survey.counts["artifacts"] = done
    for sha256 in survey.files.keys() - present:
        name = f"it is missing, but {survey.files[sha256][0]} names it"
        survey.error("artifacts", sha256, f"{name}; restore it from a dump")
    if survey.scope is None:
        for key in blobs.keys():  # noqa: SIM118 (a method of the store, not of a dict)
            if key not in keys:
                survey.note("orphans", f"blob-{key}", f"a blob without an artifact {_REMAINS}")


def _entries(database: Database, survey: Survey) -> Iterator[dict[str, Any]]:
    """Documents of artifacts: all, or those that are named by a document in the scope."""
    collection = database.collection("artifacts").with_options(codec_options=_LENIENT)
    if survey.scope is None:
        yield from collection.find({}, batch_size=_AT_ONCE)
        return
    for batch in batches(sorted(survey.files)):
        yield from collection.find({"_id": {"$in": batch}}, batch_size=_AT_ONCE)


_REMAINS = "(harmless remains of an interrupted job; running the job again uses or replaces them)"
