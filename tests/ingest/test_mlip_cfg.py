"""MLIP .cfg files become labels: PlusStress is the virial, types get their elements."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipsdb.errors import BadInputError
from lipsdb.ingest.labels import ingest_labels
from lipsdb.ingest.mlip_cfg import mlip_cfg_format, read_mlip_cfg
from lipsdb.store.database import Database

BY_HAND = """BEGIN_CFG
 Size
    2
 Supercell
         4.000000      0.000000      0.000000
         0.000000      4.000000      0.000000
         0.000000      0.000000      4.000000
 AtomData:  id type       cartes_x      cartes_y      cartes_z           fx          fy          fz
             1    0       0.000000      0.000000      0.000000     0.100000    0.000000    0.000000
             2    1       2.000000      2.000000      2.000000    -0.100000    0.000000    0.000000
 Energy
         -1.500000000000
 PlusStress:  xx          yy          zz          yz          xz          xy
     0.64000     0.00000    -1.92000     0.10000     0.20000    -0.12800
 Feature   EFS_by       VASP
END_CFG

"""


def test_numbers_of_a_file_written_by_hand(tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text(BY_HAND)
    (frames,) = read_mlip_cfg(tmp_path / "a.cfg", ["Li", "S"]).frames
    np.testing.assert_allclose(frames.virials, [[[0.64, -0.128, 0.2], [-0.128, 0, 0.1], [0.2, 0.1, -1.92]]], atol=1e-12)
    np.testing.assert_array_equal(frames.numbers, [3, 16])
    np.testing.assert_array_equal(frames.forces, [[[0.1, 0, 0], [-0.1, 0, 0]]])
    assert frames.energies.tolist() == [-1.5]


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        (None, "does not say which elements its types are; give --elements"),
        (["Li"], "there is a type 1, but elements are Li only"),
        (["Li", "Xx"], "--elements names 'Xx', which is no element"),
    ],
)
def test_types_without_elements_are_bad_input(elements: list[str] | None, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text(BY_HAND)
    with pytest.raises(BadInputError, match=reason):
        read_mlip_cfg(tmp_path / "a.cfg", elements)


@pytest.mark.parametrize(
    ("old", "new", "gate"),
    [
        (" Energy\n         -1.500000000000\n", "", "file"),
        ("-1.500000000000", "-nan", "file"),
        (BY_HAND[BY_HAND.index(" Supercell") : BY_HAND.index(" AtomData")], "", "structure"),
        ("0.100000    0.000000    0.000000", "99.100000    0.000000    0.000000", "size"),
    ],
    ids=["no energy", "energy NaN", "no cell", "large force"],
)
def test_bad_frame_is_noted_with_its_gate(old: str, new: str, gate: str, database: Database, tmp_path: Path) -> None:
    assert old in BY_HAND
    (tmp_path / "a.cfg").write_text(BY_HAND.replace(old, new, 1))
    ingest_labels(database, mlip_cfg_format(["Li", "S"]), tmp_path, "PBE", source="made up")
    (refusal,) = database.query("refusals")
    assert database.collection("labels").count_documents({}) == 0
    assert refusal["answer"]["gate"] == (gate if new != "-nan" else "finite")
