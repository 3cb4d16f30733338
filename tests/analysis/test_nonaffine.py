from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis.nonaffine import cumulative_nonaffine_displacement, nonaffine_squared_displacement
from lipsdb.errors import BadInputError

SKEWED = np.array([[9.0, 0, 0], [2.0, 8.0, 0], [-3.0, 3.0, 10.0]])


def one_atom_at_a_time(
    positions: np.ndarray, cells: np.ndarray, centres: np.ndarray, others: np.ndarray, cutoff: float
):
    """D²_min between two frames from its definition: least squares for each atom on ASE's neighbours."""
    from ase import Atoms
    from ase.neighborlist import neighbor_list

    start, end = positions.astype(np.float64)
    atoms = Atoms(numbers=np.ones(len(start)), positions=start, cell=cells[0], pbc=True)
    first, second, shift = neighbor_list("ijS", atoms, cutoff)
    squared = []
    for atom in np.flatnonzero(centres):
        chosen = (first == atom) & others[second]
        before = start[second[chosen]] + shift[chosen] @ cells[0] - start[atom]
        after = end[second[chosen]] + shift[chosen] @ cells[1] - end[atom]
        best = np.linalg.lstsq(before, after, rcond=1e-6)[0]
        squared.append(((after - before @ best) ** 2).sum())
    return np.array(squared)


