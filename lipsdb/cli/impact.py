"""``lipsdb impact``: which numbers depend on something."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from lipsdb.cli.terminal import err, next_step, out, print_json
from lipsdb.errors import BadInputError

if TYPE_CHECKING:
    from lipsdb.provenance.impact import Impact


class ImpactFormat(StrEnum):
    """Output formats of an impact."""

    table = "table"
    json = "json"


def add_commands(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(impact)


def impact(
    id_: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]",
            help="A document (its id or the beginning of it), or the SHA-256 of a file.",
            show_default=False,
        ),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(help="PROGRAM=VERSION, such as 'LAMMPS=2 Aug 2023'; PROGRAM alone lists its versions."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Everything that was made on this machine.")] = None,
    level_of_theory: Annotated[str | None, typer.Option(help="A level of theory, by its name.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many numbers are listed; 0 for all.", min=0)] = 20,
    format_: Annotated[ImpactFormat, typer.Option("--format", "-f", help="How it is printed.")] = ImpactFormat.table,
) -> None:
    """Show which numbers depend on a document, a file, a program's version, a machine or a level of theory."""
    from lipsdb.provenance import impact as impacts
    from lipsdb.store.database import connect

    given = [one for one in (id_, version, host, level_of_theory) if one is not None]
    if len(given) != 1:
        raise BadInputError(
            f"{len(given)} of ID, --version, --host and --level-of-theory were given; give one, such as "
            "`lipsdb impact --version LAMMPS`"
        )
    database = connect()
    if version is not None:
        known = impacts.known_versions(database)
        if version in known:
            _list_versions(version, known[version], format_)
            return
        found = impacts.impact_of_version(database, version, limit)
    elif host is not None:
        found = impacts.impact_of_host(database, host, limit)
    elif level_of_theory is not None:
        found = impacts.impact_of_level(database, level_of_theory, limit)
    elif impacts.is_hash(given[0]):
        found = impacts.impact_of_artifact(database, given[0], limit)
    else:
        found = impacts.impact_of_document(database, given[0], limit)
    if format_ is ImpactFormat.json:
        from dataclasses import asdict

        print_json({**asdict(found), "n_numbers": found.n_numbers})
    else:
        _print(found)


def _list_versions(program: str, versions: list[str], format_: ImpactFormat) -> None:
    if format_ is ImpactFormat.json:
        print_json(versions)
        return
    for one in versions:
        out.print(f"{program}={one}", markup=False)
    next_step(f"lipsdb impact --version '{program}={versions[-1]}'")


def _print(found: Impact) -> None:
    from rich import box
    from rich.table import Table

    from lipsdb.provenance.impact import counted

    itself = counted(found.of)
    of = f" ({itself})" if sum(found.of.values()) > 1 else ""
    if not found.n_numbers:
        out.print(f"No number depends on {found.asked}{of}.", markup=False)
    else:
        numbers = "1 number depends" if found.n_numbers == 1 else f"{found.n_numbers} numbers depend"
        out.print(f"{numbers} on {found.asked}{of}: {counted(found.numbers)}.", markup=False)
    if found.between:
        out.print(f"Downstream of it, beside them: {counted(found.between)}.", markup=False)
    if not found.published:
        return
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("number", "campaigns", "used by other numbers", "id"):
        table.add_column(column, overflow="fold")
    for one in found.published:
        table.add_row(one.value, ", ".join(one.campaigns), "" if one.final else "yes", one.id)
    from rich.console import Console

    # ids stand at the end of the lines: let the terminal wrap them rather than cut them off
    Console(highlight=False, width=max(out.width, 160)).print(table)
    if len(found.published) < found.n_numbers:
        err.print(f"{found.n_numbers - len(found.published)} more; --limit 0 lists all")
    next_step(f"lipsdb lineage {found.published[0].id}")
