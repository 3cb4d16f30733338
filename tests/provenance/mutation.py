"""One change to a database, made and undone; and what to choose from."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument

from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.store.database import Database

Path = tuple[Any, ...]
Entry = dict[str, Any]
_AWARE: CodecOptions[Entry] = CodecOptions(tz_aware=True)


@dataclass
class Mutation:
    """One change, and how it is undone: what was there before, as bytes, by collection and id."""

    database: Database
    what: str = ""
    before: list[tuple[str, Any, bytes | None]] = field(default_factory=list)

    def _raw(self, name: str) -> Any:
        return self.database.mongo.get_collection(name, codec_options=CodecOptions(document_class=RawBSONDocument))

    def replace(self, name: str, old: Entry | None, new: Entry | None) -> None:
        """Put `new` in the place of `old`; None for a document that is not there."""
        collection = self._raw(name)
        for id_ in {str(entry["_id"]): entry["_id"] for entry in (old, new) if entry is not None}.values():
            found = collection.find_one({"_id": id_})
            self.before.append((name, id_, None if found is None else found.raw))
        if old is not None and (new is None or new["_id"] != old["_id"]):
            collection.delete_one({"_id": old["_id"]})
        if new is not None:
            self._put(name, new["_id"], bson.encode(new))

    def _put(self, name: str, id_: Any, raw: bytes) -> None:
        document = RawBSONDocument(raw)
        written = self.database.mongo.command(
            "update", name, updates=[{"q": {"_id": id_}, "u": document, "upsert": True}], bypassDocumentValidation=True
        )
        assert not written.get("writeErrors"), written

    def undo(self) -> None:
        """Make everything as it was."""
        for name, id_, raw in reversed(self.before):
            if raw is None:
                self._raw(name).delete_one({"_id": id_})
            else:
                self._put(name, id_, raw)


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Paths of everything in a document, mappings and lists included; not of the document itself."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def other(value: Any, chance: random.Random) -> Any:
    """Another value, mostly one that differs as little as its type allows."""
    if chance.random() < 0.1:
        others = (None, 0, "", "other", [], {})
        return chance.choice([one for one in others if one != value or type(one) is not type(value)])
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return chance.choice([int(value) + 1, int(value) - 1, float(value)])
    if isinstance(value, float):
        return chance.choice([math.nextafter(value, math.inf), -value if value else 1.0])
    if isinstance(value, str):
        return chance.choice([value + "x", value[:-1] or "y", value[:-1] + chr(ord(value[-1]) ^ 1) if value else "z"])
    if isinstance(value, bytes):
        changed = bytearray(value or b"\0")
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        return bytes(changed)
    if isinstance(value, datetime):
        return value + timedelta(milliseconds=chance.choice([-1, 1, 3_600_000]))
    if isinstance(value, ObjectId):
        return ObjectId()
    return [*value, 0] if isinstance(value, list) else {**value, "added": 0} if isinstance(value, dict) else 0


def fresh(chance: random.Random) -> Any:
    return chance.choice([None, True, 1, 1.5, "text", [], {}, [1.0], datetime(2026, 1, 1), b"bytes"])


def another_id(id_: str, chance: random.Random) -> str:
    place = chance.randrange(id_.index("-") + 1, len(id_))
    return (
        id_[:place] + chance.choice([digit for digit in "0123456789abcdef" if digit != id_[place]]) + id_[place + 1 :]
    )


def entries(database: Database, name: str, criteria: Entry | None = None) -> list[Entry]:
    found = database.mongo.get_collection(name, codec_options=_AWARE).find(criteria or {}, {"_id": 1}).sort("_id", 1)
    return list(found)


def whole(database: Database, name: str, id_: Any) -> Entry:
    found = database.mongo.get_collection(name, codec_options=_AWARE).find_one({"_id": id_})
    assert found is not None
    return found


def copied(entry: Entry) -> Entry:
    return bson.decode(bson.encode(entry), _AWARE)


@dataclass
class Chooser:
    """Chooses what to change, each collection as often as any other."""

    database: Database
    chance: random.Random

    def __post_init__(self) -> None:
        self.ids = {name: [entry["_id"] for entry in entries(self.database, name)] for name in COLLECTIONS.values()}
        for name in ("artifacts", "artifacts.chunks", "launches", "fireworks", "workflows", "job_outputs", "externals"):
            self.ids[name] = [entry["_id"] for entry in entries(self.database, name)]
        self.ids["externals"] = self.ids["externals"][:1000]
        last = self.database.collection("audits").find_one({}, {"_id": 1}, sort=[("asked.started_at", -1)])
        self.last_audit = None if last is None else last["_id"]

    def entry(self, *names: str) -> tuple[str, Entry]:
        """Any entry of any of these collections."""
        name = self.chance.choice([name for name in names if self.ids[name]])
        return name, whole(self.database, name, self.chance.choice(self.ids[name]))

    def document(self) -> tuple[str, Entry]:
        """Any document."""
        return self.entry(*COLLECTIONS.values())

    def vouched(self, document: Entry, path: Path) -> bool:
        """Whether the audit vouches for a field of a document."""
        if path[0] != "campaigns":
            return True
        asked = {document["_id"], document["asked"].get("document")} - {None}
        made_by, fireworks = document["made_by"], self.database.collection("fireworks")
        here = {"spec.document": {"$in": list(asked)}, "fw_id": made_by.get("fw_id")}
        if path == ("campaigns",) or made_by.get("launchpad") != self.database.identifier:
            return False
        return fireworks.find_one(here, {"_id": 1}) is not None
