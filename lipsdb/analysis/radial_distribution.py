"""Partial and total radial distribution functions, running coordination numbers, and where their peaks are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.periodic_cells import checked_cells, freud_frames
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, PositionArray, checked_positions
from lipsdb.errors import BadInputError


@dataclass(frozen=True)
class RadialDistribution:
    """Radial distribution functions of all pairs of species, averaged over frames.

    Attributes
    ----------
    elements : tuple of str
        Species in alphabetical order; the first two axes of what follows.
    n_atoms : (n_elements,) array of int
        Atoms of each.
    volume : float
        Mean volume of the cell, Å³.
    edges : (n_bins + 1,) array
        Bin edges from 0, Å.
    partial, partial_error : (n_elements, n_elements, n_bins) array
        ``g_ij``, dimensionless, and its standard error from blocks of frames.
    total, total_error : (n_bins,) array
        Number-number ``g = Σ c_i c_j g_ij``, dimensionless, and its standard error.
    coordination, coordination_error : (n_elements, n_elements, n_bins) array
        ``n_ij``: mean number of neighbours of kind j around one i, out to the upper edge of the bin, and its standard
        error. Not symmetric: the centre comes first.
    n_frames, n_blocks : int
        Frames averaged over, and the blocks that the errors are from.
    """

    elements: tuple[str, ...]
    n_atoms: IntArray
    volume: float
    edges: FloatArray
    partial: FloatArray
    partial_error: FloatArray
    total: FloatArray
    total_error: FloatArray
    coordination: FloatArray
    coordination_error: FloatArray
    n_frames: int
    n_blocks: int

    @property
    def radius(self) -> FloatArray:
        """Centres of the bins, Å."""
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    @property
    def number_density(self) -> float:
        """Atoms of all kinds in the mean volume, Å⁻³."""
        return float(self.n_atoms.sum()) / self.volume

    def pair(self, centre: str, neighbour: str) -> tuple[int, int]:
        """Indices of two species on the first two axes."""
        missing = [name for name in (centre, neighbour) if name not in self.elements]
        if missing:
            raise BadInputError(f"{missing[0]} is not in the trajectory; its species are {', '.join(self.elements)}")
        return self.elements.index(centre), self.elements.index(neighbour)


def species_members(symbols: ArrayLike, n_atoms: int) -> dict[str, IntArray]:
    """Indices of the atoms of each species, in alphabetical order of the species.

    Parameters
    ----------
    symbols : (n_atoms,) array of str
        Chemical symbols.
    n_atoms : int
        Number of atoms in the trajectory.

    Returns
    -------
    dict of str to array of int

    Raises
    ------
    BadInputError
        Not one symbol for each atom.

    Examples
    --------
    >>> {name: atoms.tolist() for name, atoms in species_members(["S", "Li", "S"], 3).items()}
    {'Li': [1], 'S': [0, 2]}
    """
    names: NDArray[np.str_] = np.asarray(symbols)
    if names.shape != (n_atoms,) or names.dtype.kind != "U":
        raise BadInputError(
            f"symbols are {names.dtype} of shape {names.shape}; expected {n_atoms} chemical symbols, one an atom"
        )
    return {str(name): np.flatnonzero(names == name) for name in np.unique(names)}


def _checked_bins(dr: float, r_max: float | None, cells: FloatArray) -> tuple[int, float]:
    # The height between two faces is 1 / |column of the inverse|; a vector shorter than half of the smallest has
    # fractional components below 1/2, so its nearest image is the only one and is found by wrapping, skewed or not.
    inverse = np.linalg.inv(cells)
    largest = 0.5 / float(np.linalg.norm(inverse, axis=1).max())
    wanted = largest if r_max is None else float(r_max)
    if not (np.isfinite(wanted) and 0.0 < wanted <= largest):
        raise BadInputError(
            f"r_max is {wanted:g} Å; expected more than 0 and at most {largest:.4f} Å, half the smallest width of the "
            "cell in any frame; choose less or a larger cell"
        )
    if not (np.isfinite(dr) and 0.0 < dr <= wanted):
        raise BadInputError(f"dr is {dr:g} Å; expected more than 0 and at most r_max, {wanted:g} Å")
    return int(np.floor(wanted / dr + 1e-9)), largest


def _pair_counts(
    positions: PositionArray, cells: FloatArray, members: list[IntArray], edges: FloatArray, largest: float
) -> Iterator[NDArray[np.uint32]]:
    """Pairs at each distance in each frame, (n_elements, n_elements, n_bins); those of like atoms counted both ways."""
    import freud

    # freud.density.RDF holds the same counts but takes O(n_bins³) to construct: seconds for 1000 bins.
    histogram = freud.density.CorrelationFunction(len(edges) - 1, edges[-1])
    reach = min(float(edges[-1]), largest * (1.0 - 1e-6))  # freud refuses half a width itself
    ones = [np.ones(len(atoms)) for atoms in members]
    counts = np.empty((len(members), len(members), len(edges) - 1), dtype=np.uint32)
    for box, points in freud_frames(positions, cells):
        groups = [points[atoms] for atoms in members]
        trees = [freud.locality.AABBQuery(box, group) for group in groups]
        for i, j in combinations_with_replacement(range(len(members)), 2):
            query = {"mode": "ball", "r_max": reach, "exclude_ii": i == j}
            histogram.compute(trees[j], ones[j], groups[i], ones[i], neighbors=query)
            counts[i, j] = counts[j, i] = histogram.bin_counts
        yield counts


def _mean_and_error(sums: FloatArray, sizes: IntArray) -> tuple[FloatArray, FloatArray]:
    mean: FloatArray = sums.sum(axis=0) / sizes.sum()
    if len(sizes) == 1:
        return mean, np.full(mean.shape, np.nan)
    each = sums / sizes.reshape(-1, *[1] * mean.ndim)
    error: FloatArray = each.std(axis=0, ddof=1) / np.sqrt(len(sizes))
    return mean, error


def radial_distribution(
    positions: ArrayLike,
    cell: ArrayLike,
    symbols: ArrayLike,
    *,
    dr_A: float = 0.02,
    r_max_A: float | None = None,
    n_blocks: int = 10,
) -> RadialDistribution:
    """Partial and total g(r), dimensionless, and running coordination numbers over r in Å.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Wrapped or not.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic, periodic in all three; one for each frame in NPT.
    symbols : (n_atoms,) array of str
        Chemical symbols.
    dr_A : float
        Width of the bins, Å.
    r_max_A : float, optional
        Range, Å, cut to a whole number of bins; at most, and if not given, half the smallest perpendicular width of
        the cell in any frame.
    n_blocks : int
        Consecutive blocks of frames that the standard errors are from; fewer if there are fewer frames. A block should
        be longer than the correlation time.

    Returns
    -------
    RadialDistribution

    Raises
    ------
    BadInputError
        Arrays that do not fit together, a cell without volume, or bins outside what the cell allows.

    Notes
    -----
    ``g_ij(r) = <n_ij(r) V / N_j> / v(r)``, with n_ij the number of j atoms in the shell around an i atom, v the exact
    volume of the shell, and V that of the frame, so that NPT runs are normalised frame by frame. ``N_j / V`` is the
    density of all j atoms also for i = j: an ideal gas has 1 - 1/N_i there. An atom alone of its kind has ``g_ii = 0``.
    ``n_ij`` is counted, not integrated. Distances are freud's, in single precision (1e-6 Å in common cells). The cost
    is O(n_atoms r_max³) a frame, and freud uses all cores (`freud.parallel.set_num_threads`).

    References
    ----------
    doi:10.1038/s41467-025-56322-x, eqs. 1 and 2, Figs. 1a, 1e and S3.
    doi:10.1039/d3ya00234a, Fig. 4a.

    Examples
    --------
    >>> atoms = np.array([[[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]])
    >>> result = radial_distribution(atoms, 8.0 * np.eye(3), ["P", "S"], dr_A=0.3)
    >>> i, j = result.pair("P", "S")
    >>> float(result.radius[result.partial[i, j].argmax()]), float(result.coordination[i, j, -1])
    (1.95, 1.0)
    """
    array = checked_positions(positions, minimum_frames=1)
    n_frames, n_atoms, _ = array.shape
    species = species_members(symbols, n_atoms)
    cells = checked_cells(cell, n_frames)
    n_bins, largest = _checked_bins(dr_A, r_max_A, cells)
    if n_blocks < 1:
        raise BadInputError(f"n_blocks is {n_blocks}; expected 1 or more")
    edges: FloatArray = dr_A * np.arange(n_bins + 1, dtype=np.float64)
    members = list(species.values())
    numbers = np.array([len(atoms) for atoms in members], dtype=np.int64)
    volumes = np.abs(np.linalg.det(cells))
    block = np.arange(n_frames) * min(n_blocks, n_frames) // n_frames
    sizes = np.bincount(block).astype(np.int64)
    found = np.zeros((len(sizes), len(members), len(members), n_bins))
    weighted = np.zeros_like(found)
    for index, counts in enumerate(_pair_counts(array, cells, members, edges, largest)):
        found[block[index]] += counts
        weighted[block[index]] += volumes[index] * counts
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    partial, partial_error = _mean_and_error(weighted / (numbers[:, None, None] * numbers[:, None] * shells), sizes)
    total, total_error = _mean_and_error(weighted.sum(axis=(1, 2)) / (n_atoms**2 * shells), sizes)
    running = found.cumsum(axis=3) / numbers[:, None, None]
    coordination, coordination_error = _mean_and_error(running, sizes)
    return RadialDistribution(
        elements=tuple(species),
        n_atoms=numbers,
        volume=float(volumes.mean()),
        edges=edges,
        partial=partial,
        partial_error=partial_error,
        total=total,
        total_error=total_error,
        coordination=coordination,
        coordination_error=coordination_error,
        n_frames=n_frames,
        n_blocks=len(sizes),
    )


def coordination_between(
    distribution: RadialDistribution, centre: str, neighbour: str, r_2: float, r_1: float = 0.0
) -> float:
    """Mean number of neighbours between two radii in Å around one atom, dimensionless.

    Parameters
    ----------
    distribution : RadialDistribution
        From `radial_distribution`.
    centre, neighbour : str
        Species: Li and S for the sulphur around a lithium.
    r_2, r_1 : float, Å
        Outer and inner radius.

    Returns
    -------
    float

    Raises
    ------
    BadInputError
        A species that is not there, or radii outside the range.

    Notes
    -----
    ``n = ∫ 4 π r² ρ_j g_ij(r) dr`` from r_1 to r_2: the difference of the running coordination at the two, linear
    within a bin.

    References
    ----------
    doi:10.1038/s41467-025-56322-x, eq. 2.

    Examples
    --------
    >>> atoms = np.array([[[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]])
    >>> result = radial_distribution(atoms, 8.0 * np.eye(3), ["P", "S"])
    >>> coordination_between(result, "P", "S", 2.5), coordination_between(result, "P", "S", 3.0, 2.5)
    (1.0, 0.0)
    """
    i, j = distribution.pair(centre, neighbour)
    if not 0.0 <= r_1 < r_2 <= distribution.edges[-1] + 1e-9:
        raise BadInputError(
            f"the radii are {r_1:g} and {r_2:g} Å; expected 0 <= r_1 < r_2 <= {distribution.edges[-1]:g} Å"
        )
    running = np.concatenate([[0.0], distribution.coordination[i, j]])
    inner, outer = np.interp([r_1, r_2], distribution.edges, running).tolist()
    return float(outer - inner)


@dataclass(frozen=True)
class FirstPeak:
    """First peak of a radial distribution function."""

    position: float  # Å; NaN if there is no peak
    height: float  # of the smoothed curve, dimensionless
    minimum: float  # Å, first minimum after it; NaN if the range ends before


def first_peak(radius: ArrayLike, g: ArrayLike, *, smoothing_A: float = 0.03, prominence: float = 0.2) -> FirstPeak:
    """Position in Å of the first maximum of a radial distribution function and of the minimum that follows it.

    Parameters
    ----------
    radius : (n_bins,) array, Å
        Equally spaced.
    g : (n_bins,) array, dimensionless
        One partial or the total.
    smoothing_A : float
        Standard deviation of the Gaussian that noise is smoothed with, Å; 0 for none.
    prominence : float
        By how much a maximum must stand above the minima beside it (`scipy.signal.find_peaks`).

    Returns
    -------
    FirstPeak

    Raises
    ------
    BadInputError
        Arrays that do not fit together or radii that are not equally spaced.

    Notes
    -----
    Both are refined by the parabola through the extreme bin and its two neighbours. The minimum is the lowest point
    before the next maximum; where the curve is zero over a stretch, as between two shells of a molecule, its middle.

    References
    ----------
    doi:10.1038/s41467-025-56322-x, text on Fig. S3 (P-S 2.07 Å).
    doi:10.1039/d3ya00234a, text on Fig. 4a (Li-S 2.43, S-S 3.35, Li-P 3.05, P-P 5.01 Å).

    Examples
    --------
    >>> r = np.arange(0.01, 6.0, 0.02)
    >>> peak = first_peak(r, 9 * np.exp(-(((r - 2.07) / 0.1) ** 2)) + np.exp(-(((r - 5.0) / 0.4) ** 2)))
    >>> round(peak.position, 3), 2.4 < peak.minimum < 4.0
    (2.07, True)
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    r, values = np.asarray(radius, dtype=np.float64), np.asarray(g, dtype=np.float64)
    if r.ndim != 1 or r.size < 3 or values.shape != r.shape or not np.allclose(np.diff(r), r[1] - r[0]):
        raise BadInputError(
            f"radius of shape {r.shape} and g of shape {values.shape}; "
            "expected two equally long rows of at least three values, the radii equally spaced"
        )
    step = float(r[1] - r[0])
    smooth = gaussian_filter1d(values, smoothing_A / step) if smoothing_A > 0 else values
    tops = find_peaks(smooth, prominence=prominence)[0]
    if tops.size == 0:
        return FirstPeak(np.nan, np.nan, np.nan)
    top = int(tops[0])
    stretch = smooth[top : int(tops[1]) if tops.size > 1 else len(r)]
    lowest = top + np.flatnonzero(stretch <= stretch.min() + 1e-12)
    if lowest[-1] == len(r) - 1:
        minimum = np.nan
    else:
        minimum = _vertex(r, smooth, int(lowest[0])) if lowest.size == 1 else float(r[lowest].mean())
    return FirstPeak(_vertex(r, smooth, top), float(smooth[top]), minimum)


def _vertex(r: FloatArray, values: FloatArray, index: int) -> float:
    before, here, after = values[index - 1 : index + 2].tolist()
    curvature = before - 2.0 * here + after
    shift = 0.5 * (before - after) / curvature if curvature else 0.0
    return float(r[index] + shift * (r[1] - r[0]))
