from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis.periodic_alpha_complex import PeriodicAlphaComplex, periodic_alpha_complex, ring_pairs
from lipsdb.analysis.representative_rings import representative_rings
from lipsdb.analysis.ring_topology import (
    RingDiagram,
    long_lived_fraction,
    ring_persistence,
    rings_in_region,
    smoothed_diagram,
)
from lipsdb.errors import BadInputError


def rings_of(points: np.ndarray, cell: np.ndarray) -> RingDiagram:
    return ring_persistence(points[None], cell, np.full(len(points), True))


def circle(number: int, radius: float) -> np.ndarray:
    angle = 2 * np.pi * np.arange(number) / number
    return radius * np.column_stack([np.cos(angle), np.sin(angle), np.zeros(number)])


def has_point(diagram: RingDiagram, birth: float, death: float) -> bool:
    return bool((np.hypot(diagram.births - birth, diagram.deaths - death) < 1e-4).any())


def difference(one: RingDiagram, other: RingDiagram, scale: float = 1.0) -> float:
    """Bottleneck distance, Å."""
    from gudhi import bottleneck_distance

    first = np.column_stack([one.births, one.deaths]) * scale
    return float(bottleneck_distance(first, np.column_stack([other.births, other.deaths])))


def made_up(births: list[float], deaths: list[float], frames: list[int], n_snapshots: int) -> RingDiagram:
    number = len(births)
    corners = np.tile(np.arange(3), (number, 1))
    return RingDiagram(
        np.array(births),
        np.array(deaths),
        np.array(frames),
        np.ones(number),
        corners[:, :2],
        corners,
        np.arange(n_snapshots),
    )


@pytest.mark.parametrize("number", [4, 7, 12])
def test_circle_of_points_is_born_at_half_the_chord_and_dies_at_its_radius(number: int) -> None:
    diagram = rings_of(circle(number, 5.0) + 3.0, 40.0 * np.eye(3))
    assert has_point(diagram, 5.0 * np.sin(np.pi / number), 5.0)


def test_two_circles_far_apart_are_two_rings() -> None:
    points = np.concatenate([circle(8, 3.0), circle(10, 5.0)[:, [2, 0, 1]] + [20.0, 20.0, 20.0]])
    diagram = rings_of(points, 42.0 * np.eye(3))
    assert has_point(diagram, 3.0 * np.sin(np.pi / 8), 3.0)
    assert has_point(diagram, 5.0 * np.sin(np.pi / 10), 5.0)


# Independent cycles E - V + 1 of the edges that die, less three that wind around the cell; a = 4 Å.
@pytest.mark.parametrize(
    ("lattice", "rings_per_site", "births", "deaths"),
    [
        ("sc", 2, {2.0}, {4 / 2**0.5}),
        ("fcc", 5, {4 / 8**0.5}, {4 / 6**0.5}),
        ("bcc", 6, {3**0.5, 2.0}, {3 * 2**0.5 / 2}),
    ],
)
@pytest.mark.parametrize("repeats", [1, 4])
def test_perfect_lattices(
    lattice: str, rings_per_site: int, births: set[float], deaths: set[float], repeats: int
) -> None:
    from ase.build import bulk

    atoms = bulk("C", lattice, a=4.0, cubic=True) * ((repeats,) * 3)
    diagram = rings_of(atoms.positions, atoms.cell.array)
    copies = round(1 / diagram.weights[0])
    assert len(diagram.births) == rings_per_site * len(atoms) * copies - 2
    assert (repeats == 1) == (copies > 1)
    np.testing.assert_allclose(sorted(set(diagram.births.round(3))), sorted(births), atol=1e-3)
    np.testing.assert_allclose(sorted(set(diagram.deaths.round(3))), sorted(deaths), atol=1e-3)


def random_ions(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(14, 18, 3)) + np.tril(rng.uniform(-3, 3, (3, 3)), -1)
    return rng.random((60, 3)), cell


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**31))
def test_translation_wrapping_permutation_rotation_and_scaling(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    fractional, cell = random_ions(seed)
    rng = np.random.default_rng(seed)
    before = rings_of(fractional @ cell, cell)
    rotated = cell @ Rotation.random(rng=rng).as_matrix()
    moved = fractional + rng.random(3) + rng.integers(-3, 4, (60, 3))
    after = rings_of(1.7 * moved[rng.permutation(60)] @ rotated, 1.7 * rotated)
    assert len(before.births) > 50
    assert difference(before, after, scale=1.7) < 1e-4  # a lifetime of 1e-4 Å may be kept in one and not in the other


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**31))
def test_another_cell_of_the_same_lattice_has_the_same_rings(seed: int) -> None:
    fractional, cell = random_ions(seed)
    other = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ cell
    one, two = rings_of(fractional @ cell, cell), rings_of(fractional @ cell, other)
    # Repeats of differently cut cells are different supercells; those that need none must agree.
    if one.weights.min() == two.weights.min() == 1:
        assert difference(one, two) < 1e-4


