"""All queries by name, with what the command line needs to know of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from lipsdb.errors import BadInputError
from lipsdb.provenance.kinds import RESULTS
from lipsdb.queries.descriptors import DESCRIPTORS, Descriptor

if TYPE_CHECKING:
    from lipsdb.provenance.withdrawal import Taint
    from lipsdb.queries.aggregation import Aggregation
    from lipsdb.queries.counting import Among
    from lipsdb.queries.tables import Table
    from lipsdb.queries.tainting import MarkedRows
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
    counts : sequence of str
        Kinds of documents that its rows count; empty if a row is about single documents.
    descriptor : Descriptor, optional
        What answers it, in place of a module.
    """

    name: str
    help: str
    options: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    counts: Sequence[str] = ()
    descriptor: Descriptor | None = None

    @property
    def _module(self) -> Any:
        if self.descriptor is not None:
            return self.descriptor
        return importlib.import_module(f"lipsdb.queries.{self.name}")

    def aggregation(self, campaign: str | None = None, **options: Any) -> Aggregation:
        """The pipeline with the collection it runs on; ``.text()`` writes it for mongosh."""
        return cast("Aggregation", self._module.aggregation(campaign, **options))

    def rows(
        self,
        database: Database,
        campaign: str | None = None,
        *,
        taint: Taint | None = None,
        exclude_tainted: bool = False,
        **options: Any,
    ) -> Sequence[Any]:
        """The typed rows; those that stand on withdrawn documents have the flag 'tainted'.

        Parameters
        ----------
        database : Database
        campaign : str, optional
            Only what this campaign asked for.
        taint : Taint, optional
            What stands on withdrawn documents; asked of the database by default.
        exclude_tainted : bool
            Leave such rows out, and count no such documents.
        **options
            Of this query.

        Raises
        ------
        NotFoundError
            If there is no such campaign; names those that exist.
        """
        return self._answer(database, campaign, taint, exclude_tainted, options).rows

    def table(
        self,
        database: Database,
        campaign: str | None = None,
        *,
        taint: Taint | None = None,
        exclude_tainted: bool = False,
        **options: Any,
    ) -> Table:
        """The table of the rows, for `lipsdb.queries.tables.render`; says on what tainted rows stand."""
        answer = self._answer(database, campaign, taint, exclude_tainted, options)
        layout = {name: value for name, value in options.items() if name == "by"}
        return answer.remarked(cast("Table", self._module.table(answer.rows, **layout)))

    def _answer(
        self, database: Database, campaign: str | None, taint: Taint | None, exclude: bool, options: Mapping[str, Any]
    ) -> MarkedRows:
        from lipsdb.provenance import withdrawal
        from lipsdb.queries.counting import tainted_counts
        from lipsdb.queries.tainting import MarkedRows, mark

        taint = withdrawal.taint(database) if taint is None else taint
        if not taint.withdrawn:
            return MarkedRows(self._module.rows(database, campaign, **options))
        if not self.counts:
            return mark(self._module.rows(database, campaign, **options), taint, exclude=exclude)

        def aggregation_of(among: Among) -> Aggregation:
            return self.aggregation(campaign, among=among, **options)

        tainted = tainted_counts(database, aggregation_of, taint, self.counts, exclude=exclude)
        return tainted.marked(self._module.rows(database, campaign, **options, tainted=tainted))


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
            counts=("label",),
        ),
        Query(
            "reproduce",
            "Recomputed labels beside a reference: energy, forces, stress, and whether they agree.",
            {"level_of_theory": (), "reference": ()},
        ),
        Query("potentials", "Potentials: training data, errors on held-out labels, cost."),
        Query("potential_choice", "Grid searches for potentials: errors, time and cost of each, and which was chosen."),
        Query("extrapolation", "Extrapolation grades of runs: the largest, frames selected, runs that were ended."),
        Query("classifiers", "Classifiers of ions: training data, performance on what was held out."),
        Query("prediction_errors", "Errors of potentials against labels, beside those on held-out labels."),
        Query("cost", "Core-seconds, jobs and speed by kind of work and campaign.", counts=tuple(RESULTS)),
        *(Query(one.kind, f"{one.title}.", descriptor=one) for one in DESCRIPTORS),
        Query("withdrawals", "Withdrawn documents: by whom and why, and what stands on them."),
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
