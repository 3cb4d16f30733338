from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis import trajectory_arrays
from lipsdb.analysis.coordination import coordination_numbers
from lipsdb.analysis.thiophosphate_units import UNITS, ThiophosphateUnits, thiophosphate_units
from lipsdb.errors import BadInputError

TETRAHEDRON = 2.05 / 3**0.5 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
few = settings(max_examples=15, deadline=None)


def molecule(name: str) -> tuple[str, np.ndarray]:
    """Symbols and positions in Å of a unit built by hand from P-S 2.05, P-P 2.25 and S-S 2.05 Å."""
    ps4 = np.vstack([np.zeros(3), TETRAHEDRON])
    half = 2.25 / 2
    ps3 = np.array([[half, 0, 0]] + [[half + 0.7, 1.93 * np.cos(t), 1.93 * np.sin(t)] for t in (0, 2.0944, 4.1888)])
    p2s7 = np.vstack([ps4, (2 * TETRAHEDRON[0] - ps4)[[0, 2, 3, 4]]])  # the second about the shared S by inversion
    edge = np.array([[1.45, 0, 0], [-1.45, 0, 0], [0, 1.5, 0], [0, -1.5, 0]])
    edge = np.vstack([edge, [[x, 0, z] for x in (2.55, -2.55) for z in (1.7, -1.7)]])
    cage_p = 1.2 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    cage = np.vstack([cage_p, 2.42 * np.vstack([np.eye(3), -np.eye(3)]), 1.96 * cage_p])
    ring = np.array([[2.68 * np.cos(t), 2.68 * np.sin(t), 0] for t in np.arange(8) * np.pi / 4])
    third = 2 * p2s7[6] - np.vstack([p2s7[5], p2s7[[1, 7, 8]]])  # about a terminal S of the second P
    return {
        "PS4": ("PSSSS", ps4),
        "PS3": ("PSSS", ps4[:4]),
        "P2S6": ("PSSSPSSS", np.vstack([ps3, ps3 * [-1, -1, -1]])),
        "P2S6_edge": ("PPSSSSSS", edge),
        "P2S6_corner": ("PSSSSPSS", p2s7[:8]),
        "P2S7": ("PSSSSPSSS", p2s7),
        "P2S5": ("PSSSPSS", np.delete(p2s7, [2, 6], axis=0)),
        "P3S10": ("PSSSSPSSSPSSS", np.vstack([p2s7, third])),
        "P4S10": ("PPPPSSSSSSSSSS", cage),
        "S": ("S", np.zeros((1, 3))),
        "S2": ("SS", np.array([[0, 0, 0], [2.05, 0, 0]])),
        "Sn": ("SSSSSSSS", ring),
        "other": ("PSSSSS", np.vstack([ps4, TETRAHEDRON[0] * 2])),  # PS4 with one more S on an S
    }[name]


