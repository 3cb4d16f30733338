from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis import trajectory_arrays
from lipsdb.analysis.periodic_cells import freud_frames
from lipsdb.analysis.voronoi import volume_distribution, voronoi_volumes
from lipsdb.errors import BadInputError

few = settings(max_examples=10, deadline=None)


def everything(positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    return voronoi_volumes(positions[None], cell, np.full(len(positions), True))[0]


def from_scipy(positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Volumes of all atoms by scipy's Voronoi (Qhull) of the atoms and their images up to two cells away."""
    from scipy.spatial import ConvexHull, Voronoi

    fractional = positions @ np.linalg.inv(cell)
    fractional -= np.floor(fractional)
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    shifts = shifts[np.argsort(np.abs(shifts).sum(axis=1), kind="stable")]  # the cell itself first
    images = (shifts[:, None] + fractional).reshape(-1, 3)
    near = ((images > -0.8) & (images < 1.8)).all(axis=1) if len(positions) > 100 else np.full(len(images), True)
    diagram = Voronoi(images[near] @ cell)
    regions = [diagram.regions[diagram.point_region[i]] for i in range(len(positions))]
    return np.array([ConvexHull(diagram.vertices[region]).volume for region in regions])


def triclinic_gas(seed: int, n_atoms: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(5, 8, 3)) + np.tril(rng.uniform(-3, 3, (3, 3)), -1)
    return rng.uniform(-2, 2, (n_atoms, 3)) @ cell, cell


@pytest.mark.parametrize(("lattice", "per_cell"), [("sc", 1), ("bcc", 2), ("fcc", 4)])
@pytest.mark.parametrize("cubic", [True, False])
def test_each_atom_of_a_cubic_crystal_has_its_share_of_the_cube(lattice: str, per_cell: int, cubic: bool) -> None:
    from ase.build import bulk

    atoms = bulk("Li", lattice, a=3.0, cubic=cubic)  # one atom alone with its images in the primitive cells
    volumes = everything(atoms.positions + 0.1, atoms.cell.array)
    np.testing.assert_allclose(volumes, 27.0 / per_cell, rtol=1e-5)


def test_a_layered_pair_of_atoms_shares_the_cell_at_the_bisecting_planes() -> None:
    positions = np.array([[0.0, 0, 0], [0, 0, 3.0]])  # planes at 1.5 and 6.5 of 10 Å
    np.testing.assert_allclose(everything(positions, np.diag([4.0, 5.0, 10.0])), [100.0, 100.0], rtol=1e-5)
    positions = np.array([[0.0, 0, 0], [0, 0, 3.0], [0, 0, 4.0]])  # thick 4.5, 2 and 3.5 Å
    np.testing.assert_allclose(everything(positions, np.diag([4.0, 5.0, 10.0])), [90.0, 40.0, 70.0], rtol=1e-5)


@few
@given(st.integers(0, 2**31))
def test_random_atoms_in_triclinic_cells_have_the_volumes_of_scipy_and_fill_the_cell(seed: int) -> None:
    positions, cell = triclinic_gas(seed)
    volumes = everything(positions, cell)
    np.testing.assert_allclose(volumes, from_scipy(positions, cell), rtol=1e-4)
    assert volumes.sum(dtype=np.float64) == pytest.approx(np.linalg.det(cell), rel=1e-5)


@few
@given(st.integers(0, 2**31))
def test_wrapping_translation_rotation_permutation_and_another_cell_of_the_lattice_leave_volumes(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    positions, cell = triclinic_gas(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(positions))
    mirrored = Rotation.random(rng=rng).as_matrix() * [1, 1, -1]  # a left-handed cell
    moved = positions + rng.integers(-3, 4, positions.shape) @ cell + rng.uniform(-5, 5, 3)
    other_cell = np.array([[1, 0, 0], [2, 1, 0], [-1, 1, 1]]) @ cell
    after = everything(moved[order] @ mirrored, other_cell @ mirrored)
    np.testing.assert_allclose(after, everything(positions, cell)[order], rtol=1e-4)


def test_real_lithium_has_the_volumes_of_scipy_and_all_atoms_fill_the_cell(real_run) -> None:  # type: ignore[no-untyped-def]
    frames = slice(0, 401, 200)
    positions, cells = real_run.positions[frames], real_run.cell[frames]
    lithium = real_run.symbols == "Li"
    volumes = voronoi_volumes(positions, cells, lithium)
    assert volumes.shape == (3, 48)
    assert volumes.dtype == np.float32
    for index in (0, 2):
        expected = from_scipy(positions[index].astype(np.float64), cells[index])
        np.testing.assert_allclose(volumes[index], expected[lithium], rtol=1e-5)
    rest = voronoi_volumes(positions, cells, ~lithium)
    total = volumes.sum(axis=1, dtype=np.float64) + rest.sum(axis=1, dtype=np.float64)
    np.testing.assert_allclose(total, np.linalg.det(cells), rtol=1e-6)


def test_a_cell_for_each_frame_is_used() -> None:
    positions, cell = triclinic_gas(1)
    cells = cell * np.array([1.0, 1.1])[:, None, None]
    frames = np.stack([positions, positions * 1.1])
    volumes = voronoi_volumes(frames, cells, np.arange(12) < 5)
    np.testing.assert_allclose(volumes[1], volumes[0] * 1.1**3, rtol=1e-4)


def test_frames_for_freud_keep_distances_and_lie_in_its_box() -> None:
    positions, cell = triclinic_gas(2)
    box, points = next(freud_frames(positions[None], cell[None]))
    np.testing.assert_allclose(box.wrap(points), points, atol=1e-5)
    found = box.compute_all_distances(points, points)
    fractional = (positions[:, None] - positions) @ np.linalg.inv(cell)
    expected = np.linalg.norm((fractional - np.round(fractional)) @ cell, axis=2)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_distribution_of_a_known_normal_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = np.random.default_rng(0).normal(20.0, 2.0, (50, 400)).astype(np.float32)
    whole = volume_distribution(sample, bin_width=0.5)
    assert whole.mean == pytest.approx(sample.mean(dtype=np.float64))
    assert whole.standard_deviation == pytest.approx(sample.std(dtype=np.float64), rel=1e-6)
    assert 0.3 < whole.mean_error / (2.0 / np.sqrt(sample.size)) < 2.0
    np.testing.assert_allclose(whole.quantiles, 20 + 2 * np.array([-1.645, -0.674, 0, 0.674, 1.645]), atol=0.1)
    centres = (whole.edges[:-1] + whole.edges[1:]) / 2
    normal = np.exp(-((centres - 20.0) ** 2) / 8.0) / np.sqrt(8.0 * np.pi)
    np.testing.assert_allclose(whole.density, normal, atol=0.012)
    assert whole.density.sum() * 0.5 == pytest.approx(1.0)
    np.testing.assert_allclose(whole.edges % 0.5, 0.0)
    monkeypatch.setattr(trajectory_arrays, "BLOCK_BYTES", 1)
    assert volume_distribution(sample, bin_width=0.5).standard_deviation == pytest.approx(whole.standard_deviation)


def test_the_error_of_the_mean_is_that_of_the_means_of_blocks_and_nan_for_one_frame() -> None:
    series = np.repeat([10.0, 12.0, 11.0, 13.0, 14.0], 4)[:, None]
    found = volume_distribution(series)
    assert found.mean_error == pytest.approx(np.std([10, 12, 11, 13, 14], ddof=1) / 5**0.5)
    assert np.isnan(volume_distribution(series[:1]).mean_error)


@pytest.mark.parametrize("second", [[1.0, 1, 1], [6.0, 1, -9], [1.000003, 1, 1]])
def test_atoms_at_one_place_are_refused_also_through_the_boundary(second: list[float]) -> None:
    frames = np.array([[[1.0, 1, 1], [3.0, 3, 3]], [[1.0, 1, 1], second]])
    with pytest.raises(BadInputError, match=r"atoms 0 and 1 of frame 1 are less than 0\.0001 Å"):
        voronoi_volumes(frames, 5 * np.eye(3), np.array([True, True]))


def test_bad_input_is_refused() -> None:
    with pytest.raises(BadInputError, match="centre mask selects none of 2"):
        voronoi_volumes(np.zeros((1, 2, 3)), np.eye(3), np.full(2, False))
    with pytest.raises(BadInputError, match=r"expected \(3, 3\) or \(1, 3, 3\)"):
        voronoi_volumes(np.zeros((1, 2, 3)), np.eye(2), np.full(2, True))
    with pytest.raises(BadInputError, match="give the result of voronoi_volumes"):
        volume_distribution(np.array([[1.0, -1.0]]))
    with pytest.raises(BadInputError, match="give the result of voronoi_volumes"):
        volume_distribution(np.array([[1.0, np.nan]]))
    with pytest.raises(BadInputError, match="expected a positive width and at least 2 blocks"):
        volume_distribution(np.ones((2, 2)), bin_width=0.0)
