"""Lineage: what a document was made from, and what was made from it.

The documents form a graph through their ``inputs``; it is walked breadth-first, one round trip a level and collection
(10,000 ids at most in each), never one a document.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.lineage_views import as_dot, as_html, as_json, as_tree
from lipsdb.provenance.summaries import summary_fields, summary_of

if TYPE_CHECKING:
    from lipsdb.store.database import Database

__all__ = [
    "Edge",
    "Lineage",
    "Node",
    "as_dot",
    "as_html",
    "as_json",
    "as_tree",
    "lineage",
    "summary_fields",
    "summary_of",
]

Direction = Literal["up", "down"]
State = Literal["present", "external", "missing", "changed"]

_BATCH = 10_000
_FILTERED_BY_SERVER = 50  # with more ids than this, filtering a dataset's links costs the server more than sending them


@dataclass(frozen=True)
class Node:
    """A document in a lineage.

    Attributes
    ----------
    id, kind : str
    summary : str
        One line for people.
    content : str or None
        Its content hash now; for a document that is elsewhere the one that was noted; None if it is missing.
    state : str
        'present'; 'external' (an input of an adopted document, not in this database); 'missing'; or 'changed' (the
        content is not the one that a consumer recorded).
    group : str
        What it is counted under where thousands stand together: a label's system.
    level_of_theory : str
        Name of a label's level of theory.
    """

    id: str
    kind: str
    summary: str
    content: str | None
    state: State
    group: str = ""
    level_of_theory: str = ""


@dataclass(frozen=True)
class Edge:
    """`target` was made from `source`, in a role, when its content hash was `content`."""

    source: str
    target: str
    role: str
    content: str


@dataclass(frozen=True)
class Lineage:
    """The graph upstream ('up') or downstream ('down') of one document."""

    root: str
    direction: Direction
    nodes: dict[str, Node]
    edges: list[Edge]


def links_of(document: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    """Inputs of a document, those that are legible; what is not was found by its seal."""
    inputs = document.get("inputs")
    for link in inputs if isinstance(inputs, list) else []:
        if isinstance(link, Mapping) and all(isinstance(link.get(key), str) for key in ("role", "id", "content")):
            yield link


def by_collection(ids: Iterable[str]) -> dict[str, list[str]]:
    """Ids by the collection that their kind belongs to; ids of no kind are left out."""
    groups: dict[str, list[str]] = {}
    for id_ in ids:
        name = COLLECTIONS.get(id_.partition("-")[0])
        if name is not None:
            groups.setdefault(name, []).append(id_)
    return groups


def batches(ids: Sequence[str]) -> Iterator[list[str]]:
    """Ids in pieces that one query can hold."""
    for start in range(0, len(ids), _BATCH):
        yield list(ids[start : start + _BATCH])


def lineage(database: Database, id_: str, direction: Direction = "up", depth: int | None = None) -> Lineage:
    """Walk from a document to what it was made from, or to what was made from it.

    Parameters
    ----------
    database : Database
    id_ : str
        Where to begin; the whole id.
    direction : 'up' or 'down'
        To its inputs and theirs, or to its consumers and theirs.
    depth : int, optional
        At most so many steps; all by default.

    Returns
    -------
    Lineage
        A document that is named as an input but not stored is a node, too, 'external' or 'missing'.
    """
    if direction == "up":
        documents, edges, named = _ascend(database, [id_], depth)
    else:
        documents, edges = descend(database, [id_], depth)
        documents |= _fetch(database, [id_])
        named = {id_}
    return Lineage(id_, direction, _nodes(database, documents, edges, named), edges)


def _fetch(database: Database, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    found = {}
    for name, wanted in by_collection(ids).items():
        kind = wanted[0].partition("-")[0]
        fields = dict.fromkeys([*summary_fields(kind), "inputs"], 1)
        for batch in batches(wanted):
            for document in database.collection(name).find({"_id": {"$in": batch}}, fields):
                found[document["_id"]] = document
    return found


def _ascend(
    database: Database, roots: Sequence[str], depth: int | None
) -> tuple[dict[str, dict[str, Any]], list[Edge], set[str]]:
    """Documents found, edges, and every id that was named."""
    documents: dict[str, dict[str, Any]] = {}
    edges: list[Edge] = []
    named, frontier, level = set(roots), list(roots), 0
    while frontier:
        found = _fetch(database, frontier)
        documents |= found
        frontier = []
        if depth is not None and level >= depth:
            break
        for id_, document in found.items():
            for link in links_of(document):
                edges.append(Edge(link["id"], id_, link["role"], link["content"]))
                if link["id"] not in named:
                    named.add(link["id"])
                    frontier.append(link["id"])
        level += 1
    return documents, edges, named


def upstream_ids(database: Database, roots: Sequence[str]) -> set[str]:
    """Ids of documents and of everything that they were made from, stored or not."""
    named, frontier = set(roots), list(roots)
    while frontier:
        links: set[str] = set()
        for name, wanted in by_collection(frontier).items():
            for batch in batches(wanted):
                for document in database.collection(name).find({"_id": {"$in": batch}}, {"inputs": 1}):
                    links.update(link["id"] for link in links_of(document))
        frontier = sorted(links - named)
        named |= links
    return named


def descend(
    database: Database, roots: Sequence[str], depth: int | None = None
) -> tuple[dict[str, dict[str, Any]], list[Edge]]:
    """Everything that was made from these documents.

    Parameters
    ----------
    database : Database
    roots : sequence of str
        Ids, of documents that need not exist any more.
    depth : int, optional
        At most so many steps; all by default.

    Returns
    -------
    documents, edges : tuple
        The consumers by id (fields for their summaries), and who was made from whom.
    """
    documents: dict[str, dict[str, Any]] = {}
    edges: list[Edge] = []
    seen, frontier, level = set(roots), sorted(set(roots)), 0
    while frontier and (depth is None or level < depth):
        following: set[str] = set()
        for batch in batches(frontier):
            wanted = set(batch)
            for kind, name in COLLECTIONS.items():
                for document in database.collection(name).find({"inputs.id": {"$in": batch}}, _links_to(kind, batch)):
                    following.add(document["_id"])
                    documents.setdefault(document["_id"], document)
                    edges += [
                        Edge(link["id"], document["_id"], link["role"], link["content"])
                        for link in links_of(document)
                        if link["id"] in wanted
                    ]
        frontier = sorted(following - seen)
        seen |= following
        level += 1
    return documents, edges


def _links_to(kind: str, ids: list[str]) -> dict[str, Any]:
    """Projection: what the summary needs, and of the inputs those with these ids (or all, if these are many)."""
    chosen = {"$filter": {"input": "$inputs", "cond": {"$in": ["$$this.id", ids]}}}
    few = len(ids) <= _FILTERED_BY_SERVER
    return {**dict.fromkeys(summary_fields(kind), 1), "inputs": chosen if few else 1}


def _nodes(
    database: Database, documents: Mapping[str, Mapping[str, Any]], edges: Sequence[Edge], named: set[str]
) -> dict[str, Node]:
    from lipsdb.store.database import EXTERNALS

    absent = sorted(named - documents.keys())
    noted: dict[str, str] = {}
    for batch in batches(absent):
        for entry in database.collection(EXTERNALS).find({"_id": {"$in": batch}}):
            noted[entry["_id"]] = entry["content"]
    contents = {id_: document.get("content") for id_, document in documents.items()} | noted
    changed = {edge.source for edge in edges if contents.get(edge.source) not in {None, edge.content}}
    sizes = _dataset_sizes(database, documents)
    nodes = {}
    state: State
    for id_, document in documents.items():
        summary = summary_of(document, sizes.get(id_))
        kind, state = id_.partition("-")[0], "changed" if id_ in changed else "present"
        group = _text(document, "origin", "system")
        level = _text(document, "asked", "level_of_theory") if kind == "label" else ""
        nodes[id_] = Node(id_, kind, summary, document.get("content"), state, group, level)
    for id_ in absent:
        kind = id_.partition("-")[0]
        if id_ in noted:
            state, summary = "changed" if id_ in changed else "external", f"{kind}: not in this database"
        else:
            state, summary = "missing", f"{kind}: missing"
        nodes[id_] = Node(id_, kind, summary, noted.get(id_), state)
    return nodes


def _text(document: Mapping[str, Any], part: str, field: str) -> str:
    """A field of a part of a document, empty if the document is damaged."""
    inner = document.get(part)
    return str(inner.get(field, "")) if isinstance(inner, Mapping) else ""


def _dataset_sizes(database: Database, documents: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Labels behind each potential."""
    datasets: dict[str, str] = {}
    for id_, document in documents.items():
        if id_.startswith("potential-"):
            linked = [link["id"] for link in links_of(document) if link["id"].startswith("dataset-")]
            if linked:
                datasets[id_] = linked[0]
    missing = [id_ for id_ in set(datasets.values()) if id_ not in documents]
    known = {**documents, **_fetch(database, missing)}
    sizes = {}
    for id_, dataset in datasets.items():
        answer = known.get(dataset, {}).get("answer")
        if (
            isinstance(answer, Mapping)
            and isinstance(answer.get("n_training"), int)
            and isinstance(answer.get("n_held"), int)
        ):
            sizes[id_] = answer["n_training"] + answer["n_held"]
    return sizes
