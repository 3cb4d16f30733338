"""Representative rings of ions: the atoms behind the points of a persistence diagram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.periodic_alpha_complex import PeriodicAlphaComplex, periodic_alpha_complex, ring_pairs
from lipsdb.analysis.periodic_cells import checked_cells
from lipsdb.analysis.ring_topology import checked_frames
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, checked_mask, checked_positions
from lipsdb.errors import BadInputError

_Cell = tuple[int, int, int]
_Bond = tuple[float, int, _Cell]  # radius of the edge in Å, its other vertex, cells crossed on the way there


@dataclass(frozen=True)
class Ring:
    """A representative ring: the fewest atoms that close it at its birth."""

    atoms: IntArray  # (size,) indices, in order around the ring
    positions: FloatArray  # (size, 3) Å, unwrapped: neighbours in the ring are neighbours in space
    birth: float  # Å, radius
    death: float  # Å, radius


def representative_rings(
    positions: ArrayLike,
    cell: ArrayLike,
    mask: ArrayLike,
    *,
    frame: int = 0,
    minimum_lifetime: float = 0.5,
    largest_size: int = 12,
) -> list[Ring]:
    """Rings of one snapshot with their atoms and positions in Å, the longest-lived first.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Wrapped or not.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors.
    mask : (n_atoms,) array of bool
        The ions that form the rings.
    frame : int
        The snapshot.
    minimum_lifetime : float
        Å; rings that live no longer are left out.
    largest_size : int
        Most atoms in a ring; longer ones are left out.

    Returns
    -------
    list of Ring
        Choose by ``len(ring.atoms)``.

    Raises
    ------
    BadInputError
        As in `ring_persistence`; a size below 3.

    Notes
    -----
    A class of the homology has many rings. Taken is the one with the fewest atoms among those that hold the edge that
    gives birth to the class and otherwise edges no longer than that: a breadth-first search in the endless crystal, so
    that no ring winds around the cell. It is determined up to rings born earlier.

    References
    ----------
    The study: doi:10.1039/d3ya00234a, Fig. 9a, b (3-Li to 8-Li rings).

    Examples
    --------
    >>> atom = np.zeros((1, 1, 3))
    >>> rings = representative_rings(atom, 4.0 * np.eye(3), np.array([True]))
    >>> {len(ring.atoms) for ring in rings}
    {4}
    """
    array = checked_positions(positions, minimum_frames=1)
    chosen = np.flatnonzero(checked_mask(mask, array.shape[1], "ring"))
    cells = checked_cells(cell, len(array))
    (index,) = checked_frames([frame], len(array)).tolist()
    if largest_size < 3:
        raise BadInputError(f"the largest ring has {largest_size} atoms; expected 3 or more")
    complex_ = periodic_alpha_complex(array[index, chosen].astype(np.float64), cells[index])
    births, deaths, edges, _ = ring_pairs(complex_)
    bonds = _bonds(complex_)
    box = complex_.repeats[:, None] * cells[index]
    found: dict[tuple[frozenset[int], float], Ring] = {}  # copies in a repeated cell are one ring
    for row in np.argsort(births - deaths, kind="stable").tolist():
        if deaths[row] - births[row] <= minimum_lifetime:
            break
        start, end = edges[row].tolist()
        path = _shortest_way_round(bonds, start, end, float(births[row]), largest_size)
        if path is None:
            continue
        vertices = np.array([vertex for vertex, _ in path], dtype=np.int64)
        atoms = chosen[vertices % len(chosen)]
        places = complex_.points[vertices] + np.array([crossed for _, crossed in path]) @ box
        key = frozenset(atoms.tolist()), round(float(births[row]), 6)
        found.setdefault(key, Ring(atoms, places, float(births[row]), float(deaths[row])))
    return list(found.values())


def _bonds(complex_: PeriodicAlphaComplex) -> list[list[_Bond]]:
    """Edges at each vertex, the shortest first."""
    bonds: list[list[_Bond]] = [[] for _ in complex_.points]
    order = np.argsort(complex_.edge_radii)
    rows = zip(
        complex_.edges[order].tolist(),
        complex_.edge_radii[order].tolist(),
        complex_.crossings[order].tolist(),
        strict=True,
    )
    for (first, second), radius, (x, y, z) in rows:
        bonds[first].append((radius, second, (x, y, z)))
        bonds[second].append((radius, first, (-x, -y, -z)))
    return bonds


def _shortest_way_round(
    bonds: list[list[_Bond]], start: int, end: int, radius: float, most: int
) -> list[tuple[int, _Cell]] | None:
    """Fewest vertices, with the cells they are in, from one end of an edge to the other without that edge."""
    origin = (start, (0, 0, 0))
    target = next((other, crossed) for _, other, crossed in bonds[start] if other == end)
    before: dict[tuple[int, _Cell], tuple[int, _Cell]] = {origin: origin}
    level = [origin]
    for _ in range(most - 1):
        following = []
        for place in level:
            vertex, (x, y, z) = place
            for length, other, (dx, dy, dz) in bonds[vertex]:
                if length > radius:
                    break
                if {vertex, other} == {start, end}:
                    continue
                step = (other, (x + dx, y + dy, z + dz))
                if step not in before:
                    before[step] = place
                    following.append(step)
        if target in before:
            path = [target]
            while path[-1] != origin:
                path.append(before[path[-1]])
            return path
        level = following
    return None
