"""Displacements of atoms: mean squared displacement over all time origins, its spread, and removal of drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.atom_blocks import displacements, map_atom_blocks, squared_lengths
from lipsdb.analysis.displacement_moments import displacement_moments
from lipsdb.analysis.periodic_cells import checked_cells
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, blocks, checked_mask, checked_positions
from lipsdb.errors import BadInputError


def checked_lags(lags: Sequence[int] | ArrayLike | None, n_frames: int, *, shortest: int = 0) -> IntArray:
    """Return lags as an array, all of them if none are given, refusing those outside the trajectory.

    Parameters
    ----------
    lags : sequence of int, frames, or None
        Lags wanted.
    n_frames : int
        Frames in the trajectory.
    shortest : int, frames
        Shortest lag allowed.

    Returns
    -------
    (n_lags,) array of int, frames

    Raises
    ------
    BadInputError
        Lags that are not whole numbers from `shortest` to ``n_frames - 1``.

    Examples
    --------
    >>> checked_lags(None, 4, shortest=1).tolist()
    [1, 2, 3]
    """
    if lags is None:
        return np.arange(shortest, n_frames, dtype=np.int64)
    array: NDArray[Any] = np.asarray(lags)
    integral = array.ndim == 1 and array.size > 0 and np.issubdtype(array.dtype, np.integer)
    if not integral or array.min() < shortest or array.max() >= n_frames:
        raise BadInputError(
            f"lags {np.array2string(array, threshold=6)} are not allowed; "
            f"expected whole numbers of frames from {shortest} to {n_frames - 1}"
        )
    return array.astype(np.int64)


def mean_squared_displacement(
    positions: ArrayLike, *, lags: Sequence[int] | ArrayLike | None = None, threads: int | None = None
) -> FloatArray:
    """Mean squared displacement in Å², averaged over all time origins and all atoms.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        Equally spaced in time.
    lags : sequence of int, frames, optional
        Lags wanted; all from 0 to ``n_frames - 1`` if not given.
    threads : int, optional
        The number of cores, at most 2, if not given. The result does not depend on it.

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
    ``MSD(m) = <|r_i(k+m) - r_i(k)|²>`` over atoms i and origins k = 0 … N-m-1, by FFT
    (`lipsdb.analysis.displacement_moments`): O(N log N) an atom, in blocks of atoms.

    References
    ----------
    Equation (10) and Fig. 2a of doi:10.1038/s41467-025-56322-x, time-averaged.
    V. Calandrini et al., Collection SFN 12, 201 (2011), doi:10.1051/sfn/201112010, section 4.2 (fast correlation
    algorithm).

    Examples
    --------
    >>> straight = np.arange(4.0)[:, None, None] * np.array([1.0, 2.0, 0.0])
    >>> mean_squared_displacement(straight, lags=[0, 1, 3]).round(12).tolist()
    [[0.0, 0.0, 0.0, 0.0], [1.0, 4.0, 0.0, 5.0], [9.0, 36.0, 0.0, 45.0]]
    """
    array = checked_positions(positions)
    wanted = checked_lags(lags, len(array))
    per_axis = displacement_moments(array, wanted, threads=threads).squares[0]
    result: FloatArray = np.concatenate([per_axis, per_axis.sum(axis=1, keepdims=True)], axis=1)
    return result


def squared_displacement_variance(
    positions: ArrayLike, lags: Sequence[int] | ArrayLike, *, threads: int | None = None
) -> FloatArray:
    """Variance in Å⁴ of the single squared displacements ``|r_i(k+m) - r_i(k)|²`` at each lag m.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        Equally spaced in time.
    lags : sequence of int, frames
        Lags wanted.
    threads : int, optional
        The number of cores, at most 2, if not given. The result does not depend on it.

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
    wanted = checked_lags(lags, n_frames)
    means = displacement_moments(array, wanted, threads=threads).squares[0].sum(axis=1)

    def work(paths: FloatArray) -> FloatArray:
        total = np.zeros(wanted.size)
        for index, steps in displacements(paths, wanted):
            deviation = squared_lengths(steps)
            deviation -= means[index]
            total[index] += np.einsum("af,af->", deviation, deviation)
        return total

    sums = np.zeros(wanted.size)
    for _, part in map_atom_blocks(work, array, threads=threads):
        sums += part
    degrees = n_atoms * (n_frames - wanted) - 1.0
    degrees[degrees <= 0] = np.nan
    variance: FloatArray = sums / degrees
    return variance


