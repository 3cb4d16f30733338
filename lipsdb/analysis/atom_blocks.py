"""Work through a trajectory by blocks of atoms: each atom's path in one piece of memory, blocks in several threads."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, PositionArray, blocks
from lipsdb.errors import BadInputError

Result = TypeVar("Result")

# Scratch arrays this small stay in a core's cache: FFTs of all atoms of a block at once take twice the time.
CACHE_BYTES = 2 * 2**20
# More threads gain little, since memory is the limit, and several jobs often share a machine.
MOST_THREADS = 2


def atom_paths(positions: PositionArray, atoms: slice) -> FloatArray:
    """Positions in Å of some atoms, each atom's coordinates consecutive in time.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Not changed.
    atoms : slice
        Which atoms.

    Returns
    -------
    (n_chosen, 3, n_frames) array, Å
        A copy in float64.

    Examples
    --------
    >>> atom_paths(np.arange(6.0).reshape(2, 1, 3), slice(0, 1)).tolist()
    [[[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]]
    """
    return np.ascontiguousarray(positions[:, atoms].transpose(1, 2, 0), dtype=np.float64)


def cache_blocks(number: int, bytes_each: int) -> Iterator[slice]:
    """Consecutive slices of atoms whose scratch memory stays in the processor's cache, or of one atom."""
    return blocks(number, bytes_each, CACHE_BYTES)


def map_atom_blocks(
    work: Callable[[FloatArray], Result], positions: PositionArray, *, n_groups: int = 1, threads: int | None = None
) -> Iterator[tuple[int, Result]]:
    """Apply a function to the paths of every block of atoms, in several threads.

    Parameters
    ----------
    work : callable
        Takes an ``(n_chosen, 3, n_frames)`` array, Å, that it may change, and returns what is to be gathered, which
        should be small. It must not use more than about the same memory again.
    positions : (n_frames, n_atoms, 3) array, Å
        Checked.
    n_groups : int
        The atoms are cut into this many consecutive, nearly equal groups; no block spans two groups.
    threads : int, optional
        The number of cores, at most `MOST_THREADS`, if not given.

    Yields
    ------
    tuple of int and result
        Index of the group and what `work` returned, in the order of the atoms whatever the number of threads, so that
        sums do not depend on it.

    Raises
    ------
    BadInputError
        More groups than atoms, or fewer than one group or thread.

    Examples
    --------
    >>> list(map_atom_blocks(lambda paths: paths.shape, np.zeros((5, 3, 3)), n_groups=2))
    [(0, (1, 3, 5)), (1, (2, 3, 5))]
    """
    n_frames, n_atoms, _ = positions.shape
    if threads is None:
        threads = min(MOST_THREADS, os.cpu_count() or 1)
    if threads < 1:
        raise BadInputError(f"{threads} threads are not allowed; expected 1 or more")
    tasks = [
        (group, slice(first + block.start, first + block.stop))
        for group, (first, size) in enumerate(group_ranges(n_atoms, n_groups))
        for block in blocks(size, 2 * 3 * 8 * n_frames)
    ]

    def run(task: tuple[int, slice]) -> tuple[int, Result]:
        return task[0], work(atom_paths(positions, task[1]))

    if threads == 1 or len(tasks) == 1:
        yield from map(run, tasks)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(run, tasks)


def group_ranges(n_atoms: int, n_groups: int) -> list[tuple[int, int]]:
    """First atom and number of atoms of consecutive, nearly equal groups.

    Parameters
    ----------
    n_atoms, n_groups : int
        At least one atom a group.

    Raises
    ------
    BadInputError
        More groups than atoms, or no group.

    Examples
    --------
    >>> group_ranges(7, 3)
    [(0, 2), (2, 2), (4, 3)]
    """
    if not 1 <= n_groups <= n_atoms:
        raise BadInputError(
            f"{n_groups} groups of {n_atoms} atoms are not allowed; expected 1 to {n_atoms} groups; choose fewer groups"
        )
    edges = (np.arange(n_groups + 1) * n_atoms // n_groups).tolist()
    return [(first, last - first) for first, last in itertools.pairwise(edges)]


def displacements(paths: FloatArray, lags: IntArray) -> Iterator[tuple[int, FloatArray]]:
    """Displacements in Å over each lag from every origin, some atoms at a time.

    Parameters
    ----------
    paths : (n_atoms, n_components, n_frames) array, Å
        From `atom_paths`.
    lags : (n_lags,) array of int, frames
        Below ``n_frames``.

    Yields
    ------
    tuple of int and (n_some, n_components, n_frames - lag) array, Å
        Index of the lag, and displacements in scratch memory that the next turn overwrites: fresh memory for each
        would cost more than the arithmetic.

    Examples
    --------
    >>> path = np.array([[[0.0, 1.0, 3.0]]])
    >>> [(index, steps.tolist()) for index, steps in displacements(path, np.array([1, 2]))]
    [(0, [[[1.0, 2.0]]]), (1, [[[3.0]]])]
    """
    n_atoms, n_components, n_frames = paths.shape
    some = list(cache_blocks(n_atoms, 2 * n_components * 8 * n_frames))
    scratch = np.empty(some[0].stop * n_components * n_frames)
    for atoms in some:
        part = paths[atoms]
        for index, lag in enumerate(lags.tolist()):
            shape = (len(part), n_components, n_frames - lag)
            steps = scratch[: math.prod(shape)].reshape(shape)
            np.subtract(part[:, :, lag:], part[:, :, : n_frames - lag], out=steps)
            yield index, steps


def squared_lengths(steps: FloatArray) -> FloatArray:
    """Squared lengths in Å² of displacements, in their own memory.

    Parameters
    ----------
    steps : (n_atoms, 3, n_steps) array, Å
        Overwritten.

    Returns
    -------
    (n_atoms, n_steps) array, Å²
        A view of `steps`.

    Examples
    --------
    >>> squared_lengths(np.array([[[1.0, 2.0], [0.0, 2.0], [3.0, 1.0]]])).tolist()
    [[10.0, 9.0]]
    """
    np.square(steps, out=steps)
    squares = steps[:, 0]
    squares += steps[:, 1]
    squares += steps[:, 2]
    return squares
