"""Amorphisation F(z): where along an axis a structure is glass, where crystal, and where the boundaries are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.periodic_cells import checked_cells
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, blocks, checked_mask, checked_positions
from lipsdb.errors import BadInputError

CRYSTAL, INTERFACE, GLASS = 0, 1, 2
PHASES = ("crystal", "interface", "glass")
_REACH = 5.0  # standard deviations after which a Gaussian is cut
_GRID = 3.0  # points a standard deviation


@dataclass(frozen=True)
class Amorphisation:
    """Amorphisation of slabs along one axis.

    Attributes
    ----------
    axis : int
        0, 1 or 2: the cell vector that the slabs are stacked along.
    heights : (n_slabs,) array, Å
        Middle of each slab above the face of the cell through its origin, mean over the frames.
    height : float
        Of the cell between the two faces, Å, mean over the frames: where the slabs begin again.
    sums : (n_frames, n_slabs) array, dimensionless
        Sum of the magnitudes of the two-dimensional Fourier transform of each slab.
    reference : float
        What sums are divided by: the largest of the mean sums, or what was given.
    """

    axis: int
    heights: FloatArray
    height: float
    sums: FloatArray
    reference: float

    @property
    def profile(self) -> FloatArray:
        """F of each slab, (n_slabs,), dimensionless: mean over the frames, near 1 in glass and lower in crystal."""
        profile: FloatArray = self.sums.mean(axis=0) / self.reference
        return profile


def amorphisation(
    positions: ArrayLike,
    cell: ArrayLike,
    mask: ArrayLike,
    *,
    axis: int = 1,
    slab_width: float = 2.0,
    smoothing: float = 1.0,
    reference: float | None = None,
    workers: int = 1,
) -> Amorphisation:
    r"""Amorphisation F(z) of slabs along an axis, dimensionless: about 1 in a glass, lower in a crystal.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Wrapped or not.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic, periodic in all three. Slabs are parallel to the face
        spanned by the two vectors other than `axis`, and cut its height, which need not be along the third vector.
    mask : (n_atoms,) array of bool
        Atoms that make the density: those of the framework, such as P and S, or all.
    axis : int
        The cell vector that slabs are stacked along: 0, 1 or 2. The study takes y (1).
    slab_width : float
        Width, Å; it is changed a little so that a whole number of slabs fits. Slabs thinner than the distance of
        lattice planes show single planes.
    smoothing : float
        Standard deviation of the Gaussian that stands for an atom, Å. It blurs the profile too.
    reference : float, optional
        Sum that counts as 1, from another run (`Amorphisation.reference`) whose cell has the same cross-section and
        slab width. Without it, the largest mean sum of this run: in a run without glass, then, crystal is 1.
    workers : int
        Threads of the Fourier transform.

    Returns
    -------
    Amorphisation

    Raises
    ------
    BadInputError
        Arrays that do not fit together, an axis that is none, a width, smoothing or reference that is not positive.

    Notes
    -----
    .. math::

        F(z) = \frac{I(z)}{\max_z I(z)}, \qquad
        I(z) = \sum_{\mathbf k} \Big| \int_z^{z + \Delta z} \! dz' \!\int\! d^2 r\,
               \rho(\mathbf r, z')\, e^{-i \mathbf k \cdot \mathbf r} \Big|

    with the Gaussian density ρ, the wave vectors k of the face, and I(z) averaged over the frames. The magnitudes of
    a crystal gather in few Bragg peaks; those of a glass are spread over all k, which gives a larger sum. The study's
    words leave open whether "intensities" are magnitudes or their squares: the squares add up to the mean square of
    the density (Parseval) whatever the order, so magnitudes are meant. Its slab width, grid and Gaussian are not
    stated. The contrast grows with the cross-section, F of a perfect crystal falling as one over the square root of the
    number of unit cells in it; some 10 atoms a slab are needed.

    Atoms are spread by quadratic splines over a grid of a third of the Gaussian's width, and the Gaussian is applied in
    reciprocal space, so that the sum depends neither on the grid (to some 0.1 %) nor on the choice of cell vectors in
    the face.

    References
    ----------
    doi:10.1038/s41467-025-56322-x, eq. (6) and Fig. 1c.

    Examples
    --------
    >>> crystal = 3.0 * np.array([[[x, y, z] for x in range(4) for y in range(4) for z in range(4)]])
    >>> amorphisation(crystal, 12.0 * np.eye(3), np.full(64, True), slab_width=3.0).profile.round(3).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    array = checked_positions(positions, minimum_frames=1)
    n_frames, n_atoms, _ = array.shape
    chosen = np.flatnonzero(checked_mask(mask, n_atoms, "density"))
    cells = checked_cells(cell, n_frames)
    _check_slabs(axis, slab_width)
    for name, value, unit in (("smoothing", smoothing, " Å"), ("reference", reference, "")):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise BadInputError(f"the {name} is {value}{unit}; expected a positive number")
    heights = np.array([_height(cell_, axis) for cell_ in cells])
    n_slabs = max(1, round(float(heights[0]) / slab_width))
    sums = np.empty((n_frames, n_slabs))
    for frame, (atoms, cell_) in enumerate(zip(array, cells, strict=True)):
        sums[frame] = _slab_sums(atoms[chosen].astype(np.float64), cell_, axis, n_slabs, smoothing, workers)
    height = float(heights.mean())
    middles: FloatArray = (np.arange(n_slabs) + 0.5) * height / n_slabs
    largest = float(sums.mean(axis=0).max())
    return Amorphisation(axis, middles, height, sums, largest if reference is None else float(reference))


@dataclass(frozen=True)
class SlabPhases:
    """Phase of each slab.

    Attributes
    ----------
    phases : (n_slabs,) array of int8
        `CRYSTAL` (0), `INTERFACE` (1) or `GLASS` (2), as in `PHASES`.
    boundaries : (n_boundaries,) array, Å
        Heights where F crosses the middle between the two thresholds, rising.
    axis : int
        The cell vector that slabs are stacked along.
    """

    phases: NDArray[np.int8]
    boundaries: FloatArray
    axis: int


def slab_phases(
    found: Amorphisation, *, crystal_below: float = 0.6, glass_above: float = 0.8, interface_half_width: float = 0.0
) -> SlabPhases:
    """Phase of each slab, and the heights of the boundaries in Å, by thresholds of F(z).

    Parameters
    ----------
    found : Amorphisation
        From `amorphisation`.
    crystal_below, glass_above : float
        F of crystal and of glass, dimensionless; between them is interface.
    interface_half_width : float
        Slabs with their middle within this distance of a boundary are interface too, Å.

    Returns
    -------
    SlabPhases

    Raises
    ------
    BadInputError
        Thresholds that are not in order, or a negative width.

    Notes
    -----
    F crosses the middle of the two thresholds linearly between the middles of slabs, periodically. The defaults suit
    a cross-section of some thousand square Å, where β-Li3PS4 has 0.36 to 0.48 and its disordered half 0.87 to 1; with
    a smaller one the crystal comes nearer to the glass: look at the profile first.

    Examples
    --------
    >>> sums = np.array([[0.5, 0.5, 1.0, 1.0]])
    >>> found = slab_phases(Amorphisation(1, np.array([5.0, 15.0, 25.0, 35.0]), 40.0, sums, 1.0))
    >>> found.phases.tolist(), found.boundaries.round(2).tolist()
    ([0, 0, 2, 2], [1.0, 19.0])
    """
    if not (0 < crystal_below <= glass_above and interface_half_width >= 0):
        raise BadInputError(
            f"crystal below {crystal_below}, glass above {glass_above}, interface within {interface_half_width} Å; "
            "expected 0 < crystal <= glass and a width of 0 or more"
        )
    profile = found.profile
    excess = profile - 0.5 * (crystal_below + glass_above)
    following = np.roll(excess, -1)
    (crossing,) = np.nonzero((excess < 0) != (following < 0))
    step = found.height / len(profile)
    part = excess[crossing] / (excess[crossing] - following[crossing])
    boundaries: FloatArray = np.sort((found.heights[crossing] + part * step) % found.height)
    phases = np.full(len(profile), INTERFACE, dtype=np.int8)
    phases[profile < crystal_below] = CRYSTAL
    phases[profile > glass_above] = GLASS
    distance = found.heights[:, None] - boundaries
    distance -= found.height * np.round(distance / found.height)
    if interface_half_width > 0:
        phases[(np.abs(distance) <= interface_half_width).any(axis=1)] = INTERFACE
    return SlabPhases(phases, boundaries, found.axis)


def atom_phases(positions: ArrayLike, cell: ArrayLike, found: SlabPhases) -> NDArray[np.int8]:
    """Phase of each atom in each frame by the slab that it is in.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Wrapped or not.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors.
    found : SlabPhases
        From `slab_phases`.

    Returns
    -------
    (n_frames, n_atoms) array of int8
        `CRYSTAL` (0), `INTERFACE` (1) or `GLASS` (2); ``== GLASS`` gives a mask.

    Raises
    ------
    BadInputError
        Arrays that do not fit together.

    Examples
    --------
    >>> found = SlabPhases(np.array([0, 2], dtype=np.int8), np.array([0.0, 5.0]), 1)
    >>> atoms = np.array([[[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]]])
    >>> [PHASES[phase] for phase in atom_phases(atoms, 10 * np.eye(3), found)[0]]
    ['crystal', 'glass']
    """
    array = checked_positions(positions, minimum_frames=1)
    cells = checked_cells(cell, len(array))
    phases = np.empty(array.shape[:2], dtype=np.int8)
    across = np.linalg.inv(cells)[:, :, found.axis]
    n_slabs = len(found.phases)
    for frames in blocks(len(array), 32 * array.shape[1]):
        fraction = np.einsum("fnx,fx->fn", array[frames], across[frames])
        phases[frames] = found.phases[np.floor(fraction * n_slabs).astype(np.int64) % n_slabs]
    return phases


def _slab_sums(
    atoms: FloatArray, cell: FloatArray, axis: int, n_slabs: int, smoothing: float, workers: int
) -> FloatArray:
    """Sum over wave vectors of the magnitudes of each slab's transform in one frame."""
    from scipy.fft import next_fast_len, rfft2

    face = np.array(_face(cell, axis)[:2])
    shape = tuple(next_fast_len(int(np.ceil(np.linalg.norm(v) * _GRID / smoothing)), real=True) for v in face)
    slab, place, weight = _atoms_in_slabs(atoms, cell, axis, n_slabs, smoothing)
    filter_ = _gaussian_filter(face, shape, smoothing)
    sums = np.empty(n_slabs)
    for slabs in blocks(n_slabs, 40 * shape[0] * shape[1]):
        inside = (slab >= slabs.start) & (slab < slabs.stop)
        n_here = slabs.stop - slabs.start
        density = _spread(slab[inside] - slabs.start, place[inside], weight[inside], (n_here, *shape))
        sums[slabs] = np.einsum("spq,pq->s", np.abs(rfft2(density, workers=workers)), filter_)
    return sums


def _atoms_in_slabs(
    atoms: FloatArray, cell: FloatArray, axis: int, n_slabs: int, smoothing: float
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Slab, fractional place in the face, and share of each Gaussian in each slab that it reaches."""
    from scipy.special import erf

    to_fractions = np.linalg.inv(np.array(_face(cell, axis)))
    place, height = np.split(atoms @ to_fractions, [2], axis=1)  # fractions of the face, Å above it
    step_place, step_height = np.split(cell[axis] @ to_fractions, [2])
    width = abs(float(step_height[0])) / n_slabs
    reach = int(np.ceil(_REACH * smoothing / width))
    slab = np.floor(height / width).astype(np.int64) + np.arange(-reach, reach + 1)
    scaled = (slab * width - height) / (np.sqrt(2) * smoothing)
    share: FloatArray = 0.5 * (erf(scaled + width / (np.sqrt(2) * smoothing)) - erf(scaled))
    image = slab // n_slabs  # in a tilted cell, images are displaced along the face
    places = place[:, None] - image[..., None] * step_place
    return (slab % n_slabs).ravel(), places.reshape(-1, 2), share.ravel()


def _spread(slab: IntArray, place: FloatArray, weight: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Density on a grid, each atom shared among the nine points around it as a quadratic spline."""
    points = (place - np.floor(place)) * shape[1:]
    nearest = np.rint(points).astype(np.int64)
    beyond = points - nearest
    shares = (0.5 * (0.5 - beyond) ** 2, 0.75 - beyond**2, 0.5 * (0.5 + beyond) ** 2)
    density = np.zeros(int(np.prod(shape)))
    for p, q in product((-1, 0, 1), repeat=2):
        row, column = (nearest[:, 0] + p) % shape[1], (nearest[:, 1] + q) % shape[2]
        index = (slab * shape[1] + row) * shape[2] + column
        density += np.bincount(index, weight * shares[1 + p][:, 0] * shares[1 + q][:, 1], len(density))
    grid: FloatArray = density.reshape(shape)
    return grid


def _gaussian_filter(face: FloatArray, shape: tuple[int, ...], smoothing: float) -> FloatArray:
    """Transform of the Gaussian over that of the spreading, doubled where rfft2 keeps one of two wave vectors."""
    first, second = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    index = np.stack(np.meshgrid(first * shape[0], second * shape[1], indexing="ij"), axis=-1)
    squared = (2 * np.pi) ** 2 * np.einsum("pqi,ij,pqj->pq", index, np.linalg.inv(face @ face.T), index)
    spreading = np.outer(np.sinc(first) ** 3, np.sinc(second) ** 3)
    twice = np.where(index[0, :, 1] == 0, 1.0, 2.0)
    filter_: FloatArray = twice * np.exp(-0.5 * squared * smoothing**2) / spreading
    return filter_


def _face(cell: FloatArray, axis: int) -> tuple[Any, Any, Any]:
    """Return the two cell vectors of the face, in Å, and its unit normal towards the third."""
    first, second = np.delete(cell, axis, axis=0)
    normal = np.cross(first, second)
    return first, second, normal * np.sign(normal @ cell[axis]) / np.linalg.norm(normal)


def _height(cell: FloatArray, axis: int) -> float:
    return float(_face(cell, axis)[2] @ cell[axis])


def _check_slabs(axis: int, slab_width: float) -> None:
    if axis not in (0, 1, 2):
        raise BadInputError(f"the axis is {axis}; expected 0, 1 or 2 for the cell's first, second or third vector")
    if not (np.isfinite(slab_width) and slab_width > 0):
        raise BadInputError(f"the slab width is {slab_width} Å; expected a positive number")
