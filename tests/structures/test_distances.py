from __future__ import annotations

import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.structures.distances import closest_pairs_below, least_heights


def random_frames(seed: int, n_frames: int, n_atoms: int, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    """Atoms anywhere, also far outside of their cells of 5 to 9 Å, tilted by up to `tilt` of an edge."""
    rng = np.random.default_rng(seed)
    cells = rng.uniform(5, 9, (n_frames, 3, 1)) * (np.eye(3) + tilt * np.tril(rng.uniform(-1, 1, (n_frames, 3, 3)), -1))
    rotations = np.linalg.qr(rng.normal(size=(n_frames, 3, 3)))[0]
    cells = cells @ rotations
    return rng.uniform(-1.5, 1.5, (n_frames, n_atoms, 3)) @ cells, cells


def brute_force(positions: np.ndarray, cells: np.ndarray, limit: float) -> np.ndarray:
    """All pairs with all images up to five cells away."""
    shifts = np.array(list(itertools.product(range(-5, 6), repeat=3)))
    shortest = []
    for frame, cell in zip(positions, cells, strict=True):
        one, other = np.triu_indices(len(frame), 1)
        offsets = (frame[other] - frame[one])[:, None] + (shifts @ cell)[None]
        distance = np.linalg.norm(offsets, axis=2).min(initial=np.inf)
        shortest.append(distance if distance < limit else np.inf)
    return np.array(shortest)


@pytest.mark.parametrize("tilt", [0.0, 0.5, 1.5])
def test_random_atoms_in_orthogonal_and_triclinic_cells_against_ase(tilt: float) -> None:
    positions, cells = random_frames(1, 40, 12, tilt)
    limit = 0.45 * least_heights(cells).min()
    expected = []
    for frame, cell in zip(positions, cells, strict=True):
        atoms = Atoms("Li12", positions=frame, cell=cell, pbc=True)
        first, second, distance = neighbor_list("ijd", atoms, float(limit))
        expected.append(distance[first != second].min(initial=np.inf))
    found = closest_pairs_below(positions, cells, float(limit))
    assert np.isfinite(found).any()
    np.testing.assert_allclose(found, expected, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.floats(0, 1.2), st.floats(0.05, 0.49))
def test_random_atoms_against_all_pairs_of_images(seed: int, n_atoms: int, tilt: float, fraction: float) -> None:
    positions, cells = random_frames(seed, 3, n_atoms, tilt)
    limit = float(fraction * least_heights(cells).min())
    np.testing.assert_allclose(
        closest_pairs_below(positions, cells, limit), brute_force(positions, cells, limit), atol=1e-12
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.floats(-20, 20), min_size=3, max_size=3))
def test_translation_wrapping_and_order_of_atoms_change_nothing(seed: int, shift: list[float]) -> None:
    positions, cells = random_frames(seed, 4, 10, 0.8)
    limit = float(0.4 * least_heights(cells).min())
    expected = closest_pairs_below(positions, cells, limit)
    rng = np.random.default_rng(seed)
    moved = positions + np.array(shift) + rng.integers(-3, 4, positions.shape) @ cells
    moved = rng.permutation(moved, axis=1)
    found = closest_pairs_below(moved, cells, limit)
    # a distance within rounding of the limit may fall on either side
    near = np.abs(np.where(np.isfinite(expected), expected, found) - limit) < 1e-9
    np.testing.assert_allclose(found[~near], expected[~near], atol=1e-9)


def test_pair_across_each_face_edge_and_corner() -> None:
    cell = np.array([[6.0, 0, 0], [4.0, 5.0, 0], [2.0, 3.0, 7.0]])
    for signs in itertools.product((0, 1), repeat=3):
        corner = np.array(signs, dtype=float) @ cell
        positions = np.array([[[0.1, 0.0, 0.0], corner - [0.1, 0.1, 0.1]]])
        assert closest_pairs_below(positions, cell[None], 0.4)[0] == pytest.approx(np.sqrt(0.04 + 0.01 + 0.01))


def test_two_atoms_on_the_same_spot_and_one_alone() -> None:
    cells = 5 * np.eye(3)[None]
    assert closest_pairs_below(np.ones((1, 2, 3)), cells, 0.4)[0] == 0
    assert closest_pairs_below(np.ones((1, 1, 3)), cells, 0.4)[0] == np.inf


def test_more_frames_than_are_worked_on_at_once() -> None:
    positions = np.zeros((1000, 2, 3))
    positions[:, 1] = 2.0
    positions[[0, 255, 256, 999], 1] = 0.1
    found = closest_pairs_below(positions, np.broadcast_to(5 * np.eye(3), (1000, 3, 3)), 0.4)
    assert np.flatnonzero(np.isfinite(found)).tolist() == [0, 255, 256, 999]


def test_heights_of_a_tilted_cell_are_volume_over_face() -> None:
    _, cells = random_frames(2, 20, 1, 1.0)
    a, b, c = cells[:, 0], cells[:, 1], cells[:, 2]
    faces = np.stack([np.linalg.norm(np.cross(*pair), axis=1) for pair in ((b, c), (c, a), (a, b))])
    np.testing.assert_allclose(least_heights(cells), (np.abs(np.linalg.det(cells)) / faces).min(axis=0))
