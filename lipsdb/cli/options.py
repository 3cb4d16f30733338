"""Options that several commands share, each defined once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """Output formats of tables."""

    table = "table"
    json = "json"
    csv = "csv"
    md = "md"
    latex = "latex"


class LineageFormat(StrEnum):
    """Output formats of a lineage."""

    tree = "tree"
    json = "json"
    dot = "dot"
    svg = "svg"
    prov_json = "prov-json"


FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How the table is printed.")]
CampaignOption = Annotated[str | None, typer.Option("--campaign", "-c", help="Only what this campaign asked for.")]
ExcludeTaintedOption = Annotated[
    bool, typer.Option("--exclude-tainted", help="Leave out what stands on withdrawn documents, instead of marking it.")
]
CampaignFileArgument = Annotated[Path, typer.Argument(help="Campaign file (YAML).", show_default=False)]
IdArgument = Annotated[
    str,
    typer.Argument(metavar="ID", help="Id of a document; its beginning is enough if it is unique.", show_default=False),
]
PotentialArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="Id of a potential; its beginning is enough if it is unique.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
