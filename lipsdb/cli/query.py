"""``lipsdb query``: tables from the database."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from lipsdb.cli.options import CampaignOption, ExcludeTaintedOption, Format, FormatOption
from lipsdb.cli.terminal import err

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
    from lipsdb.queries.catalogue import QUERIES

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


@app.command()
def arrhenius(
    campaign: CampaignOption = None,
    exclude_tainted: ExcludeTaintedOption = False,
    format_: FormatOption = Format.table,
    show_pipeline: PipelineOption = False,
) -> None:
    """Activation energies and conductivities at 300 K, beside published ones."""
    _print("arrhenius", campaign, format_, show_pipeline, exclude_tainted)


@app.command()
def conductivity(
    campaign: CampaignOption = None,
    exclude_tainted: ExcludeTaintedOption = False,
    format_: FormatOption = Format.table,
    show_pipeline: PipelineOption = False,
) -> None:
    """Diffusion coefficient and conductivity by temperature, replicas combined."""
    _print("conductivity", campaign, format_, show_pipeline, exclude_tainted)


@app.command()
def diffusion(
    campaign: CampaignOption = None,
    exclude_tainted: ExcludeTaintedOption = False,
    format_: FormatOption = Format.table,
    show_pipeline: PipelineOption = False,
) -> None:
    """Diffusion coefficient of each single run."""
    _print("diffusion", campaign, format_, show_pipeline, exclude_tainted)


@app.command()
def coordination(
    campaign: CampaignOption = None,
    exclude_tainted: ExcludeTaintedOption = False,
    format_: FormatOption = Format.table,
    show_pipeline: PipelineOption = False,
) -> None:
    """Coordination numbers of each run."""
    _print("coordination", campaign, format_, show_pipeline, exclude_tainted)


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
def potentials(
    campaign: CampaignOption = None,
    exclude_tainted: ExcludeTaintedOption = False,
    format_: FormatOption = Format.table,
    show_pipeline: PipelineOption = False,
) -> None:
    """Potentials: training data, errors on held-out labels, cost."""
    _print("potentials", campaign, format_, show_pipeline, exclude_tainted)


@app.command("prediction_errors")
def prediction_errors(
    campaign: CampaignOption = None,
    exclude_tainted: ExcludeTaintedOption = False,
    format_: FormatOption = Format.table,
    show_pipeline: PipelineOption = False,
) -> None:
    """Errors of potentials against labels, beside those on held-out labels."""
    _print("prediction_errors", campaign, format_, show_pipeline, exclude_tainted)


@app.command()
def cost(
    campaign: CampaignOption = None,
    exclude_tainted: ExcludeTaintedOption = False,
    format_: FormatOption = Format.table,
    show_pipeline: PipelineOption = False,
) -> None:
    """Core-seconds, jobs and speed by kind of work and campaign."""
    _print("cost", campaign, format_, show_pipeline, exclude_tainted)


@app.command()
def withdrawals(
    campaign: CampaignOption = None, format_: FormatOption = Format.table, show_pipeline: PipelineOption = False
) -> None:
    """Withdrawn documents: by whom and why, and what stands on them."""
    _print("withdrawals", campaign, format_, show_pipeline)
