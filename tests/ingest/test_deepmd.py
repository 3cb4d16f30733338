"""DeePMD npy folders become labels; what is broken is refused with its reason, and the rest goes in."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipsdb.documents.base import Input
from lipsdb.documents.label import Label, LabelAsked
from lipsdb.errors import BadInputError
from lipsdb.ingest.deepmd import IngestSummary, ingest_deepmd
from lipsdb.ingest.origin import origin_of
from lipsdb.provenance.canonical import decoded
from lipsdb.provenance.sealing import seal_faults
from lipsdb.store.database import Database

Arrays = dict[str, np.ndarray]
# read before the fixtures clear the environment of LIPSDB_*
PUBLISHED_LABELS = os.environ.get("LIPSDB_PUBLISHED_LABELS")
N_FRAMES, SYMBOLS, TYPES = 3, "Li S", [0, 0, 1]


def some_arrays(seed: int = 0) -> Arrays:
    """Three frames of Li2S in a cubic cell of 6 Å, atoms some 3 Å apart."""
    rng = np.random.default_rng(seed)
    sites = np.array([[0.5, 0.5, 0.5], [3.5, 0.5, 0.5], [0.5, 3.5, 0.5]])
    return {
        "coord": sites + rng.uniform(-0.1, 0.1, (N_FRAMES, 3, 3)),
        "box": np.broadcast_to(6 * np.eye(3), (N_FRAMES, 3, 3)).copy(),
        "energy": rng.normal(-300, 1, N_FRAMES),
        "force": rng.normal(0, 1, (N_FRAMES, 3, 3)),
        "virial": rng.normal(0, 1, (N_FRAMES, 3, 3)),
    }


def write_folder(folder: Path, arrays: Arrays, types: str = " ".join(map(str, TYPES)), symbols: str = SYMBOLS) -> Path:
    (folder / "set.000").mkdir(parents=True)
    for name, array in arrays.items():
        np.save(folder / "set.000" / f"{name}.npy", array if array.ndim == 1 else array.reshape(len(array), -1))
    (folder / "type.raw").write_text(types)
    (folder / "type_map.raw").write_text(symbols)
    return folder


def ingest(database: Database, root: Path, **options: Any) -> IngestSummary:
    return ingest_deepmd(database, root, "PBE", **{"source": "made up", **options})


def put(name: str, index: Any, value: float) -> Callable[[Path], None]:
    """A change of one array in its file."""

    def change(folder: Path) -> None:
        path = folder / "set.000" / f"{name}.npy"
        array = np.load(path)
        array[index] = value
        np.save(path, array)

    return change


def replaced(name: str, array: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / "set.000" / f"{name}.npy", array)


def written(name: str, content: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return write


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def close_in_triclinic_cell(folder: Path) -> None:
    """Two atoms 0.3 Å apart through the face of a strongly tilted cell, 5 Å apart as they stand."""
    cell = np.array([[6.0, 0, 0], [4.0, 5.0, 0], [2.0, 3.0, 7.0]])
    coord = np.load(folder / "set.000" / "coord.npy").reshape(N_FRAMES, 3, 3)
    coord[1] = np.array([[0.02, 0.5, 0.5], [0.5, 0.98, 0.03], [0.5, 0.0, 0.03]]) @ cell
    coord[1, 2] += [0.05, 0.19, 0]
    np.save(folder / "set.000" / "coord.npy", coord.reshape(N_FRAMES, 9))
    np.save(folder / "set.000" / "box.npy", np.broadcast_to(cell, (N_FRAMES, 3, 3)).reshape(N_FRAMES, 9))


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "no forces": (removed("set.000/force.npy"), r"set\.000/force\.npy is missing"),
    "no type.raw": (removed("type.raw"), r"type\.raw is missing"),
    "no type_map.raw": (removed("type_map.raw"), r"type_map\.raw is missing"),
    "forces of two atoms": (
        replaced("force", np.zeros((3, 6))),
        r"force\.npy has shape \(3, 6\); expected \(n_frames, 9\)",
    ),
    "a single number": (replaced("energy", np.array(1.0)), r"energy\.npy has shape \(\)"),
    "two energies for three frames": (
        replaced("energy", np.zeros(2)),
        r"the arrays of set\.000 have different numbers of frames \(coord 3, box 3, energy 2, force 3, virial 3\)",
    ),
    "no frames": (
        lambda folder: [np.save(path, np.load(path)[:0]) for path in (folder / "set.000").iterdir()] and None,
        "there are no frames",
    ),
    "NaN in a force": (put("force", (2, 4), np.nan), r"force of frame 2 is not finite"),
    "an infinite energy": (put("energy", 0, np.inf), "energy of frame 0 is not finite"),
    "NaN in a virial": (put("virial", (1, 1), np.nan), "virial of frame 1 is not finite"),
    "an unknown element": (written("type_map.raw", b"Li Xx"), r"type_map\.raw names 'Xx', which is no element"),
    "a type index of two": (written("type.raw", b"0 0 2"), r"type\.raw must hold indices from 0 to 1, for Li S"),
    "a type index below zero": (written("type.raw", b"0 0 -1"), r"type\.raw must hold indices from 0 to 1, for Li S"),
    "types as words": (written("type.raw", b"Li Li S"), r"type\.raw does not hold integers"),
    "atoms on each other": (put("coord", (1, slice(3, 6)), 0.5), r"frame 1 has atoms 0\.\d\d Å apart; at least 0\.4 Å"),
    "atoms close through a face": (put("coord", (1, 3), 6.4), r"frame 1 has atoms 0\.\d\d Å apart"),
    "atoms close in a triclinic cell": (close_in_triclinic_cell, r"frame 1 has atoms 0\.\d\d Å apart"),
    "a force of 51 eV/Å": (
        put("force", (2, slice(0, 3)), 51 / np.sqrt(3)),
        r"frame 2 has a force of 51\.0 eV/Å, above the limit of 50 eV/Å \(--force-limit\)",
    ),
    "a flat cell": (put("box", (0, 8), 0.0), "box of frame 0 has no volume"),
    "a cell thinner than the atoms": (put("box", (0, 8), 0.3), r"box of frame 0 is 0\.30 Å thin"),
    "an empty file": (written("set.000/coord.npy", b""), r"coord\.npy is not a NumPy array"),
    "text for an array": (written("set.000/coord.npy", b"1 2 3\n4 5 6\n"), r"coord\.npy is not a NumPy array"),
    "a pickle": (written("set.000/coord.npy", pickle.dumps([1, 2])), r"coord\.npy is not a NumPy array"),
    "an array of objects": (
        lambda folder: np.save(folder / "set.000" / "energy.npy", np.array([1, 2, None]), allow_pickle=True),
        r"energy\.npy is not a NumPy array",
    ),
    "words in an array": (replaced("energy", np.array(["a", "b", "c"])), r"energy\.npy holds <U1, not numbers"),
    "a file cut short": (
        lambda folder: os.truncate(folder / "set.000" / "coord.npy", 200),
        r"coord\.npy is not a NumPy array",
    ),
    "no set": (lambda folder: shutil.rmtree(folder / "set.000"), r"no set\.000 folder"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_folder_is_refused_with_its_reason_and_its_neighbours_go_in(
    name: str, database: Database, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    for seed, system in enumerate(("after", "before")):
        write_folder(root / system, some_arrays(seed))
    break_, reason = BROKEN[name]
    break_(write_folder(root / "broken", some_arrays(5)))
    summary = ingest(database, root)
    (refused,) = summary.refused
    assert refused.folder == "broken"
    assert refused.refused is not None
    assert re.search(reason, refused.refused), refused.refused
    assert "\n" not in refused.refused
    assert (summary.n_new, summary.n_known) == (2 * N_FRAMES, 0)
    assert sorted(database.collection("labels").distinct("origin.system")) == ["after", "before"]
    (refusal,) = database.query("refusals")
    assert seal_faults(refusal) == []
    assert refusal["answer"]["reason"] == refused.refused
    assert (refusal["asked"]["folder"], refusal["asked"]["frame"], refusal["asked"]["document"]) == (
        "broken",
        None,
        None,
    )
    assert [link["role"] for link in refusal["inputs"]] == ["level_of_theory"]
    ingest(database, root)
    assert database.collection("refusals").count_documents({}) == 1


def test_folder_that_is_none_or_empty_is_bad_input(database: Database, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="is not a folder; give the folder that holds DeePMD npy data"):
        ingest(database, tmp_path / "nowhere")
    with pytest.raises(BadInputError, match="no DeePMD npy data below"):
        ingest(database, tmp_path)


def test_label_has_the_numbers_of_its_frame_and_holds_its_hashes(database: Database, tmp_path: Path) -> None:
    arrays = some_arrays()
    write_folder(tmp_path / "data" / "Li2S-crystal" / "600K", arrays)
    assert ingest(database, tmp_path / "data", campaigns=["a"]).n_new == N_FRAMES
    for label in database.collection("labels").find():
        assert seal_faults(label) == []
        answer = decoded(label["answer"])
        frame = label["origin"]["frame"]
        np.testing.assert_array_equal(answer["numbers"], [3, 3, 16])
        for field, name in (("positions", "coord"), ("cell", "box"), ("forces", "force"), ("virial", "virial")):
            np.testing.assert_array_equal(answer[field], arrays[name][frame])
        assert answer["energy_eV"] == arrays["energy"][frame]
        assert (answer["formula"], answer["n_atoms"]) == ("Li2S", 3)
        assert label["origin"] == {
            "system": "Li2S-crystal",
            "source": "made up",
            "folder": "Li2S-crystal/600K",
            "frame": frame,
            "trajectory": True,
            "iteration": None,
            "temperatures_K": [600.0],
            "pressures_bar": [],
        }
        assert label["campaigns"] == ["a"]


def test_identity_and_content_of_a_label_worked_out_with_hashlib(database: Database, tmp_path: Path) -> None:
    arrays = some_arrays(3)
    write_folder(tmp_path / "data" / "Li2S-crystal", arrays)
    ingest(database, tmp_path / "data")
    (label,) = database.query("labels", {"origin.frame": 1})

    def sha(raw: bytes) -> str:
        return hashlib.sha256(raw).hexdigest()

    def stands_for(array: np.ndarray, dtype: str = "<f8") -> dict[str, Any]:
        return {"$array": {"dtype": dtype, "shape": list(array.shape), "sha256": sha(array.astype(dtype).tobytes())}}

    def text(value: Any) -> bytes:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    numbers, coord, box = np.array([3, 3, 16]), arrays["coord"][1], arrays["box"][1]
    geometry = sha(numbers.astype("<i4").tobytes() + coord.tobytes() + box.tobytes())[:32]
    asked = {"geometry": geometry, "frame": None, "level_of_theory": "PBE", "repeat": 0}
    (level,) = database.query("levels_of_theory")
    assert level["asked"] == {"name": "PBE", "code": None, "settings": {}}
    link = {"role": "level_of_theory", "collection": "levels_of_theory", "id": level["_id"]}
    question = {"kind": "label", "schema_version": 1, "asked": asked, "inputs": [link]}
    answer = {
        "geometry": geometry,
        "formula": "Li2S",
        "n_atoms": 3,
        "numbers": stands_for(numbers, "|u1"),
        "positions": stands_for(coord),
        "cell": stands_for(box),
        "energy_eV": float(arrays["energy"][1]),
        "forces": stands_for(arrays["force"][1]),
        "virial": stands_for(arrays["virial"][1]),
    }
    assert label["_id"] == f"label-{sha(text(question))[:24]}"
    assert label["content"] == sha(text(answer))
    assert label["inputs"] == [{**link, "content": level["content"]}]
    assert label["_id"] == Label.identity_of(
        LabelAsked(geometry=geometry, level_of_theory="PBE"), [Input(**link, content="")]
    )
    assert label["asked"] == LabelAsked(geometry=geometry, level_of_theory="PBE").model_dump()


def test_content_is_the_same_from_another_place(database: Database, tmp_path: Path) -> None:
    write_folder(tmp_path / "here" / "Li2S-crystal" / "600K", some_arrays())
    ingest(database, tmp_path / "here", source="a DOI")
    contents = {label["_id"]: label["content"] for label in database.collection("labels").find()}
    database.collection("labels").delete_many({})
    write_folder(tmp_path / "there" / "renamed", some_arrays())
    ingest(database, tmp_path / "there", source="a colleague")
    assert {label["_id"]: label["content"] for label in database.collection("labels").find()} == contents


def test_several_sets_without_virial_and_in_single_precision_are_one_folder(database: Database, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data" / "glass", some_arrays(0))
    shutil.move(write_folder(tmp_path / "more", some_arrays(1)) / "set.000", folder / "set.001")
    for path in folder.glob("set.*/*.npy"):
        np.save(path, np.load(path).astype("f4"))
    for path in folder.glob("set.*/virial.npy"):
        path.unlink()
    (outcome,) = ingest(database, tmp_path / "data").folders
    assert (outcome.n_frames, outcome.n_new, outcome.refused) == (6, 6, None)
    labels = list(database.query("labels", sort={"origin.frame": 1}))
    assert [label["origin"]["frame"] for label in labels] == list(range(6))
    assert {label["answer"]["virial"] for label in labels} == {None}
    np.testing.assert_array_equal(
        decoded(labels[4]["answer"]["forces"]), some_arrays(1)["force"][1].astype("f4").astype("f8")
    )


def test_second_ingest_has_nothing_new_and_joins_campaigns(database: Database, tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_folder(root / "glass", some_arrays(0))
    ingest(database, root, campaigns=["a"])
    before = {label["_id"]: label["seal"] for label in database.query("labels")}
    again = ingest(database, root, campaigns=["b"])
    assert (again.n_new, again.n_known) == (0, N_FRAMES)
    after = list(database.query("labels"))
    assert {label["_id"]: label["seal"] for label in after} == before
    assert {tuple(label["campaigns"]) for label in after} == {("a", "b")}


def test_moved_and_renamed_folder_has_nothing_new(database: Database, tmp_path: Path) -> None:
    write_folder(tmp_path / "data" / "glass", some_arrays(0))
    ingest(database, tmp_path / "data")
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "data" / "glass", tmp_path / "elsewhere" / "renamed")
    summary = ingest(database, tmp_path / "elsewhere" / "renamed")
    assert (summary.n_new, summary.n_known) == (0, N_FRAMES)


def test_longer_version_of_a_known_folder_adds_the_new_frames_only(database: Database, tmp_path: Path) -> None:
    old, more = some_arrays(0), some_arrays(1)
    write_folder(tmp_path / "first" / "glass", old)
    ingest(database, tmp_path / "first", campaigns=["a"])
    # the known frames are neither first, nor in the middle, nor last
    order = [3, 0, 1, 4, 2, 5]
    joined = {name: np.concatenate([old[name], more[name]])[order] for name in old}
    write_folder(tmp_path / "second" / "glass", joined)
    summary = ingest(database, tmp_path / "second", campaigns=["b"])
    assert (summary.n_new, summary.n_known) == (3, 3)
    joined_campaigns = sorted(tuple(label["campaigns"]) for label in database.query("labels"))
    assert joined_campaigns == [("a", "b")] * 3 + [("b",)] * 3


def test_same_frames_at_another_level_of_theory_are_other_labels(database: Database, tmp_path: Path) -> None:
    write_folder(tmp_path / "glass", some_arrays(0))
    ingest(database, tmp_path)
    assert ingest_deepmd(database, tmp_path, "PBE-D3", source="made up").n_new == N_FRAMES


def test_progress_is_told_after_each_folder(database: Database, tmp_path: Path) -> None:
    for seed, name in enumerate("ab"):
        write_folder(tmp_path / name, some_arrays(seed))
    told: list[tuple[str, int, int]] = []
    ingest(database, tmp_path, progress=lambda outcome, done, of: told.append((outcome.folder, done, of)))
    assert told == [("a", 1, 2), ("b", 2, 2)]


@pytest.mark.parametrize(
    ("path", "composition", "system", "iteration", "temperatures"),
    [
        ("data.init/init_data/beta-Li3PS4/3000K/Li24P8S32", "Li24P8S32", "beta-Li3PS4", None, [3000.0]),
        ("data.init/init_data/Li2P2S6/3000K/Li16P16S48", "Li16P16S48", "Li2P2S6", None, [3000.0]),
        ("data.init/init_data/Li2S/3000K/Li64P0S32", "Li64S32", "Li2S", None, [3000.0]),
        ("data.init/init_data/P/3000K/Li0P48S0", "P48", "P", None, [3000.0]),
        ("data.init/init_data/Li48P16S61/3000K/Li48P16S61", "Li48P16S61", "Li48P16S61", None, [3000.0]),
        ("data.iters/iter.000000/02.fp/data.001", "Li82P38S133", "70Li2S-30P2S5", 1, []),
        ("iter.000010/02.fp/data.000", "Li3PS4", "Li3PS4", 11, []),
        ("water/train", "H128O64", "water", None, []),
        ("training_data/water/set_3", "H128O64", "water", None, []),
        ("data.000", "Li3PS4", "Li3PS4", None, []),
        ("0/1", "Li3PS4", "Li3PS4", None, []),
        ("glass/300.5K", "Li3PS4", "glass", None, [300.5]),
    ],
)
def test_origin_of_a_folder_below_a_root_called_labels(
    path: str, composition: str, system: str, iteration: int | None, temperatures: list[float]
) -> None:
    root = Path("/anywhere/labels")
    origin = origin_of(root / path, root, "source", composition)
    assert origin.system == system
    assert (origin.folder, origin.iteration, origin.temperatures_K) == (path, iteration, temperatures)
    assert origin.trajectory == (iteration is None)


@pytest.mark.parametrize(
    ("root", "path", "system", "folder", "iteration"),
    [
        ("beta-Li3PS4", "3000K/Li24P8S32", "beta-Li3PS4", "3000K/Li24P8S32", None),
        ("Li2P2S6", "3000K/Li16P16S48", "Li2P2S6", "3000K/Li16P16S48", None),
        ("my_glass", ".", "my_glass", "my_glass", None),
        ("data.000", ".", "Li3PS4", "data.000", None),
        ("iter.000002", "02.fp/data.000", "Li3PS4", "02.fp/data.000", 3),
    ],
)
def test_origin_where_the_root_is_the_system_or_the_iteration(
    root: str, path: str, system: str, folder: str, iteration: int | None
) -> None:
    top = Path("/anywhere") / root
    origin = origin_of(top / path, top, "source", "Li3PS4")
    assert (origin.system, origin.folder, origin.iteration) == (system, folder, iteration)


@pytest.mark.published
def test_published_labels_of_the_disorder_study_go_in_with_their_counts(database: Database) -> None:
    assert PUBLISHED_LABELS, "set LIPSDB_PUBLISHED_LABELS to the folder of the published labels"
    root = Path(PUBLISHED_LABELS)
    summary = ingest(database, root)
    assert summary.refused == []
    counts = {outcome.system: outcome.n_new for outcome in summary.folders}
    initial = (
        "Li Li2P2S6 Li2PS3-hex Li2PS3-orth Li2S Li3P Li48P16S61 Li4P2S6 Li7P3S11 Li7PS6 P P2S5 P4S3 S beta-Li3PS4 "
        "gamma-Li3PS4"
    )
    explored = {"67Li2S-33P2S5": 551, "70Li2S-30P2S5": 404, "75Li2S-25P2S5": 152}
    assert counts == dict.fromkeys(initial.split(), 950) | explored
    assert database.collection("labels").count_documents({}) == summary.n_new == 16_307
    assert database.collection("labels").count_documents({"origin.iteration": 1}) == sum(explored.values())
    again = ingest(database, root)
    assert (again.n_new, again.n_known) == (0, 16_307)
