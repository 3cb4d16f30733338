"""Descriptors by region: asked for as a campaign file does, of stored runs with known answers and of a real one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML

from lipsdb.analysis.displacement import framework_drift
from lipsdb.campaigns.load import load_campaign
from lipsdb.campaigns.properties import Property
from lipsdb.campaigns.properties.regions import Region
from lipsdb.errors import BadInputError
from lipsdb.md.trajectory import read_trajectory
from lipsdb.queries.catalogue import QUERIES
from lipsdb.queries.figures.descriptors import FIGURES
from lipsdb.store.database import Database

Measured = Callable[..., dict[str, Any]]
StoredRun = Callable[..., dict[str, str]]
DATA = Path(__file__).parents[1] / "data" / "beta-Li3PS4-750K"
STEP_PS = 0.1
LENGTH_A = 40.0
D = {"left": np.array([1.0, 0.6, 0.3]), "right": np.array([0.1, 0.2, 0.05])}  # along x, y, z, Å²/ps: 1e-4 cm²/s
HALVES = {
    "left": {"slab": {"axis": "c", "start": 0.0, "stop": 0.5}},
    "right": {"slab": {"axis": "c", "start": 0.0, "stop": 0.5}, "outside": True},
}


def two_phases(*, exchange: bool, n_ions: int = 240, n_frames: int = 300) -> tuple[np.ndarray, list[str]]:
    """Brownian Li in a cell of two slabs across c, each with D of its own, and a framework; all of it drifts.

    Without exchange, ions are reflected at the boundaries; with it, they cross them.
    """
    rng = np.random.default_rng(1)
    now = rng.uniform(0.0, LENGTH_A, (n_ions, 3))
    frames = np.empty((n_frames, n_ions + 8, 3))
    framework = np.array([[x, y, z] for x in (5.0, 25.0) for y in (5.0, 25.0) for z in (5.0, 25.0)])
    for frame in range(n_frames):
        drift = frame * np.array([0.01, -0.02, 0.03])
        frames[frame] = np.concatenate([now, framework]) + drift
        left = now[:, 2] % LENGTH_A < LENGTH_A / 2
        after = now + rng.normal(size=now.shape) * np.sqrt(2 * STEP_PS * np.where(left[:, None], D["left"], D["right"]))
        if not exchange:
            low = np.where(left, 0.0, LENGTH_A / 2)
            depth = np.abs(after[:, 2] - low)
            after[:, 2] = low + np.where(depth > LENGTH_A / 2, LENGTH_A - depth, depth)
        now = after
    return frames, ["Li"] * n_ions + ["P", "S"] * 4


def rows_of(database: Database, kind: str) -> list[Any]:
    return list(QUERIES[kind].rows(database))


def check_against_truth(rows: list[Any]) -> None:
    """D of each region and direction is within its uncertainty of the truth, and that is some percent."""
    assert {row.region for row in rows} == set(D)
    pulls = []
    for row in rows:
        for axis, truth in zip("xyz", 1e-4 * D[row.region], strict=True):
            value, std = getattr(row, f"D_{axis}_cm2_s"), getattr(row, f"D_{axis}_std_cm2_s")
            pulls.append((value - truth) / std)
            assert std < 0.05 * truth
        pulls.append((row.D_cm2_s - 1e-4 * D[row.region].mean()) / row.D_std_cm2_s)
        assert row.flags == ()
    assert max(np.abs(pulls)) < 2.5
    assert 0.3 < np.sqrt(np.mean(np.square(pulls))) < 1.5


@pytest.mark.parametrize("assignment", ["followed", "start", "whole"])
def test_d_of_two_phases_behind_walls_is_right_within_its_uncertainty_by_region_and_direction(
    database: Database, stored_run: StoredRun, measured: Measured, assignment: str
) -> None:
    positions, symbols = two_phases(exchange=False)
    run = stored_run(positions, LENGTH_A * np.eye(3), symbols, STEP_PS)
    found = measured("regional_diffusion", run, regions=HALVES, assignment=assignment, bridge_ps=0.0)
    rows = rows_of(database, "regional_diffusion")
    check_against_truth(rows)
    assert [row.retention_percent for row in rows] == [100.0, 100.0]
    assert sum(row.ions for row in rows) == pytest.approx(240)
    assert all(row.xi == pytest.approx(row.D_z_cm2_s / max(row.D_x_cm2_s, row.D_y_cm2_s)) for row in rows)
    assert found["inputs"][0]["id"] == run["id"]


def test_d_of_two_phases_that_exchange_ions_is_right_if_they_are_followed_and_mixed_by_where_they_start(
    database: Database, stored_run: StoredRun, measured: Measured
) -> None:
    positions, symbols = two_phases(exchange=True)
    run = stored_run(positions, LENGTH_A * np.eye(3), symbols, STEP_PS)
    measured("regional_diffusion", run, regions=HALVES, bridge_ps=0.0)
    rows = rows_of(database, "regional_diffusion")
    check_against_truth(rows)
    assert all(80 < row.retention_percent < 95 for row in rows)
    measured("regional_diffusion", run, regions=HALVES, bridge_ps=0.0, assignment="start")
    mixed = next(
        row for row in rows_of(database, "regional_diffusion") if (row.region, row.of) == ("right", "Li, start")
    )
    assert mixed.D_x_cm2_s > 1e-4 * D["right"][0] + 2.5 * mixed.D_x_std_cm2_s
    assert "exchange" in " ".join(QUERIES["regional_diffusion"].table(database).notes)


def test_half_of_the_real_run_whose_li_is_held_still_has_no_d_and_the_other_half_keeps_its_own(
    database: Database, real_run: dict[str, str], stored_run: StoredRun, measured: Measured
) -> None:
    real = read_trajectory(DATA / "trajectory.nc")
    symbols = [line.split()[0] for line in (DATA / "topology.xyz").read_text().splitlines()[2:]]
    li, cell = np.array(symbols) == "Li", real.cell[0]
    masses = np.array([{"Li": 6.94, "P": 30.974, "S": 32.06}[symbol] for symbol in symbols])
    positions = np.array(real.positions, dtype=np.float64)
    drift = framework_drift(positions, masses, ~li)[:, None]
    lower = (((positions - drift) @ np.linalg.inv(cell))[..., 1] % 1.0) < 0.5
    still = li & (lower.mean(axis=0) > 0.5)
    some_time = lower.argmax(axis=0)
    positions[:, still] = (positions - drift)[some_time[still], np.flatnonzero(still)] + drift
    half = stored_run(positions, cell, symbols, 0.05)
    slab = {"axis": "b", "start": 0.0, "stop": 0.5}
    regions = {"held": {"slab": slab}, "free": {"slab": slab, "outside": True}}
    for run in (real_run, half):
        measured("regional_diffusion", run, regions=regions, assignment="whole", bridge_ps=0.0)
    rows = {(row.structure, row.region): row for row in rows_of(database, "regional_diffusion")}
    held, free, before = rows["made-up", "held"], rows["made-up", "free"], rows["beta-Li3PS4", "free"]
    assert held.ions == still.sum()
    assert free.ions == (li & ~still).sum() == before.ions
    assert abs(held.D_cm2_s) < 1e-12
    assert "not Fickian" in held.flags
    for name in ("D_x_cm2_s", "D_y_cm2_s", "D_z_cm2_s", "D_cm2_s", "D_std_cm2_s"):
        assert getattr(free, name) == pytest.approx(getattr(before, name), rel=1e-4)
    assert free.D_cm2_s > 3 * free.D_std_cm2_s
    assert rows["beta-Li3PS4", "held"].D_cm2_s > 1e-6


def test_displacement_of_a_region_is_that_of_the_ions_in_it(
    database: Database, stored_run: StoredRun, measured: Measured
) -> None:
    positions, symbols = two_phases(exchange=False)
    run = stored_run(positions, LENGTH_A * np.eye(3), symbols, STEP_PS)
    in_left = int((positions[0, :240, 2] < LENGTH_A / 2).sum())
    for assignment in ("start", "whole"):
        found = measured("displacement", run, region=HALVES["left"], assignment=assignment, longest_fraction=0.1)
        (row,) = found["answer"]["summary"]
        assert row["atoms"] == in_left
        assert row["of"].startswith("Li, ")
        assert row["of"].endswith("in slab c 0 0.5 fraction")
        assert row["msd_A2"] == pytest.approx(2 * D["left"].sum() * row["lag_ps"], abs=3 * row["msd_std_A2"])
    thin = [{"axis": axis, "start": 0.0, "stop": 0.001} for axis in ("a", "b")]
    with pytest.raises(BadInputError, match=r"no Li of run-\w+ is in the region \(box a 0 0\.001 .*\) for more than"):
        measured("displacement", run, region={"box": thin})


def flow(n_ions: int, n_frames: int, speed_A_ps: float) -> np.ndarray:
    """Ions one behind the other along c, evenly spaced in a cell of 20 Å, all at one speed; two atoms are at rest."""
    start = np.linspace(0.0, 20.0, n_ions, endpoint=False) + 0.003
    positions = np.ones((n_frames, n_ions + 2, 3))
    positions[:, :n_ions, 2] = start + speed_A_ps * STEP_PS * np.arange(n_frames)[:, None]
    return positions


def test_ions_that_flow_through_a_slab_stay_as_long_as_they_take_to_cross_it(
    database: Database, stored_run: StoredRun, measured: Measured
) -> None:
    run = stored_run(flow(400, 201, 2.0), 20.0 * np.eye(3), ["Li"] * 400 + ["P", "S"], STEP_PS)
    regions = {
        "slab": {"slab": {"axis": "c", "start": 5.0, "stop": 15.0, "unit": "A"}},
        "plane": {"near_planes": {"axis": "c", "planes": [0.0, 0.5], "distance_A": 1.0}},
        "cell": {"slab": {"axis": "a", "start": 0.0, "stop": 1.0}},
    }
    found = measured("region_fractions", run, regions=regions, bridge_ps=0.0)
    rows = {row.region: row for row in rows_of(database, "region_fractions")}
    # ions that are there stay for any time up to that of the crossing, 5 and 1 ps, evenly
    assert rows["slab"].residence_ps == pytest.approx(5.0 * (1 - np.exp(-1)), abs=0.06)
    assert rows["plane"].residence_ps == pytest.approx(1.0 * (1 - np.exp(-1)), abs=0.06)
    assert rows["cell"].residence_ps is None
    assert [rows[name].share_percent for name in regions] == pytest.approx([50.0, 20.0, 100.0], abs=0.3)
    assert rows["slab"].ions == pytest.approx(200, abs=1)
    assert found["answer"]["fractions"].shape == (3, 201)


def test_ions_that_vibrate_across_a_face_do_not_leave_if_short_absences_are_bridged(
    database: Database, stored_run: StoredRun, measured: Measured
) -> None:
    positions = np.ones((201, 12, 3))
    positions[:, :10, 2] = 10.0 + np.sin(2 * np.pi * (STEP_PS * np.arange(201)[:, None] / 0.8 + 0.1 * np.arange(10)))
    run = stored_run(positions, 20.0 * np.eye(3), ["Li"] * 10 + ["P", "S"], STEP_PS)
    for bridge_ps in (0.0, 0.5):
        measured(
            "region_fractions",
            run,
            regions={"upper": {"slab": {"axis": "c", "start": 0.5, "stop": 1.0}}},
            bridge_ps=bridge_ps,
        )
    stays = {row.residence_ps for row in rows_of(database, "region_fractions")}
    assert None in stays
    assert max(stays - {None}) < 0.4


def test_paths_are_those_of_the_ions_that_get_farthest(
    database: Database, stored_run: StoredRun, measured: Measured
) -> None:
    positions = np.ones((41, 6, 3))
    time_ps = 0.1 * np.arange(41)
    positions[:, :4, 0] += np.outer(time_ps, [1.0, 4.0, 2.0, 3.0])  # Å/ps
    positions[20:, 3, 0] = positions[20::-1, 3, 0][:21]  # back again
    run = stored_run(positions, 10.0 * np.eye(3), ["Li"] * 4 + ["P", "S"], STEP_PS)
    found = measured("ion_paths", run, ions=3, smoothing_ps=0.2, stride_ps=0.4)
    rows = rows_of(database, "ion_paths")
    assert [row.ion for row in rows] == [1, 2, 3]
    assert [row.farthest_A for row in rows] == pytest.approx([16.0, 8.0, 6.0])
    assert [row.net_A for row in rows] == pytest.approx([16.0, 8.0, 0.0], abs=1e-5)
    answer = found["answer"]
    assert answer["unwrapped_A"].shape == (11, 3, 3)
    inner = slice(1, -1)
    np.testing.assert_allclose(answer["unwrapped_A"][inner, 0, 0], 1 + 4 * answer["time_ps"][inner], rtol=1e-6)
    np.testing.assert_allclose(answer["wrapped_A"][..., 0], answer["unwrapped_A"][..., 0] % 10.0, atol=1e-5)
    assert answer["crossings"][:, 0].sum() == 1
    slow = {"slab": {"axis": "a", "start": 0.0, "stop": 0.45}}
    measured("ion_paths", run, ions=3, region=slow, share=0.8)
    assert [row.ion for row in rows_of(database, "ion_paths") if "slab" in row.of] == [0]
    measured("ion_paths", run, ions=4, region=slow, assignment="start")
    assert [row.ion for row in rows_of(database, "ion_paths") if "at the start" in row.of] == [1, 2, 3, 0]


def test_phases_by_amorphisation_and_by_bond_order_are_the_crystal_and_the_glass(
    database: Database, stored_run: StoredRun, measured: Measured
) -> None:
    rng = np.random.default_rng(3)
    lattice = 3.0 * np.stack(np.meshgrid(*(np.arange(n) for n in (8, 8, 20)), indexing="ij"), axis=-1).reshape(-1, 3)
    glass = lattice[:, 2] >= 30.0
    lattice[glass] = rng.uniform([0.0, 0.0, 30.0], [24.0, 24.0, 60.0], (int(glass.sum()), 3))
    symbols = ["Li" if lithium else "P" for lithium in rng.random(len(lattice)) < 0.5]
    lattice[:, 2] += 1.5
    run = stored_run(np.repeat(lattice[None], 2, axis=0), np.diag([24.0, 24.0, 60.0]), symbols, STEP_PS)
    slabs = {"axis": "c", "slab_width_A": 3.0, "crystal_below": 0.5, "glass_above": 0.6, "interface_half_width_A": 4.0}
    by_order = {"degree": 6, "cutoff_A": 3.3, "lower": 0.3}
    regions = {phase: {"amorphisation": {**slabs, "phase": phase}} for phase in ("crystal", "interface", "glass")}
    regions |= {"ordered": {"bond_order": by_order}, "other": {"bond_order": by_order, "outside": True}}
    measured("region_fractions", run, regions=regions, framework=["P"], bridge_ps=0.0)
    share = {row.region: row.share_percent for row in rows_of(database, "region_fractions")}
    assert share["crystal"] + share["interface"] + share["glass"] == pytest.approx(100)
    assert share["crystal"] == pytest.approx(40, abs=5)  # half, but for a slab at both boundaries
    assert share["glass"] == pytest.approx(40, abs=5)
    assert share["ordered"] == pytest.approx(50, abs=5)
    assert share["ordered"] + share["other"] == pytest.approx(100)


def test_phases_of_a_single_crystal_are_not_told(real_run: dict[str, str], measured: Measured) -> None:
    crystal = {"amorphisation": {"axis": "b", "phase": "crystal", "crystal_below": 0.1, "every_ps": 5.0}}
    with pytest.raises(BadInputError, match=r"no slab of run-\w+ has F below 0\.1.* give as reference"):
        measured("region_fractions", real_run, regions={"crystal": crystal})


@pytest.mark.parametrize("kind", ["regional_diffusion", "region_fractions", "ion_paths"])
def test_each_has_a_figure(real_run: dict[str, str], measured: Measured, kind: str) -> None:
    found = measured(kind, real_run, **({} if kind == "ion_paths" else {"regions": HALVES}))
    figure = FIGURES[kind].draw([found, found])
    assert len(figure.data) >= 4
    assert FIGURES[kind].family == "dynamics"


def test_regions_that_ions_leave_at_once_are_named(real_run: dict[str, str], measured: Measured) -> None:
    thin = {"slab": {"axis": "b", "start": 0.0, "stop": 0.01}}
    with pytest.raises(BadInputError, match=r"region thin: after 0\.15 ps \d+% of the atoms are in the region"):
        measured("regional_diffusion", real_run, regions={"thin": thin}, bridge_ps=0.0)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ({}, "must have exactly one of: slab, box, near_planes, bond_order, amorphisation; has none"),
        ({**HALVES["left"], "bond_order": {"lower": 0.3}}, "has slab, bond_order"),
        ({"slab": {"axis": "c", "start": 0.1, "stop": 0.1}}, "start and stop that differ, has 0.1 for both"),
        ({"slab": {"axis": "c", "start": 0.0, "stop": 12.0}}, "from -1 to 1 with unit: fraction, has 12; give unit: A"),
        ({"near_planes": {"axis": "c", "planes": [5.0]}}, "from -1 to 1 with unit: fraction, has 5; give unit: A"),
        ({"box": [{"axis": "c", "start": 0.0, "stop": 0.5}] * 2}, "across different cell vectors, has c, c"),
        ({"bond_order": {"degree": 6}}, "must have lower, upper, or both"),
        ({"bond_order": {"lower": 0.5, "upper": 0.3}}, "lower \\(0.5\\) below upper \\(0.3\\)"),
    ],
)
def test_regions_that_make_no_sense_are_refused(region: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(Region).validate_python(region)


def test_region_is_stored_as_it_was_given() -> None:
    slab = {"axis": "c", "start": 0.0, "stop": 0.5, "unit": "fraction"}
    wanted = TypeAdapter(Property).validate_python(
        {"kind": "isotropy", "of": "md", "start_ps": 1.0, "stop_ps": 5.0, "region": HALVES["left"]}
    )
    assert wanted.parameters()["region"] == {"slab": slab}
    with pytest.raises(ValidationError, match="must not have share without region and assignment: whole"):
        TypeAdapter(Property).validate_python({"kind": "van_hove", "of": "md", "share": 0.7})


def test_times_and_elements_of_regions_that_do_not_fit_are_found_before_anything_runs(
    small_campaign: Callable[..., Path],
) -> None:
    path = small_campaign()
    yaml = YAML()
    content = yaml.load(path.read_text())
    regions = {"ordered": {"bond_order": {"lower": 0.3, "every_ps": 0.03}}}
    glass = {"axis": "c", "phase": "glass", "elements": ["Na"]}
    content["properties"] |= {
        "d": {"kind": "regional_diffusion", "of": "hot", "regions": regions, "bridge_ps": 0.11},
        "g": {"kind": "ion_paths", "of": "hot", "region": regions["ordered"], "smoothing_ps": 0.0},
        "e": {
            "kind": "region_fractions",
            "of": "hot",
            "bridge_ps": 0.1,
            "regions": {"glass": {"amorphisation": glass}},
        },
    }
    with path.open("w") as stream:
        yaml.dump(content, stream)
    with pytest.raises(BadInputError) as refused:
        load_campaign(path)
    problems = str(refused.value)
    assert "properties.d.bridge_ps: received 0.11, must be a whole number of dump_interval_fs (20 fs)" in problems
    assert "properties.d.regions.ordered.bond_order.every_ps: received 0.03, must be a whole number" in problems
    assert "properties.g.region.bond_order.every_ps: received 0.03, must be a whole number" in problems
    assert "properties.e.regions.glass.amorphisation.elements[0]: received 'Na', not in the structure" in problems
    assert "smoothing_ps" not in problems
