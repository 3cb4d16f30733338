"""Order and room of atoms, asked for as a campaign file does: of a real trajectory, and of crystals that are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from lipsdb.campaigns.properties import Property
from lipsdb.queries.catalogue import QUERIES
from lipsdb.queries.figures.descriptors import FIGURES
from lipsdb.store.database import Database
from lipsdb.workflows.properties import order
from lipsdb.workflows.runs import LoadedRun, load_run

Measured = Callable[..., dict[str, Any]]
Lattice = Callable[[np.ndarray, np.ndarray], None]


@pytest.fixture
def lattice(monkeypatch: pytest.MonkeyPatch) -> Lattice:
    """Let runs have these atoms (all Li) and this cell, in frames that are shifted against each other."""

    def put(atoms: np.ndarray, cell: np.ndarray) -> None:
        def loaded(database: Database, run_id: str) -> LoadedRun:
            n = len(atoms)
            return replace(
                load_run(database, run_id),
                positions=np.array([atoms + shift for shift in np.linspace(0.1, 0.5, 6)]),
                cell=np.broadcast_to(cell, (6, 3, 3)),
                numbers=np.full(n, 3),
                symbols=np.full(n, "Li"),
                masses=np.full(n, 6.94),
            )

        monkeypatch.setattr(order, "load_run", loaded)

    return put


def rows_of(database: Database, kind: str) -> list[Any]:
    return list(QUERIES[kind].rows(database))


def cubes(number: int, spacing: float) -> np.ndarray:
    return spacing * np.stack(np.meshgrid(*[np.arange(number)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)


def test_bond_order_and_disorder_of_a_face_centred_crystal(
    database: Database, real_run: dict[str, str], measured: Measured, lattice: Lattice
) -> None:
    basis = 4.0 * np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    lattice((cubes(3, 4.0)[:, None] + basis).reshape(-1, 3), 12.0 * np.eye(3))
    answer = measured("bond_order", real_run, degrees=[6, 4], n_neighbours=12)["answer"]
    measured("disorder_parameter", real_run, n_neighbours=12)
    four, six = rows_of(database, "bond_order")
    assert (four.l, six.l, four.among, four.neighbours) == (4, 6, "all, 12 nearest", 12)
    assert [four.q, four.q_averaged] == pytest.approx([0.19094] * 2, abs=1e-4)
    assert [six.q, six.q_averaged] == pytest.approx([0.57452] * 2, abs=1e-4)
    assert [six.q_std, six.q_averaged_std, six.spread] == pytest.approx([0, 0, 0], abs=1e-5)
    bin_ = np.flatnonzero(answer["q_averaged_histogram"][1])
    assert answer["edges"][bin_] == pytest.approx([0.570])
    (row,) = rows_of(database, "disorder_parameter")
    assert row.of == "Li"
    assert pytest.approx(0, abs=1e-4) == row.S


def test_bond_order_of_a_run_has_means_by_atom_and_a_distribution(
    database: Database, real_run: dict[str, str], measured: Measured
) -> None:
    found = measured("bond_order", real_run, centres=["S"], neighbours=["S"], cutoff_A=5.0, every_ps=1.0)
    answer, rows = found["answer"], rows_of(database, "bond_order")
    assert [(row.centres, row.among) for row in rows] == [("S", "S, within 5 Å")] * 2
    assert answer["atoms"].tolist() == np.flatnonzero(np.arange(128) >= 64).tolist()
    assert answer["q_averaged_of_atoms"].shape == (64, 2)
    assert answer["q_averaged_of_atoms"].mean(axis=0) == pytest.approx([row.q_averaged for row in rows])
    middles, width = 0.5 * (answer["edges"][1:] + answer["edges"][:-1]), np.diff(answer["edges"])
    for density, row in zip(answer["q_averaged_histogram"], rows, strict=True):
        assert density @ width == pytest.approx(1)
        assert density * width @ middles == pytest.approx(row.q_averaged, abs=0.001)
        assert 0 < row.q_averaged_std < 0.1 * row.q_averaged < row.q


def test_disorder_of_hot_beta_lies_between_crystal_and_glass_for_each_element(
    database: Database, real_run: dict[str, str], measured: Measured
) -> None:
    answer = measured("disorder_parameter", real_run, every_ps=1.0)["answer"]
    rows = {row.of: row for row in rows_of(database, "disorder_parameter")}
    assert list(rows) == ["all", "Li", "P", "S"]
    assert all(1.25 < row.S < 2.0 for row in rows.values())
    assert pytest.approx(rows["all"].S) == (48 * rows["Li"].S + 16 * rows["P"].S + 64 * rows["S"].S) / 128
    assert rows["all"].spread == pytest.approx(np.std(answer["S_of_atoms"]))


def test_amorphisation_tells_the_phases_of_a_half_molten_crystal(
    database: Database, real_run: dict[str, str], measured: Measured, lattice: Lattice
) -> None:
    atoms, generator = cubes(12, 3.0), np.random.default_rng(1)
    glass = atoms[:, 2] >= 18
    atoms[glass] = generator.uniform([0, 0, 18], [36, 36, 36], (glass.sum(), 3))
    lattice(atoms, 36.0 * np.eye(3))
    asked = {"axis": "c", "slab_width_A": 3.0, "interface_half_width_A": 0.0}
    answer = measured("amorphisation", real_run, **asked)["answer"]
    (row,) = rows_of(database, "amorphisation")
    away = answer["boundaries_A"] / 18 - np.round(answer["boundaries_A"] / 18)
    assert away == pytest.approx([0, 0], abs=1.5 / 18)
    assert answer["phases"][1:5] == ["crystal"] * 4
    assert answer["phases"][7:11] == ["glass"] * 4
    assert row.F_lowest < 0.4
    assert row.F_highest == pytest.approx(1)
    assert row.crystal_percent + row.interface_percent + row.glass_percent == pytest.approx(100)
    assert row.crystal_percent == pytest.approx(50, abs=9)


def test_phases_of_a_single_crystal_are_told_with_a_reference_only(
    database: Database, real_run: dict[str, str], measured: Measured
) -> None:
    asked = {"axis": "b", "elements": ["P", "S"], "slab_width_A": 4.1, "every_ps": 1.0}
    answer = measured("amorphisation", real_run, **asked)["answer"]
    (row,) = rows_of(database, "amorphisation")
    assert row.F_lowest > 0.95
    assert (row.glass_percent, answer["phases"], row.boundaries_A) == (None, None, "none")
    told = measured("amorphisation", real_run, reference=2 * row.sum_highest, **asked)["answer"]
    assert told["phases"] == ["crystal"] * 4
    assert told["summary"][0]["crystal_percent"] == 100
    assert told["profile"] == pytest.approx(answer["profile"] / 2)


def test_voronoi_volumes_of_all_elements_fill_the_cell(
    database: Database, real_run: dict[str, str], measured: Measured
) -> None:
    found = measured("voronoi_volumes", real_run, elements=["S", "P", "Li"], every_ps=1.0)
    rows = {row.of: row for row in rows_of(database, "voronoi_volumes")}
    total = 48 * rows["Li"].mean_A3 + 16 * rows["P"].mean_A3 + 64 * rows["S"].mean_A3
    assert total == pytest.approx(found["answer"]["conditions"]["volume_A3"], rel=1e-5)
    assert rows["P"].mean_A3 < rows["Li"].p5_A3 < rows["Li"].median_A3 < rows["Li"].p95_A3 < 30
    assert measured("voronoi_volumes", real_run, every_ps=1.0)["asked"]["parameters"]["elements"] == ["Li"]


def test_profile_holds_all_atoms_and_shows_the_planes_of_phosphorus(
    database: Database, real_run: dict[str, str], measured: Measured
) -> None:
    answer = measured("profile", real_run, axis="a", framework=["P", "S"], every_ps=0.5)["answer"]
    atoms = (answer["number_density_per_A3"] * np.diff(answer["edges_A"])).sum(axis=1) * answer["area_A2"]
    assert atoms == pytest.approx([48, 16, 64])
    (phosphorus,) = (row for row in rows_of(database, "profile") if row.of == "P")
    nearest = min(abs(phosphorus.lowest_at_A - place * 12.819) for place in (0.25, 0.75))  # P at ±0.0875, 0.5 ± 0.0875
    assert nearest < 0.3
    assert phosphorus.lowest < 0.5
    assert phosphorus.highest > 1.3
    assert phosphorus.mean_per_A3 == pytest.approx(16 / answer["conditions"]["volume_A3"], rel=1e-5)


def test_density_map_holds_all_lithium(database: Database, real_run: dict[str, str], measured: Measured) -> None:
    answer = measured("density_map", real_run, elements=["Li"], axes=["a", "c"], every_ps=0.5)["answer"]
    area = answer["first_edges_A"][1] * answer["second_edges_A"][1]
    assert answer["density_per_A2"].sum() * area == pytest.approx(48)
    (row,) = rows_of(database, "density_map")
    assert row.mean_per_A2 == pytest.approx(48 / (12.819 * 12.2472), rel=1e-4)
    assert 5 < row.half_within_percent < 25


@pytest.mark.parametrize(
    ("kind", "asked", "panels"),
    [
        ("bond_order", {"centres": ["P"], "neighbours": ["P"], "n_neighbours": 12}, ["l = 4", "l = 6"]),
        ("disorder_parameter", {}, ["all atoms", "Li atoms", "P atoms", "S atoms"]),
        ("amorphisation", {"axis": "a"}, []),
        ("voronoi_volumes", {}, []),
        ("profile", {"axis": "c"}, ["Li", "P", "S", "mass density"]),
        ("density_map", {"elements": ["Li"], "axes": ["b", "c"]}, ["750 K, seed 1", "750 K, seed 1"]),
    ],
)
def test_runs_are_drawn_in_panels(
    real_run: dict[str, str], measured: Measured, kind: str, asked: dict[str, Any], panels: list[str]
) -> None:
    found = measured(kind, real_run, **asked, every_ps=5.0)
    figure = FIGURES[kind].draw([found, found])
    assert [title.text for title in figure.layout.annotations] == panels
    drawn = [trace for trace in figure.data if trace.name or trace.type == "heatmap"]
    assert len(drawn) == (2 if kind == "density_map" else 2 * max(1, len(panels)))
    assert all(np.isfinite(np.asarray(trace.z if kind == "density_map" else trace.y)).all() for trace in drawn)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "bond_order", "cutoff_A": 4.0, "n_neighbours": 12}, "at most one of cutoff_A, n_neighbours"),
        ({"kind": "bond_order", "degrees": [5]}, "multiple of 2"),
        ({"kind": "amorphisation", "axis": "a", "crystal_below": 0.9}, r"crystal_below \(0\.9\) no larger than"),
        ({"kind": "profile", "axis": "z"}, "'a', 'b' or 'c'"),
        ({"kind": "density_map", "elements": ["Li"], "axes": ["a", "a"]}, "must not hold a value twice: a"),
    ],
)
def test_what_cannot_be_computed_is_refused_in_the_campaign_file(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(Property).validate_python({"of": "md", **settings})


def test_the_order_of_elements_does_not_matter() -> None:
    one, other = (
        TypeAdapter(Property).validate_python({"kind": "bond_order", "of": "md", "centres": centres})
        for centres in (["S", "Li"], ["Li", "S"])
    )
    assert one.parameters() == other.parameters()
