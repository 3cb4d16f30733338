"""Labels go out and come back the same, in each format, the virial's sign included."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from motep.io.mlip.cfg import read_cfg

from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.export.labels import export_labels
from lipsdb.ingest.deepmd import DEEPMD
from lipsdb.ingest.extxyz import EXTXYZ
from lipsdb.ingest.frames import Frames
from lipsdb.ingest.labels import ingest_labels
from lipsdb.ingest.mlip_cfg import mlip_cfg_format
from lipsdb.ingest.storing import LabelFormat
from lipsdb.provenance.canonical import decoded
from lipsdb.store.database import Database

FORMATS = {"deepmd": DEEPMD, "extxyz": EXTXYZ, "cfg": mlip_cfg_format()}
# absolute: Å, Å, eV, eV/Å, eV
TOLERANCES = {
    "deepmd": {"positions": 0, "cell": 0, "energy_eV": 0, "forces": 0, "virial": 0},
    "extxyz": {"positions": 5.1e-9, "cell": 1e-14, "energy_eV": 0, "forces": 5.1e-9, "virial": 1e-14},
    "cfg": {"positions": 5.1e-7, "cell": 5.1e-7, "energy_eV": 5.1e-13, "forces": 5.1e-7, "virial": 5.1e-6},
}
CELL = np.array([[6.1234567891, 0.1, 0.0], [0.7, 6.2, 0.2], [0.0, 0.3, 6.5]])


def write_labels(root: Path, *, virial: bool = True) -> None:
    """Two systems, of which one has two compositions, as DeePMD folders in a tilted cell."""
    rng = np.random.default_rng(4)
    sites = np.array([[0, 0, 0], [3, 0, 0], [0, 3, 0], [3, 3, 3]])
    systems = {"glass/600K/Li2S2": [0, 0, 2, 2], "glass/600K/Li1P1S2": [2, 0, 0, 1], "crystal": [0, 2, 1]}
    for name, types in systems.items():
        n = len(types)
        (root / name / "set.000").mkdir(parents=True)
        strain = rng.normal(size=(5, 3, 3))
        arrays = {
            "coord": (sites[:n] + rng.uniform(-0.2, 0.2, (5, n, 3))).reshape(5, -1),
            "box": np.tile(CELL.ravel(), (5, 1)),
            "energy": rng.normal(-1234, 1, 5),
            "force": rng.normal(size=(5, n * 3)),
            "virial": (strain + strain.swapaxes(1, 2)).reshape(5, 9),
        }
        for key, array in arrays.items():
            if virial or key != "virial":
                np.save(root / name / "set.000" / f"{key}.npy", array)
        (root / name / "type.raw").write_text(" ".join(map(str, types)))
        (root / name / "type_map.raw").write_text("S P Li")


def ingest(database: Database, format: LabelFormat, root: Path, level: str = "PBE") -> int:
    summary = ingest_labels(database, format, root, level, source="made up", campaigns=["a"])
    assert summary.refused == []
    assert summary.n_refused_frames == 0
    return summary.n_new


def by_energy(database: Database, level: str) -> list[dict]:
    """Answers in the order of their energies, which no format rounds enough to change it."""
    answers = [decoded(one["answer"]) for one in database.query("labels", {"asked.level_of_theory": level})]
    return sorted(answers, key=lambda answer: answer["energy_eV"])


@pytest.mark.parametrize("virial", [True, False], ids=["with virial", "without"])
@pytest.mark.parametrize("name", FORMATS)
def test_out_and_in_again_gives_the_same_numbers(name: str, virial: bool, database: Database, tmp_path: Path) -> None:
    write_labels(tmp_path / "data", virial=virial)
    assert ingest(database, DEEPMD, tmp_path / "data") == 15
    written = export_labels(database, tmp_path / "out", name)
    assert (written.n_labels, written.elements) == (15, ["Li", "P", "S"])
    assert ingest(database, FORMATS[name], tmp_path / "out", "again") == 15
    for before, after in zip(by_energy(database, "PBE"), by_energy(database, "again"), strict=True):
        np.testing.assert_array_equal(after["numbers"], before["numbers"])
        for key, tolerance in TOLERANCES[name].items():
            if key == "virial" and not virial:
                assert after["virial"] is None
                continue
            np.testing.assert_allclose(after[key], before[key], rtol=0, atol=tolerance)
    if name == "deepmd":
        assert {one["geometry"] for one in by_energy(database, "PBE")} == {
            one["geometry"] for one in by_energy(database, "again")
        }


def test_the_three_formats_agree_with_each_other(database: Database, tmp_path: Path) -> None:
    write_labels(tmp_path / "data")
    ingest(database, DEEPMD, tmp_path / "data")
    virials: dict[str, np.ndarray] = {}
    for name, format in FORMATS.items():
        export_labels(database, tmp_path / name, name)
        parts: list[Frames] = [part for path in format.find(tmp_path / name) for part in format.read(path).frames]
        order = np.argsort(np.concatenate([part.energies for part in parts]))
        virials[name] = np.concatenate([part.virials for part in parts])[order]
    np.testing.assert_allclose(virials["extxyz"], virials["deepmd"], rtol=0, atol=1e-13)
    np.testing.assert_allclose(virials["cfg"], virials["deepmd"], rtol=0, atol=5.1e-6)
    assert np.abs(virials["deepmd"]).min(axis=(1, 2)).max() > 0.1


def test_stress_that_other_programs_read_is_minus_virial_by_volume(database: Database, tmp_path: Path) -> None:
    write_labels(tmp_path / "data")
    ingest(database, DEEPMD, tmp_path / "data")
    export_labels(database, tmp_path, "extxyz", systems=["crystal"])
    export_labels(database, tmp_path, "cfg", systems=["crystal"])
    labels = list(database.query("labels", {"origin.system": "crystal"}, sort={"origin.frame": 1}))
    xyz = ase.io.read(tmp_path / "crystal.extxyz", index=":")
    cfg = read_cfg(tmp_path / "crystal.cfg", index=":", species=["Li", "P", "S"])
    assert len(labels) == len(xyz) == len(cfg) == 5
    volume = abs(np.linalg.det(CELL))
    for label, one, other in zip(labels, xyz, cfg, strict=True):
        expected = -decoded(label["answer"])["virial"] / volume
        np.testing.assert_allclose(one.get_stress(voigt=False), expected, rtol=0, atol=1e-13)
        np.testing.assert_allclose(other.get_stress(voigt=False), expected, rtol=0, atol=1e-7)
        assert one.get_chemical_symbols() == other.get_chemical_symbols() == ["S", "Li", "P"]


def test_files_and_folders_are_by_system_and_can_be_chosen(database: Database, tmp_path: Path) -> None:
    write_labels(tmp_path / "data")
    ingest(database, DEEPMD, tmp_path / "data")
    deepmd = export_labels(database, tmp_path / "d", "deepmd")
    assert [path.name for path in deepmd.paths] == ["crystal", "glass-LiPS2", "glass-Li2S2"]
    everything = export_labels(database, tmp_path / "e", "extxyz")
    assert [path.name for path in everything.paths] == ["crystal.extxyz", "glass.extxyz"]
    chosen = export_labels(database, tmp_path / "x", "extxyz", systems=["crystal"], campaign="a", level_of_theory="PBE")
    assert ([path.name for path in chosen.paths], chosen.n_labels) == (["crystal.extxyz"], 5)


def test_no_match_mixed_levels_and_wrong_ids_are_told(database: Database, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no labels match"):
        export_labels(database, tmp_path, "extxyz")
    write_labels(tmp_path / "data")
    ingest(database, DEEPMD, tmp_path / "data")
    ingest(database, DEEPMD, tmp_path / "data", "SCAN")
    with pytest.raises(BadInputError, match=r"of 2 levels of theory \(PBE, SCAN\), which do not go together"):
        export_labels(database, tmp_path, "extxyz")
    with pytest.raises(NotFoundError, match=r"no labels match \(system ice; level of theory PBE; campaign b\)"):
        export_labels(database, tmp_path, "cfg", systems=["ice"], level_of_theory="PBE", campaign="b")
    with pytest.raises(NotFoundError, match="no labels of 'ice' match"):
        export_labels(database, tmp_path, "cfg", systems=["crystal", "ice"], level_of_theory="PBE")
    (label,) = database.query("labels", limit=1)
    with pytest.raises(BadInputError, match="is a label; give the id of a dataset"):
        export_labels(database, tmp_path, "cfg", dataset=label["_id"])
