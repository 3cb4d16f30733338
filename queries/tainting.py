"""Rows that stand on withdrawn documents: marked or left out, for all queries alike."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lipsdb.queries.tables import Column, Table, short_id

if TYPE_CHECKING:
    from lipsdb.provenance.withdrawal import Taint, Withdrawn

TAINTED = "tainted"  # the flag
_NAMED = 3  # withdrawals named below a table
_LONGEST_REASON = 120  # characters


def documents_of(row: Any) -> tuple[str, ...]:
    """Documents that the numbers of a row come from: those that it names as `stands_on`, or the one of its id."""
    own = (row.id,) if hasattr(row, "id") else ()
    return tuple(getattr(row, "stands_on", own))


@dataclass(frozen=True)
class MarkedRows:
    """Rows of a query that know on which withdrawn documents they stand.

    Attributes
    ----------
    rows : sequence of frozen dataclasses
        Those that are to be shown.
    withdrawals : sequence of Withdrawn
        Those that rows stand on, also rows that were left out.
    left_out : str
        What was left out and how much; empty if nothing was.
    """

    rows: Sequence[Any]
    withdrawals: Sequence[Withdrawn] = ()
    left_out: str = ""

    def remarked(self, table: Table) -> Table:
        """The table of these rows with remarks on what they stand on, and what was left out."""
        if not self.withdrawals:
            return table
        columns, notes = list(table.columns), list(table.notes)
        if any(row.flags for row in table.rows) and "flags" not in {column.name for column in columns}:
            columns.append(Column("flags", "", lambda row: row.flags))
        when_empty = table.when_empty
        if self.left_out:
            notes.append(f"left out (--exclude-tainted): {self.left_out}")
            when_empty = "what there is was left out; `lipsdb campaign plan FILE` tells what to compute again"
        return replace(
            table,
            columns=columns,
            notes=[*notes, *_notes(self.withdrawals)],
            when_empty=when_empty,
            withdrawals=self.withdrawals,
        )


def mark(rows: Sequence[Any], taint: Taint, *, exclude: bool = False) -> MarkedRows:
    """Flag the rows that stand on withdrawn documents, and name these in their field `withdrawals`; or leave them out.

    Parameters
    ----------
    rows : sequence of frozen dataclasses
        With fields `flags` and `withdrawals`.
    taint : Taint
        What stands on withdrawn documents now.
    exclude : bool
        Leave such rows out.
    """
    found = [taint.of(*_decisive(row, taint)) for row in rows]
    pairs = [(row, some) for row, some in zip(rows, found, strict=True) if not (some and exclude)]
    kept = [_flagged(row, some) if some else row for row, some in pairs]
    left_out = standing(len(rows) - len(kept), "row")
    named = {withdrawal.document for some in found for withdrawal in some}
    return MarkedRows(kept, [taint.withdrawn[id_] for id_ in sorted(named)], left_out)


def standing(number: int, what: str) -> str:
    """So many things that stand on withdrawn documents; empty if there are none.

    Examples
    --------
    >>> standing(1, "row"), standing(2, "row"), standing(0, "row")
    ('1 row that stands on withdrawn documents', '2 rows that stand on withdrawn documents', '')
    """
    if not number:
        return ""
    return f"{number} {f'{what} that stands' if number == 1 else f'{what}s that stand'} on withdrawn documents"


def _decisive(row: Any, taint: Taint) -> tuple[str, ...]:
    """Documents that a row stands on, and its own if that itself is withdrawn, even if a part of it counts only."""
    documents = documents_of(row)
    return (*documents, row.id) if documents and getattr(row, "id", None) in taint.withdrawn else documents


def _flagged(row: Any, found: Sequence[Withdrawn]) -> Any:
    documents = tuple(withdrawal.document for withdrawal in found)
    return replace(row, flags=(*row.flags, TAINTED), withdrawals=documents)


def _notes(withdrawals: Sequence[Withdrawn]) -> list[str]:
    newest = sorted(withdrawals, key=lambda withdrawal: withdrawal.at, reverse=True)
    notes = [f"withdrawn: {short_id(withdrawal.document)} {said_of(withdrawal)}" for withdrawal in newest[:_NAMED]]
    if len(newest) > _NAMED:
        notes.append(f"withdrawn: {len(newest) - _NAMED} more documents; `lipsdb list withdrawal` has all")
    return notes


def said_of(withdrawal: Withdrawn) -> str:
    """Who withdrew a document when and why, in one line."""
    reason = textwrap.shorten(withdrawal.reason, _LONGEST_REASON, placeholder=" …")
    return f"by {withdrawal.by} on {withdrawal.at:%Y-%m-%d}: {reason}"
