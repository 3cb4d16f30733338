"""Relaxation with the real CP2K: helium in a basis of one function."""

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
from lipsdb.dft.cp2k.inputs import relaxation_inputs
from lipsdb.dft.cp2k.relaxation import run_relaxation, upright
from lipsdb.dft.settings import RelaxationSettings
from lipsdb.errors import InterruptedRunError, RefusedError

LEVEL = Cp2kLevel.model_validate(
    {
        "functional": "PADE",
        "dispersion": None,
        "cutoff_Ry": 400.0,
        "rel_cutoff_Ry": 40.0,
        "ngrids": 2,
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
)


def helium(edge: float) -> Structure:
    """Four atoms near the sites of a cubic close packing, in a skewed cell."""
    cell = Lattice([[edge, 0.1, 0.0], [0.1, edge, 0.1], [0.1, 0.0, edge]])
    return Structure(cell, ["He"] * 4, [[0, 0, 0], [0.5, 0.5, 0.05], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]])


def kill_in(folder: Path, rows: int) -> threading.Thread:
    """Kill the CP2K that works in a folder once it has made so many steps."""

    def watch() -> None:
        frames = folder / "label-pos-1.xyz"
        for _ in range(12_000):
            if frames.is_file() and frames.read_text().count("i =") >= rows:
                for children in Path("/proc/self/task").glob("*/children"):
                    for pid in children.read_text().split():
                        if Path(f"/proc/{pid}/cwd").resolve() == folder.resolve():
                            os.kill(int(pid), signal.SIGKILL)
                return
            time.sleep(0.005)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_killed_relaxation_of_the_atoms_goes_on_to_its_end(tmp_path: Path) -> None:
    start = helium(3.3)
    settings = RelaxationSettings(cell=False, max_force_eV_A=0.1, max_steps=40)
    killer = kill_in(tmp_path, 2)
    with pytest.raises(InterruptedRunError, match="run the job again"):
        run_relaxation(tmp_path, LEVEL, start, settings, ranks=1)
    killer.join()
    before = (tmp_path / "label-pos-1.xyz").read_text().count("i =")
    relaxed = run_relaxation(tmp_path, LEVEL, start, settings, ranks=1)
    assert (tmp_path / "continued.restart").is_file()
    assert (tmp_path / "label-pos-1.xyz").read_text().count("i =") > before
    assert relaxed.max_force_eV_A <= 0.1
    np.testing.assert_allclose(relaxed.cell, start.lattice.matrix, atol=1e-9)
    assert np.abs(relaxed.positions - start.cart_coords).max() > 0.01
    assert relaxed.pressure_bar > 0  # squeezed


def test_squeezed_cell_relaxes_to_one_without_pressure(tmp_path: Path) -> None:
    settings = RelaxationSettings(cell=True, max_force_eV_A=0.1, pressure_tolerance_bar=2000.0, max_steps=60)
    relaxed = run_relaxation(tmp_path, LEVEL, helium(3.3), settings, ranks=1)
    assert abs(relaxed.pressure_bar) <= 2000.0
    # from the smaller cell of edge 3.2 Å the same optimiser ends at 50.2 Å³, too
    assert np.linalg.det(relaxed.cell) == pytest.approx(50.2, abs=1.5)
    np.testing.assert_allclose(np.triu(relaxed.cell, 1), 0.0, atol=1e-9)


def test_relaxation_that_needs_more_steps_is_refused(tmp_path: Path) -> None:
    settings = RelaxationSettings(cell=False, max_force_eV_A=1e-4, max_steps=1)
    with pytest.raises(RefusedError, match="within max_steps = 1; allow more steps") as refused:
        run_relaxation(tmp_path, LEVEL, helium(3.3), settings, ranks=1)
    assert refused.value.gate == "relaxation"


def test_limits_are_written_in_the_units_of_cp2k() -> None:
    settings = RelaxationSettings(max_force_eV_A=51.42206747632590)
    words = str(relaxation_inputs(LEVEL, helium(3.3), settings).cp2k_input).split()
    assert float(words[words.index("MAX_FORCE") + 1]) == pytest.approx(1.0)  # 1 Hartree/Bohr
    assert float(words[words.index("PRESSURE_TOLERANCE") + 1]) == 100.0
    assert "CELL_OPT" in words


def test_turned_structure_has_the_same_distances() -> None:
    start = helium(3.3)
    turned = upright(start)
    np.testing.assert_allclose(turned.distance_matrix, start.distance_matrix, atol=1e-9)
    assert turned.volume == pytest.approx(start.volume)
