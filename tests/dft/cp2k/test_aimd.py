"""AIMD with the real CP2K: three helium atoms in a skewed cell, with a low cutoff."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from lipsdb.dft.cp2k import Cp2kLevel
from lipsdb.dft.cp2k.aimd import AimdResult, run_aimd
from lipsdb.dft.cp2k.aimd_output import read_segment
from lipsdb.dft.settings import AimdSettings
from lipsdb.errors import InterruptedRunError

HELIUM = {
    "functional": "PADE",
    "dispersion": None,
    "cutoff_Ry": 120.0,
    "rel_cutoff_Ry": 30.0,
    "ngrids": 2,
    "eps_default": 1e-10,
    "eps_scf": 1e-7,
    "kinds": {
        "He": {
            "basis": "SZV-MOLOPT-SR-GTH",
            "basis_sha256": "2c5f35c07c3d26d3365b59d8a3b92b6ec48ed33d0f6d5a12b326a8e204e6b598",
            "potential": "GTH-PBE-q2",
            "potential_sha256": "fc7e0d0c9bb59eb280317d813adfc142a93632ec783e8ccb057425f6af60720b",
            "valence": 2,
        }
    },
}
CELL = [[4.6, 0.3, 0.0], [0.0, 4.7, 0.2], [0.1, 0.0, 4.8]]
POSITIONS = [[0.1, 0.0, -0.2], [2.4, 0.2, -0.1], [1.0, 2.3, 2.2]]  # one outside the cell
SETTINGS = AimdSettings(temperature_K=600.0, n_steps=24, dump_interval=2, label_stride=4, seed=7)


def run(folder: Path) -> AimdResult:
    folder.mkdir(exist_ok=True)
    structure = Structure(Lattice(CELL), ["He"] * 3, POSITIONS, coords_are_cartesian=True)
    return run_aimd(folder, Cp2kLevel.model_validate(HELIUM), structure, SETTINGS, ranks=1)


def kill_in(folder: Path, rows: int) -> threading.Thread:
    """Kill the process that works in a folder once its file of energies has so many rows."""

    def watch() -> None:
        energies = folder / "label-1.ener"
        for _ in range(12_000):
            if energies.is_file() and energies.read_text().count("\n") > rows:
                for children in Path("/proc/self/task").glob("*/children"):
                    for pid in children.read_text().split():
                        if Path(f"/proc/{pid}/cwd").resolve() == folder.resolve():
                            os.kill(int(pid), signal.SIGKILL)
                return
            time.sleep(0.005)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> AimdResult:
    return run(tmp_path_factory.mktemp("whole") / "aimd")


def test_run_has_every_step_and_frame_and_keeps_its_conserved_quantity(whole: AimdResult) -> None:
    data = whole.data
    assert data.steps.tolist() == list(range(25))
    assert data.frame_steps.tolist() == list(range(0, 25, 2))
    assert data.converged.all()
    assert data.temperature_K[0] == pytest.approx(600.0, abs=1e-3)
    np.testing.assert_allclose(data.positions[0], POSITIONS, atol=1e-9)
    drift = np.abs(data.conserved_eV - data.conserved_eV[0])
    assert drift.max() < 0.15 * np.ptp(data.potential_eV)  # the low cutoff's egg box
    assert np.ptp(data.potential_eV) > 0.01


def test_forces_positions_and_energies_of_a_step_belong_together(whole: AimdResult) -> None:
    """Velocity Verlet without its thermostat: the power of the forces is the change of the potential energy."""
    data = whole.data
    moved = np.diff(data.positions, axis=0)
    work = -np.einsum("fni,fni->f", (data.forces[1:] + data.forces[:-1]) / 2, moved)
    change = np.diff(data.energy_eV[::2])
    assert np.corrcoef(work, change)[0, 1] > 0.99
    shifted = -np.einsum("fni,fni->f", data.forces[2:], moved[:-1])
    assert np.abs(work - change).max() < np.abs(shifted - change[:-1]).max()


def test_pressure_of_the_motion_is_the_ideal_gas_one(whole: AimdResult) -> None:
    """Trace of the whole pressure minus that of the forces: (3N - 3) k T of the atoms, whose centre is at rest."""
    data = whole.data
    difference_bar = np.trace(data.pressure_bar - data.force_pressure_GPa * 1e4, axis1=1, axis2=2) / 3
    volume = abs(np.linalg.det(CELL))
    k_eV, bar_per_eV_A3 = 8.617333262e-5, 1_602_176.634
    expected = 6 * k_eV * data.temperature_K / (3 * volume) * bar_per_eV_A3
    np.testing.assert_allclose(difference_bar, expected, rtol=1e-3)


def test_killed_run_goes_on_and_is_the_same_as_one_that_was_not(tmp_path: Path, whole: AimdResult) -> None:
    folder = tmp_path / "aimd"
    for number, rows in ((0, 6), (1, 5)):
        killer = kill_in(folder / f"segment-{number:03d}", rows)
        with pytest.raises(InterruptedRunError, match="run the job again"):
            run(folder)
        killer.join()
    result = run(folder)
    assert result.n_segments == 3
    assert result.data.steps.tolist() == list(range(25))
    np.testing.assert_allclose(result.data.positions, whole.data.positions, atol=1e-5)
    np.testing.assert_allclose(result.data.forces, whole.data.forces, atol=2e-3)
    np.testing.assert_allclose(result.data.conserved_eV, whole.data.conserved_eV, atol=1e-4)
    again = run(folder)  # nothing is left to be done
    assert again.n_segments == 3


def test_torn_files_are_read_up_to_the_last_step_that_all_hold(tmp_path: Path, whole: AimdResult) -> None:
    folder = whole.restart_path.parent
    place = tmp_path / "torn"
    place.mkdir()
    for path in folder.iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    forces = place / "label-frc-1.xyz"
    size = len(forces.read_bytes()) // 13
    forces.write_bytes(forces.read_bytes()[: 6 * size - 5])  # frame 10 lacks its end
    assert read_segment(place, 2, first=0).steps.tolist() == list(range(10))
    output = place / "cp2k.out"
    output.write_text(output.read_text().partition(" MD| Step number                                       ")[0])
    assert read_segment(place, 2, first=0).steps.tolist() == [0]
    (place / "label-1.stress").unlink()
    assert read_segment(place, 2, first=0).steps.tolist() == []
