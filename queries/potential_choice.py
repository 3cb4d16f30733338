"""Grid searches for potentials: errors, time and cost of each member, and which of them was chosen."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lipsdb.field_names import in_words, value_in_words
from lipsdb.queries.aggregation import Aggregation, fetch, select
from lipsdb.queries.tables import Column, Table, short_id

if TYPE_CHECKING:
    from lipsdb.store.database import Database

_COPIED = (
    "potential_id",
    "engine",
    "energy_mae_meV_per_atom",
    "energy_rmse_meV_per_atom",
    "force_mae_meV_per_A",
    "force_rmse_meV_per_A",
    "virial_mae_meV_per_atom",
    "virial_rmse_meV_per_atom",
    "time_us_per_atom",
    "training_core_seconds",
    "good_enough",
    "chosen",
)


@dataclass(frozen=True)
class PotentialChoiceRow:
    """One member of a grid search; errors are those on the labels held out.

    Attributes
    ----------
    settings : dict
        Those that vary in the grid.
    time_us_per_atom : float
        Of energy, forces and virial on one core, per atom and step.
    good_enough : bool
        Whether its `criterion` is within the `tolerance` (a fraction) of the smallest.
    """

    potential_id: str
    engine: str
    settings: dict[str, Any]
    energy_mae_meV_per_atom: float
    energy_rmse_meV_per_atom: float
    force_mae_meV_per_A: float
    force_rmse_meV_per_A: float
    virial_mae_meV_per_atom: float | None
    virial_rmse_meV_per_atom: float | None
    time_us_per_atom: float
    training_core_seconds: float
    good_enough: bool
    chosen: bool
    criterion: str
    tolerance: float
    reason: str
    n_held: int
    campaigns: tuple[str, ...]
    id: str
    flags: tuple[str, ...] = ()
    withdrawals: tuple[str, ...] = ()


def aggregation(campaign: str | None = None) -> Aggregation:
    """The pipeline: choices of potentials, each with all members of its grid."""
    kept = ("asked.parameters", "answer", "campaigns", "made_by.finished_at")
    pipeline = [
        *select("properties", {"asked.property": "potential_choice"}, campaign),
        {"$project": dict.fromkeys(kept, 1)},
        {"$sort": {"made_by.finished_at": 1, "_id": 1}},
    ]
    return Aggregation("properties", pipeline)


def rows(database: Database, campaign: str | None = None) -> list[PotentialChoiceRow]:
    """Run the query.

    Raises
    ------
    NotFoundError
        If there is no such campaign.
    """
    return [row for found in fetch(database, aggregation(campaign), campaign) for row in rows_of(found)]


def rows_of(found: Mapping[str, Any]) -> list[PotentialChoiceRow]:
    """Make the rows of one choice, sorted by the settings that vary, the first of them first."""
    answer, parameters = found["answer"], found["asked"]["parameters"]
    criterion, tolerance = parameters["criterion"], parameters["tolerance"]
    made = [
        PotentialChoiceRow(
            **{name: row[name] for name in _COPIED},
            settings={name: row["settings"][name] for name in parameters["over"]},
            criterion=criterion,
            tolerance=tolerance,
            reason=answer["reason"],
            n_held=answer["n_held"],
            campaigns=tuple(found["campaigns"]),
            id=found["_id"],
        )
        for row in answer["rows"]
    ]
    return sorted(made, key=lambda row: [in_order(value) for value in row.settings.values()])


def in_order(value: Any) -> tuple[bool, float, str]:
    """Sort key of a setting: numbers by size, before all else by its text.

    Examples
    --------
    >>> sorted(["auto", 10, 9.5], key=in_order)
    [9.5, 10, 'auto']
    """
    number = isinstance(value, (int, float))
    return not number, float(value) if number else 0.0, "" if number else value_in_words(value)


def table(found: Sequence[PotentialChoiceRow]) -> Table:
    """Lay the rows out as a table."""
    searches = list(dict.fromkeys(row.id for row in found))
    criteria = {row.criterion for row in found}
    columns = [
        *([Column("search", "", lambda row: searches.index(row.id) + 1)] if len(searches) > 1 else []),
        *([Column("engine", "", lambda row: row.engine)] if len({row.engine for row in found}) > 1 else []),
        *(_setting_column(name) for name in dict.fromkeys(name for row in found for name in row.settings)),
        _error("energy MAE", "meV/atom", "energy_mae_meV_per_atom", criteria),
        _error("force MAE", "meV/Å", "force_mae_meV_per_A", criteria),
        _error("virial MAE", "meV/atom", "virial_mae_meV_per_atom", criteria),
        Column("time", "µs/atom/step", lambda row: row.time_us_per_atom),
        Column("choice", "", _choice),
        Column("potential", "", lambda row: short_id(row.potential_id), detail=True),
        Column("training", "core s", lambda row: f"{row.training_core_seconds:.3g}", detail=True),
        _error("energy RMSE", "meV/atom", "energy_rmse_meV_per_atom", criteria),
        _error("force RMSE", "meV/Å", "force_rmse_meV_per_A", criteria),
        _error("virial RMSE", "meV/atom", "virial_rmse_meV_per_atom", criteria),
    ]
    title = "Grid searches for potentials: error on held-out labels against cost"
    todo = (
        "a campaign searches (section `grids`) and chooses (section `properties`, kind potential_choice): "
        "`lipsdb campaign submit FILE`, then `lipsdb run`"
    )
    return Table("potential_choice", title, columns, found, list(_notes(found, searches)), PotentialChoiceRow, todo)


def _error(name: str, unit: str, field: str, criteria: Collection[str]) -> Column:
    """A column of errors; a narrow terminal goes without those that no search decides by."""
    return Column(name, unit, lambda row: getattr(row, field), detail=field not in criteria)


def _setting_column(name: str) -> Column:
    def cell(row: PotentialChoiceRow) -> int | str | None:
        value = row.settings.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and float(value).is_integer():
            return int(value)
        return None if value is None else value_in_words(value)

    return Column(*in_words(name), cell)


def _choice(row: PotentialChoiceRow) -> str | None:
    return "chosen" if row.chosen else f"within {100 * row.tolerance:g} %" if row.good_enough else None


def _notes(found: Sequence[PotentialChoiceRow], searches: Sequence[str]) -> Iterator[str]:
    chosen = [row for row in found if row.chosen]
    several = len(searches) > 1
    for row in chosen:
        where = f"search {searches.index(row.id) + 1} ({short_id(row.id)}): " if several else ""
        yield f"{where}{short_id(row.potential_id)} was chosen: {row.reason}"
    for row in chosen:
        of = f" of search {searches.index(row.id) + 1}" if several else ""
        yield (
            f"errors{of} on {row.n_held} held-out labels; time of energy, forces and virial on one core of the machine "
            "that timed them all, in turns: compare within a search only"
        )
