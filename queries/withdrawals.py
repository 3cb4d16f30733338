"""Withdrawn documents: who withdrew them when and why, and what stands on them; a row each, undone ones too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lipsdb.provenance.kinds import COLLECTIONS, counted
from lipsdb.provenance.withdrawal import undone_by
from lipsdb.queries.aggregation import Aggregation, fetch, select
from lipsdb.queries.tables import Column, Table, short_id

if TYPE_CHECKING:
    from lipsdb.store.database import Database

_AT_ONCE = 10_000


@dataclass(frozen=True)
class WithdrawalRow:
    """One document that is withdrawn, or was; `downstream` counts the documents that stand on it, by their kinds."""

    id: str
    kind: str
    summary: str
    withdrawn: bool
    reason: str
    by: str
    at: datetime
    undone_reason: str | None
    undone_by: str | None
    undone_at: datetime | None
    downstream: tuple[tuple[str, int], ...]
    numbers: tuple[str, ...]  # numbers with a published one beside them that stand on it
    records: tuple[str, ...]

    @property
    def stands_on(self) -> tuple[str, ...]:
        """Nothing: the row is about the document and does not use it."""
        return ()


def aggregation(campaign: str | None = None) -> Aggregation:
    """The pipeline: the records of withdrawal by document, the latest last; those of all campaigns."""
    record = {"_id": "$_id", "asked": "$asked", "at": "$answer.at", "inputs": "$inputs"}
    pipeline = [
        *select("withdrawals", {"asked.document": {"$gte": ""}}, None, campaigns=False),
        {"$sort": {"asked.document": 1, "answer.at": 1, "_id": 1}},
        {"$group": {"_id": "$asked.document", "records": {"$push": record}}},
        {"$sort": {"_id": 1}},
    ]
    return Aggregation("withdrawals", pipeline)


def rows(database: Database, campaign: str | None = None) -> list[WithdrawalRow]:
    """Run the query; newest first.

    Parameters
    ----------
    database : Database
    campaign : str, optional
        Only documents that it asked for or on which something of it stands, which alone is counted.

    Raises
    ------
    NotFoundError
        If there is no such campaign.
    """
    from lipsdb.provenance.downstream import origins_downstream

    found = fetch(database, aggregation(campaign), campaign)
    if not found:
        return []
    ids = [group["_id"] for group in found]
    origins = origins_downstream(database, ids, configurations=False)
    if campaign is not None:
        wanted = _asked_for(database, list(origins), campaign)
        origins = {id_: roots for id_, roots in origins.items() if id_ in wanted}
    counts: dict[str, Counter[str]] = {id_: Counter() for id_ in ids}
    for id_, roots in origins.items():
        for root in roots - {id_}:
            counts[root][id_.partition("-")[0]] += 1
    numbers: dict[str, list[str]] = {}
    for name, documents in _numbers(database, campaign):
        for root in sorted({root for id_ in documents for root in origins.get(id_, ())}):
            numbers.setdefault(root, []).append(name)
    summaries = _summaries(database, ids)
    made = [
        row_of(group, summaries.get(group["_id"], "not in this database"), counts[group["_id"]], numbers)
        for group in found
        if campaign is None or counts[group["_id"]] or group["_id"] in origins
    ]
    return sorted(made, key=lambda row: row.undone_at or row.at, reverse=True)


def row_of(
    group: Mapping[str, Any], summary: str, counts: Mapping[str, int], numbers: Mapping[str, Sequence[str]]
) -> WithdrawalRow:
    """Make the row of one document from its records."""
    records, id_ = group["records"], group["_id"]
    undoing, by_id = undone_by(records), {record["_id"]: record for record in records}
    said = max(  # one in force, if there is any; the newest
        (record for record in records if record["asked"]["withdrawn"]),
        key=lambda record: (record["_id"] not in undoing, record["at"]),
    )
    undone = by_id[undoing[said["_id"]]] if said["_id"] in undoing else None
    return WithdrawalRow(
        id=id_,
        kind=id_.partition("-")[0],
        summary=summary.removeprefix(f"{id_.partition('-')[0]}: "),
        withdrawn=undone is None,
        reason=said["asked"]["reason"],
        by=said["asked"]["by"],
        at=said["at"],
        undone_reason=None if undone is None else undone["asked"]["reason"],
        undone_by=None if undone is None else undone["asked"]["by"],
        undone_at=None if undone is None else undone["at"],
        downstream=tuple((kind, counts[kind]) for kind in COLLECTIONS if kind in counts),
        numbers=tuple(dict.fromkeys(numbers.get(id_, ()))),
        records=tuple(record["_id"] for record in records),
    )


def _numbers(database: Database, campaign: str | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Numbers that have a published one beside them, each with the documents that it comes from."""
    from lipsdb.queries import arrhenius, conductivity

    for fit in arrhenius.rows(database, campaign):
        if fit.published_Ea:
            yield f"Ea of {fit.structure}", (fit.id,)
    for row in conductivity.rows(database, campaign):
        if row.published_sigma:
            yield f"σ({row.temperature_K:g} K) of {row.structure}", row.stands_on
        if row.published_D:
            yield f"D({row.temperature_K:g} K) of {row.structure}", row.stands_on


