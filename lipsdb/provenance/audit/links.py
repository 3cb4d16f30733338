"""Audit of links: every input exists with the content hash that it had when it was used.

Each document is read once, its inputs and content hash only. What is kept in memory is 45 bytes a document, and 58 for
each link to a document that was not read yet: a dataset's 60,000 links are looked up when it is read, since labels come
before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.provenance.audit.findings import Progress, Survey
from lipsdb.provenance.audit.reading import number_of, raw_documents
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.packed import ids as packed_ids
from lipsdb.provenance.packed.links import RECORD, packed, read
from lipsdb.provenance.packed.table import PackedTable

if TYPE_CHECKING:
    from lipsdb.store.database import Database

_ODD = 255  # code of a document whose id is none of ours; its number follows
_ID = f"S{packed_ids.WIDTH}"
_LINK = np.dtype([("id", _ID), ("content", "S32"), ("consumer", _ID)])
_ILLEGIBLE = "0" * 64  # a content hash that no document has
_AT_ONCE = 20_000  # links looked up together


def check_links(database: Database, survey: Survey, progress: Progress) -> None:
    """Follow every input: it exists with the content that was recorded, or was noted as external with it.

    Parameters
    ----------
    database : Database
    survey : Survey
        Its scope is kept to; findings and counts ('links', 'external links') are added.
    progress : callable
        Told for each collection how many documents are done.
    """
    found = _Found(_externals(database, survey))
    for kind, name in COLLECTIONS.items():
        done, total = 0, number_of(database, kind, survey.scope)
        for raw in raw_documents(database, kind, survey.scope, {"content": 1, "inputs": 1}):
            found.read(raw, kind)
            done += 1
            if done % _AT_ONCE == 0:
                progress(f"links of {name}", done, max(done, total))
        found.settle(kind)
        progress(f"links of {name}", done, done)
    survey.counts["links"] += found.n_links
    _report(database, survey, found)


def _externals(database: Database, survey: Survey) -> PackedTable:
    from lipsdb.store.database import EXTERNALS

    table = PackedTable()
    for entry in database.collection(EXTERNALS).find({}):
        id_, known = str(entry["_id"]), packed(str(entry["_id"]), str(entry.get("content")))
        if known is None or entry.get("collection") != COLLECTIONS[id_.partition("-")[0]]:
            survey.error("links", id_, "the note that it is elsewhere is damaged; adopt again what was made from it")
        else:
            table.add(known)
    table.sort()
    return table


@dataclass
class _Consumers:
    """Documents made from one: how many, and the first of them."""

    number: int
    first: str

    def __str__(self) -> str:
        return f"{self.first} was" if self.number == 1 else f"{self.first} and {self.number - 1} more were"


@dataclass
class _Found:
    """What was read, and the links that are not as they should be."""

    externals: PackedTable
    documents: PackedTable = field(default_factory=PackedTable)
    n_links: int = 0
    illegible: list[str] = field(default_factory=list)  # consumers
    external: Counter[tuple[str, str]] = field(default_factory=Counter)  # links by consumer and kind
    changed: dict[str, _Consumers] = field(default_factory=dict)
    absent: dict[str, _Consumers] = field(default_factory=dict)
    _new: bytearray = field(default_factory=bytearray)  # links not looked up
    _consumers: bytearray = field(default_factory=bytearray)
    _later: list[np.ndarray] = field(default_factory=list)  # links to kinds that are not read yet
    _odd: list[str] = field(default_factory=list)
    _code: int = 0

    def read(self, raw: bytes, kind: str) -> None:
        """Read a document of the collection of this kind."""
        document, links = read(raw)
        id_, self._code = str(document["_id"]), packed_ids.KINDS.index(kind)
        own = packed(id_, str(document.get("content"))) or packed(id_, _ILLEGIBLE)
        if own is not None and own[0] == self._code:
            self.documents.add(own)
        if links is None:
            links = self._one_by_one(id_, document["inputs"])
        n_links = len(links) // RECORD.itemsize
        self.n_links += n_links
        self._new += links
        self._consumers += (own[: packed_ids.WIDTH] if own is not None else self._name_odd(id_)) * n_links
        if len(self._new) > _AT_ONCE * RECORD.itemsize:
            self._look_up()

    def _one_by_one(self, consumer: str, inputs: Sequence[Any]) -> bytes:
        found = []
        for link in inputs:
            id_, content = (link.get("id"), link.get("content")) if isinstance(link, Mapping) else (None, None)
            one = packed(str(id_), str(content)) or packed(str(id_), _ILLEGIBLE)
            if one is None:
                self.illegible.append(consumer)
            else:
                found.append(one)
        return b"".join(found)

    def _name_odd(self, id_: str) -> bytes:
        self._odd.append(id_)
        return bytes([_ODD]) + len(self._odd).to_bytes(packed_ids.WIDTH - 1, "big")

    def _name(self, id_: bytes) -> str:
        if id_[:1] == bytes([_ODD]):
            return self._odd[int.from_bytes(id_[1:].ljust(packed_ids.WIDTH - 1, b"\0"), "big") - 1]
        return packed_ids.unpacked(id_)

    def settle(self, kind: str) -> None:
        """Look up what waited: all documents of this kind were read."""
        self._look_up()
        self.documents.sort()
        waiting, self._later = np.concatenate([np.empty(0, _LINK), *self._later]), []
        self._code = packed_ids.KINDS.index(kind) + 1
        self._sort_out(waiting)

    def _look_up(self) -> None:
        links = np.empty(len(self._new) // RECORD.itemsize, _LINK)
        links[["id", "content"]] = np.frombuffer(bytes(self._new), RECORD)
        links["consumer"] = np.frombuffer(bytes(self._consumers), _ID)
        self._new, self._consumers = bytearray(), bytearray()
        self._sort_out(links)

    def _sort_out(self, links: np.ndarray) -> None:
        """Settle links to kinds that were read, and keep the others."""
        here, same = self.documents.state_of(links)
        links, here = links[~same], here[~same]
        read = links["id"] < bytes([self._code])
        self._later.append(links[~read])
        links, here = links[read], here[read]
        noted, agrees = self.externals.state_of(links)
        self._count_external(links[~here & agrees])
        self._collect(links[(here | noted) & ~(~here & agrees)], self.changed)
        self._collect(links[~here & ~noted], self.absent)

    def _count_external(self, links: np.ndarray) -> None:
        for consumer, id_ in zip(links["consumer"].tolist(), links["id"].tolist(), strict=True):
            self.external[self._name(consumer), packed_ids.unpacked(id_).partition("-")[0]] += 1

    def _collect(self, links: np.ndarray, found: dict[str, _Consumers]) -> None:
        for link in np.unique(links[["id", "consumer"]]):
            id_, consumer = self._name(bytes(link["id"])), self._name(bytes(link["consumer"]))
            known = found.setdefault(id_, _Consumers(0, consumer))
            known.number, known.first = known.number + 1, min(known.first, consumer)


def _report(database: Database, survey: Survey, found: _Found) -> None:
    stored_since = database.known(found.absent)
    for id_, consumers in found.absent.items():
        if id_ not in stored_since:
            survey.error("links", id_, f"it is missing, but {consumers} made from it; restore it from a dump")
    for id_, consumers in found.changed.items():
        survey.error("links", id_, f"its content is not the one that {consumers} made from")
    for id_ in dict.fromkeys(found.illegible):
        survey.error("links", id_, "one of its inputs cannot be read")
    by_consumer: dict[str, list[str]] = {}
    for (consumer, kind), number in found.external.items():
        by_consumer.setdefault(consumer, []).append(f"{number} {COLLECTIONS[kind]}")
        survey.counts["external links"] += number
    for consumer, several in by_consumer.items():
        what = f"{', '.join(several)} that it was made from are not in this database"
        survey.note("links", consumer, f"{what}; `lipsdb ingest` can add them")
