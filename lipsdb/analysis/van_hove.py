"""Self part of the van Hove function: how far atoms have moved after a given time, as a distribution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.atom_blocks import displacements, map_atom_blocks, squared_lengths
from lipsdb.analysis.displacement import checked_lags
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, PositionArray, checked_positions
from lipsdb.errors import BadInputError


@dataclass(frozen=True, eq=False)
class VanHove:
    """Distribution of displacements at several lags.

    Attributes
    ----------
    lags : (n_lags,) array of int, frames
    edges : (n_bins + 1,) array, Å
        Edges of the bins, equally wide.
    density : (n_lags, n_bins) array, 1/Å
        Probability density of the displacement: ``4πr² G_s(r, t)`` of its length, or ``G_s(x, t)`` along an axis. Its
        integral plus `beyond` is 1.
    beyond : (n_lags,) array, dimensionless
        Fraction of the displacements outside the bins.
    """

    lags: IntArray
    edges: FloatArray
    density: FloatArray
    beyond: FloatArray

    @property
    def centres(self) -> FloatArray:
        """Centres of the bins in Å, of shape (n_bins,)."""
        centres: FloatArray = 0.5 * (self.edges[1:] + self.edges[:-1])
        return centres

    @property
    def most_probable(self) -> FloatArray:
        """Centre in Å of the fullest bin at each lag, of shape (n_lags,)."""
        most: FloatArray = self.centres[np.argmax(self.density, axis=1)]
        return most


def self_van_hove(
    positions: ArrayLike,
    lags: Sequence[int] | ArrayLike,
    *,
    bin_width: float = 0.1,
    largest: float = 10.0,
    threads: int | None = None,
) -> VanHove:
    """Self van Hove function as the density ``4πr² G_s(r, t)`` in 1/Å, over all time origins and atoms.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        Equally spaced in time, drift removed.
    lags : sequence of int, frames
        Lags wanted.
    bin_width, largest : float
        Width of the bins and the longest displacement counted, Å. The last bin ends at or just above it.
    threads : int, optional
        The number of cores, at most 2, if not given. The result does not depend on it.

    Returns
    -------
    VanHove
        With bins from 0.

    Raises
    ------
    BadInputError
        Positions of the wrong shape or not finite; lags outside the trajectory; bins that are not positive or more than
        a million.

    Notes
    -----
    ``4πr² G_s(r, t) = <δ(r - |r_i(t₀+t) - r_i(t₀)|)>`` over atoms and origins, so that ``∫ 4πr² G_s dr = 1``. Cost
    O(n_lags n_frames n_atoms).

    References
    ----------
    Equation (12) and Figs. 2d-e and 3c of doi:10.1038/s41467-025-56322-x, which shows r² G_s.

    Examples
    --------
    >>> straight = np.arange(5.0)[:, None, None] * np.array([0.6, 1.1, 0.0])  # 1.25 Å a frame
    >>> result = self_van_hove(straight, [1, 3], bin_width=0.5, largest=2.0)
    >>> result.density.tolist(), result.beyond.tolist()
    ([[0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]], [0.0, 1.0])
    """

    def distances(steps: FloatArray) -> FloatArray:
        squares = squared_lengths(steps)
        return np.sqrt(squares, out=squares)

    array = checked_positions(positions)
    edges = _bin_edges(0.0, bin_width, largest)
    return _histograms(array, checked_lags(lags, len(array)), distances, edges, threads)


def self_van_hove_along(
    positions: ArrayLike,
    lags: Sequence[int] | ArrayLike,
    axis: Literal[0, 1, 2],
    *,
    bin_width: float = 0.1,
    largest: float = 10.0,
    threads: int | None = None,
) -> VanHove:
    """Self van Hove function along one Cartesian axis: density ``G_s(x, t)`` in 1/Å of the signed displacement.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        Equally spaced in time, drift removed.
    lags : sequence of int, frames
        Lags wanted.
    axis : 0, 1 or 2
        x, y or z.
    bin_width, largest : float
        Width of the bins and the longest displacement counted in either direction, Å.
    threads : int, optional
        The number of cores, at most 2, if not given. The result does not depend on it.

    Returns
    -------
    VanHove
        With bins on both sides of 0.

    Raises
    ------
    BadInputError
        As `self_van_hove`, or an axis that is none of the three.

    Examples
    --------
    >>> straight = np.arange(5.0)[:, None, None] * np.array([0.6, 0.8, 0.0])
    >>> self_van_hove_along(straight, [1], 1, bin_width=0.5, largest=1.0).density.tolist()
    [[0.0, 0.0, 0.0, 2.0]]
    """
    if axis not in {0, 1, 2}:
        raise BadInputError(f"axis {axis} is not allowed; expected 0 (x), 1 (y) or 2 (z)")

    array = checked_positions(positions)
    edges = _bin_edges(-largest, bin_width, largest)
    return _histograms(array[:, :, axis : axis + 1], checked_lags(lags, len(array)), _only_component, edges, threads)


def _only_component(steps: FloatArray) -> FloatArray:
    return steps[:, 0]


def _bin_edges(low: float, width: float, high: float) -> FloatArray:
    allowed = np.isfinite([width, high]).all() and 0 < width <= high
    if not allowed or (high - low) / width > 1e6:
        raise BadInputError(
            f"bins of {width} Å up to {high} Å are not allowed; "
            "expected positive widths, at least one bin and at most a million, such as 0.1 Å up to 10 Å"
        )
    number = int(np.ceil(high / width - 1e-9))
    edges: FloatArray = np.arange(0 if low == 0.0 else -number, number + 1, dtype=np.float64) * width
    return edges


def _histograms(
    positions: PositionArray,
    lags: IntArray,
    reduce: Callable[[FloatArray], FloatArray],
    edges: FloatArray,
    threads: int | None,
) -> VanHove:
    n_frames, n_atoms, _ = positions.shape
    n_bins = len(edges) - 1
    width = float(edges[1] - edges[0])
    offset = 1.0 - float(edges[0]) / width

    def work(paths: FloatArray) -> IntArray:
        counts = np.zeros((lags.size, n_bins + 2), dtype=np.int64)
        paths /= width
        bins = np.empty(0, dtype=np.intp)
        for index, steps in displacements(paths, lags):
            scaled = reduce(steps)
            scaled += offset  # bin 0 is what lies below the bins, the last what lies above
            np.clip(scaled, 0.0, n_bins + 1.0, out=scaled)
            bins = bins if bins.size >= scaled.size else np.empty(scaled.size, dtype=np.intp)
            chosen = bins[: scaled.size]
            np.copyto(chosen.reshape(scaled.shape), scaled, casting="unsafe")
            counts[index] += np.bincount(chosen, minlength=n_bins + 2)
        return counts

    total = np.zeros((lags.size, n_bins + 2), dtype=np.int64)
    for _, part in map_atom_blocks(work, positions, threads=threads):
        total += part
    fraction = total / (n_atoms * (n_frames - lags))[:, None]
    return VanHove(lags=lags, edges=edges, density=fraction[:, 1:-1] / width, beyond=fraction[:, 0] + fraction[:, -1])
