"""``lipsdb export``: labels, potentials, files and whole campaigns out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lipsdb.cli.options import CampaignOption, IdArgument
from lipsdb.cli.terminal import next_step, out, progress_bar
from lipsdb.cli.withdraw import warn
from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.provenance.kinds import counted

if TYPE_CHECKING:
    from lipsdb.store.database import Database

app = typer.Typer(help="Write labels, potentials, files and whole campaigns out.", no_args_is_help=True)


class LabelFormatName(StrEnum):
    """Formats in which labels are written."""

    deepmd = "deepmd"
    extxyz = "extxyz"
    cfg = "cfg"
    record = "record"


@app.command()
def labels(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.", show_default=False)],
    format_: Annotated[
        LabelFormatName,
        typer.Option(
            "--format",
            "-f",
            help="deepmd: npy folders; extxyz: extended XYZ; cfg: of the MLIP program. One folder or file by system. "
            "record: one folder with how they were made, for another database to adopt.",
            show_default=False,
        ),
    ],
    system: Annotated[
        list[str] | None, typer.Option(help="Only this system; can be given several times.", show_default=False)
    ] = None,
    level_of_theory: Annotated[
        str | None,
        typer.Option(
            "--level-of-theory",
            "-l",
            help="Only this level; needed if several match (not for record).",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(metavar="ID", help="Only the labels of this dataset.", show_default=False)
    ] = None,
    campaign: CampaignOption = None,
    exclude_tainted: Annotated[
        bool, typer.Option("--exclude-tainted", help="Leave out labels that stand on withdrawn documents.")
    ] = False,
) -> None:
    """Write labels for other programs or databases: energy, forces and virial in eV and Å."""
    from lipsdb.export.labels import export_labels
    from lipsdb.store.database import connect

    if dataset is not None and campaign is not None:
        raise BadInputError(f"--dataset {dataset} and --campaign {campaign} do not go together; give one of them")
    written = export_labels(
        connect(),
        output,
        format_.value,
        systems=system or [],
        level_of_theory=level_of_theory,
        dataset=dataset,
        campaign=campaign,
        exclude_tainted=exclude_tainted,
    )
    labels_ = f"{written.n_tainted} of the labels that match"
    if exclude_tainted:
        warn(f"{labels_} are left out; they stand on withdrawn documents", written.withdrawals)
    else:
        warn(f"{labels_} stand on withdrawn documents (--exclude-tainted leaves them out)", written.withdrawals)
    for path in written.paths:
        out.print(str(path), markup=False)
    if format_ is LabelFormatName.record:
        out.print(
            f"{written.n_labels} labels with their record and {len(list((output / 'artifacts').iterdir()))} files"
        )
        next_step(f"in a campaign file: labels: {{NAME: {{adopt: {output}}}}}, or lipsdb ingest record {output}")
        return
    types = "" if format_ is LabelFormatName.extxyz else f"; types 0, 1 …: {' '.join(written.elements)}"
    out.print(
        f"{written.n_labels} labels in {len(written.paths)} {'folders' if format_ == 'deepmd' else 'files'}{types}"
    )


@app.command()
def potential(
    id_: IdArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.", show_default=False)],
) -> None:
    """Write a potential with its record and files, for another database to adopt."""
    from lipsdb.export.record import export_potential
    from lipsdb.provenance.withdrawal import taint
    from lipsdb.store.database import connect

    database = connect()
    record = export_potential(database, id_, output)
    warn("the potential stands on withdrawn documents", taint(database).of(database.find(id_)["_id"]))
    out.print(f"{record} and {len(list((output / 'artifacts').iterdir()))} files")
    next_step(f"in a campaign file: potentials: {{NAME: {{adopt: {output}}}}}, or lipsdb ingest potential {output}")


@app.command()
def files(
    id_: IdArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")] = Path(),
) -> None:
    """Write the files of a document: trajectory, model, input, log."""
    from lipsdb.export.record import artifact_references
    from lipsdb.store.database import connect

    database = connect()
    document = database.find(id_)
    references = artifact_references([document["answer"], document["made_by"]])
    if not references:
        raise NotFoundError(f"{document['_id']} has no files; `lipsdb show {document['_id']}` shows what it holds")
    output.mkdir(parents=True, exist_ok=True)
    for reference in references:
        out.print(str(database.artifacts.save(reference["sha256"], output / Path(reference["name"]).name)))


@app.command()
def archive(
    campaign: Annotated[str, typer.Argument(help="Name of the campaign.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write: a zip file, an RO-Crate.", show_default=False)
    ],
    with_hosts: Annotated[
        bool,
        typer.Option("--with-hosts", help="Names of hosts and users may stand in it; files that name them come along."),
    ] = False,
) -> None:
    """Write a campaign with everything its numbers stand on into one file that a stranger can verify."""
    from lipsdb.export.archive import export_archive
    from lipsdb.store.database import connect

    database = connect()
    with progress_bar() as bar:
        task = bar.add_task("archive", total=None)
        written = export_archive(
            database,
            campaign,
            output,
            _tables(database, campaign),
            with_hosts=with_hosts,
            progress=lambda stage, done, total: bar.update(
                task, description=stage, completed=done, total=total or None
            ),
        )
    for file in written.withheld:
        out.print(f"withheld {file.sha256} {file.name} ({file.size} bytes): {file.reason}", markup=False)
    counts = ", ".join(counted(number, name) for name, number in written.documents.items())
    elsewhere = f", {written.n_externals} documents by hash only" if written.n_externals else ""
    out.print(
        f"{written.path} ({written.path.stat().st_size / 1e6:.1f} MB): {counts}, {written.n_artifacts} files{elsewhere}"
    )
    out.print(f"fingerprint {written.fingerprint}")
    if written.withheld:
        next_step("to have the withheld files in it, too: --with-hosts")
    next_step(f"lipsdb verify {written.path}")


def _tables(database: Database, campaign: str) -> dict[str, str]:
    """Every table of the campaign that has rows, in three formats, by file name."""
    from dataclasses import replace

    from lipsdb.queries.catalogue import QUERIES
    from lipsdb.queries.tables import render

    texts = {}
    for query in QUERIES.values():
        table = query.table(database, campaign)
        if not table.rows:
            continue
        # other campaigns that asked for the same are not in the archive
        alone = [replace(row, campaigns=(campaign,)) if hasattr(row, "campaigns") else row for row in table.rows]
        for format_ in ("json", "csv", "md"):
            texts[f"{query.name}.{format_}"] = render(replace(table, rows=alone), format_)
    return texts
