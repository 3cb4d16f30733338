"""Reading documents for an audit: a few at a time, whatever was done to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo.collection import Collection

from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.lineage import batches

if TYPE_CHECKING:
    from lipsdb.store.database import Database

# a damaged date or text must become a finding, not end the reading
_LENIENT: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
)


def lenient(database: Database, name: str) -> Collection[dict[str, Any]]:
    """A collection whose documents are read whatever was done to them."""
    return database.collection(name).with_options(codec_options=_LENIENT)


def raw_documents(
    database: Database, kind: str, scope: set[str] | None, fields: Mapping[str, Any] | None = None
) -> Iterator[bytes]:
    """Documents of a kind's collection as MongoDB sends them, 16 MB at a time; those in the scope only."""
    collection = database.collection(COLLECTIONS[kind])
    for ids in [None] if scope is None else batches(_of_kind(kind, scope)):
        for batch in collection.find_raw_batches({} if ids is None else {"_id": {"$in": ids}}, fields):
            place = 0
            while place < len(batch):
                end = place + int.from_bytes(batch[place : place + 4], "little")
                yield batch[place:end]
                place = end


def decoded(raw: bytes) -> dict[str, Any]:
    """A document, read whatever was done to it."""
    return bson.decode(raw, _LENIENT)


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
