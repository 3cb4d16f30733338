"""Audit of contents: every document's identity, content and seal, and every artifact's bytes, computed again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lipsdb.provenance.audit.artifacts import References, check_artifacts, is_imported
from lipsdb.provenance.audit.findings import Progress, Survey
from lipsdb.provenance.audit.reading import number_of, raw_documents
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.sealing import SCHEMA_VERSION, seal_faults
from lipsdb.store.raw import decoded

if TYPE_CHECKING:
    from lipsdb.store.database import Database

_TOLD_EVERY = 100
_REFERENCE = b"\x02sha256\0"  # a field of every reference to an artifact


def check_content(database: Database, survey: Survey, progress: Progress) -> None:
    """Recompute identity, content and seal of every document, and the hash of every artifact.

    Parameters
    ----------
    database : Database
    survey : Survey
        Its scope is kept to; findings and counts are added. Of damaged artifacts it learns who names them.
    progress : callable
        Told how many documents of each collection, and how many bytes of artifacts, are done.
    """
    from lipsdb.export.record import artifact_references

    references = References()
    for kind, name in COLLECTIONS.items():
        done, total = 0, number_of(database, kind, survey.scope)
        for raw in raw_documents(database, kind, survey.scope):
            document = decoded(raw)
            id_ = str(document["_id"])
            for fault in (*seal_faults(document), *_misplaced(document, kind, name)):
                survey.error("content", id_, fault)
            if _REFERENCE in raw:
                imported = is_imported(document, database.identifier)
                for reference in artifact_references([document.get("answer"), document.get("made_by")]):
                    references.add(id_, reference, imported=imported)
            done += 1
            if done % _TOLD_EVERY == 0:
                progress(name, done, max(done, total))
        progress(name, done, done)
        survey.counts[name] = done
    check_artifacts(database, survey, progress, references)


def _misplaced(document: Mapping[str, Any], kind: str, name: str) -> Iterator[str]:
    version, campaigns = document.get("schema_version"), document.get("campaigns")
    if not isinstance(campaigns, list) or not all(isinstance(campaign, str) for campaign in campaigns):
        yield "its list of campaigns cannot be read"
    if document.get("kind") != kind or not str(document["_id"]).startswith(f"{kind}-"):
        yield f"it is a {document.get('kind')} but lies in {name}, where ids begin with {kind}-"
    if isinstance(version, int) and not isinstance(version, bool) and 1 <= version <= SCHEMA_VERSION:
        return
    yield f"its schema version {version!r} is unknown (known: 1 to {SCHEMA_VERSION}); a newer lipsdb may read it"
