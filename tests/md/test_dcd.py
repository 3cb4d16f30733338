from __future__ import annotations

import struct
import warnings

import numpy as np
import pytest

from lipsdb.errors import RefusedError
from lipsdb.md import run as run_module
from lipsdb.md.coupling import Coupling
from lipsdb.md.dcd import open_dcd, read_dcd_blocks
from lipsdb.md.run import run_lammps
from lipsdb.md.settings import MDSettings


@pytest.fixture
def triclinic_dump(tmp_path, argon, monkeypatch):
    """A dump of LAMMPS in a triclinic cell, from step 100 on, kept by stopping before the conversion."""

    def stop(*_, **__) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "write_trajectory", stop)
    skew = np.array([[1, 0, 0], [0.2, 1, 0], [-0.1, 0.15, 1]])
    settings = MDSettings(temperature_K=40, n_steps=200, equilibration_steps=100, dump_interval=50)
    coupling = Coupling("pair_style lj/cut 7.0\npair_coeff * * 0.0104 3.4")
    with pytest.raises(KeyboardInterrupt):
        run_lammps(
            tmp_path, settings, coupling, argon.numbers, argon.positions @ skew, argon.cell @ skew, ["Ar"],
            restart_interval=1000,
        )  # fmt: skip
    (path,) = tmp_path.glob("*.dcd")
    return path, argon.cell @ skew


def test_triclinic_dump_of_lammps_agrees_with_mdanalysis(triclinic_dump) -> None:
    path, cell = triclinic_dump
    dump = open_dcd(path)
    assert (dump.n_atoms, dump.n_frames, dump.first_step, dump.interval) == (108, 5, 100, 50)
    (block,) = read_dcd_blocks(dump, 5, time_zero_step=100, timestep_ps=0.002)
    np.testing.assert_allclose(block.time, [0, 0.1, 0.2, 0.3, 0.4], atol=1e-12)
    np.testing.assert_allclose(block.cell, np.tile(cell, (5, 1, 1)), atol=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from MDAnalysis.coordinates.DCD import DCDReader

        reader = DCDReader(str(path))
        np.testing.assert_array_equal(block.positions, np.array([frame.positions.copy() for frame in reader]))


def test_dump_cut_inside_a_frame_has_the_whole_frames_before_it(triclinic_dump) -> None:
    path, _ = triclinic_dump
    content = path.read_bytes()
    for lost, left in ((1, 4), (1400, 3), (len(content) - 300, 0), (len(content) - 100, 0), (len(content), 0)):
        path.write_bytes(content[: len(content) - lost])
        assert open_dcd(path).n_frames == left


def test_file_that_is_no_dcd_is_refused(tmp_path) -> None:
    (tmp_path / "x.dcd").write_bytes(struct.pack("<i", 84) + b"VELD" + bytes(400))
    with pytest.raises(RefusedError, match=r"x\.dcd is not a little-endian DCD dump"):
        open_dcd(tmp_path / "x.dcd")
