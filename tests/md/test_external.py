"""LAMMPS with forces from Python gives what it gives with a pair style of its own, and its end is told."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import ase.io
import numpy as np
import pytest

from lipsdb.errors import BadInputError, InterruptedRunError, LipsdbError, RefusedError
from lipsdb.md import run as run_module
from lipsdb.md.coupling import EXTERNAL_COMMANDS, Coupling
from lipsdb.md.restart import list_segments
from lipsdb.md.result import MDResult
from lipsdb.md.run import run_lammps
from lipsdb.md.settings import Extrapolation, MDSettings
from lipsdb.md.static import relax_strained_cells
from lipsdb.md.trajectory import read_trajectory

NATIVE = Coupling("pair_style lj/smooth/linear 7.0\npair_coeff * * 0.0104 3.4")
DRIVEN = Coupling(EXTERNAL_COMMANDS, driver=("argon_driver",))
GRADED = Coupling(EXTERNAL_COMMANDS, driver=("argon_driver", "--grades"), grades=True)


@pytest.fixture(autouse=True)
def driver_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "POLL_SECONDS", 0.02)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.fixture
def small(argon):
    """32 atoms: two cells along each axis."""
    inside = (argon.positions < 2 * 5.3 - 0.1).all(axis=1)
    return type(argon)(argon.numbers[inside], argon.positions[inside], argon.cell * 2 / 3)


def run(folder: Path, crystal, settings: MDSettings, coupling: Coupling, **options) -> MDResult:
    options = {"restart_interval": 20, "cell": crystal.cell, "positions": crystal.positions, **options}
    cell, positions = options.pop("cell"), options.pop("positions")
    return run_lammps(folder, settings, coupling, crystal.numbers, positions, cell, ["Kr", "Ar"], **options)


def kill_at(folder: Path, step: int):
    """Kills the process that works in the folder, at a step."""

    def progress(now: int, total: int) -> None:
        if now < step:
            return
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if (entry / "cwd").resolve() == folder.resolve():
                        os.kill(int(entry.name), signal.SIGKILL)

    return progress


def assert_same(one: MDResult, other: MDResult) -> None:
    a, b = read_trajectory(one.trajectory_path), read_trajectory(other.trajectory_path)
    np.testing.assert_array_equal(a.positions, b.positions)
    np.testing.assert_array_equal(a.cell, b.cell)
    for name in one.thermo:
        np.testing.assert_array_equal(one.thermo[name], other.thermo[name])


@pytest.mark.parametrize("coupling", ["iso", "tri"])
def test_npt_in_a_skewed_cell_is_that_of_the_native_pair_style(tmp_path, argon, coupling) -> None:
    """Energies, forces, all six components of the stress: else the barostat would lead elsewhere."""
    skew = np.array([[1.0, 0, 0], [0.1, 0.98, 0], [-0.05, 0.08, 1.01]])
    settings = MDSettings(
        ensemble="npt", pressure_bar=300, npt_coupling=coupling, temperature_K=60, n_steps=40, timestep_fs=4,
        dump_interval=10, thermo_interval=10,
    )  # fmt: skip
    cell, positions = argon.cell @ skew, argon.positions @ skew + [0.3, -17.0, 0.1]
    options = {"cell": cell, "positions": positions}
    one = run(tmp_path / "one", argon, settings, NATIVE, **options)
    other = run(tmp_path / "other", argon, settings, DRIVEN, **options)
    assert (one.program, other.program) == ("lmp", "python -m argon_driver")
    a, b = read_trajectory(one.trajectory_path), read_trajectory(other.trajectory_path)
    np.testing.assert_allclose(b.positions, a.positions, atol=2e-5)
    np.testing.assert_allclose(b.cell, a.cell, atol=1e-7)
    for name, values in one.thermo.items():
        np.testing.assert_allclose(other.thermo[name], values, rtol=1e-7, atol=1e-5)
    assert np.ptp(a.cell[:, 0, 0]) > 1e-4


def test_killed_and_continued_gives_the_bits_of_an_uninterrupted_run(tmp_path, small) -> None:
    settings = MDSettings(
        temperature_K=250, n_steps=280, equilibration_steps=60, timestep_fs=4, dump_interval=20, thermo_interval=20,
        extrapolation=Extrapolation(interval=10, select_grade=8, break_grade=1e9),
    )  # fmt: skip
    straight = run(tmp_path / "straight", small, settings, GRADED)
    folder = tmp_path / "killed"
    for step in (40, 180):
        with pytest.raises(InterruptedRunError):
            run(folder, small, settings, GRADED, progress=kill_at(folder, step))
    # What a kill may leave: a row and a frame that were not finished.
    last = list_segments(folder)[-1]
    for ending, torn in (
        ("grades", "230 8."),
        ("selected.xyz", '32\nLattice="10.6 0 0 0 10.6 0 0 0 10.6" step=230\nAr 1'),
    ):
        with last.path(ending).open("a") as stream:
            stream.write(torn)
    result = run(folder, small, settings, GRADED)
    assert result.n_restarts == 2
    assert_same(result, straight)
    for name in ("steps", "max_grades", "atoms"):
        np.testing.assert_array_equal(getattr(result.extrapolation, name), getattr(straight.extrapolation, name))
    assert result.extrapolation.n_selected == straight.extrapolation.n_selected > 1
    assert result.extrapolation.selected_path.read_text() == straight.extrapolation.selected_path.read_text()
    assert result.extrapolation.stopped is None
    np.testing.assert_array_equal(result.extrapolation.steps, np.arange(-60, 281, 10))


def test_grades_are_recorded_and_the_run_ends_where_one_is_too_large(tmp_path, small) -> None:
    settings = MDSettings(
        temperature_K=300, n_steps=4000, equilibration_steps=20, timestep_fs=4, dump_interval=10, thermo_interval=20,
        extrapolation=Extrapolation(interval=15, select_grade=2, break_grade=6), seed=3,
    )  # fmt: skip
    result = run(tmp_path, small, settings, GRADED, restart_interval=50)
    grades = result.extrapolation
    step = grades.stopped_at_step
    assert 0 < step < 4000
    assert grades.stopped == (
        f"extrapolation grade {grades.max_grades[-1]:.3g} of atom {grades.atoms[-1]} (Ar) at step {step} of 4000 "
        "exceeds break_grade 6"
    )
    assert (grades.steps[-1], grades.max_grades[-1] >= 6) == (step, True)
    assert (grades.max_grades[:-1] < 6).all()
    frames = ase.io.read(grades.selected_path, ":")
    assert len(frames) == grades.n_selected == (grades.max_grades >= 2).sum()
    assert [frame.info["step"] - 20 for frame in frames] == grades.steps[grades.max_grades >= 2].tolist()
    for frame, grade in zip(frames, grades.max_grades[grades.max_grades >= 2], strict=True):
        # The grade of the stand-in again, by ASE: frames are the atoms and cells that were graded.
        nearest = (frame.get_all_distances(mic=True) + 100 * np.eye(len(frame))).min()
        assert (3.75 / nearest) ** 10 == pytest.approx(grade, rel=1e-5)
        assert frame.arrays["extrapolation_grade"].max() == pytest.approx(grade, rel=1e-7)
    # What was computed until then is there.
    trajectory = read_trajectory(result.trajectory_path)
    assert len(trajectory.time) == result.n_frames == step // 10 + 1
    assert result.thermo["step"].tolist() == list(range(0, step + 1, 20))
    assert_same(run(tmp_path, small, settings, GRADED, restart_interval=50), result)


def test_a_run_that_ends_before_production_is_refused_and_keeps_its_frames(tmp_path, small) -> None:
    settings = MDSettings(
        temperature_K=300, n_steps=1000, equilibration_steps=1000, timestep_fs=4,
        extrapolation=Extrapolation(interval=10, select_grade=1.5, break_grade=1.5),
    )  # fmt: skip
    with pytest.raises(
        RefusedError, match=r"of the 1000 of the equilibration exceeds break_grade 1.5: there is no fra"
    ):
        run(tmp_path, small, settings, GRADED)
    assert len(ase.io.read(tmp_path / "selected.xyz", ":")) == 1


def test_grades_that_cannot_be_had_are_refused_before_anything_runs(tmp_path, small) -> None:
    settings = MDSettings(
        temperature_K=30, n_steps=100, extrapolation=Extrapolation(interval=10, select_grade=2, break_grade=10)
    )
    with pytest.raises(BadInputError, match="extrapolation grades are asked for, but this potential has none"):
        run(tmp_path / "new", small, settings, NATIVE)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("call", "error"), [(0, LipsdbError), (137, RefusedError)])
def test_an_exception_in_python_ends_lammps_with_its_reason(tmp_path, small, call, error) -> None:
    coupling = Coupling(EXTERNAL_COMMANDS, driver=("argon_driver", "--fail-at", str(call)))
    settings = MDSettings(temperature_K=30, n_steps=100_000, thermo_interval=10)
    with pytest.raises(error, match=r"ERROR: ZeroDivisionError: no forces to be had"):
        run(tmp_path, small, settings, coupling)


def test_atoms_that_meet_are_refused_by_their_energy(tmp_path, small) -> None:
    small.positions[1] = small.positions[0]
    small.positions[1, 0] += 1e-60
    settings = MDSettings(temperature_K=30, n_steps=100, thermo_interval=10)
    with pytest.raises(RefusedError, match=r"Non-numeric|ran away|Lost atoms|nan"):
        run(tmp_path, small, settings, DRIVEN)


def test_strained_cells_are_relaxed_as_by_the_native_pair_style(tmp_path, argon) -> None:
    skew = np.array([[1.01, 0.0, 0.0], [0.01, 0.99, 0.0], [-0.01, 0.005, 1.02]])
    deformations = np.array([[[1.01, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 0.01, 0], [0, 1, 0], [0, 0, 1]]])
    found = [
        relax_strained_cells(
            tmp_path / name, coupling, argon.numbers, argon.positions @ skew, argon.cell @ skew, ["Kr", "Ar"],
            deformations, max_force_eV_A=1e-5,
        )
        for name, coupling in (("one", NATIVE), ("other", DRIVEN))
    ]  # fmt: skip
    one, other = found
    assert (one.program, other.program) == ("lmp", "python -m argon_driver")
    np.testing.assert_allclose(other.cells, one.cells, atol=1e-3)
    np.testing.assert_allclose(other.energies_eV, one.energies_eV, rtol=1e-6)
    np.testing.assert_allclose(other.stresses_GPa, one.stresses_GPa, atol=1e-3)
    assert np.abs(one.stresses_GPa[1]).max() > 0.02
