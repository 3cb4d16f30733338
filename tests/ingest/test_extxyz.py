"""Extended XYZ becomes labels with the right sign of the virial; frames that cannot be labels are refused alone."""

from __future__ import annotations

import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from lipsdb.documents.base import Input
from lipsdb.documents.label import Label, LabelAsked, geometry_digest
from lipsdb.errors import BadInputError
from lipsdb.ingest.extxyz import EXTXYZ, read_extxyz
from lipsdb.ingest.labels import ingest_labels
from lipsdb.provenance.canonical import decoded
from lipsdb.provenance.sealing import reference, seal_faults
from lipsdb.store.database import Database

BY_HAND = """2
Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3:force:R:3 energy=-1.5 {key} pbc="T T T"
Li 0 0 0 0.1 0 0
S 2 2 2 -0.1 0 0
"""
# V = 64 Å³; a stress of −0.01 eV/Å³ along x (compression) is a virial of +0.64 eV
KEYS = {
    "stress": 'stress="-0.01 0.002 0 0.002 0 0 0 0 0.03"',
    "virial": 'virial="0.64 -0.128 0 -0.128 0 0 0 0 -1.92"',
}
WORKED_OUT = np.array([[0.64, -0.128, 0], [-0.128, 0, 0], [0, 0, -1.92]])


