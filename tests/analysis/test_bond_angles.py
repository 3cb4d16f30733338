from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis.bond_angles import bond_angles
from lipsdb.errors import BadInputError

TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 3**0.5
PS4 = ["P", "S", "S", "S", "S"]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_tetrahedron_anywhere_in_any_cell_wrapped_or_not_has_109_47_degrees(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    cell = np.array([[7.0, 0, 0], [2.0, 6.5, 0], [-1.0, 3.0, 7.5]]) @ Rotation.random(rng=rng).as_matrix()
    unit = np.concatenate([[[0, 0, 0]], 2.05 * TETRAHEDRON @ Rotation.random(rng=rng).as_matrix()])
    images = rng.integers(-2, 3, (3, 5, 3)) @ cell
    order = rng.permutation(5)
    positions = (unit + 10 * rng.random(3) + images)[:, order]
    result = bond_angles(positions, cell, np.array(PS4)[order])
    assert result.mean == pytest.approx(np.degrees(np.arccos(-1 / 3)), abs=1e-6)
    assert result.standard_deviation == pytest.approx(0.0, abs=1e-3)
    assert (result.n_angles, result.bonds_per_centre) == (18, 4.0)
    assert result.density[109] == pytest.approx(1.0)
    assert result.peak == 109.5


def test_octahedra_of_rocksalt_have_twelve_right_and_three_straight_angles_even_in_the_primitive_cell() -> None:
    from ase.build import bulk

    crystal = bulk("LiF", "rocksalt", a=4.0)
    result = bond_angles(
        crystal.positions[None], crystal.cell.array, ["Li", "F"], centre="Li", neighbour="F", bin_width_deg=2.0
    )
    assert (result.n_angles, result.bonds_per_centre) == (15, 6.0)
    assert result.mean == pytest.approx(108.0)
    assert result.standard_deviation == pytest.approx(36.0)
    assert result.density[-1] == pytest.approx(3 / 15 / 2)
    assert result.density[44:46].sum() == pytest.approx(12 / 15 / 2)


def test_bonds_without_order_are_even_per_solid_angle_and_follow_the_sine_per_degree() -> None:
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(200, 60, 3))
    directions *= 2.0 / np.linalg.norm(directions, axis=2, keepdims=True)
    positions = np.concatenate([np.zeros((200, 1, 3)), directions], axis=1)
    arguments = (positions, 20.0 * np.eye(3), ["P"] + ["S"] * 60)
    result = bond_angles(*arguments, bin_width_deg=5.0)
    np.testing.assert_allclose(result.density, np.sin(np.radians(result.angle)) * np.pi / 360, atol=3e-4)
    assert result.mean == pytest.approx(90.0, abs=5 * result.mean_error)
    assert 0.02 < result.mean_error < 0.3
    flat = bond_angles(*arguments, bin_width_deg=5.0, per_solid_angle=True)
    assert flat.density.sum() * 5.0 == pytest.approx(1.0)
    np.testing.assert_allclose(flat.density[1:-1], 1 / 180, rtol=0.1)
    assert flat.mean == result.mean
    middle = slice(6, 30)
    deviation = (flat.density - 1 / 180)[middle] / flat.density_error[middle]
    assert 0.5 < deviation.std() < 2.0


def test_agrees_with_mdanalysis_on_a_real_run_and_is_nearly_tetrahedral(real_run) -> None:
    from ase import Atoms
    from ase.neighborlist import neighbor_list
    from MDAnalysis.lib.distances import calc_angles

    frames = slice(0, 401, 40)
    expected = []
    for position, cell in zip(real_run.positions[frames], real_run.cell[frames], strict=True):
        atoms = Atoms(real_run.symbols, position, cell=cell, pbc=True)
        first, second = neighbor_list("ij", atoms, {("P", "S"): 2.5})
        for phosphorus in np.flatnonzero(real_run.symbols == "P"):
            sulphur = second[first == phosphorus]
            i, j = np.triu_indices(len(sulphur), 1)
            ends = position[sulphur[i]], np.repeat(position[None, phosphorus], len(i), axis=0), position[sulphur[j]]
            expected.append(np.degrees(calc_angles(*ends, box=np.append(np.diag(cell), [90, 90, 90]))))
    angles = np.concatenate(expected)
    result = bond_angles(real_run.positions[frames], real_run.cell[frames], real_run.symbols)
    assert result.n_angles == len(angles) == 11 * 16 * 6
    assert result.mean == pytest.approx(angles.mean(), abs=1e-4)
    assert result.standard_deviation == pytest.approx(angles.std(), abs=1e-4)
    counts = np.histogram(angles, result.edges)[0]
    assert np.abs(result.density * result.n_angles - counts).sum() <= 4  # at an edge, in MDAnalysis' precision
    assert result.mean == pytest.approx(109.4, abs=0.5)


def test_a_cell_for_each_frame_and_errors_from_blocks() -> None:
    cells = np.eye(3) * np.array([8.0, 9.0, 10.0, 11.0])[:, None, None]
    bent = np.array([[0, 0, 0], [2.0, 0, 0], [0, 2.0, 0]], dtype=np.float32)
    straight = np.array([[0, 0, 0], [2.0, 0, 0], [-2.0, 0, 0]], dtype=np.float32)
    positions = np.array([bent, bent, straight, straight])
    result = bond_angles(positions, cells, ["P", "S", "S"], n_blocks=2)
    assert result.mean == pytest.approx(135.0)
    assert result.standard_deviation == pytest.approx(45.0)
    assert result.mean_error == pytest.approx(45.0)  # two blocks: 90 and 180
    assert np.isnan(bond_angles(positions[:1], cells[0], ["P", "S", "S"]).mean_error)


def test_blocks_without_an_angle_are_left_out() -> None:
    bent, straight = ([[0, 0, 0], [2.0, 0, 0], end] for end in ([0, 2.0, 0], [-2.0, 0, 0]))
    apart = [[0, 0, 0], [4.0, 0, 0], [0, 4.0, 0]]
    result = bond_angles(np.array([bent, apart, straight, apart]), 12.0 * np.eye(3), ["P", "S", "S"], n_blocks=4)
    assert (result.n_angles, result.mean, result.bonds_per_centre) == (2, pytest.approx(135.0), 1.0)
    assert result.mean_error == pytest.approx(45.0)  # of the two blocks that have one
    assert np.isfinite(result.density_error).all()
    alone = bond_angles(np.array([bent, apart]), 12.0 * np.eye(3), ["P", "S", "S"])
    assert (alone.mean, np.isnan(alone.mean_error)) == (pytest.approx(90.0), True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"centre": "Ge"}, "Ge is not in the trajectory; its species are P, S"),
        ({"cutoff_A": 1.0}, "within 1 Å no P has two S"),
        ({"cutoff_A": 0.0}, "cutoff is 0.0 Å"),
        ({"bin_width_deg": 7.0}, "expected 180° to be a whole number of bins"),
        ({"bin_width_deg": 0.0}, "expected 180° to be a whole number of bins"),
        ({"symbols": PS4[:3]}, "expected 5 chemical symbols"),
    ],
)
def test_bad_input_is_refused(change: dict[str, object], message: str) -> None:
    positions = np.concatenate([[[0, 0, 0]], 2.05 * TETRAHEDRON])[None]
    arguments: dict[str, object] = {"positions": positions, "cell": 8.0 * np.eye(3), "symbols": PS4}
    with pytest.raises(BadInputError, match=message):
        bond_angles(**(arguments | change))  # type: ignore[arg-type]
