"""One table object for all queries, and its output as text, JSON, CSV, Markdown or LaTeX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

from lipsdb.errors import BadInputError
from lipsdb.queries.cells import Measured, Range, escape_latex, format_cell

if TYPE_CHECKING:
    from lipsdb.provenance.withdrawal import Withdrawn

__all__ = [
    "Column",
    "Format",
    "Measured",
    "Range",
    "Table",
    "potential_columns",
    "potential_name",
    "render",
    "short_id",
]

Format = Literal["table", "json", "csv", "md", "latex"]

# What each word in the column "flags" means; printed below a table in which it stands.
FOOTNOTES = {
    "extrapolated": "the temperature lies outside those of the fit",
    "from fit": "median of the Arrhenius line at that temperature; the uncertainty is an interval",
    "not Fickian": "the mean squared displacement is not linear in time within the fit window, at least in one run: "
    "D is a rate over the window rather than a diffusion coefficient",
    "no window": "no diffusive regime was found; D was fitted in the default window",
    "scaled": "χ² per degree of freedom exceeds 1; the uncertainties are enlarged by its square root",
    "no freedom": "as many points as parameters: the fit cannot show that it is wrong",
    "excluded": "temperatures were left out of the fit",
    "replicas combined": "random-effects mean over the replicas; the spread between them is part of the uncertainty",
    "labels external": "labels that are not in this database, known by id and content hash; ingest them "
    "(`lipsdb ingest deepmd`) to complete the lineage",
    "none here": "published, but not among the labels of this database",
    "no better than chance": "on what was held out its balanced accuracy is not surely above 1/2 or, if it was trained "
    "without balance, its accuracy not above that of always answering the larger class",
    "NPT": "displacements hold the breathing of the cell, which only a run at constant volume is free of",
    "adopted": "made in another database and taken over with its record",
    "elsewhere": "done in another database and taken over; not in the sum",
    "tainted": "stands on a withdrawn document, or counts such documents",
    "stopped": "ended before the length that was asked for, since the potential extrapolated too far",
    "several campaigns": "made for several campaigns and counted in the row of each; the line 'all' counts once",
}


@dataclass(frozen=True)
class Column:
    """One column as people see it.

    Attributes
    ----------
    name : str
        Header.
    unit : str
        Unit in the header; empty if there is none.
    cell : callable
        Takes a row and gives the cell's value, as `lipsdb.queries.cells.format_cell` takes it.
    detail : bool
        Whether a narrow terminal may go without it.
    """

    name: str
    unit: str
    cell: Callable[[Any], Any]
    detail: bool = False

    @property
    def header(self) -> str:
        """Name with unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True)
