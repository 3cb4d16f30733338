"""Tables as HTML: cells escaped, published values linked to their sources, flags as badges."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from lipsdb.queries.cells import Measured, Range, format_cell
from lipsdb.queries.published import PublishedValue
from lipsdb.queries.tables import Column, Table
from lipsdb.queries.tainting import TAINTED, documents_of

if TYPE_CHECKING:
    from lipsdb.queries.report.origins import Origins

_WRITTEN_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_DOI = Markup('<a href="https://doi.org/{doi}" rel="noreferrer" title="{title}">{text}</a>')


@dataclass(frozen=True)
class HtmlRow:
    """Cells of a row, the documents that its numbers come from, and whether any of these stands on a withdrawn one."""

    cells: list[Markup]
    origins: list[str]
    tainted: bool


@dataclass(frozen=True)
class HtmlTable:
    """A table ready for the page: for each column its name, unit and whether it is right-aligned."""

    name: str
    title: str
    columns: list[tuple[str, str, bool]]
    rows: list[HtmlRow]
    notes: list[str]


def html_table(table: Table, origins: Origins, of_row: Callable[[Any], Sequence[str]] | None = None) -> HtmlTable:
    """Lay a table out for the page.

    Parameters
    ----------
    table : Table
    origins : Origins
        Is asked for the trees of all rows.
    of_row : callable, optional
        The documents that a row's numbers come from, where the row doesn't name them; `documents_of` by default.
    """
    columns = [(column.name, column.unit, _numeric(column, table.rows)) for column in table.columns]
    rows = [
        HtmlRow(
            [_cell(column, row) for column in table.columns],
            list((of_row or documents_of)(row)),
            TAINTED in getattr(row, "flags", ()),
        )
        for row in table.rows
    ]
    for row in rows:
        origins.ask(row.origins)
    return HtmlTable(table.name, table.title, columns, rows, table.footnotes())


def _numeric(column: Column, rows: Sequence[Any]) -> bool:
    return any(_is_number(column.cell(row)) for row in rows)


def _is_number(value: Any) -> bool:
    if isinstance(value, str):  # written out by the column itself
        return _WRITTEN_NUMBER.fullmatch(value) is not None
    return isinstance(value, (int, float, Measured, Range)) and not isinstance(value, bool)


def _cell(column: Column, row: Any) -> Markup:
    value = column.cell(row)
    if column.name == "flags" and value:
        flags = (value,) if isinstance(value, str) else value
        return Markup("").join(
            Markup('<span class="flag {}">{}</span> ').format(flag_class(flag), flag) for flag in flags
        )
    if column.name in {"id", "potential"} and isinstance(value, str):
        whole = getattr(row, "id" if column.name == "id" else "potential_id", value)
        return Markup('<span class="id" title="{}">{}</span>').format(whole, value)
    parts = value if isinstance(value, tuple) else (value,)
    if parts and all(isinstance(part, PublishedValue) for part in parts):
        return Markup("<br>").join(_published(part) for part in parts)
    return Markup("<br>").join(format_cell(value, newline="\n").split("\n"))


def _published(found: PublishedValue) -> Markup:
    title = ", ".join(part for part in (found.where, found.cites, found.note) if part)
    return _DOI.format(doi=found.doi, title=title, text=format_cell(found))


def flag_class(flag: str) -> str:
    """Class of a flag's badge: remarks that take nothing away from a number are plain."""
    if flag == TAINTED:
        return "bad"
    return "plain" if flag in {"replicas combined", "adopted", "from fit", "several campaigns"} else "warn"
