"""Documents counted on the server by what the rules ask of them: few groups, whatever the number of documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lipsdb.provenance.audit.reading import lenient
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.store.batches import batches

if TYPE_CHECKING:
    from lipsdb.provenance.audit.findings import Survey
    from lipsdb.store.database import Database

#: What makes two documents alike for the rules, as expressions.
MADE: Mapping[str, Any] = {
    "activity": "$made_by.activity",
    "versions": "$made_by.versions",
    "engine": {"$ifNull": ["$asked.engine", "$answer.engine"]},
    "program": "$asked.program",
    "property": "$asked.property",
    "method": "$asked.method",
}


def linked(role: str) -> dict[str, Any]:
    """Ids of the inputs in a role, as an expression; an array."""
    entries = {"$cond": [{"$isArray": "$inputs"}, "$inputs", []]}
    chosen = {"$filter": {"input": entries, "cond": {"$eq": ["$$this.role", role]}}}
    return {"$map": {"input": chosen, "in": "$$this.id"}}


#: The same of a label: its level of theory and its cell.
LABEL: Mapping[str, Any] = {"levels": linked("level_of_theory"), "formula": "$answer.formula"}

_ENERGY = {"$convert": {"input": "$answer.energy_eV", "to": "double", "onError": None, "onNull": None}}
#: Energy per atom of a label, eV; null if it is not a finite number.
ENERGY_PER_ATOM: Mapping[str, Any] = {
    "$let": {
        "vars": {"energy": _ENERGY, "n": "$answer.n_atoms"},
        "in": {
            "$cond": [
                {
                    "$and": [
                        {"$isNumber": "$$n"},
                        {"$gt": ["$$n", 0]},
                        {"$gt": ["$$energy", float("-inf")]},
                        {"$lt": ["$$energy", float("inf")]},
                    ]
                },
                {"$divide": ["$$energy", "$$n"]},
                None,
            ]
        },
    }
}


@dataclass
class Group:
    """Documents of a kind that are alike for the rules.

    Attributes
    ----------
    kind : str
    key : dict
        Values of the expressions that were grouped by; None where a field is absent.
    n : int
        How many documents.
    n_odd : int
        How many labels have no finite energy per atom.
    least, most : float or None
        Range of their energies per atom, eV.
    """

    kind: str
    key: dict[str, Any]
    n: int = 0
    n_odd: int = 0
    least: float | None = None
    most: float | None = None
    expressions: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def versions(self) -> Mapping[str, Any]:
        """Programs and their versions; empty if that record is illegible."""
        versions = self.key.get("versions")
        return versions if isinstance(versions, Mapping) else {}


def tally(database: Database, kind: str, survey: Survey, conditions: Iterable[str] = ()) -> list[Group]:
    """Count documents of a kind by how they were made; one reading of the collection.

    Parameters
    ----------
    database : Database
    kind : str
    survey : Survey
        Its scope tells which documents count.
    conditions : iterable of str
        More fields to group by, such as asked.settings.ensemble.

    Returns
    -------
    list of Group
    """
    expressions = {**MADE, **(LABEL if kind == "label" else {})}
    expressions |= {_name(path): f"${path}" for path in conditions}
    accumulators: dict[str, Any] = {"n": {"$sum": 1}}
    stages: list[dict[str, Any]] = []
    if kind == "label":
        stages.append({"$addFields": {"energy_per_atom": ENERGY_PER_ATOM}})
        accumulators |= {
            "least": {"$min": "$energy_per_atom"},
            "most": {"$max": "$energy_per_atom"},
            "n_odd": {"$sum": {"$cond": [{"$eq": ["$energy_per_atom", None]}, 1, 0]}},
        }
    stages.append({"$group": {"_id": _or_none(expressions), **accumulators}})
    groups: dict[str, Group] = {}
    for found in _aggregated(database, kind, survey, stages):
        key = found.pop("_id")
        group = groups.setdefault(repr(key), Group(kind, key, expressions=expressions))
        group.n += found["n"]
        group.n_odd += found.get("n_odd", 0)
        group.least = min((value for value in (group.least, found.get("least")) if value is not None), default=None)
        group.most = max((value for value in (group.most, found.get("most")) if value is not None), default=None)
    return list(groups.values())


def condition(group: Group, path: str) -> Any:
    """Value of a field that was grouped by."""
    return group.key.get(_name(path))


def members(
    database: Database, survey: Survey, group: Group, fields: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Documents of a group, with these fields beside their ids."""
    alike = [{"$eq": [value, {"$literal": group.key.get(name)}]} for name, value in _or_none(group.expressions).items()]
    stages: list[dict[str, Any]] = [{"$match": {"$expr": {"$and": alike}}}, {"$project": {"_id": 1, **(fields or {})}}]
    yield from _aggregated(database, group.kind, survey, stages)


def _name(path: str) -> str:
    return f"condition {path.replace('.', ' ')}"


def _or_none(expressions: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"$ifNull": [expression, None]} for name, expression in expressions.items()}


def _aggregated(
    database: Database, kind: str, survey: Survey, stages: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    collection = lenient(database, COLLECTIONS[kind])
    if survey.scope is None:
        yield from collection.aggregate(stages, allowDiskUse=True)
        return
    for batch in batches(sorted(id_ for id_ in survey.scope if id_.startswith(f"{kind}-"))):
        yield from collection.aggregate([{"$match": {"_id": {"$in": batch}}}, *stages], allowDiskUse=True)
