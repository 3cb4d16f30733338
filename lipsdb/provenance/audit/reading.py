"""Reading documents for an audit: a few at a time, whatever was done to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pymongo.collection import Collection

from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.store.batches import batches
from lipsdb.store.raw import LENIENT, decoded, split

if TYPE_CHECKING:
    from lipsdb.store.database import Database


def lenient(database: Database, name: str) -> Collection[dict[str, Any]]:
    """A collection whose documents are read whatever was done to them."""
    return database.collection(name).with_options(codec_options=LENIENT)


def raw_documents(
    database: Database, kind: str, scope: set[str] | None, fields: Mapping[str, Any] | None = None
) -> Iterator[bytes]:
    """Documents of a kind's collection as MongoDB sends them, 16 MB at a time; those in the scope only."""
    collection = database.collection(COLLECTIONS[kind])
    for ids in [None] if scope is None else batches(_of_kind(kind, scope)):
        for batch in collection.find_raw_batches({} if ids is None else {"_id": {"$in": ids}}, fields):
            yield from split(batch)


def documents(
    database: Database, kind: str, scope: set[str] | None, fields: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Documents of a kind's collection, whatever was done to them; those in the scope only."""
    return map(decoded, raw_documents(database, kind, scope, fields))


def number_of(database: Database, kind: str, scope: set[str] | None) -> int:
    """About how many there are."""
    if scope is None:
        return database.collection(COLLECTIONS[kind]).estimated_document_count()
    return len(_of_kind(kind, scope))


def _of_kind(kind: str, scope: set[str]) -> list[str]:
    return sorted(id_ for id_ in scope if id_.startswith(f"{kind}-"))
