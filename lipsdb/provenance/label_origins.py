"""What the labels of a dataset were made from and by, gathered once so that nobody walks them one by one again.

A level of theory or a host may stand behind hundreds of thousands of labels, but behind few documents that were made
from labels. For each of those one entry in the collection `label_origins` names the different inputs, hosts and program
versions of its labels. It is a cache: derived from sealed documents alone, made when it is first needed, dropped at any
time, never trusted by the audit.

Labels never change, so an entry is right for ever if all its labels were there when it was made. If some were not, it
holds until the next label is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pymongo.errors import DocumentTooLarge, OperationFailure, WriteError

from lipsdb.provenance.kinds import RESULTS
from lipsdb.store.artifacts import UNAUTHORIZED
from lipsdb.store.batches import batches

if TYPE_CHECKING:
    from lipsdb.store.database import Database

LABEL_ORIGINS = "label_origins"


class LabelOrigins:
    """The entries of documents that were made from labels; those that are missing are made now.

    Parameters
    ----------
    database : Database
    only : iterable of str, optional
        Make no entries but those of these documents.
    """

    def __init__(self, database: Database, only: Iterable[str] | None = None) -> None:
        self._database = database
        self._entries = database.collection(LABEL_ORIGINS)
        self._unstored: dict[str, dict[str, Any]] = {}  # where the user may not write, or the entry is too large
        mark, labels = _mark(database), _Labels(database)
        for name, id_ in self._wanting(mark, None if only is None else set(only)):
            entry = {"_id": id_, **labels.entry(_label_ids(database, name, id_)), "mark": mark}
            try:
                self._entries.replace_one({"_id": id_}, entry, upsert=True)
            except (DocumentTooLarge, WriteError):
                self._unstored[id_] = entry
            except OperationFailure as error:
                if error.code != UNAUTHORIZED:
                    raise
                self._unstored[id_] = entry

    @cached_property
    def ids(self) -> set[str]:
        """All documents with an entry."""
        stored = {str(entry["_id"]) for entry in self._entries.find({"_id": {"$gte": ""}}, {"_id": 1})}
        return stored | self._unstored.keys()

    @cached_property
    def _any_beyond(self) -> bool:
        return self._entries.find_one({"beyond": {"$gte": ""}}, {"_id": 1}) is not None

    def _wanting(self, mark: str, only: set[str] | None) -> list[tuple[str, str]]:
        """Collection and id of the documents that were made from labels and have no entry that holds."""
        among: dict[str, Any] = {"_id": {"$gte": ""} if only is None else {"$in": sorted(only)}}
        known = {str(entry["_id"]) for entry in self._entries.find(among, {"_id": 1})}
        stale = {"absent": {"$gt": 0}, "mark": {"$ne": mark}}
        known -= {str(entry["_id"]) for entry in self._entries.find(stale, {"_id": 1})}
        if only is not None:
            return [(RESULTS[id_.partition("-")[0]], id_) for id_ in sorted(only - known)]
        return [(name, id_) for name, id_ in _made_from_labels(self._database) if id_ not in known]

    def made_from(self, ids: Iterable[str], *, beyond: bool = True) -> set[str]:
        """Documents with labels that were made from any of these; `beyond`: also through labels that they recompute."""
        wanted = list(ids)
        fields = ("links.id", "beyond") if beyond and self._any_beyond else ("links.id",)
        found = {id_ for id_, entry in self._unstored.items() if not _sources(entry, beyond).isdisjoint(wanted)}
        for batch in batches(wanted):
            for field in fields:
                found.update(str(entry["_id"]) for entry in self._entries.find({field: {"$in": batch}}, {"_id": 1}))
        return found

    def made_by(self, host: str | None = None, versions: Iterable[str] = ()) -> set[str]:
        """Documents with labels that were made on a host, or with any of these programs ('LAMMPS=2 Aug 2023')."""
        wanted = [{"hosts": host}] if host is not None else []
        wanted += [{"versions": version} for version in versions]
        found: set[str] = set()
        for criteria in wanted:
            ((field, value),) = criteria.items()
            found.update(id_ for id_, entry in self._unstored.items() if value in entry[field])
            found.update(str(entry["_id"]) for entry in self._entries.find(criteria, {"_id": 1}))
        return found

    def of(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Entries of documents: `links`, `counts` and how many labels are `absent`."""
        fields = {"links": 1, "counts": 1, "absent": 1}
        found = {str(entry["_id"]): entry for entry in self._entries.find({"_id": {"$in": list(ids)}}, fields)}
        return found | {id_: entry for id_, entry in self._unstored.items() if id_ in ids}


def _sources(entry: Mapping[str, Any], beyond: bool) -> set[str]:
    return {link["id"] for link in entry["links"]}.union(entry["beyond"] if beyond else ())


def _mark(database: Database) -> str:
    """Changes whenever a label is stored: the newest one, and how many there are."""
    labels = database.collection(RESULTS["label"])
    newest = labels.find_one({}, {"_id": 1}, sort=[("$natural", -1)])
    return f"{labels.estimated_document_count()} {newest and newest['_id']}"


def kinds_named(database: Database, name: str, kinds: Iterable[str]) -> set[str]:
    """Those kinds of documents that any document of a collection names as input; from the index alone."""
    collection, found = database.collection(name), set()
    for kind in kinds:
        # the key itself tells: the least that is not below the kind's first id
        for key in collection.find({"inputs.id": {"$gte": f"{kind}-"}}, limit=1, return_key=True):
            if str(key.get("inputs.id")).startswith(f"{kind}-"):
                found.add(kind)
    return found


