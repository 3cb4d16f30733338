from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis import trajectory_arrays
from lipsdb.analysis.amorphisation import (
    CRYSTAL,
    GLASS,
    INTERFACE,
    Amorphisation,
    SlabPhases,
    amorphisation,
    atom_phases,
    slab_phases,
)
from lipsdb.errors import BadInputError

TILTED = np.array([[12.0, 0, 0], [3.0, 14.0, 0], [-2.0, 4.0, 11.4]])


def every(positions: np.ndarray) -> np.ndarray:
    return np.full(positions.shape[-2], True)


def simple_cubic(spacing: float, repeats: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    axes = np.meshgrid(*[np.arange(n) for n in repeats], indexing="ij")
    return spacing * np.stack(axes, axis=-1).reshape(-1, 3).astype(float), spacing * np.diag(repeats).astype(float)


def direct_sums(atoms, cell, n_slabs: int, smoothing: float, axis: int = 1) -> np.ndarray:
    """Sums by the formula for a cell whose axis is along y: no grid, no fast transform."""
    from scipy.stats import norm

    width = cell[axis, axis] / n_slabs
    others = [i for i in range(3) if i != axis]
    face = cell[np.ix_(others, others)]
    most = np.ceil(6 / smoothing * np.linalg.norm(face, axis=1) / (2 * np.pi)).astype(int)
    index = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in most], indexing="ij"), axis=-1).reshape(-1, 2)
    k = 2 * np.pi * index @ np.linalg.inv(face).T
    waves = np.exp(-1j * atoms[:, others] @ k.T - 0.5 * smoothing**2 * (k**2).sum(axis=1))
    images = np.arange(-2, 3) * cell[axis, axis]
    sums = []
    for slab in range(n_slabs):
        edge = slab * width - atoms[:, axis, None] + images
        share = (norm.cdf((edge + width) / smoothing) - norm.cdf(edge / smoothing)).sum(axis=1)
        sums.append(np.abs(share @ waves).sum())
    return np.array(sums)


