"""All queries by name, with what the command line needs to know of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from lipsdb.errors import BadInputError

if TYPE_CHECKING:
    from lipsdb.queries.aggregation import Aggregation
    from lipsdb.queries.tables import Table
    from lipsdb.store.database import Database


@dataclass(frozen=True)
class Query:
    """One query: a pipeline, its rows, and the table they make.

    Attributes
    ----------
    name : str
        As `lipsdb query NAME`; also the module's.
    help : str
        One line.
    options : mapping
        Options beside the campaign, with their allowed values (none: any text), the first being the default.
    """

    name: str
    help: str
    options: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)

    @property
    def _module(self) -> ModuleType:
        return importlib.import_module(f"lipsdb.queries.{self.name}")

    def aggregation(self, campaign: str | None = None, **options: Any) -> Aggregation:
        """The pipeline with the collection it runs on; ``.text()`` writes it for mongosh."""
        return cast("Aggregation", self._module.aggregation(campaign, **options))

    def rows(self, database: Database, campaign: str | None = None, **options: Any) -> Sequence[Any]:
        """The typed rows.

        Raises
        ------
        NotFoundError
            If there is no such campaign; names those that exist.
        """
        return cast("Sequence[Any]", self._module.rows(database, campaign, **options))

    def table(self, database: Database, campaign: str | None = None, **options: Any) -> Table:
        """The table, for `lipsdb.queries.tables.render`."""
        found = self.rows(database, campaign, **options)
        layout = {name: value for name, value in options.items() if name == "by"}
        return cast("Table", self._module.table(found, **layout))


QUERIES: dict[str, Query] = {
    query.name: query
    for query in (
        Query("arrhenius", "Activation energies and conductivities at 300 K, beside published ones."),
        Query("conductivity", "Diffusion coefficient and conductivity by temperature, replicas combined."),
        Query("diffusion", "Diffusion coefficient of each single run."),
        Query("coordination", "Coordination numbers of each run."),
        Query(
            "labels",
            "Counts of labels, beside published ones.",
            {"by": ("system", "iteration", "level"), "level_of_theory": ()},
        ),
        Query(
            "reproduce",
            "Recomputed labels beside a reference: energy, forces, stress, and whether they agree.",
            {"level_of_theory": (), "reference": ()},
        ),
        Query("potentials", "Potentials: training data, errors on held-out labels, cost."),
        Query("prediction_errors", "Errors of potentials against labels, beside those on held-out labels."),
        Query("cost", "Core-seconds, jobs and speed by kind of work and campaign."),
    )
}


def find_query(name: str) -> Query:
    """A query by name.

    Raises
    ------
    BadInputError
        If there is none of that name; names those that there are.
    """
    if name not in QUERIES:
        raise BadInputError(f"no query {name!r}; there are: {', '.join(QUERIES)}")
    return QUERIES[name]
