"""Where atoms are along a cell vector or in a plane: density, composition and concentration profiles, heat maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.cell_statistics import GRAMS_PER_CM3
from lipsdb.analysis.periodic_cells import checked_cells
from lipsdb.analysis.regions import AXES, Axis, checked_drift
from lipsdb.analysis.trajectory_arrays import (
    BoolArray,
    FloatArray,
    IntArray,
    PositionArray,
    blocks,
    checked_mask,
    checked_positions,
)
from lipsdb.errors import BadInputError

_POINTS_PER_BANDWIDTH = 16  # sharing atoms between two points widens the kernel by 1/(12 · 16²) of itself: 0.03 %
_KERNEL_REACH = 6.0  # bandwidths; what is beyond is 2e-9 of the kernel


@dataclass(frozen=True)
class DensityProfile:
    """Density and composition in slabs across a cell vector.

    Attributes
    ----------
    axis : "a", "b" or "c"
        The cell vector that crosses the slabs.
    elements : tuple of str
        In alphabetical order: the rows below.
    edges : (n_bins + 1,) array
        Of the slabs, Å along the normal of the other two vectors, from the origin, in the mean cell.
    area : float
        Of a slab, Å²; (number density × area × thickness) summed over the slabs is the number of atoms.
    number_density, number_density_error : (n_elements, n_bins) arrays
        Å⁻³.
    mass_density, mass_density_error : (n_elements, n_bins) arrays
        g/cm³.
    total_mass_density, total_mass_density_error : (n_bins,) arrays
        Of all elements, g/cm³.
    fraction, fraction_error : (n_elements, n_bins) arrays
        Atoms of the element over all atoms in the slab, dimensionless; NaN where there never is an atom.

    Errors are standard errors from blocks of frames, NaN where there are fewer than two (for the fraction: where a
    block has no atom).
    """

    axis: Axis
    elements: tuple[str, ...]
    edges: FloatArray
    area: float
    number_density: FloatArray
    number_density_error: FloatArray
    mass_density: FloatArray
    mass_density_error: FloatArray
    total_mass_density: FloatArray
    total_mass_density_error: FloatArray
    fraction: FloatArray
    fraction_error: FloatArray


def density_profile(
    positions: ArrayLike,
    cell: ArrayLike,
    symbols: ArrayLike,
    masses: ArrayLike,
    *,
    axis: Axis = "c",
    bin_width: float = 1.0,
    n_blocks: int = 5,
    drift: ArrayLike | None = None,
) -> DensityProfile:
    """Number density in Å⁻³, mass density in g/cm³ and atomic fraction of each element in slabs across a cell vector.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Wrapped or not.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic, periodic in all three.
    symbols : (n_atoms,) array of str
        Chemical symbols.
    masses : (n_atoms,) array, amu
        Positive.
    axis : "a", "b" or "c"
        The cell vector that crosses the slabs.
    bin_width : float
        Wanted thickness of the slabs, Å; the whole number of slabs next to it is taken.
    n_blocks : int
        Consecutive blocks of frames for the standard errors; fewer if there are fewer frames.
    drift : (n_frames, 3) array, Å, optional
        Displacement of the framework since the first frame, subtracted: a drifting crystal has a flat profile.

    Returns
    -------
    DensityProfile

    Raises
    ------
    BadInputError
        Arrays that do not fit together, an unknown axis, or a bin width that is not positive or beyond the cell.

    Notes
    -----
    Slabs are layers of the fractional coordinate, parallel to the other two vectors, so that they are equally thick
    along the normal and follow a cell that breathes. The density is ``<n> / <V / n_bins>``: averages over frames
    first, so that the integral over the mean cell is exactly the number of atoms.

    References
    ----------
    doi:10.1038/s41467-025-56322-x, Fig. 1d (element concentration and density profiles of the glass-ceramic along y).

    Examples
    --------
    >>> profile = density_profile(
    ...     np.array([[[0, 0, 1.0], [0, 0, 3.0]]]), np.diag([2.0, 2.0, 4.0]), ["Li", "S"], [6.94, 32.06], bin_width=2.0
    ... )
    >>> profile.number_density.round(6).tolist(), profile.total_mass_density.round(3).tolist()
    ([[0.125, 0.0], [0.0, 0.125]], [1.441, 6.655])
    """
    array, cells, shift = _checked(positions, cell, drift)
    elements, element, weights = _checked_elements(symbols, masses, array.shape[1])
    area, height = _slab_geometry(cells, axis)
    n_bins = _number_of_bins(height, bin_width)
    part = _part_of_frame(len(array), n_blocks)
    shape = part[-1] + 1, len(elements), n_bins
    counts, mass = np.zeros((2, *shape))
    everything = np.full(array.shape[1], True)
    for frames, (fractions,) in _fractions(array, cells, shift, everything, (axis,)):
        index = ((part[frames, None] * len(elements) + element) * n_bins + _bins(fractions, n_bins)).ravel()
        loads = np.broadcast_to(weights, fractions.shape).ravel()
        counts += np.bincount(index, minlength=counts.size).reshape(shape)
        mass += np.bincount(index, weights=loads, minlength=mass.size).reshape(shape)
    volume = np.bincount(part, weights=np.abs(np.linalg.det(cells)))[:, None, None] / n_bins
    number_density, number_error = _ratio(counts, volume)
    mass_density, mass_error = _ratio(mass * GRAMS_PER_CM3, volume)
    total, total_error = _ratio(mass.sum(axis=1) * GRAMS_PER_CM3, volume[:, 0])
    fraction, fraction_error = _ratio(counts, counts.sum(axis=1, keepdims=True))
    return DensityProfile(
        axis=axis,
        elements=elements,
        edges=np.linspace(0.0, height, n_bins + 1),
        area=area,
        number_density=number_density,
        number_density_error=number_error,
        mass_density=mass_density,
        mass_density_error=mass_error,
        total_mass_density=total,
        total_mass_density_error=total_error,
        fraction=fraction,
        fraction_error=fraction_error,
    )


@dataclass(frozen=True)
class ConcentrationProfile:
    """Smoothed concentration of the chosen atoms along a cell vector.

    Attributes
    ----------
    axis : "a", "b" or "c"
        The cell vector.
    distance : (n_points,) array
        Å along the normal of the other two vectors, from the origin, equally spaced over the mean cell.
    concentration, concentration_error : (n_points,) arrays
        Å⁻³, with standard error from blocks of frames.
    relative, relative_error : (n_points,) arrays
        Concentration over its mean in the cell, dimensionless; below 1 where atoms are depleted.
    """

    axis: Axis
    distance: FloatArray
    concentration: FloatArray
    concentration_error: FloatArray
    relative: FloatArray
    relative_error: FloatArray


def concentration_profile(
    positions: ArrayLike,
    cell: ArrayLike,
    mask: ArrayLike,
    *,
    axis: Axis = "c",
    bandwidth: float = 1.0,
    n_blocks: int = 5,
    drift: ArrayLike | None = None,
) -> ConcentrationProfile:
    """Concentration in Å⁻³ of chosen atoms along a cell vector, smoothed with a periodic Gaussian kernel.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Wrapped or not.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic, periodic in all three.
    mask : (n_atoms,) array of bool
        The atoms: Li in the study.
    axis : "a", "b" or "c"
        The cell vector, normal to the boundary.
    bandwidth : float
        Standard deviation of the kernel, Å along the normal.
    n_blocks : int
        Consecutive blocks of frames for the standard error; fewer if there are fewer frames.
    drift : (n_frames, 3) array, Å, optional
        Displacement of the framework since the first frame, subtracted.

    Returns
    -------
    ConcentrationProfile

    Raises
    ------
    BadInputError
        Arrays that do not fit together, an unknown axis, or a bandwidth that is not positive.

    Notes
    -----
    ``c(z) = <Σ_i Σ_n g(z - z_i + n H)> / A`` with g the normal density of the bandwidth, H the height of the cell and
    n its images. Each atom is shared between the two nearest points of a grid of a sixteenth of the bandwidth; then
    `scipy.ndimage.gaussian_filter1d` with wrapping smooths the grid; the sum, the number of atoms, is kept exactly.

    The study states a "covariance factor" of 1e-4 instead of a bandwidth. That is the word of
    `scipy.stats.gaussian_kde` for the bandwidth over the standard deviation of the data, H/√12 for atoms spread over
    the cell, which would make 0.003 Å of a cell of 100 Å: next to none. So the bandwidth is asked for in Å: a few
    tenths show the crystal's planes, the spacing of the planes (5 Å) and more shows depletion.

    References
    ----------
    doi:10.1039/d3ya00234a, Fig. 7 (projected Li concentration profiles around boundaries).

    Examples
    --------
    >>> even = np.stack([np.zeros(8), np.zeros(8), np.arange(8.0)], axis=-1)[None]
    >>> profile = concentration_profile(even, np.diag([2.0, 2.0, 8.0]), np.full(8, True), bandwidth=2.0)
    >>> bool(np.allclose(profile.concentration, 0.25)), bool(np.allclose(profile.relative, 1.0))
    (True, True)
    """
    from scipy.ndimage import gaussian_filter1d

    array, cells, shift = _checked(positions, cell, drift)
    chosen = checked_mask(mask, array.shape[1], "profile")
    area, height = _slab_geometry(cells, axis)
    if not (np.isfinite(bandwidth) and bandwidth > 0):
        raise BadInputError(f"the bandwidth is {bandwidth} Å; expected a positive number")
    n_points = max(_POINTS_PER_BANDWIDTH, round(_POINTS_PER_BANDWIDTH * height / bandwidth))
    part = _part_of_frame(len(array), n_blocks)
    counts = np.zeros((part[-1] + 1, n_points))
    for frames, (fractions,) in _fractions(array, cells, shift, chosen, (axis,)):
        place = fractions * n_points
        below = place.astype(np.int64)
        above_share = place - below
        for point, share in ((below, 1.0 - above_share), (below + 1, above_share)):
            index = part[frames, None] * n_points + point % n_points
            counts += np.bincount(index.ravel(), share.ravel(), counts.size).reshape(counts.shape)
    smooth = gaussian_filter1d(counts, bandwidth * n_points / height, axis=1, mode="wrap", truncate=_KERNEL_REACH)
    size: FloatArray = np.bincount(part).astype(np.float64)[:, None] * (area * height / n_points)
    concentration, error = _ratio(smooth, size)
    distance: FloatArray = np.linspace(0.0, height, n_points, endpoint=False)
    mean = float(chosen.sum()) / (area * height)
    return ConcentrationProfile(
        axis=axis,
        distance=distance,
        concentration=concentration,
        concentration_error=error,
        relative=concentration / mean,
        relative_error=error / mean,
    )


@dataclass(frozen=True)
class DensityMap:
    """Density of the chosen atoms projected on the plane of two cell vectors, averaged over time.

    Attributes
    ----------
    axes : tuple of "a", "b" or "c"
        The two cell vectors, in the order of the array's axes.
    density : (n_first, n_second) array
        Atoms per area, Å⁻²; its sum times the area of a bin is the number of atoms.
    first_edges, second_edges : (n_first + 1,) and (n_second + 1,) arrays
        Of the bins, Å along the first and the second vector of the mean cell, from the origin.
    angle : float
        Between the two vectors, degrees: for drawing a map that is not a rectangle.
    """

    axes: tuple[Axis, Axis]
    density: FloatArray
    first_edges: FloatArray
    second_edges: FloatArray
    angle: float


def density_map(
    positions: ArrayLike,
    cell: ArrayLike,
    mask: ArrayLike,
    *,
    axes: tuple[Axis, Axis] = ("a", "c"),
    bin_width: float = 0.2,
    drift: ArrayLike | None = None,
) -> DensityMap:
    """Time-averaged heat map, Å⁻², of chosen atoms projected on the plane of two cell vectors.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Wrapped or not.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic, periodic in all three.
    mask : (n_atoms,) array of bool
        The atoms: Li, or P and S for the framework.
    axes : two of "a", "b", "c"
        The cell vectors of the plane.
    bin_width : float
        Wanted length of the bins along both, Å; the whole numbers of bins next to it are taken.
    drift : (n_frames, 3) array, Å, optional
        Displacement of the framework since the first frame, subtracted.

    Returns
    -------
    DensityMap

    Raises
    ------
    BadInputError
        Arrays that do not fit together, not two different axes, or a bin width that is not positive or beyond the cell.

    Notes
    -----
    Bins are of the fractional coordinates: atoms are projected along the third cell vector, so that the map is
    periodic; bins are parallelograms where the two vectors are not at right angles. Areas are those of the mean cell.

    References
    ----------
    doi:10.1039/d3ya00234a, Fig. 6 (2D-projected atom-count heatmaps; there not normalised).

    Examples
    --------
    >>> atom = np.array([[[1.0, 0, 9.0]], [[1.0, 0, 3.0]]])
    >>> density_map(atom, np.diag([2.0, 2.0, 4.0]), np.array([True]), bin_width=1.0).density.tolist()
    [[0.0, 0.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.5]]
    """
    array, cells, shift = _checked(positions, cell, drift)
    chosen = checked_mask(mask, array.shape[1], "map")
    if len(axes) != 2 or len(set(axes)) != 2 or not set(axes) <= set(AXES):
        raise BadInputError(f"the axes of the map are {axes}; expected two different ones of a, b, c")
    first, second = (cells.mean(axis=0)[AXES.index(axis)] for axis in axes)
    lengths = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    n_first, n_second = (_number_of_bins(length, bin_width) for length in lengths)
    counts = np.zeros(n_first * n_second)
    for _, (along_first, along_second) in _fractions(array, cells, shift, chosen, axes):
        index = (_bins(along_first, n_first) * n_second + _bins(along_second, n_second)).ravel()
        counts += np.bincount(index, minlength=counts.size)
    area = float(np.linalg.norm(np.cross(first, second))) / counts.size
    cosine = float(first @ second) / (lengths[0] * lengths[1])
    return DensityMap(
        axes=axes,
        density=counts.reshape(n_first, n_second) / (len(array) * area),
        first_edges=np.linspace(0.0, lengths[0], n_first + 1),
        second_edges=np.linspace(0.0, lengths[1], n_second + 1),
        angle=float(np.degrees(np.arccos(cosine))),
    )


def _checked(
    positions: ArrayLike, cell: ArrayLike, drift: ArrayLike | None
) -> tuple[PositionArray, FloatArray, FloatArray]:
    array = checked_positions(positions, minimum_frames=1)
    cells = checked_cells(cell, len(array))
    return array, cells, np.zeros((len(array), 3)) if drift is None else checked_drift(drift, len(array))


def _checked_elements(
    symbols: ArrayLike, masses: ArrayLike, n_atoms: int
) -> tuple[tuple[str, ...], IntArray, FloatArray]:
    names, weights = np.asarray(symbols), np.asarray(masses, dtype=np.float64)
    if names.shape != (n_atoms,) or weights.shape != (n_atoms,) or not (np.isfinite(weights) & (weights > 0)).all():
        raise BadInputError(
            f"symbols of shape {names.shape} and masses of shape {weights.shape}; "
            f"expected {n_atoms} of each, masses positive, in amu"
        )
    elements, element = np.unique(names.astype(str), return_inverse=True)
    return tuple(elements.tolist()), element, weights


def _slab_geometry(cells: FloatArray, axis: Axis) -> tuple[float, float]:
    """Area of the faces that the axis crosses and their distance, in the cell of mean vectors and mean volume."""
    if axis not in AXES:
        raise BadInputError(f"the axis is {axis!r}; expected one of {', '.join(AXES)}")
    others = np.delete(cells.mean(axis=0), AXES.index(axis), axis=0)
    area = float(np.linalg.norm(np.cross(*others)))
    return area, float(np.abs(np.linalg.det(cells)).mean()) / area


def _number_of_bins(length: float, bin_width: float) -> int:
    if not (np.isfinite(bin_width) and 0 < bin_width <= length):
        raise BadInputError(
            f"the bin width is {bin_width} Å; expected a positive number, at most the cell's {length:.4g} Å"
        )
    return round(length / bin_width)


def _part_of_frame(n_frames: int, n_blocks: int) -> IntArray:
    if n_blocks < 2:
        raise BadInputError(f"{n_blocks} blocks of frames; expected at least 2 for a standard error")
    return np.arange(n_frames) * min(n_blocks, n_frames) // n_frames


def _fractions(
    positions: PositionArray, cells: FloatArray, drift: FloatArray, chosen: BoolArray, axes: tuple[Axis, ...]
) -> Iterator[tuple[slice, list[FloatArray]]]:
    """Slice of frames and, for each axis, the fractional coordinates of the chosen atoms, in [0, 1)."""
    everything = bool(chosen.all())
    for frames in blocks(len(positions), 8 * 8 * int(chosen.sum())):
        part = positions[frames] if everything else positions[frames, chosen]
        inverse = np.linalg.inv(cells[frames])
        found = []
        for axis in axes:
            normal = inverse[:, :, AXES.index(axis)]
            along = np.einsum("fac,fc->fa", part, normal) - np.einsum("fc,fc->f", drift[frames], normal)[:, None]
            along -= np.floor(along)
            found.append(along)
        yield frames, found


def _bins(fractions: FloatArray, n_bins: int) -> IntArray:
    # A tiny negative number less its floor is 1.
    return np.minimum((fractions * n_bins).astype(np.int64), n_bins - 1)


def _ratio(amount: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sum over blocks (the first axis) of amount over that of size, and the standard error from the blocks' ratios."""
    with np.errstate(invalid="ignore"):
        mean = amount.sum(axis=0) / size.sum(axis=0)
        each = amount / size
    if len(each) < 2:
        return mean, np.full(mean.shape, np.nan)
    return mean, each.std(axis=0, ddof=1) / np.sqrt(len(each))
