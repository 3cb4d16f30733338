"""What each number of a report was made from: one foldable tree a document, however often it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lipsdb.provenance.lineage import Lineage, as_html, lineage

if TYPE_CHECKING:
    from lipsdb.store.database import Database


class Origins:
    """Trees by document id, each made once; documents below one that was walked already cost no further query."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._walked: dict[str, Lineage] = {}  # any document to a lineage that contains all of its own
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
            for node in found.nodes:
                self._walked.setdefault(node, found)
            return found
        whole = self._walked[id_]
        return whole if whole.root == id_ else whole.part(id_)
