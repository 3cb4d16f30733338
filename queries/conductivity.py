"""Diffusion coefficient and Nernst–Einstein conductivity by temperature, replicas combined, and at the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lipsdb.queries.aggregation import Aggregation, fetch, select, with_engine
from lipsdb.queries.arrhenius import point_of
from lipsdb.queries.published import PublishedValue, published_sigma, published_stages, published_values
from lipsdb.queries.tables import Column, Measured, Range, Table, potential_columns, short_id

if TYPE_CHECKING:
    from lipsdb.store.database import Database


@dataclass(frozen=True)
class ConductivityRow:
    """D and σ at one temperature; a row from the fitted line has intervals instead of standard deviations."""

    structure: str
    formula: str
    species: str
    potential_id: str
    engine: str | None
    ensemble: str
    temperature_K: float
    from_fit: bool
    D_cm2_s: float
    D_std_cm2_s: float | None
    D_68_cm2_s: tuple[float, float] | None
    sigma_S_cm: float
    sigma_std_S_cm: float | None
    sigma_68_S_cm: tuple[float, float] | None
    sigma_95_S_cm: tuple[float, float] | None
    D_between_replicas_cm2_s: float | None
    n_replicas: int
    loglog_slopes: tuple[float, ...]
    flags: tuple[str, ...]
    published_D: tuple[PublishedValue, ...]
    published_sigma: tuple[PublishedValue, ...]
    campaigns: tuple[str, ...]
    id: str
    diffusion_ids: tuple[str, ...]
    withdrawals: tuple[str, ...] = ()

    @property
    def stands_on(self) -> tuple[str, ...]:
        """A temperature stands on its replicas only, if each of them is known; what is from the fit on all of it."""
        own = not self.from_fit and self.diffusion_ids and len(self.diffusion_ids) >= self.n_replicas
        return self.diffusion_ids if own else (self.id,)


def aggregation(campaign: str | None = None) -> Aggregation:
    """The pipeline: Arrhenius properties, the diffusion properties they combine, and published values."""
    replica = {"temperature_K": "$answer.conditions.temperature_K", "seed": "$answer.conditions.seed"}
    order = ("answer.conditions.structure", "answer.species", "engine", "answer.conditions.potential_id", "_id")
    pipeline = [
        *select("properties", {"asked.property": "arrhenius"}, campaign),
        *published_stages(campaign, "$answer.conditions.structure"),
        {
            "$lookup": {
                "from": "properties",
                "localField": "inputs.id",
                "foreignField": "_id",
                "pipeline": [{"$project": replica}, {"$sort": {"temperature_K": 1, "seed": 1, "_id": 1}}],
                "as": "replicas",
            }
        },
        {"$project": {"answer": 1, "campaigns": 1, "published": 1, "replicas": 1}},
        *with_engine("answer.conditions.potential_id"),
        {"$sort": dict.fromkeys(order, 1)},
    ]
    return Aggregation("properties", pipeline)


def rows(database: Database, campaign: str | None = None) -> list[ConductivityRow]:
    """Run the query.

    Raises
    ------
    NotFoundError
        If there is no such campaign.
    """
    return [row for found in fetch(database, aggregation(campaign), campaign) for row in rows_of(found)]


def rows_of(found: Mapping[str, Any]) -> list[ConductivityRow]:
    """Make the rows of one Arrhenius property: one a temperature, coldest first."""
    answer, published = found["answer"], found["published"]
    common = {key: answer["conditions"][key] for key in ("structure", "formula", "potential_id", "ensemble")}
    common |= {"species": answer["species"], "campaigns": tuple(found["campaigns"]), "id": found["_id"]}
    common["engine"] = found.get("engine")
    made = [_target_row(answer, published, common, [replica["_id"] for replica in found["replicas"]])]
    for stored in answer["points"]:
        point = point_of(stored)
        flags = {"not Fickian": not point.fickian, "replicas combined": point.n_replicas > 1}
        row = ConductivityRow(
            **common,
            temperature_K=point.temperature_K,
            from_fit=False,
            D_cm2_s=point.D_cm2_s,
            D_std_cm2_s=point.D_std_cm2_s,
            D_68_cm2_s=None,
            sigma_S_cm=point.sigma_S_cm,
            sigma_std_S_cm=point.sigma_std_S_cm,
            sigma_68_S_cm=None,
            sigma_95_S_cm=None,
            D_between_replicas_cm2_s=point.D_between_replicas_cm2_s,
            n_replicas=point.n_replicas,
            loglog_slopes=point.loglog_slopes,
            flags=tuple(flag for flag, holds in flags.items() if holds),
            published_D=published_values(published, "D", point.temperature_K),
            published_sigma=published_sigma(published, point.temperature_K),
            diffusion_ids=tuple(
                replica["_id"] for replica in found["replicas"] if replica["temperature_K"] == point.temperature_K
            ),
        )
        made.append(row)
    return sorted(made, key=lambda row: (row.temperature_K, row.from_fit))


def _target_row(
    answer: Mapping[str, Any], published: Sequence[Mapping[str, Any]], common: Mapping[str, Any], ids: Sequence[str]
) -> ConductivityRow:
    flags = {"extrapolated": answer["extrapolated"], "from fit": True, "not Fickian": not answer["fickian"]}
    temperature = answer["target_temperature_K"]
    return ConductivityRow(
        **common,
        temperature_K=temperature,
        from_fit=True,
        D_cm2_s=answer["D_target_cm2_s"],
        D_std_cm2_s=None,
        D_68_cm2_s=tuple(answer["D_target_68_cm2_s"]),
        sigma_S_cm=answer["sigma_target_S_cm"],
        sigma_std_S_cm=None,
        sigma_68_S_cm=tuple(answer["sigma_target_68_S_cm"]),
        sigma_95_S_cm=tuple(answer["sigma_target_95_S_cm"]),
        D_between_replicas_cm2_s=None,
        n_replicas=0,
        loglog_slopes=(),
        flags=tuple(flag for flag, holds in flags.items() if holds),
        published_D=published_values(published, "D", temperature),
        published_sigma=published_sigma(published, temperature),
        diffusion_ids=tuple(ids),
    )


def table(found: Sequence[ConductivityRow]) -> Table:
    """Lay the rows out as a table."""
    potential, notes = potential_columns(found)
    columns = [
        Column("system", "", lambda row: row.structure),
        *potential,
        Column("species", "", lambda row: row.species, detail=True),
        Column("T", "K", lambda row: f"{row.temperature_K:g}"),
        Column("D", "cm²/s", lambda row: _with_interval(row.D_cm2_s, row.D_std_cm2_s, row.D_68_cm2_s)),
        Column("D published", "cm²/s", lambda row: row.published_D, detail=True),
        Column("σ", "S/cm", lambda row: _with_interval(row.sigma_S_cm, row.sigma_std_S_cm, row.sigma_68_S_cm)),
        Column("σ published", "S/cm", lambda row: row.published_sigma),
        Column("replicas", "", lambda row: row.n_replicas or None, detail=True),
        Column("between replicas", "cm²/s", lambda row: row.D_between_replicas_cm2_s, detail=True),
        Column(
            "log-log slopes",
            "",
            lambda row: ", ".join(f"{slope:.2f}" for slope in row.loglog_slopes) or None,
            detail=True,
        ),
        Column("flags", "", lambda row: row.flags),
        Column("id", "", lambda row: short_id(row.id), detail=True),
    ]
    if any(row.from_fit for row in found):
        notes = [*notes, "intervals hold 68 %; single runs: `lipsdb query diffusion`"]
    title = "Diffusion coefficient and Nernst–Einstein conductivity by temperature"
    return Table("conductivity", title, columns, found, notes, ConductivityRow)


def _with_interval(value: float, std: float | None, interval: tuple[float, float] | None) -> Any:
    return Measured(value, std) if interval is None else (Measured(value), Range(*interval))
