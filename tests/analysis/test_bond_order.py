from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis.bond_order import BondOrder, bond_order, disorder_parameter
from lipsdb.errors import BadInputError

TILTED = np.array([[9.0, 0, 0], [2.0, 8.0, 0], [-1.0, 3.0, 10.0]])


def all_atoms(n_atoms: int) -> np.ndarray:
    return np.full(n_atoms, True)


@pytest.mark.parametrize(
    ("lattice", "number", "q4", "q6"),
    [("sc", 6, 0.76376, 0.35355), ("bcc", 14, 0.03637, 0.51069), ("fcc", 12, 0.19094, 0.57452),
     ("hcp", 12, 0.09722, 0.48476)],
)  # fmt: skip
def test_one_cell_of_a_perfect_crystal_has_its_order_and_no_disorder(
    lattice: str, number: int, q4: float, q6: float
) -> None:
    from ase.build import bulk

    atoms = bulk("Cu", lattice, a=4.0, c=4.0 * (8 / 3) ** 0.5 if lattice == "hcp" else None)
    chosen, position = all_atoms(len(atoms)), atoms.positions[None]
    found = bond_order(position, atoms.cell.array, chosen, chosen, number=number)
    np.testing.assert_allclose(found.order[0], [[q4, q6]] * len(atoms), atol=2e-5)
    np.testing.assert_allclose(found.averaged, found.order, atol=2e-5)
    disorder = disorder_parameter(position, atoms.cell.array, chosen, chosen, number=number)
    np.testing.assert_allclose(disorder.values, 0, atol=1e-5)


def test_fcc_cutoff_number_and_voronoi_faces_give_the_same() -> None:
    from ase.build import bulk

    atoms = bulk("Cu", "fcc", a=4.0, cubic=True)
    chosen = all_atoms(4)
    for neighbours in ({"cutoff": 3.2}, {"number": 12}, {}):
        found = bond_order(atoms.positions[None], atoms.cell.array, chosen, chosen, degrees=[6], **neighbours)
        np.testing.assert_allclose(found.averaged, 0.57452, atol=2e-5)


def test_atoms_without_correlation_have_a_disorder_of_two() -> None:
    rng = np.random.default_rng(1)
    points = rng.random((1, 4000, 3)) * 40.0
    chosen = all_atoms(4000)
    # neighbours share some of their neighbours, which leaves a little correlation
    found = disorder_parameter(points, 40.0 * np.eye(3), chosen, chosen, degree=12, number=40)
    assert found.values.mean() == pytest.approx(2.0, abs=0.05)
    assert found.values.max() < 4


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([{"cutoff": 4.0}, {"number": 6}, {}]))
def test_rotation_permutation_wrapping_and_another_cell_leave_the_values(seed: int, neighbours: dict) -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    fractional, centres = rng.random((24, 3)), rng.random(24) < 0.5
    centres[0] = True
    rotation = Rotation.random(rng=rng).as_matrix()
    other_cell = np.array([[1, 0, 0], [2, 1, 0], [-1, 1, 1]]) @ TILTED @ rotation
    order = rng.permutation(24)
    moved = (fractional + rng.integers(-3, 4, (24, 3)) + rng.random(3))[order] @ TILTED @ rotation
    here = (fractional @ TILTED)[None], TILTED, centres, all_atoms(24)
    there = moved[None], other_cell, centres[order], all_atoms(24)
    back = np.argsort(order[centres[order]])
    plain, changed = bond_order(*here, **neighbours), bond_order(*there, **neighbours)
    np.testing.assert_allclose(changed.order[0, back], plain.order[0], atol=2e-4)
    if neighbours:  # a Voronoi face of no area comes and goes with rounding, and counts as a neighbour
        np.testing.assert_allclose(changed.averaged[0, back], plain.averaged[0], atol=2e-4)
        before, after = disorder_parameter(*here, **neighbours), disorder_parameter(*there, **neighbours)
        np.testing.assert_allclose(after.values[0, back], before.values[0], atol=1e-3)


