"""Radial structure functions: how many neighbours of each species an atom has at each distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.neighbour_pairs import neighbour_pairs
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, checked_positions
from lipsdb.errors import BadInputError

LARGEST_RESULT = 2 * 2**30  # bytes of features that one call may return
SMEARING_REACH = 5.0  # standard deviations, beyond which a smeared neighbour is not counted (6e-7 of it)


@dataclass(frozen=True)
class FeatureDefinition:
    """What the radial structure functions are: species, cutoff, spacing and smearing.

    Attributes
    ----------
    centre : str
        Species whose surroundings are described.
    neighbours : tuple of str
        Species of the neighbours, each with its own function.
    cutoff, spacing : float
        Range and width of the bins, Å; the range is a whole number of bins.
    smearing : float
        Standard deviation, Å, of the normal distribution that each neighbour is smeared to; 0 counts it in one bin.
    """

    centre: str = "Li"
    neighbours: tuple[str, ...] = ("Li", "P", "S")
    cutoff: float = 10.0
    spacing: float = 0.2
    smearing: float = 0.0

    def __post_init__(self) -> None:
        valid = np.isfinite([self.cutoff, self.spacing, self.smearing]).all() and self.smearing >= 0
        if not (valid and 0 < self.spacing <= self.cutoff and abs(self.n_bins * self.spacing - self.cutoff) < 1e-6):
            raise BadInputError(
                f"radial functions with cutoff {self.cutoff} Å, spacing {self.spacing} Å, smearing {self.smearing} Å; "
                "expected a cutoff that is a whole number of positive spacings and a smearing of 0 or more"
            )
        if not self.neighbours or len(set(self.neighbours)) < len(self.neighbours):
            raise BadInputError(f"neighbour species {self.neighbours}; expected at least one, each once")

    @property
    def n_bins(self) -> int:
        """Bins of each pair."""
        return round(self.cutoff / self.spacing)

    @property
    def n_features(self) -> int:
        """Bins of all pairs: the pairs follow one another, each from short distance to long."""
        return self.n_bins * len(self.neighbours)

    @property
    def pairs(self) -> tuple[str, ...]:
        """Names of the pairs, such as ``Li-S``, in the order of the features."""
        return tuple(f"{self.centre}-{neighbour}" for neighbour in self.neighbours)

    @property
    def distances(self) -> FloatArray:
        """Middle of each bin, Å, shape (n_bins,)."""
        middles: FloatArray = self.spacing * (np.arange(self.n_bins, dtype=np.float64) + 0.5)
        return middles


def _spread(distance: FloatArray, row: IntArray, n_rows: int, definition: FeatureDefinition) -> FloatArray:
    """Each neighbour's share of each bin, summed in its row: (n_rows, n_bins)."""
    from scipy.special import ndtr

    spacing, smearing, n_bins = definition.spacing, definition.smearing, definition.n_bins
    # An edge belongs to the bin above it, also when the division rounds down.
    inner = np.floor(distance / spacing + 1e-9).astype(np.int64)
    width = int(np.ceil(SMEARING_REACH * smearing / spacing))
    counts = np.zeros(n_rows * n_bins)
    below = ndtr(((inner - width) * spacing - distance) / smearing) if smearing else None
    for bin_ in (inner + offset for offset in range(-width, width + 1)):
        inside = (bin_ >= 0) & (bin_ < n_bins)
        share = None
        if below is not None:
            above = ndtr(((bin_ + 1) * spacing - distance) / smearing)
            share, below = (above - below)[inside], above
        counts += np.bincount((row * n_bins + bin_)[inside], share, minlength=counts.size)
    return counts.reshape(n_rows, n_bins)


