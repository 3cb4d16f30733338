"""Which documents stand on which others: ids only, answered by indexes, never by reading documents.

Labels are passed over in bulk: what was made from the labels of a level of theory, a run or a structure is known from
`lipsdb.provenance.label_origins`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from lipsdb.provenance.kinds import COLLECTIONS, RESULTS
from lipsdb.provenance.label_origins import LABEL_ORIGINS, LabelOrigins, kinds_named
from lipsdb.store.batches import ANSWER, batches, side_by_side

if TYPE_CHECKING:
    from lipsdb.store.database import Database

_SETS_APART = 8  # with more sets of roots than this, one query finds the consumers of them all

Groups = dict[str, set[str]]  # ids by what they are: a kind, or the name of a property


def kind_of(what: str) -> str:
    """The kind of document of 'run', 'diffusion' …

    Examples
    --------
    >>> kind_of("run"), kind_of("diffusion")
    ('run', 'property')
    """
    return what if what in COLLECTIONS else "property"


def by_kind(ids: Iterable[str]) -> Groups:
    """Ids by kind, those of no kind of result left out."""
    groups: Groups = {}
    for id_ in ids:
        kind = id_.partition("-")[0]
        if kind in RESULTS:
            groups.setdefault(kind, set()).add(id_)
    return groups


def _add(groups: Groups, others: Mapping[str, Iterable[str]]) -> None:
    for what, ids in others.items():
        groups.setdefault(what, set()).update(ids)


@dataclass
class Reach:
    """What lies downstream of some documents, in bulk.

    Attributes
    ----------
    ids : dict
        Ids by what they are: the kind, or the name of the property ('run', 'diffusion' …). Labels are there only if
        they recompute one that is a root.
    n_labels : int
        How many labels were made directly from any of these documents.
    direct, steps : set of pairs
        What was made from what: from the documents themselves, and further on.
    """

    ids: Groups = field(default_factory=dict)
    n_labels: int = 0
    direct: set[tuple[str, str]] = field(default_factory=set)
    steps: set[tuple[str, str]] = field(default_factory=set)

    @property
    def n_documents(self) -> int:
        """Labels and all others."""
        return self.n_labels + sum(len(ids) for what, ids in self.ids.items() if what != "label")


class Downstream:
    """Steps downstream in one database; what it learns of the database is kept for the next step."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._naming: dict[str, set[str]] = {}

    @cached_property
    def origins(self) -> LabelOrigins:
        """What labels were made from."""
        return LabelOrigins(self.database)

    def naming(self, kind: str) -> set[str]:
        """Collections with documents that are made from this kind."""
        if kind not in self._naming:
            found = {name for name in RESULTS.values() if kinds_named(self.database, name, [kind])}
            self._naming[kind] = found
        return self._naming[kind]

    def gives_labels(self, kind: str) -> bool:
        """Whether labels are made from this kind."""
        return RESULTS["label"] in self.naming(kind)

    def consumers(self, kind: str, ids: Collection[str]) -> Groups:
        """What was made directly from any of these documents of one kind, labels left out."""
        found: Groups = {}
        for name in self.naming(kind) - {RESULTS["label"], RESULTS["property"]}:
            consumer = next(one for one, collection in RESULTS.items() if collection == name)
            found[consumer] = self._naming_any(name, ids)
        if RESULTS["property"] in self.naming(kind):
            _add(found, self._properties_naming_any(ids))
        return {what: some for what, some in found.items() if some}

    def labels(self, kind: str, ids: Collection[str]) -> set[str]:
        """Ids of the labels that were made directly from any of these."""
        if not self.gives_labels(kind):
            return set()
        return self._naming_any(RESULTS["label"], ids)

    def _naming_any(self, name: str, ids: Collection[str]) -> set[str]:
        """Ids of the documents of a collection that were made directly from any of these."""
        return {entry["_id"] for entry in self._answers(name, ids, {"_id": 1})}

    def _properties_naming_any(self, ids: Collection[str]) -> Groups:
        """The same for properties, by their names."""
        found: Groups = {}
        for entry in self._answers(RESULTS["property"], ids, {"_id": 1, "name": "$asked.property"}):
            found.setdefault(str(entry["name"]), set()).add(entry["_id"])
        return found

    def _answers(self, name: str, ids: Collection[str], fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        collection = self.database.collection(name)

        def ask(batch: list[str]) -> list[dict[str, Any]]:
            # an aggregation, since find cannot answer with flat documents, which are decoded in a fifth of the time
            stages: list[dict[str, Any]] = [{"$match": {"inputs.id": {"$in": batch}}}, {"$project": fields}]
            return collection.aggregate(stages, batchSize=ANSWER).to_list()

        return [entry for answer in side_by_side(ask, list(batches(ids))) for entry in answer]

    def n_labels(self, groups: Mapping[str, Collection[str]]) -> int:
        """How many labels were made directly from any of these; one that was made from several counts once."""
        wanted = [id_ for what, ids in groups.items() if self.gives_labels(kind_of(what)) for id_ in ids]
        if not wanted:
            return 0
        # pymongo's count_documents groups; the plain command only counts, in half the time
        query = {"inputs.id": {"$in": wanted}} if len(wanted) > 1 else {"inputs.id": wanted[0]}
        return int(self.database.mongo.command("count", RESULTS["label"], query=query)["n"])

    def has_labels(self, kind: str, ids: Collection[str]) -> bool:
        """Whether any label was made directly from any of these."""
        collection = self.database.collection(RESULTS["label"])
        return self.gives_labels(kind) and any(
            collection.find_one({"inputs.id": {"$in": batch}}, {"_id": 1}) is not None for batch in batches(ids)
        )

    def through_labels(self, kind: str, ids: Collection[str]) -> set[str]:
        """What was made from labels that were made from any of these, but for other labels."""
        return self.origins.made_from(ids) if kind != "label" and self.gives_labels(kind) else set()

    def pairs(self, kind: str, ids: Collection[str], labels: bool) -> Iterator[tuple[str, str]]:
        """Each of these with what was made directly from it; labels only from other labels, unless all are wanted."""
        yield from self._pairs(ids, self._fields(kind, labels))

    def _fields(self, kind: str, labels: bool) -> list[tuple[str, str]]:
        """Collections and their fields that name what something was made from."""
        fields = [(name, "inputs.id") for name in self.naming(kind)]
        if kind != "label" and self.gives_labels(kind):
            self.origins  # noqa: B018 (makes the entries that are missing)
            fields = fields if labels else [pair for pair in fields if pair[0] != RESULTS["label"]]
            fields += [(LABEL_ORIGINS, "links.id"), (LABEL_ORIGINS, "beyond")]
        return fields

    def _pairs(self, ids: Collection[str], fields: Collection[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        for batch in batches(ids):
            for name, field_ in fields:
                for entry in self.database.mongo.aggregate(_consumers_of_each(batch, name, field_)):
                    yield from ((str(entry["_id"]), str(one["_id"])) for one in entry["consumers"])

    def what(self, ids: Iterable[str]) -> Groups:
        """Documents by what they are: their kinds, or the names of the properties (where they are stored)."""
        groups = by_kind(ids)
        for batch in batches(groups.pop("property", set())):
            named = dict.fromkeys(batch, "property")
            stored = self.database.collection(RESULTS["property"]).find({"_id": {"$in": batch}}, {"asked.property": 1})
            for id_, name in (named | {entry["_id"]: entry["asked"]["property"] for entry in stored}).items():
                groups.setdefault(name, set()).add(id_)
        return groups


class _DownstreamOfComputing(Downstream):
    """Steps that leave out those from where a configuration was taken to its label, or to its refusal."""

    def _computing(self, kind: str, ids: Collection[str]) -> Collection[str]:
        """Those that computed labels: levels of theory, ab initio runs, and runs that are not here to be asked."""
        if kind != "run":
            return ids if kind == "level_of_theory" else set()
        others, runs = set(ids), self.database.collection(RESULTS["run"])
        for batch in batches(ids):
            classical = {"_id": {"$in": batch}, "inputs.role": {"$ne": "level_of_theory"}}
            others.difference_update(str(entry["_id"]) for entry in runs.find(classical, {"_id": 1}))
        return others

    def consumers(self, kind: str, ids: Collection[str]) -> Groups:
        found = super().consumers(kind, ids)
        if "refusal" in found:
            computing = self._computing(kind, ids)
            found["refusal"] = self._naming_any(RESULTS["refusal"], computing)
        return found

    def labels(self, kind: str, ids: Collection[str]) -> set[str]:
        return super().labels(kind, self._computing(kind, ids))

    def through_labels(self, kind: str, ids: Collection[str]) -> set[str]:
        computing = self._computing(kind, ids)
        return self.origins.made_from(computing, beyond=False) if computing and self.gives_labels(kind) else set()

    def pairs(self, kind: str, ids: Collection[str], labels: bool) -> Iterator[tuple[str, str]]:
        fields = self._fields(kind, labels)
        of_configurations = {RESULTS["label"], RESULTS["refusal"], LABEL_ORIGINS}
        yield from self._pairs(ids, [pair for pair in fields if pair[0] not in of_configurations])
        computing = [pair for pair in fields if pair[0] in of_configurations and pair[1] != "beyond"]
        yield from self._pairs(self._computing(kind, ids), computing)


def _consumers_of_each(ids: list[str], collection: str, field_: str) -> list[dict[str, Any]]:
    lookup = {"from": collection, "localField": "_id", "foreignField": field_, "as": "consumers"}
    return [
        {"$documents": [{"_id": id_} for id_ in ids]},
        {"$lookup": {**lookup, "pipeline": [{"$project": {"_id": 1}}]}},
        {"$match": {"consumers": {"$ne": []}}},
    ]


def reach(
    database: Database, roots: Iterable[str] | Groups, depth: int | None = None, *, labelled: Iterable[str] = ()
) -> Reach:
    """Everything downstream of some documents.

    Parameters
    ----------
    database : Database
    roots : iterable of str
        Ids, of documents that need not be stored; or what `Downstream.what` said of them.
    depth : int, optional
        At most so many steps; all by default.
    labelled : iterable of str
        Documents that were made from labels which are roots, too, but too many to be named.

    Returns
    -------
    Reach
        The roots are not among its ids.
    """
    walk, found = Downstream(database), Reach()
    with _LabelCount(walk) as labels:
        _walk(walk, found, labels, roots, depth, labelled)
        found.n_labels = labels.result()
    return found


class _LabelCount:
    """Counts labels beside the walk: as soon as it seems that no more sources of labels are to come."""

    def __init__(self, walk: Downstream) -> None:
        self._walk = walk
        self._threads = ThreadPoolExecutor(1)
        self._sources: dict[str, int] = {}
        self._number: Future[int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def of(self, groups: Groups) -> None:
        """Count the labels that were made directly from these, unless that is under way."""
        sources = {what: ids for what, ids in groups.items() if ids and self._walk.gives_labels(kind_of(what))}
        numbers = {what: len(ids) for what, ids in sources.items()}
        if numbers != self._sources or self._number is None:
            self._sources = numbers
            self._number = self._threads.submit(self._walk.n_labels, {what: set(ids) for what, ids in sources.items()})

    def result(self) -> int:
        """Of the last count."""
        return 0 if self._number is None else self._number.result()


def _walk(
    walk: Downstream,
    found: Reach,
    labels: _LabelCount,
    roots: Iterable[str],
    depth: int | None,
    labelled: Iterable[str],
) -> None:
    frontier, through = roots if isinstance(roots, dict) else walk.what(roots), walk.what(labelled)
    seen = {what: set(ids) for what, ids in frontier.items()}
    level = 0
    while (frontier or through) and (depth is None or level < depth):
        steps = found.steps if level else found.direct
        following = _step(walk, frontier, steps)
        steps |= {("label", what) for what in through}
        _add(following, through)
        through = walk.what(_through(walk, frontier, seen))
        fresh = {what: ids - seen.get(what, set()) for what, ids in following.items()}
        frontier = {what: ids for what, ids in fresh.items() if ids}
        _add(seen, frontier)
        _add(found.ids, frontier)
        level += 1
        if not through and not any(walk.gives_labels(kind_of(what)) for what in frontier):
            labels.of(seen)
    labels.of({what: ids - frontier.get(what, set()) for what, ids in seen.items()})


def _through(walk: Downstream, frontier: Groups, seen: Groups) -> set[str]:
    """What was made from labels of these documents; nothing is asked once all that is made from labels was reached."""
    sources = {what: ids for what, ids in frontier.items() if what != "label" and walk.gives_labels(kind_of(what))}
    if not sources or walk.origins.ids <= set[str]().union(*seen.values()):
        return set()
    return set[str]().union(*(walk.through_labels(kind_of(what), ids) for what, ids in sources.items()))


def _step(walk: Downstream, frontier: Groups, steps: set[tuple[str, str]]) -> Groups:
    """What was made directly from documents, labels only from other labels; notes the steps."""
    following: Groups = {}
    for what, ids in frontier.items():
        consumers = walk.consumers(kind_of(what), ids)
        if what == "label":
            consumers |= {"label": labels} if (labels := walk.labels(what, ids)) else {}
        elif walk.has_labels(kind_of(what), ids):
            steps.add((what, "label"))
        steps |= {(what, other) for other in consumers}
        _add(following, consumers)
    return following


def origins_downstream(
    database: Database, roots: Iterable[str], *, labels: bool = True, configurations: bool = True
) -> dict[str, frozenset[str]]:
    """Say of each document downstream of some others on which of them it stands.

    Parameters
    ----------
    database : Database
    roots : iterable of str
        Ids of documents, which may be external or missing.
    labels : bool
        Whether the labels that were made from a root are listed, too. Hundreds of thousands may hang on a level of
        theory; leave them out where only what was made from them counts.
    configurations : bool
        Whether a label (or the refusal in its place) stands on the document that its configuration was taken from: a
        structure, a run, another label. Without, it stands on what computed it: its level of theory, an ab initio run.

    Returns
    -------
    dict
        Id of each document downstream (withdrawals and audits left out) to the roots that it stands on; the roots
        themselves are there, each mapped to at least itself.
    """
    walk = Downstream(database) if configurations else _DownstreamOfComputing(database)
    found: dict[str, frozenset[str]] = {root: frozenset([root]) for root in roots}
    frontier = set(found)
    while frontier:
        alike: dict[frozenset[str], list[str]] = {}
        for id_ in frontier:
            alike.setdefault(found[id_], []).append(id_)
        frontier = set()
        for origins, consumer in _apart(walk, alike, labels):
            known = found.get(consumer, frozenset())
            if not origins <= known:
                found[consumer] = known | origins
                frontier.add(consumer)
    return found


def _apart(
    walk: Downstream, alike: Mapping[frozenset[str], list[str]], labels: bool
) -> Iterator[tuple[frozenset[str], str]]:
    """Direct consumers of documents that stand on the same roots, with these roots."""
    if len(alike) > _SETS_APART:
        origins = {id_: roots for roots, ids in alike.items() for id_ in ids}
        for kind, ids in by_kind(origins).items():
            yield from ((origins[source], consumer) for source, consumer in walk.pairs(kind, ids, labels))
        return
    for roots, several in alike.items():
        for kind, ids in by_kind(several).items():
            direct = walk.through_labels(kind, ids).union(*walk.consumers(kind, ids).values())
            if labels or kind == "label":
                direct |= walk.labels(kind, ids)
            yield from ((roots, id_) for id_ in direct)
