from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis.neighbour_pairs import neighbour_pairs
from lipsdb.errors import BadInputError


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.floats(1.0, 9.0))
def test_pairs_of_random_atoms_in_random_triclinic_cells_agree_with_ase(seed: int, cutoff: float) -> None:
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(3, 8, 3)) + np.tril(rng.uniform(-6, 6, (3, 3)), -1)
    position = rng.uniform(-2, 2, (8, 3)) @ cell  # also outside the cell
    everything = np.arange(8)
    pairs = neighbour_pairs(position, cell, everything, everything, cutoff)
    atoms = Atoms(numbers=np.ones(8), positions=position, cell=cell, pbc=True)
    first, second, distance, shift = neighbor_list("ijdS", atoms, cutoff)
    order = np.lexsort(np.column_stack([shift, second, first]).T[::-1])
    ours = np.lexsort(np.column_stack([pairs.shift, pairs.neighbour, pairs.centre]).T[::-1])
    assert len(pairs.distance) == len(distance)
    np.testing.assert_array_equal(pairs.shift[ours], shift[order])
    np.testing.assert_array_equal(pairs.neighbour[ours], second[order])
    np.testing.assert_allclose(pairs.distance[ours], distance[order], atol=1e-12)
    vector = position[pairs.neighbour] - position[pairs.centre] + pairs.shift @ cell
    np.testing.assert_allclose(pairs.vector, vector, atol=1e-12)
    assert (np.diff(pairs.centre) >= 0).all()


def test_two_atoms_at_one_place_are_neighbours() -> None:
    pairs = neighbour_pairs(np.zeros((2, 3)), 5.0 * np.eye(3), [0, 1], [0, 1], 1.0)
    assert pairs.centre.tolist() == [0, 1]
    assert pairs.neighbour.tolist() == [1, 0]


def test_a_cutoff_of_zero_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"cutoff is 0\.0 Å"):
        neighbour_pairs(np.zeros((3, 3)), np.eye(3), [0], [1], 0.0)
