from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis.radial_distribution import RadialDistribution, radial_distribution
from lipsdb.analysis.structure_factor import structure_factor_direct, structure_factor_from_rdf
from lipsdb.errors import BadInputError


def hard_core_frames(n_frames: int, n_trials: int, length: float, core: float) -> list[np.ndarray]:
    """Random points of which one is dropped if an earlier one is nearer than the core."""
    from scipy.spatial import cKDTree

    rng = np.random.default_rng(0)
    frames = []
    for _ in range(n_frames):
        points = rng.random((n_trials, 3)) * length
        pairs = cKDTree(points, boxsize=length).query_pairs(core, output_type="ndarray")
        keep = np.full(n_trials, True)
        keep[pairs.max(axis=1)] = False
        frames.append(points[keep])
    fewest = min(len(frame) for frame in frames)
    return [frame[:fewest] for frame in frames]


def by_the_formula(positions: np.ndarray, cell: np.ndarray, groups: list[np.ndarray], edges: np.ndarray) -> np.ndarray:
    """Partials of one frame: one exponential for each atom and each wave vector, both signs."""
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    reach = np.ceil(edges[-1] * np.linalg.norm(cell, axis=1) / 2 / np.pi).astype(int)
    indices = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), -1).reshape(-1, 3)
    vectors = indices @ reciprocal
    lengths = np.linalg.norm(vectors, axis=1)
    used = (lengths > 1e-9) & (lengths < edges[-1])
    shell = np.digitize(lengths[used], edges) - 1
    densities = [np.exp(-1j * vectors[used] @ positions[group].T).sum(axis=1) for group in groups]
    fractions = [len(group) / len(positions) for group in groups]
    result = np.empty((len(groups), len(groups), len(edges) - 1))
    for i, first in enumerate(densities):
        for j, second in enumerate(densities):
            sums = np.bincount(shell, (first * second.conj()).real, len(edges) - 1)
            with np.errstate(invalid="ignore"):
                mean = sums / np.bincount(shell, minlength=len(edges) - 1) / len(positions)
            result[i, j] = 1 + (mean - (fractions[i] if i == j else 0)) / fractions[i] / fractions[j]
    return result


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_direct_sum_of_random_atoms_in_random_triclinic_cells_is_the_formula(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(4, 7, 3)) + np.tril(rng.uniform(-4, 4, (3, 3)), -1)
    fractional = rng.random((12, 3))
    symbols = np.array(["Li", "S"])[np.arange(12) % 2]
    turn = Rotation.random(rng=rng).as_matrix()
    moved = (fractional + rng.integers(-2, 3, (12, 3)) + rng.random(3)) @ cell @ turn
    result = structure_factor_direct(
        moved[None], cell @ turn, symbols, rng, q_max=4.0, dq=0.25, vectors_per_shell=10**6
    )
    groups = [np.arange(0, 12, 2), np.arange(1, 12, 2)]
    expected = by_the_formula(fractional @ cell, cell, groups, 0.25 * np.arange(17))
    np.testing.assert_allclose(result.partial, expected, atol=1e-8)


# Faber-Ziman partials of frames 0, 200 and 400 of the real run by dynasor 2.5 (get_spherical_qpoints and
# compute_static_structure_factors, averaged over shells of 0.1 / Å), at the Q of the first row. It is not called here:
# importing and compiling it takes ten seconds. benchmarks/pair_structure.py calls it on data of its own.
DYNASOR = {
    "Q": [0.95, 1.35, 1.75, 2.05, 2.75, 3.55],
    "Li Li": [-1.38077, -0.2878, 2.06532, 6.65815, 0.83973, 0.74233],
    "Li P": [1.33663, -0.65493, 1.80018, 11.17218, 1.33562, 1.0849],
    "Li S": [1.03698, 0.54244, 0.11046, -6.65347, 1.84947, 1.19402],
    "P P": [-3.74324, -3.57355, -5.93683, 13.32233, -4.59449, -3.47038],
    "P S": [1.43513, 1.77979, 0.80525, -10.83739, 1.58095, 1.06175],
    "S S": [-0.91126, -0.67507, -0.3566, 13.88086, 0.5357, 0.7346],
}


def test_direct_sum_is_what_dynasor_finds_on_a_real_run(real_run) -> None:
    result = structure_factor_direct(
        real_run.positions[::200], real_run.cell[::200], real_run.symbols, np.random.default_rng(0),
        q_max=4.0, dq=0.1, vectors_per_shell=10**6,
    )  # fmt: skip
    at = np.searchsorted(result.q, np.array(DYNASOR["Q"]) - 1e-6)
    for pair, expected in list(DYNASOR.items())[1:]:
        i, j = (result.elements.index(name) for name in pair.split())
        np.testing.assert_allclose(result.partial[i, j, at], expected, atol=2e-5)
        np.testing.assert_array_equal(result.partial[j, i], result.partial[i, j])