def test_most_random_cells_above_need_no_repeats() -> None:
    complexes = [periodic_alpha_complex(points @ cell, cell) for points, cell in map(random_ions, range(6))]
    assert sum(complex_.repeats.prod() == 1 for complex_ in complexes) >= 4


def test_a_supercell_has_the_rings_of_its_cells_and_those_that_wound_around_them() -> None:
    fractional, cell = random_ions(1)
    one = rings_of(fractional @ cell, cell)
    copies = np.array(list(product(range(2), repeat=3)))
    eight = rings_of((fractional[None] + copies[:, None]).reshape(-1, 3) @ cell, 2 * cell)
    long, long_of_eight = (one.lifetimes > 0.2).sum(), (eight.lifetimes > 0.2).sum()
    assert long > 10
    assert 8 * long <= long_of_eight <= 8 * (long + 3) - 3


def test_edges_of_the_real_lithium_are_the_voronoi_neighbours_of_freud(real_run) -> None:
    import freud

    lithium = real_run.positions[100][real_run.symbols == "Li"].astype(np.float64)
    cell = np.asarray(real_run.cell[100], dtype=np.float64)
    complex_ = periodic_alpha_complex(lithium, cell)
    assert complex_.repeats.tolist() == [1, 1, 1]
    voronoi = freud.locality.Voronoi().compute((freud.box.Box(*cell.diagonal()), lithium - cell.diagonal() / 2))
    theirs = {tuple(sorted(pair)) for pair in np.array(voronoi.nlist).tolist()}
    assert {tuple(sorted(pair)) for pair in complex_.edges.tolist()} == theirs


def ripser_rings(complex_: PeriodicAlphaComplex) -> np.ndarray:
    """Births and deaths by ripser: an order complex, the simplices as vertices, is a flag complex."""
    from ripser import ripser
    from scipy.sparse import coo_matrix

    n_points, n_edges = len(complex_.points), len(complex_.edges)
    edge_of = {tuple(sorted(ends)): n_points + row for row, ends in enumerate(complex_.edges.tolist())}
    radii = np.concatenate([np.zeros(n_points), complex_.edge_radii, complex_.triangle_radii])
    pairs = [(vertex, number) for ends, number in edge_of.items() for vertex in ends]
    for row, corners in enumerate(complex_.triangles.tolist(), start=n_points + n_edges):
        a, b, c = sorted(corners)
        pairs += [(face, row) for face in (a, b, c, edge_of[a, b], edge_of[a, c], edge_of[b, c])]
    low, high = np.array(pairs).T
    # ripser takes distances and no stored zero: the diagonal holds when a vertex appears.
    diagonal = np.arange(len(radii))
    values = np.concatenate([radii[high], radii[high], radii + 1e-12])
    rows, columns = np.concatenate([low, high, diagonal]), np.concatenate([high, low, diagonal])
    matrix = coo_matrix((values, (rows, columns)), shape=(len(radii),) * 2)
    rings = ripser(matrix, distance_matrix=True, maxdim=1)["dgms"][1]
    return rings[np.isfinite(rings[:, 1]) & (rings[:, 1] - rings[:, 0] > 1e-4)]


def test_persistence_of_the_real_lithium_agrees_with_ripser(real_run) -> None:
    lithium = real_run.positions[0][real_run.symbols == "Li"].astype(np.float64)
    complex_ = periodic_alpha_complex(lithium, np.asarray(real_run.cell[0], dtype=np.float64))
    births, deaths, _, _ = ring_pairs(complex_)
    theirs = ripser_rings(complex_)
    np.testing.assert_allclose(np.sort(births), np.sort(theirs[:, 0]), atol=1e-5)
    np.testing.assert_allclose(np.sort(deaths - births), np.sort(theirs[:, 1] - theirs[:, 0]), atol=1e-5)


