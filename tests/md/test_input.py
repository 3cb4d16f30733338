from __future__ import annotations

import numpy as np
import pytest
from ase.io.lammpsdata import read_lammps_data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from lipsdb.errors import BadInputError
from lipsdb.md.input import lammps_script, write_lammps_data
from lipsdb.md.settings import MDSettings


@settings(max_examples=25, deadline=None)
@given(
    skew=arrays(np.float64, 3, elements=st.floats(-3, 3)),
    angles=arrays(np.float64, 3, elements=st.floats(-3, 3)),
    fractional=arrays(np.float64, (4, 3), elements=st.floats(-1.5, 1.5)),
)
def test_any_turned_triclinic_cell_keeps_distances_order_and_types(tmp_path_factory, skew, angles, fractional) -> None:
    path = tmp_path_factory.mktemp("data") / "structure.data"
    upright = np.array([[9.0, 0, 0], [skew[0], 8.0, 0], [skew[1], skew[2], 7.0]])
    cell = upright @ Rotation.from_euler("xyz", angles).as_matrix()
    positions = fractional @ cell
    orientation = write_lammps_data(path, [16, 3, 15, 3], positions, cell, ["Li", "P", "S"])
    np.testing.assert_allclose(orientation.rotation @ orientation.rotation.T, np.eye(3), atol=1e-10)
    assert np.linalg.det(orientation.rotation) == pytest.approx(1)
    np.testing.assert_allclose(cell @ orientation.rotation, orientation.cell, atol=1e-9)
    np.testing.assert_allclose(orientation.cell, upright, atol=1e-9)
    read = read_lammps_data(path, atom_style="atomic", sort_by_id=True)
    assert read.get_chemical_symbols() == ["S", "Li", "P", "Li"]
    np.testing.assert_allclose(read.positions, positions @ orientation.rotation, atol=1e-9)


def test_element_order_gives_types_and_masses_even_of_an_absent_element(tmp_path) -> None:
    path = tmp_path / "structure.data"
    write_lammps_data(path, [16, 3], [[0, 0, 0], [2, 0, 0]], np.eye(3) * 10, ["Li", "P", "S"])
    text = path.read_text()
    assert "3 atom types" in text
    assert [line.split()[:2] for line in text.split("Atoms # atomic")[1].split("\n") if line.strip()] == [
        ["1", "3"],
        ["2", "1"],
    ]
    assert "xy xz yz" not in text
    write_lammps_data(path, [16, 3], [[0, 0, 0], [2, 0, 0]], np.eye(3) * 10, ["Li", "S"], force_triclinic=True)
    assert "xy xz yz" in path.read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": np.diag([10.0, 10.0, -10.0])}, "volume of -1000"),
        ({"cell": np.diag([10.0, 10.0, 0.0])}, "volume of 0"),
        ({"positions": [[0, 0, np.nan]]}, "NaN or infinity"),
        ({"positions": [[0, 0, 0], [1, 1, 1]]}, r"positions \(2, 3\)"),
        ({"elements": ["Li", "P"]}, "must name each of S exactly once"),
        ({"elements": ["S", "S"]}, "must name each of S exactly once"),
    ],
)
def test_structures_that_lammps_cannot_take_are_refused(tmp_path, change, message) -> None:
    structure = {"numbers": [16], "positions": [[0, 0, 0]], "cell": np.eye(3) * 10, "elements": ["S"], **change}
    with pytest.raises(BadInputError, match=message):
        write_lammps_data(tmp_path / "structure.data", **structure)


def runs(script: str) -> list[str]:
    return [" ".join(line.split()) for line in script.splitlines() if line.startswith("run ")]


def test_script_continued_in_production_skips_velocities_and_equilibration() -> None:
    asked = MDSettings(ensemble="nve", temperature_K=300, n_steps=3000, equilibration_steps=1500)
    begin = lammps_script(asked, "pair_style zero 5.0\npair_coeff * *", 1000)
    assert "velocity" in begin
    assert begin.index("all nvt temp 300 300 0.1") < begin.index("unfix") < begin.index("all nve")
    assert runs(begin) == [
        "run 1500 upto post no every 1000 NULL",
        "run 2000 upto post no",
        "run 4500 upto post no every 1000 NULL",
    ]
    again = lammps_script(asked, "pair_style zero 5.0", 1000, start_step=2000, restart_file="restart.2000")
    assert "velocity" not in again
    assert "nvt" not in again
    assert "read_restart    restart.2000" in again
    assert runs(again) == ["run 4500 upto post no every 1000 NULL"]


def test_restart_interval_of_zero_is_refused() -> None:
    with pytest.raises(BadInputError, match="restart_interval = 0"):
        lammps_script(MDSettings(temperature_K=300, n_steps=1000), "pair_style zero 5.0", 0)
