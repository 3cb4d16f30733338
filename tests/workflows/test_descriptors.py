"""Descriptors of structure and dynamics: asked for as a campaign file does, of a run with a real trajectory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest

from lipsdb.campaigns.properties import OfRun, Property
from lipsdb.campaigns.schema import Table
from lipsdb.errors import BadInputError
from lipsdb.queries.catalogue import QUERIES
from lipsdb.queries.descriptors import DESCRIPTORS
from lipsdb.queries.figures.descriptors import FIGURES
from lipsdb.queries.report.contents import Contents
from lipsdb.store.database import Database
from lipsdb.workflows.performers import OF_RUNS

Measured = Callable[..., dict[str, Any]]
KINDS = {
    get_args(model.model_fields["kind"].annotation)[0]
    for model in get_args(get_args(Property)[0])
    if issubclass(model, OfRun)
}


def rows_of(database: Database, kind: str) -> list[Any]:
    return list(QUERIES[kind].rows(database))


def headers(database: Database, kind: str) -> list[str]:
    return [column.header for column in QUERIES[kind].table(database).columns]


def test_each_descriptor_of_a_campaign_file_can_be_computed_queried_tabled_and_drawn() -> None:
    assert {f"measure_{kind}" for kind in KINDS} <= set(OF_RUNS)
    assert QUERIES.keys() >= KINDS
    assert set(get_args(Table)) >= KINDS
    assert KINDS - {"coordination"} <= FIGURES.keys()
    assert {descriptor.kind for descriptor in DESCRIPTORS} >= KINDS - {"coordination"}


def test_peaks_of_beta_are_where_the_study_has_them(
    database: Database, real_run: dict[str, str], measured: Measured
) -> None:
    found = measured("radial_distribution", real_run, dr_A=0.05, every_ps=0.5)
    peaks = {row.pair: row.peak_A for row in rows_of(database, "radial_distribution")}
    assert peaks["P-S"] == pytest.approx(2.07, abs=0.1)
    assert peaks["Li-S"] == pytest.approx(2.43, abs=0.1)
    assert peaks["S-S"] == pytest.approx(3.35, abs=0.1)
    assert found["inputs"][0]["id"] == real_run["id"]
    assert found["answer"]["n_frames"] == 41


def test_phosphorus_of_beta_stays_in_ps4(database: Database, real_run: dict[str, str], measured: Measured) -> None:
    measured("thiophosphate_units", real_run, every_ps=0.5)
    (row,) = rows_of(database, "thiophosphate_units")
    assert row.PS4_percent > 99.9
    assert row.P2S6_percent == row.P2S7_percent == 0
    assert row.PS4_percent + row.others_percent == pytest.approx(100)


def test_ensemble_and_pressure_tell_runs_in_tables_and_figures(
    database: Database, stored_run: Callable[..., dict[str, str]], measured: Measured
) -> None:
    frames = np.random.default_rng(0).uniform(0.0, 8.0, (4, 8, 3))

    def measure(**settings: object) -> dict[str, Any]:
        run = stored_run(frames, 8.0 * np.eye(3), [*["Li"] * 7, "S"], 0.1, **settings)
        return measured("displacement_map", run, window_ps=0.1, framework=["S"])

    found = {None: measure()}
    assert {"ensemble", "p (bar)"}.isdisjoint(headers(database, "displacement_map"))
    pressures = (10000.0, 1.0)
    found |= {pressure: measure(ensemble="npt", pressure_bar=pressure) for pressure in pressures}
    rows = rows_of(database, "displacement_map")
    assert [(row.ensemble, row.pressure_bar) for row in rows] == [("npt", 1.0), ("npt", 10000.0), ("nvt", None)]
    assert {"ensemble", "p (bar)"} <= set(headers(database, "displacement_map"))
    table = QUERIES["displacement_map"].table(database)
    cells = {column.header: [column.cell(row) for row in table.rows] for column in table.columns}
    assert cells["ensemble"] == ["NPT", "NPT", "NVT"]
    assert cells["p (bar)"] == ["1", "10000", None]
    properties = {"displacement_map": list(found.values())}
    contents = Contents("", [], "", None, [], [], [], [], [], properties)
    titles = ["made-up, NVT", "made-up, NPT 10000 bar", "made-up, NPT 1 bar"]
    for groups in (contents.alike("displacement_map"), contents.grouped("displacement_map")):
        assert [len(documents) for documents in groups.values()] == [1, 1, 1]
        assert all(group.endswith(title) for group, title in zip(groups, titles, strict=True))


def test_frames_are_chosen_by_a_multiple_of_their_interval(real_run: dict[str, str], measured: Measured) -> None:
    with pytest.raises(BadInputError, match=r"every_ps is 0\.12; expected a multiple of the 0\.05 ps"):
        measured("thiophosphate_units", real_run, every_ps=0.12)
    with pytest.raises(BadInputError, match=r"shorter than its 20 ps"):
        measured("thiophosphate_units", real_run, every_ps=50.0)


def test_an_answer_that_no_document_holds_is_refused_with_what_makes_it_smaller(
    real_run: dict[str, str], measured: Callable[..., dict[str, Any]]
) -> None:
    expected = (
        r"density_map would take 2\d MB, density_per_A2 alone 2\d MB; a document holds 16 MB, of which an answer may "
        r"take 12: give a larger bin_width_A \(received 0\.008\)"
    )
    with pytest.raises(BadInputError, match=expected):
        measured("density_map", real_run, elements=["Li"], axes=["a", "b"], bin_width_A=0.008, every_ps=10.0)
