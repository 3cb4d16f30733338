"""Potentials: what they were trained on, their errors on held-out labels, their cost; a row for each system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lipsdb.queries.aggregation import Aggregation, fetch, select
from lipsdb.queries.tables import Column, Table, short_id

if TYPE_CHECKING:
    from lipsdb.store.database import Database

ALL = "all"  # the row over all systems
_ERRORS = (
    "energy_mae_meV_per_atom",
    "energy_rmse_meV_per_atom",
    "energy_bias_meV_per_atom",
    "force_mae_meV_per_A",
    "force_rmse_meV_per_A",
    "virial_mae_meV_per_atom",
    "virial_rmse_meV_per_atom",
)


@dataclass(frozen=True)
class PotentialRow:
    """Errors of one potential on the held-out labels of one system, or of all."""

    id: str
    engine: str
    elements: tuple[str, ...]
    cutoff_A: float
    level: int | None  # of a moment tensor potential
    system: str
    n_training: int | None
    n_held: int | None
    n_external: int | None
    n_frames: int
    energy_mae_meV_per_atom: float
    energy_rmse_meV_per_atom: float
    energy_bias_meV_per_atom: float
    force_mae_meV_per_A: float
    force_rmse_meV_per_A: float
    virial_mae_meV_per_atom: float | None
    virial_rmse_meV_per_atom: float | None
    level_of_theory: tuple[str, ...]
    core_seconds: float
    adopted: bool
    flags: tuple[str, ...]
    campaigns: tuple[str, ...]
    dataset_id: str | None
    model_sha256: str
    withdrawals: tuple[str, ...] = ()


def aggregation(campaign: str | None = None) -> Aggregation:
    """The pipeline: potentials with their dataset's counts, and how many of its labels are not in this database."""
    external = {"from": "externals", "localField": "inputs.id", "foreignField": "_id"}
    dataset = [
        {"$lookup": {**external, "pipeline": [{"$match": {"collection": "labels"}}], "as": "external"}},
        {
            "$project": {
                "answer.systems": 1,
                "answer.n_training": 1,
                "answer.n_held": 1,
                "answer.level_of_theory": 1,
                "n_external": {"$size": "$external"},
            }
        },
    ]
    join = {"from": "datasets", "localField": "inputs.id", "foreignField": "_id", "pipeline": dataset, "as": "dataset"}
    kept = [
        "asked.engine",
        "asked.settings.level",
        "answer.elements",
        "answer.cutoff_A",
        "answer.errors",
        "answer.model",
        "campaigns",
    ]
    kept += ["made_by.core_seconds", "made_by.launchpad", "made_by.finished_at"]
    pipeline = [
        *select("potentials", {"asked.engine": {"$gte": ""}}, campaign),
        {"$project": dict.fromkeys([*kept, "inputs.id"], 1)},
        {"$lookup": join},
        {"$set": {"dataset": {"$first": "$dataset"}}},
        {"$sort": {"made_by.finished_at": 1, "_id": 1}},
    ]
    return Aggregation("potentials", pipeline)


def rows(database: Database, campaign: str | None = None) -> list[PotentialRow]:
    """Run the query.

    Raises
    ------
    NotFoundError
        If there is no such campaign.
    """
    found = fetch(database, aggregation(campaign), campaign)
    return [row for potential in found for row in rows_of(potential, database.identifier)]


def rows_of(found: Mapping[str, Any], launchpad: str) -> list[PotentialRow]:
    """Make the rows of one potential: its systems by name, then all.

    Parameters
    ----------
    found : mapping
        As the pipeline gives it.
    launchpad : str
        Identifier of this database; a potential made in another was adopted.
    """
    answer, dataset = found["answer"], found.get("dataset") or {}
    adopted = found["made_by"].get("launchpad") not in {None, launchpad}
    n_external = dataset.get("n_external")
    flags = {"adopted": adopted, "labels external": bool(n_external)}
    training, held = _counts(dataset, "n_training"), _counts(dataset, "n_held")
    return [
        PotentialRow(
            id=found["_id"],
            engine=found["asked"]["engine"],
            elements=tuple(answer["elements"]),
            cutoff_A=answer["cutoff_A"],
            level=found["asked"].get("settings", {}).get("level"),
            system=errors["system"],
            n_training=training.get(errors["system"]),
            n_held=held.get(errors["system"]),
            n_external=n_external,
            n_frames=errors["n_frames"],
            **{name: errors[name] for name in _ERRORS},
            level_of_theory=tuple(dataset.get("answer", {}).get("level_of_theory", ())),
            core_seconds=found["made_by"]["core_seconds"],
            adopted=adopted,
            flags=tuple(flag for flag, holds in flags.items() if holds and errors["system"] == ALL),
            campaigns=tuple(found["campaigns"]),
            dataset_id=dataset.get("_id"),
            model_sha256=answer["model"]["sha256"],
        )
        for errors in sorted(answer["errors"], key=lambda errors: (errors["system"] == ALL, errors["system"]))
    ]


def _counts(dataset: Mapping[str, Any], field: str) -> dict[str, int]:
    """Labels by system (of all its cells together) and for all."""
    if not dataset:
        return {}
    answer = dataset["answer"]
    counts = {ALL: answer[field]}
    for system in answer["systems"]:
        counts[system["system"]] = counts.get(system["system"], 0) + system[field]
    return counts


def table(found: Sequence[PotentialRow]) -> Table:
    """Lay the rows out as a table."""
    several = len({row.id for row in found}) > 1  # a narrow terminal must tell them apart
    columns = [
        Column("potential", "", lambda row: short_id(row.id), detail=not several),
        Column("engine", "", lambda row: row.engine, detail=True),
        Column("cutoff", "Å", lambda row: f"{row.cutoff_A:g}", detail=True),
        *([Column("level", "", lambda row: row.level)] if any(row.level is not None for row in found) else []),
        Column("system", "", lambda row: row.system),
        Column("trained on", "labels", lambda row: row.n_training, detail=several),
        Column("held out", "labels", lambda row: row.n_held, detail=several),
        Column("energy MAE", "meV/atom", lambda row: row.energy_mae_meV_per_atom),
        Column("RMSE", "meV/atom", lambda row: row.energy_rmse_meV_per_atom, detail=True),
        Column("bias", "meV/atom", lambda row: row.energy_bias_meV_per_atom, detail=several),
        Column("force MAE", "meV/Å", lambda row: row.force_mae_meV_per_A),
        Column("RMSE", "meV/Å", lambda row: row.force_rmse_meV_per_A, detail=True),
        Column("virial MAE", "meV/atom", lambda row: row.virial_mae_meV_per_atom, detail=True),
        Column("RMSE", "meV/atom", lambda row: row.virial_rmse_meV_per_atom, detail=True),
        Column("training", "core s", lambda row: f"{row.core_seconds:.0f}" if row.system == ALL else None, detail=True),
        Column(
            "made", "", lambda row: None if row.system != ALL else "adopted" if row.adopted else "here", detail=True
        ),
        Column("flags", "", lambda row: row.flags),
    ]
    notes = [
        f"{short_id(row.id)}: {row.n_external} of its {(row.n_training or 0) + (row.n_held or 0)} labels are not here"
        for row in found
        if row.system == ALL and row.n_external
    ]
    todo = "a campaign trains or adopts one (section `potentials`): `lipsdb campaign submit FILE`, then `lipsdb run`"
    title = "Potentials and their errors on held-out labels"
    return Table("potentials", title, columns, found, notes, PotentialRow, todo)
