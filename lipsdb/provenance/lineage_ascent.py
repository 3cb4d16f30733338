"""The way up a lineage: from a document to all that it was made from, labels by the tens of thousands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from lipsdb.provenance.kinds import COLLECTIONS, RESULTS
from lipsdb.provenance.label_origins import LabelOrigins, gathered
from lipsdb.provenance.lineage_graph import ANSWER, Edge, Group, State, batches, by_collection, links_of
from lipsdb.provenance.summaries import summary_fields

if TYPE_CHECKING:
    from lipsdb.provenance.withdrawal import Taint
    from lipsdb.store.database import Database

_LINKS = {"inputs": 1, "content": 1}
_LABELS = "labels of "
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


def _all_text(values: Any) -> TypeGuard[list[str]]:
    return isinstance(values, list) and set(map(type, values)) <= {str}


class _Links(NamedTuple):
    """Inputs of a document or a group."""

    roles: list[str]
    ids: list[str]
    contents: list[str]

    @classmethod
    def of(cls, links: Iterable[Mapping[str, str]]) -> _Links:
        """Links as they stand in a document."""
        listed = list(links)
        columns = ([link[name] for link in listed] for name in ("role", "id", "content"))
        return cls(*columns)

    @classmethod
    def of_datasets(cls, database: Database, ids: Sequence[str]) -> dict[str, _Links]:
        """Inputs of datasets, tens of thousands each: two lists come in half the time of as many documents."""
        columns = {"ids": "$inputs.id", "contents": "$inputs.content"}
        stages: list[dict[str, Any]] = [{"$match": {"_id": {"$in": list(ids)}}}, {"$project": columns}]
        found: dict[str, _Links] = {}
        for entry in database.collection(RESULTS["dataset"]).aggregate(stages) if ids else ():
            some, contents = entry.get("ids"), entry.get("contents")
            if _all_text(some) and _all_text(contents) and len(some) == len(contents):
                # the role follows from the kind (`lipsdb.documents.dataset`)
                found[entry["_id"]] = cls(["label" if id_ < "refusal-" else "refused" for id_ in some], some, contents)
        damaged = [id_ for id_ in ids if id_ not in found]
        for document in database.collection(RESULTS["dataset"]).find({"_id": {"$in": damaged}}) if damaged else ():
            found[document["_id"]] = cls.of(links_of(document))
        return found

    def split(self, kind: str) -> tuple[dict[str, str], set[str], _Links]:
        """Inputs of a kind, id to content; their roles; all others."""
        first, after = f"{kind}-", f"{kind}."
        if self.ids and min(self.ids) >= first and max(self.ids) < after:  # tens of thousands of labels, nothing else
            return dict(zip(self.ids, self.contents, strict=True)), set(self.roles), _Links([], [], [])
        rows = list(zip(*self, strict=True))
        chosen = [row for row in rows if row[1].startswith(first)]
        others = [row for row in rows if not row[1].startswith(first)]
        rest = _Links(*map(list, zip(*others, strict=True))) if others else _Links([], [], [])
        return {id_: content for _, id_, content in chosen}, {role for role, _, _ in chosen}, rest


def contents_of(database: Database, name: str, ids: Iterable[str]) -> dict[str, str]:
    """Content hashes of many documents of one collection; of labels from the index alone."""
    found: dict[str, str] = {}
    for batch in batches(sorted(ids)):
        answer = database.collection(name).find({"_id": {"$in": batch}}, {"_id": 1, "content": 1}, batch_size=ANSWER)
        found.update((entry["_id"], str(entry.get("content"))) for entry in answer.to_list())
    return found


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
        self._contents: dict[str, str] = {}  # of members of groups
        self._noted: dict[str, str] = {}  # of those that are elsewhere
        self._links: dict[str, _Links] = {}  # of members of groups other than labels

    def climb(self, roots: Sequence[str], depth: int | None) -> None:
        """Walk level by level."""
        self.named, frontier, level = set(roots), set(roots), 0
        above: dict[str, dict[str, str]] = {}  # groups to be looked at: id of each member to recorded content
        while frontier or above:
            found = fetch(self.database, sorted(frontier))
            self.documents |= found
            links = self._look_at(above)
            if depth is not None and level >= depth:
                break
            named, above = self.named.copy(), {}
            inputs = {id_: _Links.of(links_of(document)) for id_, document in found.items() if "inputs" in document}
            inputs |= _Links.of_datasets(self.database, [id_ for id_ in found if id_.startswith("dataset-")])
            for id_, some in inputs.items():
                above |= self._connect(id_, some, ("label",))
            for name, some in links.items():
                above |= self._connect(name, some, ("label", "run", "structure"))
            frontier = self.named - named
            level += 1

    def _connect(self, target: str, links: _Links, grouped: Sequence[str]) -> dict[str, dict[str, str]]:
        """Note the inputs of a document or a group; many of one kind become a group, to be looked at next."""
        groups: dict[str, dict[str, str]] = {}
        for kind in grouped:
            members, roles, others = links.split(kind)
            if len(members) > ALONE:
                name = f"{COLLECTIONS[kind]} of {target}"
                groups[name] = members
                self.edges += [Edge(name, target, role, "") for role in sorted(roles)]
                links = others
        for role, id_, content in zip(*links, strict=True):
            self.edges.append(Edge(id_, target, role, content))
            self.named.add(id_)
        return groups

    def _look_at(self, groups: Mapping[str, Mapping[str, str]]) -> dict[str, _Links]:
        """Compare the members of groups with what was recorded of them; tell what they were made from."""
        from lipsdb.store.database import EXTERNALS

        labels = set[str]().union(*(some for name, some in groups.items() if name.startswith(_LABELS)))
        others = set[str]().union(*(some for name, some in groups.items() if not name.startswith(_LABELS)))
        self._contents |= contents_of(self.database, RESULTS["label"], labels - self._contents.keys())
        for name, ids in by_collection(others - self._contents.keys()).items():
            for batch in batches(ids):
                for document in self.database.collection(name).find({"_id": {"$in": batch}}, _LINKS, batch_size=ANSWER):
                    self._contents[document["_id"]] = str(document.get("content"))
                    self._links[document["_id"]] = _Links.of(links_of(document))
        self._noted |= contents_of(self.database, EXTERNALS, (labels | others) - self._contents.keys())
        odd = {name: self._odd(some) for name, some in groups.items()}
        gathered_ones = self._of_labels({name: some for name, some in groups.items() if name.startswith(_LABELS)}, odd)
        found: dict[str, _Links] = {}
        for name, some in groups.items():
            entry: Mapping[str, Any] = gathered_ones.get(name, {})
            self.groups[name] = self._group(name, some, odd[name], entry.get("counts", []))
            if name in gathered_ones:
                found[name] = _Links.of(entry["links"])
            else:
                rows = {row for id_ in some if id_ in self._links for row in zip(*self._links[id_], strict=True)}
                found[name] = _Links(*([row[column] for row in sorted(rows)] for column in range(3)))
        return found

    def _of_labels(
        self, groups: Mapping[str, Mapping[str, str]], odd: Mapping[str, Mapping[str, tuple[str | None, State]]]
    ) -> dict[str, Mapping[str, Any]]:
        """Inputs and systems of groups of labels, from what is kept of them where that still holds."""
        documents = {name: name.removeprefix(_LABELS) for name in groups}
        stored = [id_ for id_ in documents.values() if id_ in self.documents]
        entries = LabelOrigins(self.database, stored).of(stored) if stored else {}
        found: dict[str, Mapping[str, Any]] = {}
        for name, labels in groups.items():
            entry = entries.get(documents[name])
            n_here = len(labels) - sum(id_ not in self._contents for id_ in odd[name])
            if entry is None or sum(count["n"] for count in entry["counts"]) != n_here:
                entry = gathered(self.database, list(labels))  # labels of labels, or labels that came or went since
            found[name] = entry
        return found

    def _group(
        self,
        name: str,
        members: Mapping[str, str],
        odd: Mapping[str, tuple[str | None, State]],
        counts: Sequence[Mapping[str, Any]],
    ) -> Group:
        states: Counter[str] = Counter(state for _, state in odd.values())
        if self.stands.withdrawn:
            states["withdrawn"] = len(members.keys() & self.stands.withdrawn.keys())
        systems: Counter[str] = Counter()
        levels: Counter[str] = Counter()
        for count in counts:
            systems[count["system"]] += count["n"]
            levels[count["level_of_theory"]] += count["n"]
        what = next(iter(members)).partition("-")[0]
        return Group(name, what, len(members), systems, levels, +states, members, odd)

    def _odd(self, members: Mapping[str, str]) -> dict[str, tuple[str | None, State]]:
        """Members that are not here as they were recorded."""
        if members.items() <= self._contents.items():
            return {}
        here = self._contents.get
        return {id_: self._state(id_, recorded) for id_, recorded in members.items() if here(id_) != recorded}

    def _state(self, id_: str, recorded: str) -> tuple[str | None, State]:
        """Content now and state of a member that is not here as it was recorded."""
        if id_ in self._contents:
            return self._contents[id_], "changed"
        if id_ in self._noted:
            return self._noted[id_], "external" if self._noted[id_] == recorded else "changed"
        return None, "missing"
