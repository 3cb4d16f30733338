from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis import trajectory_arrays
from lipsdb.analysis.regions import (
    Box,
    NearPlanes,
    ProfileRange,
    Region,
    Slab,
    phase_ranges,
    region_mask,
)
from lipsdb.errors import BadInputError

TRICLINIC = np.array([[12.0, 0.0, 0.0], [4.0, 9.0, 0.0], [-3.0, 5.0, 15.0]])
PROFILE = np.array([0.1, 0.5, 0.9, 1.0, 0.7])
REGIONS: list[Region] = [
    Slab("a", 0.15, 0.6, "fraction"),
    Slab("b", 5.0, 8.5),
    Slab("c", 12.0, 2.0),
    Box((Slab("a", 0.0, 0.5, "fraction"), Slab("c", 3.0, 11.0))),
    NearPlanes("b", (0.0, 0.5), 1.7, "fraction"),
    NearPlanes("c", (1.0, 8.0), 2.0),
    ProfileRange("c", PROFILE, lower=0.6),
]
seeds = st.integers(0, 2**31)
few = settings(max_examples=15, deadline=None)
any_region = st.sampled_from(REGIONS)


def gas(seed: int, cell: np.ndarray = TRICLINIC, n_frames: int = 3, n_atoms: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.0, 2.0, (n_frames, n_atoms, 3)) @ cell


