"""Groups of atoms and regions: in cells that breathe, with what they cost, and with the libraries that chose them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from lipsdb.analysis import bond_order, trajectory_arrays
from lipsdb.campaigns.properties import Property
from lipsdb.errors import BadInputError
from lipsdb.queries.catalogue import QUERIES
from lipsdb.queries.tables import render
from lipsdb.store.database import Database
from lipsdb.workflows.answering import answer
from lipsdb.workflows.properties import DiffusionMaker
from lipsdb.workflows.properties.group import group_of
from lipsdb.workflows.properties.regions import masks_of_regions
from lipsdb.workflows.runs import LoadedRun, load_run

Measured = Callable[..., dict[str, Any]]
StoredRun = Callable[..., dict[str, str]]
Run = dict[str, str]
SLAB = {"slab": {"axis": "c", "start": 0.32, "stop": 0.63}}
ORDER = {"cutoff_A": 4.0, "lower": 0.075}
MOVING: dict[str, dict[str, Any]] = {
    "displacement": {},
    "non_gaussian": {},
    "van_hove": {"times_ps": [1.0]},
    "displacement_map": {"window_ps": 1.0},
    "isotropy": {"start_ps": 0.5, "stop_ps": 2.0},
    "ion_paths": {},
    "regional_diffusion": {"regions": {"all": {"slab": {"axis": "c", "start": 0.0, "stop": 1.0}}}, "bridge_ps": 0.0},
}


def asked(kind: str, **settings: Any) -> dict[str, Any]:
    """Parameters as a campaign file gives them."""
    found: dict[str, Any] = TypeAdapter(Property).validate_python({"kind": kind, "of": "md", **settings}).parameters()
    return found


@pytest.fixture
def breathing_run(stored_run: StoredRun) -> Run:
    """A crystal whose atoms do not move within the cell, which gets 2 % longer along c."""
    places = np.array([[i / 4, j / 4, (k + 0.5) / 20] for i in range(4) for j in range(4) for k in range(20)])
    cells = np.array([np.diag([12.0, 12.0, 60.0 * scale]) for scale in np.linspace(1.0, 1.02, 41)])
    return stored_run(places @ cells, cells, ["Li", "S"] * 160, 0.1, ensemble="npt", pressure_bar=1.0)


def test_ions_at_rest_in_a_cell_that_breathes_leave_no_region(breathing_run: Run, measured: Measured) -> None:
    found = measured("region_fractions", breathing_run, framework=["S"], bridge_ps=0.0, regions={"slab": SLAB})
    np.testing.assert_array_equal(found["answer"]["fractions"], 0.4)


def test_layers_of_a_crystal_in_a_cell_that_breathes_stay_sharp(breathing_run: Run, measured: Measured) -> None:
    settings = {"axis": "c", "bin_width_A": 0.5, "bandwidth_A": 0.1}
    rows = [
        measured("profile", breathing_run, **settings, framework=framework)["answer"]["summary"]
        for framework in (None, ["S"])
    ]
    assert [row["highest"] for row in rows[1]] == pytest.approx([row["highest"] for row in rows[0]], rel=1e-3)


def walk_in(stored_run: StoredRun, ensemble: str) -> Run:
    steps = np.random.default_rng(2).normal(0.0, 0.3, (100, 30, 3))
    steps[:, 24:] = 0.0
    pressure = 1.0 if ensemble == "npt" else None
    cell = 20.0 * np.eye(3)
    return stored_run(
        5.0 + steps.cumsum(axis=0), cell, ["Li"] * 24 + ["P", "S"] * 3, 0.1, ensemble=ensemble, pressure_bar=pressure
    )


@pytest.mark.parametrize("kind", MOVING)
def test_displacements_at_constant_pressure_are_flagged(
    database: Database, stored_run: StoredRun, measured: Measured, kind: str
) -> None:
    measured(kind, walk_in(stored_run, "nvt"), **MOVING[kind])
    assert all("NPT" not in row.flags for row in QUERIES[kind].rows(database))
    measured(kind, walk_in(stored_run, "npt"), **MOVING[kind])
    flagged = {row.ensemble: "NPT" in row.flags for row in QUERIES[kind].rows(database)}
    assert flagged == {"nvt": False, "npt": True}
    assert "NPT: displacements hold the breathing of the cell" in render(QUERIES[kind].table(database), "md")


def test_diffusion_at_constant_pressure_is_flagged(database: Database, stored_run: StoredRun) -> None:
    answer.original(*DiffusionMaker().make(walk_in(stored_run, "npt")).function_args)
    (row,) = QUERIES["diffusion"].rows(database)
    assert "NPT" in row.flags


def test_bond_order_that_regions_share_is_computed_once(
    database: Database, real_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed, original = [], bond_order.bond_order

    def counted(*given: Any, **settings: Any) -> Any:
        computed.append(settings["cutoff"])
        return original(*given, **settings)

    monkeypatch.setattr(bond_order, "bond_order", counted)
    run = load_run(database, real_run["id"]).every(2.0)
    orders = {
        "ordered": ORDER,
        "other": {**ORDER, "lower": None, "upper": 0.075},
        "at_times": {**ORDER, "time_average": False},
        "nearer": {**ORDER, "cutoff_A": 3.5},
    }
    regions = asked("region_fractions", regions={name: {"bond_order": order} for name, order in orders.items()})
    atoms = np.flatnonzero(run.symbols == "Li")
    masks = dict(masks_of_regions(regions["regions"], run, atoms, np.zeros((len(run.positions), 3))))
    assert computed == [4.0, 3.5]
    np.testing.assert_array_equal(masks["ordered"], ~masks["other"])
    assert (masks["at_times"] != masks["ordered"]).any()


def test_a_group_takes_the_memory_of_its_own_atoms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trajectory_arrays, "BLOCK_BYTES", 2**18)
    rng = np.random.default_rng(6)
    positions = rng.uniform(0.0, 30.0, (1, 3000, 3)).astype(np.float32) + np.zeros((400, 1, 1), np.float32)
    run = LoadedRun(
        positions, np.tile(30.0 * np.eye(3), (400, 1, 1)), 0.1, np.full(3000, 3), np.array(["Li"] * 2999 + ["S"]),
        np.full(3000, 7.0), {"run_id": "run-0", "ensemble": "nvt"},
    )  # fmt: skip
    thin = {"slab": {"axis": "c", "start": 0.0, "stop": 0.1}}
    parameters = asked("displacement", framework=["S"], region=thin)
    group_of(replace(run, positions=positions[:2], cell=run.cell[:2]), parameters)  # imports
    tracemalloc.start()
    group = group_of(run, parameters)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 250 < len(group.atoms) < 350
    np.testing.assert_array_equal(group.positions, positions[:, group.atoms])
    assert peak < 0.8 * positions.nbytes  # a copy of all atoms in double precision: 2


@pytest.mark.parametrize("kind", ["displacement", "van_hove", "ion_paths", "region_fractions"])
def test_libraries_that_chose_the_atoms_are_in_the_record(real_run: Run, measured: Measured, kind: str) -> None:
    settings = {"times_ps": [1.0]} if kind == "van_hove" else {}
    for region, expected in ({"bond_order": ORDER | {"every_ps": 5.0}}, True), (SLAB, False):
        place = {"regions": {"x": region}} if kind == "region_fractions" else {"region": region}
        versions = measured(kind, real_run, **place, **settings)["made_by"]["versions"]
        assert ({"freud-analysis", "ase"} <= versions.keys()) is expected
        assert "scipy" in versions or not expected


def test_libraries_of_bond_order_are_in_the_record(real_run: Run, measured: Measured) -> None:
    for kind, settings in (("bond_order", {}), ("disorder_parameter", {"cutoff_A": 5.0})):
        versions = measured(kind, real_run, centres=["Li"], every_ps=10.0, **settings)["made_by"]["versions"]
        assert {"ase", "freud-analysis", "scipy"} <= versions.keys()


def test_parameters_that_would_change_nothing_are_refused_or_have_one_form() -> None:
    regions = {"slab": SLAB}
    for wrong, message in (
        ({"share": 0.7}, "must not have share without assignment: whole"),
        ({"share": 0.7, "assignment": "start"}, "must not have share without assignment: whole"),
        ({"least_retention": 0.7, "assignment": "whole"}, "must not have least_retention with assignment: whole"),
    ):
        with pytest.raises(ValidationError, match=message):
            asked("regional_diffusion", regions=regions, **wrong)
    assert asked("regional_diffusion", regions=regions, least_retention=0.7)["least_retention"] == 0.7
    assert asked("regional_diffusion", regions=regions, assignment="whole", share=0.7)["share"] == 0.7
    strained = TypeAdapter(Property).validate_python(
        {"kind": "elasticity", "structure": "s", "potential": "p", "strain_amplitudes": [0.01, -0.01]}
    )
    assert strained.parameters()["strain_amplitudes"] == [-0.01, 0.01]


def test_isotropy_of_one_atom_says_what_to_do(stored_run: StoredRun, measured: Measured) -> None:
    run = walk_in(stored_run, "nvt")
    lone = stored_run(np.zeros((100, 3, 3)), 20.0 * np.eye(3), ["Li", "P", "S"], 0.1)
    with pytest.raises(BadInputError, match=r"the group \(Li\) has 1 atom; at least 2 are needed; name more elements"):
        measured("isotropy", lone, **MOVING["isotropy"])
    region = {"slab": {"axis": "c", "start": 0.0, "stop": 0.99}, "outside": False}
    assert measured("isotropy", run, region=region, **MOVING["isotropy"])["answer"]["summary"][0]["atoms"] > 2
    with pytest.raises(BadInputError, match="has 1 atom; at least 2 are needed; make the region larger"):
        measured("isotropy", lone, region=region, **MOVING["isotropy"])
