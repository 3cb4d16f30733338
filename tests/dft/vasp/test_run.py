"""Runs end as what was asked for, or say why not; VASP is replaced at the level of files."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones

from lipsdb.dft.result import check_single_point
from lipsdb.dft.settings import AimdSettings, RelaxationSettings
from lipsdb.dft.vasp.inputs import VaspInputs, aimd_inputs, relaxation_inputs, static_inputs
from lipsdb.dft.vasp.level import VaspLevel
from lipsdb.dft.vasp.run import VaspRun, run_vasp, vasp_command
from lipsdb.errors import InterruptedRunError, MissingProgramError, RefusedError

# elements in turns, an atom outside of the cell, a cell that is not orthogonal
NUMBERS = np.array([3, 16, 3, 15, 16, 3])
CELL = np.array([[6.1, 0.0, 0.0], [0.4, 5.9, 0.0], [0.2, -0.3, 6.3]])
POSITIONS = np.array(
    [[0.3, 0.2, 0.1], [2.5, 0.2, 0.4], [0.1, 2.6, 0.2], [2.4, 2.7, 0.3], [0.2, 0.1, 2.7], [2.3, 0.4, 9.0]]
)


def static(level: VaspLevel, cell: np.ndarray = CELL) -> VaspInputs:
    return static_inputs(level, NUMBERS, POSITIONS, cell)


def run(folder: Path, inputs: VaspInputs, command: str) -> VaspRun:
    return run_vasp(folder, inputs, command, poll_s=0.1)


def oracle() -> Atoms:
    atoms = Atoms(numbers=NUMBERS, positions=POSITIONS, cell=CELL, pbc=True)
    atoms.calc = LennardJones(sigma=2.0, epsilon=0.1, rc=6.0, smooth=True)
    return atoms


def test_single_point_of_atoms_in_turns_gives_the_calculators_numbers_in_their_order(
    tmp_path: Path, potcar_folder: Path, stand_in: str, vdw_level: VaspLevel
) -> None:
    found = run(tmp_path / "run", static(vdw_level), stand_in)
    atoms = oracle()
    assert found.steps.n_steps == found.n_attempts == 1
    assert (found.steps.version, found.corrections) == ("6.4.1", ())
    point = found.steps.single_point()
    np.testing.assert_array_equal(point.numbers, NUMBERS)
    np.testing.assert_array_equal(point.positions, POSITIONS)  # to the last digit
    np.testing.assert_array_equal(point.cell, CELL)
    np.testing.assert_allclose(point.forces, atoms.get_forces(), atol=1e-7)
    # E − 4 eV per atom, and 1e-5 eV per atom of entropy more than the free energy
    assert point.energy_eV == pytest.approx(atoms.get_potential_energy() - 24 + 6e-5, abs=2e-8)
    np.testing.assert_allclose(point.virial, -atoms.get_volume() * atoms.get_stress(voigt=False), atol=1e-6)
    assert point.n_electrons == 3 * 3 + 2 * 6 + 5
    check_single_point(point, NUMBERS, POSITIONS, CELL, found.inputs.valence)  # type: ignore[arg-type]
    assert {"INCAR", "KPOINTS", "POSCAR", "POTCAR.spec", "vasprun.xml", "OUTCAR"} <= set(found.files)
    assert not {"POTCAR", "WAVECAR"} & set(found.files)


def test_virial_of_the_stand_in_is_minus_the_derivative_by_strain(
    tmp_path: Path, potcar_folder: Path, stand_in: str, vdw_level: VaspLevel
) -> None:
    found = run(tmp_path / "run", static(vdw_level), stand_in).steps.single_point()
    assert found.virial is not None
    h = 1e-4
    for i, j in ((0, 0), (1, 2)):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += sign * h / 2
            strain[j, i] += sign * h / 2
            atoms = oracle()
            atoms.set_cell(CELL @ strain, scale_atoms=True)
            energies.append(atoms.get_potential_energy())
        assert found.virial[i, j] == pytest.approx(-(energies[0] - energies[1]) / (2 * h), abs=1e-4)


def test_relaxation_ends_where_forces_are_small_and_keeps_all_steps(
    tmp_path: Path, potcar_folder: Path, stand_in: str, pbe_level: VaspLevel
) -> None:
    inputs = relaxation_inputs(pbe_level, RelaxationSettings(max_steps=300), NUMBERS, POSITIONS, CELL)
    found = run(tmp_path / "run", inputs, stand_in).steps
    assert found.n_steps > 3
    assert found.ionic_converged
    assert found.scf_converged.all()
    assert np.linalg.norm(found.forces[-1], axis=1).max() < 0.01 < np.linalg.norm(found.forces[0], axis=1).max()
    assert found.energies[-1] < found.energies[0]
    assert np.linalg.det(found.cells[-1]) != pytest.approx(np.linalg.det(CELL), rel=1e-3)
    np.testing.assert_array_equal(found.numbers, NUMBERS)
    np.testing.assert_array_equal(found.positions[0], POSITIONS)


def test_dynamics_of_seven_steps_gives_eight_labels_that_can_be_recomputed(
    tmp_path: Path, potcar_folder: Path, stand_in: str, pbe_level: VaspLevel
) -> None:
    settings = AimdSettings(temperature_K=600, n_steps=7, timestep_fs=1.0, seed=7)
    found = run(tmp_path / "run", aimd_inputs(pbe_level, settings, NUMBERS, POSITIONS, CELL), stand_in).steps
    assert found.n_steps == 8
    assert found.scf_converged.all()
    assert found.virials is not None
    for step in (0, 3, 7):
        atoms = oracle()
        atoms.positions = found.positions[step]
        np.testing.assert_allclose(found.forces[step], atoms.get_forces(), atol=1e-5)
        np.testing.assert_allclose(found.virials[step], -atoms.get_volume() * atoms.get_stress(voigt=False), atol=1e-5)
    other = AimdSettings(temperature_K=600, n_steps=7, timestep_fs=1.0, seed=8)
    again = run(tmp_path / "again", aimd_inputs(pbe_level, other, NUMBERS, POSITIONS, CELL), stand_in).steps
    assert np.abs(again.positions[-1] - found.positions[-1]).max() > 1e-3


def test_dynamics_whose_last_scf_fails_marks_that_step_only(
    tmp_path: Path, potcar_folder: Path, stand_in: str, pbe_level: VaspLevel
) -> None:
    settings = AimdSettings(temperature_K=600, n_steps=3, timestep_fs=1.0, seed=7)
    inputs = aimd_inputs(pbe_level, settings, NUMBERS, POSITIONS, CELL)
    found = run(tmp_path / "run", inputs, f"{stand_in} unconverged-last")
    assert found.steps.scf_converged.tolist() == [True, True, True, False]
    with pytest.raises(RefusedError, match="the SCF did not reach its threshold"):
        check_single_point(found.steps.single_point(3), NUMBERS, found.steps.positions[3], CELL)


def test_scf_that_needs_another_minimiser_gets_it_from_custodian_and_passes(
    tmp_path: Path, potcar_folder: Path, stand_in: str, vdw_level: VaspLevel
) -> None:
    found = run(tmp_path / "run", static(vdw_level), f"{stand_in} all")
    assert found.n_attempts == 2
    assert found.corrections == ("Unconverged: INCAR ALGO=All ISEARCH=1",)
    assert found.steps.scf_converged.all()


@pytest.mark.parametrize(
    ("mode", "gate", "reason"),
    [
        (
            "unconverged",
            "scf",
            r"the SCF did not reach EDIFF = 1e-05 eV in \d attempts after Unconverged: INCAR ALGO=All",
        ),
        ("stops", "program", "VASP ended with status 1 .* ERROR: this stand-in was told to stop"),
        ("encut", "level", r"VASP used ENCUT = 400\.0, the level of theory asked for 520\.0"),
        ("electrons", "valence", "VASP counted 27 electrons, the PAW data sets leave 26; check POTCAR"),
        ("titel", "valence", "VASP used the PAW data set 'PAW_PBE Xx_h 01Jan2000' for Li, the level has Li_sv"),
        ("hot", "entropy", r"the electronic entropy is 2\.00 meV/atom, above the limit of 1 meV/atom"),
        ("moved", "structure", r"VASP's positions are off by 1\.0e-02 Å"),
    ],
)
def test_single_point_that_is_not_what_was_asked_is_refused(
    mode: str, gate: str, reason: str, tmp_path: Path, potcar_folder: Path, stand_in: str, vdw_level: VaspLevel
) -> None:
    with pytest.raises(RefusedError, match=reason) as caught:
        run(tmp_path / "run", static(vdw_level), f"{stand_in} {mode}")
    assert caught.value.gate == gate
    assert "\n" not in str(caught.value)


def test_relaxation_that_runs_out_of_steps_is_refused(
    tmp_path: Path, potcar_folder: Path, stand_in: str, pbe_level: VaspLevel
) -> None:
    inputs = relaxation_inputs(pbe_level, RelaxationSettings(max_steps=4), NUMBERS, POSITIONS, CELL)
    with pytest.raises(
        RefusedError, match=r"did not converge in 4 steps: a force of .* is left, allowed are 0\.01"
    ) as e:
        run(tmp_path / "run", inputs, f"{stand_in} ionic")
    assert e.value.gate == "ionic"


@pytest.mark.parametrize(
    ("tag", "value", "refused"),
    [("SIGMA", 0.2, True), ("ENCUT", 600, True), ("SYMPREC", 1e-6, True), ("AMIX", 0.1, False), ("NBANDS", 40, False)],
)
def test_incar_changed_during_the_run_is_refused_if_the_tag_belongs_to_the_level(
    tag: str, value: float, refused: bool, tmp_path: Path, potcar_folder: Path, stand_in: str, vdw_level: VaspLevel
) -> None:
    script = tmp_path / "changing.sh"
    script.write_text(f"sed -i '/^{tag} /d' INCAR; echo '{tag} = {value}' >> INCAR; exec {stand_in}\n")
    if not refused:
        assert run(tmp_path / "run", static(vdw_level), f"sh {script}").steps.n_steps == 1
        return
    with pytest.raises(RefusedError, match=f"the corrected INCAR has {tag} = {value}") as caught:
        run(tmp_path / "run", static(vdw_level), f"sh {script}")
    assert caught.value.gate == "level"


def test_other_k_points_after_the_run_are_refused(
    tmp_path: Path, potcar_folder: Path, stand_in: str, vdw_level: VaspLevel
) -> None:
    script = tmp_path / "changing.sh"
    script.write_text(f"sed -i 's/1 1 1/2 2 2/' KPOINTS; exec {stand_in}\n")
    with pytest.raises(RefusedError, match=r"the corrected KPOINTS are Gamma .*2, 2, 2"):
        run(tmp_path / "run", static(vdw_level), f"sh {script}")


def test_vasp_that_kills_itself_is_an_interruption_and_runs_anew(
    tmp_path: Path, potcar_folder: Path, stand_in: str, vdw_level: VaspLevel
) -> None:
    with pytest.raises(InterruptedRunError, match=r"VASP was stopped by SIGKILL in .*; run the job again"):
        run(tmp_path / "run", static(vdw_level), f"{stand_in} dies")
    assert run(tmp_path / "run", static(vdw_level), stand_in).steps.n_steps == 1
    assert (tmp_path / "run" / "vasp.runs").read_text() == "2"


WORKER = """
import os, sys
sys.path.insert(0, {tests!r})
from test_run import *
from lipsdb.dft.levels_of_theory import find_level
level = VaspLevel.model_validate(find_level("grain-boundaries").asked.settings)
lock = os.open("lock", os.O_RDWR | os.O_CREAT)
import fcntl
fcntl.flock(lock, fcntl.LOCK_EX)
run_vasp("run", static(level), {command!r}, poll_s=0.1, lock_fd=lock)
"""


def test_killed_worker_takes_vasp_with_it_and_frees_the_lock(
    tmp_path: Path, potcar_folder: Path, stand_in: str
) -> None:
    import fcntl

    script = WORKER.format(tests=str(Path(__file__).parent), command=f"{stand_in} sleeps")
    worker = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path)
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "run" / "running").exists():
            assert worker.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with (tmp_path / "lock").open("r+") as lock:
            with pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
    finally:
        worker.kill()
        worker.wait()


def test_missing_program_and_missing_potcars_say_what_to_set(
    tmp_path: Path, potcar_folder: Path, vdw_level: VaspLevel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIPSDB_VASP_COMMAND", raising=False)
    with pytest.raises(MissingProgramError, match="no command for VASP is known; set LIPSDB_VASP_COMMAND"):
        vasp_command()
    with pytest.raises(MissingProgramError, match=r"no vasp_std on PATH .*; set LIPSDB_VASP_COMMAND"):
        run(tmp_path / "run", static(vdw_level), "vasp_std")
    monkeypatch.setenv("LIPSDB_VASP_COMMAND", "sh -c true")
    assert vasp_command() == ["sh", "-c", "true"]
    without = static_inputs(vdw_level, NUMBERS, POSITIONS, CELL, potcars=False)
    with pytest.raises(MissingProgramError, match="the input has no POTCAR files; set PMG_VASP_PSP_DIR"):
        run(tmp_path / "run", without, "sh")
    shutil.rmtree(potcar_folder / "POT_GGA_PAW_PBE_54" / "P")
    with pytest.raises(MissingProgramError, match="the POTCAR files Li_sv, P, S of release PBE_54 are not in PMG_VASP"):
        static(vdw_level)


def test_vdw_kernel_is_laid_beside_the_input(
    tmp_path: Path, potcar_folder: Path, stand_in: str, vdw_level: VaspLevel, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = tmp_path / "kernel"
    kernel.write_bytes(b"table")
    monkeypatch.setenv("LIPSDB_VASP_VDW_KERNEL", str(kernel))
    run(tmp_path / "run", static(vdw_level), stand_in)
    assert (tmp_path / "run" / "vdw_kernel.bindat").read_bytes() == b"table"
    monkeypatch.setenv("LIPSDB_VASP_VDW_KERNEL", str(tmp_path / "nowhere"))
    with pytest.raises(MissingProgramError, match="nowhere is not a file; set LIPSDB_VASP_VDW_KERNEL"):
        run(tmp_path / "run", static(vdw_level), stand_in)
