"""``lipsdb query``: tables from the database."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from lipsdb.cli.options import CampaignOption, ExcludeTaintedOption, Format, FormatOption
from lipsdb.cli.terminal import err
from lipsdb.queries.catalogue import QUERIES

app = typer.Typer(
    help="Tables from the database; --show-pipeline prints the aggregation for mongosh or Compass.",
    no_args_is_help=True,
)
PipelineOption = Annotated[
    bool, typer.Option("--show-pipeline", help="Print the aggregation pipeline instead of the table.")
]


class LabelGrouping(StrEnum):
    """What labels are counted by."""

    system = "system"
    iteration = "iteration"
    level = "level"


def _print(
    name: str,
    campaign: str | None,
    format_: Format,
    show_pipeline: bool,
    exclude_tainted: bool = False,
    **options: Any,
) -> None:
    query = QUERIES[name]
    if show_pipeline:
        print(query.aggregation(campaign, **options).text())
        if exclude_tainted:
            err.print("what stands on withdrawn documents is left out of what this gives")
        return
    from lipsdb.queries.tables import render
    from lipsdb.store.database import connect

    table = query.table(connect(), campaign, exclude_tainted=exclude_tainted, **options)
    print(render(table, format_.value))


def _add_command(name: str, help_: str) -> None:
    """Add the command of a query that has no options of its own."""

    @app.command(name, help=help_)
    def command(
        campaign: CampaignOption = None,
        exclude_tainted: ExcludeTaintedOption = False,
        format_: FormatOption = Format.table,
        show_pipeline: PipelineOption = False,
    ) -> None:
        _print(name, campaign, format_, show_pipeline, exclude_tainted)


for _query in QUERIES.values():
    if _query.name not in {"labels", "reproduce", "withdrawals"}:
        _add_command(_query.name, _query.help)


@app.command()
def labels(
    by: Annotated[LabelGrouping, typer.Option(help="What they are counted by.")] = LabelGrouping.system,
    level_of_theory: Annotated[
        str | None, typer.Option("--level-of-theory", "-l", help="Only labels of this level of theory.")
    ] = None,
    campaign: CampaignOption = None,
    exclude_tainted: ExcludeTaintedOption = False,
    format_: FormatOption = Format.table,
    show_pipeline: PipelineOption = False,
) -> None:
    """Counts of labels, beside published ones."""
    _print("labels", campaign, format_, show_pipeline, exclude_tainted, by=by.value, level_of_theory=level_of_theory)


@app.command()
def reproduce(
    level_of_theory: Annotated[
        str | None, typer.Option("--level-of-theory", "-l", help="Only recomputations at this level of theory.")
    ] = None,
    reference: Annotated[str | None, typer.Option(help="Only labels of this level of theory as references.")] = None,
    campaign: CampaignOption = None,
    exclude_tainted: ExcludeTaintedOption = False,
    format_: FormatOption = Format.table,
    show_pipeline: PipelineOption = False,
) -> None:
    """Recomputed labels beside a reference: energy, forces, stress, and whether they agree.

    The reference of a configuration is its ingested label if there is one, else the one that was computed first.
    """
    options = {"level_of_theory": level_of_theory, "reference": reference}
    _print("reproduce", campaign, format_, show_pipeline, exclude_tainted, **options)


@app.command()
def withdrawals(
    campaign: CampaignOption = None, format_: FormatOption = Format.table, show_pipeline: PipelineOption = False
) -> None:
    """Withdrawn documents: by whom and why, and what stands on them."""
    _print("withdrawals", campaign, format_, show_pipeline)
