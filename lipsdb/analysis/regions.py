"""Regions of a cell (slabs, boxes, surroundings of boundary planes, phases) as masks over frames and atoms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.periodic_cells import checked_cells
from lipsdb.analysis.trajectory_arrays import BoolArray, FloatArray, IntArray, blocks, checked_positions
from lipsdb.errors import BadInputError

Axis = Literal["a", "b", "c"]
Unit = Literal["A", "fraction"]
AXES = ("a", "b", "c")
UNITS = ("A", "fraction")


@dataclass(frozen=True)
class Slab:
    """The layer ``start ≤ s < stop`` across a cell vector, through the cell's boundary if start > stop.

    Attributes
    ----------
    axis : "a", "b" or "c"
        The cell vector that crosses the layer. Positions are counted from the origin along the normal of the other two
        vectors, in which direction the cell is ``height = volume / area`` thick.
    start, stop : float
        Where it begins and ends, Å along that normal or fractions of the cell. Periodic; a slab as thick as the cell
        holds every atom.
    unit : "A" or "fraction"
        Which of the two. In Å the slab keeps its thickness while the cell breathes, as fractions its share of the cell.
    """

    axis: Axis
    start: float
    stop: float
    unit: Unit = "A"

    def __post_init__(self) -> None:
        _check_axis(self.axis, self.unit)
        if not (np.isfinite([self.start, self.stop]).all() and self.start != self.stop):
            raise BadInputError(
                f"a slab from {self.start} to {self.stop} is not allowed; expected two different numbers; "
                "start above stop means a slab through the cell's boundary"
            )


@dataclass(frozen=True)
class Box:
    """Where slabs across two or three cell vectors meet, as around a dislocation core.

    Attributes
    ----------
    slabs : tuple of Slab
        One to three, across different cell vectors; unbounded along a vector that none crosses.
    """

    slabs: tuple[Slab, ...]

    def __post_init__(self) -> None:
        axes = [slab.axis for slab in self.slabs]
        if not axes or len(set(axes)) != len(axes):
            raise BadInputError(
                f"a box of slabs across {axes} is not allowed; expected one to three slabs, each across another vector"
            )


@dataclass(frozen=True)
class NearPlanes:
    """What lies within a distance of any of several planes: the regions of grain boundaries or interfaces.

    Attributes
    ----------
    axis : "a", "b" or "c"
        The cell vector that crosses the planes.
    planes : tuple of float
        Where they are, Å along the normal or fractions of the cell. A periodic cell with boundaries has two.
    distance : float
        Largest distance to either side, Å along the normal: the region is twice as thick.
    unit : "A" or "fraction"
        Unit of `planes`; fractions follow a cell that breathes.
    """

    axis: Axis
    planes: tuple[float, ...]
    distance: float = 10.0
    unit: Unit = "A"

    def __post_init__(self) -> None:
        _check_axis(self.axis, self.unit)
        if not self.planes or not np.isfinite(self.planes).all():
            raise BadInputError(f"boundary planes at {list(self.planes)}; expected at least one number")
        if not (np.isfinite(self.distance) and self.distance > 0):
            raise BadInputError(f"the distance from the planes is {self.distance} Å; expected a positive number")


@dataclass(frozen=True, eq=False)
class ProfileRange:
    """The slabs of a profile along a cell vector, such as F(z), in which it lies within ``lower ≤ F < upper``.

    Attributes
    ----------
    axis : "a", "b" or "c"
        The cell vector that the profile runs along.
    profile : (n_slabs,) or (n_frames, n_slabs) array
        Its values in slabs of equal thickness that fill the cell; a row a frame if it changes with time. NaN lies in no
        range.
    lower, upper : float
        The range, in the unit of the profile.
    """

    axis: Axis
    profile: FloatArray
    lower: float = -np.inf
    upper: float = np.inf

    def __post_init__(self) -> None:
        _check_axis(self.axis, "fraction")
        check_range(self.lower, self.upper)
        if np.ndim(self.profile) not in {1, 2} or np.size(self.profile) == 0:
            raise BadInputError(
                f"the profile has shape {np.shape(self.profile)}; expected (n_slabs,) or (n_frames, n_slabs)"
            )


Region = Slab | Box | NearPlanes | ProfileRange


def region_mask(region: Region, positions: ArrayLike, cell: ArrayLike, *, drift: ArrayLike | None = None) -> BoolArray:
    """Whether each atom is in the region in each frame (dimensionless).

    Parameters
    ----------
    region : Slab, Box, NearPlanes or ProfileRange
        What is asked for.
    positions : (n_frames, n_atoms, 3) array, Å
        Wrapped or not, relative to the cell's origin.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic.
    drift : (n_frames, 3) array, Å, optional
        How far the framework, and the region with it, has moved; see
        `lipsdb.analysis.displacement.framework_drift`.

    Returns
    -------
    (n_frames, n_atoms) array of bool

    Raises
    ------
    BadInputError
        Arrays that do not fit together, a cell without volume, or a profile of another number of frames.

    Notes
    -----
    With the fractional coordinate ``s = r · c*`` along an axis, c* a column of the inverse cell, planes of constant s
    are ``1 / |c*|`` apart along their normal. Slabs that share a plane share no atom. Regions are combined as masks:
    ``~mask`` is the rest, ``mask & species`` the Li in it. One byte an atom and frame; positions are converted in
    blocks of frames.

    References
    ----------
    Grain boundaries: doi:10.1039/d3ya00234a, section "Li+ diffusion barriers" and figures 5 to 8 (regions ~10 Å thick
    in all) and S9 (boxes). Phases of a glass-ceramic: doi:10.1038/s41467-025-56322-x, equation 6 and figures 1c, 3.

    Examples
    --------
    >>> atoms = np.array([[[0.0, 0.0, 1.0], [0.0, 0.0, 5.0], [0.0, 0.0, 29.0]]])
    >>> region_mask(NearPlanes("c", (0.0,), distance=3.0), atoms, 30.0 * np.eye(3)).tolist()
    [[True, False, True]]
    >>> region_mask(Slab("c", 0.9, 0.1, "fraction"), atoms, 30.0 * np.eye(3)).tolist()
    [[True, False, True]]
    """
    array = checked_positions(positions, minimum_frames=1)
    n_frames, n_atoms, _ = array.shape
    cells = checked_cells(cell, n_frames)
    shift = checked_drift(drift, n_frames)
    if isinstance(region, ProfileRange) and np.ndim(region.profile) == 2 and len(region.profile) != n_frames:
        raise BadInputError(
            f"the profile has {len(region.profile)} frames, the trajectory {n_frames}; expected as many, or one profile"
        )
    mask = np.empty((n_frames, n_atoms), dtype=np.bool_)
    for frames in blocks(n_frames, 8 * 8 * n_atoms):
        # Columns of the inverse, a* b* c*: fractional coordinates are products with them.
        reciprocal: FloatArray = np.linalg.inv(cells[frames]).transpose(0, 2, 1).astype(np.float64)
        mask[frames] = _within(region, array[frames], shift[frames], reciprocal, frames)
    return mask


def phase_ranges(profile: ArrayLike, axis: Axis, *, crystal: float, glass: float) -> dict[str, ProfileRange]:
    """Crystal, interface and glass by two thresholds of a profile of disorder such as F(z).

    Parameters
    ----------
    profile : (n_slabs,) or (n_frames, n_slabs) array
        See `ProfileRange`.
    axis : "a", "b" or "c"
        The cell vector that it runs along.
    crystal, glass : float
        Where either ends; what lies between them is the interface. Whether glass is above crystal (F(z), where glass is
        near 1) or below (q̄6) follows from their order. A value on a threshold counts as above it.

    Returns
    -------
    dict of str to ProfileRange
        Under "crystal", "interface", "glass"; no two share an atom.

    Raises
    ------
    BadInputError
        Equal thresholds.

    Examples
    --------
    >>> phases = phase_ranges([0.3, 0.6, 1.0], "c", crystal=0.4, glass=0.9)
    >>> {name: (phase.lower, phase.upper) for name, phase in phases.items()}
    {'crystal': (-inf, 0.4), 'interface': (0.4, 0.9), 'glass': (0.9, inf)}
    """
    values = np.asarray(profile, dtype=np.float64)
    low, high = sorted((crystal, glass))
    names = ("crystal", "interface", "glass") if crystal < glass else ("glass", "interface", "crystal")
    edges = ((-np.inf, low), (low, high), (high, np.inf))
    return {name: ProfileRange(axis, values, *edge) for name, edge in zip(names, edges, strict=True)}


def checked_drift(drift: ArrayLike | None, n_frames: int) -> FloatArray:
    """Return a drift as an array, zeros if there is none, refusing one that does not fit the trajectory.

    Parameters
    ----------
    drift : (n_frames, 3) array, Å, or None
        How far the framework has moved since the first frame.
    n_frames : int
        Frames of the trajectory.

    Raises
    ------
    BadInputError
        Another shape, or a value that is not finite.
    """
    array = np.zeros((n_frames, 3)) if drift is None else np.asarray(drift, dtype=np.float64)
    if array.shape != (n_frames, 3) or not np.isfinite(array).all():
        raise BadInputError(f"the drift has shape {array.shape}; expected ({n_frames}, 3) finite numbers in Å")
    return array


def check_range(lower: float, upper: float) -> None:
    """Refuse a range without extent.

    Parameters
    ----------
    lower, upper : float
        In one unit.

    Raises
    ------
    BadInputError
        ``lower`` is not below ``upper``.
    """
    if not lower < upper:
        raise BadInputError(f"a range from {lower} to {upper} is not allowed; expected the lower number first")


def _check_axis(axis: str, unit: str) -> None:
    if axis not in AXES or unit not in UNITS:
        raise BadInputError(f"axis {axis!r} in {unit!r} is not allowed; expected one of a, b, c in A or fraction")


def _within(
    region: Region, positions: NDArray[Any], drift: FloatArray, reciprocal: FloatArray, frames: slice
) -> BoolArray:
    if isinstance(region, Box):
        parts = [_within(slab, positions, drift, reciprocal, frames) for slab in region.slabs]
        common: BoolArray = np.logical_and.reduce(parts)
        return common
    normal = reciprocal[:, AXES.index(region.axis)]
    fractions = np.einsum("fac,fc->fa", positions.astype(np.float64), normal)
    fractions = _wrapped(fractions - np.einsum("fc,fc->f", drift, normal)[:, None])
    if isinstance(region, ProfileRange):
        profile = np.atleast_2d(np.asarray(region.profile, dtype=np.float64))
        inside = (profile >= region.lower) & (profile < region.upper)
        inside = np.broadcast_to(inside if len(inside) == 1 else inside[frames], (len(fractions), profile.shape[1]))
        slab: IntArray = np.minimum(fractions * profile.shape[1], profile.shape[1] - 1).astype(np.int64)
        chosen: BoolArray = np.take_along_axis(inside, slab, axis=1)
        return chosen
    height = 1.0 / np.linalg.norm(normal, axis=1)[:, None]
    unit = height if region.unit == "A" else np.ones_like(height)
    if isinstance(region, Slab):
        start, stop = _wrapped(region.start / unit), _wrapped(region.stop / unit)
        within: BoolArray = (fractions >= start) & (fractions < stop)
        around: BoolArray = (fractions >= start) | (fractions < stop)
        whole: BoolArray = (region.stop - region.start) / unit >= 1.0
        return np.where(start < stop, within, around) | whole
    near = np.zeros(fractions.shape, dtype=np.bool_)
    for plane in region.planes:
        apart = fractions - plane / unit
        apart -= np.round(apart)
        near |= np.abs(apart, out=apart) * height <= region.distance
    return near


def _wrapped(fractions: FloatArray) -> FloatArray:
    # In [0, 1): a tiny negative number less its floor would be 1.
    inside: FloatArray = fractions - np.floor(fractions)
    inside[inside >= 1.0] = 0.0
    return inside
