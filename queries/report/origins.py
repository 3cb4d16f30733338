"""What each number of a report was made from: one foldable tree a document, however often it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lipsdb.provenance.lineage import Edge, Lineage, as_html, lineage

if TYPE_CHECKING:
    from lipsdb.store.database import Database


class Origins:
    """Trees by document id, each made once; documents below one that was walked already cost no further query."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._walked: dict[str, Lineage] = {}  # any document to a lineage that contains all of its own
        self._above: dict[str, dict[str, list[Edge]]] = {}  # root of a lineage to its edges by target
        self._trees: dict[str, str] = {}

    def trees(self) -> dict[str, str]:
        """HTML of the trees asked for so far, by id; text in it is escaped."""
        return dict(sorted(self._trees.items()))

    def ask(self, ids: Iterable[str]) -> None:
        """Make the trees of these documents."""
        for id_ in ids:
            if id_ not in self._trees:
                self._trees[id_] = as_html(self._lineage_of(id_))

    def _lineage_of(self, id_: str) -> Lineage:
        if id_ not in self._walked:
            found = lineage(self._database, id_)
            above: dict[str, list[Edge]] = {}
            for edge in found.edges:
                above.setdefault(edge.target, []).append(edge)
            self._above[id_] = above
            for node in found.nodes:
                self._walked.setdefault(node, found)
            return found
        whole = self._walked[id_]
        return whole if whole.root == id_ else _part(whole, self._above[whole.root], id_)


def _part(whole: Lineage, above: dict[str, list[Edge]], root: str) -> Lineage:
    """The part of a lineage upstream of one of its documents."""
    nodes, edges, frontier = {root: whole.nodes[root]}, [], [root]
    while frontier:
        for edge in above.get(frontier.pop(), []):
            edges.append(edge)
            if edge.source not in nodes:
                nodes[edge.source] = whole.nodes[edge.source]
                frontier.append(edge.source)
    return Lineage(root, "up", nodes, edges)
