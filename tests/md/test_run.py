from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import constants

from lipsdb.errors import BadInputError, InterruptedRunError, LipsdbError, MissingProgramError, RefusedError
from lipsdb.md import run as run_module
from lipsdb.md.coupling import Coupling
from lipsdb.md.restart import is_whole_restart, restart_files
from lipsdb.md.result import MDResult
from lipsdb.md.run import run_lammps
from lipsdb.md.settings import MDSettings
from lipsdb.md.trajectory import read_trajectory

#: Lennard-Jones argon (σ = 3.4 Å, ε = 0.0104 eV), smooth at the cutoff so that NVE conserves its energy.
ARGON = "pair_style lj/smooth/linear 7.0\npair_coeff * * 0.0104 3.4"


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "POLL_SECONDS", 0.02)


def lmp_processes(folder: Path) -> list[int]:
    """Processes (LAMMPS, mpiexec, proxies) that work in a folder, by /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z" and (entry / "cwd").resolve() == folder.resolve():
                    found.append(int(entry.name))
            except (OSError, IndexError):
                continue
    return found


def kill_after(folder: Path, step: int, name: str = "lmp") -> Callable[[int, int], None]:
    def progress(now: int, total: int) -> None:
        if now >= step:
            for pid in lmp_processes(folder):
                # A process may be gone by the time it is looked at.
                with contextlib.suppress(OSError):
                    if Path(os.readlink(f"/proc/{pid}/exe")).name.startswith(name):
                        os.kill(pid, signal.SIGKILL)

    return progress


def argon_run(folder: Path, argon, settings: MDSettings, pair_commands: str = ARGON, **options) -> MDResult:
    options = {"restart_interval": 500, **options}
    coupling = Coupling(pair_commands, plugins="deepmd" in pair_commands)
    return run_lammps(folder, settings, coupling, argon.numbers, argon.positions, argon.cell, ["Ar"], **options)


def assert_same_run(one: MDResult, other: MDResult) -> None:
    a, b = read_trajectory(one.trajectory_path), read_trajectory(other.trajectory_path)
    np.testing.assert_array_equal(a.time, b.time)
    np.testing.assert_array_equal(a.positions, b.positions)
    np.testing.assert_array_equal(a.cell, b.cell)
    for name in one.thermo:
        np.testing.assert_array_equal(one.thermo[name], other.thermo[name])
        np.testing.assert_array_equal(one.equilibration_thermo[name], other.equilibration_thermo[name])


LONG = {
    "nvt": MDSettings(temperature_K=60, n_steps=12_000, equilibration_steps=4000, seed=7, timestep_fs=4),
    "npt": MDSettings(
        ensemble="npt", pressure_bar=100, npt_coupling="aniso", temperature_K=50, n_steps=12_000,
        equilibration_steps=4000, seed=7, timestep_fs=4,
    ),
    "nve": MDSettings(ensemble="nve", temperature_K=40, n_steps=12_000, equilibration_steps=4000, timestep_fs=4),
}  # fmt: skip


def test_nve_of_an_argon_crystal_conserves_energy(tmp_path, argon) -> None:
    settings = MDSettings(ensemble="nve", temperature_K=30, n_steps=4000, equilibration_steps=2000, timestep_fs=2)
    result = argon_run(tmp_path, argon, settings)
    energy = result.thermo["total_energy"]
    kinetic = result.thermo["kinetic_energy"].mean()
    assert np.ptp(energy) < 2e-3 * kinetic
    # Kinetic energy and temperature agree through (3N - 3)/2 k T.
    k = constants.k / constants.e
    expected = 1.5 * (len(argon.numbers) - 1) * k * result.thermo["temperature"]
    np.testing.assert_allclose(result.thermo["kinetic_energy"], expected, rtol=1e-5)


def test_nvt_of_an_argon_crystal_reaches_the_target_temperature_and_the_virial_pressure(tmp_path, argon) -> None:
    settings = MDSettings(temperature_K=40, n_steps=10_000, equilibration_steps=2000, timestep_fs=4, dump_interval=50)
    seen: list[tuple[int, int]] = []
    result = argon_run(tmp_path, argon, settings, progress=lambda now, total: seen.append((now, total)))
    assert result.mean_temperature_K == pytest.approx(40, rel=0.03)
    assert result.mean_pressure_bar == pytest.approx(-1e4 * np.trace(result.mean_stress_GPa) / 3, rel=1e-9)
    trajectory = read_trajectory(result.trajectory_path)
    assert trajectory.positions.shape == (settings.n_frames, 108, 3)
    np.testing.assert_allclose(trajectory.time, np.arange(201) * 0.2, atol=1e-9)
    np.testing.assert_allclose(result.thermo["time"], np.arange(101) * 0.4, atol=1e-9)
    assert result.equilibration_thermo["step"].tolist() == list(range(0, 2001, 100))
    # A crystal: every atom stays near its own site, in the order of the input.
    drift = (trajectory.positions - argon.positions).mean(axis=1, keepdims=True)
    assert np.abs(trajectory.positions - argon.positions - drift).max() < 2.0
    np.testing.assert_allclose(trajectory.cell, np.tile(argon.cell, (201, 1, 1)), atol=1e-12)
    # Density by hand: 108 × 39.948 u in (15.9 Å)³; 1 u/Å³ = 1.66053907 g/cm³.
    assert result.mean_density_g_cm3 == pytest.approx(108 * 39.948 / 15.9**3 * 1.66053907, rel=1e-4)
    assert seen[-1] == (12_000, 12_000)
    assert sorted(seen) == seen
    assert result.steps_per_second > 0
    assert result.wall_seconds > 0
    assert result.n_restarts == 0
    assert not list(tmp_path.glob("restart.*")) + list(tmp_path.glob("*.dcd"))
    assert is_whole_restart(result.final_restart_path)


def test_npt_of_an_argon_crystal_reaches_the_target_pressure(tmp_path, argon) -> None:
    settings = MDSettings(
        ensemble="npt", pressure_bar=500, npt_coupling="aniso", temperature_K=40, n_steps=10_000,
        equilibration_steps=5000, timestep_fs=4,
    )  # fmt: skip
    result = argon_run(tmp_path, argon, settings)
    assert result.mean_pressure_bar == pytest.approx(500, abs=60)
    volumes = np.linalg.det(read_trajectory(result.trajectory_path).cell)
    np.testing.assert_allclose(volumes, result.thermo["volume"], rtol=1e-6)
    assert np.ptp(volumes) > 1


@pytest.mark.parametrize("ensemble", ["nvt", "npt", "nve"])
def test_killed_in_equilibration_and_twice_in_production_then_continued_equals_uninterrupted(
    tmp_path, argon, ensemble
) -> None:
    settings = LONG[ensemble]
    straight = argon_run(tmp_path / "straight", argon, settings)
    folder = tmp_path / "killed"
    for step in (1500, 7000, 11_000):
        with pytest.raises(
            InterruptedRunError, match=rf"SIGKILL after step \d+ of {settings.total_steps}; run it again"
        ):
            argon_run(folder, argon, settings, progress=kill_after(folder, step))
    result = argon_run(folder, argon, settings)
    assert result.n_restarts == 3
    assert_same_run(result, straight)


def test_killed_at_steps_that_no_frame_or_row_falls_on_then_continued_equals_uninterrupted(tmp_path, argon) -> None:
    settings = LONG["nvt"]
    straight = argon_run(tmp_path / "straight", argon, settings, restart_interval=333)
    folder = tmp_path / "killed"
    with pytest.raises(InterruptedRunError):
        argon_run(folder, argon, settings, restart_interval=333, progress=kill_after(folder, 7000))
    assert_same_run(argon_run(folder, argon, settings, restart_interval=333), straight)


def test_triclinic_npt_killed_then_continued_has_every_frame_once_and_stays_near(tmp_path, argon) -> None:
    # LAMMPS passes through fractional coordinates when it reads a triclinic restart file: rounding differs.
    changes = {"ensemble": "npt", "pressure_bar": 100.0, "npt_coupling": "tri"}
    settings = MDSettings(**{**LONG["nvt"].model_dump(), **changes})
    straight = argon_run(tmp_path / "straight", argon, settings)
    folder = tmp_path / "killed"
    with pytest.raises(InterruptedRunError):
        argon_run(folder, argon, settings, progress=kill_after(folder, 8000))
    result = argon_run(folder, argon, settings)
    (start,) = [int(p.stem.rpartition("-")[2]) for p in folder.glob("segment-0001-*.in")]
    near = (start - settings.equilibration_steps) // settings.dump_interval + 5
    one, other = read_trajectory(result.trajectory_path), read_trajectory(straight.trajectory_path)
    np.testing.assert_array_equal(one.time, other.time)
    np.testing.assert_allclose(one.positions[:near], other.positions[:near], atol=1e-3)
    np.testing.assert_allclose(one.cell[:near], other.cell[:near], atol=1e-4)
    assert result.mean_volume_A3 == pytest.approx(straight.mean_volume_A3, rel=0.01)


def test_killed_between_the_end_of_lmp_and_the_conversion_gives_the_same(tmp_path, argon, monkeypatch) -> None:
    settings = MDSettings(temperature_K=30, n_steps=500, equilibration_steps=500)
    straight = argon_run(tmp_path / "straight", argon, settings)
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "write_trajectory", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            argon_run(tmp_path / "killed", argon, settings)
    result = argon_run(tmp_path / "killed", argon, settings)
    assert result.n_restarts == 0
    assert_same_run(result, straight)


def test_newest_restart_file_truncated_falls_back_to_the_older_one(tmp_path, argon) -> None:
    settings = LONG["nvt"]
    straight = argon_run(tmp_path / "straight", argon, settings)
    folder = tmp_path / "killed"
    with pytest.raises(InterruptedRunError):
        argon_run(folder, argon, settings, progress=kill_after(folder, 8000))
    (newest_step, newest), (older_step, _), *_ = restart_files(folder)
    newest.write_bytes(newest.read_bytes()[:-100])
    (folder / f"restart.{newest_step + 500}").touch()
    result = argon_run(folder, argon, settings)
    assert f"segment-0001-from-{older_step:012d}.in" in os.listdir(folder)
    assert_same_run(result, straight)


def test_all_restart_files_truncated_begins_again(tmp_path, argon) -> None:
    settings = LONG["nvt"]
    straight = argon_run(tmp_path / "straight", argon, settings)
    folder = tmp_path / "killed"
    with pytest.raises(InterruptedRunError):
        argon_run(folder, argon, settings, progress=kill_after(folder, 8000))
    for path in folder.glob("restart.*"):
        path.write_bytes(path.read_bytes()[:50])
    assert_same_run(argon_run(folder, argon, settings), straight)


def test_finished_folder_asked_again_starts_no_process_and_gives_the_same(tmp_path, argon, monkeypatch) -> None:
    settings = MDSettings(temperature_K=30, n_steps=500)
    first = argon_run(tmp_path, argon, settings)
    monkeypatch.setattr(run_module, "_watch", None)
    assert_same_run(argon_run(tmp_path, argon, settings), first)


def test_folder_of_another_run_is_refused(tmp_path, argon) -> None:
    argon_run(tmp_path, argon, MDSettings(temperature_K=30, n_steps=500))
    with pytest.raises(BadInputError, match=r"holds another run .*; use an empty folder"):
        argon_run(tmp_path, argon, MDSettings(temperature_K=31, n_steps=500))


def test_overlapping_argon_atoms_lose_atoms_or_run_away(tmp_path, argon) -> None:
    argon.positions[1] = argon.positions[0] + 0.3
    with pytest.raises(RefusedError, match=r"(ran away at step|LAMMPS stopped after step) \d+"):
        argon_run(tmp_path, argon, MDSettings(temperature_K=40, n_steps=2000, thermo_interval=1))


def test_lost_atoms_are_refused_with_lammps_own_words(tmp_path, argon) -> None:
    # Two atoms 1.7 Å apart are within the limits at step 0, and gone from the box before the next row.
    settings = MDSettings(temperature_K=40, n_steps=20_000, thermo_interval=1000, dump_interval=1000, timestep_fs=20)
    argon.positions[1] = argon.positions[0] + [1.7, 0, 0]
    with pytest.raises(RefusedError, match=r"ERROR.*(Lost atoms|Non-numeric|range)"):
        argon_run(tmp_path, argon, settings)


def test_repulsive_bomb_exceeds_five_times_the_temperature_and_is_stopped_early(tmp_path, argon) -> None:
    # A crystal compressed by 25 % in length releases its energy at once in nve.
    argon.positions[:] *= 0.75
    argon.cell[:] *= 0.75
    settings = MDSettings(
        ensemble="nve", temperature_K=5, n_steps=2_000_000, thermo_interval=10, dump_interval=1000, timestep_fs=1
    )
    # Displace one atom so that symmetry does not keep the crystal still.
    argon.positions[0] += 0.4
    start = time.monotonic()
    with pytest.raises(RefusedError, match=r"temperature [\d.]+ K, allowed is under 25 K \(5 times the target\)"):
        argon_run(tmp_path, argon, settings)
    assert time.monotonic() - start < 20
    assert not lmp_processes(tmp_path)


def test_pair_coefficients_missing_gives_lammps_own_error_line(tmp_path, argon) -> None:
    with pytest.raises(LipsdbError, match=r"LAMMPS refused its input: ERROR.*pair coeffs are not set"):
        argon_run(tmp_path, argon, MDSettings(temperature_K=40, n_steps=100), "pair_style lj/cut 7.0")


def test_unknown_pair_style_gives_lammps_own_error_line(tmp_path, argon) -> None:
    with pytest.raises(LipsdbError, match=r"LAMMPS refused its input: ERROR.*[Uu]n(known|recognized) pair style"):
        argon_run(tmp_path, argon, MDSettings(temperature_K=40, n_steps=100), "pair_style mlip model.mtp")


def test_deepmd_pair_style_without_its_model_reaches_the_plugin(tmp_path, argon) -> None:
    pair_commands = "pair_style deepmd missing.pb\npair_coeff * * Ar"
    with pytest.raises(LipsdbError, match=r"missing\.pb|DeePMD"):
        argon_run(tmp_path, argon, MDSettings(temperature_K=40, n_steps=100), pair_commands)


def test_no_lammps_installed_says_how_to_get_it(tmp_path, argon, monkeypatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgramError, match=r"no lmp beside .* or on PATH; install it"):
        argon_run(tmp_path / "run", argon, MDSettings(temperature_K=40, n_steps=100))


def test_two_ranks_give_the_physics_of_one(tmp_path, argon) -> None:
    settings = MDSettings(temperature_K=30, n_steps=300, timestep_fs=2, dump_interval=50, thermo_interval=50)
    one = argon_run(tmp_path / "one", argon, settings)
    two = argon_run(tmp_path / "two", argon, settings, ranks=2)
    assert (one.ranks, two.ranks) == (1, 2)
    assert "2 procs for 300 steps" in two.log_path.read_text()
    # Summation order differs: the same up to the growth of rounding errors over 0.6 ps.
    a, b = read_trajectory(one.trajectory_path), read_trajectory(two.trajectory_path)
    np.testing.assert_allclose(a.positions, b.positions, atol=1e-4)
    np.testing.assert_allclose(one.thermo["total_energy"], two.thermo["total_energy"], rtol=1e-6)


@pytest.mark.parametrize("victim", ["lmp", "mpiexec"])
def test_two_ranks_killed_and_continued_have_every_frame_once(tmp_path, argon, victim) -> None:
    settings = LONG["nvt"]
    with pytest.raises(InterruptedRunError, match="run it again"):
        argon_run(tmp_path, argon, settings, ranks=2, progress=kill_after(tmp_path, 6000, victim))
    deadline = time.monotonic() + 10
    while lmp_processes(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not lmp_processes(tmp_path)
    result = argon_run(tmp_path, argon, settings, ranks=2)
    np.testing.assert_array_equal(result.thermo["step"], np.arange(0, 12_001, 100))
    np.testing.assert_allclose(read_trajectory(result.trajectory_path).time, np.arange(121) * 0.4, atol=1e-9)


@pytest.mark.parametrize("ranks", [1, 2])
def test_parent_killed_takes_lammps_with_it_and_the_lock_is_held_until_then(tmp_path, ranks) -> None:
    import fcntl

    lock = tmp_path / "lock"
    folder = tmp_path / "run"
    code = f"""
        import fcntl, numpy as np
        from lipsdb.md.coupling import Coupling
        from lipsdb.md.run import run_lammps
        from lipsdb.md.settings import MDSettings
        x = np.stack(np.meshgrid(*[np.arange(6)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * 3.9
        lock = open({str(lock)!r}, "w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        run_lammps({str(folder)!r}, MDSettings(temperature_K=40, n_steps=100_000_000), Coupling({ARGON!r}),
                   np.full(216, 18), x, np.eye(3) * 23.4, ["Ar"], ranks={ranks}, restart_interval=100_000,
                   lock_fd=lock.fileno())
        """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    try:
        deadline = time.monotonic() + 60
        while not list(folder.glob("*.dcd")) and time.monotonic() < deadline:
            assert parent.poll() is None
            time.sleep(0.05)
        processes = lmp_processes(folder)
        assert sum(Path(f"/proc/{pid}/exe").resolve().name == "lmp" for pid in processes) == ranks
        # The lock is on the open file that LAMMPS inherited.
        target = str(lock)
        holders = [
            pid for pid in processes
            if any(os.path.realpath(fd) == target for fd in Path(f"/proc/{pid}/fd").iterdir())
        ]  # fmt: skip
        assert holders
    finally:
        parent.kill()
        parent.wait()
    while lmp_processes(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not lmp_processes(folder)
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_triclinic_cell_given_in_another_orientation_comes_back_by_the_rotation(tmp_path, argon) -> None:
    from scipy.spatial.transform import Rotation

    skew = np.array([[1, 0, 0], [0.2, 1, 0], [-0.1, 0.15, 1]])
    turn = Rotation.from_euler("xyz", [0.3, -0.7, 1.1]).as_matrix()
    cell = argon.cell @ skew @ turn
    positions = np.linalg.solve(argon.cell.T, argon.positions.T).T @ cell
    # Atoms outside the cell stay where they are: unwrapped.
    positions[5] += cell[0] - 2 * cell[2]
    settings = MDSettings(ensemble="nve", temperature_K=20, n_steps=20, dump_interval=10, thermo_interval=10)
    result = run_lammps(
        tmp_path, settings, Coupling(ARGON), argon.numbers, positions, cell, ["Kr", "Ar"][1:], restart_interval=100
    )
    trajectory = read_trajectory(result.trajectory_path)
    np.testing.assert_allclose(trajectory.positions[0] @ result.rotation.T, positions, atol=2e-5)
    np.testing.assert_allclose(trajectory.cell[0] @ result.rotation.T, cell, atol=1e-6)
