"""Lineage: what a document was made from, and what was made from it.

The documents form a graph through their ``inputs``; it is walked breadth-first, one round trip a level and collection
(10,000 ids at most in each), never one a document. Labels, of which tens of thousands stand behind a dataset, are
compared with what it recorded and counted, not fetched; downstream, where there is too much to be drawn, documents are
counted by what they are.
"""

from lipsdb.provenance.lineage.graph import Edge, Group, Lineage, Node
from lipsdb.provenance.lineage.views import as_dot, as_html, as_json, as_tree
from lipsdb.provenance.lineage.walk import descend, lineage, upstream_ids

__all__ = [
    "Edge",
    "Group",
    "Lineage",
    "Node",
    "as_dot",
    "as_html",
    "as_json",
    "as_tree",
    "descend",
    "lineage",
    "upstream_ids",
]
