"""Rings of ions, asked for as a campaign file does: of a crystal with known rings, and of a real run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lipsdb.errors import BadInputError
from lipsdb.queries.catalogue import QUERIES
from lipsdb.queries.figures.descriptors import FIGURES
from lipsdb.queries.report.contents import Contents
from lipsdb.queries.report.drawings import descriptor_drawings
from lipsdb.store.database import Database
from lipsdb.workflows.properties import topology

Measured = Callable[..., dict[str, Any]]
StoredRun = Callable[..., dict[str, str]]


def test_rings_of_a_simple_cubic_lattice_are_its_squares(
    database: Database, stored_run: StoredRun, measured: Measured
) -> None:
    """Each face of a cube with an edge of 4 Å: born at 2 Å, dead at 2√2 Å, lifetime 0.828 Å."""
    sites = 4.0 * np.stack(np.meshgrid(*[np.arange(4)] * 3), axis=-1).reshape(-1, 3)
    frames = np.array([sites + shift for shift in np.linspace(0.0, 1.0, 3)])
    run = stored_run(np.concatenate([frames, frames[:, :1] + 2.0], axis=1), 16.0 * np.eye(3), ["Li"] * 64 + ["S"], 0.1)
    answer = measured("rings", run)["answer"]
    long, half = QUERIES["rings"].rows(database)
    assert (long.longer_than_A, long.f_PD, long.f_PD_std) == (1.0, 0.0, None)
    assert (half.longer_than_A, half.f_PD) == (0.5, 1.0)
    assert half.rings_per_ion == pytest.approx((2 * 64 - 2) / 64)  # of three squares a site one closes its cube
    assert half.median_birth_A == pytest.approx(2.0, abs=1e-3)
    np.testing.assert_allclose(answer["births_A"], 2.0, atol=1e-3)
    np.testing.assert_allclose(answer["deaths_A"], 2.0 * np.sqrt(2.0), atol=1e-3)
    assert answer["n_snapshots"] == 3
    sizes = {len(ring["atoms"]) for ring in answer["rings"]}  # edges are equal but for rounding: some go round two
    assert min(sizes) == 4
    assert all(size % 2 == 0 for size in sizes)


def test_rings_of_lithium_in_a_real_run(database: Database, real_run: dict[str, str], measured: Measured) -> None:
    document = measured("rings", real_run, n_snapshots=20)
    answer = document["answer"]
    long, half = QUERIES["rings"].rows(database)
    assert 0 <= long.f_PD < half.f_PD < 1
    assert half.f_PD_std > 0
    assert 1.9 < half.median_birth_A < 2.4  # half of a distance between neighbouring Li
    assert answer["births_A"].dtype == np.float32
    total = answer["weights"].sum()
    lifetimes = answer["deaths_A"] - answer["births_A"]
    assert answer["weights"][lifetimes > 0.5].sum() / total == pytest.approx(half.f_PD, abs=2e-3)
    assert total / 20 / answer["n_ions"] == pytest.approx(half.rings_per_ion)
    area = np.diff(answer["birth_edges_A"])[0] * np.diff(answer["lifetime_edges_A"])[0]
    assert answer["density_per_A2"].sum() * area == pytest.approx(1.0, abs=0.01)
    assert answer["rings_of_frame"] == 400
    assert max(max(ring["atoms"]) for ring in answer["rings"]) < 48  # Li stands first
    figure = FIGURES["rings"].draw([document])
    shown = 10 ** np.nanmax(np.array(figure.data[0].z, dtype=float))
    assert shown == pytest.approx(answer["density_per_A2"].max(), rel=1e-5)


def test_rings_of_any_size_are_on_the_map(database: Database, stored_run: StoredRun, measured: Measured) -> None:
    """Cubes with edges of 4 and of 10 Å, whose rings are born at 2 and 5 Å: both stand on one grid."""
    found = []
    for edge, temperature in ((4.0, 750.0), (10.0, 900.0)):
        sites = edge * np.stack(np.meshgrid(*[np.arange(3)] * 3), axis=-1).reshape(1, -1, 3)
        cell = 3 * edge * np.eye(3)
        run = stored_run(np.repeat(sites, 2, axis=0), cell, ["Li"] * 27, 0.1, temperature_K=temperature)
        found.append(measured("rings", run, n_snapshots=1))
        answer = found[-1]["answer"]
        area = np.diff(answer["birth_edges_A"])[0] * np.diff(answer["lifetime_edges_A"])[0]
        assert answer["density_per_A2"].sum() * area == pytest.approx(1.0, abs=1e-6)
        assert edge / 2 < answer["birth_edges_A"][-1] <= edge / 2 + 1
        np.testing.assert_allclose(np.diff(answer["birth_edges_A"]), 0.02, rtol=1e-9)
    cold, hot = FIGURES["rings"].draw(found).data
    for trace, birth in ((cold, 2.0), (hot, 5.0)):
        z = np.array(trace.z, dtype=float)
        assert trace.x[np.nanargmax(np.nanmax(z, axis=0, initial=-9.0))] == pytest.approx(birth, abs=0.02)


def test_a_map_without_rings_is_drawn_empty(real_run: dict[str, str], measured: Measured) -> None:
    answer = measured("rings", real_run, n_snapshots=1)["answer"]
    (trace,) = FIGURES["rings"].draw([{"answer": answer | {"density_per_A2": 0 * answer["density_per_A2"]}}]).data
    assert np.isnan(np.array(trace.z, dtype=float)).all()


def test_a_figure_that_cannot_be_drawn_says_so_in_its_place(
    real_run: dict[str, str], measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(documents: object) -> None:
        raise IndexError("no such bin")

    kinds = {"rings": {"n_snapshots": 1}, "displacement": {}}
    found = {kind: [measured(kind, real_run, **settings)] for kind, settings in kinds.items()}
    monkeypatch.setitem(FIGURES, "rings", replace(FIGURES["rings"], draw=fail))
    drawn = descriptor_drawings(Contents("", [], "", None, [], [], [], [], [], found))
    (broken,), (whole,) = drawn["topology"], drawn["dynamics"]
    assert "could not be drawn" in broken.caption
    assert broken.caption.endswith("IndexError: no such bin")
    assert broken.documents == [found["rings"][0]["_id"]]
    assert whole.caption == FIGURES["displacement"].caption


def test_many_pairs_are_thinned_and_it_is_said(
    real_run: dict[str, str], measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topology, "MOST_PAIRS", 100)
    answer = measured("rings", real_run, n_snapshots=2)["answer"]
    assert answer["every_nth_ring"] > 1
    assert 50 < len(answer["births_A"]) <= 100
    assert len(answer["births_A"]) == len(answer["deaths_A"]) == len(answer["weights"])


def test_a_run_without_such_ions_is_refused(real_run: dict[str, str], measured: Measured) -> None:
    with pytest.raises(BadInputError, match="ring"):
        measured("rings", real_run, elements=["Na"])
