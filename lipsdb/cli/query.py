"""``lipsdb query``: tables from the database."""

from __future__ import annotations

from typing import Annotated

import typer

from lipsdb.cli.options import CampaignOption, Format, FormatOption

app = typer.Typer(help="Tables from the database; --show-pipeline prints the aggregation for mongosh or Compass.", no_args_is_help=True)
PipelineOption = Annotated[bool, typer.Option("--show-pipeline", help="Print the aggregation pipeline instead of the table.")]


def _print(name: str, campaign: str | None, format_: Format, show_pipeline: bool, **options: str) -> None:
    from lipsdb.queries.catalogue import QUERIES
    from lipsdb.queries.tables import pipeline_text, render
    from lipsdb.store.database import connect

    query = QUERIES[name]
    if show_pipeline:
        print(pipeline_text(query.collection, query.pipeline(campaign=campaign, **options)))
        return
    print(render(query.table(connect(), campaign=campaign, **options), format_.value))


@app.command()
def arrhenius(campaign: CampaignOption = None, format_: FormatOption = Format.table, show_pipeline: PipelineOption = False) -> None:
    """Activation energy and extrapolated conductivity, beside published values."""
    _print("arrhenius", campaign, format_, show_pipeline)
