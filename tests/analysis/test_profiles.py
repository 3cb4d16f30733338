from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis import trajectory_arrays
from lipsdb.analysis.profiles import DensityProfile, concentration_profile, density_map, density_profile
from lipsdb.errors import BadInputError

MASS = {"Li": 6.94, "P": 30.974, "S": 32.06}
TRICLINIC = np.array([[9.0, 0, 0], [3.0, 8.0, 0], [-2.0, 4.0, 12.0]])
few = settings(max_examples=15, deadline=None)


def masses_of(symbols: np.ndarray) -> np.ndarray:
    return np.array([MASS[symbol] for symbol in symbols])


def gas(seed: int, n_frames: int = 6, n_atoms: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions, not wrapped, in triclinic cells that breathe, and symbols."""
    rng = np.random.default_rng(seed)
    cells = TRICLINIC * rng.uniform(0.95, 1.05, (n_frames, 1, 1))
    symbols = rng.permutation(np.resize(["Li", "Li", "Li", "P", "S", "S", "S", "S"], n_atoms))
    return rng.uniform(-2, 2, (n_frames, n_atoms, 3)) @ cells, cells, symbols


def profile_of(positions: np.ndarray, cells: np.ndarray, symbols: np.ndarray, **options: object) -> DensityProfile:
    return density_profile(positions, cells, symbols, masses_of(symbols), **options)  # type: ignore[arg-type]


def direct_kernel_sum(positions: np.ndarray, cell: np.ndarray, at: np.ndarray, bandwidth: float) -> np.ndarray:
    """Concentration along c in Å⁻³ from the formula, image by image."""
    area = np.linalg.norm(np.cross(cell[0], cell[1]))
    normal = np.cross(cell[0], cell[1]) / area
    height, z = cell[2] @ normal, (positions @ normal).ravel()
    total = np.zeros(len(at))
    for image in range(-12, 13):
        apart = at[:, None] - z % height + image * height
        total += np.exp(-(apart**2) / (2 * bandwidth**2)).sum(axis=1) / (bandwidth * np.sqrt(2 * np.pi))
    return total / (area * len(positions))


def test_layers_of_known_density_in_a_triclinic_cell() -> None:
    fractional = np.array([[0.1, 0.2, 0.05], [0.6, 0.7, 0.05], [0.3, 0.3, 0.55]])  # two Li low, one S in the middle
    profile = profile_of((fractional @ TRICLINIC)[None], TRICLINIC, np.array(["Li", "Li", "S"]), bin_width=3.0)
    volume = 9.0 * 8.0 * 3.0  # of each of four slabs: the normal of a and b is z
    assert profile.elements == ("Li", "S")
    assert profile.area == pytest.approx(72.0)
    np.testing.assert_allclose(profile.edges, [0, 3, 6, 9, 12])
    np.testing.assert_allclose(profile.number_density * volume, [[2, 0, 0, 0], [0, 0, 1, 0]], atol=1e-12)
    # 2 × 6.94 amu = 2.30483e-23 g in 2.16e-22 cm³, by hand.
    np.testing.assert_allclose(profile.mass_density[0, 0], 0.106705, rtol=1e-5)
    np.testing.assert_allclose(profile.total_mass_density, profile.mass_density.sum(axis=0))
    np.testing.assert_array_equal(profile.fraction, [[1, np.nan, 0, np.nan], [0, np.nan, 1, np.nan]])
    assert np.isnan(profile.number_density_error).all()  # a single frame


def test_a_slab_along_a_and_b_is_as_thick_as_the_cell_along_the_normal() -> None:
    positions, cells, symbols = gas(0, n_frames=1)
    for axis, row in (("a", 0), ("b", 1), ("c", 2)):
        height = 1.0 / np.linalg.norm(np.linalg.inv(cells[0])[:, row])
        profile = profile_of(positions, cells, symbols, axis=axis)
        assert profile.edges[-1] == pytest.approx(height)
        assert profile.area * height == pytest.approx(np.linalg.det(cells[0]))


@few
@given(st.integers(0, 2**31), st.sampled_from("abc"), st.floats(0.1, 4.0))
def test_integrals_are_the_numbers_of_atoms_and_their_mass_in_cells_that_breathe(
    seed: int, axis: str, bin_width: float
) -> None:
    positions, cells, symbols = gas(seed)
    profile = profile_of(positions, cells, symbols, axis=axis, bin_width=bin_width)
    slab = profile.area * np.diff(profile.edges)
    numbers = [(symbols == element).sum() for element in profile.elements]
    np.testing.assert_allclose((profile.number_density * slab).sum(axis=1), numbers, rtol=1e-12)
    grams = masses_of(symbols).sum() * 1.66053906660
    np.testing.assert_allclose((profile.total_mass_density * slab).sum(), grams, rtol=1e-12)
    np.testing.assert_allclose(np.nansum(profile.fraction, axis=0)[np.isfinite(profile.fraction[0])], 1.0)
    smooth = concentration_profile(positions, cells, symbols == "Li", axis=axis, bandwidth=bin_width)
    step = profile.area * profile.edges[-1] / len(smooth.distance)
    assert smooth.concentration.sum() * step == pytest.approx((symbols == "Li").sum(), rel=1e-10)
    assert smooth.relative.mean() == pytest.approx(1.0, rel=1e-10)


@few
@given(st.integers(0, 2**31))
def test_wrapping_rotation_permutation_and_a_cell_of_the_same_planes_leave_the_profiles(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    positions, cells, symbols = gas(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(symbols.size)
    rotation = Rotation.random(rng=rng).as_matrix()
    moved = positions + rng.integers(-3, 4, positions.shape) @ cells
    same_planes = np.array([[1, 1, 0], [0, 1, 0], [1, -1, 1]]) @ cells  # a + b, b, c + a - b
    before = profile_of(positions, cells, symbols, bin_width=2.0)
    after = profile_of(moved[:, order] @ rotation, same_planes @ rotation, symbols[order], bin_width=2.0)
    np.testing.assert_allclose(after.number_density, before.number_density, atol=1e-12)
    np.testing.assert_allclose(after.total_mass_density_error, before.total_mass_density_error, atol=1e-12)
    lithium = symbols == "Li"
    smooth = concentration_profile(positions, cells, lithium)
    smooth_after = concentration_profile(moved[:, order] @ rotation, same_planes @ rotation, lithium[order])
    np.testing.assert_allclose(smooth_after.relative, smooth.relative, atol=1e-9)
    heat = density_map(positions, cells, lithium, axes=("a", "b"), bin_width=1.0)
    heat_after = density_map(moved[:, order] @ rotation, cells @ rotation, lithium[order], axes=("a", "b"), bin_width=1)
    np.testing.assert_allclose(heat_after.density, heat.density, atol=1e-12)


@few
@given(st.integers(0, 2**31), st.integers(-20, 20))
def test_translation_by_whole_slabs_turns_the_profile_round(seed: int, n_slabs: int) -> None:
    positions, cells, symbols = gas(seed)
    before = profile_of(positions, cells, symbols, bin_width=1.2)
    n_bins = before.number_density.shape[1]
    after = profile_of(positions + cells[:, None, 2] * n_slabs / n_bins, cells, symbols, bin_width=1.2)
    np.testing.assert_allclose(after.number_density, np.roll(before.number_density, n_slabs, axis=1), atol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_real_run_has_the_density_profile_of_mdanalysis(real_run) -> None:  # type: ignore[no-untyped-def]
    import MDAnalysis
    from MDAnalysis.analysis.lineardensity import LinearDensity
    from MDAnalysis.transformations import wrap

    positions, cells = real_run.positions[::20], real_run.cell[::20]
    masses = masses_of(real_run.symbols)
    universe = MDAnalysis.Universe.empty(128, trajectory=True)
    universe.add_TopologyAttr("masses", masses)
    universe.add_TopologyAttr("charges", np.zeros(128))
    boxes = np.tile([*np.diag(cells[0]), 90, 90, 90], (len(positions), 1))
    universe.load_new(positions, dimensions=boxes)
    universe.trajectory.add_transformations(wrap(universe.atoms))
    # It divides all axes into as many bins as the longest, b.
    theirs = LinearDensity(universe.atoms, binsize=0.4).run().results.y.mass_density
    ours = profile_of(positions, cells, real_run.symbols, axis="b", bin_width=cells[0, 1, 1] / len(theirs))
    assert ours.total_mass_density.mean() == pytest.approx(masses.sum() * 1.66053907 / np.linalg.det(cells[0]))
    np.testing.assert_allclose(ours.total_mass_density, theirs, atol=2e-5 * theirs.max())


@pytest.mark.parametrize("bandwidth", [0.3, 1.0, 5.0, 30.0])
def test_real_lithium_has_the_smoothed_profile_of_a_direct_sum_over_images(real_run, bandwidth: float) -> None:  # type: ignore[no-untyped-def]
    positions, cells = real_run.positions[::100], real_run.cell[::100]
    lithium = real_run.symbols == "Li"
    found = concentration_profile(positions, cells, lithium, bandwidth=bandwidth)
    at = found.distance[::5]
    expected = direct_kernel_sum(positions[:, lithium].astype(np.float64), cells[0], at, bandwidth)
    ours = found.concentration[::5]
    np.testing.assert_allclose(ours, expected, atol=2e-3 * expected.mean())


def test_a_triclinic_cell_has_the_smoothed_profile_of_a_direct_sum_over_images() -> None:
    positions, _, symbols = gas(3)
    found = concentration_profile(positions, TRICLINIC, symbols == "Li", bandwidth=1.0)
    expected = direct_kernel_sum(positions[:, symbols == "Li"], TRICLINIC, found.distance, 1.0)
    np.testing.assert_allclose(found.concentration, expected, atol=2e-3 * expected.mean())


def test_a_single_atom_gives_the_normal_density_of_the_bandwidth() -> None:
    found = concentration_profile(np.full((1, 1, 3), 20.0), 40 * np.eye(3), np.array([True]), bandwidth=2.0)
    assert found.concentration.max() == pytest.approx(1 / (2.0 * np.sqrt(2 * np.pi)) / 40**2, rel=2e-3)
    above = found.distance[found.concentration > found.concentration.max() / 2]
    assert above[-1] - above[0] == pytest.approx(2.3548 * 2.0, abs=0.3)


def test_depleted_lithium_shows_below_one() -> None:
    rng = np.random.default_rng(0)
    z = np.concatenate([rng.uniform(0, 40, 3000), rng.uniform(50, 100, 5000)])  # half as dense from 40 to 50 Å
    z = np.concatenate([z, rng.uniform(40, 50, 500)])
    positions = np.stack([rng.uniform(0, 20, z.size), rng.uniform(0, 20, z.size), z], axis=-1)[None]
    found = concentration_profile(positions, np.diag([20.0, 20, 100]), np.full(z.size, True), bandwidth=2.0)
    middle = (found.distance > 43) & (found.distance < 47)
    assert found.relative[middle].mean() == pytest.approx(500 / 850, rel=0.1)


def test_real_map_is_that_of_numpy_and_its_sum_the_number_of_lithium(real_run) -> None:  # type: ignore[no-untyped-def]
    positions, cell = real_run.positions[::40], real_run.cell[0]
    lithium = real_run.symbols == "Li"
    found = density_map(positions, cell, lithium, axes=("c", "a"), bin_width=0.5)
    c, a = cell[2, 2], cell[0, 0]
    wrapped = positions[:, lithium].astype(np.float64) % np.diag(cell)
    bins = (found.first_edges, found.second_edges)
    counts, _, _ = np.histogram2d(wrapped[..., 2].ravel(), wrapped[..., 0].ravel(), bins=bins)
    bin_area = np.diff(found.first_edges)[0] * np.diff(found.second_edges)[0]
    np.testing.assert_allclose(found.density, counts / (len(positions) * bin_area), rtol=1e-9)
    assert found.density.sum() * bin_area == pytest.approx(48, rel=1e-12)
    assert (found.first_edges[-1], found.second_edges[-1], found.angle) == pytest.approx((c, a, 90.0))


def test_a_map_of_a_triclinic_cell_has_parallelograms_and_keeps_the_number_of_atoms() -> None:
    positions, cells, symbols = gas(4)
    found = density_map(positions, cells, symbols == "S", axes=("a", "b"), bin_width=1.5)
    vectors = cells.mean(axis=0)[:2]
    area = np.linalg.norm(np.cross(*vectors)) / found.density.size
    assert found.density.sum() * area == pytest.approx((symbols == "S").sum(), rel=1e-12)
    assert found.angle == pytest.approx(np.degrees(np.arctan2(8.0, 3.0)))
    assert found.second_edges[-1] == pytest.approx(np.linalg.norm(vectors[1]))
    one = np.array([0.45, 0.85, 0.3]) @ TRICLINIC  # in the third and the fifth of its bins, projected along c
    single = density_map(one[None, None], TRICLINIC, np.array([True]), axes=("a", "b"), bin_width=1.5)
    assert np.argwhere(single.density).tolist() == [[int(0.45 * 6), int(0.85 * 6)]]


def test_a_drifting_crystal_is_sharp_when_its_drift_is_given() -> None:
    crystal = np.stack([np.zeros(6), np.zeros(6), 2.0 * np.arange(6) + 0.5], axis=-1)
    drift = np.array([0.1, -0.2, 0.77])[None] * np.arange(10)[:, None]
    cell, lithium = np.diag([4.0, 4.0, 12.0]), np.full(6, "Li")
    still = profile_of(crystal[None], cell, lithium)
    moving = profile_of(crystal + drift[:, None], cell, lithium, drift=drift)
    np.testing.assert_allclose(moving.number_density, still.number_density, atol=1e-12)
    np.testing.assert_allclose(moving.number_density_error, 0.0, atol=1e-12)
    assert profile_of(crystal + drift[:, None], cell, lithium).number_density.std() < still.number_density.std() / 2
    everything = np.full(6, True)
    smooth = concentration_profile(crystal + drift[:, None], cell, everything, drift=drift)
    np.testing.assert_allclose(
        smooth.relative, concentration_profile(crystal[None], cell, everything).relative, atol=1e-9
    )
    heat = density_map(crystal + drift[:, None], cell, everything, axes=("b", "c"), bin_width=1.0, drift=drift)
    assert np.count_nonzero(heat.density.max(axis=0)) == 6


def test_standard_errors_are_those_of_an_ideal_gas() -> None:
    rng = np.random.default_rng(3)
    positions, cell = rng.uniform(0, 10, (500, 200, 3)), 10 * np.eye(3)
    symbols = np.resize(["Li", "S"], 200)
    profile = profile_of(positions, cell, symbols, bin_width=1.0, n_blocks=10)
    poisson = np.sqrt(10.0 * 0.9 / 500) / 100.0  # 10 of each kind in a slab of 100 Å³, binomial, 500 frames
    np.testing.assert_allclose(np.sqrt((profile.number_density_error**2).mean()), poisson, rtol=0.25)
    deviation = (profile.number_density - 0.1) / profile.number_density_error
    assert 0.6 < np.sqrt((deviation**2).mean()) < 1.6
    np.testing.assert_allclose(np.sqrt((profile.fraction_error**2).mean()), 0.5 / np.sqrt(20 * 500), rtol=0.3)
    smooth = concentration_profile(positions, cell, symbols == "Li", bandwidth=0.5, n_blocks=10)
    assert 0.5 < np.sqrt((((smooth.relative - 1) / smooth.relative_error) ** 2).mean()) < 2.0


def test_blocks_of_frames_do_not_change_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    positions, cells, symbols = gas(7, n_frames=11)
    lithium = symbols == "Li"

    def all_three() -> list[np.ndarray]:
        profile, smooth = profile_of(positions, cells, symbols), concentration_profile(positions, cells, lithium)
        heat = density_map(positions, cells, lithium)
        return [profile.mass_density, profile.fraction_error, smooth.concentration, smooth.relative_error, heat.density]

    together = all_three()
    monkeypatch.setattr(trajectory_arrays, "BLOCK_BYTES", 1)
    for one, other in zip(together, all_three(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axis": "z"}, "the axis is 'z'; expected one of a, b, c"),
        ({"bin_width": 0.0}, "bin width is 0.0 Å; expected a positive number, at most the cell's 12 Å"),
        ({"bin_width": 13.0}, "at most the cell's 12 Å"),
        ({"n_blocks": 1}, "1 blocks of frames; expected at least 2"),
        ({"masses": np.zeros(40)}, "expected 40 of each, masses positive, in amu"),
        ({"symbols": ["Li"]}, "expected 40 of each"),
        ({"drift": np.zeros((2, 3))}, r"expected \(6, 3\) finite numbers"),
        ({"cell": np.zeros((3, 3))}, "has no volume"),
    ],
)
def test_bad_input_is_refused(change: dict[str, object], message: str) -> None:
    positions, _, symbols = gas(0)
    arguments = {"positions": positions, "cell": TRICLINIC, "symbols": symbols, "masses": masses_of(symbols)}
    with pytest.raises(BadInputError, match=message):
        density_profile(**(arguments | change))  # type: ignore[arg-type]


def test_bad_masks_bandwidths_and_planes_are_refused() -> None:
    positions, cells, symbols = gas(0)
    with pytest.raises(BadInputError, match="bandwidth is -1 Å"):
        concentration_profile(positions, cells, symbols == "Li", bandwidth=-1)
    with pytest.raises(BadInputError, match="profile mask selects none"):
        concentration_profile(positions, cells, symbols == "Na")
    with pytest.raises(BadInputError, match=r"\('a', 'a'\); expected two different ones of a, b, c"):
        density_map(positions, cells, symbols == "Li", axes=("a", "a"))
