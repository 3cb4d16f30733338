"""Errors of potentials against labels at an independent test, beside those on the labels held out of their training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lipsdb.queries.aggregation import Aggregation, fetch, select
from lipsdb.queries.tables import Column, Table, short_id

if TYPE_CHECKING:
    from lipsdb.store.database import Database

ALL = "all"  # the row over all systems
Unknown = Literal["unknown"]
_COPIED = (
    "system",
    "n_frames",
    "energy_mae_meV_per_atom",
    "energy_rmse_meV_per_atom",
    "energy_mae_without_offset_meV_per_atom",
    "energy_rmse_without_offset_meV_per_atom",
    "force_mae_meV_per_A",
    "force_rmse_meV_per_A",
    "virial_mae_meV_per_atom",
    "virial_rmse_meV_per_atom",
    "stress_mae_GPa",
    "stress_rmse_GPa",
)


@dataclass(frozen=True)
class PredictionErrorsRow:
    """Errors (potential − label) of one potential against the labels of one system and level of theory, or of all.

    Attributes
    ----------
    energy_offset_meV_per_atom : float
        Mean signed error of the energy.
    energy_mae_without_offset_meV_per_atom, energy_rmse_without_offset_meV_per_atom : float or None
        After the mean error of the labels of the same composition and level was taken away; None if there are not two
        such labels.
    n_trained, n_trained_by_geometry : int or 'unknown' or None
        Labels whose configuration the potential was trained on, by id and by geometry; only in the row over all.
    held_energy_mae_meV_per_atom, held_force_mae_meV_per_A : float or None
        Of the same system on the labels held out of the training, if there are any.
    """

    potential_id: str
    engine: str
    system: str
    level_of_theory: tuple[str, ...]
    n_frames: int
    energy_mae_meV_per_atom: float
    energy_rmse_meV_per_atom: float
    energy_offset_meV_per_atom: float
    energy_mae_without_offset_meV_per_atom: float | None
    energy_rmse_without_offset_meV_per_atom: float | None
    force_mae_meV_per_A: float
    force_rmse_meV_per_A: float
    virial_mae_meV_per_atom: float | None
    virial_rmse_meV_per_atom: float | None
    stress_mae_GPa: float | None
    stress_rmse_GPa: float | None
    n_held: int | None
    held_energy_mae_meV_per_atom: float | None
    held_force_mae_meV_per_A: float | None
    training_level_of_theory: tuple[str, ...]
    n_trained: int | Unknown | None
    n_trained_by_geometry: int | Unknown | None
    n_refused: int | None
    campaigns: tuple[str, ...]
    id: str
    flags: tuple[str, ...] = ()
    withdrawals: tuple[str, ...] = ()


def aggregation(campaign: str | None = None) -> Aggregation:
    """The pipeline: tests of potentials, each with the errors of its potential on held-out labels."""
    potential = {
        "from": "potentials",
        "localField": "answer.potential_id",
        "foreignField": "_id",
        "pipeline": [{"$project": {"answer.errors": 1}}],
        "as": "potential",
    }
    pipeline = [
        *select("properties", {"asked.property": "prediction_errors"}, campaign),
        {"$project": {"answer": 1, "campaigns": 1, "made_by.finished_at": 1}},
        {"$unset": "answer.offsets"},
        {"$lookup": potential},
        {"$set": {"potential": {"$first": "$potential"}}},
        {"$sort": {"answer.potential_id": 1, "made_by.finished_at": 1, "_id": 1}},
    ]
    return Aggregation("properties", pipeline)


def rows(database: Database, campaign: str | None = None) -> list[PredictionErrorsRow]:
    """Run the query.

    Raises
    ------
    NotFoundError
        If there is no such campaign.
    """
    return [row for found in fetch(database, aggregation(campaign), campaign) for row in rows_of(found)]


def rows_of(found: Mapping[str, Any]) -> Iterator[PredictionErrorsRow]:
    """Make the rows of one test: its systems by name, then all."""
    answer = found["answer"]
    errors_held = (found.get("potential") or {"answer": {"errors": []}})["answer"]["errors"]
    held = {errors["system"]: errors for errors in errors_held}
    for errors in answer["errors"]:
        same, overall = held.get(errors["system"]), errors["system"] == ALL
        trained = answer["training_data"]
        yield PredictionErrorsRow(
            potential_id=answer["potential_id"],
            engine=answer["engine"],
            level_of_theory=tuple(errors["levels_of_theory"]),
            **{name: errors[name] for name in _COPIED},
            energy_offset_meV_per_atom=errors["energy_bias_meV_per_atom"],
            n_held=None if same is None else same["n_frames"],
            held_energy_mae_meV_per_atom=None if same is None else same["energy_mae_meV_per_atom"],
            held_force_mae_meV_per_A=None if same is None else same["force_mae_meV_per_A"],
            training_level_of_theory=tuple(answer["training_levels_of_theory"] or ()),
            n_trained=trained["trained_by_id"] if overall else None,
            n_trained_by_geometry=trained["trained_by_geometry"] if overall else None,
            n_refused=answer["n_refused"] if overall else None,
            campaigns=tuple(found["campaigns"]),
            id=found["_id"],
        )


def table(found: Sequence[PredictionErrorsRow]) -> Table:
    """Lay the rows out as a table."""
    columns = [
        Column("potential", "", lambda row: short_id(row.potential_id)),
        Column("system", "", lambda row: row.system),
        Column("level of theory", "", lambda row: ", ".join(row.level_of_theory)),
        Column("labels", "", lambda row: row.n_frames),
        Column("energy MAE", "meV/atom", lambda row: row.energy_mae_meV_per_atom),
        Column("offset", "meV/atom", lambda row: f"{row.energy_offset_meV_per_atom:+.2f}"),
        Column("MAE without offset", "meV/atom", lambda row: row.energy_mae_without_offset_meV_per_atom),
        Column("force MAE", "meV/Å", lambda row: row.force_mae_meV_per_A),
        Column("force RMSE", "meV/Å", lambda row: row.force_rmse_meV_per_A, detail=True),
        Column("stress MAE", "GPa", lambda row: row.stress_mae_GPa, detail=True),
        Column("held-out energy MAE", "meV/atom", lambda row: row.held_energy_mae_meV_per_atom),
        Column("held-out force MAE", "meV/Å", lambda row: row.held_force_mae_meV_per_A),
        Column("trained on", "labels", lambda row: row.n_trained, detail=True),
        Column("id", "", lambda row: short_id(row.id), detail=True),
    ]
    title = "Errors of potentials against labels, beside those on held-out labels"
    todo = "a campaign tests a potential (section `properties`, kind prediction_errors), then `lipsdb run`"
    return Table("prediction_errors", title, columns, found, list(_notes(found)), PredictionErrorsRow, todo)


def _notes(found: Sequence[PredictionErrorsRow]) -> Iterator[str]:
    if found:
        yield "errors are potential − label; offset: mean energy error"
        yield (
            "without offset: after the mean error of each composition and level of theory, where it has two labels or "
            "more; levels of theory may differ by such an offset"
        )
    for row in found:
        if row.system == ALL:
            yield f"{short_id(row.id)}: {_trained(row)}{_levels(row)}{_refused(row)}"


def _trained(row: PredictionErrorsRow) -> str:
    if row.n_trained == "unknown":
        return "unknown whether its labels were trained on: the potential's dataset is not in this database"
    if row.n_trained_by_geometry == "unknown":
        return (
            f"{row.n_trained} of its {row.n_frames} labels were trained on, by id; by geometry that is unknown, since "
            "the training labels are not all in this database"
        )
    return f"{row.n_trained_by_geometry} of the configurations of its {row.n_frames} labels were trained on"


def _levels(row: PredictionErrorsRow) -> str:
    trained = row.training_level_of_theory
    return f"; trained at {', '.join(trained)}" if trained and trained != row.level_of_theory else ""


def _refused(row: PredictionErrorsRow) -> str:
    return f"; {row.n_refused} labels were refused and are left out" if row.n_refused else ""
