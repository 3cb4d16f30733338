"""The quick check that no two atoms sit on each other."""

from __future__ import annotations

import numpy as np


def closest_pairs_below(positions: np.ndarray, cells: np.ndarray, limit: float) -> np.ndarray:
    """For each frame the shortest distance between two atoms, if it is below a small limit.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array
        Cartesian, Å, wrapped or not.
    cells : (n_frames, 3, 3) array
        Rows are vectors, Å, periodic along all.
    limit : float
        Å; below a quarter of the least distance between opposite faces of the cell.

    Returns
    -------
    (n_frames,) array
        Å; infinity where no pair is closer than `limit`.

    Notes
    -----
    Atoms are sorted along the first cell vector; a pair closer than the limit has a difference of fractional coordinates
    of at most limit / height there, so only neighbours in that order within this gap are looked at. A difference
    that is rounded to the nearest image in fractional coordinates is the right image for any pair within the limit.

    Examples
    --------
    >>> closest_pairs_below(np.array([[[0.1, 0, 0], [9.9, 0, 0], [5, 5, 5]]]), 10 * np.eye(3)[None], 0.4)
    array([0.2])
    """
    n_atoms = positions.shape[1]
    reciprocal = np.linalg.inv(cells)
    fractional = positions @ reciprocal
    fractional -= np.floor(fractional)
    gap_limit = (limit * np.linalg.norm(reciprocal[:, :, 0], axis=1))[:, None]
    order = np.argsort(fractional[:, :, 0], axis=1)
    sorted_ = np.take_along_axis(fractional, order[:, :, None], axis=1)
    shortest = np.full(len(positions), np.inf)
    for shift in range(1, n_atoms):
        gap = np.roll(sorted_[:, :, 0], -shift, axis=1) - sorted_[:, :, 0]
        gap[:, n_atoms - shift :] += 1.0
        frame, first = np.nonzero(gap < gap_limit)
        if not frame.size:
            break
        difference = sorted_[frame, (first + shift) % n_atoms] - sorted_[frame, first]
        difference -= np.round(difference)
        distance = np.linalg.norm(np.einsum("pi,pij->pj", difference, cells[frame]), axis=1)
        close = distance < limit
        np.minimum.at(shortest, frame[close], distance[close])
    return shortest
