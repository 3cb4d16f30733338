"""LAMMPS with forces from Python gives what it gives with a pair style of its own, and its end is told."""

from __future__ import annotations

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


def test_the_run_ends_where_a_grade_is_too_large_also_if_it_was_killed_before(tmp_path, small, monkeypatch) -> None:
    """Killed and continued it gives the bits of an uninterrupted one, and keeps the same frames."""
    settings = MDSettings(
        temperature_K=120, n_steps=4000, equilibration_steps=40, timestep_fs=4, dump_interval=10, thermo_interval=20,
        extrapolation=Extrapolation(interval=5, select_grade=1.2, break_grade=6),
    )  # fmt: skip
    coupling = Coupling(EXTERNAL_COMMANDS, driver=("argon_driver", "--grades", "--most-selected", "12"), grades=True)
    straight, folder = run(tmp_path / "straight", small, settings, coupling), tmp_path / "killed"
    monkeypatch.setenv("ARGON_KILLED_AT", "170")
    with pytest.raises(InterruptedRunError, match="SIGKILL"):
        run(folder, small, settings, coupling)
    monkeypatch.delenv("ARGON_KILLED_AT")
    # What a kill may leave: a row and a frame that were not finished.
    last = list_segments(folder)[-1]
    for ending, torn in (
        ("grades", "230 8."),
        ("selected.xyz", '32\nLattice="10.6 0 0 0 10.6 0 0 0 10.6" step=230\nAr 1'),
    ):
        with last.path(ending).open("a") as stream:
            stream.write(torn)
    result = run(folder, small, settings, coupling)
    assert result.n_restarts == 1
    assert_same(result, straight)
    grades = result.extrapolation
    for name in ("steps", "max_grades", "atoms"):
        np.testing.assert_array_equal(getattr(grades, name), getattr(straight.extrapolation, name))
    assert grades.selected_path.read_text() == straight.extrapolation.selected_path.read_text()
    assert_ended_as_its_grades_say(result, settings)
    # 12 frames above select_grade, then those with a larger grade than any before.
    largest, above = grades.max_grades, grades.max_grades >= 1.2
    record = np.append(True, largest[1:] > np.maximum.accumulate(largest)[:-1])
    kept = above & ((np.cumsum(above) <= 12) | record)
    frames = ase.io.read(grades.selected_path, ":")
    assert 12 < len(frames) == grades.n_selected == kept.sum() < above.sum()
    assert [frame.info["step"] - 40 for frame in frames] == grades.steps[kept].tolist()
    for frame, grade in zip(frames, largest[kept], strict=True):
        # The grade of the stand-in again, by ASE: frames are the atoms and cells that were graded.
        nearest = (frame.get_all_distances(mic=True) + 100 * np.eye(len(frame))).min()
        assert (3.75 / nearest) ** 10 == pytest.approx(grade, rel=1e-5)
        assert frame.arrays["extrapolation_grade"].max() == pytest.approx(grade, rel=1e-7)
    assert_same(run(folder, small, settings, coupling), result)  # read from its files


def assert_ended_as_its_grades_say(result: MDResult, settings: MDSettings) -> None:
    """And what was computed until then is there."""
    grades = result.extrapolation
    step = grades.stopped_at_step
    assert 0 < step < settings.n_steps
    assert grades.stopped == (
        f"extrapolation grade {grades.max_grades[-1]:.3g} of atom {grades.atoms[-1]} (Ar) at step {step} of 4000 "
        "reaches break_grade 6"
    )
    np.testing.assert_array_equal(grades.steps, np.arange(-40, step + 1, 5))
    assert grades.max_grades[-1] >= 6 > grades.max_grades[:-1].max()
    trajectory = read_trajectory(result.trajectory_path)
    assert len(trajectory.time) == result.n_frames == step // 10 + 1
    assert result.thermo["step"].tolist() == list(range(0, step + 1, 20))


JUMP = MDSettings(
    temperature_K=30, n_steps=20, equilibration_steps=20, dump_interval=10, thermo_interval=10,
    extrapolation=Extrapolation(interval=10, select_grade=2, break_grade=100),
)  # fmt: skip


def jump_at(look: int) -> Coupling:
    return Coupling(EXTERNAL_COMMANDS, driver=("argon_driver", "--jump-at", str(look)), grades=True)


def test_a_run_that_ends_with_its_equilibration_has_its_grades_and_no_frame(tmp_path, small) -> None:
    """The step between equilibration and production, which LAMMPS writes no frame of when it ends there."""
    for _ in range(2):  # the second time from its files
        result = run(tmp_path, small, JUMP, jump_at(2))
        grades = result.extrapolation
        assert grades.stopped == (
            "extrapolation grade 100 of the frame at step 20 of the 20 of the equilibration reaches break_grade 100"
        )
        assert (grades.steps.tolist(), grades.atoms.tolist()) == ([-20, -10, 0], [-1, -1, -1])
        assert (grades.stopped_at_step, grades.n_selected) == (0, 1)
        assert result.n_frames == 0
        assert read_trajectory(result.trajectory_path).positions.shape == (0, 32, 3)
        assert {name: len(values) for name, values in result.thermo.items()} == dict.fromkeys(result.thermo, 0)
        assert result.equilibration_thermo["step"].tolist() == [0, 10, 20]
        assert result.mean_temperature_K == pytest.approx(result.equilibration_thermo["temperature"].mean())
        assert result.mean_volume_A3 == pytest.approx(np.linalg.det(small.cell))
    with pytest.raises(BadInputError, match=r"begun with 'python -m argon_driver --jump-at 2', now .* with 'pair_styl"):
        run(tmp_path, small, JUMP, Coupling("pair_style mtp\npair_coeff * * model.mtp 0 1", grades=True))


def test_a_grade_too_large_on_the_last_step_leaves_a_whole_run(tmp_path, small) -> None:
    result = run(tmp_path, small, JUMP, jump_at(4))
    assert (result.extrapolation.stopped, result.extrapolation.stopped_at_step) == (None, None)
    assert (result.extrapolation.max_grades[-1], result.n_frames) == (100, 3)


def test_grades_that_cannot_be_had_are_refused_before_anything_runs(tmp_path, small) -> None:
    settings = MDSettings(
        temperature_K=30, n_steps=100, extrapolation=Extrapolation(interval=10, select_grade=2, break_grade=10)
    )
    with pytest.raises(BadInputError, match="extrapolation grades are asked for, but this potential has none"):
        run(tmp_path / "new", small, settings, NATIVE)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("by", "error", "message"),
    [
        ("code", LipsdbError, r"ERROR: the program failed: ZeroDivisionError: no forces to be had"),
        (
            "disk",
            InterruptedRunError,
            r"after step \d+ of 100000: ERROR: the machine failed: OSError: .* No space left",
        ),
        ("interrupt", InterruptedRunError, r"stopped by SIGINT after step"),
    ],
)
def test_what_is_no_fault_of_the_potential_is_not_blamed_on_it(tmp_path, small, by, error, message) -> None:
    """Once there is thermo output, what LAMMPS itself finds wrong is the potential's or the structure's fault."""
    coupling = Coupling(EXTERNAL_COMMANDS, driver=("argon_driver", "--fail-at", "15", "--fail-by", by))
    settings = MDSettings(temperature_K=30, n_steps=100_000, thermo_interval=10)
    with pytest.raises(LipsdbError, match=message) as caught:
        run(tmp_path, small, settings, coupling)
    assert caught.type is error


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
