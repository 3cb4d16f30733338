"""Bond-orientational order: Steinhardt's q_l, its average over neighbours, and the disorder parameter made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.periodic_cells import COINCIDENT_A, checked_cells, freud_frames
from lipsdb.analysis.trajectory_arrays import (
    BoolArray,
    FloatArray,
    IntArray,
    PositionArray,
    checked_mask,
    checked_positions,
)
from lipsdb.errors import BadInputError

SingleArray = NDArray[np.float32]  # the precision that freud computes in
HIGHEST_DEGREE = 20


@dataclass(frozen=True)
class BondOrder:
    """Bond order of chosen atoms in every frame; NaN where an atom has no neighbour.

    Attributes
    ----------
    degrees : tuple of int
        The l of the last axis.
    order : (n_frames, n_centres, n_degrees) array of float32, dimensionless
        q_l, between 0 and 1.
    averaged : (n_frames, n_centres, n_degrees) array of float32, dimensionless
        q̄_l, averaged over the first shell, between 0 and 1.
    n_neighbours : (n_frames, n_centres) array of int32
        Neighbours of each.
    """

    degrees: tuple[int, ...]
    order: SingleArray
    averaged: SingleArray
    n_neighbours: NDArray[np.int32]

    @property
    def mean_order(self) -> FloatArray:
        """Mean q_l of each centre over the frames where it is defined, (n_centres, n_degrees), dimensionless."""
        return _mean_over_frames(self.order)

    @property
    def mean_averaged(self) -> FloatArray:
        """Mean q̄_l of each centre over the frames where it is defined, (n_centres, n_degrees), dimensionless."""
        return _mean_over_frames(self.averaged)


@dataclass(frozen=True)
class DisorderParameter:
    """Disorder parameter of chosen atoms in every frame; NaN where an atom, or one of its neighbours, has no neighbour.

    Attributes
    ----------
    degree : int
        The l it is made of.
    values : (n_frames, n_centres) array of float32, dimensionless
        S_j, between 0 (all neighbours oriented as the atom) and 4; 2 if they are not correlated.
    n_neighbours : (n_frames, n_centres) array of int32
        Neighbours of each.
    """

    degree: int
    values: SingleArray
    n_neighbours: NDArray[np.int32]

    @property
    def mean_values(self) -> FloatArray:
        """Mean S_j of each centre over the frames where it is defined, (n_centres,), dimensionless."""
        return _mean_over_frames(self.values)


def bond_order(
    positions: ArrayLike,
    cell: ArrayLike,
    centre_mask: ArrayLike,
    neighbour_mask: ArrayLike,
    *,
    degrees: Sequence[int] = (4, 6),
    cutoff: float | None = None,
    number: int | None = None,
) -> BondOrder:
    r"""Steinhardt's q_l and Lechner and Dellago's averaged q̄_l of chosen atoms in every frame, dimensionless.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Wrapped or not.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic, periodic in all three, of any size.
    centre_mask, neighbour_mask : (n_atoms,) arrays of bool
        Which atoms are described, and which make their surroundings: Li and Li, or all and all.
    degrees : sequence of int
        Even l.
    cutoff : float, optional
        Neighbours are those nearer than this, Å.
    number : int, optional
        Neighbours are this many nearest ones. With neither, they are those that share a face of their Voronoi cells
        (of centres and neighbours together, other atoms left out), weighted by its area.

    Returns
    -------
    BondOrder

    Raises
    ------
    BadInputError
        Arrays that do not fit together, degrees that are not even, a cutoff and a number at once, either of them not
        positive, fewer atoms around than the number, or (Voronoi) two atoms at the same place.

    Notes
    -----
    .. math::

        q_{lm}(i) = \frac{\sum_j w_{ij} Y_{lm}(\mathbf r_{ij})}{\sum_j w_{ij}}, \quad
        q_l(i) = \sqrt{\frac{4\pi}{2l+1} \sum_m |q_{lm}(i)|^2}, \quad
        \bar q_{lm}(i) = \frac{q_{lm}(i) + \sum_j q_{lm}(j)}{N_b(i) + 1}

    and q̄_l from q̄_lm as q_l from q_lm; the weights are 1 but for Voronoi neighbours. The neighbours' own q_lm is made
    of the atoms of `neighbour_mask` too. Neither study states its neighbours: the first writes "nearest neighbours"
    only. Values of different neighbours do not compare. freud makes the neighbours and q_lm, in single precision: good
    to some 1e-5. Small and skewed cells are reduced and repeated until no atom meets its own image.

    References
    ----------
    doi:10.1038/s41467-025-56322-x, eqs. (7)-(9) and Fig. 4d-f (Li3PS4 as crystal, glass, glass-ceramic).
    W. Lechner and C. Dellago, J. Chem. Phys. 129, 114707 (2008), doi:10.1063/1.2977970.
    W. Mickel et al., J. Chem. Phys. 138, 044501 (2013), doi:10.1063/1.4774084 (weights of Voronoi faces).

    Examples
    --------
    >>> atom, chosen = np.zeros((1, 1, 3)), np.array([True])  # simple cubic
    >>> found = bond_order(atom, 3.0 * np.eye(3), chosen, chosen, cutoff=3.5)
    >>> [f"{value:.4f}" for value in found.order.ravel()], found.n_neighbours.tolist()
    (['0.7638', '0.3536'], [[6]])
    """
    wanted = _checked_degrees(degrees)
    array, cells, centres, neighbours = _checked_arrays(positions, cell, centre_mask, neighbour_mask)
    shape = (len(array), int(centres.sum()))
    order, averaged = (np.empty((*shape, len(wanted)), dtype=np.float32) for _ in range(2))
    counts = np.empty(shape, dtype=np.int32)
    for index, shell in enumerate(_shells(array, cells, centres, neighbours, wanted, cutoff, number)):
        rows = shell.centre_rows
        counts[index] = shell.n_neighbours[rows]
        for column, (degree, harmonics) in enumerate(zip(wanted, shell.harmonics, strict=True)):
            total = harmonics[rows] + shell.links[rows] @ harmonics
            order[index, :, column] = _invariant(harmonics[rows], degree)
            averaged[index, :, column] = _invariant(total / (counts[index] + 1)[:, None], degree)
    return BondOrder(wanted, order, averaged, counts)


def disorder_parameter(
    positions: ArrayLike,
    cell: ArrayLike,
    centre_mask: ArrayLike,
    neighbour_mask: ArrayLike,
    *,
    degree: int = 6,
    cutoff: float | None = None,
    number: int | None = None,
) -> DisorderParameter:
    r"""Disorder parameter S_j of chosen atoms in every frame, dimensionless, from 0 (crystal) to 2 (no order) to 4.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Wrapped or not.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic, periodic in all three, of any size.
    centre_mask, neighbour_mask : (n_atoms,) arrays of bool
        Which atoms are described, and which make their surroundings.
    degree : int
        Even l.
    cutoff, number : float and int, optional
        Neighbours, as in `bond_order`: nearer than the cutoff in Å, or so many nearest ones, or (neither given) those
        of the Voronoi cells. q_lm is weighted by the faces then; the mean over the neighbours is not.

    Returns
    -------
    DisorderParameter

    Raises
    ------
    BadInputError
        As `bond_order`.

    Notes
    -----
    .. math::

        S_j = \frac{1}{N_b(j)} \sum_k \left[ S_{jj} + S_{kk} - 2 S_{jk} \right], \qquad
        S_{jk} = \frac{\mathrm{Re} \sum_m q_{lm}(j)\, q_{lm}^*(k)}{|q_l(j)|\,|q_l(k)|}

    with unit vectors q_lm, so that S_jj = 1. The equation is printed without this division, but pyscal, which made the
    published numbers, does it, and without it an atom among uncorrelated neighbours would have some 2 q_l² instead of
    the 2.00 published for the glass. S_j is 0 where all atoms have equal surroundings (Bravais lattices); in a
    crystal with several sites it is not. The neighbours of the study are not stated; see also `bond_order`.

    References
    ----------
    doi:10.1039/d3ya00234a, eq. (4) and Fig. 9e.
    T. Kawasaki and A. Onuki, J. Chem. Phys. 135, 174109 (2011), doi:10.1063/1.3656762.

    Examples
    --------
    >>> atoms, chosen = np.array([[[0.0, 0.0, 0.0], [2.0, 2.0, 2.0]]]), np.array([True, True])  # body-centred cubic
    >>> bool(disorder_parameter(atoms, 4.0 * np.eye(3), chosen, chosen, cutoff=3.7).values.max() < 1e-5)
    True
    """
    (wanted,) = _checked_degrees([degree])
    array, cells, centres, neighbours = _checked_arrays(positions, cell, centre_mask, neighbour_mask)
    shape = (len(array), int(centres.sum()))
    values, counts = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.int32)
    for index, shell in enumerate(_shells(array, cells, centres, neighbours, (wanted,), cutoff, number)):
        rows, harmonics = shell.centre_rows, shell.harmonics[0]
        counts[index] = shell.n_neighbours[rows]
        with np.errstate(invalid="ignore"):
            direction = harmonics / np.linalg.norm(harmonics, axis=1, keepdims=True)
            mean = (shell.links[rows] @ direction) / counts[index][:, None]
        likeness = np.einsum("cm,cm->c", direction[rows].conj(), mean).real
        values[index] = np.clip(2.0 - 2.0 * likeness, 0.0, 4.0)
    return DisorderParameter(wanted, values, counts)


@dataclass(frozen=True)
class _Shell:
    """Neighbours and q_lm in one frame, of all points: centres, neighbours, and their images in a small cell."""

    harmonics: list[NDArray[np.complex64]]  # (n_points, 2 l + 1) for each degree; NaN without neighbours
    links: Any  # (n_points, n_points) sparse, the number of bonds between two
    n_neighbours: IntArray  # (n_points,)
    centre_rows: IntArray  # where the centres stand among the points


def _shells(
    positions: PositionArray,
    cells: FloatArray,
    centres: BoolArray,
    neighbours: BoolArray,
    degrees: tuple[int, ...],
    cutoff: float | None,
    number: int | None,
) -> Iterator[_Shell]:
    from freud.order import Steinhardt
    from scipy.sparse import csr_array

    # neighbours first: then freud can leave out an atom's bond to itself by its index
    atoms = np.concatenate([np.flatnonzero(neighbours), np.flatnonzero(centres & ~neighbours)])
    n_neighbours = int(neighbours.sum())
    place = np.empty(len(centres), dtype=np.int64)
    place[atoms] = np.arange(len(atoms))
    rows = place[np.flatnonzero(centres)]
    _check_neighbours(cutoff, number)
    # freud's q_l is wrong with average=True and weighted=True together; its q_lm is right without the first
    steinhardt = Steinhardt(list(degrees), weighted=cutoff is None and number is None)
    previous: FloatArray = np.zeros((3, 3))
    for frame, cell in zip(positions, cells, strict=True):
        if not np.array_equal(cell, previous):
            reduced = _reduced(cell)
            reach = _reach(abs(np.linalg.det(cell)), len(atoms), n_neighbours, cutoff, number)
            repeats = (2 * reach * np.linalg.norm(np.linalg.inv(reduced), axis=0)).astype(np.int64) + 1
            shifts = np.array(list(product(*(range(n) for n in repeats)))) @ reduced
            previous = cell
        copies = frame[atoms].astype(np.float64) + shifts[:, None]
        points = np.concatenate([copies[:, :n_neighbours].reshape(-1, 3), copies[:, n_neighbours:].reshape(-1, 3)])
        box, wrapped = next(freud_frames(points[None], (reduced * repeats[:, None])[None]))
        bonds = _bonds(box, wrapped, n_neighbours * len(shifts), cutoff, number)
        steinhardt.compute((box, wrapped), bonds)
        harmonics = steinhardt.particle_harmonics
        n_bonds = np.bincount(bonds.query_point_indices, minlength=len(points))
        ends = np.append(0, np.cumsum(n_bonds))
        ones = np.ones(len(bonds.point_indices), dtype=np.float32)
        links = csr_array((ones, bonds.point_indices, ends), shape=(len(points), len(points)))
        # behind the copies of the neighbours stand those of the other centres
        behind = np.where(rows < n_neighbours, 0, n_neighbours * (len(shifts) - 1))
        yield _Shell(harmonics if len(degrees) > 1 else [harmonics], links, n_bonds, rows + behind)


def _bonds(box: Any, points: SingleArray, n_neighbours: int, cutoff: float | None, number: int | None) -> Any:
    """Bonds from all points to the first `n_neighbours` of them, as freud's NeighborList of all points."""
    from freud.locality import AABBQuery, NeighborList, Voronoi

    if cutoff is None and number is None:
        if any(AABBQuery(box, points).query(points, {"r_max": COINCIDENT_A, "exclude_ii": True})):
            raise BadInputError(
                f"two atoms of a frame are less than {COINCIDENT_A} Å apart; "
                "no two atoms may be at the same place; check the positions and the cell"
            )
        bonds = Voronoi().compute((box, points)).nlist
        bonds.filter(bonds.point_indices < n_neighbours)
        return bonds
    wanted = {"r_max": cutoff} if cutoff is not None else {"num_neighbors": number}
    found = AABBQuery(box, points[:n_neighbours]).query(points, {**wanted, "exclude_ii": True}).toNeighborList()
    if number is not None:
        surest = 0.5 / float(np.linalg.norm(np.linalg.inv(box.to_matrix()), axis=1).max())  # farther, images are missed
        if len(found.distances) < number * len(points) or found.distances.max() > surest:
            raise BadInputError(
                f"an atom has fewer than {number} neighbours within {surest:.1f} Å; ask for fewer or give a cutoff"
            )
    if n_neighbours == len(points):
        return found
    return NeighborList.from_arrays(
        len(points), len(points), found.query_point_indices, found.point_indices, found.vectors
    )


