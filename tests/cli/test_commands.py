"""The commands as a person calls them: output, exit codes, one-line errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lipsdb.dft.levels_of_theory import find_level, store_level
from lipsdb.documents.refusal import Refusal, RefusalAnswer, RefusalAsked
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.store.database import Database

LIPSDB = Path(sys.executable).parent / "lipsdb"
CAMPAIGNS = Path(__file__).parents[2] / "campaigns"


def call(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LIPSDB, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", **environment},
        timeout=120,
    )


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Two folders of two frames each, the second without forces."""
    for name in ("good", "broken"):
        folder = tmp_path / "labels" / name
        (folder / "set.000").mkdir(parents=True)
        (folder / "type_map.raw").write_text("Li S")
        (folder / "type.raw").write_text("0 1")
        arrays = {
            "coord": [[0, 0, 0, 2.5, 0, 0], [0, 0, 0, 2.6, 0, 0]],
            "box": [np.eye(3).ravel() * 6] * 2,
            "energy": [-1.0, -1.1],
            "force": np.zeros((2, 6)),
        }
        for key, array in arrays.items():
            np.save(folder / "set.000" / f"{key}.npy", np.array(array, dtype=float))
    (tmp_path / "labels" / "broken" / "set.000" / "force.npy").unlink()
    return tmp_path / "labels"


def test_ingest_takes_what_is_right_and_says_what_is_not(database: Database, labels: Path) -> None:
    done = call("ingest", "deepmd", labels, "--level-of-theory", "PBE")
    assert done.returncode == 1
    assert "1 folders taken: 2 new labels, 0 known before; 1 refused" in done.stdout
    assert "refused broken: set.000/force.npy is missing" in done.stderr
    again = call("ingest", "deepmd", labels, "--level-of-theory", "PBE")
    assert "0 new labels, 2 known before" in again.stdout

    listed = json.loads(call("list", "label", "--json").stdout)
    assert len(listed) == 2
    shown = json.loads(call("show", listed[0]["id"][:16]).stdout)
    assert shown["origin"]["system"] == "good"
    assert shown["answer"]["forces"] == [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    found = call("list", "labels", "--where", "origin.frame=1").stdout
    assert "1 in all" in found
    counted = json.loads(call("query", "labels", "--by", "system", "--format", "json").stdout)
    assert "good" in json.dumps(counted)
    assert listed[0]["id"] in call("lineage", listed[0]["id"], "--format", "json").stdout
    assert call("audit").returncode == 0


def test_audit_names_the_label_of_which_a_byte_was_flipped(database: Database, labels: Path) -> None:
    call("ingest", "deepmd", labels, "--level-of-theory", "PBE")
    label = database.collection("labels").find_one({})
    assert label is not None
    stored = bytearray(label["answer"]["positions"]["zstd"])
    stored[len(stored) // 2] ^= 1
    database.collection("labels").update_one({"_id": label["_id"]}, {"$set": {"answer.positions.zstd": bytes(stored)}})
    done = call("audit")
    assert done.returncode == 1
    assert label["_id"] in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "thing-1"], "error: 'thing-1' is not the id of a document; ids begin with level_of_theory-…"),
        (["show", "run-0"], "error: no document run-0 in this database; `lipsdb list run` shows what there is"),
        (
            ["list", "cat"],
            "error: 'cat' is not a kind of document; the kinds are level_of_theory, structure, label",
        ),
        (["list", "run", "--where", "x"], "error: 'x' is not a condition; write FIELD=VALUE"),
        (["run", "--category", "cooking"], "error: --category 'cooking' is not known; allowed are dft, train, md"),
        (["query", "arrhenius", "--campaign", "nobody"], "error: "),
        (["report", "nobody"], "error: "),
        (["campaign", "plan", "nowhere.yaml"], "error: "),
        (["ingest", "deepmd", "nowhere", "-l", "PBE"], "error: nowhere is not a folder"),
        (["ingest", "potential", "nowhere"], "error: nowhere/record.json is missing"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_1(database: Database, arguments: list[str], message: str) -> None:
    done = call(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stdout + done.stderr


def test_traceback_is_there_for_those_who_ask(database: Database) -> None:
    assert "Traceback" in call("--traceback", "show", "run-0").stderr


def test_wrong_usage_is_exit_code_2(database: Database) -> None:
    assert call("query", "arrhenius", "--format", "runes").returncode == 2


def test_absent_server_is_told_in_five_seconds(database: Database) -> None:
    begin = time.monotonic()
    done = call("db", "status", LIPSDB_MONGO_URI="mongodb://somebody:secret@127.0.0.1:1/")
    assert time.monotonic() - begin < 10  # the limit of five seconds is for a quiet machine; the client's own is four
    assert done.returncode == 1
    assert "no MongoDB server answers at mongodb://somebody:***@127.0.0.1:1/" in done.stderr
    assert "lipsdb db start" in done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_refused_labels_are_listed_with_their_whole_reason_under_each_name(database: Database) -> None:
    reason = "the SCF did not converge in 300 steps; " + "start from another structure " * 20
    refusal = Refusal(
        asked=RefusalAsked(
            document=None, system="P2S5", source="cp2k", folder="", frame=None, level_of_theory="disorder"
        ),
        answer=RefusalAnswer(gate="scf", reason=reason),
    ).sealed(Stopwatch("label").made_by(versions_of()))
    database.insert(refusal)
    for name in ("refused", "refusals", "refusal"):
        done = call("list", name, COLUMNS="80")
        assert f"{refusal['_id']}  refusal: P2S5 at disorder: scf: {reason.strip()}" in done.stdout
    assert json.loads(call("list", "refused", "--json").stdout)[0]["id"] == refusal["_id"]


def test_levels_of_theory_are_listed_under_each_name(database: Database) -> None:
    store_level(database, find_level("PBE"))
    for name in ("levels", "level_of_theory", "levels_of_theory"):
        assert "level_of_theory: PBE (named)" in call("list", name).stdout


def test_reproduce_prints_its_pipeline_and_an_empty_table(database: Database) -> None:
    text = call("query", "reproduce", "--level-of-theory", "disorder", "--show-pipeline").stdout
    assert text.startswith('db.getCollection("labels").aggregate([')
    assert '{"$match": {"labels.asked.level_of_theory": "disorder"}}' in text
    assert "no configuration has two labels" in call("query", "reproduce").stdout
    unknown = call("query", "reproduce", "--reference", "scan")
    assert unknown.returncode == 1
    assert unknown.stderr == "error: no label of the level of theory 'scan' in this database; there are: none\n"


def test_pipeline_is_printed_for_mongosh(database: Database) -> None:
    text = call("query", "conductivity", "--show-pipeline").stdout
    assert text.startswith('db.getCollection("properties").aggregate([')


def test_fireworks_commands_use_the_same_database(database: Database) -> None:
    done = call("lpad", "get_wflows", "-d", "count")
    assert done.returncode == 0
    assert done.stdout.strip().endswith("0")
