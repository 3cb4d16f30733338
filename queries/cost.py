"""What the work cost: core-seconds, jobs and speed by kind of work and campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lipsdb.provenance.kinds import RESULTS
from lipsdb.queries.aggregation import Aggregation, Stage, select
from lipsdb.queries.counting import EVERYTHING, Among, TaintedCounts, fetch_counts, tainted_column, tainted_fields
from lipsdb.queries.tables import Column, Table
from lipsdb.store.joins import with_joined

if TYPE_CHECKING:
    from lipsdb.store.database import Database

ALL = "all"
WORK = {
    "level_of_theory": "levels of theory",
    "structure": "structures",
    "label": "labels",
    "refusal": "refused labels",
    "dataset": "datasets",
    "potential": "training",
    "run": "molecular dynamics",
    "classifier": "classifiers",
    "property": "analysis",
    "campaign": "submission",
}


@dataclass(frozen=True)
class CostRow:
    """Cost of one kind of work for one campaign; `work` is 'all' for the sum over documents, each counted once."""

    work: str
    activity: str | None
    campaign: str | None
    elsewhere: bool
    n_documents: int
    n_jobs: int
    core_seconds: float
    steps_per_second: float | None
    started_at: datetime
    finished_at: datetime
    wall_span_s: float
    flags: tuple[str, ...]
    n_tainted: int = 0  # of the documents
    withdrawals: tuple[str, ...] = ()


def aggregation(campaign: str | None = None, among: Among = EVERYTHING) -> Aggregation:
    """The pipeline: the records of who made the documents of all kinds, grouped; only some by their ids if asked."""
    key = {
        "kind": "$kind",
        "activity": "$made_by.activity",
        "launchpad": "$made_by.launchpad",
        "campaigns": "$campaigns",
    }
    totals = {
        "n": {"$sum": 1},
        "n_jobs": {"$sum": {"$cond": [{"$gt": ["$made_by.fw_id", None]}, 1, 0]}},
        "core_seconds": {"$sum": "$made_by.core_seconds"},
        "n_speeds": {"$sum": {"$cond": [{"$gt": ["$made_by.rates.steps_per_second", None]}, 1, 0]}},
        "speeds": {"$sum": "$made_by.rates.steps_per_second"},
        "started_at": {"$min": "$made_by.started_at"},
        "finished_at": {"$max": "$made_by.finished_at"},
    }
    fields: Stage = {"$project": {"kind": 1, "made_by": 1, "campaigns": 1}}
    chosen = [*among.stages(), fields]
    selected = {name: [*select(name, {}, campaign, campaigns=False), *chosen] for name in RESULTS.values()}
    first, *others = selected
    united: list[Stage] = [{"$unionWith": {"coll": name, "pipeline": selected[name]}} for name in others]
    grouped: list[Stage] = [*with_joined(), {"$group": {"_id": key, **totals, **among.totals()}}, {"$sort": {"_id": 1}}]
    return Aggregation(first, [*selected[first], *united, *grouped])


def rows(database: Database, campaign: str | None = None, tainted: TaintedCounts | None = None) -> list[CostRow]:
    """Run the query: one row for each kind of work and campaign, dearest first, and their sum.

    Raises
    ------
    NotFoundError
        If there is no such campaign.
    """
    groups = fetch_counts(database, lambda among: aggregation(campaign, among), campaign, tainted)
    return rows_of(groups, database.identifier, campaign)


def rows_of(groups: Sequence[Mapping[str, Any]], launchpad: str, campaign: str | None = None) -> list[CostRow]:
    """Make the rows of what the pipeline gives.

    Parameters
    ----------
    groups : sequence of mappings
        One for each kind, activity, launchpad and list of campaigns.
    launchpad : str
        Identifier of this database; work of another was paid for elsewhere and is not in the sum.
    campaign : str, optional
        The one that was asked for.
    """
    merged: dict[tuple[str, str, str | None, bool], list[Mapping[str, Any]]] = {}
    for group in groups:
        key = group["_id"]
        elsewhere = key.get("launchpad") not in {None, launchpad}
        names = [campaign] if campaign is not None else sorted(set(key["campaigns"])) or [None]
        for name in names:
            merged.setdefault((key["kind"], key["activity"], name, elsewhere), []).append(group)
    made = [
        _row(WORK[kind], activity, name, elsewhere, same, shared=campaign is None)
        for (kind, activity, name, elsewhere), same in merged.items()
    ]
    made.sort(key=lambda row: (row.elsewhere, -row.core_seconds, row.work, row.campaign or ""))
    here = [group for group in groups if group["_id"].get("launchpad") in {None, launchpad}]
    return [*made, _row(ALL, None, campaign, False, here, shared=False)] if here else made


def _row(
    work: str,
    activity: str | None,
    campaign: str | None,
    elsewhere: bool,
    groups: Sequence[Mapping[str, Any]],
    *,
    shared: bool,
) -> CostRow:
    started = min(group["started_at"] for group in groups)
    finished = max(group["finished_at"] for group in groups)
    n_speeds = sum(group["n_speeds"] for group in groups) if work != ALL else 0
    several = shared and any(len(group["_id"]["campaigns"]) > 1 for group in groups)
    flags = {"elsewhere": elsewhere, "several campaigns": several}
    return CostRow(
        work=work,
        activity=activity,
        campaign=campaign,
        elsewhere=elsewhere,
        n_documents=sum(group["n"] for group in groups),
        n_jobs=sum(group["n_jobs"] for group in groups),
        core_seconds=float(sum(group["core_seconds"] for group in groups)),
        steps_per_second=sum(group["speeds"] for group in groups) / n_speeds if n_speeds else None,
        started_at=started,
        finished_at=finished,
        wall_span_s=(finished - started).total_seconds(),
        **tainted_fields(groups, *(flag for flag, holds in flags.items() if holds)),
    )


def table(found: Sequence[CostRow]) -> Table:
    """Lay the rows out as a table."""
    columns = [
        Column("work", "", lambda row: row.work),
        Column("activity", "", lambda row: row.activity, detail=True),
        Column("campaign", "", lambda row: row.campaign, detail=True),
        Column("documents", "", lambda row: row.n_documents),
        *tainted_column(found),
        Column("jobs", "", lambda row: row.n_jobs),
        Column("cost", "core s", lambda row: f"{row.core_seconds:.1f}"),
        Column("speed", "steps/s", lambda row: row.steps_per_second),
        Column("first start", "UTC", lambda row: f"{row.started_at:%Y-%m-%d %H:%M:%S}", detail=True),
        Column("wall span", "s", lambda row: f"{row.wall_span_s:.1f}", detail=True),
        Column("flags", "", lambda row: row.flags),
    ]
    notes = ["wall span: from the first start to the last end, pauses included"] if found else []
    return Table("cost", "Cost by kind of work and campaign", columns, found, notes, CostRow)
