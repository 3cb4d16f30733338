"""The kinds of documents and the collections that hold them."""

from __future__ import annotations

COLLECTIONS = {
    "structure": "structures",
    "label": "labels",
    "dataset": "datasets",
    "potential": "potentials",
    "run": "runs",
    "property": "properties",
    "campaign": "campaigns",
}