def _reach(volume: float, n_points: int, n_neighbours: int, cutoff: float | None, number: int | None) -> float:
    """How far neighbours may be, Å: images of an atom are kept twice as far from it."""
    if cutoff is not None:
        return cutoff
    if number is not None:  # the radius of a sphere with four times as many
        return float((3 * 4 * (number + 1) / (4 * np.pi) * volume / n_neighbours) ** (1 / 3))
    return 3 * float((volume / n_points) ** (1 / 3))


def _reduced(cell: FloatArray) -> FloatArray:
    from ase.geometry import minkowski_reduce

    shortest: FloatArray = minkowski_reduce(cell)[0]  # type: ignore[no-untyped-call]
    return shortest


def _invariant(harmonics: NDArray[np.complex64], degree: int) -> SingleArray:
    order: SingleArray = np.linalg.norm(harmonics, axis=1) * np.float32(np.sqrt(4 * np.pi / (2 * degree + 1)))
    return order


def _mean_over_frames(values: SingleArray) -> FloatArray:
    defined = ~np.isnan(values)
    total = np.sum(values, axis=0, dtype=np.float64, where=defined)
    mean: FloatArray = np.full(total.shape, np.nan)
    np.divide(total, defined.sum(axis=0), out=mean, where=defined.any(axis=0))
    return mean


