"""Migrations: registered steps that bring the documents of a database to the form that this version writes.

Each step can be killed and run again, and does nothing where nothing is to be done. What was applied is noted in the
database's own bookkeeping. A step never changes what was asked or answered, so ids and contents stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, OperationFailure

from lipsdb.errors import ServerError
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.sealing import seal, seal_faults
from lipsdb.store.artifacts import UNAUTHORIZED

if TYPE_CHECKING:
    from lipsdb.store.database import Database

BOOKKEEPING = "lipsdb"  # what the database knows of itself: schema, identifier, migrations
Progress = Callable[[int, int], None]
_BATCH = 500


@dataclass
class Outcome:
    """What a step did.

    Attributes
    ----------
    changed : int
        Documents changed.
    left : dict
        Documents that were left as they are, by id, with the reason.
    """

    changed: int = 0
    left: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Migration:
    """A step: its name, what it does, the first version whose documents need it not, and the two functions."""

    name: str
    does: str
    since: str
    pending: Callable[[Database], int]
    apply: Callable[[Database, Progress], Outcome]

    @property
    def note(self) -> str:
        """The ``_id`` under which the bookkeeping has it."""
        return f"migration {self.name}"


_UNSALTED = {"made_by.salt": {"$exists": False}, "made_by.host": {"$not": {"$regex": "^withheld:"}}}


def _count_unsalted(database: Database) -> int:
    return sum(database.count(name, _UNSALTED) for name in COLLECTIONS.values())


def _salt_hosts(database: Database, progress: Progress) -> Outcome:
    outcome, total = Outcome(), _count_unsalted(database)
    done = 0
    for name in COLLECTIONS.values():
        for batch in _batches(database, name):
            outcome.changed += _salt_batch(database, name, batch, outcome.left)
            done += len(batch)
            progress(done, total)
    return outcome


def _batches(database: Database, collection: str) -> Iterator[list[dict[str, Any]]]:
    """Documents without a salt, in the order of their ids; each batch is a query of its own, so none times out."""
    after = ""
    while True:
        found = database.collection(collection).find({"_id": {"$gt": after}, **_UNSALTED}).sort("_id", 1)
        batch = list(found.limit(_BATCH))
        if not batch:
            return
        yield batch
        after = batch[-1]["_id"]


def _salt_batch(database: Database, collection: str, batch: list[dict[str, Any]], left: dict[str, str]) -> int:
    updates = []
    for document in batch:
        faults = seal_faults(document)
        if faults:
            left[document["_id"]] = faults[0]
            continue
        new = salted(document)
        fields = {"made_by.salt": new["made_by"]["salt"], "seal": new["seal"]}
        updates.append(UpdateOne({"_id": document["_id"], "seal": document["seal"], **_UNSALTED}, {"$set": fields}))
    return database.collection(collection).bulk_write(updates, ordered=False).modified_count if updates else 0


def salted(document: dict[str, Any]) -> dict[str, Any]:
    """A document whose seal holds the clear host, sealed anew with the host's salted digest in its place."""
    import secrets

    made_by = {**document["made_by"], "salt": secrets.token_hex(16)}
    new = seal(
        document["kind"],
        document["asked"],
        document["inputs"],
        document["answer"],
        made_by,
        document["campaigns"],
        document.get("origin"),
        document.get("attempt", 0),
    )
    return {**document, "made_by": made_by, "seal": new["seal"]}


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        name="salted-hosts",
        does="seals the name of the host as a salted digest, so that documents can be given away without it",
        since="0.1",
        pending=_count_unsalted,
        apply=_salt_hosts,
    ),
)


def note_pending(database: Database) -> None:
    """Note for each step that was never looked at how many documents wait for it."""
    marker = database.collection(BOOKKEEPING)
    known = set(marker.distinct("_id", {"_id": {"$in": [step.note for step in MIGRATIONS]}}))
    for step in MIGRATIONS:
        if step.note not in known:
            _note(database, step, {"pending": step.pending(database)})


def _note(database: Database, step: Migration, fields: dict[str, Any]) -> None:
    from lipsdb.documents.base import now

    entry = {**fields, "at": now()}
    database.collection(BOOKKEEPING).update_one({"_id": step.note}, {"$set": entry}, upsert=True)


def migrate(database: Database, step: Migration, progress: Progress) -> Outcome:
    """Apply a step and note it.

    Raises
    ------
    ServerError
        If this user may not change sealed documents.
    """
    try:
        outcome = step.apply(database, progress)
        _note(database, step, {"pending": 0, "changed": outcome.changed, "left": sorted(outcome.left)})
    except (OperationFailure, BulkWriteError) as error:
        if not _is_unauthorized(error):
            raise
        raise ServerError(
            f"the migration {step.name!r} changes sealed documents, which this user may not; run "
            "`lipsdb db migrate` as an administrator (roles readWrite and dbAdmin)"
        ) from error
    return outcome


def _is_unauthorized(error: OperationFailure) -> bool:
    faults = (error.details or {}).get("writeErrors", [])
    return error.code == UNAUTHORIZED or any(fault["code"] == UNAUTHORIZED for fault in faults)
