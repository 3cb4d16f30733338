"""Crystals are known exactly: multiplicities, symmetry, density and bond lengths are checked with pymatgen and ASE."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from lipsdb.errors import BadInputError
from lipsdb.structures.crystal import CrystalSite, build_crystal

LATTICE = (12.819, 8.2195, 6.1236, 90.0, 90.0, 90.0)
SITES = [
    CrystalSite("Li", (0.3562, 0.0123, 0.4371), "Li1", 8),
    CrystalSite("Li", (0.0, 0.0, 0.5), "Li2", 4),
    CrystalSite("P", (0.0875, 0.25, 0.1718), "P1", 4),
    CrystalSite("S", (0.1554, 0.0456, 0.2839), "S1", 8),
    CrystalSite("S", (0.9348, 0.25, 0.2567), "S2", 4),
    CrystalSite("S", (0.1071, 0.25, 0.8369), "S3", 4),
]
AMU_PER_A3_IN_G_PER_CM3 = 1.66053907


def _beta(supercell=(1, 1, 1)):
    return build_crystal("Pnma", LATTICE, SITES, supercell)


def _distances_to_sulfur(numbers, positions, cell, atoms, cutoff):
    crystal = Atoms(numbers=numbers, positions=positions, cell=cell, pbc=True)
    i, j, d = neighbor_list("ijd", crystal, cutoff)
    return [np.sort(d[(i == atom) & (numbers[j] == 16)]) for atom in atoms]


def test_beta_li3ps4_has_32_atoms_of_the_stated_composition_and_density():
    numbers, positions, cell = _beta()
    assert [int((numbers == z).sum()) for z in (3, 15, 16)] == [12, 4, 16]
    assert positions.shape == (32, 3)
    crystal = Atoms(numbers=numbers, positions=positions, cell=cell, pbc=True)
    density = crystal.get_masses().sum() / crystal.get_volume() * AMU_PER_A3_IN_G_PER_CM3
    # By hand: 4 x (3 x 6.94 + 30.974 + 4 x 32.06) / 645.23 Å3 = 720.14 / 645.23 amu/Å3.
    assert density == pytest.approx(1.853, abs=0.002)


def test_beta_li3ps4_keeps_pnma_by_spglib():
    numbers, positions, cell = _beta()
    structure = Structure(Lattice(cell), numbers, positions, coords_are_cartesian=True)
    analyzer = SpacegroupAnalyzer(structure, symprec=1e-3)
    assert (analyzer.get_space_group_symbol(), analyzer.get_space_group_number()) == ("Pnma", 62)
    multiplicities = sorted(len(group) for group in analyzer.get_symmetrized_structure().equivalent_indices)
    assert multiplicities == [4, 4, 4, 4, 8, 8]


def test_beta_li3ps4_has_the_bond_lengths_of_the_reference():
    numbers, positions, cell = _beta()
    phosphorus = _distances_to_sulfur(numbers, positions, cell, np.flatnonzero(numbers == 15), 2.8)
    lithium = np.flatnonzero(numbers == 3)  # 8d first, then 4b
    tetrahedral = _distances_to_sulfur(numbers, positions, cell, lithium[:8], 2.9)
    octahedral = _distances_to_sulfur(numbers, positions, cell, lithium[8:], 3.3)
    for found, count, shortest, longest in (
        (phosphorus, 4, 2.01, 2.07),
        (tetrahedral, 4, 2.18, 2.75),
        (octahedral, 6, 2.42, 3.22),
    ):
        assert {len(d) for d in found} == {count}
        assert min(d[0] for d in found) == pytest.approx(shortest, abs=0.006)
        assert max(d[-1] for d in found) == pytest.approx(longest, abs=0.006)


def test_supercell_1x2x2_of_beta_li3ps4_is_the_cell_repeated():
    numbers, positions, cell = _beta((1, 2, 2))
    assert len(numbers) == 128
    np.testing.assert_allclose(np.diag(cell), [12.819, 2 * 8.2195, 2 * 6.1236])
    ours = Structure(Lattice(cell), numbers, positions, coords_are_cartesian=True)
    once = Structure(Lattice(_beta()[2]), _beta()[0], _beta()[1], coords_are_cartesian=True)
    once.make_supercell([1, 2, 2])
    difference = ours.lattice.get_all_distances(ours.frac_coords, once.frac_coords)
    partner = difference.argmin(axis=1)
    assert sorted(partner) == list(range(128))
    assert difference.min(axis=1).max() < 1e-6
    assert [site.specie.Z for site in ours] == [once[int(k)].specie.Z for k in partner]


def test_atoms_come_grouped_by_element_in_the_order_of_the_sites():
    numbers = _beta((1, 2, 2))[0]
    assert numbers.tolist() == [3] * 48 + [15] * 16 + [16] * 64


def test_hexagonal_graphite_by_number_has_four_atoms_and_a_cell_with_a_along_x():
    sites = [CrystalSite("C", (0, 0, 0.25)), CrystalSite("C", (1 / 3, 2 / 3, 0.25))]
    numbers, positions, cell = build_crystal("194", (2.461, 2.461, 6.708, 90, 90, 120), sites)
    assert numbers.tolist() == [6] * 4
    assert np.triu(cell, 1) == pytest.approx(np.zeros((3, 3)))
    crystal = Atoms(numbers=numbers, positions=positions, cell=cell, pbc=True)
    assert sorted(neighbor_list("d", crystal, 1.6)) == pytest.approx([2.461 / 3**0.5] * 12, abs=1e-3)


@settings(max_examples=20, deadline=None)
@given(shift=st.tuples(*[st.integers(-3, 3)] * 3), repeats=st.tuples(*[st.integers(1, 3)] * 3))
def test_sites_moved_by_whole_cells_give_the_same_crystal_in_any_supercell(shift, repeats):
    moved = [site._replace(position=tuple(np.add(site.position, shift).tolist())) for site in SITES]
    numbers, positions, cell = build_crystal("Pnma", LATTICE, moved, repeats)
    expected = _beta(repeats)
    assert len(numbers) == 32 * np.prod(repeats)
    np.testing.assert_array_equal(numbers, expected[0])
    np.testing.assert_allclose(positions, expected[1], atol=1e-7)
    np.testing.assert_array_equal(cell, expected[2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spacegroup": "Pnmx"}, "unknown space group 'Pnmx'.*number from 1 to 230"),
        ({"spacegroup": "231"}, "unknown space group '231'"),
        ({"spacegroup": "Fm-3m"}, "Fm-3m is cubic, which the lattice a=12.819.* is not"),
        ({"lattice": (12.819, 8.2195, 6.1236, 90, 91, 90)}, "Pnma is orthorhombic"),
        ({"spacegroup": "1", "lattice": (5, 5, 5, 170, 10, 10)}, "cannot close a cell"),
        ({"lattice": (12.819, -8, 6.1236, 90, 90, 90)}, "all positive"),
        ({"supercell": (1, 0, 2)}, "three whole numbers of at least 1"),
        ({"sites": []}, "no sites given"),
        ({"sites": [CrystalSite("Lx", (0, 0, 0), "Li1")]}, "site Li1: unknown element 'Lx'"),
        ({"sites": [CrystalSite("Li", (0, 0, float("nan")))]}, "not three fractional coordinates"),
        (
            {"sites": [*SITES[:2], CrystalSite("P", (0.0875, 0.251, 0.1718), "P1", 4)]},
            "site P1 has 8 equivalent positions in Pnma, not 4 as stated",
        ),
        (
            {"sites": [CrystalSite("P", (0.0875, 0.251, 0.1718), "P1")]},
            "two atoms of site P1 are 0.016 Å apart, at least 1.28",
        ),
        (
            {"sites": [*SITES, CrystalSite("Li", (0.1, 0.25, 0.1718), "Li3")]},
            "sites P1 and Li3 are 0.160 Å apart, at least 1.41 Å expected",
        ),
    ],
)
def test_bad_crystal_is_refused_in_one_line(changes, message):
    arguments = {"spacegroup": "Pnma", "lattice": LATTICE, "sites": SITES, **changes}
    with pytest.raises(BadInputError, match=message) as caught:
        build_crystal(**arguments)
    assert "\n" not in str(caught.value)
