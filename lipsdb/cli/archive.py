"""``lipsdb import archive`` and ``lipsdb verify``: archives that were written elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lipsdb.cli.options import CampaignOption, JsonOption
from lipsdb.cli.terminal import next_step, out, print_json, progress_bar
from lipsdb.cli.withdraw import changes
from lipsdb.provenance.kinds import counted

import_app = typer.Typer(help="Bring whole campaigns in.", no_args_is_help=True)
ArchiveArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="What `lipsdb export archive` wrote.", show_default=False)
]
_FAULTS_SHOWN = 50


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(verify)


@import_app.command()
def archive(file: ArchiveArgument, campaign: CampaignOption = None) -> None:
    """Take an archive into this database: the same ids, contents and tables. A second time adds nothing."""
    from lipsdb.ingest.archive import import_archive
    from lipsdb.provenance.withdrawal import taint
    from lipsdb.store.database import connect

    database = connect()
    before = taint(database)
    with progress_bar() as bar:
        task = bar.add_task("import", total=None)
        taken = import_archive(
            database,
            file,
            [campaign] if campaign else [],
            lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total or None),
        )
    counts = ", ".join(counted(number, name) for name, number in taken.new.items() if number)
    out.print(
        f"campaign {taken.campaign}: {counts or 'no documents'} and {taken.n_artifacts} files new, "
        f"{taken.n_known} documents known before"
    )
    if taken.withheld:
        out.print(f"{len(taken.withheld)} files are known by hash only: they were withheld")
    for line in changes(before, taint(database)):
        out.print(line)
    next_step(f"lipsdb audit -c {taken.campaign}, or lipsdb report {taken.campaign} -o report.html")


def verify(file: ArchiveArgument, json_: JsonOption = False) -> None:
    """Check an archive without any database: every file, document, link, seal and number. Exit code 1 if any is off."""
    from lipsdb.export.verification import verify_archive

    with progress_bar() as bar:
        task = bar.add_task("verify", total=None)
        found = verify_archive(
            file, lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total or None)
        )
    if json_:
        print_json(
            {
                "verified": found.verified,
                "campaign": found.campaign,
                "fingerprint": found.fingerprint,
                "counts": found.counts,
                "externals": len(found.externals),
                "withheld": found.about.get("withheld", []),
                "faults": found.faults,
            }
        )
    else:
        for fault in found.faults[:_FAULTS_SHOWN]:
            out.print(fault, markup=False, style="red")
        if len(found.faults) > _FAULTS_SHOWN:
            out.print(f"and {len(found.faults) - _FAULTS_SHOWN} more; --json lists all")
        for withheld in found.about.get("withheld", []):
            out.print(f"withheld: {withheld['name']} ({withheld['sha256']}) {withheld['reason']}", markup=False)
        counts = ", ".join(counted(number, name) for name, number in found.counts.items())
        out.print(f"campaign {found.campaign}: looked at {counts}")
        if found.externals:
            out.print(f"{len(found.externals)} documents are known by id and content hash only")
        out.print(f"fingerprint {found.fingerprint} (compare it with the one that was published)")
        if found.verified:
            out.print("[bold green]verified[/bold green]: everything in it is what it says it is")
        else:
            out.print(f"[bold red]not verified[/bold red]: {len(found.faults)} faults")
    if not found.verified:
        raise typer.Exit(1)
