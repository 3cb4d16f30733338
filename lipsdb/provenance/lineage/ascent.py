"""The way up a lineage: from a document to all that it was made from, labels by the tens of thousands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lipsdb.provenance.kinds import COLLECTIONS, RESULTS
from lipsdb.provenance.label_origins import LabelOrigins, gathered
from lipsdb.provenance.lineage.graph import Edge, Group, State
from lipsdb.provenance.lineage.members import NOBODY, Members, split_bulk
from lipsdb.provenance.links import by_collection, links_of
from lipsdb.provenance.packed import ids as packed_ids
from lipsdb.provenance.packed.links import RECORD, ids_of, packed, read, read_contents, unpacked
from lipsdb.provenance.packed.table import PackedTable
from lipsdb.provenance.summaries import summary_fields
from lipsdb.store.batches import ANSWER, batches, side_by_side

if TYPE_CHECKING:
    from lipsdb.provenance.withdrawal import Taint
    from lipsdb.store.database import Database

_LINKS = {"inputs": 1, "content": 1}
_LABELS = "labels of "
_FIRST_LABEL = bytes([int(packed_ids.CODES["label"], 16)])
_AFTER_LABELS = bytes([int(packed_ids.CODES["label"], 16) + 1])
ALONE = 8  # so many labels of one document stand alone, more are counted together


def fetch(database: Database, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Documents by id, with their inputs (but for datasets) and the fields for their summaries."""
    found: dict[str, dict[str, Any]] = {}
    for name, wanted in by_collection(ids).items():
        kind = wanted[0].partition("-")[0]
        fields = dict.fromkeys([*summary_fields(kind), *(["inputs"] if kind != "dataset" else [])], 1)
        for batch in batches(wanted):
            answer = database.collection(name).find({"_id": {"$in": batch}}, fields, batch_size=ANSWER)
            found.update((document["_id"], document) for document in answer)
    return found


class _Links(NamedTuple):
    """Inputs of a document or a group: role, id and content hash of each; the labels of a dataset are packed."""

    listed: list[tuple[str, str, str]]
    labels: np.ndarray = NOBODY

    @classmethod
    def of(cls, links: Iterable[Mapping[str, str]]) -> _Links:
        """Links as they stand in a document."""
        return cls([(link["role"], link["id"], link["content"]) for link in links])


def links_of_datasets(database: Database, ids: Sequence[str]) -> dict[str, _Links]:
    """Inputs of datasets, tens of thousands each, as they stand there."""
    datasets = database.collection(RESULTS["dataset"])

    def ask(id_: str) -> tuple[dict[str, Any], bytes | None]:
        raw = b"".join(datasets.find_raw_batches({"_id": id_}, {"inputs": 1}))
        return read(raw) if raw else ({}, b"")

    found: dict[str, _Links] = {}
    for id_, (document, bulk) in zip(ids, side_by_side(ask, ids), strict=True):
        if bulk is None:
            found[id_] = _Links.of(links_of(document))
            continue
        links = np.frombuffer(bulk, RECORD)
        is_label = (links["id"] >= _FIRST_LABEL) & (links["id"] < _AFTER_LABELS)
        others = zip(*unpacked(links[~is_label]), strict=True)
        # the role follows from the kind (`lipsdb.documents.dataset`)
        found[id_] = _Links([("refused", other, content) for other, content in others], links[is_label])
    return found


def contents_of(database: Database, name: str, ids: Iterable[str]) -> dict[str, str]:
    """Content hashes of many documents of one collection; of labels from the index alone."""
    collection = database.collection(name)

    def ask(batch: list[str]) -> list[dict[str, Any]]:
        return collection.find({"_id": {"$in": batch}}, {"_id": 1, "content": 1}, batch_size=ANSWER).to_list()

    answers = side_by_side(ask, list(batches(sorted(ids))))
    return {entry["_id"]: str(entry.get("content")) for answer in answers for entry in answer}


