"""Thiophosphate anions found as connected parts of the bond graph of phosphorus and sulfur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.periodic_cells import checked_cells, freud_frames
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

MOST_NEIGHBOURS = 8  # last column of the coordination histogram: this many or more


class _Anion(NamedTuple):
    """Composition and bonding of one kind; None where any number will do."""

    name: str
    phosphorus: int
    sulfur: int
    bridging: int | None  # S bonded to two P
    bonds_p_p: int | None


_ANIONS = (
    _Anion("PS4", 1, 4, 0, 0),
    _Anion("PS3", 1, 3, 0, 0),
    _Anion("P2S6", 2, 6, 0, 1),
    _Anion("P2S6_edge", 2, 6, 2, 0),
    _Anion("P2S6_corner", 2, 6, 1, 0),
    _Anion("P2S7", 2, 7, 1, 0),
    _Anion("P2S5", 2, 5, None, None),
    _Anion("P3S10", 3, 10, 2, 0),
    _Anion("P4S10", 4, 10, 6, 0),
)
UNITS = (*(anion.name for anion in _ANIONS), "other", "S", "S2", "Sn")
_OTHER, _SULFIDE, _DISULFUR, _POLYSULFUR = range(len(_ANIONS), len(UNITS))


@dataclass(frozen=True)
class ThiophosphateUnits:
    """Units of each kind in each frame, and how P and S are bonded.

    Attributes
    ----------
    names : tuple of str
        Kinds of unit, in the order of the columns (`UNITS`).
    counts : (n_frames, n_kinds) array of int
        Units of each kind.
    phosphorus : (n_frames, n_kinds) array of int
        P atoms in units of each kind; a row adds up to the number of P atoms.
    coordination : (n_frames, 9) array of int
        P atoms with 0, 1, … 7, and 8 or more S within the cutoff.
    sulfur_bonding : (n_frames, 3) array of int
        S atoms bonded to no P (free), to one (non-bridging), to two or more (bridging).
    other : tuple of (str, int)
        Formulas of what is called "other", with their numbers over all frames, the most frequent first.
    """

    names: tuple[str, ...]
    counts: IntArray
    phosphorus: IntArray
    coordination: IntArray
    sulfur_bonding: IntArray
    other: tuple[tuple[str, int], ...]

    @property
    def fraction_of_phosphorus(self) -> FloatArray:
        """(n_frames, n_kinds) fraction of the P atoms that are in units of each kind, dimensionless."""
        fraction: FloatArray = self.phosphorus / self.phosphorus.sum(axis=1, keepdims=True)
        return fraction

    @property
    def fraction_of_anions(self) -> FloatArray:
        """(n_frames, n_kinds) fraction of all units with P that are of each kind, dimensionless; 0 for S, S2 and Sn."""
        anions = np.where(np.arange(len(self.names)) <= _OTHER, self.counts, 0)
        fraction: FloatArray = anions / anions.sum(axis=1, keepdims=True)
        return fraction

    @property
    def fraction_of_sulfur(self) -> FloatArray:
        """(n_frames, 3) fraction of the S atoms that are free, non-bridging and bridging, dimensionless."""
        fraction: FloatArray = self.sulfur_bonding / self.sulfur_bonding.sum(axis=1, keepdims=True)
        return fraction

    @property
    def mean_coordination(self) -> FloatArray:
        """(n_frames,) mean number of S around P within the cutoff (8 where there are more)."""
        weights = np.arange(self.coordination.shape[1])
        mean: FloatArray = self.coordination @ weights / self.coordination.sum(axis=1)
        return mean


def thiophosphate_units(
    positions: ArrayLike,
    cell: ArrayLike,
    phosphorus_mask: ArrayLike,
    sulfur_mask: ArrayLike,
    *,
    cutoff_p_s: float = 2.5,
    cutoff_p_p: float = 2.6,
    cutoff_s_s: float = 2.4,
) -> ThiophosphateUnits:
    """Numbers of PS4, P2S6, P2S7, P2S5, P3S10, S2 and other units in each frame, by composition and bonding.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        All atoms, wrapped or not; those neither P nor S are left out.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic, periodic in all three.
    phosphorus_mask, sulfur_mask : (n_atoms,) arrays of bool
        Which atoms are P and which are S.
    cutoff_p_s, cutoff_p_p, cutoff_s_s : float
        Two atoms closer than this are bonded, Å. All below half the least distance between opposite faces of the cell.

    Returns
    -------
    ThiophosphateUnits

    Raises
    ------
    BadInputError
        Arrays that do not fit together, atoms both P and S, or a cutoff that is not positive or too long for the cell.

    Notes
    -----
    A unit is a connected part of the graph of P-S, P-P and S-S bonds:

    =============  =============================================================================================
    PS4, PS3       one P with its S
    P2S6           two P bonded to each other, no bridging S: P2S6(4-), hexathiohypodiphosphate
    P2S6_edge      two P that share two S (an edge): P2S6(2-)
    P2S6_corner    two P that share one S (a corner), one P three-coordinated
    P2S7           two P that share one S: P2S7(4-)
    P2S5           any bonding of that composition
    P3S10          a chain of three corner-sharing PS4: P3S10(5-)
    P4S10          the molecule of crystalline P2S5: four PS4, six shared S
    S, S2, Sn      S without P: alone, in twos, in longer chains and rings
    other          all else that has P, also whatever has an S-S bond
    =============  =============================================================================================

    The study of disorder shows "fractions of thiophosphate anions" without a definition: `fraction_of_anions` is per
    unit, `fraction_of_phosphorus` per P atom. The study of grain boundaries counts P atoms (in its amorphous phase 87 %
    in "tetrahedral coordination", 13 % in "non-PS4 units"); the tetrahedral ones are column 4 of `coordination`, which
    holds those of P2S7 too.

    The P-S cutoff is that of the study of grain boundaries. P-P bonds are 2.2-2.3 Å long and P atoms that share two S
    are 2.9 Å apart: 2.6 Å is midway. (In the published labels of glasses at 500-1000 K, 8 % of the P-P distances below
    2.8 Å are beyond 2.5 Å, 3 % beyond 2.6 Å.) S-S bonds are 1.9-2.1 Å long; S of one tetrahedron are hardly ever
    closer than 2.5 Å.

    Neighbours are found by freud, units by scipy's connected components over a block of frames.

    References
    ----------
    doi:10.1038/s41467-025-56322-x, Fig. 1g and the text on P2S6(4-) and P2S7(4-).
    doi:10.1039/d3ya00234a, Fig. 4b, c and the text on tetrahedral P within 2.5 Å.

    Examples
    --------
    >>> corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 1.2
    >>> units = thiophosphate_units(
    ...     np.vstack([np.zeros(3), corners])[None], 12 * np.eye(3), np.arange(5) == 0, np.arange(5) > 0
    ... )
    >>> dict(zip(units.names, units.counts[0].tolist(), strict=True))["PS4"], units.mean_coordination.tolist()
    (1, [4.0])
    """
    array = checked_positions(positions, minimum_frames=1)
    n_frames, n_atoms, _ = array.shape
    phosphorus = checked_mask(phosphorus_mask, n_atoms, "phosphorus")
    sulfur = checked_mask(sulfur_mask, n_atoms, "sulfur")
    if (phosphorus & sulfur).any():
        raise BadInputError(
            f"{int((phosphorus & sulfur).sum())} atoms are in the masks of both P and S; expected none; check the masks"
        )
    cells = checked_cells(cell, n_frames)
    cutoffs = np.array([cutoff_s_s, cutoff_p_s, cutoff_p_p], dtype=np.float64)
    _check_cutoffs(cutoffs, cells)
    chosen = phosphorus | sulfur
    is_p = phosphorus[chosen]
    parts = []
    for frames in blocks(n_frames, 400 * is_p.size):
        bonds = _bonds(array[frames, chosen], cells[frames], is_p, cutoffs)
        parts.append(_units(bonds, np.tile(is_p, (frames.stop - frames.start, 1))))
    counts, in_units, coordination, bonding, others = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return ThiophosphateUnits(UNITS, counts, in_units, coordination, bonding, _ranked_formulas(others))


def _check_cutoffs(cutoffs: FloatArray, cells: FloatArray) -> None:
    height = 1.0 / float(np.linalg.norm(np.linalg.inv(cells), axis=1).max())
    if not (cutoffs > 0).all() or not cutoffs.max() < height / 2:
        raise BadInputError(
            f"cutoffs {cutoffs[1]} (P-S), {cutoffs[2]} (P-P) and {cutoffs[0]} (S-S) Å; expected positive numbers below "
            f"{height / 2:.4g} Å, half the least distance between faces of the cell; use a larger supercell"
        )


def _bonds(positions: PositionArray, cells: FloatArray, is_p: BoolArray, cutoffs: FloatArray) -> IntArray:
    """(3, n_bonds) array: the two atoms, numbered through all frames, and how many of them are P."""
    import freud

    found = []
    for index, (box, points) in enumerate(freud_frames(positions, cells)):
        query = {"r_max": float(cutoffs.max()), "exclude_ii": True}
        neighbours = freud.locality.AABBQuery(box, points).query(points, query).toNeighborList()
        pairs = neighbours[:].astype(np.int64)
        number_of_p = is_p[pairs].sum(axis=1)
        bonded = (pairs[:, 0] < pairs[:, 1]) & (neighbours.distances < cutoffs[number_of_p])
        found.append(np.vstack([pairs[bonded].T + index * is_p.size, number_of_p[bonded]]))
    return np.concatenate(found, axis=1)


def _units(bonds: IntArray, is_p: BoolArray) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray]:
    """Counts, P in units, coordination of P and bonding of S of each frame; and (P, S) in each unit called other."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second, number_of_p = bonds
    n_frames, n_atoms = is_p.shape
    flat = is_p.ravel()
    graph = coo_array((np.ones(first.size, dtype=np.int8), (first, second)), shape=(flat.size, flat.size))
    n_units, unit = connected_components(graph, directed=False)
    frame = np.repeat(np.arange(n_frames), n_atoms)
    frame_of_unit = np.empty(n_units, dtype=np.int64)
    frame_of_unit[unit] = frame

    def each_unit(members: IntArray) -> IntArray:
        return np.bincount(members, minlength=n_units)

    def each_frame(frames: IntArray, columns: IntArray, n_columns: int) -> IntArray:
        return np.bincount(frames * n_columns + columns, minlength=n_frames * n_columns).reshape(n_frames, n_columns)

    unlike = bonds[:2, number_of_p == 1].ravel()
    degree = np.bincount(unlike, minlength=flat.size)  # S at a P, P at an S
    n_p, n_s = each_unit(unit[flat]), each_unit(unit[~flat])
    bridging = each_unit(unit[~flat & (degree == 2)])
    bonds_p_p = each_unit(unit[first[number_of_p == 2]])
    bonds_s_s = each_unit(unit[first[number_of_p == 0]])
    kind = np.full(n_units, _OTHER)
    for index, anion in enumerate(_ANIONS):
        match = (bonds_s_s == 0) & (n_p == anion.phosphorus) & (n_s == anion.sulfur)
        match &= True if anion.bridging is None else bridging == anion.bridging
        match &= True if anion.bonds_p_p is None else bonds_p_p == anion.bonds_p_p
        kind[match] = index
    without_p = n_p == 0
    kind[without_p] = np.array([_SULFIDE, _DISULFUR, _POLYSULFUR])[np.minimum(n_s[without_p], 3) - 1]
    return (
        each_frame(frame_of_unit, kind, len(UNITS)),
        each_frame(frame[flat], kind[unit[flat]], len(UNITS)),
        each_frame(frame[flat], np.minimum(degree[flat], MOST_NEIGHBOURS), MOST_NEIGHBOURS + 1),
        each_frame(frame[~flat], np.minimum(degree[~flat], 2), 3),
        np.column_stack([n_p, n_s])[kind == _OTHER],
    )


def _ranked_formulas(compositions: IntArray) -> tuple[tuple[str, int], ...]:
    def part(symbol: str, number: int) -> str:
        return "" if number == 0 else symbol if number == 1 else f"{symbol}{number}"

    unique, numbers = np.unique(compositions, axis=0, return_counts=True)
    rows = zip(unique.tolist(), numbers.tolist(), strict=True)
    formulas = [(part("P", n_p) + part("S", n_s), number) for (n_p, n_s), number in rows]
    return tuple(sorted(formulas, key=lambda item: -item[1]))