class Table:
    """Rows of one query with the columns that people see; machines get every field of the rows.

    Attributes
    ----------
    name : str
        Of the query.
    title : str
        What stands above it.
    columns : sequence of Column
    rows : sequence of frozen dataclasses
        Units stand in their fields' names.
    notes : sequence of str
        Remarks of this table; the footnotes of flags come by themselves.
    row_type : type, optional
        The rows' dataclass, so that also an empty table has its fields as CSV.
    when_empty : str
        What to do when there are no rows.
    withdrawals : sequence of Withdrawn
        Withdrawals that rows, also those left out, stand on.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Any]
    notes: Sequence[str] = ()
    row_type: type[Any] | None = None
    when_empty: str = "submit a campaign (`lipsdb campaign submit FILE`) and run it (`lipsdb run`)"
    withdrawals: Sequence[Withdrawn] = ()

    def footnotes(self) -> list[str]:
        """Remarks, and the meaning of each flag that stands in the table."""
        if not self.rows:
            return [f"nothing to show yet: {self.when_empty}", *self.notes]
        flags = {flag for row in self.rows for flag in getattr(row, "flags", ())}
        remarks = [f"{flag}: {text}" for flag, text in FOOTNOTES.items() if flag in flags]
        unknown = sorted(flags - FOOTNOTES.keys())
        if unknown:
            raise KeyError(f"flags without a footnote: {unknown}")
        return [*remarks, *self.notes]

    def records(self) -> list[dict[str, Any]]:
        """Every field of every row in full precision, as JSON has it."""
        return [_jsonable(asdict(row)) for row in self.rows]


def short_id(id_: str) -> str:
    """The beginning of an id, enough to find the document by.

    Examples
    --------
    >>> short_id("potential-4a0e2033696346186301b23f")
    'potential-4a0e2033'
    """
    kind, _, digits = id_.partition("-")
    return f"{kind}-{digits[:8]}"


def potential_name(id_: str, engine: str | None) -> str:
    """What a potential is called in figures and headings: its engine and the beginning of its id.

    Examples
    --------
    >>> potential_name("potential-91bc2f3a8e0d5b6c7a120f44", "mtp")
    'mtp 91bc2f3a'
    >>> potential_name("level_of_theory-91bc2f3a8e0d5b6c7a120f44", None)
    'level_of_theory-91bc2f3a'
    """
    return short_id(id_) if engine is None else f"{engine} {short_id(id_).partition('-')[2]}"


def potential_columns(rows: Sequence[Any]) -> tuple[list[Column], list[str]]:
    """A column that tells the potentials apart, by engine if that does, and a note with their ids."""
    potentials = {row.potential_id for row in rows}
    if len(potentials) == 1:
        return [], [f"all with {short_id(potentials.pop())}"]
    engines = {row.potential_id: row.engine for row in rows}
    by_engine = len(set(engines.values())) == len(engines)
    names = {id_: engine if by_engine and engine else potential_name(id_, engine) for id_, engine in engines.items()}
    told = ", ".join(f"{name}: {short_id(id_)}" for id_, name in sorted(names.items(), key=lambda item: item[1]))
    return [Column("potential", "", lambda row: names[row.potential_id])], [told]


def render(table: Table, format: str = "table", *, width: int | None = None) -> str:
    """Write a table.

    Parameters
    ----------
    table : Table
    format : 'table', 'json', 'csv', 'md' or 'latex'
        'table' is for terminals, 'latex' needs the package booktabs; 'json' and 'csv' have full precision, whole ids,
        and uncertainties in fields of their own.
    width : int, optional
        Columns of the terminal for 'table'; the terminal's own, or as many as it takes, if left out.

    Raises
    ------
    BadInputError
        For another format.
    """
    if format == "table":
        return _terminal(table, width)
    writers = {"json": _json, "csv": _csv, "md": _markdown, "latex": _latex}
    if format not in writers:
        raise BadInputError(f"format {format!r} is not known; use one of: {', '.join(get_args(Format))}")
    return writers[format](table)


def _terminal(table: Table, width: int | None) -> str:
    from rich.console import Console
    from rich.markup import escape

    width = width or _natural_width()
    columns, letters, left_out = _fitting(table, width)
    console = Console(file=io.StringIO(), width=max(width, 20), color_system=None, emoji=False)
    with console.capture() as capture:
        if columns:
            console.print(_grid(table, columns, letters))
        else:
            console.print(f"{escape(table.title)}\n")
            for row in table.rows:
                console.print(_record(table, row, letters))
        for note in table.footnotes():
            flag = note.partition(": ")[0]
            console.print(f"  {f'{letters[flag]} ' if flag in letters else ''}{escape(note)}", highlight=False)
        if left_out:
            names = ", ".join(column.name for column in left_out)
            console.print(f"  this terminal is too narrow for: {escape(names)} (--format md has all)", highlight=False)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def _cell(column: Column, row: Any, letters: Mapping[str, str]) -> str:
    value = column.cell(row)
    if letters and column.name == "flags":
        value = " ".join(letters[flag] for flag in value) or None
    return format_cell(value, newline="\n")


def _fitting(table: Table, width: int) -> tuple[list[Column], dict[str, str], list[Column]]:
    """Columns that fit on the terminal (none: as records), letters for flags if need be, and what is left out."""
    columns = list(table.columns)
    if _width(table, columns, {}) <= width or not table.rows:
        return columns, {}, []
    flags = [flag for flag in FOOTNOTES if any(flag in getattr(row, "flags", ()) for row in table.rows)]
    letters = {flag: chr(ord("a") + index) for index, flag in enumerate(flags)}
    columns = [column for column in columns if any(column.cell(row) not in {None, ()} for row in table.rows)]
    left_out: list[Column] = []
    while _width(table, columns, letters) > width and any(column.detail for column in columns):
        last = [column for column in columns if column.detail][-1]
        columns.remove(last)
        left_out.insert(0, last)
    return (columns, letters, left_out) if _width(table, columns, letters) <= width else ([], letters, [])


def _width(table: Table, columns: Sequence[Column], letters: Mapping[str, str]) -> int:
    """Characters that a row takes, with three between columns."""
    texts = [
        [column.name, f"({column.unit})", *(_cell(column, row, letters) for row in table.rows)] for column in columns
    ]
    return sum(3 + max(len(line) for text in cells for line in text.split("\n")) for cells in texts)


def _grid(table: Table, columns: Sequence[Column], letters: Mapping[str, str]) -> Any:
    from rich import box
    from rich.markup import escape
    from rich.table import Table as RichTable

    shown = RichTable(title=escape(table.title), box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        values = [column.cell(row) for row in table.rows]
        flat = [part for value in values for part in (value if isinstance(value, tuple) else (value,))]
        numeric = any(isinstance(value, (int, float, Measured, Range)) for value in flat)
        whole = numeric or column.name in {"id", "potential"}
        unit = f"\n({column.unit})" if column.unit else ""
        shown.add_column(escape(column.name + unit), justify="right" if numeric else "left", no_wrap=whole)
    for row in table.rows:
        shown.add_row(*(escape(_cell(column, row, letters)) for column in columns))
    return shown


def _record(table: Table, row: Any, letters: Mapping[str, str]) -> Any:
    """One row as lines of name and value, where not even the essential columns fit side by side."""
    from rich.markup import escape
    from rich.table import Table as RichTable

    shown = RichTable.grid(padding=(0, 2))
    for column in table.columns:
        if column.cell(row) not in {None, ()}:
            shown.add_row(f"  {escape(column.header)}", escape(_cell(column, row, letters)))
    shown.add_row("", "")
    return shown


def _natural_width() -> int:
    import os
    import shutil
    import sys

    asked = os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty()
    return shutil.get_terminal_size().columns if asked else 250


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


def _json(table: Table) -> str:
    withdrawals = [_jsonable(asdict(withdrawal)) for withdrawal in table.withdrawals]
    content = {"query": table.name, "title": table.title, "rows": table.records(), "notes": table.footnotes()}
    content |= {"withdrawals": withdrawals}
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _csv_names(table), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_csv_record(table, record) for record in table.records())
    return text.getvalue()


def _row_fields(table: Table) -> tuple[Field[Any], ...]:
    row_type = table.row_type or (type(table.rows[0]) if table.rows else None)
    return () if row_type is None else fields(row_type)


def _csv_names(table: Table) -> list[str]:
    """Header of the CSV: an interval takes two columns."""
    names = []
    for field in _row_fields(table):
        names += [f"{field.name}_low", f"{field.name}_high"] if _is_interval(field) else [field.name]
    return names


def _csv_record(table: Table, record: dict[str, Any]) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for field in _row_fields(table):
        value = record[field.name]
        if _is_interval(field):
            cells[f"{field.name}_low"], cells[f"{field.name}_high"] = value or (None, None)
        elif isinstance(value, list) and not any(isinstance(item, (list, dict)) for item in value):
            cells[field.name] = ";".join(str(item) for item in value)
        else:
            cells[field.name] = json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value
    return cells


def _is_interval(field: Field[Any]) -> bool:
    return str(field.type).removesuffix(" | None") == "tuple[float, float]"


def _markdown(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    lines = [f"**{table.title}**", "", line([column.header for column in table.columns])]
    lines.append(line(["---"] * len(table.columns)))
    lines += [line([format_cell(column.cell(row), newline="<br>") for column in table.columns]) for row in table.rows]
    lines += ["", *(f"- {note}" for note in table.footnotes())]
    return "\n".join(lines).rstrip() + "\n"


def _latex(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "    " + " & ".join(cells) + r" \\"

    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escape_latex(table.title)}}}",
        rf"  \begin{{tabular}}{{{'l' * len(table.columns)}}}",
        r"    \toprule",
        line([escape_latex(column.header) for column in table.columns]),
        r"    \midrule",
        *(line([format_cell(column.cell(row), "latex") for column in table.columns]) for row in table.rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        *(rf"  \par\footnotesize {escape_latex(note)}" for note in table.footnotes()),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"
