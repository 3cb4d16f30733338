"""``lipsdb withdraw``: a document is not to be trusted any more, or it is after all."""

from __future__ import annotations

from typing import Annotated

import typer

from lipsdb.cli.terminal import next_step, out


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(withdraw)


def withdraw(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Documents that are withdrawn.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why, for those who read the tables.", show_default=False)],
    by: Annotated[str | None, typer.Option(help="Who says so; LIPSDB_PERSON by default.", show_default=False)] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Trust them again: undo their withdrawal.")] = False,
) -> None:
    """Withdraw documents: nothing is erased, but everything made from them is marked in every table and report."""
    from collections import Counter

    from lipsdb.provenance import withdrawal
    from lipsdb.store.database import connect

    database = connect()
    before = withdrawal.taint(database)
    references = withdrawal.withdraw(database, ids, reason, by or database.settings.person or "", undo=undo)
    after = withdrawal.taint(database)
    changed = before.origins.keys() ^ after.origins.keys()
    for reference in references:
        out.print(f"stored {reference['id']}")
    kinds = Counter(id_.partition("-")[0] for id_ in changed)
    what = ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in sorted(kinds.items())) or "nothing"
    out.print(f"{'clean again' if undo else 'tainted now'}: {what}")
    next_step("lipsdb query withdrawals" if undo else "lipsdb campaign plan FILE, which tells what to compute again")
