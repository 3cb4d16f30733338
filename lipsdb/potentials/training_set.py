"""Labelled frames as arrays, and their split into training and held-out frames."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.errors import BadInputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LabelledFrames:
    """Frames of one system (same atoms in the same order) with their DFT labels.

    Parameters
    ----------
    numbers : (n_atoms,) array
        Atomic numbers.
    positions : (n_frames, n_atoms, 3) array, Å
    cells : (n_frames, 3, 3) array, Å
        Cell vectors as rows.
    energies : (n_frames,) array, eV
        Total energies.
    forces : (n_frames, n_atoms, 3) array, eV/Å
    virials : (n_frames, 3, 3) array, eV, or None
        Minus the derivative of the energy with respect to strain, -dE/dε, so that stress = -virial / volume
        (tension positive). None if the system has no virial labels.

    Raises
    ------
    BadInputError
        If a shape does not fit the others, or a value is not finite.

    Examples
    --------
    >>> frames = LabelledFrames([3, 3], np.zeros((4, 2, 3)), np.ones((4, 3, 3)), np.zeros(4), np.zeros((4, 2, 3)))
    >>> frames.n_frames, frames.n_atoms, frames.select([0, 2]).n_frames
    (4, 2, 2)
    """

    numbers: NDArray[np.int64]
    positions: FloatArray
    cells: FloatArray
    energies: FloatArray
    forces: FloatArray
    virials: FloatArray | None = None

    def __post_init__(self) -> None:
        """Convert to contiguous float64 (integers for `numbers`) and check shapes and values."""
        object.__setattr__(self, "numbers", np.ascontiguousarray(self.numbers, dtype=np.int64))
        n_atoms, n_frames = self.numbers.size, len(self.energies)
        shapes: dict[str, tuple[int, ...]] = {
            "positions": (n_frames, n_atoms, 3),
            "cells": (n_frames, 3, 3),
            "energies": (n_frames,),
            "forces": (n_frames, n_atoms, 3),
        }
        if self.virials is not None:
            shapes["virials"] = (n_frames, 3, 3)
        for name, shape in shapes.items():
            array = np.ascontiguousarray(getattr(self, name), dtype=np.float64)
            if array.shape != shape:
                raise BadInputError(
                    f"{name} has shape {array.shape}, but {n_frames} energies and {n_atoms} atomic numbers need "
                    f"{shape}: give arrays of the same frames and atoms."
                )
            if not np.isfinite(array).all():
                frame = int(np.argwhere(~np.isfinite(array))[0][0])
                raise BadInputError(f"{name} of frame {frame} is not finite: leave that frame out.")
            object.__setattr__(self, name, array)

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.energies)

    @property
    def n_atoms(self) -> int:
        """Number of atoms of each frame."""
        return int(self.numbers.size)

    def select(self, frames: Any) -> LabelledFrames:
        """Frames chosen by a mask, a slice or indices, in that order."""
        return replace(
            self,
            positions=self.positions[frames],
            cells=self.cells[frames],
            energies=self.energies[frames],
            forces=self.forces[frames],
            virials=None if self.virials is None else self.virials[frames],
        )


def elements_of(systems: Mapping[str, LabelledFrames]) -> list[str]:
    """Chemical symbols of all systems, by atomic number.

    Examples
    --------
    >>> salt = LabelledFrames([17, 11], np.zeros((1, 2, 3)), np.ones((1, 3, 3)), [0], np.zeros((1, 2, 3)))
    >>> elements_of({"salt": salt})
    ['Na', 'Cl']
    """
    from ase.data import chemical_symbols

    numbers = [frames.numbers for frames in systems.values()]
    return [chemical_symbols[number] for number in np.unique(np.concatenate(numbers or [np.empty(0, dtype=np.int64)]))]


def types_of(numbers: ArrayLike, elements: Sequence[str], what: str) -> NDArray[np.int64]:
    """Types of atoms: type t is elements[t].

    Parameters
    ----------
    numbers : (n_atoms,) array
        Atomic numbers.
    elements : sequence of str
        Chemical symbols that a potential knows, in its order.
    what : str
        What the atoms are of, for the message: "system 'glass'".

    Raises
    ------
    BadInputError
        If an element is not among these.

    Examples
    --------
    >>> types_of([3, 16, 3], ["S", "Li"], "the frame")
    array([1, 0, 1])
    """
    from ase.data import atomic_numbers, chemical_symbols

    type_of = np.full(len(chemical_symbols), -1)
    type_of[[atomic_numbers[element] for element in elements]] = np.arange(len(elements))
    numbers = np.asarray(numbers, dtype=np.int64)
    types: NDArray[np.int64] = type_of[numbers]
    if (types < 0).any():
        missing = " ".join(chemical_symbols[number] for number in np.unique(numbers[types < 0]))
        raise BadInputError(
            f"{what} has {missing}, but the potential knows {' '.join(elements)}: leave it out, or train a potential "
            f"with {missing}"
        )
    return types


def grouped_split(
    groups: Sequence[str],
    frames: ArrayLike,
    *,
    held_fraction: float,
    block_length: int | Mapping[str, int],
    seed: int,
) -> NDArray[np.bool_]:
    """Mask of the held-out frames, chosen in whole blocks of neighbouring frames of each group.

    Parameters
    ----------
    groups : sequence of n_frames str
        Trajectory (or set of single points) that each frame belongs to.
    frames : (n_frames,) array of int
        Number of each frame in its trajectory; block k holds the frames k * block_length … (k + 1) * block_length - 1.
    held_fraction : float
        Fraction of each group's blocks to hold out, 0 to below 1.
    block_length : int or mapping of group to int
        Frames in a block; 1 for single points without an order in time.
    seed : int
        The same seed, groups and frames give the same mask.

    Returns
    -------
    (n_frames,) array of bool
        True for held-out frames.

    Raises
    ------
    BadInputError
        If the fraction, a block length or a frame number is not allowed.

    Notes
    -----
    Configurations a few steps apart in a trajectory are nearly the same, so frames held out at random would test
    how well the potential remembers rather than how well it predicts. A group of two or more blocks gives
    round(held_fraction * n_blocks) of them, at least one and never all; a group of one block gives none. Each group
    is drawn with its own generator, so adding a group leaves the others' split as it was.

    Examples
    --------
    >>> grouped_split(["a"] * 8, range(8), held_fraction=0.25, block_length=2, seed=1).reshape(4, 2).all(axis=1).sum()
    np.int64(1)
    """
    names = np.asarray(list(groups), dtype=str)
    numbers = np.asarray(frames, dtype=np.int64)
    if names.shape != numbers.shape or numbers.ndim != 1:
        raise BadInputError(f"groups has shape {names.shape} and frames {numbers.shape}: give one of each per frame.")
    if not 0 <= held_fraction < 1:
        raise BadInputError(f"held_fraction is {held_fraction}: give a fraction from 0 to below 1.")
    if numbers.size and numbers.min() < 0:
        raise BadInputError(f"a frame has the number {numbers.min()}: frames are counted from 0.")
    held = np.zeros(numbers.shape, dtype=bool)
    if held_fraction == 0:
        return held
    for group in np.unique(names):
        members = names == group
        blocks = numbers[members] // _block_length_of(str(group), block_length)
        distinct = np.unique(blocks)
        if len(distinct) < 2:
            continue
        n_held = int(np.clip(round(held_fraction * len(distinct)), 1, len(distinct) - 1))
        key = int.from_bytes(hashlib.sha256(str(group).encode()).digest()[:8], "little")
        chosen = np.random.default_rng([seed, key]).choice(distinct, n_held, replace=False)
        held[members] = np.isin(blocks, chosen)
    return held


def _block_length_of(group: str, block_length: int | Mapping[str, int]) -> int:
    if isinstance(block_length, Mapping):
        if group not in block_length:
            raise BadInputError(f"block_length has no entry for group {group!r}: it has {sorted(block_length)}.")
        length = block_length[group]
    else:
        length = block_length
    if length < 1:
        raise BadInputError(
            f"block_length of group {group!r} is {length}: give the number of frames in a block, at least 1."
        )
    return length
