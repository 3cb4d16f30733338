"""Descriptors of structure and dynamics: one table for each kind, from the summaries that stand in their answers.

A descriptor's answer has a list ``summary``: what belongs in a table, one entry a row, such as a pair of elements with
the place of its first peak. Which fields these have is declared here once; columns, units and formats follow from their
names: ``peak_A`` is the column 'peak (Å)', and a number ``peak_std_A`` is its standard error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lipsdb.field_names import in_words, unit_suffix
from lipsdb.queries.aggregation import Aggregation, fetch, select, with_engine
from lipsdb.queries.published import published_stages, published_values
from lipsdb.queries.tables import Column, Measured, Table, potential_columns, short_id

if TYPE_CHECKING:
    from lipsdb.store.database import Database

_CONDITIONS = {"structure": str, "formula": str, "potential_id": str}
_CONDITIONS_OF_RUN = {**_CONDITIONS, "ensemble": str, "pressure_bar": float | None, "temperature_K": float, "seed": int}


@dataclass(frozen=True)
class Descriptor:
    """The table of one kind of property.

    Attributes
    ----------
    kind : str
        As ``asked.property``.
    title : str
        What stands above the table, and in the command's help.
    fields : mapping
        Fields of each entry of ``answer.summary`` with their types: text first, then numbers, None where there is none.
    notes : sequence of str
        Remarks below the table.
    of_run : bool
        Whether it is of a run, with its temperature and seed; else of a structure.
    published : mapping
        Fields that have published values beside them, with the quantity in a campaign's section ``published``.
    """

    kind: str
    title: str
    fields: Mapping[str, type]
    notes: Sequence[str] = field(default=())
    of_run: bool = True
    published: Mapping[str, str] = field(default_factory=dict)

    @property
    def _conditions(self) -> Mapping[str, Any]:
        return _CONDITIONS_OF_RUN if self.of_run else _CONDITIONS

    @cached_property
    def row_type(self) -> type[Any]:
        """The rows' dataclass: conditions of the run, the entry's fields, provenance."""
        own: list[Any] = [(name, type_ if type_ is str else type_ | None) for name, type_ in self.fields.items()]
        own += [(f"published_{name}", tuple) for name in self.published]
        tail: list[Any] = [("engine", str | None), ("campaigns", tuple), ("id", str)]
        tail += [("run_id", str)] if self.of_run else []
        tail += [("flags", tuple, field(default=())), ("withdrawals", tuple, field(default=()))]
        name = "".join(part.capitalize() for part in self.kind.split("_")) + "Row"
        return make_dataclass(name, [*self._conditions.items(), *own, *tail], frozen=True)

    def aggregation(self, campaign: str | None = None) -> Aggregation:
        """The pipeline: one document a row."""
        order = [name for name in self._conditions if name != "formula"]
        published = published_stages(campaign, "$conditions.structure") if self.published else []
        pipeline = [
            *select("properties", {"asked.property": self.kind}, campaign),
            {"$project": {"conditions": "$answer.conditions", "summary": "$answer.summary", "campaigns": 1}},
            *published,
            {"$sort": {**{f"conditions.{name}": 1 for name in order}, "_id": 1}},
            *with_engine("conditions.potential_id"),
            {"$unwind": "$summary"},
        ]
        return Aggregation("properties", pipeline)

    def rows(self, database: Database, campaign: str | None = None) -> list[Any]:
        """Run the query.

        Raises
        ------
        NotFoundError
            If there is no such campaign.
        """
        return [self._row_of(found) for found in fetch(database, self.aggregation(campaign), campaign)]

    def _row_of(self, found: Mapping[str, Any]) -> Any:
        conditions, summary = found["conditions"], found["summary"]
        return self.row_type(
            **{name: conditions[name] for name in self._conditions},
            **{name: summary.get(name) for name in self.fields},
            **{
                f"published_{name}": published_values(found["published"], quantity)
                for name, quantity in self.published.items()
            },
            engine=found.get("engine"),
            flags=tuple(summary.get("flags", ())),
            campaigns=tuple(found["campaigns"]),
            id=found["_id"],
            **({"run_id": conditions["run_id"]} if self.of_run else {}),
        )

    def table(self, found: Sequence[Any]) -> Table:
        """Lay the rows out as a table."""
        potential, notes = potential_columns(found) if found else ([], [])
        of_run = [
            *_ensemble_columns(found if self.of_run else []),
            Column("T", "K", lambda row: f"{row.temperature_K:g}"),
            Column("seed", "", lambda row: row.seed),
        ]
        own = [column for name in self.fields if "_std" not in name for column in self._columns(name)]
        columns = [
            Column("system", "", lambda row: row.structure),
            *potential,
            *(of_run if self.of_run else []),
            *own,
            *([Column("flags", "", lambda row: row.flags)] if any(row.flags for row in found) else []),
            Column("id", "", lambda row: short_id(row.id), detail=True),
        ]
        return Table(self.kind, self.title, columns, found, [*notes, *self.notes], self.row_type)

    def _columns(self, name: str) -> list[Column]:
        column = self._column(name)
        if name not in self.published:
            return [column]
        return [column, Column(f"{column.name} published", column.unit, lambda row: getattr(row, f"published_{name}"))]

    def _column(self, name: str) -> Column:
        words, unit = in_words(name)
        suffix = unit_suffix(name)
        error = f"{name.removesuffix(suffix)}_std{suffix}"
        if error not in self.fields:
            return Column(words, unit, lambda row: getattr(row, name))

        def measured(row: Any) -> Measured | None:
            value = getattr(row, name)
            return None if value is None else Measured(value, getattr(row, error))

        return Column(words, unit, measured)


def _ensemble_columns(rows: Sequence[Any]) -> list[Column]:
    """Ensemble and pressure, if a pressure was set or the rows differ in them."""
    if len({row.ensemble for row in rows}) < 2 and all(row.pressure_bar is None for row in rows):
        return []
    pressure = Column("p", "bar", lambda row: None if row.pressure_bar is None else f"{row.pressure_bar:g}")
    return [Column("ensemble", "", lambda row: row.ensemble.upper()), pressure]
