"""How many labels there are, by system, by iteration or by level of theory, beside the published counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from lipsdb.errors import BadInputError
from lipsdb.published import disorder_labels
from lipsdb.queries.aggregation import Aggregation, Stage, select
from lipsdb.queries.counting import (
    EVERYTHING,
    Among,
    TaintedCounts,
    fetch_counts,
    one_of_parts,
    tainted_column,
    tainted_fields,
)
from lipsdb.queries.label_levels import NO_LABELS, describe_levels, level_columns, level_fields, share_refused
from lipsdb.queries.published_counts import By, PublishedCount, match_published, published_counts, union_of
from lipsdb.queries.tables import Column, Table

if TYPE_CHECKING:
    from lipsdb.store.database import Database

_EXTERNAL = "not in this database"


@dataclass(frozen=True)
class LabelRow:
    """Labels of one system, iteration or level of theory."""

    system: str | None
    formula: str | None
    n_atoms: int | None
    part: str | None  # 'initial' or 'explored' (by active learning)
    iterations: tuple[int, ...]
    level_of_theory: str | None
    source: str | None
    n_systems: int
    n_labels: int
    n_published: int | None
    n_refused: int | None  # None where they are not counted: by system and by iteration
    code: str | None
    functional: str | None
    dispersion: str | None
    cutoff: str | None
    how_known: str | None
    temperatures_K: tuple[float, ...]
    pressures_bar: tuple[float, ...]
    published_temperatures_K: tuple[float, ...]
    published_pressures_bar: tuple[float, ...]
    flags: tuple[str, ...]
    n_tainted: int = 0  # of the labels
    withdrawals: tuple[str, ...] = ()


def aggregation(
    campaign: str | None = None,
    by: By = "system",
    level_of_theory: str | None = None,
    among: Among = EVERYTHING,
) -> Aggregation:
    """The pipeline that counts labels.

    Parameters
    ----------
    campaign : str, optional
        Only labels in datasets of this campaign (also of potentials that it adopted), or ingested for it.
    by : 'system', 'iteration' or 'level'
        What a row stands for.
    level_of_theory : str, optional
        Only labels at this level.
    among : Among
        Only some labels by their ids.

    Raises
    ------
    BadInputError
        For another `by`.
    """
    if by not in get_args(By):
        raise BadInputError(f"labels cannot be counted by {by!r}; use one of: {', '.join(get_args(By))}")
    level = {"asked.level_of_theory": {"$gte": ""} if level_of_theory is None else level_of_theory}
    described = describe_levels(campaign, level_of_theory, among) if by == "level" else []
    if campaign is None:
        chosen = [*select("labels", level, None, campaigns=False), *among.stages()]
        return Aggregation("labels", [*chosen, *_count(by, among), *described])
    counted = ("asked", "made_by.activity", "origin", "answer.formula", "answer.n_atoms")
    fields = dict.fromkeys(counted, 1)
    own = select("labels", {}, campaign, campaigns=False)
    pipeline = [
        *select("datasets", {}, campaign, campaigns=False),
        {"$unwind": "$inputs"},
        {"$match": {"inputs.role": "label"}},
        {"$project": {"_id": "$inputs.id"}},
        {"$unionWith": {"coll": "labels", "pipeline": [*own, {"$project": {"_id": 1}}]}},
        {"$group": {"_id": "$_id"}},
        *among.stages(),
        {
            "$lookup": {
                "from": "labels",
                "localField": "_id",
                "foreignField": "_id",
                "pipeline": [{"$project": fields}],
                "as": "label",
            }
        },
        {"$replaceWith": {"$ifNull": [{"$first": "$label"}, {"_id": "$_id"}]}},
        *([] if level_of_theory is None else [{"$match": level}]),
        *_count(by, among),
        *described,
    ]
    return Aggregation("datasets", pipeline)


def _count(by: By, among: Among) -> list[Stage]:
    """Stages that group labels."""
    iteration = "$origin.iteration"
    key: dict[str, Any] = {
        "level_of_theory": "$asked.level_of_theory",
        "source": "$origin.source",
        "activity": "$made_by.activity",
    }
    if by != "level":
        key |= {"system": "$origin.system", "formula": "$answer.formula", "n_atoms": "$answer.n_atoms"}
        key["part"] = {"$cond": [{"$gt": [iteration, None]}, "explored", "initial"]}
    if by == "iteration":
        key["iteration"] = {"$ifNull": [iteration, None]}
    sets = {
        "systems": "$origin.system",
        "iterations": iteration,
        "temperatures": "$origin.temperatures_K",
        "pressures": "$origin.pressures_bar",
    }
    unions = {name: {"$addToSet": field} for name, field in sets.items()}
    return [
        {"$group": {"_id": key, "n": {"$sum": 1}, **unions, **among.totals()}},
        {"$sort": {"_id.iteration": 1, "_id.part": -1, "_id.system": 1, "_id": 1}},
    ]


def rows(
    database: Database,
    campaign: str | None = None,
    by: By = "system",
    level_of_theory: str | None = None,
    tainted: TaintedCounts | None = None,
) -> list[LabelRow]:
    """Run the query; published counts without labels here are rows too, unless only a part was asked for.

    Raises
    ------
    NotFoundError
        If there is no such campaign.
    """
    parts = fetch_counts(database, lambda among: aggregation(campaign, by, level_of_theory, among), campaign, tainted)
    refused = [group for group in parts if "n_refused" in group]
    labelled = one_of_parts([group for group in parts if "n" in group])
    if len(labelled) < len(parts) - len(refused):  # parts don't come in order
        labelled.sort(key=_group_order)
    known = [group for group in labelled if group["_id"].get("level_of_theory") is not None]
    matches = match_published(known, by)
    n_refused, left = share_refused(known, refused) if by == "level" else ([None] * len(known), [])
    made = [_row_of(*each) for each in zip(known, matches, n_refused, strict=True)]
    made += [_row_of({**NO_LABELS, **group}, (), group["n_refused"]) for group in left]
    made += [_external_row(group) for group in labelled if group not in known]
    taken = {count for counts in matches for count in counts}
    if taken and campaign is None and level_of_theory is None and by != "level":
        made += _rows_without_labels([count for count in published_counts() if count not in taken], by)
        made.sort(key=_order)
    return made


def _group_order(group: Mapping[str, Any]) -> tuple[Any, ...]:
    """As the pipeline sorts."""
    key = group["_id"]
    first = (key.get("iteration") or 0, key.get("part") != "initial", key.get("system") or "")
    return (*first, *((value is not None, str(value)) for value in key.values()))


def _row_of(group: Mapping[str, Any], counts: Sequence[PublishedCount], n_refused: int | None) -> LabelRow:
    key = group["_id"]
    return LabelRow(
        system=key.get("system"),
        formula=key.get("formula"),
        n_atoms=key.get("n_atoms"),
        part=key.get("part"),
        iterations=tuple(sorted(number for number in group["iterations"] if number is not None)),
        level_of_theory=key["level_of_theory"],
        source=key["source"],
        n_systems=len(group["systems"]),
        n_labels=group["n"],
        n_published=sum(count.n_labels for count in counts) if counts else None,
        n_refused=n_refused,
        **level_fields(group),
        temperatures_K=union_of(group["temperatures"]),
        pressures_bar=union_of(group["pressures"]),
        published_temperatures_K=union_of(count.temperatures_K for count in counts),
        published_pressures_bar=union_of(count.pressures_bar for count in counts),
        **tainted_fields([group]),
    )


def _external_row(group: Mapping[str, Any]) -> LabelRow:
    return LabelRow(
        system=_EXTERNAL,
        formula=None,
        n_atoms=None,
        part=None,
        iterations=(),
        level_of_theory=None,
        source=None,
        n_systems=0,
        n_labels=group["n"],
        n_published=None,
        n_refused=None,
        **level_fields({}),
        temperatures_K=(),
        pressures_bar=(),
        published_temperatures_K=(),
        published_pressures_bar=(),
        **tainted_fields([group], "labels external"),
    )


def _rows_without_labels(counts: Sequence[PublishedCount], by: By) -> list[LabelRow]:
    groups: dict[tuple[Any, ...], list[PublishedCount]] = {}
    for count in counts:
        key = (count.system, count.part, count.iteration if by == "iteration" else None)
        groups.setdefault(key, []).append(count)
    return [
        LabelRow(
            system=same[0].system,
            formula=same[0].formula,
            n_atoms=same[0].n_atoms,
            part=same[0].part,
            iterations=(same[0].iteration,) if by == "iteration" and same[0].iteration is not None else (),
            level_of_theory=None,
            source=None,
            n_systems=1,
            n_labels=0,
            n_published=sum(count.n_labels for count in same),
            n_refused=None,
            **level_fields({}),
            temperatures_K=(),
            pressures_bar=(),
            published_temperatures_K=union_of(count.temperatures_K for count in same),
            published_pressures_bar=union_of(count.pressures_bar for count in same),
            flags=("none here",),
        )
        for same in groups.values()
    ]


def _order(row: LabelRow) -> tuple[Any, ...]:
    return (row.part == "explored", row.iterations or (0,), row.system or "", row.source or "", row.flags)


def table(found: Sequence[LabelRow], by: By = "system") -> Table:
    """Lay the rows out as a table."""
    system = [
        Column("system", "", lambda row: row.system),
        Column("composition", "", lambda row: row.formula),
        Column("atoms", "", lambda row: row.n_atoms),
    ]
    level = Column("level of theory", "", lambda row: row.level_of_theory)
    source = Column("source", "", lambda row: row.source)
    numbers = [Column("labels", "", lambda row: row.n_labels), *tainted_column(found)]
    numbers.append(Column("published", "", lambda row: row.n_published))
    iterations = Column("iterations" if by != "iteration" else "iteration", "", lambda row: _list(row.iterations))
    part = Column("part", "", lambda row: row.part)
    flags = Column("flags", "", lambda row: row.flags)
    conditions = [
        Column("T", "K", lambda row: _list(row.temperatures_K)),
        Column("T published", "K", lambda row: _list(row.published_temperatures_K)),
        Column("P", "bar", lambda row: _list(row.pressures_bar)),
        Column("P published", "bar", lambda row: _list(row.published_pressures_bar)),
    ]
    any_refused = any(row.n_refused for row in found)
    systems = Column("systems", "", lambda row: row.n_systems)
    refused = [Column("refused", "", lambda row: row.n_refused)] if any_refused else []
    layouts = {
        "system": [*system, part, iterations, *numbers, level, flags],
        "iteration": [iterations, *system, *numbers, *conditions, flags],
        "level": [level, *level_columns(), source, systems, *numbers, *refused, flags],
    }
    notes = []
    if any(row.n_published is not None for row in found):
        doi = disorder_labels()["doi"]
        notes = [f"published: Tables S1 (initial, 3000 K) and S2 (explored, iterations 1–11) of doi {doi}"]
    if any_refused:
        notes.append("refused: `lipsdb list refused` gives the reasons")
    title = {"system": "Labels by system", "iteration": "Labels by iteration", "level": "Labels by level of theory"}[by]
    todo = "`lipsdb ingest deepmd PATH --level-of-theory NAME` reads labels"
    return Table("labels", title, layouts[by], found, notes, LabelRow, todo)


def _list(values: Sequence[float]) -> str | None:
    """Numbers in a row; a run of whole numbers as its ends."""
    if len(values) > 2 and list(values) == list(range(int(values[0]), int(values[0]) + len(values))):
        return f"{values[0]}–{values[-1]}"
    return ", ".join(f"{value:g}" for value in values) or None