def with_pymatgen(region: Region, positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Fractional coordinates and plane spacings by pymatgen, the rest by unit vectors and all images."""
    from pymatgen.core import Lattice

    lattice = Lattice(cell)
    if isinstance(region, Box):
        return np.all([with_pymatgen(slab, positions, cell) for slab in region.slabs], axis=0)
    index = "abc".index(region.axis)
    s = lattice.get_fractional_coords(positions.reshape(-1, 3))[:, index].reshape(positions.shape[:2])
    height = lattice.d_hkl(np.eye(3, dtype=int)[index])
    images = np.arange(-5, 6)[:, None, None]
    if isinstance(region, ProfileRange):
        values = np.array([region.profile[int(np.floor(x % 1.0 * len(region.profile)))] for x in s.ravel()])
        return ((values >= region.lower) & (values < region.upper)).reshape(s.shape)
    in_unit = s * height if region.unit == "A" else s
    period = height if region.unit == "A" else 1.0
    if isinstance(region, Slab):
        stop = region.stop if region.stop > region.start else region.stop + period
        shifted = in_unit + images * period
        return ((shifted >= region.start) & (shifted < stop)).any(axis=0)
    apart = np.stack([np.abs(in_unit - plane + images * period) for plane in region.planes])
    return (apart * (height / period) <= region.distance).any(axis=(0, 1))


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: type(region).__name__)
def test_every_region_of_a_triclinic_gas_is_that_of_pymatgens_lattice(region: Region) -> None:
    positions = gas(1, n_atoms=300)
    mask = region_mask(region, positions, TRICLINIC)
    assert 0.05 < mask.mean() < 0.95
    np.testing.assert_array_equal(mask, with_pymatgen(region, positions, TRICLINIC))


def test_fraction_of_a_gas_in_a_region_is_its_share_of_the_volume() -> None:
    positions = gas(2, n_frames=10, n_atoms=4000)
    share = {
        region: region_mask(region, positions, TRICLINIC).mean()
        for region in (Slab("c", 12.0, 2.0), NearPlanes("c", (0.0, 7.5), 2.0), NearPlanes("c", (0.0,), 10.0))
    }
    # The c vector is 16.1 Å long, the cell 15 Å high.
    np.testing.assert_allclose(list(share.values()), [5 / 15, 8 / 15, 1.0], atol=0.01)


def test_breathing_cell_moves_planes_in_fractions_and_not_those_in_angstrom() -> None:
    cells = np.stack([np.eye(3) * 20.0, np.eye(3) * 24.0])
    atoms = np.zeros((2, 2, 3))
    atoms[:, :, 2] = [10.5, 12.1]
    assert region_mask(NearPlanes("c", (10.0,), 1.0), atoms, cells).tolist() == [[True, False]] * 2
    assert region_mask(NearPlanes("c", (0.5,), 1.0, "fraction"), atoms, cells).tolist() == [
        [True, False],
        [False, True],
    ]


def test_region_moves_with_the_drift_of_the_framework() -> None:
    positions = gas(3, n_frames=4)
    drift = np.cumsum(np.random.default_rng(3).normal(size=(4, 3)), axis=0)
    for region in REGIONS:
        np.testing.assert_array_equal(
            region_mask(region, positions + drift[:, None], TRICLINIC, drift=drift),
            region_mask(region, positions, TRICLINIC),
        )


@few
@given(seeds, any_region)
def test_images_of_atoms_are_in_the_same_region(seed: int, region: Region) -> None:
    positions = gas(seed)
    images = np.random.default_rng(seed).integers(-3, 4, positions.shape) @ TRICLINIC
    np.testing.assert_array_equal(
        region_mask(region, positions + images, TRICLINIC), region_mask(region, positions, TRICLINIC)
    )


@few
@given(seeds, any_region)
def test_order_of_atoms_and_turning_cell_and_atoms_do_not_matter(seed: int, region: Region) -> None:
    from scipy.spatial.transform import Rotation

    positions = gas(seed)
    order = np.random.default_rng(seed).permutation(positions.shape[1])
    turn = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    np.testing.assert_array_equal(
        region_mask(region, positions[:, order] @ turn, TRICLINIC @ turn),
        region_mask(region, positions, TRICLINIC)[:, order],
    )


@few
@given(seeds, st.sampled_from([r for r in REGIONS if not isinstance(r, Box) and r.axis == "c"]))
def test_equivalent_cell_has_the_same_layers(seed: int, region: Region) -> None:
    positions = gas(seed)
    sheared = TRICLINIC.copy()
    sheared[2] += 2 * TRICLINIC[0] - TRICLINIC[1]  # c along another lattice vector: the same planes
    np.testing.assert_array_equal(region_mask(region, positions, sheared), region_mask(region, positions, TRICLINIC))


@few
@given(seeds, st.lists(st.floats(0.0, 1.0, exclude_max=True), min_size=2, max_size=5, unique=True))
def test_slabs_that_share_planes_hold_every_atom_once(seed: int, edges: list[float]) -> None:
    positions = gas(seed, np.eye(3))
    positions[0, : len(edges), 2] = edges  # atoms on the planes
    ends = sorted(edges)
    slabs = [Slab("c", a, b, "fraction") for a, b in zip(ends, ends[1:] + ends[:1], strict=True)]
    count = np.sum([region_mask(slab, positions, np.eye(3)) for slab in slabs], axis=0)
    assert (count == 1).all()


def test_phases_of_a_profile_hold_every_atom_once_whichever_is_higher() -> None:
    positions = gas(4, n_atoms=200)
    rising = {
        name: region_mask(phase, positions, TRICLINIC)
        for name, phase in phase_ranges(PROFILE, "c", crystal=0.5, glass=0.9).items()
    }
    falling = {
        name: region_mask(phase, positions, TRICLINIC)
        for name, phase in phase_ranges(-PROFILE, "c", crystal=-0.51, glass=-0.89).items()
    }
    assert (np.sum(list(rising.values()), axis=0) == 1).all()
    assert set(falling) == {"crystal", "interface", "glass"}
    np.testing.assert_array_equal(falling["glass"], rising["glass"])
    s = (positions @ np.linalg.inv(TRICLINIC))[..., 2] % 1.0
    np.testing.assert_array_equal(rising["crystal"], s < 0.2)


def test_profile_of_each_frame_is_used_in_that_frame() -> None:
    positions = np.zeros((2, 1, 3))
    moving = ProfileRange("a", np.array([[1.0, 0.0], [0.0, 1.0]]), lower=0.5)
    assert region_mask(moving, positions, np.eye(3)).tolist() == [[True], [False]]
    with pytest.raises(BadInputError, match="profile has 2 frames, the trajectory 3"):
        region_mask(moving, np.zeros((3, 1, 3)), np.eye(3))


def test_slab_as_thick_as_the_cell_holds_all_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    positions = gas(5, n_frames=7).astype(np.float32)
    assert region_mask(Slab("b", 0.0, 1.0, "fraction"), positions, TRICLINIC).all()
    assert region_mask(Slab("b", -2.0, 40.0), positions, TRICLINIC).all()
    whole = [region_mask(region, positions, TRICLINIC) for region in REGIONS]
    monkeypatch.setattr(trajectory_arrays, "BLOCK_BYTES", 1)
    for region, mask in zip(REGIONS, whole, strict=True):
        np.testing.assert_array_equal(region_mask(region, positions, TRICLINIC), mask)


def test_what_is_no_region_is_refused() -> None:
    with pytest.raises(BadInputError, match="expected two different numbers"):
        Slab("c", 1.0, 1.0)
    with pytest.raises(BadInputError, match="axis 'z' in 'A'"):
        Slab("z", 0.0, 1.0)  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="each across another vector"):
        Box((Slab("c", 0.0, 1.0), Slab("c", 2.0, 3.0)))
    with pytest.raises(BadInputError, match="at least one number"):
        NearPlanes("c", ())
    with pytest.raises(BadInputError, match=r"distance from the planes is -1\.0 Å"):
        NearPlanes("c", (0.0,), -1.0)
    with pytest.raises(BadInputError, match="lower number first"):
        replace(ProfileRange("c", PROFILE), lower=1.0, upper=0.5)
    with pytest.raises(BadInputError, match="lower number first"):
        phase_ranges(PROFILE, "c", crystal=0.5, glass=0.5)


def test_what_does_not_fit_the_trajectory_is_refused() -> None:
    positions = gas(6)
    with pytest.raises(BadInputError, match="the cell has no volume"):
        region_mask(REGIONS[0], positions, np.zeros((3, 3)))
    with pytest.raises(BadInputError, match=r"expected \(3, 3\) or \(3, 3, 3\)"):
        region_mask(REGIONS[0], positions, np.zeros((2, 3, 3)))
    with pytest.raises(BadInputError, match=r"the drift has shape \(2, 3\); expected \(3, 3\)"):
        region_mask(REGIONS[0], positions, TRICLINIC, drift=np.zeros((2, 3)))
