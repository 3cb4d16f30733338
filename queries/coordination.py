"""Coordination numbers, one row a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lipsdb.queries.aggregation import Aggregation, fetch, property_of_runs
from lipsdb.queries.tables import Column, Table, potential_columns, short_id

if TYPE_CHECKING:
    from lipsdb.store.database import Database

_FEWEST_SHOWN = 1e-4  # rarer coordination numbers are not shown to people


@dataclass(frozen=True)
class CoordinationRow:
    """How many neighbours of one element the atoms of another have in one run."""

    structure: str
    formula: str
    centre: str
    neighbour: str
    cutoff_A: float
    potential_id: str
    engine: str | None
    ensemble: str
    temperature_K: float
    seed: int
    mean: float
    fractions: tuple[tuple[int, float], ...]  # coordination number, fraction of atoms and frames
    campaigns: tuple[str, ...]
    id: str
    run_id: str
    flags: tuple[str, ...] = ()
    withdrawals: tuple[str, ...] = ()


def aggregation(campaign: str | None = None) -> Aggregation:
    """The pipeline: coordination properties without their time series."""
    return property_of_runs("coordination", campaign, of="centre", series="mean_by_frame")


def rows(database: Database, campaign: str | None = None) -> list[CoordinationRow]:
    """Run the query.

    Raises
    ------
    NotFoundError
        If there is no such campaign.
    """
    return [row_of(found) for found in fetch(database, aggregation(campaign), campaign)]


def row_of(found: Mapping[str, Any]) -> CoordinationRow:
    """Make a row of what the pipeline gives."""
    answer, conditions = found["answer"], found["answer"]["conditions"]
    copied = ("structure", "formula", "potential_id", "ensemble", "temperature_K", "seed", "run_id")
    return CoordinationRow(
        **{key: conditions[key] for key in copied},
        engine=found.get("engine"),
        centre=answer["centre"],
        neighbour=answer["neighbour"],
        cutoff_A=found["asked"]["parameters"]["cutoff_A"],
        mean=answer["mean"],
        fractions=tuple(sorted((int(number), fraction) for number, fraction in answer["fractions"].items())),
        campaigns=tuple(found["campaigns"]),
        id=found["_id"],
    )


def table(found: Sequence[CoordinationRow]) -> Table:
    """Lay the rows out as a table."""
    numbers = sorted({number for row in found for number, fraction in row.fractions if fraction >= _FEWEST_SHOWN})

    def percent(number: int) -> Column:
        return Column(f"{number}-fold", "%", lambda row: f"{100 * dict(row.fractions).get(number, 0.0):.2f}")

    potential, notes = potential_columns(found)
    columns = [
        Column("system", "", lambda row: row.structure),
        *potential,
        Column("centre", "", lambda row: row.centre),
        Column("neighbour", "", lambda row: row.neighbour),
        Column("cutoff", "Å", lambda row: f"{row.cutoff_A:g}", detail=True),
        Column("T", "K", lambda row: f"{row.temperature_K:g}"),
        Column("seed", "", lambda row: row.seed),
        Column("mean", "", lambda row: f"{row.mean:.3f}"),
        *(percent(number) for number in numbers),
        Column("id", "", lambda row: short_id(row.id), detail=True),
    ]
    title = "Coordination numbers, mean over atoms and frames"
    return Table("coordination", title, columns, found, notes, CoordinationRow)