def _by_kind(ids: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    kinds: dict[str, list[str]] = {}
    for id_ in ids:
        kinds.setdefault(id_.partition("-")[0], []).append(id_)
    for kind, same in kinds.items():
        for start in range(0, len(same), _AT_ONCE):
            yield kind, same[start : start + _AT_ONCE]


def _asked_for(database: Database, ids: Sequence[str], campaign: str) -> set[str]:
    """Those documents that a campaign asked for."""
    found: set[str] = set()
    for kind, batch in _by_kind(ids):
        chosen = select(COLLECTIONS[kind], {"_id": {"$in": batch}}, campaign, campaigns=False)
        named = database.collection(COLLECTIONS[kind]).aggregate([*chosen, {"$project": {"_id": 1}}])
        found.update(entry["_id"] for entry in named)
    return found


def _summaries(database: Database, ids: Sequence[str]) -> dict[str, str]:
    from lipsdb.provenance.summaries import summary_fields, summary_of

    found = {}
    for kind, batch in _by_kind(ids):
        for document in database.query(COLLECTIONS[kind], {"_id": {"$in": batch}}, summary_fields(kind)):
            found[document["_id"]] = summary_of(document)
    return found


def table(found: Sequence[WithdrawalRow]) -> Table:
    """Lay the rows out as a table."""
    undone = [Column("trusted again", "", _undone)] if any(not row.withdrawn for row in found) else []
    columns = [
        Column("kind", "", lambda row: row.kind.replace("_", " ")),
        Column("document", "", lambda row: row.summary, detail=True),
        Column("withdrawn by", "", lambda row: row.by),
        Column("on", "", lambda row: f"{row.at:%Y-%m-%d}"),
        Column("reason", "", lambda row: row.reason),
        *undone,
        Column("stands on it", "", lambda row: tuple(counted(n, kind) for kind, n in row.downstream)),
        Column("numbers", "", lambda row: row.numbers),
        Column("id", "", lambda row: short_id(row.id)),
    ]
    notes = ["numbers: those with a published one beside them"] if any(row.numbers for row in found) else []
    if undone:
        notes.append("trusted again: its withdrawal was undone; nothing is marked on its account")
    todo = "nothing was withdrawn; `lipsdb withdraw ID --reason TEXT` does so"
    return Table("withdrawals", "Withdrawn documents", columns, found, notes, WithdrawalRow, todo)


def _undone(row: WithdrawalRow) -> str | None:
    return None if row.undone_at is None else f"{row.undone_by} on {row.undone_at:%Y-%m-%d}: {row.undone_reason}"
