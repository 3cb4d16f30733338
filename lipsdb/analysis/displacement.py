"""Displacements of atoms: mean squared displacement over all time origins, its spread, and removal of drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, blocks, checked_mask, checked_positions
from lipsdb.errors import BadInputError


def _checked_lags(lags: Sequence[int] | ArrayLike | None, n_frames: int) -> IntArray:
    if lags is None:
        return np.arange(n_frames, dtype=np.int64)
    array: NDArray[Any] = np.asarray(lags)
    integral = array.ndim == 1 and array.size > 0 and np.issubdtype(array.dtype, np.integer)
    if not integral or array.min() < 0 or array.max() >= n_frames:
        raise BadInputError(
            f"lags {np.array2string(array, threshold=6)} are not allowed; "
            f"expected whole numbers of frames from 0 to {n_frames - 1}"
        )
    return array.astype(np.int64)


def mean_squared_displacement(positions: ArrayLike, *, lags: Sequence[int] | ArrayLike | None = None) -> FloatArray:
    """Mean squared displacement in Å², averaged over all time origins and all atoms.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        Equally spaced in time.
    lags : sequence of int, frames, optional
        Lags wanted; all from 0 to ``n_frames - 1`` if not given.

    Returns
    -------
    (n_lags, 4) array, Å²
        Along x, y, z, and in total (their sum).

    Raises
    ------
    BadInputError
        Positions of the wrong shape or not finite; lags outside the trajectory.

    Notes
    -----
    ``MSD(m) = <|r_i(k+m) - r_i(k)|²>`` over atoms i and origins k = 0 … N-m-1. The square is multiplied out: the two
    sums of squares are running sums, the cross term is an autocorrelation taken by FFT with zero padding, so that the
    cost is O(N log N) an atom. Each atom's mean position is subtracted first to limit cancellation. Memory is bounded
    by working through blocks of atoms.

    References
    ----------
    V. Calandrini et al., Collection SFN 12, 201 (2011), doi:10.1051/sfn/201112010, section 4.2 (fast correlation
    algorithm).

    Examples
    --------
    >>> straight = np.arange(4.0)[:, None, None] * np.array([1.0, 2.0, 0.0])
    >>> mean_squared_displacement(straight, lags=[0, 1, 3]).round(12).tolist()
    [[0.0, 0.0, 0.0, 0.0], [1.0, 4.0, 0.0, 5.0], [9.0, 36.0, 0.0, 45.0]]
    """
    from scipy import fft

    array = checked_positions(positions)
    n_frames, n_atoms, _ = array.shape
    wanted = _checked_lags(lags, n_frames)
    padded = fft.next_fast_len(2 * n_frames, real=True)
    total = np.zeros((n_frames, 3))
    for block in blocks(n_atoms, 3 * 8 * 3 * padded):
        part = array[:, block].astype(np.float64)
        part -= part.mean(axis=0)
        spectrum = fft.rfft(part, n=padded, axis=0)
        power = (spectrum.real**2 + spectrum.imag**2).sum(axis=1)
        cross = fft.irfft(power, n=padded, axis=0)[:n_frames]
        squares = np.einsum("fac,fac->fc", part, part)
        running = np.concatenate([np.zeros((1, 3)), np.cumsum(squares, axis=0)])
        # Sum of squares at the ends (origin + lag) plus at the origins, for every lag at once.
        ends = running[n_frames] - running[:n_frames]
        origins = running[n_frames:0:-1]
        total += ends + origins - 2.0 * cross
    per_axis = total / (n_atoms * np.arange(n_frames, 0, -1)[:, None])
    per_axis[0] = 0.0
    chosen = np.maximum(per_axis[wanted], 0.0)
    result: FloatArray = np.concatenate([chosen, chosen.sum(axis=1, keepdims=True)], axis=1)
    return result


def squared_displacement_variance(positions: ArrayLike, lags: Sequence[int] | ArrayLike) -> FloatArray:
    """Variance in Å⁴ of the single squared displacements ``|r_i(k+m) - r_i(k)|²`` at each lag m.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        Equally spaced in time.
    lags : sequence of int, frames
        Lags wanted.

    Returns
    -------
    (n_lags,) array, Å⁴
        Sample variance over all atoms and all (overlapping) time origins; NaN where there is only one sample.

    Raises
    ------
    BadInputError
        Positions of the wrong shape or not finite; lags outside the trajectory.

    Notes
    -----
    This is not the variance of the MSD: overlapping origins are correlated. Divided by the number of displacements that
    do not overlap it estimates that variance; see `lipsdb.analysis.diffusion`. Cost O(n_lags n_frames n_atoms).

    Examples
    --------
    >>> two_speeds = np.arange(3.0)[:, None, None] * np.array([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    >>> squared_displacement_variance(two_speeds, [2]).tolist()  # squares 4 and 16
    [72.0]
    """
    array = checked_positions(positions)
    n_frames, n_atoms, _ = array.shape
    wanted = _checked_lags(lags, n_frames)
    means = mean_squared_displacement(array, lags=wanted)[:, 3]
    sums = np.zeros(len(wanted))
    for block in blocks(n_atoms, 2 * 3 * 8 * n_frames):
        part = np.ascontiguousarray(array[:, block], dtype=np.float64)
        for index, (lag, mean) in enumerate(zip(wanted.tolist(), means.tolist(), strict=True)):
            steps = part[lag:] - part[: n_frames - lag]
            deviation = np.einsum("fac,fac->fa", steps, steps) - mean
            sums[index] += float(np.vdot(deviation, deviation))
    degrees = n_atoms * (n_frames - wanted) - 1.0
    degrees[degrees <= 0] = np.nan
    variance: FloatArray = sums / degrees
    return variance


def remove_drift(positions: ArrayLike, masses: ArrayLike, reference_mask: ArrayLike) -> FloatArray:
    """Positions in Å with the centre-of-mass displacement of the reference atoms subtracted in every frame.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        All atoms.
    masses : (n_atoms,) array, amu
        Positive.
    reference_mask : (n_atoms,) array of bool
        The framework at rest by definition: P and S for Li in a thiophosphate.

    Returns
    -------
    (n_frames, n_atoms, 3) array, Å
        A new array; its first frame equals that of `positions`.

    Raises
    ------
    BadInputError
        Shapes that do not agree, masses that are not positive, or a mask that selects nothing.

    Notes
    -----
    ``r_i'(t) = r_i(t) - [R(t) - R(0)]`` with ``R = Σ m_j r_j / Σ m_j`` over the reference atoms.

    Examples
    --------
    >>> drifting = np.zeros((3, 2, 3)) + np.arange(3.0)[:, None, None]
    >>> bool(np.allclose(remove_drift(drifting, [1.0, 31.0], np.array([False, True])), 0.0))
    True
    """
    array = checked_positions(positions, minimum_frames=1)
    n_atoms = array.shape[1]
    mask = checked_mask(reference_mask, n_atoms, "reference")
    weights = np.asarray(masses, dtype=np.float64)
    if weights.shape != (n_atoms,) or not (np.isfinite(weights).all() and (weights > 0).all()):
        raise BadInputError(
            f"masses of shape {weights.shape}, {np.array2string(weights.ravel(), threshold=6)}; "
            f"expected {n_atoms} positive numbers in amu"
        )
    chosen = np.where(mask, weights, 0.0)
    chosen /= chosen.sum()
    shifted = np.empty(array.shape)
    start = None
    for frames in blocks(len(array), 8 * array[0].size):
        part = array[frames].astype(np.float64)
        centre = np.tensordot(part, chosen, axes=([1], [0]))
        start = centre[0] if start is None else start
        shifted[frames] = part - (centre - start)[:, None, :]
    return shifted


def loglog_slope(lag_times: ArrayLike, msd: ArrayLike) -> FloatArray:
    """Local exponent ``d ln MSD / d ln t`` (dimensionless) at each lag time.

    Parameters
    ----------
    lag_times : (n_lags,) array, ps
        Positive and increasing, at least two.
    msd : (n_lags,) array, Å²
        Where it is not positive, the exponent there and beside is NaN.

    Returns
    -------
    (n_lags,) array, dimensionless
        2 for ballistic motion, 1 for diffusion (Fickian), 0 on the plateau of a vibrating atom.

    Raises
    ------
    BadInputError
        Lengths that differ, or lag times that are not positive and increasing.

    Notes
    -----
    Second-order differences on the logarithmic, possibly uneven grid (`numpy.gradient`); first-order at the two ends.

    Examples
    --------
    >>> loglog_slope([1.0, 2.0, 4.0], [3.0, 12.0, 48.0]).round(6).tolist()
    [2.0, 2.0, 2.0]
    """
    times = np.asarray(lag_times, dtype=np.float64)
    values = np.asarray(msd, dtype=np.float64)
    if times.ndim != 1 or times.size < 2 or values.shape != times.shape:
        raise BadInputError(
            f"lag times of shape {times.shape} and MSD of shape {values.shape}; "
            "expected two equally long rows of at least two values"
        )
    if not (np.isfinite(times).all() and times[0] > 0 and (np.diff(times) > 0).all()):
        raise BadInputError(
            f"lag times {np.array2string(times, threshold=6)} are not allowed; expected positive and increasing "
            "values; leave out lag 0"
        )
    logarithm = np.full(values.shape, np.nan)
    np.log(values, out=logarithm, where=values > 0)
    slope: FloatArray = np.gradient(logarithm, np.log(times))
    return slope
