"""Which atoms belong to a region, by a number of their own or by time spent there; how many do, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.regions import check_range
from lipsdb.analysis.trajectory_arrays import BoolArray, FloatArray, IntArray, blocks, checked_mask
from lipsdb.errors import BadInputError


def scalar_mask(
    values: ArrayLike,
    n_frames: int,
    *,
    lower: float = -np.inf,
    upper: float = np.inf,
    averaged: bool = True,
    sampled_frames: ArrayLike | None = None,
) -> BoolArray:
    """Whether ``lower ≤ value < upper`` for a number that each atom has, such as q̄6 or S_j (dimensionless).

    Parameters
    ----------
    values : (n_sampled, n_atoms) or (n_atoms,) array
        The number of each atom in each frame in which it was computed, or its time average. NaN: the atom is in no
        such region (a mean leaves NaN out).
    n_frames : int
        Frames of the trajectory that the mask is for.
    lower, upper : float
        Thresholds, in the unit of `values`.
    averaged : bool
        True: each atom belongs by its mean over time, for good. False: frame by frame.
    sampled_frames : (n_sampled,) array of int, optional
        Frames at which the values were computed, increasing; all frames if not given. Only used if not averaged: each
        frame takes the value of the nearest one, the earlier of two.

    Returns
    -------
    (n_frames, n_atoms) array of bool
        A read-only view of one row if the mask does not change with time.

    Raises
    ------
    BadInputError
        Values, frames or thresholds that do not fit together.

    Examples
    --------
    >>> q6 = np.array([[0.5, 0.2], [0.5, 0.4]])
    >>> scalar_mask(q6, 2, lower=0.35).tolist(), scalar_mask(q6, 2, lower=0.35, averaged=False).tolist()
    ([[True, False], [True, False]], [[True, False], [True, True]])
    """
    array = np.atleast_2d(np.asarray(values, dtype=np.float64))
    check_range(lower, upper)
    if array.ndim != 2 or array.size == 0 or n_frames < 1:
        raise BadInputError(
            f"values of shape {np.shape(values)} for {n_frames} frames; expected (n_sampled, n_atoms) or (n_atoms,)"
        )
    if averaged or len(array) == 1:
        known = np.isfinite(array)
        mean = np.where(known, array, 0.0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)
        return np.broadcast_to((mean >= lower) & (mean < upper), (n_frames, array.shape[1]))
    sampled: NDArray[Any] = np.arange(n_frames) if sampled_frames is None else np.asarray(sampled_frames)
    if sampled.shape != (len(array),) or not (np.diff(sampled) > 0).all():
        raise BadInputError(
            f"values of {len(array)} frames sampled at {np.array2string(sampled, threshold=6)} of {n_frames} frames; "
            "expected one frame number for each row, increasing; give sampled_frames"
        )
    nearest = np.searchsorted((sampled[1:] + sampled[:-1]) / 2, np.arange(n_frames))
    result: BoolArray = ((array >= lower) & (array < upper))[nearest]
    return result


def share_mask(mask: ArrayLike, share: float = 0.5) -> BoolArray:
    """Whether each atom spends more than a share of the time in the region (dimensionless).

    Parameters
    ----------
    mask : (n_frames, n_atoms) array of bool
        Whether each atom is there in each frame.
    share : float
        Fraction of the frames, at least 0 and below 1. With 0.5 or more no atom belongs to two regions without overlap.

    Returns
    -------
    (n_atoms,) array of bool

    Raises
    ------
    BadInputError
        A mask that is none, or a share outside its range.

    Examples
    --------
    >>> share_mask(np.array([[True, True], [True, False]])).tolist()
    [True, False]
    """
    array = checked_region_mask(mask)
    if not 0.0 <= share < 1.0:
        raise BadInputError(f"a share of {share} of the time is not allowed; expected at least 0 and below 1")
    result: BoolArray = array.sum(axis=0) > share * len(array)
    return result


def bridged_mask(mask: ArrayLike, longest_gap: int) -> BoolArray:
    """Whether each atom is in the region, short absences not counted (dimensionless).

    Parameters
    ----------
    mask : (n_frames, n_atoms) array of bool
        Whether each atom is there in each frame.
    longest_gap : int
        Longest absence, in frames, that is not one. An atom that vibrates across a region's face leaves and comes back
        within a fraction of a picosecond; to follow it, choose a few vibrations and less than the time between hops.

    Returns
    -------
    (n_frames, n_atoms) array of bool
        With the gaps filled; absences at the beginning and at the end remain.

    Raises
    ------
    BadInputError
        A mask that is none, or a gap below 0.

    Examples
    --------
    >>> visits = np.array([False, True, False, True, False, False, True])[:, None]
    >>> bridged_mask(visits, 1)[:, 0].tolist()
    [False, True, True, True, False, False, True]
    """
    array = checked_region_mask(mask)
    if longest_gap < 0:
        raise BadInputError(f"a longest gap of {longest_gap} frames is not allowed; expected 0 or more")
    result = np.empty(array.shape, dtype=np.bool_)
    for atoms in blocks(array.shape[1], 16 * len(array)):
        part = np.ascontiguousarray(array[:, atoms])
        gap = frames_remaining(~part) + frames_remaining(~part[::-1])[::-1] - 1
        between = np.logical_or.accumulate(part) & np.logical_or.accumulate(part[::-1])[::-1]
        result[:, atoms] = part | (between & (gap <= longest_gap))
    return result


def region_fractions(masks: Mapping[str, ArrayLike], species_mask: ArrayLike) -> dict[str, FloatArray]:
    """Fraction of a species' atoms that is in each region in each frame, dimensionless.

    Parameters
    ----------
    masks : mapping of str to (n_frames, n_atoms) array of bool
        Whether each atom is in each region.
    species_mask : (n_atoms,) array of bool
        The atoms counted: Li.

    Returns
    -------
    dict of str to (n_frames,) array, dimensionless
        They add up to 1 in each frame if the regions fill the cell without overlap.

    Raises
    ------
    BadInputError
        Masks that do not fit together.

    References
    ----------
    doi:10.1038/s41467-025-56322-x, figure 3d.

    Examples
    --------
    >>> left = np.array([[True, False, True], [True, True, True]])
    >>> {name: values.tolist() for name, values in region_fractions({"left": left}, [True, True, False]).items()}
    {'left': [0.5, 1.0]}
    """
    result = {}
    for name, mask in masks.items():
        array = checked_region_mask(mask)
        species = checked_mask(species_mask, array.shape[1], "species")
        result[name] = np.concatenate(
            [array[frames][:, species].mean(axis=1) for frames in blocks(len(array), array.shape[1])]
        )
    return result


@dataclass(frozen=True, eq=False)
class Residence:
    """How long the atoms of a region are found there.

    Attributes
    ----------
    lags : (n_lags,) array of int, frames
        Times after an origin.
    present : (n_lags,) array, dimensionless
        Fraction of the atoms in the region at an origin that is there (again) after the lag.
    stayed : (n_lags,) array, dimensionless
        Fraction that was there in every frame up to the lag: the survival function.
    """

    lags: IntArray
    present: FloatArray
    stayed: FloatArray


def residence(mask: ArrayLike, lags: ArrayLike) -> Residence:
    """Fractions of the atoms of a region that are still, and that always were, there after each lag, dimensionless.

    Parameters
    ----------
    mask : (n_frames, n_atoms) array of bool
        Whether each atom is there in each frame: a region's mask and that of the species.
    lags : (n_lags,) array of int, frames
        From 0 to ``n_frames - 1``.

    Returns
    -------
    Residence
        NaN at lags before which no atom was there.

    Raises
    ------
    BadInputError
        A mask that is none, or lags outside the trajectory.

    Notes
    -----
    With w = 1 in the region and 0 elsewhere, over atoms and all origins k = 0 … N-m-1: ``present(m) = Σ w(k) w(k+m) /
    Σ w(k)``, ``stayed(m) = Σ Π_{j=k}^{k+m} w(j) / Σ w(k)``. Atoms that leave and come back between two frames count as
    having stayed, so the survival depends on the interval between frames; `bridged_mask` widens that.

    Examples
    --------
    >>> result = residence(np.array([[True], [False], [True], [True]]), [0, 1, 2])
    >>> result.present.tolist(), result.stayed.tolist()
    ([1.0, 0.5, 1.0], [1.0, 0.5, 0.0])
    """
    array = checked_region_mask(mask)
    n_frames = len(array)
    wanted: NDArray[Any] = np.asarray(lags)
    integral = wanted.ndim == 1 and wanted.size > 0 and np.issubdtype(wanted.dtype, np.integer)
    if not integral or wanted.min() < 0 or wanted.max() >= n_frames:
        raise BadInputError(
            f"lags {np.array2string(wanted, threshold=6)} are not allowed; "
            f"expected whole numbers of frames from 0 to {n_frames - 1}"
        )
    present, stayed, origins = np.zeros((3, wanted.size))
    for atoms in blocks(array.shape[1], 12 * n_frames):
        part = np.ascontiguousarray(array[:, atoms])
        remaining = frames_remaining(part)
        for index, lag in enumerate(wanted.tolist()):
            start = part[: n_frames - lag]
            origins[index] += np.count_nonzero(start)
            present[index] += np.count_nonzero(start & part[lag:])
            stayed[index] += np.count_nonzero(remaining[: n_frames - lag] > lag)
    origins[origins == 0] = np.nan
    return Residence(wanted.astype(np.int64), present / origins, stayed / origins)


def frames_remaining(mask: BoolArray) -> NDArray[np.int32]:
    """Frames, from each one on and itself included, that each atom stays in the region without a break.

    Parameters
    ----------
    mask : (n_frames, n_atoms) array of bool
        Whether each atom is there in each frame.

    Returns
    -------
    (n_frames, n_atoms) array of int
        0 where it is not there.

    Examples
    --------
    >>> frames_remaining(np.array([[True], [True], [False], [True]]))[:, 0].tolist()
    [2, 1, 0, 1]
    """
    frame = np.arange(len(mask), dtype=np.int32)[:, None]
    next_outside = np.where(mask, np.int32(len(mask)), frame)
    remaining: NDArray[np.int32] = np.minimum.accumulate(next_outside[::-1], axis=0)[::-1] - frame
    return remaining


def checked_region_mask(mask: ArrayLike, shape: tuple[int, ...] | None = None) -> BoolArray:
    """Return a mask over frames and atoms, refusing another shape or type.

    Parameters
    ----------
    mask : (n_frames, n_atoms) array of bool
        Whether each atom is in the region in each frame.
    shape : tuple of int, optional
        The shape that it must have.

    Returns
    -------
    (n_frames, n_atoms) array of bool

    Raises
    ------
    BadInputError
        The mask does not fit.
    """
    array: NDArray[Any] = np.asarray(mask)
    if array.dtype != np.bool_ or array.ndim != 2 or array.size == 0 or (shape is not None and array.shape != shape):
        raise BadInputError(
            f"the region's mask is {array.dtype} of shape {array.shape}; expected bool of shape "
            f"{shape or '(n_frames, n_atoms)'}, one value a frame and atom"
        )
    return array
