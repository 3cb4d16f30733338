"""Descriptors of dynamics: asked for as a campaign file does, of a run with a real trajectory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from lipsdb.campaigns.load import load_campaign
from lipsdb.errors import BadInputError
from lipsdb.provenance.canonical import decoded
from lipsdb.queries.catalogue import QUERIES
from lipsdb.queries.figures.descriptors import FIGURES
from lipsdb.queries.tables import render
from lipsdb.store.database import Database
from lipsdb.workflows.answering import answer
from lipsdb.workflows.properties import DiffusionMaker
from lipsdb.workflows.runs import LoadedRun, load_run

Measured = Callable[..., dict[str, Any]]


@pytest.fixture
def loaded(database: Database, real_run: dict[str, str]) -> LoadedRun:
    return load_run(database, real_run["id"])


def moved(run: LoadedRun, lag: int, *, elements: tuple[str, ...] = ("Li",), every: int = 1) -> np.ndarray:
    """Displacement vectors (n_origins, n_atoms, 3), Å, relative to the centre of mass of P and S; a direct sum."""
    framework = np.isin(run.symbols, ["P", "S"])
    centre = np.average(run.positions[:, framework].astype(float), axis=1, weights=run.masses[framework])
    positions = run.positions[:, np.isin(run.symbols, elements)] - centre[:, None]
    return (positions[lag:] - positions[:-lag])[::every]


def row_and_table(database: Database, kind: str) -> tuple[Any, str]:
    rows = QUERIES[kind].rows(database)
    return rows[-1], render(QUERIES[kind].table(database), "md")


def traces(found: dict[str, Any]) -> list[Any]:
    return list(FIGURES[found["asked"]["property"]].draw([found]).data)


def test_displacement_has_the_msd_of_the_diffusion_of_the_same_run(
    database: Database, real_run: dict[str, str], measured: Measured
) -> None:
    job = DiffusionMaker().make(real_run)
    diffusion = decoded(database.find(answer.original(*job.function_args)["id"]))["answer"]
    found = measured("displacement", real_run)
    ours = found["answer"]
    np.testing.assert_allclose(ours["lag_ps"], diffusion["msd"]["lag_ps"], rtol=1e-12)
    np.testing.assert_allclose(ours["msd_A2"], diffusion["msd"]["msd_A2"], rtol=1e-9)
    np.testing.assert_allclose(ours["msd_axes_A2"], diffusion["msd"]["msd_axes_A2"], rtol=1e-9)

    row, table = row_and_table(database, "displacement")
    assert (row.of, row.atoms, row.lag_ps) == ("Li", 48, pytest.approx(10))
    assert row.msd_A2 == pytest.approx(ours["msd_axes_A2"][-1].sum())
    assert 0.3 < ours["exponent"].min() < 0.7  # in cages at short times
    assert abs(row.exponent - 1.0) < 5 * row.exponent_std
    assert "exponent" in table
    exponents = [trace for trace in traces(found) if len(trace.x) == len(ours["lag_ps"])][-1]
    np.testing.assert_allclose(exponents.y, ours["exponent"])


def test_framework_of_the_crystal_does_not_diffuse(
    database: Database, real_run: dict[str, str], measured: Measured
) -> None:
    measured("displacement", real_run, elements=["P"])
    row, _ = row_and_table(database, "displacement")
    assert row.msd_A2 < 1.0
    assert row.exponent < 0.5
    assert row.diffusive_from_ps is None


def test_non_gaussian_parameter_is_that_of_its_definition(
    database: Database, real_run: dict[str, str], loaded: LoadedRun, measured: Measured
) -> None:
    found = measured("non_gaussian", real_run)
    ours = found["answer"]
    for index in (0, 20, -1):
        lag = round(ours["lag_ps"][index] / 0.05)
        squares = (moved(loaded, lag) ** 2).sum(axis=2)
        expected = 3 * (squares**2).mean() / (5 * squares.mean() ** 2) - 1
        assert ours["alpha2"][index] == pytest.approx(expected, abs=1e-6)
    row, _ = row_and_table(database, "non_gaussian")
    assert row.peak == "found"
    assert 0.5 < row.peak_time_ps < row.longest_lag_ps == pytest.approx(10)
    assert row.height == pytest.approx(ours["alpha2"].max(), abs=3 * row.height_std)
    square = traces(found)[-1]
    assert (square.x[0], square.y[0]) == (row.peak_time_ps, row.height)


def test_a_single_atom_has_no_peak_of_the_non_gaussian_parameter(
    database: Database, stored_run: Callable[..., dict[str, str]], measured: Measured
) -> None:
    steps = np.random.default_rng(1).normal(size=(200, 2, 3)) * np.array([1.0, 1e-3])[:, None]
    run = stored_run(steps.cumsum(axis=0), 50.0 * np.eye(3), ["Li", "S"], 0.1)
    measured("non_gaussian", run, elements=["Li"], framework=["S"])
    row, _ = row_and_table(database, "non_gaussian")
    assert row.peak in {"without an error", "at the edge"}
    assert (row.peak_time_std_ps, row.height_std) == (None, None)


def test_van_hove_counts_all_displacements_and_has_their_mean_square(
    database: Database, real_run: dict[str, str], loaded: LoadedRun, measured: Measured
) -> None:
    found = measured("van_hove", real_run, times_ps=[5.0, 1.0], dr_A=0.02, r_max_A=6.0)
    ours = found["answer"]
    np.testing.assert_allclose(ours["density_per_A"].sum(axis=1) * 0.02 + ours["beyond"], 1.0)
    distances = np.sqrt((moved(loaded, 20) ** 2).sum(axis=2))
    assert ours["times_ps"].tolist() == [1.0, 5.0]
    assert (ours["density_per_A"][0] * ours["r_A"] ** 2).sum() * 0.02 == pytest.approx((distances**2).mean(), rel=1e-3)
    assert ours["beyond"][0] == pytest.approx((distances > 6.0).mean(), abs=1e-9)
    rows = QUERIES["van_hove"].rows(database)
    assert [row.time_ps for row in rows] == [1.0, 5.0]
    assert rows[1].beyond_percent > rows[0].beyond_percent
    assert len(traces(found)) == 2


def test_displacement_map_shows_who_moved_from_where(
    database: Database, real_run: dict[str, str], loaded: LoadedRun, measured: Measured
) -> None:
    found = measured("displacement_map", real_run, window_ps=5.0, plane=["x", "z"])
    ours = found["answer"]
    expected = np.sqrt((moved(loaded, 100, every=100) ** 2).sum(axis=2))
    np.testing.assert_allclose(ours["moved_A"], expected, atol=1e-4)
    fractional = ours["start_A"] @ np.linalg.inv(ours["cell_A"])
    assert fractional.min() > -1e-6
    assert fractional.max() < 1 + 1e-6
    lithium = loaded.positions[0, loaded.symbols == "Li"] @ np.linalg.inv(loaded.cell[0])
    apart = fractional[0] - lithium
    np.testing.assert_allclose(apart, np.rint(apart), atol=1e-5)
    row, _ = row_and_table(database, "displacement_map")
    assert row.windows == 4
    assert row.mobile_percent == pytest.approx(100 * (expected > 4.0).mean())
    assert row.mobile_std_percent == pytest.approx(100 * (expected > 4.0).mean(axis=1).std(ddof=1))
    (atoms,) = traces(found)
    np.testing.assert_allclose(atoms.x, ours["start_A"][:, :, 0].ravel())
    np.testing.assert_allclose(atoms.y, ours["start_A"][:, :, 2].ravel())


def test_displacement_map_of_one_window_has_no_spread_and_of_many_stores_twenty(
    database: Database, real_run: dict[str, str], measured: Measured
) -> None:
    measured("displacement_map", real_run, window_ps=15.0)
    row, table = row_and_table(database, "displacement_map")
    assert (row.windows, row.mobile_std_percent) == (1, None)
    assert "±" not in table
    many = measured("displacement_map", real_run, window_ps=0.5)["answer"]
    assert len(many["mobile_fraction"]) == 40
    assert many["start_A"].shape == (20, 48, 3)
    assert many["start_time_ps"][[0, -1]].tolist() == pytest.approx([0.0, 19.5])


def test_isotropy_is_the_ratio_of_slopes_fitted_with_numpy(
    database: Database, real_run: dict[str, str], loaded: LoadedRun, measured: Measured
) -> None:
    settings = {"start_ps": 1.0, "stop_ps": 3.0, "normal_axis": "y"}
    found = measured("isotropy", real_run, **settings)
    lags = np.arange(20, 61)
    msd = np.array([(moved(loaded, lag) ** 2).mean(axis=(0, 1)) for lag in lags])
    slopes = np.polyfit(lags * 0.05, msd, 1)[0]
    row, table = row_and_table(database, "isotropy")
    np.testing.assert_allclose([row.m_x_A2_ps, row.m_y_A2_ps, row.m_z_A2_ps], slopes, rtol=1e-6)
    assert row.xi == pytest.approx(slopes[1] / max(slopes[0], slopes[2]))
    assert row.isotropic_from < 1.0 < row.isotropic_to
    assert "shows no anisotropy" in table
    bars, points = traces(found)
    assert bars.base[0] + bars.y[0] == pytest.approx(row.isotropic_to)
    assert points.y[0] == row.xi
    assert measured("isotropy", real_run, **settings, seed=1)["answer"]["summary"][0]["xi_std"] != row.xi_std


@pytest.mark.parametrize(
    ("kind", "wanted", "name"),
    [
        ("van_hove", {"times_ps": [1.0, 1.02]}, r"one of times_ps is 1\.02"),
        ("displacement_map", {"window_ps": 0.12}, r"window_ps is 0\.12"),
        ("isotropy", {"start_ps": 0.13, "stop_ps": 5.0}, r"start_ps is 0\.13"),
        ("isotropy", {"start_ps": 1.0, "stop_ps": 25.0}, "stop_ps is 25"),
    ],
)
def test_times_between_frames_or_beyond_the_run_are_refused(
    real_run: dict[str, str], measured: Measured, kind: str, wanted: dict[str, Any], name: str
) -> None:
    expected = r"expected a multiple of the 0\.05 ps .* shorter than its 20 ps$"
    with pytest.raises(BadInputError, match=f"^{name}; {expected}"):
        measured(kind, real_run, **wanted)


def problems(path: Path, **settings: Any) -> list[str]:
    yaml = YAML()
    content = yaml.load(path.read_text())
    content["properties"]["new"] = {"of": "hot", **settings}
    with path.open("w") as stream:
        yaml.dump(content, stream)
    with pytest.raises(BadInputError) as refused:
        load_campaign(path)
    return [line.partition("properties.new")[2] for line in str(refused.value).splitlines()]


def test_times_that_a_run_will_not_have_are_refused_before_it_runs(small_campaign: Callable[..., Path]) -> None:
    path = small_campaign()  # 2 ps, a frame every 20 fs
    multiple, shorter = (
        "must be a whole number of dump_interval_fs (20 fs): take",
        "must be shorter than the production",
    )
    assert problems(path, kind="van_hove", times_ps=[2.0, 1.0, 0.03]) == [
        f".times_ps: received 0.03, {multiple} 0.02 or 0.04 ps",
        f".times_ps: received 2, {shorter} (2 ps)",
    ]
    assert problems(path, kind="displacement_map") == [f".window_ps: is 10 if left out, {shorter} (2 ps)"]
    assert problems(path, kind="isotropy", start_ps=0.01, stop_ps=1.0) == [
        ".start_ps: received 0.01, must be at least dump_interval_fs (20 fs)"
    ]
    assert problems(path, kind="thiophosphate_units", every_ps=0.05) == [
        f".every_ps: received 0.05, {multiple} 0.04 or 0.06 ps"
    ]


def test_settings_that_contradict_each_other_are_refused(small_campaign: Callable[..., Path]) -> None:
    path = small_campaign()
    assert "must have start_ps (2 ps) below stop_ps (1 ps)" in problems(path, kind="isotropy", start_ps=2, stop_ps=1)[0]
    assert "must have 1 to 100000 bins" in problems(path, kind="van_hove", dr_A=2, r_max_A=1)[0]
    assert "must not hold a value twice: x" in problems(path, kind="displacement_map", plane=["x", "x"])[0]
