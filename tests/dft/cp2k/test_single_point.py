"""CP2K's input, run and output, with the real program on small cells."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cp2k.inputs import Cp2kInput

from lipsdb.dft.cp2k import Cp2kLevel
from lipsdb.dft.cp2k.data_files import data_folder, entry_digest, find_entry
from lipsdb.dft.cp2k.inputs import single_point_inputs
from lipsdb.dft.cp2k.output import read_single_point
from lipsdb.dft.cp2k.program import command, describe
from lipsdb.dft.cp2k.run import run_cp2k
from lipsdb.dft.levels_of_theory import find_level
from lipsdb.dft.result import SinglePoint, check_single_point
from lipsdb.errors import BadInputError, InterruptedRunError, MissingProgramError, RefusedError

CELL = np.diag([4.0, 4.6, 4.2])
POSITIONS = np.array([[0.1, 0.0, 0.0], [2.1, 2.3, 0.1], [2.0, 0.2, 2.1]])
NUMBERS = np.array([3, 3, 16])


def level_of(path: Path | str, **changes: object) -> Cp2kLevel:
    return Cp2kLevel.model_validate(find_level(str(path)).asked.settings | changes)


# What is computed: a P2 molecule, quick since lithium's diffuse functions are not there.
BOX = np.diag([4.6, 4.8, 5.0])
P2 = np.array([[0.3, 0.2, 0.1], [1.1, 0.9, 1.5]])


def compute(folder: Path, level: Cp2kLevel, positions: np.ndarray = P2, cell: np.ndarray = BOX) -> SinglePoint:
    folder.mkdir(exist_ok=True)
    structure = Structure(Lattice(cell), ["P", "P"], positions, coords_are_cartesian=True)
    output = run_cp2k(folder, single_point_inputs(level, structure), ranks=1)
    return read_single_point(output, float(np.linalg.det(cell)))


@pytest.mark.parametrize("name", ["disorder", "disorder-printed"])
def test_written_input_has_every_setting_of_the_level(name: str, tmp_path: Path) -> None:
    level = level_of(name)
    structure = Structure(Lattice(CELL), NUMBERS, POSITIONS, coords_are_cartesian=True)
    single_point_inputs(level, structure).write_input(tmp_path)
    written = Cp2kInput.from_file(tmp_path / "cp2k.inp")
    dft = written["FORCE_EVAL"]["DFT"]
    found = {name: dft["MGRID"][name].values[0] for name in ("CUTOFF", "REL_CUTOFF", "NGRIDS")}
    assert found == {"CUTOFF": 500, "REL_CUTOFF": 50, "NGRIDS": 4}
    assert float(dft["SCF"]["EPS_SCF"].values[0]) == 1e-6
    assert float(dft["QS"]["EPS_DEFAULT"].values[0]) == 1e-12
    assert "PBE" in dft["XC"]["XC_FUNCTIONAL"].subsections
    assert not dft.check("SCF/SMEAR")
    assert not dft.check("KPOINTS")
    assert written["FORCE_EVAL"]["STRESS_TENSOR"].values == ("ANALYTICAL",)
    assert dft["UKS"].values[0] is False
    assert written["GLOBAL"]["EXTENDED_FFT_LENGTHS"].values[0] is False
    if name == "disorder-printed":
        pair = dft["XC"]["VDW_POTENTIAL"]["PAIR_POTENTIAL"]
        assert pair["TYPE"].values == ("DFTD3",)
        assert pair["REFERENCE_FUNCTIONAL"].values == ("PBE",)
    else:
        assert not dft.check("XC/VDW_POTENTIAL")


def test_written_basis_sets_and_pseudopotentials_are_the_levels(tmp_path: Path) -> None:
    level = level_of("disorder")
    structure = Structure(Lattice(CELL), NUMBERS, POSITIONS, coords_are_cartesian=True)
    single_point_inputs(level, structure).write_input(tmp_path)
    for element in ("Li", "S"):
        for name, original, entry in (
            ("BASIS", "BASIS_MOLOPT", level.kinds[element].basis),
            ("POTENTIAL", "GTH_POTENTIALS", level.kinds[element].potential),
        ):
            ours = find_entry(tmp_path / name, element, entry)
            theirs = find_entry(data_folder() / original, element, entry)
            assert ours is not None
            assert theirs is not None
            numbers = [[float(word) for word in text.split("\n", 1)[1].split()] for text in (ours, theirs)]
            assert numbers[0] == numbers[1]


def test_basis_set_with_other_numbers_than_the_levels_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BASIS_MOLOPT", "GTH_POTENTIALS"):
        (tmp_path / name).write_text((data_folder() / name).read_text().replace("7.133127574876", "7.133127574877"))
    monkeypatch.setenv("CP2K_DATA_DIR", str(tmp_path))
    structure = Structure(Lattice(CELL), NUMBERS, POSITIONS, coords_are_cartesian=True)
    with pytest.raises(BadInputError, match=r"basis set DZVP-MOLOPT-SR-GTH of Li in .* is not the one of this level"):
        single_point_inputs(level_of("disorder"), structure)


def test_digest_of_an_entry_does_not_depend_on_its_layout() -> None:
    entry = find_entry(data_folder() / "GTH_POTENTIALS", "P", "GTH-PBE-q5")
    assert entry is not None
    assert (
        entry_digest(entry)
        == entry_digest(entry.replace("    ", " "))
        == level_of("disorder").kinds["P"].potential_sha256
    )


def test_element_without_a_basis_set_is_refused() -> None:
    structure = Structure(Lattice(CELL), [11], [[0, 0, 0]])
    with pytest.raises(BadInputError, match="no basis set for Na; it has Li, P, S"):
        single_point_inputs(level_of("disorder"), structure)


def test_forces_and_virial_are_the_derivatives_of_the_energy(tmp_path: Path, small_level: Path) -> None:
    level = level_of(small_level, eps_scf=1e-8)
    found = compute(tmp_path / "here", level)
    check_single_point(found, np.array([15, 15]), P2, BOX, {15: 5})
    step = 0.01
    moved = np.zeros((2, 3))
    moved[1, 0] = step
    energies = [compute(tmp_path / f"x{sign}", level, P2 + sign * moved).energy_eV for sign in (1, -1)]
    force = -(energies[0] - energies[1]) / (2 * step)
    assert found.forces[1, 0] == pytest.approx(force, abs=0.02)  # the low cutoff's egg box
    strain = 0.004
    energies = []
    for sign in (1, -1):
        stretch = np.diag([1.0, 1.0, 1.0 + sign * strain])
        energies.append(compute(tmp_path / f"s{sign}", level, P2 @ stretch, BOX @ stretch).energy_eV)
    assert found.virial is not None
    assert found.virial[2, 2] == pytest.approx(-(energies[0] - energies[1]) / (2 * strain), rel=0.1)
    assert abs(found.virial[2, 2]) > 1  # so that the sign counts


def test_killed_run_is_interrupted_and_running_it_again_finishes(tmp_path: Path, small_level: Path) -> None:
    level = level_of(small_level, cutoff_Ry=400.0, eps_scf=1e-9)

    def kill_when_it_iterates() -> None:
        output = tmp_path / "cp2k.out"
        for _ in range(6000):
            if output.exists() and "OT DIIS" in output.read_text(errors="replace"):
                found = subprocess.run(["pgrep", "-f", "cp2k.psmp -i cp2k.inp"], capture_output=True, text=True)
                ours = [pid for pid in found.stdout.split() if os.path.realpath(f"/proc/{pid}/cwd") == str(tmp_path)]
                for pid in ours:
                    os.kill(int(pid), signal.SIGKILL)
                return
            time.sleep(0.02)

    killer = threading.Thread(target=kill_when_it_iterates)
    killer.start()
    with pytest.raises(InterruptedRunError, match="run the job again"):
        compute(tmp_path, level)
    killer.join()
    assert compute(tmp_path, level).converged


def test_scf_that_cannot_converge_is_refused_with_the_reason(
    tmp_path: Path, small_level: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPSDB_CP2K_MAX_SCF", "5")
    level = level_of(small_level, eps_scf=1e-30)
    with pytest.raises(RefusedError, match="did not converge, also after custodian's corrections") as error:
        compute(tmp_path, level)
    assert error.value.gate == "scf"
    tried = Cp2kInput.from_file(tmp_path / "cp2k.inp")["FORCE_EVAL"]["DFT"]["SCF"]
    assert tried["OT"]["MINIMIZER"].values[0] == "CG"  # custodian did try
    assert not tried.check("SMEAR")  # but not at another level of theory


def test_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPSDB_CP2K_COMMAND", "mpirun -n {ranks} no-such-cp2k")
    with pytest.raises(MissingProgramError, match=r"no no-such-cp2k on PATH; install CP2K"):
        command(2)


def test_command_of_ones_own_gets_the_number_of_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPSDB_CP2K_COMMAND", "srun -n {ranks} cp2k.psmp")
    assert command(4) == ["srun", "-n", "4", describe().path]
