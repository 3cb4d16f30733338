from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis import trajectory_arrays
from lipsdb.analysis.coordination import coordination_numbers, fraction_with_coordination
from lipsdb.errors import BadInputError


def from_ase(positions: np.ndarray, cell: np.ndarray, centres: np.ndarray, neighbours: np.ndarray, cutoff: float):
    from ase import Atoms
    from ase.neighborlist import neighbor_list

    atoms = Atoms(numbers=np.ones(len(positions)), positions=positions, cell=cell, pbc=True)
    first, second = neighbor_list("ij", atoms, cutoff)
    return np.bincount(first[neighbours[second]], minlength=len(positions))[centres]


@pytest.mark.parametrize(("lattice", "expected"), [("sc", 6), ("bcc", 8), ("fcc", 12), ("diamond", 4)])
@pytest.mark.parametrize("cubic", [True, False])
def test_perfect_crystals_have_their_coordination(lattice: str, expected: int, cubic: bool) -> None:
    from ase.build import bulk

    atoms = bulk("C", lattice, a=4.0, cubic=cubic)
    nearest = {"sc": 4.0, "bcc": 4.0 * 3**0.5 / 2, "fcc": 4.0 / 2**0.5, "diamond": 4.0 * 3**0.5 / 4}[lattice]
    everything = np.full(len(atoms), True)
    counts = coordination_numbers(atoms.positions[None], atoms.cell.array, everything, everything, 1.05 * nearest)
    assert (counts == expected).all()


def test_sheared_rocksalt_cell_has_six_unlike_and_twelve_like_neighbours() -> None:
    from ase.build import bulk, make_supercell

    skewed = make_supercell(bulk("LiF", "rocksalt", a=4.0), [[2, 0, 0], [3, 2, 0], [-2, 5, 2]])
    angles = skewed.cell.angles()
    assert min(angles) < 60 or max(angles) > 120
    lithium = skewed.numbers == 3
    position = skewed.positions[None]
    assert (coordination_numbers(position, skewed.cell.array, lithium, ~lithium, 2.1) == 6).all()
    assert (coordination_numbers(position, skewed.cell.array, lithium, lithium, 2.9) == 12).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.floats(1.0, 7.0))
def test_random_atoms_in_random_triclinic_cells_agree_with_ase(seed: int, cutoff: float) -> None:
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(3, 8, 3)) + np.tril(rng.uniform(-6, 6, (3, 3)), -1)
    positions = rng.uniform(-2, 2, (10, 3)) @ cell  # also outside the cell
    centres, neighbours = rng.random(10) < 0.5, rng.random(10) < 0.7
    centres[0] = neighbours[1] = True
    counts = coordination_numbers(positions[None], cell, centres, neighbours, cutoff)[0]
    np.testing.assert_array_equal(counts, from_ase(positions, cell, centres, neighbours, cutoff))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_wrapping_translation_rotation_and_permutation_leave_the_numbers(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    cell = np.array([[7.0, 0, 0], [2.0, 6.0, 0], [-1.0, 3.0, 8.0]])
    fractional = rng.random((12, 3))
    mask = np.arange(12) < 5
    counts = coordination_numbers((fractional @ cell)[None], cell, mask, ~mask, 3.0)[0]
    rotation = Rotation.random(rng=rng).as_matrix()
    shifted = fractional + rng.integers(-3, 4, (12, 3)) + rng.random(3)
    order = np.concatenate([rng.permutation(5), 5 + rng.permutation(7)])
    changed = coordination_numbers((shifted[order] @ cell @ rotation)[None], cell @ rotation, mask, ~mask, 3.0)[0]
    np.testing.assert_array_equal(changed, counts[order[:5]])


def test_a_cell_for_each_frame_and_blocks_of_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    cells = np.eye(3) * rng.uniform(5, 8, (6, 1, 1)) + np.tril(rng.uniform(-1, 1, (6, 3, 3)), -1)
    positions = rng.random((6, 9, 3)) @ cells
    mask = np.arange(9) < 3
    together = coordination_numbers(positions, cells, mask, ~mask, 3.0)
    each = [coordination_numbers(positions[i : i + 1], cells[i], mask, ~mask, 3.0)[0] for i in range(6)]
    np.testing.assert_array_equal(together, each)
    monkeypatch.setattr(trajectory_arrays, "BLOCK_BYTES", 1)
    np.testing.assert_array_equal(coordination_numbers(positions, cells, mask, ~mask, 3.0), together)


def test_fraction_of_fourfold_centres_in_each_frame() -> None:
    counts = np.array([[4, 4, 4, 4], [4, 3, 4, 5]])
    np.testing.assert_allclose(fraction_with_coordination(counts, 4), [1.0, 0.5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": np.eye(2)}, r"expected \(3, 3\) or \(1, 3, 3\)"),
        ({"cell": np.zeros((3, 3))}, "has no volume"),
        ({"cutoff": 0.0}, "cutoff is 0.0 Å; expected a positive number"),
        ({"centre_mask": np.full(4, False)}, "centre mask selects none of 4"),
        ({"positions": np.zeros((4, 3))}, "expected \\(n_frames, n_atoms, 3\\)"),
    ],
)
def test_bad_input_is_refused(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "positions": np.zeros((1, 4, 3)),
        "cell": 5.0 * np.eye(3),
        "centre_mask": np.full(4, True),
        "neighbour_mask": np.full(4, True),
        "cutoff": 2.0,
    }
    with pytest.raises(BadInputError, match=message):
        coordination_numbers(**(arguments | change))  # type: ignore[arg-type]


def test_a_fraction_of_what_is_no_table_of_counts_is_refused() -> None:
    with pytest.raises(BadInputError, match="whole numbers"):
        fraction_with_coordination(np.zeros((2, 2)), 4)
