"""Diffusion coefficients of single runs, one row a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lipsdb.queries.aggregation import Aggregation, fetch, property_of_runs
from lipsdb.queries.tables import Column, Measured, Range, Table, potential_columns, short_id

if TYPE_CHECKING:
    from lipsdb.store.database import Database


@dataclass(frozen=True)
class DiffusionRow:
    """D and σ of one species in one run."""

    structure: str
    formula: str
    species: str
    potential_id: str
    engine: str | None
    ensemble: str
    temperature_K: float
    seed: int
    length_ps: float
    D_cm2_s: float
    D_std_cm2_s: float
    D_95_cm2_s: tuple[float, float]
    sigma_S_cm: float
    sigma_std_S_cm: float | None
    fit_start_ps: float
    fit_stop_ps: float
    loglog_slope: float
    fickian: bool
    window_found: bool
    framework_msd_A2: float | None
    method: str
    flags: tuple[str, ...]
    campaigns: tuple[str, ...]
    id: str
    run_id: str
    withdrawals: tuple[str, ...] = ()


def aggregation(campaign: str | None = None) -> Aggregation:
    """The pipeline: diffusion properties without their MSD curves."""
    return property_of_runs("diffusion", campaign, of="species", series="msd")


def rows(database: Database, campaign: str | None = None) -> list[DiffusionRow]:
    """Run the query.

    Raises
    ------
    NotFoundError
        If there is no such campaign.
    """
    return [row_of(found) for found in fetch(database, aggregation(campaign), campaign)]


def row_of(found: Mapping[str, Any]) -> DiffusionRow:
    """Make a row of what the pipeline gives."""
    answer = found["answer"]
    low, high = answer["D_interval_95_cm2_s"]
    copied = [
        *("species", "D_cm2_s", "D_std_cm2_s", "sigma_S_cm", "sigma_std_S_cm", "fit_start_ps", "fit_stop_ps"),
        *("loglog_slope", "fickian", "window_found", "framework_msd_A2", "method"),
    ]
    conditions = ("structure", "formula", "potential_id", "ensemble", "temperature_K", "seed", "length_ps", "run_id")
    flags = {
        "not Fickian": not answer["fickian"],
        "no window": not answer["window_found"],
        "NPT": answer["conditions"]["ensemble"] == "npt",
    }
    return DiffusionRow(
        **{key: answer[key] for key in copied},
        **{key: answer["conditions"][key] for key in conditions},
        engine=found.get("engine"),
        D_95_cm2_s=(low, high),
        flags=tuple(flag for flag, holds in flags.items() if holds),
        campaigns=tuple(found["campaigns"]),
        id=found["_id"],
    )


def table(found: Sequence[DiffusionRow]) -> Table:
    """Lay the rows out as a table."""
    potential, notes = potential_columns(found)
    columns = [
        Column("system", "", lambda row: row.structure),
        *potential,
        Column("species", "", lambda row: row.species, detail=True),
        Column("T", "K", lambda row: f"{row.temperature_K:g}"),
        Column("seed", "", lambda row: row.seed),
        Column("length", "ps", lambda row: f"{row.length_ps:g}", detail=True),
        Column("D", "cm²/s", lambda row: Measured(row.D_cm2_s, row.D_std_cm2_s)),
        Column("D 95 %", "cm²/s", lambda row: Range(*row.D_95_cm2_s), detail=True),
        Column("σ", "S/cm", lambda row: Measured(row.sigma_S_cm, row.sigma_std_S_cm)),
        Column("window", "ps", lambda row: f"{row.fit_start_ps:.3g} – {row.fit_stop_ps:.3g}", detail=True),
        Column("log-log slope", "", lambda row: f"{row.loglog_slope:.2f}"),
        Column("framework MSD", "Å²", lambda row: row.framework_msd_A2, detail=True),
        Column("flags", "", lambda row: row.flags),
        Column("id", "", lambda row: short_id(row.id), detail=True),
    ]
    return Table("diffusion", "Diffusion coefficients of single runs", columns, found, notes, DiffusionRow)
