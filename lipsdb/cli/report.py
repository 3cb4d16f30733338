"""``lipsdb report``: one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lipsdb.cli.options import ExcludeTaintedOption
from lipsdb.cli.terminal import out


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(report)


def report(
    campaign: Annotated[str, typer.Argument(help="Name of the campaign.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path("report.html"),
    with_audit: Annotated[
        bool, typer.Option("--audit/--no-audit", help="Audit the campaign and state the outcome.")
    ] = True,
    exclude_tainted: ExcludeTaintedOption = False,
) -> None:
    """Write one self-contained HTML file: figures, tables, and what each number was made from."""
    from lipsdb.provenance.audit import audit
    from lipsdb.queries.report import write_report
    from lipsdb.store.database import connect

    database = connect()
    found = audit(database, campaign) if with_audit else None
    path = write_report(database, campaign, output, audit=found, exclude_tainted=exclude_tainted)
    out.print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
