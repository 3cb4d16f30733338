from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis import atom_blocks, displacement_moments, trajectory_arrays
from lipsdb.analysis.displacement_moments import displacement_moments as moments_of
from lipsdb.errors import BadInputError

few = settings(max_examples=15, deadline=None)


def random_walk(seed: int, n_frames: int = 60, n_atoms: int = 7) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 20, (1, n_atoms, 3)) + rng.normal(size=(n_frames, n_atoms, 3)).cumsum(axis=0)


def direct_sums(positions: np.ndarray, lags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    squares, fourth = [], []
    for lag in lags.tolist():
        steps = positions[lag:] - positions[: len(positions) - lag]
        squares.append((steps**2).mean(axis=(0, 1)))
        fourth.append(((steps**2).sum(axis=2) ** 2).mean())
    return np.array(squares), np.array(fourth)


@few
@given(st.integers(0, 2**31), st.integers(2, 40), st.integers(1, 6))
def test_random_walks_of_any_size_have_the_moments_of_direct_sums(seed: int, n_frames: int, n_atoms: int) -> None:
    positions = random_walk(seed, n_frames, n_atoms)
    lags = np.arange(n_frames)
    moments = moments_of(positions, lags, fourth=True)
    squares, fourth = direct_sums(positions, lags)
    np.testing.assert_allclose(moments.squares[0], squares, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(moments.fourth[0], fourth, rtol=1e-8, atol=1e-9)


def test_padding_by_the_longest_lag_wanted_is_enough() -> None:
    positions = random_walk(1, 50, 5)
    some = moments_of(positions, np.array([1, 12]), fourth=True)
    every = moments_of(positions, np.arange(50), fourth=True)
    np.testing.assert_allclose(some.squares[0], every.squares[0, [1, 12]], rtol=1e-10)
    np.testing.assert_allclose(some.fourth[0], every.fourth[0, [1, 12]], rtol=1e-10)


def test_groups_of_atoms_have_the_moments_of_these_atoms_alone() -> None:
    positions = random_walk(2)
    lags = np.array([1, 5, 20])
    moments = moments_of(positions, lags, n_groups=3, fourth=True)
    assert moments.n_atoms.tolist() == [2, 2, 3]
    for group, atoms in enumerate([slice(0, 2), slice(2, 4), slice(4, 7)]):
        squares, fourth = direct_sums(positions[:, atoms], lags)
        np.testing.assert_allclose(moments.squares[group], squares, rtol=1e-10)
        np.testing.assert_allclose(moments.fourth[group], fourth, rtol=1e-10)


def test_blocks_threads_and_precision_of_the_input_do_not_change_the_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    positions = random_walk(3).astype(np.float32)
    lags = np.array([1, 7, 40])
    whole = moments_of(positions, lags, fourth=True, threads=1)
    monkeypatch.setattr(trajectory_arrays, "BLOCK_BYTES", 1)
    monkeypatch.setattr(atom_blocks, "CACHE_BYTES", 1)
    one, two = (moments_of(positions.astype(">f8"), lags, fourth=True, threads=threads) for threads in (1, 2))
    np.testing.assert_allclose(one.fourth, whole.fourth, rtol=1e-11)
    np.testing.assert_allclose(one.squares, whole.squares, rtol=1e-11)
    assert (one.fourth == two.fourth).all()
    assert (one.squares == two.squares).all()


def test_where_an_atom_flies_far_between_small_steps_the_fourth_moment_keeps_its_digits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    positions = 0.1 * random_walk(4, 400, 6) + np.linspace(0.0, 300.0, 400)[:, None, None]
    lags = np.array([1, 2, 399])
    _, fourth = direct_sums(positions, lags)
    np.testing.assert_allclose(moments_of(positions, lags, fourth=True).fourth[0], fourth, rtol=1e-7)
    monkeypatch.setattr(displacement_moments, "MOST_ROUNDING", np.inf)  # by FFT alone they are lost
    assert abs(moments_of(positions, lags, fourth=True).fourth[0, 0] / fourth[0] - 1.0) > 1e-7


def test_more_groups_than_atoms_and_no_threads_are_refused() -> None:
    with pytest.raises(BadInputError, match="8 groups of 7 atoms are not allowed; expected 1 to 7 groups"):
        moments_of(random_walk(0), np.array([1]), n_groups=8)
    with pytest.raises(BadInputError, match="0 threads are not allowed"):
        moments_of(random_walk(0), np.array([1]), threads=0)