def test_real_lithium_has_the_rings_of_the_middle_of_a_large_open_cloud(real_run) -> None:
    from gudhi import AlphaComplex

    lithium = real_run.positions[200][real_run.symbols == "Li"].astype(np.float64)
    cell = np.asarray(real_run.cell[200], dtype=np.float64)
    mine = rings_of(lithium, cell)
    fractional = lithium @ np.linalg.inv(cell)
    fractional -= np.floor(fractional)
    cloud = (fractional[None] + np.array(list(product((-1, 0, 1), repeat=3)))[:, None]).reshape(-1, 3)
    tree = AlphaComplex(cloud @ cell).create_simplex_tree(output_squared_values=False)
    tree.compute_persistence(min_persistence=1e-4)
    pairs = [pair for pair in tree.persistence_pairs() if len(pair[0]) == 2 and len(pair[1]) == 3]
    inside = [pair for pair in pairs if ((cloud[pair[1]].mean(axis=0) % 1) == cloud[pair[1]].mean(axis=0)).all()]
    theirs = np.array([[tree.filtration(edge), tree.filtration(triangle)] for edge, triangle in inside])
    # Three classes that wind around the cell are rings of finite life in the open cloud.
    assert len(mine.births) < len(theirs) <= len(mine.births) + 3
    distance = np.hypot(mine.births[:, None] - theirs[:, 0], mine.deaths[:, None] - theirs[:, 1]).min(axis=1)
    assert (distance < 1e-4).mean() > 0.97


def test_open_ring_of_points_in_ripser_is_born_at_twice_the_radius() -> None:
    from ripser import ripser

    points = circle(9, 4.0)
    (ring,) = ripser(points)["dgms"][1]
    diagram = rings_of(points, 40.0 * np.eye(3))
    same = int(np.abs(diagram.deaths - 4.0).argmin())
    assert 2 * diagram.births[same] == pytest.approx(ring[0], abs=1e-4)


def test_regions_fractions_and_heat_maps_of_a_made_up_diagram() -> None:
    diagram = made_up([1.0, 1.5, 2.0, 2.0], [2.5, 2.0, 2.1, 3.5], [0, 0, 0, 1], 3)
    share = long_lived_fraction(diagram, minimum_lifetime=1.0)
    assert share.fraction == 0.5
    np.testing.assert_allclose(share.by_snapshot, [1 / 3, 1.0, np.nan])
    assert share.rings_per_snapshot == pytest.approx(4 / 3)
    assert np.isnan(share.standard_error)
    assert len(rings_in_region(diagram, np.array([True, True, False])).births) == 4
    assert len(rings_in_region(diagram, np.array([True, False, False])).births) == 0
    by_frame = np.array([[True, True, True], [False, False, True], [True, True, True]])
    assert rings_in_region(diagram, by_frame).frames.tolist() == [0, 0, 0]
    heat = smoothed_diagram(made_up([2.0], [2.8], [0], 1), vertical="death", maximum=(4.0, 5.0), smoothing=0.2)
    births = (heat.birth_edges[1:] + heat.birth_edges[:-1]) / 2
    cell = np.outer(np.diff(heat.birth_edges), np.diff(heat.vertical_edges))
    assert (heat.density * cell).sum() == pytest.approx(1.0, abs=1e-9)
    marginal = (heat.density * cell).sum(axis=1)
    assert (marginal * births).sum() == pytest.approx(2.0, abs=0.02)
    assert np.sqrt((marginal * (births - 2.0) ** 2).sum()) == pytest.approx(0.2, rel=0.02)


def test_error_of_the_fraction_is_that_of_independent_snapshots() -> None:
    rng = np.random.default_rng(3)
    number, each = 400, 50
    lifetimes = np.where(rng.random(number * each) < 0.2, 1.5, 0.5)
    frames = np.repeat(np.arange(number), each)
    diagram = made_up([1.0] * len(frames), (1.0 + lifetimes).tolist(), frames.tolist(), number)
    share = long_lived_fraction(diagram)
    assert share.fraction == pytest.approx(0.2, abs=0.01)
    assert share.standard_error == pytest.approx(np.sqrt(0.2 * 0.8 / len(frames)), rel=0.25)


