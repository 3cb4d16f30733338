from __future__ import annotations

import io
import warnings
from pathlib import Path

import ase.io
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import netcdf_file

from lipsdb.errors import BadInputError, RefusedError
from lipsdb.md.trajectory import Trajectory, read_trajectory, topology_text, write_trajectory

NUMBERS = np.array([3, 15, 16, 16, 16, 16, 3])


def made_up(n_frames: int, n_atoms: int = 7, seed: int = 0) -> Trajectory:
    rng = np.random.default_rng(seed)
    cell = np.tile([[10.0, 0, 0], [1, 9, 0], [2, -1, 8]], (n_frames, 1, 1)) * (1 + 0.01 * rng.random((n_frames, 1, 1)))
    return Trajectory(np.arange(n_frames) * 0.1, rng.normal(scale=30, size=(n_frames, n_atoms, 3)), cell)


def cut(trajectory: Trajectory, *edges: int) -> list[Trajectory]:
    pairs = zip((0, *edges), (*edges, len(trajectory.time)), strict=True)
    return [Trajectory(trajectory.time[a:b], trajectory.positions[a:b], trajectory.cell[a:b]) for a, b in pairs]


@settings(max_examples=20, deadline=None)
@given(n_frames=st.integers(1, 6), n_atoms=st.integers(1, 9), seed=st.integers(0, 100))
def test_written_in_blocks_of_any_size_reads_back_the_same(tmp_path_factory, n_frames, n_atoms, seed) -> None:
    folder = tmp_path_factory.mktemp("nc")
    given_ = made_up(n_frames, n_atoms, seed)
    assert write_trajectory(folder / "one.nc", [given_]) == n_frames
    assert write_trajectory(folder / "two.nc", cut(given_, n_frames // 2)) == n_frames
    content = (folder / "one.nc").read_bytes()
    assert content == (folder / "two.nc").read_bytes()
    for source in (folder / "one.nc", content):
        read = read_trajectory(source)
        np.testing.assert_array_equal(read.positions, given_.positions.astype(np.float32))
        np.testing.assert_array_equal(read.time, given_.time)
        np.testing.assert_allclose(read.cell, given_.cell, atol=1e-12)


def test_header_follows_the_amber_convention(tmp_path) -> None:
    write_trajectory(tmp_path / "t.nc", cut(made_up(5), 2), title="made up")
    dataset = netcdf_file(io.BytesIO((tmp_path / "t.nc").read_bytes()), "r", mmap=False)
    assert (dataset.Conventions, dataset.ConventionVersion, dataset.title) == (b"AMBER", b"1.0", b"made up")
    assert dataset.version_byte == 2
    assert dict(dataset.dimensions) == {
        "frame": None, "spatial": 3, "atom": 7, "cell_spatial": 3, "cell_angular": 3, "label": 5
    }  # fmt: skip
    units = {name: dataset.variables[name].units for name in ("time", "coordinates", "cell_lengths", "cell_angles")}
    assert list(units.values()) == [b"picosecond", b"angstrom", b"angstrom", b"degree"]
    assert dataset.variables["cell_angular"].data.tobytes() == b"alphabeta gamma"
    assert dataset.variables["coordinates"].shape == (5, 7, 3)


def test_mdanalysis_reads_the_same_coordinates_times_box_and_elements(tmp_path) -> None:
    given_ = made_up(5)
    write_trajectory(tmp_path / "t.nc", [given_])
    (tmp_path / "topology.xyz").write_text(topology_text(NUMBERS, given_.positions[0], given_.cell[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import MDAnalysis

        universe = MDAnalysis.Universe(str(tmp_path / "topology.xyz"), str(tmp_path / "t.nc"))
        assert list(universe.atoms.names) == ["Li", "P", "S", "S", "S", "S", "Li"]
        assert universe.trajectory.n_frames == 5
        assert universe.trajectory.dt == pytest.approx(0.1)
        for i, frame in enumerate(universe.trajectory):
            np.testing.assert_allclose(frame.positions, given_.positions[i], atol=1e-5)
            assert frame.time == pytest.approx(given_.time[i])
            # MDAnalysis builds its own cell from the six parameters.
            np.testing.assert_allclose(frame.triclinic_dimensions, given_.cell[i], atol=1e-4)


def test_ase_reads_the_topology_with_cell_and_elements(tmp_path) -> None:
    given_ = made_up(1)
    text = topology_text(NUMBERS, given_.positions[0], given_.cell[0])
    atoms = ase.io.read(io.StringIO(text), format="extxyz")
    assert atoms.numbers.tolist() == NUMBERS.tolist()
    assert atoms.pbc.all()
    np.testing.assert_allclose(atoms.positions, given_.positions[0], atol=1e-8)
    np.testing.assert_allclose(atoms.cell, given_.cell[0], atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(fraction=st.floats(0, 1, exclude_max=True))
def test_file_cut_at_any_byte_is_refused(tmp_path_factory, fraction) -> None:
    path = tmp_path_factory.mktemp("nc") / "t.nc"
    write_trajectory(path, [made_up(4)])
    content = path.read_bytes()
    with pytest.raises(RefusedError, match="truncated or damaged; run the simulation again"):
        read_trajectory(content[: int(fraction * len(content))])


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([], "no frame to write"),
        ([made_up(2), made_up(2, n_atoms=6)], r"give \(f,\), \(f, 7, 3\)"),
        ([Trajectory(np.zeros(1), np.full((1, 2, 3), np.nan), np.eye(3)[None])], "NaN or infinity"),
        ([Trajectory(np.zeros(1), np.zeros((1, 2, 3)), np.ones((1, 3, 3)))], "not in LAMMPS' orientation"),
    ],
)
def test_blocks_that_cannot_be_stored_are_refused_and_leave_no_file(tmp_path: Path, blocks, message) -> None:
    with pytest.raises(BadInputError, match=message):
        write_trajectory(tmp_path / "t.nc", blocks)
    assert not (tmp_path / "t.nc").exists()
