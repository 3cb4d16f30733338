"""The walks through the graph of documents, and what is known of each document that they meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lipsdb.provenance.downstream import Reach, reach
from lipsdb.provenance.kinds import RESULTS
from lipsdb.provenance.lineage.ascent import ALONE, Ascent, contents_of, fetch
from lipsdb.provenance.lineage.graph import Direction, Edge, Group, Lineage, Node, State
from lipsdb.provenance.links import by_collection, links_of
from lipsdb.provenance.summaries import summary_fields, summary_of
from lipsdb.store.batches import batches

if TYPE_CHECKING:
    from lipsdb.provenance.withdrawal import Taint
    from lipsdb.store.database import Database

_FILTERED_BY_SERVER = 50  # with more ids than this, filtering a dataset's links costs the server more than sending them
_DRAWN = 1_000  # with more documents than this downstream, they are counted by what they are


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
        A document that is named as an input but not stored is a node, too, 'external' or 'missing'. More than a few
        labels of one document form a group. Downstream, if there are thousands of documents, all are in groups.
    """
    from lipsdb.provenance.withdrawal import taint

    stands = taint(database)
    if direction == "up":
        walk = Ascent(database, stands)
        walk.climb([id_], depth)
        nodes = _nodes(database, walk.documents, walk.edges, walk.named, stands)
        return Lineage(id_, direction, nodes, walk.edges, walk.groups).with_taint()
    found = reach(database, [id_], depth)
    documents, edges = descend(database, [id_], depth) if found.n_documents <= _DRAWN else ({}, [])
    documents |= fetch(database, [id_])
    nodes = _nodes(database, documents, edges, {id_}, stands)
    if found.n_documents <= _DRAWN:
        return _gather_labels(Lineage(id_, direction, nodes, edges).with_taint())
    return Lineage(id_, direction, nodes, _steps(id_, found), _counted(database, nodes[id_], found)).with_taint()


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
    """Everything that was made from these documents, withdrawals and audits left out.

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
            for kind, name in RESULTS.items():
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


def _gather_labels(found: Lineage) -> Lineage:
    """Downstream: many labels that were made from one document become a group."""
    made: dict[str, list[str]] = {}
    for edge in found.edges:
        if found.nodes[edge.target].kind == "label":
            made.setdefault(edge.source, []).append(edge.target)
    groups: dict[str, Group] = {}
    member: dict[str, str] = {}
    for source, ids in made.items():
        labels = [found.nodes[id_] for id_ in dict.fromkeys(ids) if id_ not in member and id_ != found.root]
        if len(labels) > ALONE:
            name = f"labels of {source}"
            member |= dict.fromkeys((node.id for node in labels), name)
            groups[name] = _group_of(name, labels)
    edges = [
        Edge(member[edge.source], edge.target, edge.role, "") if edge.source in member
        else Edge(edge.source, member[edge.target], edge.role, edge.content) if edge.target in member
        else edge
        for edge in found.edges
    ]  # fmt: skip
    nodes = {id_: node for id_, node in found.nodes.items() if id_ not in member}
    return Lineage(found.root, found.direction, nodes, list(dict.fromkeys(edges)), groups)


def _group_of(name: str, labels: Sequence[Node]) -> Group:
    states: Counter[str] = Counter(node.state for node in labels if node.state != "present")
    states += Counter(node.standing for node in labels if node.standing)
    systems, levels = Counter(node.group for node in labels), Counter(node.level_of_theory for node in labels)
    return Group(name, "label", len(labels), systems, levels, states, {node.id: str(node.content) for node in labels})  # fmt: skip # noqa: E501


def _steps(root: str, found: Reach) -> list[Edge]:
    """Edges between what is counted by what it is."""
    direct = {Edge(root, made, "", "") for _, made in found.direct}
    steps = {Edge(source, made, "", "") for source, made in found.steps}
    return sorted(direct | steps, key=lambda edge: (edge.source, edge.target))


def _counted(database: Database, root: Node, found: Reach) -> dict[str, Group]:
    """Everything downstream by what it is; labels by system, too, if all were made from the root."""
    groups = {what: Group(what, what, len(ids)) for what, ids in found.ids.items()}
    if found.n_labels:
        labels, of_root = database.collection(RESULTS["label"]), {"inputs.id": root.id}
        systems = {
            system: int(
                database.mongo.command("count", RESULTS["label"], query={**of_root, "origin.system": system})["n"]
            )
            for system in labels.distinct("origin.system", of_root)
        }
        whole = sum(systems.values()) == found.n_labels
        groups["label"] = Group("label", "label", found.n_labels, systems if whole else {})
    return groups


def _nodes(
    database: Database,
    documents: Mapping[str, Mapping[str, Any]],
    edges: Sequence[Edge],
    named: set[str],
    stands: Taint,
) -> dict[str, Node]:
    from lipsdb.store.database import EXTERNALS

    absent = sorted(named - documents.keys())
    noted = contents_of(database, EXTERNALS, absent)
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
        nodes[id_] = Node(id_, kind, summary, document.get("content"), state, group, level, _standing(stands, id_))
    for id_ in absent:
        kind = id_.partition("-")[0]
        if id_ in noted:
            state, summary = "changed" if id_ in changed else "external", f"{kind}: not in this database"
        else:
            state, summary = "missing", f"{kind}: missing"
        nodes[id_] = Node(id_, kind, summary, noted.get(id_), state, standing=_standing(stands, id_))
    return nodes


def _standing(stands: Taint, id_: str) -> str:
    return "withdrawn" if id_ in stands.withdrawn else "tainted" if id_ in stands.origins else ""


def _text(document: Mapping[str, Any], part: str, field_: str) -> str:
    """A field of a part of a document, empty if the document is damaged."""
    inner = document.get(part)
    return str(inner.get(field_, "")) if isinstance(inner, Mapping) else ""


def _dataset_sizes(database: Database, documents: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Labels behind each potential."""
    datasets: dict[str, str] = {}
    for id_, document in documents.items():
        if id_.startswith("potential-"):
            linked = [link["id"] for link in links_of(document) if link["id"].startswith("dataset-")]
            if linked:
                datasets[id_] = linked[0]
    sizes = {}
    for batch in batches(sorted(set(datasets.values()))):
        fields = {"answer.n_training": 1, "answer.n_held": 1}
        for entry in database.collection(RESULTS["dataset"]).find({"_id": {"$in": batch}}, fields):
            answer = entry.get("answer", {})
            if isinstance(answer.get("n_training"), int) and isinstance(answer.get("n_held"), int):
                sizes[entry["_id"]] = answer["n_training"] + answer["n_held"]
    return {id_: sizes[dataset] for id_, dataset in datasets.items() if dataset in sizes}