def test_fcc_crystal_scatters_where_indices_are_all_odd_or_all_even() -> None:
    from ase.build import bulk

    crystal = bulk("Ar", "fcc", a=5.0, cubic=True).repeat(2)
    result = structure_factor_direct(
        crystal.positions[None], crystal.cell.array, crystal.get_chemical_symbols(), np.random.default_rng(0),
        q_max=3.7, dq=0.01, vectors_per_shell=1000,
    )  # fmt: skip
    strong = result.q[np.nan_to_num(result.partial[0, 0]) > 1e-6] * 5.0 / 2 / np.pi
    np.testing.assert_allclose(strong**2, [3, 4, 8], atol=0.05)  # 111, 200, 220
    at = [int(2 * np.pi / 5.0 * n**0.5 / 0.01) for n in (1, 2, 3, 4, 8)]
    np.testing.assert_allclose(result.partial[0, 0, at], [0, 0, 32, 32, 32], atol=1e-9)
    assert result.resolution == pytest.approx(2 * np.pi / 10.0)


def test_both_ways_agree_on_a_fluid_of_hard_cores_and_so_do_few_wave_vectors() -> None:
    frames = hard_core_frames(12, 2500, 24.0, 2.0)
    positions, cell = np.array(frames), 24.0 * np.eye(3)
    symbols = np.array(["P", "S"])[(np.arange(positions.shape[1]) % 3 == 0).astype(int)]
    direct = structure_factor_direct(
        positions, cell, symbols, np.random.default_rng(1), q_max=8.0, dq=0.25, vectors_per_shell=400
    )
    few = structure_factor_direct(
        positions, cell, symbols, np.random.default_rng(2), q_max=8.0, dq=0.25, vectors_per_shell=40
    )
    functions = radial_distribution(positions, cell, symbols, dr_A=0.05)
    transformed = structure_factor_from_rdf(functions, direct.q, r_max_A=8.0)
    beyond = direct.q > 1.0  # 2 π / r_max = 0.8
    assert direct.partial[0, 0, beyond].min() < 0.6  # there is structure to find
    for other, noise in ((transformed, 0.05), (few, 0.12)):
        difference = (other.partial - direct.partial)[..., beyond]
        assert difference.std() < noise
        assert abs(difference.mean()) < 0.25 * noise


def test_transform_of_a_step_is_its_closed_form() -> None:
    edges = 0.01 * np.arange(2001)
    step = np.where(edges[1:] > 2.5 + 1e-9, 1.0, 0.0)[None, None]
    zero = np.zeros_like(step)
    function = RadialDistribution(
        ("Ar",), np.array([100]), 4000.0, edges, step, zero, step[0, 0], zero[0, 0], zero, zero, 1, 1
    )
    q = np.linspace(0.3, 15.0, 40)
    x = 2.5 * q
    expected = 1 - 4 * np.pi * 0.025 * (np.sin(x) - x * np.cos(x)) / q**3
    result = structure_factor_from_rdf(function, q, window="none")
    np.testing.assert_allclose(result.partial[0, 0], expected, atol=2e-4)
    assert result.resolution == pytest.approx(2 * np.pi / 20.0)
    smoothed = structure_factor_from_rdf(function, q)  # broadened by 5.4 / 20 Å
    np.testing.assert_allclose(smoothed.partial[0, 0], expected, atol=0.06)
    # A range cut at 10 Å changes nothing without window: g = 1 beyond.
    np.testing.assert_allclose(
        structure_factor_from_rdf(function, q, window="none", r_max_A=10.0).partial, result.partial, atol=1e-9
    )
    with pytest.raises(BadInputError, match="expected 'lorch' or 'none'"):
        structure_factor_from_rdf(function, q, window="hann")  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="smaller dr"):
        structure_factor_from_rdf(replace(function, edges=edges * 10), [12.0])
    with pytest.raises(BadInputError, match=r"r_max is 30 Å; expected 0\.01 to 20 Å"):
        structure_factor_from_rdf(function, q, r_max_A=30.0)
    with pytest.raises(BadInputError, match="expected a row of positive numbers"):
        structure_factor_from_rdf(function, [0.0, 1.0])


def test_an_ideal_gas_in_a_cell_that_changes_scatters_evenly() -> None:
    rng = np.random.default_rng(5)
    cells = np.eye(3) * rng.uniform(9.5, 10.5, (40, 1, 1))
    result = structure_factor_direct(
        rng.random((40, 200, 3)) @ cells, cells, ["Li"] * 100 + ["S"] * 100, rng, q_max=10.0, dq=1.0
    )
    np.testing.assert_allclose(result.partial[..., 1:], 1.0, atol=0.2)
    assert abs(result.partial[..., 1:].mean() - 1.0) < 0.02


def test_shells_wider_than_the_range_are_refused() -> None:
    with pytest.raises(BadInputError, match="expected 0 < dq <= q_max"):
        structure_factor_direct(np.zeros((1, 1, 3)), np.eye(3), ["Li"], np.random.default_rng(0), q_max=1, dq=2)
