"""Packed frames hold every neighbour once, and nothing else."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from ase.build import bulk

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp import training_data as packing
from lipsdb.potentials.mtp.neighbours import neighbour_list
from lipsdb.potentials.mtp.training_data import training_data
from lipsdb.potentials.training_set import LabelledFrames

SALT = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
CUTOFF = 4.5


def frames(n_frames: int, seed: int) -> LabelledFrames:
    rng = np.random.default_rng(seed)
    shape = (n_frames, len(SALT), 3)
    return LabelledFrames(
        SALT.numbers,
        SALT.positions + rng.normal(0, 0.2, shape),
        np.broadcast_to(SALT.cell.array, (n_frames, 3, 3)),
        rng.normal(size=n_frames),
        rng.normal(size=shape),
        rng.normal(size=(n_frames, 3, 3)),
    )


def test_each_neighbour_of_each_atom_has_one_slot_of_its_type() -> None:
    salts = frames(70, seed=1)
    data = training_data({"salt": salts}, ["Cl", "K", "Na"], CUTOFF)
    types = np.where(SALT.numbers == 17, 0, 2)
    found: list[tuple[int, int, float, float, float]] = []
    vectors = data.vectors.reshape(-1, 3, 8)
    for chunk in range(data.chunk_frames.size - 1):
        first_atom = data.first_atom[data.chunk_frames[chunk]]
        for block in range(data.chunk_blocks[chunk], data.chunk_blocks[chunk + 1]):
            for neighbour_type in range(3):
                for slot in range(*data.block_slots[block, neighbour_type : neighbour_type + 2]):
                    for lane in range(8):
                        vector = vectors[slot, :, lane]
                        if vector.tolist() == [CUTOFF, 0, 0]:
                            continue
                        centre = first_atom + data.block_atoms[block, lane]
                        neighbour = first_atom + data.slot_atoms[slot, lane]
                        assert types[centre % 8] == data.block_types[block]
                        assert types[neighbour % 8] == neighbour_type
                        found.append((centre, neighbour, *vector))
    expected = []
    for k in range(70):
        pairs = neighbour_list(salts.positions[k], salts.cells[k], CUTOFF)
        expected += [
            (8 * k + i, 8 * k + j, *v) for i, j, v in zip(pairs.centre, pairs.index, pairs.vectors, strict=True)
        ]
    assert data.chunk_frames.size == 3
    assert np.array_equal(sorted(found), sorted(expected))


def test_labels_stand_in_the_order_of_the_systems() -> None:
    with_virials, without = frames(2, seed=2), frames(1, seed=3)
    without = LabelledFrames(without.numbers, without.positions, without.cells, without.energies, without.forces)
    data = training_data({"a": with_virials, "b": without}, ["Na", "Cl"], CUTOFF)

    assert data.energies.tolist() == [*with_virials.energies, *without.energies]
    assert np.array_equal(data.forces, np.concatenate([*with_virials.forces, *without.forces]))
    assert data.has_virial.tolist() == [True, True, False]
    symmetric = (with_virials.virials + with_virials.virials.transpose(0, 2, 1)) / 2
    np.testing.assert_allclose(data.virials, [*symmetric, np.zeros((3, 3))])


def test_memory_while_packing_is_not_twice_that_of_the_result(monkeypatch) -> None:
    monkeypatch.setattr(packing, "_ATOMS_IN_CHUNK", 64)
    salts = {"salt": frames(400, seed=6)}
    training_data({"salt": salts["salt"].select([0])}, ["Na", "Cl"], 5.6)  # imports
    tracemalloc.start()
    try:
        data = training_data(salts, ["Na", "Cl"], 5.6)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert data.vectors.flags.c_contiguous
    assert peak < 1.5 * data.nbytes


def test_memory_of_a_large_set_stays_in_bounds() -> None:
    # 1000 frames of 100 atoms with 30 neighbours each must fit into 1 GB: 10 kB an atom.
    data = training_data({"salt": frames(40, seed=4)}, ["Na", "Cl"], 5.6)
    assert len(data.slot_atoms) * 8 / data.n_atoms > 25
    assert data.nbytes / data.n_atoms < 2000


def test_an_element_the_potential_does_not_know_is_refused() -> None:
    with pytest.raises(BadInputError, match="system 'salt' has Cl, but the potential knows Na S: leave"):
        training_data({"salt": frames(1, seed=5)}, ["Na", "S"], CUTOFF)
    with pytest.raises(BadInputError, match="no frame"):
        training_data({"salt": frames(1, seed=5).select([])}, ["Na", "Cl"], CUTOFF)