def moving_atoms(rng: np.random.Generator, n_frames: int = 3, n_atoms: int = 20) -> np.ndarray:
    steps = 0.3 * rng.normal(size=(n_frames, n_atoms, 3))
    return rng.random((n_atoms, 3)) @ SKEWED + np.cumsum(steps, axis=0)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_strain_rotation_and_translation_of_random_atoms_leave_nothing(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    start = rng.uniform(-1, 2, (20, 3)) @ SKEWED
    change = (np.eye(3) + rng.uniform(-0.2, 0.2, (3, 3))) @ Rotation.random(rng=rng).as_matrix()
    positions = np.stack([start, start @ change + rng.uniform(-5, 5, 3)])
    everything = np.full(20, True)
    result = nonaffine_squared_displacement(
        positions, np.stack([SKEWED, SKEWED @ change]), everything, everything, cutoff=6.0, window=1
    )
    assert result.neighbours.min() > 3
    assert result.squared.max() < 1e-22 * 6.0**2 * result.neighbours.max()  # of the squared distances, to rounding


@pytest.mark.parametrize(("lattice", "number"), [("sc", 6), ("fcc", 12), ("bcc", 14)])
def test_one_displaced_atom_of_a_crystal(lattice: str, number: int) -> None:
    from ase.build import bulk

    atoms = bulk("C", lattice, a=4.0, cubic=True) * (3, 3, 3)
    cutoff = {"sc": 4.1, "fcc": 3.0, "bcc": 4.1}[lattice]
    displacement = np.array([0.3, -0.1, 0.2])
    positions = np.stack([atoms.positions, atoms.positions])
    positions[1, 0] += displacement
    everything = np.full(len(atoms), True)
    result = nonaffine_squared_displacement(
        positions, atoms.cell.array, everything, everything, cutoff=cutoff, window=1
    )
    # Its neighbours are symmetric about it, so that no strain helps: each seems to move by minus the displacement.
    assert result.neighbours[0, 0] == number
    assert result.squared[0, 0] == pytest.approx(number * displacement @ displacement, rel=1e-12)
    slow = one_atom_at_a_time(positions, np.stack([atoms.cell.array] * 2), everything, everything, cutoff)
    np.testing.assert_allclose(result.squared[0], slow, atol=1e-12)
    assert (result.squared[0] > 1e-10).sum() == number + 1


@pytest.mark.parametrize(("framework", "cutoff"), [(False, 6.0), (True, 8.0)])  # half the cell is 6.1 Å
def test_lithium_of_the_real_run_agrees_with_least_squares_atom_by_atom(
    real_run, framework: bool, cutoff: float
) -> None:
    lithium = real_run.symbols == "Li"
    others = ~lithium if framework else np.full(len(lithium), True)
    result = nonaffine_squared_displacement(
        real_run.positions, real_run.cell, lithium, others, cutoff=cutoff, window=20, stride=150
    )
    assert result.start.tolist() == [0, 150, 300]
    for row, first in enumerate(result.start.tolist()):
        ends = [first, first + 20]
        slow = one_atom_at_a_time(real_run.positions[ends], real_run.cell[ends], lithium, others, cutoff)
        np.testing.assert_allclose(result.squared[row], slow, rtol=1e-10)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_images_translation_rotation_permutation_and_another_cell_leave_the_result(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    positions = moving_atoms(rng)
    mask, others = np.arange(20) < 7, rng.random(20) < 0.9
    others[:2] = True
    result = nonaffine_squared_displacement(positions, SKEWED, mask, others, cutoff=6.0, window=1)
    rotation = Rotation.random(rng=rng).as_matrix()
    order = np.concatenate([rng.permutation(7), 7 + rng.permutation(13)])
    images = rng.integers(-2, 3, (20, 3)) @ SKEWED  # the same in all frames: still unwrapped
    changed = nonaffine_squared_displacement(
        ((positions + images + rng.normal(size=3)) @ rotation)[:, order],
        np.array([[1, 0, 0], [-1, 1, 0], [2, 1, 1]]) @ SKEWED @ rotation,
        mask,
        others[order],
        cutoff=6.0,
        window=1,
    )
    np.testing.assert_array_equal(changed.neighbours, result.neighbours[:, order[:7]])
    np.testing.assert_allclose(changed.squared, result.squared[:, order[:7]], rtol=1e-8, atol=1e-10)


def test_neighbours_in_a_plane_get_the_least_squares_minimum() -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(3)
    tilt = Rotation.random(rng=rng).as_matrix()  # so that rounding puts the atoms beside the plane
    layer = np.column_stack([rng.uniform(0, 8, (12, 2)), np.zeros(12)]) @ tilt
    positions = np.stack([layer, layer + 0.2 * rng.normal(size=(12, 3))])
    cells = np.stack([np.diag([8.0, 8.0, 50.0]) @ tilt] * 2)
    everything = np.full(12, True)
    result = nonaffine_squared_displacement(positions, cells, everything, everything, cutoff=5.0, window=1)
    slow = one_atom_at_a_time(positions, cells, everything, everything, 5.0)
    np.testing.assert_allclose(result.squared[0], slow, rtol=1e-10)
    assert result.squared.min() > 0.01


def test_three_neighbours_or_none_give_zero_and_say_so() -> None:
    rng = np.random.default_rng(0)
    start = np.array([[0, 0, 0], [1, 0, 0], [0, 1.1, 0], [0.2, 0.1, 1.2], [10, 10, 10]])
    positions = np.stack([start, start + rng.normal(size=(5, 3))])
    result = nonaffine_squared_displacement(
        positions, 20.0 * np.eye(3), np.array([True, False, False, False, True]), np.full(5, True), cutoff=2.0, window=1
    )
    assert result.neighbours.tolist() == [[3, 0]]
    assert result.squared.max() < 1e-20


def test_windows_average_and_cells_of_each_frame() -> None:
    rng = np.random.default_rng(5)
    positions = moving_atoms(rng, n_frames=8)
    everything = np.full(20, True)
    cells = SKEWED * np.linspace(1.0, 1.02, 8)[:, None, None]
    together = nonaffine_squared_displacement(positions, cells, everything, everything, cutoff=5.0, window=3)
    assert together.start.tolist() == [0, 3]
    for row, first in enumerate([0, 3]):
        pair = [first, first + 3]
        alone = nonaffine_squared_displacement(
            positions[pair], cells[pair], everything, everything, cutoff=5.0, window=1, average=True
        )
        np.testing.assert_allclose(alone.squared[0] * together.neighbours[row], together.squared[row], rtol=1e-12)
    every = nonaffine_squared_displacement(positions, cells, everything, everything, cutoff=5.0, window=3, stride=1)
    np.testing.assert_array_equal(every.squared[[0, 3]], together.squared)
    assert every.start.tolist() == [0, 1, 2, 3, 4]


def test_cumulative_displacement_sums_the_roots_in_blocks() -> None:
    squared = np.array([[1.0, 4.0], [9.0, 0.0], [16.0, 25.0], [4.0, 1.0], [100.0, 100.0]])
    np.testing.assert_allclose(cumulative_nonaffine_displacement(squared, increments=2), [[4.0, 2.0], [6.0, 6.0]])
    np.testing.assert_allclose(cumulative_nonaffine_displacement(squared), [[20.0, 18.0]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 3}, r"windows of 3 frames every 3 frames of 3; expected a window from 1 to 2"),
        ({"window": 0}, "windows of 0 frames"),
        ({"stride": 0}, "every 0 frames"),
        ({"cutoff": -1.0}, "cutoff is -1.0 Å"),
        ({"cell": np.eye(2)}, r"expected \(3, 3\) or \(3, 3, 3\)"),
        ({"cell": np.zeros((3, 3))}, "has no volume"),
        ({"centre_mask": np.full(4, False)}, "centre mask selects none"),
        ({"neighbour_mask": np.full(3, True)}, "neighbour mask is bool of shape"),
    ],
)
def test_bad_input_is_refused(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "positions": np.zeros((3, 4, 3)),
        "cell": 5.0 * np.eye(3),
        "centre_mask": np.full(4, True),
        "neighbour_mask": np.full(4, True),
        "cutoff": 2.0,
        "window": 1,
    }
    with pytest.raises(BadInputError, match=message):
        nonaffine_squared_displacement(**(arguments | change))  # type: ignore[arg-type]


def test_bad_increments_and_values_are_refused() -> None:
    with pytest.raises(BadInputError, match="blocks of 3 windows of 2"):
        cumulative_nonaffine_displacement(np.ones((2, 2)), increments=3)
    with pytest.raises(BadInputError, match="of 0 or more"):
        cumulative_nonaffine_displacement([[-1.0]])