def radial_structure_functions(
    positions: ArrayLike, cell: ArrayLike, symbols: ArrayLike, definition: FeatureDefinition | None = None
) -> NDArray[np.float32]:
    """Number of neighbours (dimensionless) of each centre in each bin of distance, species by species.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Wrapped or not; the frames that are wanted (``positions[::100]`` of a mapped file reads no others).
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic, periodic in all three.
    symbols : (n_atoms,) array of str
        Species.
    definition : FeatureDefinition, optional
        The study's if not given: Li-Li, Li-P and Li-S in bins of 0.2 Å up to 10 Å, not smeared.

    Returns
    -------
    (n_frames, n_centres, n_features) array of float32, dimensionless
        Centres in the order of the atoms; features as `FeatureDefinition` says. Not standardised.

    Raises
    ------
    BadInputError
        Arrays that do not fit together, a species that is not there, or a result above 2 GiB.

    Notes
    -----
    ``G(i; r) = Σ_j ∫_r^{r+dr} N(s; r_ij, σ) ds`` over all images of the atoms j of one species within the cutoff, which
    may exceed half the cell; for σ = 0 the number of j with ``r ≤ r_ij < r + dr``. Neighbours beyond the cutoff are
    smeared into it too. The study names "radial order parameters" with dr and a cutoff, but not whether it smears them.
    Divided by ``4π r² dr ρ_j`` the mean over the centres is g(r).

    References
    ----------
    Lithium thiophosphate study (disorder), eq. 16, Figs. 4b and S15 (dr 0.2 Å, cutoff 10 Å); E. D. Cubuk et al.,
    Phys. Rev. Lett. 114, 108001 (2015), doi:10.1103/PhysRevLett.114.108001; S. S. Schoenholz et al., Nat. Phys. 12, 469
    (2016), doi:10.1038/nphys3644.

    Examples
    --------
    >>> salt = FeatureDefinition("Li", ("Li", "F"), cutoff=3.0, spacing=1.0)
    >>> rock = np.array([[[0, 0, 0], [0.5, 0.5, 0.5]]]) @ np.array([[0, 2.0, 2.0], [2.0, 0, 2.0], [2.0, 2.0, 0]])
    >>> radial_structure_functions(rock, [[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], salt).tolist()
    [[[0.0, 0.0, 12.0, 0.0, 0.0, 6.0]]]
    """
    definition = definition or FeatureDefinition()
    array = checked_positions(positions, minimum_frames=1)
    n_frames, n_atoms, _ = array.shape
    species = np.asarray(symbols, dtype=np.str_)
    cells = np.asarray(cell, dtype=np.float64)
    if species.shape != (n_atoms,) or cells.shape not in {(3, 3), (n_frames, 3, 3)}:
        raise BadInputError(
            f"symbols have shape {species.shape} and the cell {cells.shape}; "
            f"expected ({n_atoms},) and (3, 3) or ({n_frames}, 3, 3)"
        )
    missing = {definition.centre, *definition.neighbours} - set(species.tolist())
    if missing:
        raise BadInputError(f"no atom is {', '.join(sorted(missing))}; there are {', '.join(sorted(set(species)))}")
    centres = np.flatnonzero(species == definition.centre)
    shape = (n_frames, len(centres), definition.n_features)
    if 4 * np.prod(shape, dtype=np.int64) > LARGEST_RESULT:
        raise BadInputError(
            f"features of {n_frames} frames × {len(centres)} centres × {shape[2]} bins take "
            f"{4 * np.prod(shape, dtype=np.float64) / 2**30:.1f} GiB; at most {LARGEST_RESULT / 2**30:g} are allowed; "
            "take fewer frames at a time"
        )
    others = np.flatnonzero(np.isin(species, definition.neighbours))
    kind = np.array([definition.neighbours.index(name) for name in species[others].tolist()], dtype=np.int64)
    n_kinds = len(definition.neighbours)
    features = np.empty(shape, dtype=np.float32)
    reach = definition.cutoff + SMEARING_REACH * definition.smearing
    for frame, matrix in enumerate(np.broadcast_to(cells, (n_frames, 3, 3))):
        pairs = neighbour_pairs(array[frame], matrix, centres, others, reach)
        row = pairs.centre * n_kinds + kind[pairs.neighbour]
        features[frame] = _spread(pairs.distance, row, len(centres) * n_kinds, definition).reshape(shape[1:])
    return features


def coarser_features(
    features: NDArray[np.float32], definition: FeatureDefinition, wanted: FeatureDefinition
) -> NDArray[np.float32]:
    """Number of neighbours (dimensionless) in wider bins or up to a shorter cutoff, from those in finer ones.

    Parameters
    ----------
    features : (..., n_features) array, dimensionless
        From `radial_structure_functions`.
    definition : FeatureDefinition
        What they are.
    wanted : FeatureDefinition
        What is wanted: the same species and smearing, a spacing that is a multiple, a cutoff that is not larger.

    Returns
    -------
    (..., n_features of `wanted`) array of float32, dimensionless

    Raises
    ------
    BadInputError
        Features that are not of this definition, or that do not hold what is wanted.

    Examples
    --------
    >>> fine, coarse = FeatureDefinition(neighbours=("S",), cutoff=2.0, spacing=0.5), None
    >>> coarse = FeatureDefinition(neighbours=("S",), cutoff=1.0, spacing=1.0)
    >>> coarser_features(np.array([[1.0, 2.0, 3.0, 4.0]], dtype=np.float32), fine, coarse).tolist()
    [[3.0]]
    """
    factor = round(wanted.spacing / definition.spacing)
    same = (wanted.centre, wanted.neighbours, wanted.smearing) == (
        definition.centre,
        definition.neighbours,
        definition.smearing,
    )
    multiple = abs(factor * definition.spacing - wanted.spacing) < 1e-6
    if features.shape[-1] != definition.n_features or not same or not multiple or wanted.cutoff > definition.cutoff:
        raise BadInputError(
            f"features of shape {features.shape} defined by {definition} do not hold {wanted}; expected "
            f"{definition.n_features} a sample, the same species and smearing, multiple spacing, no larger cutoff"
        )
    leading = features.shape[:-1]
    bins = features.reshape(*leading, len(definition.neighbours), definition.n_bins)[..., : wanted.n_bins * factor]
    summed: NDArray[np.float32] = bins.reshape(*leading, -1, wanted.n_bins, factor).sum(axis=-1, dtype=np.float32)
    return summed.reshape(*leading, wanted.n_features)