def box_of_molecules(names: list[str], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Symbols, wrapped positions and triclinic cell of units at the points of a grid, turned and shifted at random.

    With seed 0 they are not shifted: the first lies across all faces of the cell.
    """
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    n = int(np.ceil(len(names) ** (1 / 3)))
    cell = n * np.array([[14.0, 0, 0], [3.0, 13.5, 0], [-4.0, 2.0, 14.0]])
    sites = np.argwhere(np.ones((n, n, n)))[: len(names)] / n @ cell
    symbols, parts = "", []
    for name, site in zip(names, sites, strict=True):
        part_symbols, part = molecule(name)
        symbols += part_symbols
        parts.append((part - part.mean(axis=0)) @ Rotation.random(rng=rng).as_matrix() + site)
    fractional = (np.vstack(parts) + (seed > 0) * rng.uniform(-50, 50, 3)) @ np.linalg.inv(cell)
    return np.array(list(symbols)), fractional % 1.0 @ cell, cell


def units_of(symbols: np.ndarray, positions: np.ndarray, cell: np.ndarray, **cutoffs: float) -> ThiophosphateUnits:
    frames = positions if positions.ndim == 3 else positions[None]
    return thiophosphate_units(frames, cell, symbols == "P", symbols == "S", **cutoffs)


def counts_of(units: ThiophosphateUnits, frame: int = 0) -> dict[str, int]:
    return {name: int(n) for name, n in zip(units.names, units.counts[frame], strict=True) if n}


def random_sulfide(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(9, 12, 3)) + np.tril(rng.uniform(-4, 4, (3, 3)), -1)
    return rng.permutation(np.repeat(["P", "S", "Li"], [8, 30, 8])), rng.uniform(-2, 2, (46, 3)) @ cell, cell


def from_ase_and_networkx(symbols: np.ndarray, positions: np.ndarray, cell: np.ndarray) -> Counter[str]:
    import networkx
    from ase import Atoms
    from ase.neighborlist import neighbor_list

    atoms = Atoms(symbols, positions, cell=cell, pbc=True)
    lengths = {("P", "S"): 2.5, ("P", "P"): 2.6, ("S", "S"): 2.4}
    graph = networkx.Graph()
    graph.add_nodes_from(np.flatnonzero(symbols != "Li").tolist())
    graph.add_edges_from(zip(*neighbor_list("ij", atoms, lengths), strict=True))
    found: Counter[str] = Counter()
    for part in networkx.connected_components(graph):
        formula = "".join(sorted(symbols[list(part)]))
        bonds = Counter("".join(sorted(symbols[[a, b]])) for a, b in graph.subgraph(part).edges)
        shared = sorted(sum(symbols[j] == "P" for j in graph[i]) for i in part if symbols[i] == "S")
        n_p, n_s = formula.count("P"), formula.count("S")
        twice = shared.count(2)
        name = "other"
        if n_p == 0:
            name = {1: "S", 2: "S2"}.get(n_s, "Sn")
        elif not bonds["SS"]:
            plain = {(1, 4): "PS4", (1, 3): "PS3", (2, 5): "P2S5"}
            bonded = {
                (2, 6, 0, 1): "P2S6", (2, 6, 2, 0): "P2S6_edge", (2, 6, 1, 0): "P2S6_corner",
                (2, 7, 1, 0): "P2S7", (3, 10, 2, 0): "P3S10", (4, 10, 6, 0): "P4S10",
            }  # fmt: skip
            name = plain.get((n_p, n_s), bonded.get((n_p, n_s, twice, bonds["PP"]), "other"))
        found[name] += 1
    return found


@pytest.mark.parametrize("name", UNITS)
@pytest.mark.parametrize("seed", range(3))
def test_a_unit_built_by_hand_across_the_faces_of_a_triclinic_cell_or_elsewhere_is_named(name: str, seed: int) -> None:
    assert counts_of(units_of(*box_of_molecules([name, "PS4"], seed))) == Counter([name, "PS4"])


def test_a_box_of_all_units_has_each_of_them_with_its_phosphorus_and_bonds() -> None:
    names = [*UNITS, "PS4", "PS4", "P2S7"]
    units = units_of(*box_of_molecules(names, 5))
    assert counts_of(units) == Counter(names)
    phosphorus = dict(zip(units.names, units.phosphorus[0].tolist(), strict=True))
    each = {"PS4": 3, "PS3": 1, "P2S6": 2, "P2S6_edge": 2, "P2S6_corner": 2, "P2S7": 4, "P2S5": 2, "P3S10": 3}
    assert phosphorus == each | {"P4S10": 4, "other": 1, "S": 0, "S2": 0, "Sn": 0}
    # Three-coordinated: PS3, both of P2S6, one of the corner, both of P2S5.
    assert units.coordination.tolist() == [[0, 0, 0, 6, 18, 0, 0, 0, 0]]
    # Bridging: 2 of the edge, 1 corner, 1 in each P2S7, 1 P2S5, 2 P3S10, 6 P4S10; free: S, S2, S8, 1 in "other".
    assert units.sulfur_bonding[0, [0, 2]].tolist() == [12, 14]
    assert units.fraction_of_phosphorus[0, 0] == pytest.approx(3 / 24)
    assert units.fraction_of_anions[0, 0] == pytest.approx(3 / 13)
    assert units.fraction_of_anions.sum() == pytest.approx(1.0)
    assert units.mean_coordination[0] == pytest.approx((6 * 3 + 18 * 4) / 24)
    assert units.other == (("PS5", 1),)


def test_p2s5_is_named_whether_it_shares_a_corner_or_an_edge_or_has_a_p_p_bond() -> None:
    for source, removed in [("P2S7", [2, 6]), ("P2S6_edge", [4]), ("P2S6", [1])]:
        symbols, positions = molecule(source)
        kept = np.delete(np.array(list(symbols)), removed)
        units = units_of(kept, np.delete(positions, removed, axis=0), 15 * np.eye(3))
        assert counts_of(units) == {"P2S5": 1}, source


def test_a_longer_p_p_cutoff_takes_the_edge_for_a_bond_and_the_default_does_not() -> None:
    symbols, positions = molecule("P2S6_edge")
    assert counts_of(units_of(np.array(list(symbols)), positions, 15 * np.eye(3))) == {"P2S6_edge": 1}
    assert counts_of(units_of(np.array(list(symbols)), positions, 15 * np.eye(3), cutoff_p_p=3.0)) == {"other": 1}


def test_phosphorus_with_more_than_eight_sulfur_is_counted_in_the_last_column() -> None:
    directions = np.random.default_rng(0).normal(size=(11, 3))
    shell = np.vstack([np.zeros(3), 2.0 * directions / np.linalg.norm(directions, axis=1)[:, None]])
    units = units_of(np.array(list("P" + "S" * 11)), shell, 20 * np.eye(3))
    assert units.coordination.tolist() == [[0] * 8 + [1]]


@few
@given(st.integers(0, 2**31))
def test_random_atoms_in_random_triclinic_cells_have_the_units_of_ase_and_networkx(seed: int) -> None:
    symbols, positions, cell = random_sulfide(seed)
    assert counts_of(units_of(symbols, positions, cell)) == from_ase_and_networkx(symbols, positions, cell)


@few
@given(st.integers(0, 2**31))
def test_wrapping_translation_rotation_permutation_and_another_cell_of_the_lattice_leave_the_units(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    symbols, positions, cell = random_sulfide(seed)
    rng = np.random.default_rng(seed)
    before = units_of(symbols, positions, cell)
    rotation = Rotation.random(rng=rng).as_matrix()
    order = rng.permutation(len(symbols))
    moved = positions + rng.integers(-3, 4, positions.shape) @ cell + rng.uniform(-5, 5, 3)
    other_cell = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ cell  # same lattice
    if 1 / np.linalg.norm(np.linalg.inv(other_cell), axis=0).max() < 5.3:
        other_cell = cell
    after = units_of(symbols[order], moved[order] @ rotation, other_cell @ rotation)
    np.testing.assert_array_equal(after.counts, before.counts)
    np.testing.assert_array_equal(after.phosphorus, before.phosphorus)
    np.testing.assert_array_equal(after.coordination, before.coordination)
    np.testing.assert_array_equal(after.sulfur_bonding, before.sulfur_bonding)
    assert after.other == before.other


def test_real_beta_li3ps4_is_all_ps4_with_four_coordinated_phosphorus(real_run) -> None:  # type: ignore[no-untyped-def]
    units = units_of(real_run.symbols, real_run.positions, real_run.cell)
    assert (units.phosphorus.sum(axis=1) == 16).all()
    assert units.fraction_of_phosphorus[:, 0].mean() > 0.999  # at 750 K two of 25664 bonds are longer than 2.5 Å
    assert units.mean_coordination.mean() == pytest.approx(4.0, abs=1e-3)
    assert units.fraction_of_sulfur[:, 2].max() == 0.0
    assert not units.counts[:, [UNITS.index("P2S6"), UNITS.index("P2S7")]].any()
    p, s = real_run.symbols == "P", real_run.symbols == "S"
    independent = coordination_numbers(real_run.positions[:100], real_run.cell[:100], p, s, 2.5)
    expected = [np.bincount(row, minlength=9) for row in independent]
    np.testing.assert_array_equal(units.coordination[:100], expected)


def test_shaken_real_frames_have_the_units_of_ase_and_networkx(real_run) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(1)
    shaken = real_run.positions[:4].astype(np.float64) + rng.normal(scale=0.35, size=(4, 128, 3))
    units = units_of(real_run.symbols, shaken, real_run.cell[:4])
    for frame in range(4):
        expected = from_ase_and_networkx(real_run.symbols, shaken[frame], real_run.cell[frame])
        assert len(expected) > 2
        assert counts_of(units, frame) == expected


def test_a_cell_for_each_frame_and_blocks_of_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    symbols, positions, cell = box_of_molecules(["P2S7", "PS4", "other", "S2"], 3)
    cells = cell * np.array([1.0, 1.01, 0.99])[:, None, None]
    frames = np.stack([positions @ np.linalg.inv(cell) @ each for each in cells])
    together = units_of(symbols, frames, cells)
    monkeypatch.setattr(trajectory_arrays, "BLOCK_BYTES", 1)
    apart = units_of(symbols, frames, cells)
    assert counts_of(together, 2) == {"P2S7": 1, "PS4": 1, "other": 1, "S2": 1}
    np.testing.assert_array_equal(apart.counts, together.counts)
    np.testing.assert_array_equal(apart.coordination, together.coordination)
    assert apart.other == together.other == (("PS5", 3),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": 5.0 * np.eye(3)}, "below 2.5 Å, half the least distance between faces of the cell"),
        ({"cutoff_p_s": 0.0}, r"cutoffs 0.0 \(P-S\), 2.6 \(P-P\) and 2.4 \(S-S\) Å; expected positive"),
        ({"cutoff_s_s": float("nan")}, "expected positive"),
        ({"sulfur_mask": np.full(4, True)}, "2 atoms are in the masks of both P and S"),
        ({"phosphorus_mask": np.full(4, False)}, "phosphorus mask selects none of 4"),
        ({"cell": np.eye(2)}, r"expected \(3, 3\) or \(1, 3, 3\)"),
    ],
)
def test_bad_input_is_refused(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "positions": np.zeros((1, 4, 3)),
        "cell": 10.0 * np.eye(3),
        "phosphorus_mask": np.arange(4) < 2,
        "sulfur_mask": np.arange(4) >= 2,
    }
    with pytest.raises(BadInputError, match=message):
        thiophosphate_units(**(arguments | change))  # type: ignore[arg-type]
