"""``lipsdb withdraw``: a document is not to be trusted any more, or it is after all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lipsdb.cli.terminal import err, next_step, out
from lipsdb.provenance.kinds import counted

if TYPE_CHECKING:
    from lipsdb.provenance.withdrawal import Taint, Withdrawn

_NAMED = 3


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
    from lipsdb.provenance import withdrawal
    from lipsdb.store.database import connect

    database = connect()
    before = withdrawal.taint(database)
    references = withdrawal.withdraw(database, ids, reason, by or database.settings.person or "", undo=undo)
    after = withdrawal.taint(database)
    for reference in references:
        out.print(f"stored {reference['id']}")
    for line in changes(before, after) or [f"{'clean again' if undo else 'tainted now'}: nothing"]:
        out.print(line)
    next_step("lipsdb query withdrawals" if undo else "lipsdb campaign plan FILE, which tells what to compute again")


def changes(before: Taint, after: Taint) -> list[str]:
    """Lines that tell how many documents are tainted now that were not before, and how many are clean again."""
    became = {
        "tainted now": after.origins.keys() - before.origins.keys(),
        "clean again": before.origins.keys() - after.origins.keys(),
    }
    counts = {what: Counter(id_.partition("-")[0] for id_ in ids) for what, ids in became.items()}
    return [
        f"{what}: {', '.join(counted(number, kind) for kind, number in sorted(kinds.items()))}"
        for what, kinds in counts.items()
        if kinds
    ]


def warn(what: str, withdrawals: Sequence[Withdrawn]) -> None:
    """Say on standard error that what is written stands on withdrawn documents; nothing if there are none."""
    if not withdrawals:
        return
    named = [f"{one.document} (by {one.by}: {one.reason})" for one in withdrawals[:_NAMED]]
    if len(withdrawals) > _NAMED:
        named.append(f"{len(withdrawals) - _NAMED} more (`lipsdb list withdrawal`)")
    err.print(f"warning: {what}: {', '.join(named)}", style="yellow", markup=False)
