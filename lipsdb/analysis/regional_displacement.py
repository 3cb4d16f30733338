"""Mean squared displacement of the atoms of a region, whose membership may change with time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.displacement import checked_lags
from lipsdb.analysis.region_membership import checked_region_mask, frames_remaining, share_mask
from lipsdb.analysis.regions import checked_drift
from lipsdb.analysis.trajectory_arrays import (
    BoolArray,
    FloatArray,
    IntArray,
    PositionArray,
    blocks,
    checked_positions,
)
from lipsdb.errors import BadInputError

Assignment = Literal["start", "followed", "whole"]
ASSIGNMENTS = ("start", "followed", "whole")
# Scratch arrays of this size stay in a core's cache.
CACHE_BYTES = 4 * 2**20
# More gain little, since memory is the limit, and several jobs often share a machine.
THREADS = min(2, os.cpu_count() or 1)


@dataclass(frozen=True, eq=False)
class RegionalMSD:
    """Mean squared displacement of the atoms of a region.

    Attributes
    ----------
    lags : (n_lags,) array of int, frames
        Lags.
    msd : (n_lags, 4) array, Å²
        Along x, y, z, and in total (their sum). NaN where no displacement starts in the region.
    msd_std : (n_lags, 4) array, Å²
        Standard deviation from the spread over the atoms; NaN for a single atom.
    n_displacements : (n_lags,) array of int
        Displacements averaged over, overlapping ones included.
    retention : (n_lags,) array, dimensionless
        With "start" the fraction of the displacements that end in the region, too; with "followed" the fraction of
        those starting there that never left it, the only ones averaged over; 1 with "whole".
    n_atoms : int
        Atoms that contribute at the shortest lag.
    """

    lags: IntArray
    msd: FloatArray
    msd_std: FloatArray
    n_displacements: IntArray
    retention: FloatArray
    n_atoms: int


@dataclass(frozen=True, eq=False)
class DisplacementSums:
    """Sums over the time origins of some atoms in a region; see `displacement_sums`.

    Attributes
    ----------
    squares : (n_chosen, 4, n_lags) array, Å²
        Sum of the squared displacements along x, y, z, and in total.
    counts : (n_chosen, n_lags) array
        How many there are.
    origins : (n_lags,) array
        Origins in the region, of all these atoms.
    retained : (n_lags,) array
        Those of them from which the atom is back (start) or has stayed (followed) in the region at the lag.
    """

    squares: FloatArray
    counts: FloatArray
    origins: FloatArray
    retained: FloatArray


def regional_msd(
    positions: ArrayLike,
    mask: ArrayLike,
    *,
    lags: ArrayLike | None = None,
    assignment: Assignment = "start",
    origin_stride: int = 1,
    share: float = 0.5,
    drift: ArrayLike | None = None,
) -> RegionalMSD:
    """Mean squared displacement in Å² of the atoms of a region, averaged over time origins.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        Equally spaced in time.
    mask : (n_frames, n_atoms) array of bool
        Whether each atom is in the region in each frame, ``region_mask(...) & species``.
    lags : (n_lags,) array of int, frames, optional
        Lags wanted; all from 0 to ``n_frames - 1`` if not given.
    assignment : "start", "followed" or "whole"
        Which displacements count: of atoms in the region at the origin; of atoms in it in every frame from the origin
        to the lag; or all of atoms that spend more than `share` of the trajectory in it.
    origin_stride : int
        Frames between time origins, that is between the starts of windows.
    share : float
        For "whole".
    drift : (n_frames, 3) array, Å, optional
        Subtracted from all positions; see `lipsdb.analysis.displacement.framework_drift`.

    Returns
    -------
    RegionalMSD

    Raises
    ------
    BadInputError
        Arrays that do not fit together, lags outside the trajectory, or a region in which no atom ever is.

    Notes
    -----
    ``MSD(m) = Σ_k Σ_i w_i(k, m) |r_i(k+m) - r_i(k)|² / Σ_k Σ_i w_i(k, m)`` over origins k = 0 … N-m-1. With "start"
    ``w = w_i(k)``: at long lags the atoms have been elsewhere too. With "followed" ``w = Π_j w_i(j)``, j = k … k+m:
    lateral displacements are those of the region only, but those along its normal are cut off by its thickness. The
    survivors' bias and the mixing both vanish as `RegionalMSD.retention` approaches 1.

    For "start" the square is multiplied out; ``Σ_k w(k) r(k)²`` is a running sum, ``Σ_k w(k) r(k+m)²`` and ``Σ_k w(k)
    r(k) r(k+m)`` are cross-correlations by FFT with zero padding: O(N log N) an atom for all lags. Each atom's mean
    position is subtracted first to limit cancellation. "followed" is a direct sum, O(n_lags N) an atom: give lags.
    `RegionalMSD.msd_std` takes the atoms to be independent of each other, and nothing of their displacements.

    References
    ----------
    Regions of a boundary: doi:10.1039/d3ya00234a, equation 1 and figure 8. Phases of a glass-ceramic:
    doi:10.1038/s41467-025-56322-x, equation 10 and figure 3a. Running sums and FFT: V. Calandrini et al., Collection
    SFN 12, 201 (2011), doi:10.1051/sfn/201112010, section 4.2.

    Examples
    --------
    >>> positions = np.array([0.0, 1.0, 3.0, 6.0])[:, None, None] * np.array([1.0, 0.0, 0.0])
    >>> left = positions[..., 0] < 2.0  # the first two frames
    >>> regional_msd(positions, left, lags=[1, 2]).msd[:, 0].round(12).tolist()  # (1 + 4)/2, (9 + 25)/2
    [2.5, 17.0]
    >>> regional_msd(positions, left, lags=[1], assignment="followed").msd[:, 0].tolist()
    [1.0]
    """
    array = checked_positions(positions)
    wanted = np.arange(len(array)) if lags is None else lags
    moments = None
    for sums in displacement_sums(
        array,
        mask,
        wanted,
        assignment=assignment,
        origin_stride=origin_stride,
        share=share,
        drift=drift,
    ):
        part = _moments(sums)
        moments = part if moments is None else [a + b for a, b in zip(moments, part, strict=True)]
    assert moments is not None  # displacement_sums yields at least once
    counts, counts_squared, origins, retained, contributors, squares, squares_squared, mixed = moments
    with np.errstate(invalid="ignore", divide="ignore"):
        msd = squares / counts[:, None]
        # Σ_i (S_i - MSD W_i)², the spread of the atoms' sums about what their counts let expect.
        spread = squares_squared - 2 * msd * mixed + msd**2 * counts_squared[:, None]
        effective = (counts**2 / counts_squared)[:, None]
        correction = np.where(effective > 1, effective / (effective - 1), np.nan)
        std = np.sqrt(np.maximum(spread, 0.0) * correction) / counts[:, None]
        retention = retained / origins
    return RegionalMSD(np.asarray(wanted), msd, std, counts.astype(np.int64), retention, int(contributors.max()))


def _moments(sums: DisplacementSums) -> list[FloatArray]:
    counts, squares = sums.counts, sums.squares
    return [
        counts.sum(axis=0),
        np.einsum("al,al->l", counts, counts),
        sums.origins,
        sums.retained,
        (counts > 0).sum(axis=0).astype(np.float64),
        squares.sum(axis=0).T,
        np.einsum("acl,acl->lc", squares, squares),
        np.einsum("acl,al->lc", squares, counts),
    ]


def displacement_sums(
    positions: ArrayLike,
    mask: ArrayLike,
    lags: ArrayLike,
    *,
    assignment: Assignment = "start",
    origin_stride: int = 1,
    share: float = 0.5,
    drift: ArrayLike | None = None,
) -> Iterator[DisplacementSums]:
    """Sums in Å² of each atom's squared displacements in a region, some atoms at a time.

    Parameters
    ----------
    positions, mask, assignment, origin_stride, share, drift
        As in `regional_msd`.
    lags : (n_lags,) array of int, frames
        Lags wanted.

    Yields
    ------
    DisplacementSums
        Of some of the atoms that are ever in the region, in their order.

    Raises
    ------
    BadInputError
        As `regional_msd`.

    Examples
    --------
    >>> positions = np.arange(4.0)[:, None, None] * np.array([1.0, 0.0, 0.0])
    >>> sums = next(displacement_sums(positions, np.full((4, 1), True), [2]))
    >>> sums.squares[0, :, 0].tolist(), sums.counts[0].tolist()
    ([8.0, 0.0, 0.0, 8.0], [2.0])
    """
    array = checked_positions(positions)
    n_frames, n_atoms, _ = array.shape
    inside = checked_region_mask(mask, (n_frames, n_atoms))
    wanted = checked_lags(lags, n_frames)
    if assignment not in ASSIGNMENTS or not 1 <= origin_stride < n_frames:
        raise BadInputError(
            f"assignment {assignment!r} with an origin every {origin_stride} frames is not allowed; expected "
            f"{', '.join(ASSIGNMENTS)} and 1 to {n_frames - 1} frames"
        )
    if assignment == "whole":
        inside = np.broadcast_to(share_mask(inside, share), inside.shape)
    shift = checked_drift(drift, n_frames)
    chosen = np.flatnonzero(inside.any(axis=0))
    if not chosen.size:
        raise BadInputError(
            f"none of {n_atoms} atoms is in the region in any of {n_frames} frames (assignment {assignment}); "
            "at least one must be; check the region's place and thickness"
        )
    sums_of = _followed_sums if assignment == "followed" else _start_sums

    def work(path: FloatArray, membership: BoolArray) -> DisplacementSums:
        return sums_of(path, membership, wanted, origin_stride)

    few = max(1, CACHE_BYTES // (8 * 40 * n_frames))
    with ThreadPoolExecutor(THREADS) as pool:
        for block in blocks(chosen.size, 8 * (2 * 3 * n_frames + 2 * 5 * wanted.size)):
            # Many atoms are read at once, few transformed at once: the memory of a frame's neighbours is near.
            path = _paths(array, chosen[block], shift)
            membership = np.ascontiguousarray(inside[:, chosen[block]].T)
            cuts = range(few, len(path), few)
            yield gathered_sums(list(pool.map(work, np.split(path, cuts), np.split(membership, cuts))))


def gathered_sums(parts: Sequence[DisplacementSums]) -> DisplacementSums:
    """Join the sums (Å²) of groups of atoms.

    Parameters
    ----------
    parts : sequence of DisplacementSums
        At the same lags.

    Returns
    -------
    DisplacementSums
        Of all their atoms.
    """
    return DisplacementSums(
        np.concatenate([part.squares for part in parts]),
        np.concatenate([part.counts for part in parts]),
        np.sum([part.origins for part in parts], axis=0),
        np.sum([part.retained for part in parts], axis=0),
    )


def _paths(positions: PositionArray, atoms: IntArray, drift: FloatArray) -> FloatArray:
    """(n_chosen, 3, n_frames) positions about each atom's mean."""
    path = np.ascontiguousarray(positions[:, atoms].transpose(1, 2, 0), dtype=np.float64)
    path -= drift.T
    path -= path[..., :1].copy()  # an atom at rest gives exactly 0
    path -= path.mean(axis=2, keepdims=True)
    return path


