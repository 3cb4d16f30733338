from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsdb.errors import BadInputError
from lipsdb.potentials.training_set import LabelledFrames, grouped_split

trajectories = st.dictionaries(st.sampled_from(["beta", "gamma", "glass 1", "Li2S"]), st.integers(1, 60), min_size=1)
fractions = st.floats(0.01, 0.9)
lengths = st.integers(1, 25)
seeds = st.integers(0, 2**31)


def frames_of(trajectories: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    groups = np.repeat(list(trajectories), list(trajectories.values()))
    return groups, np.concatenate([np.arange(n) for n in trajectories.values()])


@given(trajectories, fractions, lengths, seeds)
def test_no_block_of_a_trajectory_lies_on_both_sides_and_each_gives_its_fraction(lengths_of, fraction, length, seed):
    groups, frames = frames_of(lengths_of)
    held = grouped_split(groups, frames, held_fraction=fraction, block_length=length, seed=seed)
    for group, n in lengths_of.items():
        sides = held[groups == group]
        blocks = [sides[i : i + length] for i in range(0, n, length)]
        assert all(block.all() or not block.any() for block in blocks)
        n_held = sum(block.all() for block in blocks)
        if len(blocks) == 1:
            assert n_held == 0
        else:
            assert 1 <= n_held < len(blocks)
            assert n_held == np.clip(round(fraction * len(blocks)), 1, len(blocks) - 1)


@given(trajectories, fractions, lengths, seeds, st.randoms())
def test_shuffled_frames_are_split_alike(lengths_of, fraction, length, seed, random):
    groups, frames = frames_of(lengths_of)
    order = np.array(random.sample(range(len(frames)), len(frames)))
    options = {"held_fraction": fraction, "block_length": length, "seed": seed}
    held = grouped_split(groups, frames, **options)
    np.testing.assert_array_equal(grouped_split(groups[order], frames[order], **options), held[order])


@given(st.integers(2, 60), st.integers(1, 60), fractions, lengths, seeds)
def test_adding_a_trajectory_leaves_the_others_split(n_beta, n_gamma, fraction, length, seed):
    options = {"held_fraction": fraction, "block_length": length, "seed": seed}
    alone = grouped_split(*frames_of({"beta": n_beta}), **options)
    np.testing.assert_array_equal(grouped_split(*frames_of({"beta": n_beta, "a": n_gamma}), **options)[:n_beta], alone)


def test_block_length_by_group_takes_single_points_one_by_one_and_seeds_differ():
    groups, frames = frames_of({"trajectory": 100, "points": 100})
    options = {"held_fraction": 0.1, "block_length": {"trajectory": 20, "points": 1}}
    held = grouped_split(groups, frames, **options, seed=3)
    assert held[:100].sum() == 20
    assert held[100:].sum() == 10
    assert (held != grouped_split(groups, frames, **options, seed=4)).any()
    assert not grouped_split(groups, frames, held_fraction=0, block_length=20, seed=3).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"held_fraction": 1.0}, "held_fraction is 1.0: give a fraction from 0 to below 1"),
        ({"block_length": 0}, "block_length of group 'a' is 0"),
        ({"block_length": {"b": 3}}, r"no entry for group 'a': it has \['b'\]"),
    ],
)
def test_options_that_are_not_allowed_are_named(options, message):
    with pytest.raises(BadInputError, match=message):
        grouped_split("aaaa", range(4), **{"held_fraction": 0.5, "block_length": 1, "seed": 1, **options})


def test_labels_of_wrong_shape_or_nan_are_refused():
    arrays = {"positions": np.zeros((2, 3, 3)), "cells": np.zeros((2, 3, 3)), "forces": np.zeros((2, 3, 3))}
    with pytest.raises(BadInputError, match=r"forces has shape \(2, 2, 3\), but 2 energies and 3 atomic numbers"):
        LabelledFrames(numbers=[3, 15, 16], energies=[0, 0], **{**arrays, "forces": np.zeros((2, 2, 3))})
    with pytest.raises(BadInputError, match="energies of frame 1 is not finite"):
        LabelledFrames(numbers=[3, 15, 16], energies=[0, np.nan], **arrays)
