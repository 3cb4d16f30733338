from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis.radial_distribution import coordination_between, first_peak, radial_distribution
from lipsdb.errors import BadInputError

TRICLINIC = np.array([[9.0, 0, 0], [3.0, 8.0, 0], [-2.0, 3.0, 10.0]])


def test_ideal_gas_has_g_of_one_within_its_error_and_the_coordination_of_its_density() -> None:
    rng = np.random.default_rng(1)
    cell = 2.0 * TRICLINIC
    symbols = np.repeat(["Li", "P", "S"], [150, 50, 200])
    result = radial_distribution(rng.random((20, 400, 3)) @ cell, cell, symbols, dr_A=0.25)
    expected = np.ones((3, 3, 1)) - np.eye(3)[:, :, None] / result.n_atoms[:, None, None]
    outer = result.radius > 2.0
    deviation = (result.partial - expected)[..., outer] / result.partial_error[..., outer]
    assert np.abs(deviation).max() < 8.0  # Student's t with nine degrees of freedom
    assert 0.6 < deviation[np.triu_indices(3)].std() < 1.8
    np.testing.assert_allclose(result.total[outer], 1 - 1 / 400, atol=0.05)
    within = 4 / 3 * np.pi * 7.0**3 / abs(np.linalg.det(cell))
    assert coordination_between(result, "Li", "S", 7.0) == pytest.approx(200 * within, rel=0.01)
    assert coordination_between(result, "S", "Li", 7.0) == pytest.approx(150 * within, rel=0.01)
    assert result.number_density == pytest.approx(400 / abs(np.linalg.det(cell)))


def test_sheared_rocksalt_crystal_has_its_shells_at_known_distances() -> None:
    from ase.build import bulk, make_supercell

    crystal = make_supercell(bulk("LiF", "rocksalt", a=4.0), [[8, 0, 0], [5, 8, 0], [-2, 7, 8]])
    assert min(crystal.cell.angles()) < 60 or max(crystal.cell.angles()) > 120
    symbols = crystal.get_chemical_symbols()
    result = radial_distribution(crystal.positions[None], crystal.cell.array, symbols, dr_A=0.03, r_max_A=4.2)
    assert coordination_between(result, "Li", "F", 2.1) == 6.0
    assert coordination_between(result, "Li", "Li", 2.9) == 12.0
    assert coordination_between(result, "F", "Li", 3.6, 2.1) == 8.0
    assert coordination_between(result, "F", "F", 4.1, 2.9) == 6.0
    filled = result.radius[result.partial[result.pair("Li", "F")] > 0]
    np.testing.assert_allclose(filled, [2.0, 2.0 * 3**0.5], atol=0.016)
    assert np.isnan(result.partial_error).all()  # one frame tells nothing of it


def test_agrees_with_mdanalysis_on_a_real_run(real_run) -> None:
    import MDAnalysis
    from MDAnalysis.analysis.rdf import InterRDF

    frames = slice(0, 401, 100)
    universe = MDAnalysis.Universe.empty(128, trajectory=True)
    universe.load_new(real_run.positions[frames], dimensions=np.array([12.819, 16.439, 12.2472, 90, 90, 90]))
    assert np.allclose(real_run.cell, np.diag([12.819, 16.439, 12.2472]), atol=1e-5)
    result = radial_distribution(
        real_run.positions[frames], real_run.cell[frames], real_run.symbols, dr_A=0.05, r_max_A=6.0
    )
    for i, first in enumerate(result.elements):
        for j, second in enumerate(result.elements[i:], start=i):
            groups = [universe.atoms[real_run.symbols == name] for name in (first, second)]
            exclusion = (1, 1) if i == j else None
            peer = InterRDF(*groups, nbins=120, range=(0.0, 6.0), exclusion_block=exclusion).run().results
            own = np.diff(result.coordination[i, j], prepend=0.0) * result.n_atoms[i] * result.n_frames
            assert np.abs(own - peer.count).sum() <= 4  # pairs at an edge of a bin, in single precision
            # MDAnalysis divides by the number of pairs, so that an ideal gas has 1 also with few like atoms.
            scale = 1 - 1 / result.n_atoms[i] if i == j else 1.0
            same = np.isclose(own, peer.count)
            np.testing.assert_allclose(result.partial[i, j][same], scale * peer.rdf[same], rtol=1e-5)


