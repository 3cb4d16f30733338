"""Alpha complex of a point cloud in a periodic cell, and the classes of dimension 1 that are born and die in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipsdb.analysis.trajectory_arrays import BoolArray, FloatArray, IntArray

SMALLEST_LIFETIME = 1e-4  # Å: shorter lives are an effect of the displacement below
_Simplices = tuple[IntArray, FloatArray]  # vertices, radii in Å
_DISPLACEMENT = 1e-6  # Å, random, so that the ions of a perfect crystal have one triangulation


@dataclass(frozen=True)
class PeriodicAlphaComplex:
    """Edges and triangles between the ions of a periodic cell with the radii in Å at which they appear."""

    edges: IntArray  # (n_edges, 2) vertices; vertex v is ion v % n_ions
    triangles: IntArray  # (n_triangles, 3) vertices
    edge_radii: FloatArray  # (n_edges,) Å
    triangle_radii: FloatArray  # (n_triangles,) Å
    crossings: IntArray  # (n_edges, 3) repeated cells crossed from the edge's first vertex to its second
    repeats: IntArray  # (3,) how often the cell had to be repeated along each of its vectors
    points: FloatArray  # (n_vertices, 3) Å


def periodic_alpha_complex(points: FloatArray, cell: FloatArray) -> PeriodicAlphaComplex:
    """Periodic alpha complex with radii in Å, in a cell repeated until no two ions share two edges.

    Parameters
    ----------
    points : (n_ions, 3) array, Å
        Wrapped or not.
    cell : (3, 3) array, Å
        Rows are the cell vectors, periodic in all three.

    Returns
    -------
    PeriodicAlphaComplex

    Notes
    -----
    The alpha complex of the ions and of their images within a margin is taken from gudhi. A tetrahedron at an ion of
    the cell has its circumscribed sphere within twice its radius of that ion: once the margin is as wide for the widest
    of them, all are those of the endless crystal. A wide void, as in a slab, makes the margin wide and the call slow.
    Of images of each other one is kept.

    References
    ----------
    M. Caroli and M. Teillaud, Discrete Comput. Geom. 55, 827 (2016), doi:10.1007/s00454-016-9782-6 (when a periodic
    triangulation is a simplicial complex, and how often a cell must be repeated).

    Examples
    --------
    >>> simple_cubic = periodic_alpha_complex(np.zeros((1, 3)), 4.0 * np.eye(3))
    >>> simple_cubic.repeats.tolist(), round(float(simple_cubic.edge_radii.min()), 4)
    ([3, 3, 3], 2.0)
    """
    inverse = np.linalg.inv(cell)
    fractional = points @ inverse
    fractional = fractional - np.floor(fractional)
    displaced = np.random.default_rng(0).uniform(-_DISPLACEMENT, _DISPLACEMENT, points.shape)
    home = fractional @ cell + displaced
    heights = 1.0 / np.linalg.norm(inverse, axis=0)
    margin = 2.5 * float(np.abs(np.linalg.det(cell)) / len(points)) ** (1.0 / 3.0)
    while True:
        atoms, shifts = _images(fractional, margin / heights)
        edges, triangles, widest = _simplices(home[atoms] + shifts @ cell, (shifts == 0).all(axis=1))
        if 0.0 < 2.0 * widest <= margin:
            break
        margin = max(1.2 * margin, min(2.02 * widest, 2.0 * margin))
    (ends, edge_radii), (corners, triangle_radii) = edges, triangles
    repeats = _needed_repeats(atoms[ends], shifts[ends[:, 1]], heights)
    copies = np.stack(np.meshgrid(*map(np.arange, repeats.tolist()), indexing="ij"), axis=-1).reshape(-1, 3)
    wide_edges, wide_shifts = _repeated(atoms[ends], shifts[ends], copies, repeats, len(points))
    wide_triangles, _ = _repeated(atoms[corners], shifts[corners], copies, repeats, len(points))
    return PeriodicAlphaComplex(
        edges=wide_edges,
        triangles=wide_triangles,
        edge_radii=np.tile(edge_radii, len(copies)),
        triangle_radii=np.tile(triangle_radii, len(copies)),
        crossings=wide_shifts[:, 1],
        repeats=repeats,
        points=(home[None] + (copies @ cell)[:, None]).reshape(-1, 3),
    )


def _images(fractional: FloatArray, reach: FloatArray) -> tuple[IntArray, IntArray]:
    """Atom and cell of all images within reach of the home cell, ordered by atom, then by cell."""
    axes = [np.arange(-n, n + 1) for n in np.ceil(reach).astype(np.int64).tolist()]
    cells = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    atoms, chosen = [], []
    for index, shift in enumerate(cells):
        image = fractional + shift
        near = np.flatnonzero(((image >= -reach) & (image <= 1.0 + reach)).all(axis=1))
        atoms.append(near)
        chosen.append(np.full(len(near), index))
    atom, which = np.concatenate(atoms), np.concatenate(chosen)
    order = np.lexsort((which, atom))
    return atom[order], cells[which[order]]


def _simplices(points: FloatArray, is_home: BoolArray) -> tuple[_Simplices, _Simplices, float]:
    """Edges and triangles, one of each family of periodic images, and the widest radius of a tetrahedron at home, Å.

    Points are ordered by atom, then by cell, and gudhi gives the vertices of a simplex in order: exactly one image of
    each simplex has its first vertex at home.
    """
    from gudhi import AlphaComplex

    tree = AlphaComplex(points, precision="fast").create_simplex_tree(output_squared_values=False)
    edges: list[list[int]] = []
    triangles: list[list[int]] = []
    edge_radii, triangle_radii, widest = [], [], 0.0
    home = is_home.tolist()
    for simplex, radius in tree.get_simplices():
        size = len(simplex)
        if size == 2 and home[simplex[0]]:
            edges.append(simplex)
            edge_radii.append(radius)
        elif size == 3 and home[simplex[0]]:
            triangles.append(simplex)
            triangle_radii.append(radius)
        elif size == 4 and radius > widest and any(home[vertex] for vertex in simplex):
            widest = radius
    return (
        (np.array(edges, dtype=np.int64).reshape(-1, 2), np.array(edge_radii)),
        (np.array(triangles, dtype=np.int64).reshape(-1, 3), np.array(triangle_radii)),
        widest,
    )


def _needed_repeats(ends: IntArray, crossings: IntArray, heights: FloatArray) -> IntArray:
    """Fewest repeats of the cell along each vector with which any two vertices share one edge at most."""
    itself = np.unique(ends)
    first = np.concatenate([ends[:, 0], ends[:, 1], itself])
    second = np.concatenate([ends[:, 1], ends[:, 0], itself])
    offsets = np.concatenate([crossings, -crossings, np.zeros((len(itself), 3), dtype=np.int64)])
    repeats = np.ones(3, dtype=np.int64)
    while True:
        keys = np.column_stack([first, second, offsets % repeats])
        if len(np.unique(keys, axis=0)) == len(keys):
            return repeats
        repeats[np.argmin(repeats * heights)] += 1


def _repeated(
    atoms: IntArray, shifts: IntArray, copies: IntArray, repeats: IntArray, n_atoms: int
) -> tuple[IntArray, IntArray]:
    """Vertices of the simplices in the repeated cell, and how often each lies beyond it, along each vector."""
    places = copies[:, None, None, :] + shifts[None]
    crossed, inside = np.divmod(places, repeats)
    index = (inside[..., 0] * repeats[1] + inside[..., 1]) * repeats[2] + inside[..., 2]
    size = atoms.shape[1]
    return (atoms[None] + n_atoms * index).reshape(-1, size), crossed.reshape(-1, size, 3)


def ring_pairs(complex_: PeriodicAlphaComplex) -> tuple[FloatArray, FloatArray, IntArray, IntArray]:
    """Birth and death radii in Å of the classes of dimension 1 that die, with the simplices that cause them.

    Parameters
    ----------
    complex_ : PeriodicAlphaComplex
        From `periodic_alpha_complex`.

    Returns
    -------
    births, deaths : (n,) arrays, Å
    edges : (n, 2) array of int
        Vertices of the edge that closes the ring.
    triangles : (n, 3) array of int
        Vertices of the triangle that fills it.

    Examples
    --------
    >>> births, deaths, _, _ = ring_pairs(periodic_alpha_complex(np.zeros((1, 3)), 4.0 * np.eye(3)))
    >>> len(births), births.round(3).max().item(), deaths.round(3).max().item()  # 2 a site, less 2
    (52, 2.0, 2.828)
    """
    from gudhi import SimplexTree

    tree = SimplexTree()
    tree.insert_batch(np.arange(len(complex_.points))[None], np.zeros(len(complex_.points)))
    tree.insert_batch(complex_.edges.T, complex_.edge_radii)
    tree.insert_batch(complex_.triangles.T, complex_.triangle_radii)
    tree.compute_persistence(min_persistence=SMALLEST_LIFETIME)
    pairs = [pair for pair in tree.persistence_pairs() if len(pair[0]) == 2 and len(pair[1]) == 3]
    births = np.array([tree.filtration(edge) for edge, _ in pairs], dtype=np.float64)
    deaths = np.array([tree.filtration(triangle) for _, triangle in pairs], dtype=np.float64)
    edges = np.array([edge for edge, _ in pairs], dtype=np.int64).reshape(-1, 2)
    triangles = np.array([triangle for _, triangle in pairs], dtype=np.int64).reshape(-1, 3)
    return births, deaths, edges, triangles