def _made_from_labels(database: Database) -> Iterator[tuple[str, str]]:
    """Collection and id of each document, other than labels, that was made from labels.

    Properties are many: one of each name tells whether those of that name are made from labels.
    """
    for name in RESULTS.values():
        if name == RESULTS["label"] or not kinds_named(database, name, ["label"]):
            continue
        collection = database.collection(name)
        criteria: list[dict[str, Any]] = [{"_id": {"$gte": ""}}]
        if name == RESULTS["property"]:
            names = collection.distinct("asked.property")
            samples = {one: collection.find_one({"asked.property": one}, {"inputs.id": 1}) for one in names}
            criteria = [{"asked.property": one} for one, sample in samples.items() if _first_label(sample)]
        for chosen in criteria:
            yield from ((name, str(entry["_id"])) for entry in collection.find(chosen, {"_id": 1}))


def _first_label(document: Mapping[str, Any] | None) -> bool:
    inputs = (document or {}).get("inputs") or []
    return any(str(link.get("id")).startswith("label-") for link in inputs if isinstance(link, Mapping))


def _label_ids(database: Database, name: str, id_: str) -> list[str]:
    document = database.collection(name).find_one({"_id": id_}, {"inputs.id": 1}) or {}
    ids = (str(link.get("id")) for link in document.get("inputs") or [] if isinstance(link, Mapping))
    return list(dict.fromkeys(one for one in ids if one.startswith("label-")))


_Links = tuple[tuple[str, str, str], ...]  # role, id, content
_Made = tuple[str, tuple[str, ...]]  # host, versions


class _Labels:
    """What labels were made from and by; each is asked about once, however many datasets it stands in."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # labels that agree in inputs, host, versions, system and level are of one sort; parts of sorts are shared
        self._sorts: list[tuple[_Links, _Made, str, str]] = []
        self._sort_of: dict[str, int] = {}
        self._links: dict[_Links, _Links] = {}
        self._made: dict[_Made, _Made] = {}

    def entry(self, ids: Sequence[str]) -> dict[str, Any]:
        """What labels were made from, by themselves or through labels that they recompute."""
        entry, beyond, seen = self.gathered(ids), set(), set(ids)
        frontier = [link["id"] for link in entry["links"] if link["id"].startswith("label-")]
        while frontier := [id_ for id_ in frontier if id_ not in seen]:
            seen.update(frontier)
            further = self.gathered(frontier)
            entry["absent"] += further["absent"]
            for field in ("hosts", "versions"):
                entry[field] = sorted({*entry[field], *further[field]})
            sources = [link["id"] for link in further["links"]]
            beyond.update(sources)
            frontier = [id_ for id_ in sources if id_.startswith("label-")]
        return {**entry, "beyond": sorted(beyond - {link["id"] for link in entry["links"]})}

    def gathered(self, ids: Sequence[str]) -> dict[str, Any]:
        """As the function `gathered`."""
        unknown = [id_ for id_ in dict.fromkeys(ids) if id_ not in self._sort_of]
        for batch in batches(unknown):
            self._ask(batch)
        numbers = Counter(self._sort_of[id_] for id_ in ids if id_ in self._sort_of)
        counts: Counter[tuple[str, str]] = Counter()
        inputs: set[_Links] = set()
        made: set[_Made] = set()
        for sort, n in numbers.items():
            some, by, system, level = self._sorts[sort]
            inputs.add(some)
            made.add(by)
            counts[system, level] += n
        links = {link for some in inputs for link in some}
        return {
            "links": [{"role": role, "id": id_, "content": content} for role, id_, content in sorted(links)],
            "hosts": sorted({host for host, _ in made}),
            "versions": sorted({version for _, versions in made for version in versions}),
            "counts": [
                {"system": system, "level_of_theory": level, "n": n} for (system, level), n in sorted(counts.items())
            ],
            "absent": len(ids) - numbers.total(),
        }

    def _ask(self, ids: list[str]) -> None:
        key = {"system": "$origin.system", "level": "$asked.level_of_theory", "host": "$made_by.host"}
        key |= {"versions": "$made_by.versions", "inputs": "$inputs"}
        stages: list[dict[str, Any]] = [
            {"$match": {"_id": {"$in": ids}}},
            {"$group": {"_id": key, "ids": {"$push": "$_id"}}},
        ]
        for group in self._database.collection(RESULTS["label"]).aggregate(stages):
            one = group["_id"]
            links = tuple((link["role"], link["id"], link["content"]) for link in one.get("inputs", []))
            versions = tuple(f"{program}={version}" for program, version in one.get("versions", {}).items())
            made = (str(one.get("host", "")), versions)
            self._sort_of.update(dict.fromkeys(group["ids"], len(self._sorts)))
            shared = self._links.setdefault(links, links), self._made.setdefault(made, made)
            self._sorts.append((*shared, str(one.get("system", "")), str(one.get("level", ""))))


def gathered(database: Database, ids: Sequence[str]) -> dict[str, Any]:
    """What labels were made from and by, together: a round trip for ten thousand.

    Parameters
    ----------
    database : Database
    ids : sequence of str
        Labels, each once.

    Returns
    -------
    dict
        ``links``: the different inputs (role, id, content); ``hosts``; ``versions`` as 'PROGRAM=VERSION'; ``counts``:
        ``{system, level_of_theory, n}``; ``absent``: how many of the labels are not in this database.
    """
    return _Labels(database).gathered(ids)