def framework_drift(
    positions: ArrayLike, masses: ArrayLike, framework_mask: ArrayLike, cell: ArrayLike | None = None
) -> FloatArray:
    """Displacement in Å of the framework's centre of mass since the first frame, within the cell if that is given.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        All atoms.
    masses : (n_atoms,) array, amu
        Positive.
    framework_mask : (n_atoms,) array of bool
        The framework at rest by definition: P and S for Li in a thiophosphate.
    cell : (3, 3) or (n_frames, 3, 3) array, Å, optional
        Rows are the cell vectors; its corner is the origin. A cell that breathes carries the framework with it, which
        is no drift.

    Returns
    -------
    (n_frames, 3) array, Å
        Small, where `remove_drift` copies the trajectory.

    Raises
    ------
    BadInputError
        Shapes that do not agree, masses that are not positive, a cell without volume, or a mask that selects nothing.

    Notes
    -----
    ``R(t) - R(0)`` with ``R = Σ m_j r_j / Σ m_j`` over the framework's atoms; with a cell h, the displacement in
    fractions of the cell, ``[R(t) h(t)⁻¹ - R(0) h(0)⁻¹] h(t)``, the same if h does not change.

    Examples
    --------
    >>> drifting = np.zeros((3, 2, 3)) + np.arange(3.0)[:, None, None]
    >>> framework_drift(drifting, [7.0, 31.0], [False, True])[:, 0].tolist()
    [0.0, 1.0, 2.0]
    >>> breathing = np.array([10.0, 11.0])[:, None, None] * np.eye(3)
    >>> still = np.array([[[0.5, 0.5, 0.5]]]) @ breathing
    >>> framework_drift(still, [31.0], [True], breathing).round(9).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    array = checked_positions(positions, minimum_frames=1)
    framework = checked_mask(framework_mask, array.shape[1], "framework")
    weights = np.asarray(masses, dtype=np.float64)
    if weights.shape != (array.shape[1],) or not (np.isfinite(weights).all() and (weights > 0).all()):
        raise BadInputError(
            f"masses of shape {weights.shape}, {np.array2string(weights.ravel(), threshold=6)}; "
            f"expected {array.shape[1]} positive numbers in amu"
        )
    chosen = np.where(framework, weights, 0.0)
    chosen /= chosen.sum()
    centre = np.concatenate(
        [
            np.tensordot(array[frames].astype(np.float64), chosen, axes=([1], [0]))
            for frames in blocks(len(array), 8 * array[0].size)
        ]
    )
    drift: FloatArray = centre - centre[0]
    if cell is not None:
        cells = checked_cells(cell, len(array))
        drift -= centre[0] @ np.linalg.inv(cells[0]) @ (cells - cells[0])
    return drift


def remove_drift(positions: ArrayLike, masses: ArrayLike, framework_mask: ArrayLike) -> FloatArray:
    """Positions in Å with the centre-of-mass displacement of the framework subtracted in every frame.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        All atoms.
    masses : (n_atoms,) array, amu
        Positive.
    framework_mask : (n_atoms,) array of bool
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
    ``r_i'(t) = r_i(t) - [R(t) - R(0)]``; see `framework_drift`.

    Examples
    --------
    >>> drifting = np.zeros((3, 2, 3)) + np.arange(3.0)[:, None, None]
    >>> bool(np.allclose(remove_drift(drifting, [1.0, 31.0], np.array([False, True])), 0.0))
    True
    """
    array = checked_positions(positions, minimum_frames=1)
    drift = framework_drift(array, masses, framework_mask)
    shifted = np.empty(array.shape)
    for frames in blocks(len(array), 8 * array[0].size):
        shifted[frames] = array[frames].astype(np.float64) - drift[frames, None]
    return shifted


def loglog_slope(lag_times: ArrayLike, msd: ArrayLike, *, factor: float = 1.0) -> FloatArray:
    """Local exponent ``d ln MSD / d ln t`` (dimensionless) at each lag time.

    Parameters
    ----------
    lag_times : (n_lags,) array, ps
        Positive and increasing, at least two.
    msd : (n_lags,) array, Å²
        Where it is not positive, the exponent there and beside is NaN.
    factor : float
        Smoothing: the line is fitted to all lags from ``t / factor`` to ``t * factor``; 1 for none.

    Returns
    -------
    (n_lags,) array, dimensionless
        2 for ballistic motion, 1 for diffusion (Fickian), 0 on the plateau of a vibrating atom.

    Raises
    ------
    BadInputError
        Lengths that differ, lag times that are not positive and increasing, or a factor below 1.

    Notes
    -----
    Second-order differences on the logarithmic, possibly uneven grid (`numpy.gradient`); first-order at the two ends.
    With smoothing, least squares on the logarithms of the lags within the factor, where these are at least three.

    References
    ----------
    Fig. S5d-f of doi:10.1038/s41467-025-56322-x, whose dashed line at 1 is the Fickian limit.

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
    if not (np.isfinite(factor) and factor >= 1.0):
        raise BadInputError(f"the smoothing factor is {factor}; expected 1 (none) or more, such as 1.5")
    x = np.log(times)
    y = np.full(values.shape, np.nan)
    np.log(values, out=y, where=values > 0)
    slope: FloatArray = np.gradient(y, x)
    return slope if factor == 1.0 else _smoothed_slope(x, y, slope, float(np.log(factor)))


def _smoothed_slope(x: FloatArray, y: FloatArray, slope: FloatArray, reach: float) -> FloatArray:
    first = np.searchsorted(x, x - reach - 1e-9)
    stop = np.searchsorted(x, x + reach + 1e-9)
    used = np.isfinite(y)
    x = x - x.mean()
    terms = np.where(used, np.stack([np.ones_like(x), x, y, x * x, x * y]), 0.0)
    running = np.concatenate([np.zeros((5, 1)), np.cumsum(terms, axis=1)], axis=1)
    n, sx, sy, sxx, sxy = running[:, stop] - running[:, first]
    enough = used & (n >= 3)
    n = np.maximum(n, 1.0)
    result: FloatArray = np.where(enough, np.nan, slope)
    np.divide(sxy - sx * sy / n, sxx - sx * sx / n, out=result, where=enough)
    return result
