from __future__ import annotations

from math import erf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis import radial_features
from lipsdb.analysis.coordination import coordination_numbers
from lipsdb.analysis.radial_features import (
    FeatureDefinition,
    coarser_features,
    radial_structure_functions,
)
from lipsdb.errors import BadInputError

SKEWED = np.array([[7.0, 0, 0], [2.0, 6.0, 0], [-3.0, 3.0, 8.0]])


def distances_from_ase(position: np.ndarray, cell: np.ndarray, cutoff: float):
    from ase import Atoms
    from ase.neighborlist import neighbor_list

    return neighbor_list("ijdS", Atoms(numbers=np.ones(len(position)), positions=position, cell=cell, pbc=True), cutoff)


def features_from_ase(position: np.ndarray, cell: np.ndarray, symbols: np.ndarray, definition: FeatureDefinition):
    first, second, distance, _ = distances_from_ase(position, cell, definition.cutoff)
    edges = definition.spacing * np.arange(definition.n_bins + 1)
    rows = []
    for atom in np.flatnonzero(symbols == definition.centre):
        of_atom = [distance[(first == atom) & (symbols[second] == species)] for species in definition.neighbours]
        rows.append(np.concatenate([np.histogram(values, edges)[0] for values in of_atom]))
    return np.array(rows)


def test_fcc_crystal_has_its_shells_of_neighbours() -> None:
    from ase.build import bulk

    atoms = bulk("Cu", "fcc", a=4.0)  # one atom in a skewed cell: all neighbours are images
    definition = FeatureDefinition("Cu", ("Cu",), cutoff=6.0, spacing=0.1)
    counts = radial_structure_functions(atoms.positions[None], atoms.cell.array, ["Cu"], definition)[0, 0]
    shells = {2.8: 12, 4.0: 6, 4.8: 24, 5.6: 12}  # 4/sqrt(2), 4, 4 sqrt(3/2), 4 sqrt(2)
    assert {round(definition.spacing * k, 1): counts[k] for k in np.flatnonzero(counts)} == shells


def test_neighbour_on_an_edge_belongs_to_the_bin_above() -> None:
    definition = FeatureDefinition("Li", ("S",), cutoff=1.0, spacing=0.2)
    position = np.array([[0, 0, 0], [0.6, 0, 0], [0, 1.0, 0]])  # 0.6 / 0.2 is rounded to less than 3
    counts = radial_structure_functions(position[None], 5.0 * np.eye(3), ["Li", "S", "S"], definition)
    assert counts.tolist() == [[[0, 0, 0, 1, 0]]]


def test_features_of_the_real_run_agree_with_ase_beyond_half_the_cell(real_run) -> None:
    frames = slice(7, 401, 390)
    features = radial_structure_functions(real_run.positions[frames], real_run.cell[frames], real_run.symbols)
    assert features.shape == (2, 48, 150)
    assert features.dtype == np.float32
    positions = real_run.positions[frames].astype(np.float64)
    for row, (position, cell) in enumerate(zip(positions, real_run.cell[frames], strict=True)):
        expected = features_from_ase(position, cell, real_run.symbols, FeatureDefinition())
        np.testing.assert_array_equal(features[row], expected)


def test_sums_over_the_bins_of_the_real_run_are_its_coordination_numbers(real_run) -> None:
    positions, cell = real_run.positions[:2], real_run.cell[:2]
    features = radial_structure_functions(positions, cell, real_run.symbols).reshape(2, 48, 3, 50)
    for number, species in enumerate(["Li", "P", "S"]):
        counts = coordination_numbers(positions, cell, real_run.symbols == "Li", real_run.symbols == species, 10.0)
        np.testing.assert_array_equal(features[:, :, number].sum(axis=-1), counts)


def test_most_likely_lithium_sulphur_distance_of_the_real_run_is_the_published_one(real_run) -> None:
    definition = FeatureDefinition("Li", ("S",), cutoff=3.0, spacing=0.05)
    features = radial_structure_functions(real_run.positions[::20], real_run.cell[::20], real_run.symbols, definition)
    density = features.mean(axis=(0, 1)) / definition.distances**2
    assert definition.distances[density.argmax()] == pytest.approx(2.43, abs=0.1)


def test_ideal_gas_has_the_volume_of_each_shell() -> None:
    rng = np.random.default_rng(1)
    definition = FeatureDefinition("Li", ("S",), cutoff=5.0, spacing=0.5)
    n_frames, n_centres, n_others = 40, 50, 300
    positions = rng.random((n_frames, n_centres + n_others, 3)) @ SKEWED
    symbols = ["Li"] * n_centres + ["S"] * n_others
    counts = radial_structure_functions(positions, SKEWED, symbols, definition).mean(axis=1)
    edges = definition.spacing * np.arange(definition.n_bins + 1)
    expected = n_others / np.linalg.det(SKEWED) * 4 / 3 * np.pi * np.diff(edges**3)
    error = counts.std(axis=0, ddof=1) / np.sqrt(n_frames)
    assert (np.abs(counts.mean(axis=0) - expected) < 4 * error).all()


