"""Distribution of the angles between bonds that meet at an atom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.neighbour_pairs import neighbour_pairs
from lipsdb.analysis.periodic_cells import checked_cells
from lipsdb.analysis.radial_distribution import species_members
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, PositionArray, checked_positions
from lipsdb.errors import BadInputError


@dataclass(frozen=True)
class BondAngles:
    """Distribution of bond angles, averaged over centres and frames.

    Attributes
    ----------
    edges : (n_bins + 1,) array
        Bin edges from 0 to 180, degrees.
    density, density_error : (n_bins,) array
        Probability density, per degree; its integral over degrees is 1. Its standard error is from blocks of frames.
    mean, mean_error : float
        Mean angle and its standard error from blocks of frames, degrees.
    standard_deviation : float
        Of single angles, degrees.
    peak : float
        Angle of the highest density, refined by a parabola, degrees.
    n_angles : int
        Angles counted.
    bonds_per_centre : float
        Mean number of bonds of a centre, dimensionless.
    """

    edges: FloatArray
    density: FloatArray
    density_error: FloatArray
    mean: float
    mean_error: float
    standard_deviation: float
    peak: float
    n_angles: int
    bonds_per_centre: float

    @property
    def angle(self) -> FloatArray:
        """Centres of the bins, degrees."""
        return 0.5 * (self.edges[1:] + self.edges[:-1])


def _pairs_of_bonds(centre: IntArray) -> tuple[IntArray, IntArray]:
    """Every two bonds of the same centre once, the bonds being sorted by their centre."""
    ends = np.searchsorted(centre, centre, side="right")
    following = ends - np.arange(len(centre)) - 1
    first = np.repeat(np.arange(len(centre)), following)
    offset = np.arange(len(first)) - np.repeat(np.cumsum(following) - following, following)
    return first, first + 1 + offset


def _angles(
    positions: PositionArray, cells: FloatArray, centres: IntArray, neighbours: IntArray, cutoff: float
) -> Iterator[tuple[FloatArray, int]]:
    """Angles in degrees in each frame, and the number of bonds."""
    for frame, cell in zip(positions, cells, strict=True):
        bonds = neighbour_pairs(frame, cell, centres, neighbours, cutoff)
        direction = bonds.vector / bonds.distance[:, None]
        first, second = _pairs_of_bonds(bonds.centre)
        cosine = np.einsum("pi,pi->p", direction[first], direction[second])
        yield np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))), len(bonds.centre)


def bond_angles(
    positions: ArrayLike,
    cell: ArrayLike,
    symbols: ArrayLike,
    *,
    centre: str = "P",
    neighbour: str = "S",
    cutoff_A: float = 2.5,
    bin_width_deg: float = 1.0,
    per_solid_angle: bool = False,
    n_blocks: int = 10,
) -> BondAngles:
    """Distribution per degree of the angles neighbour-centre-neighbour (S-P-S) between bonds shorter than a cutoff.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Wrapped or not.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic, periodic in all three, of any size.
    symbols : (n_atoms,) array of str
        Chemical symbols.
    centre, neighbour : str
        Species at the vertex and at the two ends.
    cutoff_A : float
        Longest bond, Å.
    bin_width_deg : float
        Width of the bins, degrees; 180 must be a whole number of them.
    per_solid_angle : bool
        Divide the density by that of bonds without any order, sin θ, and normalise again. Mean, deviation and peak:
        the first two are always of the angles themselves, the peak is of the density returned.
    n_blocks : int
        Consecutive blocks of frames that the standard errors are from; fewer if there are fewer frames. Blocks without
        any angle are left out; the errors are NaN if only one is left.

    Returns
    -------
    BondAngles

    Raises
    ------
    BadInputError
        Arrays that do not fit together, a species that is not there, bins that do not fill 180°, or no centre with
        two bonds in any frame.

    Notes
    -----
    Every two bonds of a centre give one angle. The division is by the mean of sin θ over the bin. A perfect tetrahedron
    has ``arccos(-1/3)`` = 109.47°.

    References
    ----------
    doi:10.1038/s41467-025-56322-x, Fig. 1f.

    Examples
    --------
    >>> corners = 5.0 + 2.05 / 3**0.5 * np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    >>> result = bond_angles(corners[None], 10.0 * np.eye(3), ["P", "S", "S", "S", "S"])
    >>> result.n_angles, round(result.mean, 2), result.density.max()
    (6, 109.47, np.float64(1.0))
    """
    array = checked_positions(positions, minimum_frames=1)
    n_frames, n_atoms, _ = array.shape
    species = species_members(symbols, n_atoms)
    cells = checked_cells(cell, n_frames)
    for name in (centre, neighbour):
        if name not in species:
            raise BadInputError(f"{name} is not in the trajectory; its species are {', '.join(species)}")
    n_bins = round(180.0 / bin_width_deg) if np.isfinite(bin_width_deg) and bin_width_deg > 0 else 0
    if n_bins < 1 or abs(n_bins * bin_width_deg - 180.0) > 1e-6 or n_blocks < 1:
        raise BadInputError(
            f"bins are {bin_width_deg:g}° wide and blocks {n_blocks}; expected 180° to be a whole number of bins, "
            "such as 0.5, 1 or 2, and 1 block or more"
        )
    block = np.arange(n_frames) * min(n_blocks, n_frames) // n_frames
    counts = np.zeros((block[-1] + 1, n_bins))
    sums, squares, bonds = np.zeros(len(counts)), 0.0, 0
    for index, (angles, n_bonds) in enumerate(_angles(array, cells, species[centre], species[neighbour], cutoff_A)):
        rows = np.minimum((angles * (n_bins / 180.0)).astype(np.int64), n_bins - 1)
        counts[block[index]] += np.bincount(rows, minlength=n_bins)
        sums[block[index]] += angles.sum()
        squares += float(angles @ angles)
        bonds += n_bonds
    numbers = counts.sum(axis=1)
    filled = numbers > 0
    if not filled.any():
        raise BadInputError(
            f"within {cutoff_A:g} Å no {centre} has two {neighbour} in any of {n_frames} frames; at least one angle is "
            "needed; choose a longer cutoff_A"
        )
    edges = np.linspace(0.0, 180.0, n_bins + 1)
    each = _densities(counts[filled], edges, per_solid_angle)
    density = _densities(counts.sum(axis=0, keepdims=True), edges, per_solid_angle)[0]
    mean, n_angles = float(sums.sum() / numbers.sum()), int(numbers.sum())
    return BondAngles(
        edges=edges,
        density=density,
        density_error=_standard_error(each),
        mean=mean,
        mean_error=float(_standard_error(sums[filled] / numbers[filled])),
        standard_deviation=float(np.sqrt(max(squares / n_angles - mean**2, 0.0))),
        peak=_peak(edges, density),
        n_angles=n_angles,
        bonds_per_centre=bonds / (n_frames * len(species[centre])),
    )


def _densities(counts: FloatArray, edges: FloatArray, per_solid_angle: bool) -> FloatArray:
    weighted = counts / -np.diff(np.cos(np.radians(edges))) if per_solid_angle else counts
    density: FloatArray = weighted / (weighted * np.diff(edges)).sum(axis=-1, keepdims=True)
    return density


def _standard_error(each: FloatArray) -> FloatArray:
    if len(each) == 1:
        return np.full(each.shape[1:], np.nan)
    error: FloatArray = each.std(axis=0, ddof=1) / np.sqrt(len(each))
    return error


def _peak(edges: FloatArray, density: FloatArray) -> float:
    top = int(density.argmax())
    step = float(edges[1] - edges[0])
    shift = 0.0
    if 0 < top < len(density) - 1:
        before, here, after = density[top - 1 : top + 2].tolist()
        shift = 0.5 * (before - after) / (before - 2.0 * here + after) if before + after < 2.0 * here else 0.0
    return float(0.5 * (edges[top] + edges[top + 1]) + shift * step)
