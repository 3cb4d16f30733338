"""The kinds of documents and the collections that hold them."""

from __future__ import annotations

COLLECTIONS = {
    "level_of_theory": "levels_of_theory",
    "structure": "structures",
    "label": "labels",
    "refusal": "refusals",
    "dataset": "datasets",
    "potential": "potentials",
    "run": "runs",
    "property": "properties",
    "campaign": "campaigns",
    "withdrawal": "withdrawals",
    "audit": "audits",
}

# documents about documents: nothing is made from them, and they are nobody's result
RECORDS = frozenset({"withdrawal", "audit"})
RESULTS = {kind: name for kind, name in COLLECTIONS.items() if kind not in RECORDS}
