"""The quick check that no two atoms sit on each other."""

from __future__ import annotations

import numpy as np

_STEPS = 2.0**32  # of a fractional coordinate
_CHUNK = 256  # frames at once: arrays that stay in the processor's cache


def closest_pairs_below(positions: np.ndarray, cells: np.ndarray, limit: float) -> np.ndarray:
    """For each frame the shortest distance between two atoms, if it is below a small limit.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array
        Cartesian, Å, wrapped or not.
    cells : (n_frames, 3, 3) array
        Rows are vectors, Å, periodic along all.
    limit : float
        Å; below half of the least distance between opposite faces of a cell.

    Returns
    -------
    (n_frames,) array
        Å; infinity where no pair is closer than `limit`.

    Notes
    -----
    Fractional coordinates are counted in units of 2⁻³², so that differences of 32-bit integers wrap around as the cell
    does. A pair closer than the limit differs by at most limit / height along each cell vector. Atoms are sorted along
    the first vector; only neighbours in that order within this gap are looked at, then the other two vectors, then the
    distance itself in double precision. A difference rounded to the nearest image in fractional coordinates is
    the right image for any pair within the limit.

    Examples
    --------
    >>> closest_pairs_below(np.array([[[0.1, 0, 0], [9.9, 0, 0], [5, 5, 5]]]), 10 * np.eye(3)[None], 0.4)
    array([0.2])
    """
    n_frames = len(positions)
    shortest = np.full(n_frames, np.inf)
    for start in range(0, n_frames, _CHUNK):
        part = slice(start, start + _CHUNK)
        _chunk_closest(positions[part], cells[part], limit, shortest[part])
    return shortest


def least_heights(cells: np.ndarray) -> np.ndarray:
    """The least distance between opposite faces of each cell, Å.

    Parameters
    ----------
    cells : (n_frames, 3, 3) array
        Rows are vectors, Å; with a volume.

    Returns
    -------
    (n_frames,) array
        Å.

    Examples
    --------
    >>> least_heights(np.array([[[4.0, 0, 0], [3, 3, 0], [0, 0, 5]]])).round(3)
    array([2.828])
    """
    return np.asarray(1 / np.linalg.norm(np.linalg.inv(cells), axis=1).max(axis=1))


def _chunk_closest(positions: np.ndarray, cells: np.ndarray, limit: float, shortest: np.ndarray) -> None:
    n_atoms = positions.shape[1]
    reciprocal = np.linalg.inv(cells)
    fractional = positions @ reciprocal
    fractional -= np.floor(fractional)
    counts = np.multiply(fractional.transpose(2, 0, 1), _STEPS).astype(np.int64).astype(np.uint32)
    order = np.argsort(counts[0], axis=1)
    # twice in a row, so that the neighbour of the last atom is the first one's image
    sorted_ = [np.take_along_axis(axis, order, axis=1) for axis in counts]
    doubled = [np.concatenate([axis, axis], axis=1) for axis in sorted_]
    gaps = [
        np.minimum(limit * np.linalg.norm(reciprocal[:, :, k], axis=1) * _STEPS + 2, _STEPS / 2 - 1)[:, None].astype(
            "u4"
        )
        for k in range(3)
    ]
    for shift in range(1, n_atoms):
        near = doubled[0][:, shift : shift + n_atoms] - sorted_[0] <= gaps[0]
        if not near.any():
            break
        for k in (1, 2):
            difference = doubled[k][:, shift : shift + n_atoms] - sorted_[k]
            near &= difference + gaps[k] <= 2 * gaps[k]  # −gap ≤ difference ≤ gap, in arithmetic modulo 2³²
        frame, first = np.nonzero(near)
        if not frame.size:
            continue
        one, other = order[frame, first], order[frame, (first + shift) % n_atoms]
        offset = fractional[frame, other] - fractional[frame, one]
        offset -= np.round(offset)
        distance = np.linalg.norm(np.einsum("pi,pij->pj", offset, cells[frame]), axis=1)
        close = distance < limit
        np.minimum.at(shortest, frame[close], distance[close])
