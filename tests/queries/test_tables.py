from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from lipsdb.errors import BadInputError
from lipsdb.queries import arrhenius, conductivity
from lipsdb.queries.tables import FOOTNOTES, Column, Table, render
from lipsdb.store.database import Database


@pytest.fixture
def table(database: Database, small_campaign: dict[str, Any]) -> Table:
    """The Arrhenius table of the small campaign."""
    return arrhenius.table(arrhenius.rows(database, "small"))


def test_terminal_table_shows_rounded_numbers_units_and_footnotes(table: Table) -> None:
    text = render(table, "table", width=300)
    assert "0.301 ± 0.024" in text
    assert "0.29 (NMR & MD)" in text
    assert "1.2×10⁻³ – 5.1×10⁻³" not in text  # one power of ten for both ends
    assert "(1.2 – 5.1)×10⁻³" in text
    assert "(eV)" in text
    assert f"extrapolated: {FOOTNOTES['extrapolated']}" in text
    assert f"not Fickian: {FOOTNOTES['not Fickian']}" in text
    assert "no freedom" not in text


def test_json_has_full_precision_whole_ids_and_notes(table: Table, small_campaign: dict[str, Any]) -> None:
    content = json.loads(render(table, "json"))
    (record,) = content["rows"]
    assert (record["Ea_eV"], record["Ea_std_eV"]) == (0.3014, 0.0236)
    assert record["birge_ratio"] == 3.0**0.5
    assert record["id"] == small_campaign["arrhenius"]["id"]
    assert record["published_Ea"][0]["value"] == 0.29
    assert content["query"] == "arrhenius"
    assert any(note.startswith("scaled:") for note in content["notes"])


def test_csv_reads_back_with_uncertainties_and_interval_ends_in_columns_of_their_own(table: Table) -> None:
    (record,) = csv.DictReader(io.StringIO(render(table, "csv")))
    assert float(record["Ea_std_eV"]) == 0.0236
    assert float(record["birge_ratio"]) == 3.0**0.5
    assert (record["sigma_target_68_S_cm_low"], record["sigma_target_68_S_cm_high"]) == ("0.0012", "0.0051")
    assert record["flags"] == "extrapolated;not Fickian;scaled;excluded;replicas combined"
    assert json.loads(record["published_Ea"])[0]["method"] == "NMR & MD"
    assert float(record["D_target_cm2_s"]) == table.rows[0].D_target_cm2_s


def test_csv_of_rows_without_an_interval_keeps_the_columns(database: Database, small_campaign: Any) -> None:
    table = conductivity.table(conductivity.rows(database, "small"))
    target, cold, _ = csv.DictReader(io.StringIO(render(table, "csv")))
    assert (target["D_68_cm2_s_low"], target["D_std_cm2_s"]) == ("1.1e-08", "")
    assert (cold["D_68_cm2_s_low"], cold["D_std_cm2_s"]) == ("", "1e-06")


def test_csv_of_no_rows_has_the_header_of_the_rows() -> None:
    header = render(conductivity.table([]), "csv").strip().split(",")
    assert header[:3] == ["structure", "formula", "species"]
    assert "sigma_95_S_cm_high" in header


def test_markdown_has_a_cell_for_every_column(table: Table) -> None:
    lines = [line for line in render(table, "md").splitlines() if line.startswith("|")]
    assert len(lines) == 3
    assert {line.count("|") for line in lines} == {len(table.columns) + 1}
    assert "Ea (eV)" in lines[0]
    assert "0.301 ± 0.024" in lines[2]


def test_latex_is_balanced_and_escaped(table: Table) -> None:
    text = render(table, "latex")
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
    bare = text.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")
    assert text.replace(r"\$", "").count("$") % 2 == 0
    assert r"$0.301 \pm 0.024$" in text
    assert r"NMR \& MD" in text
    assert r"68 \%" in text
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(body) == 2
    assert {line.replace(r"\&", "").count("&") for line in body} == {len(table.columns) - 1}
    assert [text.count(rf"\{rule}rule") for rule in ("top", "mid", "bottom")] == [1, 1, 1]
    assert text.isascii()


def test_unknown_format_names_those_that_there_are(table: Table) -> None:
    with pytest.raises(BadInputError, match="format 'xml' is not known; use one of: table, json, csv, md, latex"):
        render(table, "xml")


def test_markup_in_a_cell_is_shown_as_it_stands() -> None:
    table = Table("t", "a [bold] title", [Column("x [y]", "", lambda row: row)], ["[red]cell[/red]", "a|b"])
    text = render(table, "table", width=80)
    assert "[red]cell[/red]" in text
    assert "a [bold] title" in text
    assert r"a\|b" in render(table, "md")
