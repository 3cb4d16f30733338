"""Extrapolation grades of runs: the largest of each, the frames that were kept, and the runs that were ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.md.extrapolation import step_in_words
from lipsdb.queries.aggregation import Aggregation, fetch, select
from lipsdb.queries.tables import Column, Table, potential_columns, short_id

if TYPE_CHECKING:
    from lipsdb.store.database import Database


@dataclass(frozen=True)
class ExtrapolationRow:
    """One run whose potential was watched; steps count from the beginning of production.

    Attributes
    ----------
    interval_steps : int
        Steps between two evaluations.
    n_above, n_selected : int
        How often a grade was at least `select_grade`, and how many of these frames were kept.
    n_evaluations : int
        How often the grades of all atoms were evaluated.
    max_grade : float
        Largest grade of an atom in the run, dimensionless; 1 is the edge of the training data.
    max_grade_step : int
        Step of it; negative in the equilibration.
    select_grade, break_grade : float
        From which on a frame was kept, and the run ended.
    stopped_at_step : int or None
        Where the run was ended; None if it came to its end.
    """

    structure: str
    potential_id: str
    engine: str | None
    ensemble: str
    pressure_bar: float | None
    temperature_K: float
    seed: int
    timestep_fs: float
    n_steps: int
    equilibration_steps: int
    interval_steps: int
    n_evaluations: int
    max_grade: float
    max_grade_step: int
    select_grade: float
    break_grade: float
    n_above: int
    n_selected: int
    stopped_at_step: int | None
    stopped: str | None
    flags: tuple[str, ...]
    campaigns: tuple[str, ...]
    id: str
    withdrawals: tuple[str, ...] = ()


def aggregation(campaign: str | None = None) -> Aggregation:
    """The pipeline: runs with extrapolation grades, their structure's name and their potential's engine."""
    linked = {"localField": "inputs.id", "foreignField": "_id"}
    structure = {"from": "structures", **linked, "pipeline": [{"$project": {"name": "$answer.name"}}]}
    potential = {"from": "potentials", **linked, "pipeline": [{"$project": {"engine": "$asked.engine"}}]}
    watched = {"asked.settings.temperature_K": {"$gt": 0}, "answer.extrapolation": {"$ne": None}}
    kept = ("asked.settings", "answer.extrapolation", "inputs.id", "campaigns")
    order = ("structure.name", "potential._id", "asked.settings.temperature_K", "asked.settings.seed", "_id")
    pipeline = [
        *select("runs", watched, campaign),
        {"$project": dict.fromkeys(kept, 1)},
        {"$lookup": {**structure, "as": "structure"}},
        {"$lookup": {**potential, "as": "potential"}},
        {"$set": {"structure": {"$first": "$structure"}, "potential": {"$first": "$potential"}}},
        {"$sort": dict.fromkeys(order, 1)},
    ]
    return Aggregation("runs", pipeline)


def rows(database: Database, campaign: str | None = None) -> list[ExtrapolationRow]:
    """Run the query.

    Raises
    ------
    NotFoundError
        If there is no such campaign.
    """
    return [row_of(found) for found in fetch(database, aggregation(campaign), campaign)]


def row_of(found: Mapping[str, Any]) -> ExtrapolationRow:
    """Make a row of what the pipeline gives."""
    settings, grades = found["asked"]["settings"], found["answer"]["extrapolation"]
    asked, potential = settings["extrapolation"], found.get("potential") or {}
    largest = np.asarray(grades["max_grades"], dtype=float)
    at = int(np.argmax(largest))
    copied = ("ensemble", "pressure_bar", "temperature_K", "seed", "timestep_fs", "n_steps", "equilibration_steps")
    return ExtrapolationRow(
        structure=found.get("structure", {}).get("name", "unknown"),
        potential_id=potential.get("_id", "unknown"),
        engine=potential.get("engine"),
        **{name: settings[name] for name in copied},
        interval_steps=asked["interval"],
        n_evaluations=int(largest.size),
        max_grade=float(largest[at]),
        max_grade_step=int(grades["steps"][at]),
        select_grade=asked["select_grade"],
        break_grade=asked["break_grade"],
        n_above=int(np.count_nonzero(largest >= asked["select_grade"])),
        n_selected=grades["n_selected"],
        stopped_at_step=grades["stopped_at_step"],
        stopped=grades["stopped"],
        flags=() if grades["stopped"] is None else ("stopped",),
        campaigns=tuple(found["campaigns"]),
        id=found["_id"],
    )


def table(found: Sequence[ExtrapolationRow]) -> Table:
    """Lay the rows out as a table."""
    potential, notes = potential_columns(found) if found else ([], [])
    pressure = Column("p", "bar", lambda row: None if row.pressure_bar is None else f"{row.pressure_bar:g}")
    columns = [
        Column("system", "", lambda row: row.structure),
        *potential,
        Column("ensemble", "", lambda row: row.ensemble.upper(), detail=True),
        *([pressure] if any(row.pressure_bar is not None for row in found) else []),
        Column("T", "K", lambda row: f"{row.temperature_K:g}"),
        Column("seed", "", lambda row: row.seed),
        Column("every", "steps", lambda row: row.interval_steps, detail=True),
        Column("largest", "grade", lambda row: row.max_grade),
        Column("at step", "", lambda row: row.max_grade_step, detail=True),
        Column("frames above select", "", lambda row: row.n_above, detail=True),
        Column("frames selected", "", lambda row: row.n_selected, detail=True),
        Column("select, break", "grade", lambda row: f"{row.select_grade:g}, {row.break_grade:g}", detail=True),
        Column("ended at step", "", _ended, detail=True),
        Column("flags", "", lambda row: row.flags),
        Column("id", "", lambda row: short_id(row.id), detail=True),
    ]
    if found:
        notes = [
            *notes,
            "grade: largest of an atom; up to 1 the potential interpolates; from `select` on frames are kept to be "
            "labelled (of more than 1000 only those with a larger grade than any before), from `break` on the run is "
            "ended; steps from the beginning of production, negative in the equilibration",
            *(f"{short_id(row.id)}: {row.stopped}" for row in found if row.stopped),
        ]
    todo = (
        "a campaign watches its runs (section `md`, key extrapolation; potentials of the engine mtp): "
        "`lipsdb campaign submit FILE`, then `lipsdb run`"
    )
    title = "Extrapolation grades of molecular dynamics runs"
    return Table("extrapolation", title, columns, found, notes, ExtrapolationRow, todo)


def _ended(row: ExtrapolationRow) -> str:
    at = row.n_steps if row.stopped_at_step is None else row.stopped_at_step
    return step_in_words(at, row.n_steps, row.equilibration_steps)
