from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis import atom_blocks, trajectory_arrays
from lipsdb.analysis.van_hove import self_van_hove, self_van_hove_along
from lipsdb.errors import BadInputError

few = settings(max_examples=15, deadline=None)


def walkers(seed: int, n_frames: int, n_atoms: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_frames, n_atoms, 3)).cumsum(axis=0)


def test_brownian_walkers_have_the_gaussian_of_their_diffusion() -> None:
    from scipy.special import gammainc, gammaincc

    lags = np.array([1, 4, 16])
    result = self_van_hove(walkers(1, 1000, 200), lags, bin_width=0.25, largest=10.0)
    for density, beyond, lag in zip(result.density, result.beyond, lags, strict=True):
        exact = np.diff(gammainc(1.5, result.edges**2 / (2 * lag))) / 0.25  # Maxwell distribution
        np.testing.assert_allclose(density, exact, atol=0.02 * exact.max() * np.sqrt(lag))
        assert beyond == pytest.approx(gammaincc(1.5, 100 / (2 * lag)), abs=0.01)


def test_along_an_axis_brownian_walkers_have_a_normal_distribution() -> None:
    from scipy.special import ndtr

    result = self_van_hove_along(walkers(2, 2000, 200) * [1.0, 2.0, 3.0], [4], 1, bin_width=0.5, largest=8.0)
    exact = np.diff(ndtr(result.edges / 4.0)) / 0.5
    np.testing.assert_allclose(result.density[0], exact, atol=0.003)
    assert result.beyond[0] == pytest.approx(2 * ndtr(-2.0), abs=0.005)


def test_ballistic_particles_of_one_speed_lie_in_one_bin_that_moves() -> None:
    directions = np.random.default_rng(3).normal(size=(1, 50, 3))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    result = self_van_hove(1.05 * np.arange(20.0)[:, None, None] * directions, [1, 3, 9], bin_width=0.1, largest=5.0)
    np.testing.assert_allclose(result.most_probable[:2], [1.05, 3.15])
    np.testing.assert_allclose(result.density[:2].max(axis=1), 10.0)
    np.testing.assert_allclose(result.beyond, [0.0, 0.0, 1.0])


def test_lithium_of_a_real_run_agrees_with_numpy_histogram(real_run) -> None:  # type: ignore[no-untyped-def]
    lithium = real_run.positions[:, real_run.symbols == "Li"].astype(np.float64)
    result = self_van_hove(lithium, [1, 20, 200])
    for lag, density, beyond in zip([1, 20, 200], result.density, result.beyond, strict=True):
        distances = np.linalg.norm(lithium[lag:] - lithium[:-lag], axis=2)
        counts, _ = np.histogram(distances, bins=result.edges)
        np.testing.assert_allclose(density, counts / (0.1 * distances.size), atol=2 / (0.1 * distances.size))
        assert beyond == pytest.approx((distances > 10.0).mean(), abs=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_lithium_of_a_real_run_agrees_with_pymatgen_analysis_diffusion(real_run) -> None:  # type: ignore[no-untyped-def]
    from pymatgen.analysis.diffusion.aimd.van_hove import VanHoveAnalysis
    from pymatgen.analysis.diffusion.analyzer import DiffusionAnalyzer
    from pymatgen.core import Structure

    n_origins, lag, sigma = 12, 20, 0.15
    atoms = np.flatnonzero(real_run.symbols == "Li")[:4]
    lithium = real_run.positions[: n_origins + lag, atoms].astype(np.float64)
    still = np.full((1, 3), 5.0)  # their drift is that of atoms of other species
    structure = Structure(real_run.cell[0], ["Li"] * 4 + ["P"], [*lithium[0], *still], coords_are_cartesian=True)
    moves = np.zeros((5, len(lithium), 3))
    moves[:4] = (lithium - lithium[0]).transpose(1, 0, 2)
    analyzer = DiffusionAnalyzer(structure, moves, "Li", 750, 50, 1, smoothed=False, lattices=real_run.cell[:1])
    theirs = VanHoveAnalysis(
        analyzer, avg_nsteps=n_origins, ngrid=101, rmax=10.0, step_skip=lag, sigma=sigma, cell_range=0, species=("Li",)
    )
    ours = self_van_hove(lithium, [lag], bin_width=0.1, largest=10.0)
    assert ours.beyond[0] == 0.0
    # They put each count on its bin's lower edge and smear it by a Gaussian.
    away = (theirs.interval[:, None] - ours.edges[None, :-1]) / sigma
    smeared = np.exp(-0.5 * away**2) / (np.sqrt(2 * np.pi) * sigma) @ (0.1 * ours.density[0])
    np.testing.assert_allclose(smeared, theirs.gsrt[1], atol=1e-9)


@few
@given(st.integers(0, 2**31))
def test_translation_rotation_and_permutation_leave_it_and_it_is_normalised(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    positions = walkers(seed, 20, 5)
    moved = (positions + rng.uniform(-50, 50, (1, 5, 3))) @ Rotation.random(rng=rng).as_matrix()
    result, other = (
        self_van_hove(some, [1, 6, 19], bin_width=0.3, largest=4.0)
        for some in (positions, moved[:, rng.permutation(5)])
    )
    np.testing.assert_allclose(other.density, result.density, atol=1e-12)
    np.testing.assert_allclose(result.density.sum(axis=1) * 0.3 + result.beyond, 1.0)


def test_blocks_and_threads_do_not_change_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    positions = walkers(5, 50, 7)
    whole = self_van_hove(positions.astype(np.float32), [1, 30])
    monkeypatch.setattr(trajectory_arrays, "BLOCK_BYTES", 1)
    monkeypatch.setattr(atom_blocks, "CACHE_BYTES", 1)
    pieces = self_van_hove(positions.astype(np.float32), [1, 30], threads=2)
    assert (whole.density == pieces.density).all()


@pytest.mark.parametrize("bins", [(0.0, 1.0), (2.0, 1.0), (0.1, np.inf), (1e-9, 1.0)])
def test_bins_that_make_no_histogram_are_refused(bins: tuple[float, float]) -> None:
    with pytest.raises(BadInputError, match=r"bins of .* Å are not allowed; expected positive widths"):
        self_van_hove(walkers(0, 9, 2), [1], bin_width=bins[0], largest=bins[1])


def test_lags_and_axes_outside_what_there_is_are_refused() -> None:
    with pytest.raises(BadInputError, match="whole numbers of frames from 0 to 8"):
        self_van_hove(walkers(0, 9, 2), [9])
    with pytest.raises(BadInputError, match="axis 3 is not allowed"):
        self_van_hove_along(walkers(0, 9, 2), [1], 3)  # type: ignore[arg-type]