class Ascent:
    """The way up: documents found, edges, groups, and every single id that was named.

    Many labels of one document are a group, and so are the many runs or structures that those came from. A group is a
    level of its own.
    """

    def __init__(self, database: Database, stands: Taint) -> None:
        self.database, self.stands = database, stands
        self.documents: dict[str, dict[str, Any]] = {}
        self.edges: list[Edge] = []
        self.groups: dict[str, Group] = {}
        self.named: set[str] = set()
        self._here = PackedTable()  # members of groups that are in the database
        self._links: dict[str, _Links] = {}  # of members of groups other than labels

    def climb(self, roots: Sequence[str], depth: int | None) -> None:
        """Walk level by level."""
        self.named, frontier, level = set(roots), set(roots), 0
        above: dict[str, Members] = {}  # groups to be looked at
        while frontier or above:
            found = fetch(self.database, sorted(frontier))
            self.documents |= found
            links = self._look_at(above)
            if depth is not None and level >= depth:
                break
            named, above = self.named.copy(), {}
            inputs = {id_: _Links.of(links_of(document)) for id_, document in found.items() if "inputs" in document}
            inputs |= links_of_datasets(self.database, [id_ for id_ in found if id_.startswith("dataset-")])
            for id_, some in inputs.items():
                above |= self._connect(id_, some, ("label",))
            for name, some in links.items():
                above |= self._connect(name, some, ("label", "run", "structure"))
            frontier = self.named - named
            level += 1

    def _connect(self, target: str, links: _Links, grouped: Sequence[str]) -> dict[str, Members]:
        """Note the inputs of a document or a group; many of one kind become a group, to be looked at next."""
        groups: dict[str, Members] = {}
        single: list[tuple[str, str, str]] = []
        by_kind: dict[str, list[tuple[str, str, str]]] = {}
        for link in links.listed:
            by_kind.setdefault(link[1].partition("-")[0], []).append(link)
        if len(links.labels) <= ALONE:
            by_kind.setdefault("label", []).extend(("label", *one) for one in zip(*unpacked(links.labels), strict=True))
        for kind, some in by_kind.items():
            bulk, others = split_bulk(some) if kind in grouped and len(some) > ALONE else (NOBODY, some)
            single += others
            if len(bulk):
                name = f"{COLLECTIONS[kind]} of {target}"
                groups[name] = Members(bulk)
                self.edges += [Edge(name, target, role, "") for role in sorted({role for role, _, _ in some})]
        if len(links.labels) > ALONE:
            name = f"{_LABELS}{target}"
            groups[name] = Members(links.labels)
            self.edges.append(Edge(name, target, "label", ""))
        for role, id_, content in single:
            self.edges.append(Edge(id_, target, role, content))
            self.named.add(id_)
        return groups

    def _look_at(self, groups: Mapping[str, Members]) -> dict[str, _Links]:
        """Compare the members of groups with what was recorded of them; tell what they were made from."""
        odd: dict[str, dict[str, tuple[str | None, State]]] = {}
        for name in sorted(groups, key=lambda name: -len(groups[name])):  # the small ones are often parts of the large
            here, same = self._here.state_of(groups[name].links)
            if not here.all():
                self._find(ids_of(groups[name].links[~here]))
                here, same = self._here.state_of(groups[name].links)
            odd[name] = {} if same.all() else self._odd(groups[name], here, same)
        of_labels = self._of_labels({name: some for name, some in groups.items() if name.startswith(_LABELS)}, odd)
        found: dict[str, _Links] = {}
        for name, some in groups.items():
            entry: Mapping[str, Any] = of_labels.get(name, {})
            self.groups[name] = self._group(name, some, odd[name], entry.get("counts", []))
            if name in of_labels:
                found[name] = _Links.of(entry["links"])
            else:
                found[name] = _Links(sorted({link for id_ in some for link in self._links_of(id_)}))
        return found

    def _find(self, ids: Sequence[str]) -> None:
        """Look documents of one kind up in the database."""
        kind = ids[0].partition("-")[0]
        collection = self.database.collection(COLLECTIONS[kind])
        if kind == "label":

            def ask(batch: list[str]) -> bytes:
                wanted = {"_id": {"$in": batch}}  # the index has the content hash, too
                found = collection.find_raw_batches(wanted, {"_id": 1, "content": 1}, batch_size=ANSWER)
                return read_contents(b"".join(found))

            for some in side_by_side(ask, list(batches(sorted(ids)))):
                self._here.add(some)
        else:
            for batch in batches(ids):
                for document in collection.find({"_id": {"$in": batch}}, _LINKS, batch_size=ANSWER):
                    self._here.add(packed(document["_id"], str(document.get("content"))) or b"")
                    self._links[document["_id"]] = _Links.of(links_of(document))
        self._here.sort()

    def _links_of(self, id_: str) -> list[tuple[str, str, str]]:
        return self._links[id_].listed if id_ in self._links else []

    def _of_labels(
        self, groups: Mapping[str, Members], odd: Mapping[str, Mapping[str, tuple[str | None, State]]]
    ) -> dict[str, Mapping[str, Any]]:
        """Inputs and systems of groups of labels, from what is kept of them where that still holds."""
        documents = {name: name.removeprefix(_LABELS) for name in groups}
        stored = [id_ for id_ in documents.values() if id_ in self.documents]
        entries = LabelOrigins(self.database, stored).of(stored) if stored else {}
        found: dict[str, Mapping[str, Any]] = {}
        for name, labels in groups.items():
            entry = entries.get(documents[name])
            n_here = len(labels) - sum(state in {"missing", "external"} for _, state in odd[name].values())
            if entry is None or sum(count["n"] for count in entry["counts"]) != n_here:
                entry = gathered(self.database, list(labels))  # labels of labels, or labels that came or went since
            found[name] = entry
        return found

    def _group(
        self,
        name: str,
        members: Members,
        odd: Mapping[str, tuple[str | None, State]],
        counts: Sequence[Mapping[str, Any]],
    ) -> Group:
        states: Counter[str] = Counter(state for _, state in odd.values())
        states["withdrawn"] = members.number_among(self.stands.withdrawn)
        systems: Counter[str] = Counter()
        levels: Counter[str] = Counter()
        for count in counts:
            systems[count["system"]] += count["n"]
            levels[count["level_of_theory"]] += count["n"]
        return Group(name, members.kind, len(members), systems, levels, +states, members, odd)

    def _odd(self, members: Members, here: np.ndarray, same: np.ndarray) -> dict[str, tuple[str | None, State]]:
        """Content hash now and state of those that are not here as they were recorded."""
        from lipsdb.store.database import EXTERNALS

        changed, absent = ids_of(members.links[here & ~same]), Members(members.links[~here])
        now = contents_of(self.database, COLLECTIONS[members.kind], changed)
        found: dict[str, tuple[str | None, State]] = {id_: (now.get(id_), "changed") for id_ in changed}
        noted = contents_of(self.database, EXTERNALS, absent)
        for id_, recorded in absent.items():
            known = noted.get(id_)
            found[id_] = (known, "missing" if known is None else "external" if known == recorded else "changed")
        return found
