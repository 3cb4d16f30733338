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
    "classifier": "classifiers",
    "property": "properties",
    "campaign": "campaigns",
    "withdrawal": "withdrawals",
    "audit": "audits",
}

# documents about documents: nothing is made from them, and they are nobody's result
RECORDS = frozenset({"withdrawal", "audit"})
RESULTS = {kind: name for kind, name in COLLECTIONS.items() if kind not in RECORDS}
_KIND_OF = {name: kind for kind, name in COLLECTIONS.items()}


def falls_with(kind: str, role: str) -> bool:
    """Whether a document of this kind is wrong if its input in this role is.

    A label, like the refusal of one, holds its configuration and stands on what computed it only, not on where that
    configuration was taken from.

    Examples
    --------
    >>> falls_with("label", "level_of_theory"), falls_with("label", "structure"), falls_with("run", "structure")
    (True, False, True)
    """
    return role == "level_of_theory" or kind not in {"label", "refusal"}


def counted(number: int, name: str) -> str:
    """So many documents of a kind or a collection, in words; other names stay as they are.

    Examples
    --------
    >>> counted(1, "levels_of_theory"), counted(18, "property"), counted(2, "launches")
    ('1 level of theory', '18 properties', '2 launches')
    """
    kind = _KIND_OF.get(name, name)
    return f"{number} {(kind if number == 1 else COLLECTIONS.get(kind, name)).replace('_', ' ')}"
