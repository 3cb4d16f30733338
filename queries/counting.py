"""Counts of documents, some of which stand on withdrawn ones: how many those are, or the counts without them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lipsdb.queries.aggregation import Aggregation, Stage, fetch
from lipsdb.queries.tables import Column
from lipsdb.queries.tainting import TAINTED, MarkedRows, standing

if TYPE_CHECKING:
    from lipsdb.provenance.withdrawal import Taint
    from lipsdb.store.database import Database

_AT_ONCE = 5_000  # ids that stand in one pipeline, up to nine times


@dataclass(frozen=True)
class Among:
    """The part of the documents that a pipeline counts.

    Attributes
    ----------
    ids : dict or None
        Condition on `_id`; None for all documents.
    listed : bool
        Whether the ids of each group are listed, as its field `ids`.
    """

    ids: Stage | None = None
    listed: bool = False

    def stages(self) -> list[Stage]:
        """Stages that let only these pass."""
        return [] if self.ids is None else [{"$match": {"_id": self.ids}}]

    def totals(self) -> Stage:
        """What to collect in each group beside the counts."""
        return {"ids": {"$push": "$_id"}} if self.listed else {}


EVERYTHING = Among()


@dataclass(frozen=True)
class TaintedCounts:
    """Documents among those that a query counts that stand on withdrawn ones.

    Attributes
    ----------
    taint : Taint
    groups : dict
        Their ids by the group that they are counted in.
    exclude : bool
        Whether they are not to be counted.
    """

    taint: Taint
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exclude: bool = False

    @property
    def ids(self) -> list[str]:
        """All of them, sorted."""
        return sorted({id_ for ids in self.groups.values() for id_ in ids})

    def of(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """How many there are in a group, and on which withdrawn documents they stand."""
        ids = self.groups.get(_key(group), ())
        return {"n_tainted": len(ids), "withdrawals": [withdrawal.document for withdrawal in self.taint.of(*ids)]}

    def marked(self, rows: Sequence[Any]) -> MarkedRows:
        """The rows of the counts, with what is to be said of these documents."""
        left_out = standing(len(self.ids), "document") if self.exclude else ""
        return MarkedRows(rows, self.taint.of(*self.ids), left_out)


def tainted_counts(
    database: Database,
    aggregation_of: Callable[[Among], Aggregation],
    taint: Taint,
    kinds: Sequence[str],
    *,
    exclude: bool,
) -> TaintedCounts:
    """Find what stands on withdrawn documents among those that a query counts.

    Parameters
    ----------
    database : Database
    aggregation_of : callable
        Gives the pipeline that counts some of the documents.
    taint : Taint
    kinds : sequence of str
        What is counted.
    exclude : bool
        Whether they are not to be counted.
    """
    tainted = sorted(id_ for id_ in taint.origins if id_.partition("-")[0] in kinds)
    groups: dict[str, list[str]] = {}
    for start in range(0, len(tainted), _AT_ONCE):
        among = Among({"$in": tainted[start : start + _AT_ONCE]}, listed=True)
        for group in aggregation_of(among).run(database):
            groups.setdefault(_key(group), []).extend(group["ids"])
    return TaintedCounts(taint, groups, exclude)


def fetch_counts(
    database: Database,
    aggregation_of: Callable[[Among], Aggregation],
    campaign: str | None,
    tainted: TaintedCounts | None,
) -> list[dict[str, Any]]:
    """Run an aggregation that counts; a group may come in several parts if much is left out.

    Each group says `n_tainted` and `withdrawals` unless such documents are left out or there are none.
    """
    if tainted is not None and tainted.exclude and tainted.groups:
        return [group for among in _others(tainted.ids) for group in fetch(database, aggregation_of(among), campaign)]
    found = fetch(database, aggregation_of(EVERYTHING), campaign)
    return found if tainted is None else [group | tainted.of(group) for group in found]


def _others(ids: Sequence[str]) -> Iterator[Among]:
    """All documents but these, in pieces that one pipeline can hold: each document belongs to one piece."""
    for start in range(0, len(ids), _AT_ONCE):
        batch = list(ids[start : start + _AT_ONCE])
        last = start + _AT_ONCE >= len(ids)
        above = {"$gt": ids[start - 1] if start else ""}
        yield Among({**above, **({} if last else {"$lte": batch[-1]}), "$nin": batch})


def one_of_parts(parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One group for all its parts: counts summed, sets united, everything else as in the first.

    Examples
    --------
    >>> one_of_parts([{"_id": {"a": 1}, "n": 2, "b": ["x"]}, {"_id": {"a": 1}, "n": 1, "b": ["x", "y"]}])
    [{'_id': {'a': 1}, 'n': 3, 'b': ['x', 'y']}]
    """
    whole: dict[str, dict[str, Any]] = {}
    for part in parts:
        known = whole.setdefault(_key(part), {"_id": part["_id"]})
        for name, value in part.items():
            if name == "n":
                known[name] = known.get(name, 0) + value
            elif isinstance(value, list):
                known[name] = [*known.get(name, []), *(one for one in value if one not in known.get(name, []))]
            else:
                known.setdefault(name, value)
    return list(whole.values())


def tainted_fields(groups: Sequence[Mapping[str, Any]], *flags: str) -> dict[str, Any]:
    """Fields of a row of these groups: its flags, and how many of its documents stand on withdrawn ones, and on which.

    Examples
    --------
    >>> tainted_fields([{"n": 5, "n_tainted": 2, "withdrawals": ["label-1"]}, {"n": 3}], "elsewhere")
    {'flags': ('elsewhere', 'tainted'), 'n_tainted': 2, 'withdrawals': ('label-1',)}
    """
    n_tainted = sum(group.get("n_tainted", 0) for group in groups)
    withdrawals = {id_ for group in groups for id_ in group.get("withdrawals", ())}
    marked = (*flags, TAINTED) if n_tainted else flags
    return {"flags": marked, "n_tainted": n_tainted, "withdrawals": tuple(sorted(withdrawals))}


def tainted_column(rows: Sequence[Any]) -> list[Column]:
    """How many of the documents of each row stand on withdrawn ones; no column if none do."""
    return [Column("tainted", "", lambda row: row.n_tainted)] if any(row.n_tainted for row in rows) else []


def _key(group: Mapping[str, Any]) -> str:
    return json.dumps(group["_id"], sort_keys=True, default=str)
