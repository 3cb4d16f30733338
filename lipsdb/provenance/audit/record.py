"""Audits remembered: the stored record, and what was there at the last one and is not any more.

Links and launches tell when a document is gone that something was made from, or that a job made. For the others there
is the manifest: id and seal of every document, kept by each audit that passed and compared by the next one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymongo.errors import ConnectionFailure

from lipsdb.provenance.audit.findings import AuditReport, Progress, Survey
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.store.artifacts import UNAUTHORIZED

if TYPE_CHECKING:
    from lipsdb.store.database import Database

_DIGITS = 32
_TOLD_EVERY = 10_000


def check_manifest(database: Database, survey: Survey, progress: Progress, path: Path) -> None:
    """Write down id and seal of every document, and compare with what the last audit that passed saw.

    Parameters
    ----------
    database : Database
    survey : Survey
    progress : callable
    path : Path
        Where to write: a line a document, sorted: its id, and the first digits of a hash of its content and the
        campaigns that it was stored for, and of one of its seal.
    """
    _write_manifest(database, path, progress)
    last = database.collection(COLLECTIONS["audit"]).find_one(
        {"answer.manifest": {"$ne": None}, "asked.database": database.identifier},
        {"answer.manifest": 1, "asked.started_at": 1},
        sort=[("asked.started_at", -1)],
    )
    if last is None:
        return
    try:
        _compare(database, survey, path, last)
    except ConnectionFailure:  # a server that went away is no damage
        raise
    except Exception as error:  # damage can take any form; each is a finding
        survey.error("manifest", str(last["_id"]), f"its manifest cannot be read: {type(error).__name__}: {error}")


def _compare(database: Database, survey: Survey, path: Path, last: Mapping[str, Any]) -> None:
    """Compare the manifest that was written with that of an audit before."""
    when = f"{last['asked']['started_at']:%Y-%m-%d %H:%M} UTC"
    resealed = _sealed_again_since(database, last["asked"]["started_at"])
    n_resealed = 0
    with database.artifacts.open(last["answer"]["manifest"]["sha256"]) as before, path.open(encoding="utf-8") as now:
        text = TextIOWrapper(before, encoding="utf-8")
        for id_, then, here in _paired((line.split() for line in text), (line.split() for line in now)):
            if here is None:
                survey.error("manifest", id_, f"the audit of {when} saw it, but it is gone; restore it from a dump")
            elif then is not None and then != here and then[0] == here[0] and resealed:
                n_resealed += 1
            elif then is not None and then != here:
                survey.error(
                    "manifest",
                    id_,
                    f"it is not the document that the audit of {when} saw (another seal, or other campaigns)",
                )
    if n_resealed:
        survey.note("manifest", "documents", f"{n_resealed} were sealed again by `lipsdb db migrate` since {when}")


def _sealed_again_since(database: Database, time: datetime) -> bool:
    """Whether a migration gave documents new seals."""
    from lipsdb.store.migrations import BOOKKEEPING

    note = {"_id": {"$regex": "^migration "}, "changed": {"$gt": 0}, "at": {"$gt": time}}
    return database.collection(BOOKKEEPING).find_one(note) is not None


def _paired(
    before: Iterator[list[str]], now: Iterator[list[str]]
) -> Iterator[tuple[str, list[str] | None, list[str] | None]]:
    """Id, what was kept then and what is here now, of two sorted manifests; None where there is none."""
    end: list[Any] = [None]
    old, new = next(before, end), next(now, end)
    while old[0] is not None or new[0] is not None:
        if new[0] is None or (old[0] is not None and old[0] < new[0]):
            yield old[0], old[1:], None
            old = next(before, end)
        elif old[0] is None or new[0] < old[0]:
            yield new[0], None, new[1:]
            new = next(now, end)
        else:
            yield new[0], old[1:], new[1:]
            old, new = next(before, end), next(now, end)


def _write_manifest(database: Database, path: Path, progress: Progress) -> None:
    kinds = sorted(kind for kind in COLLECTIONS if kind != "audit")  # these are linked, each to the one before
    fields = {"content": 1, "seal": 1, "campaigns": 1}
    cursors = [database.collection(COLLECTIONS[kind]).find({}, fields).sort("_id", 1) for kind in kinds]
    with path.open("w", encoding="utf-8") as stream:
        for done, document in enumerate(chain.from_iterable(cursors), 1):
            stream.write(f"{''.join(str(document['_id']).split())} {manifest_digits(document)}\n")
            if done % _TOLD_EVERY == 0:
                progress("manifest", done, 0)


def manifest_digits(document: Mapping[str, Any]) -> str:
    """What a manifest keeps of a document beside its id."""
    content = f"{document.get('content')} {document.get('campaigns')}"
    return " ".join(
        sha256(str(one).encode(errors="replace")).hexdigest()[:_DIGITS] for one in (content, document.get("seal"))
    )


def store_audit(database: Database, report: AuditReport, manifest: Path | None) -> dict[str, str] | None:
    """Store an audit as a document.

    Parameters
    ----------
    database : Database
    report : AuditReport
        What was found.
    manifest : Path, optional
        What was there; kept if the audit passed.

    Returns
    -------
    dict or None
        Reference of the document, which is linked to the audit before it; None if this user may not write.
    """
    from pymongo.errors import OperationFailure

    try:
        return _stored(database, report, manifest)
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        return None


def _stored(database: Database, report: AuditReport, manifest: Path | None) -> dict[str, str]:
    from lipsdb.documents.audit import Audit, AuditAnswer, AuditAsked
    from lipsdb.documents.base import ArtifactReference, Input
    from lipsdb.provenance.audit.views import as_json
    from lipsdb.provenance.machine import Stopwatch, versions_of
    from lipsdb.provenance.sealing import reference

    assert report.started_at is not None
    asked = AuditAsked(
        levels=list(report.levels),
        database=database.identifier,
        campaign=report.campaign,
        sample=report.sample,
        seed=report.seed,
        started_at=report.started_at,
    )
    newest_first = {"asked.started_at": -1}
    before = next(database.query(COLLECTIONS["audit"], {}, ["kind", "content"], newest_first, limit=1), None)
    text = json.dumps(as_json(report), indent=1, ensure_ascii=False)
    kept = manifest if report.passed else None
    answer = AuditAnswer(
        passed=report.passed,
        counts=report.counts,
        findings=ArtifactReference(**database.artifacts.put(text.encode(), "findings.json")),
        n_errors=len(report.errors),
        n_notes=len(report.findings) - len(report.errors),
        manifest=None if kept is None else ArtifactReference(**database.artifacts.put(kept, "manifest.txt")),
    )
    inputs = [] if before is None else [Input.of("previous", reference(before))]
    watch = Stopwatch("audit", started_at=report.started_at)
    return database.insert(Audit(asked=asked, inputs=inputs, answer=answer).sealed(watch.made_by(versions_of())))
