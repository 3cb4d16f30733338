"""``lipsdb ingest``: labels and potentials in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lipsdb.cli.options import CampaignOption
from lipsdb.cli.terminal import err, next_step, out, progress_bar

if TYPE_CHECKING:
    from lipsdb.ingest.deepmd import FolderOutcome, IngestSummary

app = typer.Typer(help="Bring labels and potentials in.", no_args_is_help=True)


@app.command()
def deepmd(
    path: Annotated[Path, typer.Argument(help="Folder at or below which DeePMD npy folders lie.", show_default=False)],
    level_of_theory: Annotated[
        str,
        typer.Option(
            "--level-of-theory", "-l", help="Name of the level of theory that made the labels.", show_default=False
        ),
    ],
    source: Annotated[
        str | None, typer.Option(help="What the data set is: a DOI or a name; the folder's name by default.")
    ] = None,
    campaign: CampaignOption = None,
    force_limit: Annotated[
        float, typer.Option(help="Folders with a larger force on an atom are refused, eV/Å.", min=0)
    ] = 50.0,
) -> None:
    """Read DeePMD-kit npy folders (eV, Å, virial in eV) into labels. Exit code 1 if a folder is refused."""
    from lipsdb.ingest.deepmd import ingest_deepmd
    from lipsdb.store.database import connect

    with progress_bar() as bar:
        task = bar.add_task("labels", total=None)

        def show(outcome: FolderOutcome, done: int, total: int) -> None:
            bar.update(task, description=f"labels of {outcome.system or outcome.folder}", completed=done, total=total)

        summary = ingest_deepmd(
            connect(),
            path,
            level_of_theory,
            source=source or path.resolve().name,
            campaigns=[campaign] if campaign else [],
            force_limit_eV_A=force_limit,
            progress=show,
        )
    _print_summary(summary)
    if summary.refused:
        raise typer.Exit(1)
    next_step("lipsdb query labels --by system")


def _print_summary(summary: IngestSummary) -> None:
    from rich.table import Table

    table = Table("system", "composition", "labels", "new", "folder", title="Labels taken", title_justify="left")
    for folder in summary.folders:
        if folder.refused is None:
            table.add_row(folder.system, folder.formula, str(folder.n_frames), str(folder.n_new), folder.folder)
    if table.row_count:
        out.print(table)
    taken = len(summary.folders) - len(summary.refused)
    out.print(
        f"{taken} folders taken: {summary.n_new} new labels, {summary.n_known} known before; "
        f"{len(summary.refused)} refused"
    )
    for folder in summary.refused:
        err.print(f"[red]refused[/red] {folder.folder}: {folder.refused}")


@app.command()
def potential(
    path: Annotated[Path, typer.Argument(help="Folder that `lipsdb export potential` wrote.", show_default=False)],
    campaign: CampaignOption = None,
) -> None:
    """Adopt a potential that was trained elsewhere, with the record of how it was made."""
    from lipsdb.ingest.potential import adopt_potential
    from lipsdb.store.database import connect

    reference = adopt_potential(connect(), path, [campaign] if campaign else [])
    out.print(reference["id"])
    next_step(f"lipsdb lineage {reference['id']}")