def test_smeared_counts_follow_the_normal_distribution_of_each_neighbour() -> None:
    definition = FeatureDefinition("Li", ("S",), cutoff=4.0, spacing=0.25, smearing=0.3)
    position = np.array([[0, 0, 0], [2.1, 0, 0], [0, 3.0, 0], [0, 0, 4.4]])
    features = radial_structure_functions(position[None], 20.0 * np.eye(3), ["Li", "S", "S", "S"], definition)[0, 0]
    edges = 0.25 * np.arange(17)
    running = np.array([sum(0.5 * (1 + erf((e - r) / (0.3 * sqrt(2)))) for r in (2.1, 3.0, 4.4)) for e in edges])
    np.testing.assert_allclose(features, np.diff(running), atol=2e-6)


def test_smearing_moves_neighbours_but_loses_none(real_run) -> None:
    frame = (real_run.positions[:1], real_run.cell[:1], real_run.symbols)
    sharp = radial_structure_functions(*frame, FeatureDefinition("Li", ("P",), 12.0, 0.2))
    smeared = radial_structure_functions(*frame, FeatureDefinition("Li", ("P",), 12.0, 0.2, smearing=0.1))
    inner = np.s_[..., :50]
    assert not np.allclose(sharp[inner], smeared[inner])
    # Up to 10 Å, what crosses that edge is small beside what is inside.
    assert smeared[inner].sum() == pytest.approx(sharp[inner].sum(), rel=0.01)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_wrapping_translation_rotation_permutation_and_another_cell_leave_the_features(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    definition = FeatureDefinition(cutoff=6.0, spacing=0.5, smearing=0.2)  # smeared: no atom jumps over an edge
    symbols = np.array(["Li"] * 5 + ["P"] * 3 + ["S"] * 4)
    fractional = rng.random((12, 3))
    features = radial_structure_functions((fractional @ SKEWED)[None], SKEWED, symbols, definition)[0]
    order = rng.permutation(12)
    rotation = Rotation.random(rng=rng).as_matrix()
    moved = ((fractional + rng.integers(-3, 4, (12, 3)) + rng.random(3)) @ SKEWED @ rotation)[order]
    another = np.array([[1, 0, 0], [1, 1, 0], [-1, 2, 1]]) @ SKEWED @ rotation  # the same lattice
    changed = radial_structure_functions(moved[None], another, symbols[order], definition)[0]
    np.testing.assert_allclose(changed, features[order[symbols[order] == "Li"]], atol=1e-5)


def test_a_cell_for_each_frame() -> None:
    rng = np.random.default_rng(0)
    cells = SKEWED * rng.uniform(0.9, 1.2, (3, 1, 1))
    positions = rng.random((3, 9, 3)) @ cells
    symbols = ["Li", "P", "S"] * 3
    together = radial_structure_functions(positions, cells, symbols)
    each = [radial_structure_functions(positions[i : i + 1], cells[i], symbols)[0] for i in range(3)]
    np.testing.assert_array_equal(together, each)


def test_added_bins_are_the_features_with_wider_bins_and_a_shorter_cutoff(real_run) -> None:
    frame = (real_run.positions[:1], real_run.cell[:1], real_run.symbols)
    fine, wide = FeatureDefinition(spacing=0.1), FeatureDefinition(cutoff=7.2, spacing=0.4)
    np.testing.assert_array_equal(
        coarser_features(radial_structure_functions(*frame, fine), fine, wide), radial_structure_functions(*frame, wide)
    )


@pytest.mark.parametrize(
    "wanted",
    [
        FeatureDefinition(spacing=0.1),
        FeatureDefinition(cutoff=9.0, spacing=0.3),
        FeatureDefinition(cutoff=12.0),
        FeatureDefinition(neighbours=("S",)),
        FeatureDefinition(smearing=0.1),
    ],
)
def test_bins_that_cannot_be_added_up_are_refused(wanted: FeatureDefinition) -> None:
    with pytest.raises(BadInputError, match="do not hold"):
        coarser_features(np.zeros((2, 150), dtype=np.float32), FeatureDefinition(), wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cutoff": 1.0, "spacing": 0.3}, "whole number of positive spacings"),
        ({"spacing": 0.0}, "whole number of positive spacings"),
        ({"smearing": -0.1}, "smearing -0.1 Å"),
        ({"cutoff": float("nan")}, "cutoff nan Å"),
        ({"neighbours": ("S", "S")}, "each once"),
    ],
)
def test_bad_definitions_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        FeatureDefinition(**change)  # type: ignore[arg-type]


def test_bad_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    positions, symbols = np.zeros((1, 3, 3)), ["Li", "P", "S"]
    with pytest.raises(BadInputError, match="no atom is S; there are Li, P"):
        radial_structure_functions(positions, np.eye(3), ["Li", "P", "P"])
    with pytest.raises(BadInputError, match="symbols have shape"):
        radial_structure_functions(positions, np.eye(3), ["Li", "P"])
    with pytest.raises(BadInputError, match="has no volume"):
        radial_structure_functions(positions, np.zeros((3, 3)), symbols)
    monkeypatch.setattr(radial_features, "LARGEST_RESULT", 100)
    with pytest.raises(BadInputError, match="take fewer frames at a time"):
        radial_structure_functions(positions, np.eye(3), symbols)