def _checked_arrays(
    positions: ArrayLike, cell: ArrayLike, centre_mask: ArrayLike, neighbour_mask: ArrayLike
) -> tuple[PositionArray, FloatArray, BoolArray, BoolArray]:
    array = checked_positions(positions, minimum_frames=1)
    n_frames, n_atoms, _ = array.shape
    centres = checked_mask(centre_mask, n_atoms, "centre")
    return array, checked_cells(cell, n_frames), centres, checked_mask(neighbour_mask, n_atoms, "neighbour")


def _checked_degrees(degrees: Sequence[int]) -> tuple[int, ...]:
    wanted = tuple(int(degree) for degree in degrees)
    if not wanted or any(degree % 2 or not 2 <= degree <= HIGHEST_DEGREE for degree in wanted):
        raise BadInputError(
            f"the degrees l are {list(wanted)}; expected at least one even number from 2 to {HIGHEST_DEGREE}; "
            "6 tells crystals from glass"
        )
    return wanted


def _check_neighbours(cutoff: float | None, number: int | None) -> None:
    if cutoff is not None and number is not None:
        raise BadInputError(
            f"neighbours are given by a cutoff of {cutoff} Å and by a number of {number}; "
            "expected one of them, or neither for Voronoi neighbours"
        )
    if cutoff is not None and not (np.isfinite(cutoff) and cutoff > 0):
        raise BadInputError(f"the cutoff is {cutoff} Å; expected a positive number")
    if number is not None and number < 1:
        raise BadInputError(f"the number of neighbours is {number}; expected 1 or more")