def test_representative_ring_of_a_hexagon_is_the_hexagon() -> None:
    hexagon = circle(6, 3.0)
    rings = representative_rings(hexagon[None], 20.0 * np.eye(3), np.full(6, True))
    ring = min(rings, key=lambda ring: ring.birth)
    assert sorted(ring.atoms.tolist()) == list(range(6))
    assert (np.abs(np.diff(ring.atoms)) % 4 == 1).all()
    assert (ring.birth, ring.death) == (pytest.approx(1.5, abs=1e-4), pytest.approx(3.0, abs=1e-4))


def test_rings_of_the_real_lithium_close_in_space_with_the_edge_of_their_birth(real_run) -> None:
    lithium = real_run.symbols == "Li"
    rings = representative_rings(real_run.positions, real_run.cell, lithium, frame=50, minimum_lifetime=0.05)
    diagram = ring_persistence(real_run.positions, real_run.cell, lithium, frames=[50])
    sizes = {len(ring.atoms) for ring in rings}
    assert min(sizes) == 3
    assert max(sizes) >= 6
    assert len(rings) >= 0.95 * diagram.weights[diagram.lifetimes > 0.05].sum()
    for ring in rings:
        steps = np.linalg.norm(ring.positions - np.roll(ring.positions, 1, axis=0), axis=1)
        assert steps.max() <= 2 * ring.birth + 1e-4
        folded = (ring.positions - real_run.positions[50, ring.atoms]) @ np.linalg.inv(real_run.cell[50])
        np.testing.assert_allclose(folded, np.round(folded), atol=1e-4)
        assert lithium[ring.atoms].all()


def test_frames_are_analysed_one_by_one(real_run) -> None:
    lithium = real_run.symbols == "Li"
    both = ring_persistence(real_run.positions, real_run.cell, lithium, frames=[300, 20])
    alone = ring_persistence(real_run.positions[20:21], real_run.cell[20], lithium)
    np.testing.assert_array_equal(both.births[both.frames == 20], alone.births)
    assert set(both.frames.tolist()) == {20, 300}
    assert lithium[both.death_triangles].all()
    assert lithium[both.birth_edges].all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": [2]}, r"frames \[2\] are not allowed; expected different whole numbers from 0 to 1"),
        ({"frames": [0, 0]}, r"frames \[0 0\] are not allowed"),
        ({"cell": np.zeros((3, 3))}, r"the cell has no volume"),
        ({"cell": np.eye(2)}, r"the cell has shape \(2, 2\); expected \(3, 3\) or \(2, 3, 3\)"),
        ({"mask": np.full(5, False)}, r"the ring mask selects none of 5 atoms"),
    ],
)
def test_bad_input_is_refused_in_one_line(changes: dict[str, object], message: str) -> None:
    arguments = {"positions": np.zeros((2, 5, 3)), "cell": 9.0 * np.eye(3), "mask": np.full(5, True)} | changes
    with pytest.raises(BadInputError, match=message):
        ring_persistence(**arguments)


def test_bad_requests_of_a_diagram_are_refused() -> None:
    diagram, empty = made_up([1.0], [2.0], [0], 1), made_up([], [], [], 1)
    with pytest.raises(BadInputError, match=r"the smallest lifetime is -1.0 Å"):
        long_lived_fraction(diagram, minimum_lifetime=-1.0)
    with pytest.raises(BadInputError, match="the diagram has no ring"):
        long_lived_fraction(empty)
    with pytest.raises(BadInputError, match="the second axis is 'size'"):
        smoothed_diagram(diagram, vertical="size")  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="0 rings"):
        smoothed_diagram(empty)
    with pytest.raises(BadInputError, match=r"the region is int64 of shape \(3,\)"):
        rings_in_region(diagram, np.ones(3, dtype=np.int64))
    with pytest.raises(BadInputError, match="the largest ring has 2 atoms"):
        representative_rings(np.zeros((1, 1, 3)), np.eye(3), np.array([True]), largest_size=2)


def test_ions_on_one_side_of_a_void_are_found_with_their_far_images() -> None:
    rng = np.random.default_rng(4)
    points, cell = rng.random((30, 3)) * 10.0, np.diag([10.0, 10.0, 32.0])
    complex_ = periodic_alpha_complex(points, cell)
    # Euler characteristic of a torus: V - E + F - T = 0, and each triangle is a face of two tetrahedra: T = F / 2.
    assert 2 * (len(complex_.points) - len(complex_.edges)) + len(complex_.triangles) == 0
    assert complex_.edge_radii.max() > 10.0
