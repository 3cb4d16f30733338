"""``lipsdb export``: potentials and files out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lipsdb.cli.options import IdArgument
from lipsdb.cli.terminal import next_step, out
from lipsdb.errors import NotFoundError

app = typer.Typer(help="Write potentials and files out.", no_args_is_help=True)


@app.command()
def potential(
    id_: IdArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.", show_default=False)],
) -> None:
    """Write a potential with its record and files, for another database to adopt."""
    from lipsdb.export.potential import export_potential
    from lipsdb.store.database import connect

    record = export_potential(connect(), id_, output)
    out.print(f"{record} and {len(list((output / 'artifacts').iterdir()))} files")
    next_step(f"in a campaign file: potentials: {{NAME: {{adopt: {output}}}}}, or lipsdb ingest potential {output}")


@app.command()
def files(
    id_: IdArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")] = Path(),
) -> None:
    """Write the files of a document: trajectory, model, input, log."""
    from lipsdb.export.potential import artifact_references
    from lipsdb.store.database import connect

    database = connect()
    document = database.find(id_)
    references = artifact_references([document["answer"], document["made_by"]])
    if not references:
        raise NotFoundError(f"{document['_id']} has no files; `lipsdb show {document['_id']}` shows what it holds")
    output.mkdir(parents=True, exist_ok=True)
    for reference in references:
        out.print(str(database.artifacts.save(reference["sha256"], output / Path(reference["name"]).name)))