@pytest.mark.parametrize("key", KEYS)
def test_virial_of_a_stress_and_of_a_virial_key_worked_out_by_hand(key: str, tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(BY_HAND.format(key=KEYS[key]))
    (frames,) = read_extxyz(path).frames
    np.testing.assert_allclose(frames.virials, [WORKED_OUT], atol=1e-12)
    np.testing.assert_array_equal(frames.forces, [[[0.1, 0, 0], [-0.1, 0, 0]]])
    np.testing.assert_array_equal(frames.numbers, [3, 16])
    assert frames.energies.tolist() == [-1.5]


def test_virial_of_compressed_copper_is_minus_the_derivative_of_its_energy(tmp_path: Path) -> None:
    atoms = Atoms(
        "Cu4", scaled_positions=[[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], cell=[3.4] * 3, pbc=True
    )
    atoms.calc = EMT()
    results = {name: atoms.calc.get_property(name, atoms) for name in ("energy", "forces", "stress")}
    written = atoms.copy()
    written.calc = SinglePointCalculator(written, **results)
    ase.io.write(tmp_path / "a.extxyz", written)
    (frames,) = read_extxyz(tmp_path / "a.extxyz").frames
    h = 1e-5
    energies = []
    for strain in (-h, h):
        strained = atoms.copy()
        strained.set_cell(np.diag([1 + strain, 1, 1]) * 3.4, scale_atoms=True)
        strained.calc = EMT()
        energies.append(strained.get_potential_energy())
    expected = -(energies[1] - energies[0]) / (2 * h)
    assert expected > 1  # it pushes outward
    assert frames.virials[0, 0, 0] == pytest.approx(expected, rel=1e-5)


def test_mixed_compositions_are_grouped_and_keep_their_place_in_the_file(database: Database, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    images = []
    for symbols in ("Li2S", "P2S", "Li2S", "LiSLi"):
        atoms = Atoms(symbols, [[0, 0, 0], [3, 0, 0], [0, 3, 0]], cell=[6] * 3, pbc=True)
        atoms.positions += rng.uniform(-0.1, 0.1, (3, 3))
        atoms.calc = SinglePointCalculator(atoms, energy=float(rng.normal()), forces=rng.normal(size=(3, 3)))
        images.append(atoms)
    path = tmp_path / "glass.extxyz"
    ase.io.write(path, images)
    summary = ingest_labels(database, EXTXYZ, tmp_path, "PBE", source="made up")
    assert [(part.formula, part.n_new) for part in summary.folders] == [("Li2S", 2), ("P2S", 1), ("Li2S", 1)]
    labels = {label["origin"]["frame"]: label for label in database.query("labels")}
    assert sorted(labels) == [0, 1, 2, 3]
    (level,) = database.query("levels_of_theory")
    for place, atoms in enumerate(ase.io.read(path, index=":")):
        label = labels[place]
        assert seal_faults(label) == []
        assert label["origin"]["system"] == "glass"
        assert label["origin"]["folder"] == "glass.extxyz"
        answer = decoded(label["answer"])
        np.testing.assert_array_equal(answer["numbers"], atoms.numbers)
        np.testing.assert_array_equal(answer["positions"], atoms.positions)
        np.testing.assert_array_equal(answer["forces"], atoms.get_forces())
        assert answer["virial"] is None
        digest = geometry_digest(atoms.numbers, atoms.positions, np.asarray(atoms.cell))
        assert answer["geometry"] == digest
        link = Input.of("level_of_theory", reference(level))
        assert label["_id"] == Label.identity_of(LabelAsked(geometry=digest, level_of_theory="PBE"), [link])
    again = ingest_labels(database, EXTXYZ, path, "PBE", source="made up", system="other")
    assert (again.n_new, again.n_known) == (0, 4)


FAULTS = {
    "no energy": ("energy=-1.5", "", "file", r"frame 1 has no energy; expected the keys energy and forces, found"),
    "no forces": ("force:R:3", "velo:R:3", "file", r"frame 1 has no forces"),
    "not periodic along z": ('pbc="T T T"', 'pbc="T T F"', "structure", r"frame 1 is not periodic along all three"),
    "a virial with the other sign": (
        KEYS["stress"],
        KEYS["stress"] + ' virial="-0.64 0.128 0 0.128 0 0 0 0 1.92"',
        "file",
        r"frame 1: stress and virial contradict each other",
    ),
    "a force of 60 eV/Å": (
        "Li 0 0 0 0.1",
        "Li 0 0 0 60",
        "size",
        r"frame 1 has a force of 60\.0 eV/Å, above the limit",
    ),
    "atoms on each other": ("S 2 2 2", "S 0.1 0 0", "structure", r"frame 1 has atoms 0\.10 Å apart"),
    "NaN": ("energy=-1.5", "energy=NaN", "finite", r"energy of frame 1 is not finite"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_frame_is_refused_and_noted_once_and_its_neighbours_go_in(
    name: str, database: Database, tmp_path: Path
) -> None:
    old, new, gate, reason = FAULTS[name]
    good = BY_HAND.format(key=KEYS["stress"])
    assert old in good
    (tmp_path / "a.xyz").write_text(
        good + good.replace(old, new) + good.replace("-1.5", "-1.4").replace("S 2 ", "S 2.1 ")
    )
    for n_new in (2, 0):
        summary = ingest_labels(database, EXTXYZ, tmp_path, "PBE", source="made up", campaigns=["c"])
        assert (summary.n_new, summary.n_refused_frames, summary.refused) == (n_new, 1, [])
        (refusal,) = database.query("refusals")
        assert seal_faults(refusal) == []
        assert refusal["answer"]["gate"] == gate
        assert re.search(reason, refusal["answer"]["reason"])
        asked = refusal["asked"]
        assert (asked["folder"], asked["frame"], asked["level_of_theory"]) == ("a.xyz", 1, "PBE")
        assert [link["role"] for link in refusal["inputs"]] == ["level_of_theory"]
        assert refusal["campaigns"] == ["c"]
    assert sorted(label["origin"]["frame"] for label in database.query("labels")) == [0, 2]


def test_the_refusal_of_a_frame_names_the_label_it_would_have_been(database: Database, tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text(BY_HAND.format(key=KEYS["stress"]))
    ingest_labels(database, EXTXYZ, tmp_path, "PBE", source="made up", force_limit_eV_A=0.05)
    (refusal,) = database.query("refusals")
    assert database.collection("labels").count_documents({}) == 0
    ingest_labels(database, EXTXYZ, tmp_path, "PBE", source="made up")
    (label,) = database.query("labels")
    assert refusal["asked"]["document"] == label["_id"]


def test_a_file_that_is_none_and_a_folder_without_any_are_told(database: Database, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no extended XYZ file with labels below"):
        ingest_labels(database, EXTXYZ, tmp_path, "PBE", source="made up")
    with pytest.raises(BadInputError, match="is not a file or folder"):
        ingest_labels(database, EXTXYZ, tmp_path / "nowhere", "PBE", source="made up")
    (tmp_path / "a.xyz").write_text("three\nwords\n")
    summary = ingest_labels(database, EXTXYZ, tmp_path, "PBE", source="made up")
    (refused,) = summary.refused
    assert refused.refused is not None
    assert re.match(r"a\.xyz is not extended XYZ", refused.refused)
    (refusal,) = database.query("refusals")
    assert (refusal["answer"]["gate"], refusal["asked"]["frame"], refusal["asked"]["document"]) == ("file", None, None)