def half_and_half(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Crystal with thermal noise below y = 40 Å, an ideal gas of its density above, up to 80 Å."""
    atoms, cell = simple_cubic(2.5, (10, 32, 10))
    gas = atoms[:, 1] > 39
    atoms += rng.normal(0, 0.1, atoms.shape)
    atoms[gas] = rng.uniform([0, 40, 0], [25, 80, 25], (gas.sum(), 3))
    return atoms, cell


def test_perfect_crystal_has_one_everywhere_and_the_sum_over_its_bragg_peaks() -> None:
    atoms, cell = simple_cubic(3.0, (5, 6, 4))
    found = amorphisation(atoms[None], cell, every(atoms), slab_width=3.0, smoothing=0.8)
    np.testing.assert_allclose(found.profile, 1, atol=1e-6)
    peaks = 2 * np.pi / 3.0 * np.stack(np.meshgrid(*[np.arange(-5, 6)] * 2), axis=-1)
    expected = 20 * np.exp(-0.5 * 0.8**2 * (peaks**2).sum(axis=-1)).sum()
    np.testing.assert_allclose(found.sums, expected, rtol=1e-3)


def test_ideal_gas_has_the_sum_of_random_phases_and_a_flat_profile() -> None:
    rng = np.random.default_rng(0)
    atoms = rng.random((3, 4000, 3)) * [30.0, 40.0, 30.0]
    found = amorphisation(atoms, np.diag([30.0, 40.0, 30.0]), every(atoms), slab_width=10.0, smoothing=1.0)
    share = amorphisation_shares(10.0, 1.0)
    # a sum of many random phases has a mean magnitude of sqrt(π Σ share² / 4), at each of so many wave vectors
    k = 2 * np.pi / 30.0 * np.stack(np.meshgrid(*[np.arange(-40, 41)] * 2), axis=-1)
    modes = np.exp(-0.5 * (k**2).sum(axis=-1)).sum() - 1
    expected = 1000 + modes * np.sqrt(np.pi / 4 * 4000 * share)
    np.testing.assert_allclose(found.sums.mean(), expected, rtol=0.01)
    assert found.profile.min() > 0.95


def amorphisation_shares(width: float, smoothing: float) -> float:
    """Mean over an even distribution of atoms, of a period of 40 Å, of the square of the share in one slab."""
    from scipy.stats import norm

    places = np.linspace(-20, 20, 20001)
    share = norm.cdf((width / 2 - places) / smoothing) - norm.cdf((-width / 2 - places) / smoothing)
    return float(np.mean(share**2))


def test_half_crystal_and_half_gas_steps_where_they_meet_within_the_smoothing() -> None:
    atoms, cell = half_and_half(np.random.default_rng(4))
    found = amorphisation(atoms[None], cell, every(atoms), slab_width=1.25, smoothing=1.0)
    low, high = found.profile[8:24].mean(), found.profile[40:56].mean()
    assert (low < 0.5, high > 0.85) == (True, True)
    phases = slab_phases(found, crystal_below=low + 0.1 * (high - low), glass_above=high - 0.1 * (high - low))
    assert phases.boundaries[np.argmin(abs(phases.boundaries - 40))] == pytest.approx(40, abs=1.5)
    assert (phases.phases[2:30] == CRYSTAL).mean() > 0.9
    (beyond,) = np.nonzero(found.profile[30:36] > 0.5 * (low + high))
    assert beyond[0] in (1, 2, 3)  # of slabs whose middles are at 38.1, 39.4, 40.6, 41.9 Å …


@pytest.mark.parametrize("smoothing", [0.7, 1.2])
def test_framework_of_the_real_run_agrees_with_direct_sums(real_run, smoothing: float) -> None:
    framework = real_run.symbols != "Li"
    frames = slice(0, 401, 200)
    found = amorphisation(real_run.positions[frames], real_run.cell[frames], framework, smoothing=smoothing)
    for index, frame in enumerate(range(0, 401, 200)):
        atoms = real_run.positions[frame, framework].astype(float)
        direct = direct_sums(atoms, real_run.cell[frame].astype(float), 8, smoothing)
        np.testing.assert_allclose(found.sums[index], direct, rtol=5e-4)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0, 1, 2]))
def test_rotation_permutation_wrapping_and_another_cell_leave_the_sums(seed: int, axis: int) -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    fractional = rng.random((60, 3))
    rotation = Rotation.random(rng=rng).as_matrix()
    mix = np.eye(3)
    mix[axis] += rng.integers(-2, 3, 3) * (np.arange(3) != axis)  # the axis may lean over the same face
    others = [i for i in range(3) if i != axis]
    mix[others[0], others[1]] = rng.integers(-1, 2)  # the face may be spanned otherwise
    along_face = rng.random(3) * (np.arange(3) != axis)
    moved = (fractional + rng.integers(-3, 4, (60, 3)) + along_face)[rng.permutation(60)] @ TILTED @ rotation
    plain = amorphisation((fractional @ TILTED)[None], TILTED, every(fractional), axis=axis)
    changed = amorphisation(moved[None], mix @ TILTED @ rotation, every(fractional), axis=axis)
    np.testing.assert_allclose(changed.sums, plain.sums, rtol=1e-3)
    np.testing.assert_allclose(changed.heights, plain.heights)


def test_atoms_outside_the_mask_do_not_count_and_blocks_of_slabs_change_nothing(monkeypatch) -> None:
    rng = np.random.default_rng(1)
    atoms = rng.random((2, 50, 3)) @ TILTED
    mask = np.arange(50) < 30
    together = amorphisation(atoms.astype(np.float32), TILTED, mask, workers=2)
    monkeypatch.setattr(trajectory_arrays, "BLOCK_BYTES", 3 * 40 * 40 * 36)
    alone = amorphisation(atoms[:, :30], np.stack([TILTED, TILTED]), np.full(30, True))
    np.testing.assert_allclose(alone.sums, together.sums, rtol=1e-4)


def test_sum_of_a_glass_given_as_the_reference_makes_crystal_less_than_one() -> None:
    atoms, cell = simple_cubic(2.5, (10, 8, 10))
    gas = np.random.default_rng(2).random((1, 800, 3)) @ cell
    glass = amorphisation(gas, cell, every(gas), slab_width=2.5)
    crystal = amorphisation(atoms[None], cell, every(atoms), slab_width=2.5, reference=glass.reference)
    assert crystal.profile.max() < 0.35
    assert (slab_phases(crystal).phases == CRYSTAL).all()


def test_slabs_near_a_boundary_become_interface_and_atoms_get_the_phase_of_their_slab() -> None:
    sums = np.array([[0.5] * 10 + [0.7] + [1.0] * 9])
    found = slab_phases(Amorphisation(1, np.arange(20) + 0.5, 20.0, sums, 1.0), interface_half_width=1.5)
    assert found.boundaries.tolist() == pytest.approx([0.1, 10.5])
    assert found.phases.tolist() == [1, 1] + [0] * 7 + [1] * 3 + [2] * 7 + [1]
    cell = np.array([[30.0, 0, 0], [7.0, 20.0, 0], [3.0, -4.0, 30.0]])
    fractional = np.array([[[0.2, 0.25, 3.0], [-5.0, 0.75, 0.0], [0.5, 0.525, 0.5], [0.1, -0.25, 0.9]]])
    phases = atom_phases(fractional @ cell, cell, found)
    assert phases.tolist() == [[CRYSTAL, GLASS, INTERFACE, GLASS]]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"axis": 3}, "axis is 3; expected 0, 1 or 2"),
     ({"slab_width": 0.0}, "slab width is 0.0 Å; expected a positive number"),
     ({"smoothing": -1.0}, "smoothing is -1.0 Å; expected a positive number"),
     ({"reference": 0.0}, "reference is 0.0; expected a positive number")],
)  # fmt: skip
def test_what_is_not_allowed_is_refused(options: dict, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        amorphisation(np.zeros((1, 1, 3)), 5.0 * np.eye(3), np.array([True]), **options)
    with pytest.raises(BadInputError, match=r"crystal below 0\.9, glass above 0\.8"):
        slab_phases(Amorphisation(1, np.zeros(1), 1.0, np.ones((1, 1)), 1.0), crystal_below=0.9, glass_above=0.8)


def test_no_boundary_in_one_phase() -> None:
    found = slab_phases(Amorphisation(1, np.arange(4) + 0.5, 4.0, np.full((1, 4), 0.3), 1.0), interface_half_width=1.0)
    assert isinstance(found, SlabPhases)
    assert (found.boundaries.size, found.phases.tolist()) == (0, [CRYSTAL] * 4)