def test_peaks_of_a_real_run_are_the_published_ones(real_run) -> None:
    result = radial_distribution(real_run.positions[::4], real_run.cell[::4], real_run.symbols)

    def position(first: str, second: str) -> float:
        return first_peak(result.radius, result.partial[result.pair(first, second)]).position

    assert position("P", "S") == pytest.approx(2.07, abs=0.02)
    assert position("Li", "S") == pytest.approx(2.43, abs=0.1)
    assert position("S", "S") == pytest.approx(3.35, abs=0.1)
    assert position("P", "P") == pytest.approx(5.13, abs=0.15)  # in the crystal of this run's cell, at rest
    assert coordination_between(result, "P", "S", 2.5) == pytest.approx(4.0, abs=1e-12)
    assert 4.0 < coordination_between(result, "Li", "S", 3.3) < 5.0
    assert coordination_between(result, "S", "P", 2.5) == pytest.approx(1.0, abs=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_translation_rotation_wrapping_permutation_and_another_choice_of_cell_vectors(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    fractional = rng.random((2, 12, 3))
    symbols = np.repeat(["Li", "S"], [5, 7])
    arguments = {"dr_A": 0.5, "r_max_A": 2.5}
    result = radial_distribution(fractional @ TRICLINIC, TRICLINIC, symbols, **arguments)
    turn = Rotation.random(rng=rng).as_matrix() * rng.choice([-1, 1])
    order = rng.permutation(12)
    moved = (fractional + rng.integers(-3, 4, (2, 12, 3)) + rng.random(3)) @ TRICLINIC @ turn
    other = np.array([[1, 0, 0], [-1, 1, 0], [1, -1, 1]]) @ TRICLINIC @ turn
    changed = radial_distribution(moved[:, order], other, symbols[order], **arguments)
    one_pair = 1 / 5 / 2  # single precision may put a pair into the next bin
    assert np.abs(changed.coordination - result.coordination).max() <= one_pair + 1e-9
    assert (changed.n_atoms == result.n_atoms).all()


def test_a_cell_for_each_frame_is_normalised_frame_by_frame() -> None:
    rng = np.random.default_rng(3)
    cells = np.eye(3) * rng.uniform(6, 12, (5, 1, 1))
    positions = rng.random((5, 40, 3)) @ cells
    symbols = np.repeat(["P", "S"], 20)
    together = radial_distribution(positions, cells, symbols, dr_A=0.5, r_max_A=2.9, n_blocks=5)
    each = [
        radial_distribution(p[None], c, symbols, dr_A=0.5, r_max_A=2.9)
        for p, c in zip(positions.astype(">f4"), cells, strict=True)
    ]
    for name in ("partial", "total", "coordination"):
        values = np.array([getattr(result, name) for result in each])
        np.testing.assert_allclose(getattr(together, name), values.mean(axis=0), atol=1e-5)
        error = values.std(axis=0, ddof=1) / 5**0.5
        np.testing.assert_allclose(getattr(together, name + "_error"), error, atol=1e-5)
    fractions = together.n_atoms / 40
    np.testing.assert_allclose(together.total, np.einsum("i,j,ijr->r", fractions, fractions, together.partial))


def test_half_a_width_is_allowed_and_an_atom_alone_of_its_kind_has_no_pairs() -> None:
    result = radial_distribution(np.array([[[0, 0, 0], [4.99, 0, 0]]]), 10.0 * np.eye(3), ["Li", "P"])
    assert result.edges[-1] == pytest.approx(5.0)
    assert not result.partial[0, 0].any()
    assert result.coordination[0, 1, -1] == 1.0


def test_first_peak_of_known_curves() -> None:
    r = np.arange(0.01, 8.0, 0.02)
    noise = np.random.default_rng(0).normal(0, 0.02, len(r))
    two = 3 * np.exp(-(((r - 2.433) / 0.3) ** 2)) + 2 * np.exp(-(((r - 4.5) / 0.5) ** 2))
    peak = first_peak(r, two + noise)
    assert peak.position == pytest.approx(2.433, abs=0.02)
    assert peak.height == pytest.approx(3.0, rel=0.03)
    assert peak.minimum == pytest.approx(r[100:200][two[100:200].argmin()], abs=0.1)
    separate = np.where(np.abs(r - 2) < 0.3, 5.0 - (10 * (r - 2)) ** 2, 0).clip(0) + np.where(r > 4, r / 4, 0)
    assert first_peak(r, separate, smoothing_A=0).minimum == pytest.approx((2.22 + 4.0) / 2, abs=0.03)
    assert np.isnan(first_peak(r, noise * 0 + 1.0).position)
    assert np.isnan(first_peak(r[:130], two[:130]).minimum)  # it falls up to the end of the range


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r_max_A": 4.1}, r"r_max is 4.1 Å; expected more than 0 and at most 4.0000 Å, half the smallest width"),
        ({"dr_A": 0.0}, "dr is 0 Å"),
        ({"symbols": ["Li"]}, "expected 2 chemical symbols"),
        ({"symbols": [3, 16]}, "symbols are int64"),
        ({"n_blocks": 0}, "n_blocks is 0"),
        ({"cell": np.zeros((3, 3))}, "has no volume"),
    ],
)
def test_bad_input_is_refused(change: dict[str, object], message: str) -> None:
    arguments = {"positions": np.zeros((1, 2, 3)), "cell": np.diag([8.0, 9.0, 10.0]), "symbols": ["Li", "S"]}
    with pytest.raises(BadInputError, match=message):
        radial_distribution(**(arguments | change))  # type: ignore[arg-type]


def test_an_unknown_species_radii_outside_the_range_and_uneven_radii_are_refused() -> None:
    result = radial_distribution(np.zeros((1, 2, 3)), 8.0 * np.eye(3), ["Li", "S"])
    with pytest.raises(BadInputError, match="P is not in the trajectory; its species are Li, S"):
        result.pair("Li", "P")
    with pytest.raises(BadInputError, match="radii are 2 and 9 Å"):
        coordination_between(result, "Li", "S", 9.0, 2.0)
    with pytest.raises(BadInputError, match="equally spaced"):
        first_peak([0.0, 1.0, 3.0], [0.0, 1.0, 0.0])
