from __future__ import annotations

import numpy as np
import pytest
from ase.neighborlist import primitive_neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.neighbours import half_list, neighbour_list

CELLS = {
    "triclinic": np.array([[9.0, 0.3, -0.8], [2.5, 8.0, 0.4], [-1.0, 1.5, 10.0]]),
    "left_handed": np.array([[0.0, 9.0, 0.5], [8.0, 0.0, 0.0], [1.0, 0.0, 9.0]]),
    "smaller_than_the_cutoff": np.array([[3.0, 0.0, 0.0], [0.7, 3.2, 0.0], [0.0, -0.5, 3.1]]),
    "needle": np.array([[2.5, 0.0, 0.0], [0.0, 2.6, 0.0], [0.0, 1.0, 40.0]]),
}


def _sorted_pairs(centre, index, shifts, vectors):
    order = np.lexsort((*shifts.T, index, centre))
    return centre[order], index[order], shifts[order], vectors[order]


@pytest.mark.parametrize("name", CELLS)
def test_pairs_are_those_of_ase(name):
    cell = CELLS[name]
    positions = np.random.default_rng(3).uniform(-1.5, 2.5, (7, 3)) @ cell  # many of them outside of the cell
    found = neighbour_list(positions, cell, 5.0)
    i, j, shifts, vectors = primitive_neighbor_list("ijSD", [True] * 3, cell, positions, 5.0)
    for ours, theirs in zip(
        _sorted_pairs(found.centre, found.index, found.shifts, found.vectors),
        _sorted_pairs(i, j, shifts, vectors),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_half_a_list_has_each_pair_once(name):
    cell = CELLS[name]
    positions = np.random.default_rng(4).uniform(0.0, 1.0, (5, 3)) @ cell
    pairs, shifts = half_list(positions, cell, 5.0)
    both = np.concatenate((np.column_stack((pairs, shifts)), np.column_stack((pairs[:, ::-1], -shifts))))
    whole = neighbour_list(positions, cell, 5.0)
    expected = np.column_stack((whole.centre, whole.index, whole.shifts))
    assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, expected.tolist()))


@given(seed=st.integers(0, 2**32 - 1), moved=st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_another_image_of_an_atom_has_the_same_neighbours(seed, moved):
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0.0, 1.0, (6, 3)) @ CELLS["triclinic"]
    elsewhere = positions.copy()
    elsewhere[moved] += rng.integers(-3, 4, 3) @ CELLS["triclinic"]
    lists = [neighbour_list(x, CELLS["triclinic"], 5.0) for x in (positions, elsewhere)]
    np.testing.assert_array_equal(lists[0].first, lists[1].first)
    distances = [sorted(zip(found.centre, np.linalg.norm(found.vectors, axis=1), strict=True)) for found in lists]
    np.testing.assert_allclose(distances[0], distances[1], rtol=1e-12)


def test_an_atom_without_neighbours_has_an_empty_range():
    found = neighbour_list([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [10.0, 10.0, 10.0]], 20.0 * np.eye(3), 5.0)
    assert found.first.tolist() == [0, 1, 2, 2]
    assert found.index.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("positions", "cell", "message"),
    [
        (np.zeros((2, 2)), np.eye(3), r"positions have shape \(2, 2\) and the cell \(3, 3\)"),
        (np.full((2, 3), np.nan), np.eye(3), "is not finite"),
        (np.zeros((2, 3)), np.ones((3, 3)), "has no volume: give three independent cell vectors"),
    ],
)
def test_arrays_that_are_no_frame_are_refused(positions, cell, message):
    with pytest.raises(BadInputError, match=message):
        neighbour_list(positions, cell, 5.0)
