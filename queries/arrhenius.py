"""Arrhenius fits: activation energy and extrapolated conductivity, one row a fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lipsdb.queries.aggregation import Aggregation, fetch, select, with_engine
from lipsdb.queries.published import PublishedValue, published_sigma, published_stages, published_values
from lipsdb.queries.tables import Column, Measured, Range, Table, potential_columns, short_id

if TYPE_CHECKING:
    from lipsdb.store.database import Database


@dataclass(frozen=True)
class ArrheniusPoint:
    """D and σ at one temperature, replicas combined."""

    temperature_K: float
    D_cm2_s: float
    D_std_cm2_s: float
    D_between_replicas_cm2_s: float
    sigma_S_cm: float
    sigma_std_S_cm: float
    n_replicas: int
    fickian: bool
    loglog_slopes: tuple[float, ...]


@dataclass(frozen=True)
class ArrheniusRow:
    """One Arrhenius fit; units stand in the names of the fields."""

    structure: str
    formula: str
    species: str
    potential_id: str
    engine: str | None
    ensemble: str
    Ea_eV: float
    Ea_std_eV: float
    ln_D0_cm2_s: float
    ln_D0_std: float
    D0_cm2_s: float
    covariance: tuple[tuple[float, float], ...]  # of (ln D0, Ea/eV)
    target_temperature_K: float
    D_target_cm2_s: float
    D_target_68_cm2_s: tuple[float, float]
    sigma_target_S_cm: float
    sigma_target_68_S_cm: tuple[float, float]
    sigma_target_95_S_cm: tuple[float, float]
    chi2: float
    degrees_of_freedom: int
    birge_ratio: float
    extrapolated: bool
    fickian: bool
    n_temperatures: int
    n_replicas: tuple[int, ...]
    points: tuple[ArrheniusPoint, ...]
    excluded: tuple[str, ...]
    flags: tuple[str, ...]
    published_Ea: tuple[PublishedValue, ...]
    published_sigma: tuple[PublishedValue, ...]
    campaigns: tuple[str, ...]
    id: str
    input_ids: tuple[str, ...]
    withdrawals: tuple[str, ...] = ()


def aggregation(campaign: str | None = None) -> Aggregation:
    """The pipeline: Arrhenius properties, with the published values of the same structure."""
    conditions = "$answer.conditions"
    order = ("answer.conditions.structure", "answer.species", "engine", "answer.conditions.potential_id", "_id")
    pipeline = [
        *select("properties", {"asked.property": "arrhenius"}, campaign),
        *published_stages(campaign, f"{conditions}.structure"),
        {"$project": {"asked": 1, "answer": 1, "inputs.id": 1, "campaigns": 1, "published": 1}},
        *with_engine("answer.conditions.potential_id"),
        {"$sort": dict.fromkeys(order, 1)},
    ]
    return Aggregation("properties", pipeline)


def rows(database: Database, campaign: str | None = None) -> list[ArrheniusRow]:
    """Run the query.

    Parameters
    ----------
    database : Database
    campaign : str, optional
        Only what this campaign asked for.

    Raises
    ------
    NotFoundError
        If there is no such campaign.
    """
    return [row_of(found) for found in fetch(database, aggregation(campaign), campaign)]


def row_of(found: Mapping[str, Any]) -> ArrheniusRow:
    """Make a row of what the pipeline gives."""
    answer, published = found["answer"], found["published"]
    conditions, points = answer["conditions"], tuple(point_of(point) for point in answer["points"])
    return ArrheniusRow(
        structure=conditions["structure"],
        formula=conditions["formula"],
        species=answer["species"],
        potential_id=conditions["potential_id"],
        engine=found.get("engine"),
        ensemble=conditions["ensemble"],
        Ea_eV=answer["Ea_eV"],
        Ea_std_eV=answer["Ea_std_eV"],
        ln_D0_cm2_s=answer["ln_D0_cm2_s"],
        ln_D0_std=answer["ln_D0_std"],
        D0_cm2_s=math.exp(answer["ln_D0_cm2_s"]),
        covariance=tuple((float(a), float(b)) for a, b in answer["covariance"]),
        target_temperature_K=answer["target_temperature_K"],
        D_target_cm2_s=answer["D_target_cm2_s"],
        D_target_68_cm2_s=_pair(answer["D_target_68_cm2_s"]),
        sigma_target_S_cm=answer["sigma_target_S_cm"],
        sigma_target_68_S_cm=_pair(answer["sigma_target_68_S_cm"]),
        sigma_target_95_S_cm=_pair(answer["sigma_target_95_S_cm"]),
        chi2=answer["chi2"],
        degrees_of_freedom=answer["degrees_of_freedom"],
        birge_ratio=answer["birge_ratio"],
        extrapolated=answer["extrapolated"],
        fickian=answer["fickian"],
        n_temperatures=len(points),
        n_replicas=tuple(point.n_replicas for point in points),
        points=points,
        excluded=tuple(f"{point['temperature']:g} K: {point['reason']}" for point in answer["excluded"]),
        flags=_flags(answer),
        published_Ea=published_values(published, "Ea"),
        published_sigma=published_sigma(published, answer["target_temperature_K"]),
        campaigns=tuple(found["campaigns"]),
        id=found["_id"],
        input_ids=tuple(link["id"] for link in found["inputs"]),
    )


def point_of(point: Mapping[str, Any]) -> ArrheniusPoint:
    """Read one temperature of an Arrhenius answer."""
    fields = {name: point[name] for name in ArrheniusPoint.__dataclass_fields__ if name != "loglog_slopes"}
    return ArrheniusPoint(**fields, loglog_slopes=tuple(point["loglog_slopes"]))


def _pair(values: Sequence[float]) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)


def _flags(answer: Mapping[str, Any]) -> tuple[str, ...]:
    found = {
        "extrapolated": answer["extrapolated"],
        "not Fickian": not answer["fickian"],
        "scaled": answer["birge_ratio"] > 1,
        "no freedom": answer["degrees_of_freedom"] == 0,
        "excluded": bool(answer["excluded"]),
        "replicas combined": any(point["n_replicas"] > 1 for point in answer["points"]),
    }
    return tuple(flag for flag, holds in found.items() if holds)


def table(found: Sequence[ArrheniusRow]) -> Table:
    """Lay the rows out as a table."""
    targets = sorted({row.target_temperature_K for row in found})
    at = f"({targets[0]:g} K)" if len(targets) == 1 else "(target)"
    several = [] if len(targets) <= 1 else [Column("target T", "K", lambda row: row.target_temperature_K)]
    potential, notes = potential_columns(found)
    columns = [
        Column("system", "", lambda row: row.structure),
        *potential,
        Column("species", "", lambda row: row.species, detail=True),
        Column("Ea", "eV", lambda row: Measured(row.Ea_eV, row.Ea_std_eV)),
        Column("Ea published", "eV", lambda row: row.published_Ea),
        *several,
        Column(f"σ{at}", "S/cm", lambda row: Measured(row.sigma_target_S_cm)),
        Column("68 %", "S/cm", lambda row: Range(*row.sigma_target_68_S_cm), detail=True),
        Column("95 %", "S/cm", lambda row: Range(*row.sigma_target_95_S_cm), detail=True),
        Column("σ(300 K) published", "S/cm", lambda row: row.published_sigma),
        Column("D0", "cm²/s", lambda row: Measured(row.D0_cm2_s), detail=True),
        Column("χ²/dof", "", lambda row: f"{row.chi2:.2g}/{row.degrees_of_freedom}", detail=True),
        Column("T × replicas", "", _temperatures_and_replicas, detail=True),
        Column("flags", "", lambda row: row.flags),
        Column("id", "", lambda row: short_id(row.id), detail=True),
    ]
    notes += sorted({f"left out of the fit of {row.structure}: {reason}" for row in found for reason in row.excluded})
    title = "Activation energy and extrapolated conductivity"
    return Table("arrhenius", title, columns, found, notes, ArrheniusRow)


def _temperatures_and_replicas(row: ArrheniusRow) -> str:
    low, high = min(row.n_replicas), max(row.n_replicas)
    return f"{row.n_temperatures} × {low if low == high else f'{low}–{high}'}"