def test_small_cell_gives_what_its_supercell_gives() -> None:
    rng = np.random.default_rng(3)
    cell, points = np.diag([4.0, 5.0, 6.0]), rng.random((8, 3)) * [4.0, 5.0, 6.0]
    shifts = np.stack(np.meshgrid(*[range(3)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3) @ cell
    large = (points + shifts).reshape(1, -1, 3)
    centres = np.arange(8) >= 5
    for neighbours in ({"cutoff": 4.5}, {"number": 9}, {}):
        small = bond_order(points[None], cell, centres, ~centres, **neighbours)
        repeated = bond_order(large, 3 * cell, np.tile(centres, 27), np.tile(~centres, 27), **neighbours)
        np.testing.assert_allclose(small.order[0], repeated.order[0, :3], atol=1e-4)
        np.testing.assert_allclose(small.averaged[0], repeated.averaged[0, :3], atol=1e-4)


def direct_order(positions, cell, centre: int, others: np.ndarray, degree: int, cutoff: float) -> float:
    from scipy.special import sph_harm_y

    difference = (positions[others] - positions[centre]) @ np.linalg.inv(cell)
    vectors = (difference - np.round(difference)) @ cell
    x, y, z = vectors[np.linalg.norm(vectors, axis=1) < cutoff].T
    polar, azimuth = np.arccos(z / np.sqrt(x**2 + y**2 + z**2)), np.arctan2(y, x)
    mean = [sph_harm_y(degree, m, polar, azimuth).mean() for m in range(-degree, degree + 1)]
    return float(np.sqrt(4 * np.pi / (2 * degree + 1) * np.sum(np.abs(mean) ** 2)))


def test_sulphur_around_lithium_of_the_real_run_agrees_with_spherical_harmonics_of_scipy(real_run) -> None:
    lithium, sulphur = real_run.symbols == "Li", real_run.symbols == "S"
    positions, cell = real_run.positions[[200]].astype(float), real_run.cell[[200]]
    found = bond_order(positions, cell, lithium, sulphur, degrees=[4, 6, 8], cutoff=3.5)
    for column, centre in enumerate(np.flatnonzero(lithium)[:10]):
        for place, degree in enumerate(found.degrees):
            expected = direct_order(positions[0], cell[0], centre, np.flatnonzero(sulphur), degree, 3.5)
            assert found.order[0, column, place] == pytest.approx(expected, abs=1e-5)


def from_pyscal(atoms, method: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import pyscal3

    pyscal3.find_neighbors(atoms, **method)
    order = np.transpose(pyscal3.steinhardt_parameter(atoms, [4, 6]))
    averaged = np.transpose(pyscal3.steinhardt_parameter(atoms, [4, 6], averaged=True))
    return order, averaged, np.asarray(pyscal3.disorder(atoms, q=6))


@pytest.mark.parametrize(
    ("neighbours", "method"),
    [({"cutoff": 4.5}, {"method": "cutoff", "cutoff": 4.5}), ({"number": 10}, {"method": "number", "nmax": 10}),
     ({}, {"method": "voronoi"})],
)  # fmt: skip
@pytest.mark.parametrize("elements", [["Li"], ["Li", "P", "S"]])
def test_lithium_of_the_real_run_agrees_with_pyscal(real_run, neighbours: dict, method: dict, elements: list) -> None:
    from ase import Atoms

    lithium, around = real_run.symbols == "Li", np.isin(real_run.symbols, elements)
    frames = slice(0, 401, 160)
    arguments = real_run.positions[frames], real_run.cell[frames], lithium, around
    ours, disorder = bond_order(*arguments, **neighbours), disorder_parameter(*arguments, **neighbours)
    for index, (positions, cell) in enumerate(zip(arguments[0], arguments[1], strict=True)):
        atoms = Atoms(real_run.symbols, positions=positions.astype(float), cell=cell, pbc=True)[around]
        atoms.wrap()
        order, averaged, parameter = (values[lithium[around]] for values in from_pyscal(atoms, method))
        np.testing.assert_allclose(ours.order[index], order, atol=2e-5)
        # single precision misses Voronoi faces of 1e-7 of the surface, and these count as neighbours
        likely = 0.01 if not neighbours else 2e-5
        np.testing.assert_allclose(ours.averaged[index], averaged, atol=likely)
        np.testing.assert_allclose(disorder.values[index], parameter, atol=5 * likely)


def test_noisy_fcc_agrees_with_pyscal() -> None:
    from ase.build import bulk

    atoms = bulk("Cu", "fcc", a=3.6, cubic=True) * (4, 4, 4)
    atoms.rattle(0.15, seed=5)
    chosen = all_atoms(len(atoms))
    arguments = atoms.positions[None].copy(), atoms.cell.array, chosen, chosen
    order, averaged, parameter = from_pyscal(atoms, {"method": "cutoff", "cutoff": 3.1})
    ours = bond_order(*arguments, cutoff=3.1)
    np.testing.assert_allclose(ours.order[0], order, atol=1e-5)
    np.testing.assert_allclose(ours.averaged[0], averaged, atol=1e-5)
    np.testing.assert_allclose(disorder_parameter(*arguments, cutoff=3.1).values[0], parameter, atol=1e-4)
    assert 0.05 < parameter.mean() < 0.5


def test_static_beta_crystal_has_two_disorders_and_cutoffs_that_bracket_the_published_mean() -> None:
    from ase.spacegroup import crystal

    sites = [(0.3562, 0.0123, 0.4371), (0, 0, 0.5), (0.0875, 0.25, 0.1718), (0.1554, 0.0456, 0.2839),
             (0.9348, 0.25, 0.2567), (0.1071, 0.25, 0.8369)]  # fmt: skip
    cell = [12.819, 8.2195, 6.1236, 90, 90, 90]
    beta = crystal(["Li", "Li", "P", "S", "S", "S"], sites, spacegroup=62, cellpar=cell)
    arguments = beta.positions[None], beta.cell.array, beta.numbers == 3, all_atoms(32)
    found = disorder_parameter(*arguments).values[0]
    assert found[:8].mean() == pytest.approx(1.21, abs=0.05)  # tetrahedral and octahedral sites: the two peaks of
    assert found[8:].mean() == pytest.approx(1.64, abs=0.05)  # the study's Fig. 9e
    assert disorder_parameter(*arguments, cutoff=3.0).values.mean() == pytest.approx(0.97, abs=0.02)  # published 1.25
    assert disorder_parameter(*arguments, cutoff=3.5).values.mean() == pytest.approx(1.64, abs=0.02)


def test_lonely_atom_is_undefined_and_left_out_of_the_time_mean() -> None:
    cell = 20.0 * np.eye(3)
    pair = np.array([[[0.0, 0, 0], [2.0, 0, 0]], [[0.0, 0, 0], [8.0, 0, 0]]])
    found = bond_order(pair, cell, all_atoms(2), all_atoms(2), degrees=[6], cutoff=3.0)
    assert found.n_neighbours.tolist() == [[1, 1], [0, 0]]
    np.testing.assert_allclose(found.order[..., 0], [[1, 1], [np.nan, np.nan]], atol=1e-5)
    np.testing.assert_allclose(found.mean_order, 1, atol=1e-5)
    disorder = disorder_parameter(pair[1:], cell, all_atoms(2), all_atoms(2), cutoff=3.0)
    assert np.isnan(disorder.mean_values).all()


def test_means_are_over_frames() -> None:
    values = np.array([[[0.2]], [[0.4]]], dtype=np.float32)
    found = BondOrder((6,), values, 2 * values, np.ones((2, 1), dtype=np.int32))
    assert (found.mean_order[0, 0], found.mean_averaged[0, 0]) == (pytest.approx(0.3), pytest.approx(0.6))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"degrees": [5], "cutoff": 3.0}, r"degrees l are \[5\]; expected at least one even number"),
     ({"cutoff": 3.0, "number": 4}, "cutoff of 3.0 Å and by a number of 4; expected one of them"),
     ({"cutoff": -1.0}, "cutoff is -1.0 Å; expected a positive number"),
     ({"number": 0}, "number of neighbours is 0; expected 1 or more")],
)  # fmt: skip
def test_what_is_not_allowed_is_refused(options: dict, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        bond_order(np.zeros((1, 1, 3)), 5.0 * np.eye(3), all_atoms(1), all_atoms(1), **options)


def test_atoms_at_one_place_are_refused_before_they_end_the_process() -> None:
    atoms = np.array([[[0.0, 0, 0], [0, 0, 0], [2, 2, 2]]])
    with pytest.raises(BadInputError, match="two atoms of a frame are less than"):
        bond_order(atoms, 5.0 * np.eye(3), all_atoms(3), all_atoms(3))


def test_atom_far_from_all_others_has_too_few_neighbours() -> None:
    atoms = np.concatenate([np.random.default_rng(0).random((1, 200, 3)) * 5.0, np.full((1, 1, 3), 30.0)], axis=1)
    with pytest.raises(BadInputError, match=r"an atom has fewer than 2 neighbours within 30\.0 Å; ask for fewer"):
        bond_order(atoms, 60.0 * np.eye(3), all_atoms(201), all_atoms(201), number=2)