def _start_sums(path: FloatArray, inside: BoolArray, lags: IntArray, stride: int) -> DisplacementSums:
    n_frames = path.shape[2]
    weights = np.where(np.arange(n_frames) % stride == 0, inside, 0.0)
    sums, back = _start_correlations(path, weights, inside)
    # Origins k = 0 … N-m-1 for each lag m.
    counts = np.cumsum(weights, axis=1)[:, n_frames - 1 - lags]
    return DisplacementSums(_with_total(sums[..., lags]), counts, counts.sum(axis=0), back[lags])


def _with_total(squares: FloatArray) -> FloatArray:
    return np.concatenate([squares, squares.sum(axis=1, keepdims=True)], axis=1)


def _start_correlations(path: FloatArray, weights: FloatArray, inside: BoolArray) -> tuple[FloatArray, FloatArray]:
    """``Σ_k w(k) (r(k+m) - r(k))²`` an atom and axis, and ``Σ_k w(k) inside(k+m)`` of all atoms, at every lag m."""
    from scipy import fft

    n_frames = path.shape[2]
    padded = fft.next_fast_len(2 * n_frames, real=True)
    squared = path * path
    at_origin = np.cumsum(weights[:, None] * squared, axis=2)[..., ::-1]
    weight = fft.rfft(weights, n=padded)
    end = fft.rfft(squared, n=padded)
    end *= weight.conj()[:, None]
    product = fft.rfft(-2.0 * weights[:, None] * path, n=padded)
    np.conjugate(product, out=product)
    product *= fft.rfft(path, n=padded)
    end += product
    sums = fft.irfft(end, n=padded)[..., :n_frames]
    sums += at_origin
    sums[..., 0] = 0.0
    np.maximum(sums, 0.0, out=sums)
    overlap = (weight.conj() * fft.rfft(inside.astype(np.float64), n=padded)).sum(axis=0)
    return sums, np.rint(fft.irfft(overlap, n=padded)[:n_frames])


def _followed_sums(path: FloatArray, inside: BoolArray, lags: IntArray, stride: int) -> DisplacementSums:
    n_atoms, _, n_frames = path.shape
    squares = np.empty((n_atoms, 3, lags.size))
    counts = np.empty((n_atoms, lags.size))
    origins = np.empty(lags.size)
    at_origin = np.arange(n_frames) % stride == 0
    remaining = np.where(at_origin, frames_remaining(inside.T).T, 0)
    for index, lag in enumerate(lags.tolist()):
        stayed = remaining[:, : n_frames - lag] > lag
        counts[:, index] = stayed.sum(axis=1)
        origins[index] = np.count_nonzero(remaining[:, : n_frames - lag])
        steps = path[..., lag:] - path[..., : n_frames - lag]
        steps *= stayed[:, None]
        squares[..., index] = np.einsum("acf,acf->ac", steps, steps)
    return DisplacementSums(_with_total(squares), counts, origins, counts.sum(axis=0))
