"""A campaign that computes its own labels with CP2K, launched by FireWorks."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lipsdb.campaigns.load import load_campaign
from lipsdb.dft.levels_of_theory import find_level
from lipsdb.provenance.audit import audit
from lipsdb.provenance.canonical import decode_array
from lipsdb.store.database import Database
from lipsdb.workflows.campaign import plan, submit

CAMPAIGN = """
name: dft
description: labels of P2 by real DFT
structures:
  good: {file: p2.extxyz}
dft:
  points: {kind: single_point, level_of_theory: small.yaml, structures: [good]}
  hopeless: {kind: single_point, level_of_theory: tight.yaml, structures: [good]}
  hot:
    kind: aimd
    level_of_theory: small.yaml
    structure: good
    temperatures_K: [3000]
    seeds: [1]
    length_ps: 0.004
    label_interval_fs: 1
datasets:
  all: {dft: [points, hopeless], held_fraction: 0.5, block_length: 1, seed: 1}
tables: [labels]
"""


@pytest.fixture
def campaign(tmp_path: Path, small_level: Path, p2_file: Path) -> Path:
    text = small_level.read_text()
    tight = text.replace("name: small", "name: tight").replace("eps_scf: 1.0e-6", "eps_scf: 1.0e-30")
    (tmp_path / "tight.yaml").write_text(tight)
    path = tmp_path / "dft.yaml"
    path.write_text(CAMPAIGN)
    return path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(Path(sys.executable).parent / "lipsdb"), *arguments], capture_output=True, text=True)


def test_labels_computed_by_a_campaign(database: Database, campaign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPSDB_CP2K_MAX_SCF", "30")
    first = submit(database, load_campaign(campaign))
    assert first.n_submitted == 5  # structure, two single points, AIMD, dataset
    done = run("run", "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    labels = list(database.query("labels"))
    points = [label for label in labels if label["inputs"][1]["role"] == "structure"]
    frames = sorted(
        (label for label in labels if label["inputs"][1]["role"] == "run"), key=lambda one: one["asked"]["frame"]
    )
    assert len(points) == 1
    assert len(frames) >= 4

    # the label names its level of theory, its files and its program
    level = find_level(str(campaign.parent / "small.yaml"))
    (point,) = points
    assert point["inputs"][0]["id"] == level.identity_of(level.asked, [])
    assert {file["name"] for file in point["made_by"]["files"]} == {"cp2k.inp", "cp2k.out", "BASIS", "POTENTIAL"}
    assert point["made_by"]["versions"]["cp2k"]
    assert point["made_by"]["fw_id"] is not None
    assert point["origin"]["system"] == "good"

    # each label of the trajectory knows the trajectory and its step
    runs = list(database.query("runs"))
    assert {label["inputs"][1]["id"] for label in frames} == {runs[0]["_id"]}
    assert [label["origin"]["frame"] for label in frames] == [label["asked"]["frame"] for label in frames]
    moved = [decode_array(label["answer"]["positions"]) for label in frames]
    assert all(np.abs(moved[i + 1] - moved[i]).max() > 1e-4 for i in range(len(moved) - 1))

    # the SCF that cannot converge is refused with its reason; the dataset goes on with what there is
    (refusal,) = database.query("refusals")
    assert refusal["answer"]["gate"] == "scf"
    assert refusal["asked"]["system"] == "good"
    assert "cp2k.out" in {file["name"] for file in refusal["made_by"]["files"]}
    listed = run("list", "refused")
    assert "did not converge" in " ".join(listed.stdout.split())
    (dataset,) = database.query("datasets")
    assert [link["role"] for link in dataset["inputs"]] == ["label", "refused"]
    assert dataset["answer"]["n_training"] + dataset["answer"]["n_held"] == 1

    # asking again computes nothing
    states = {row.state for row in plan(database, load_campaign(campaign)).rows}
    assert states == {"known", "refused"}
    assert submit(database, load_campaign(campaign)).n_submitted == 0
    assert not audit(database).errors


def test_killed_cp2k_fails_with_its_reason_and_running_again_gives_one_label(
    database: Database, tmp_path: Path, small_level: Path, p2_file: Path
) -> None:
    small_level.write_text(small_level.read_text().replace("150.0", "500.0").replace("1.0e-6", "1.0e-8"))
    path = tmp_path / "killed.yaml"
    dft = "{kind: single_point, level_of_theory: small.yaml, structures: [good]}"
    path.write_text(
        f"name: killed\ndescription: one label\nstructures: {{good: {{file: p2.extxyz}}}}\ndft: {{point: {dft}}}\n"
    )
    submit(database, load_campaign(path))
    program = Path(sys.executable).parent / "lipsdb"
    running = subprocess.Popen(
        [str(program), "run", "--workers", "1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    scratch = database.settings.scratch_folder / database.mongo.name
    for _ in range(2400):
        if any("OT DIIS" in output.read_text(errors="replace") for output in scratch.glob("label-*/cp2k.out")):
            break
        time.sleep(0.05)
    for found in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            is_cp2k = "cp2k" in (found.parent / "comm").read_text()
            if is_cp2k and scratch in found.readlink().parents:
                os.kill(int(found.parent.name), signal.SIGKILL)
    printed, _ = running.communicate(timeout=120)
    assert running.returncode == 1
    assert "CP2K was stopped before its end" in " ".join(printed.split())
    assert database.collection("labels").count_documents({}) == 0
    (failed,) = database.query("fireworks", {"state": "FIZZLED"})
    assert run("lpad", "rerun_fws", "-i", str(failed["fw_id"])).returncode == 0
    assert run("run", "--workers", "1").returncode == 0
    (label,) = database.query("labels")
    assert label["made_by"]["fw_id"] == failed["fw_id"]
    assert not audit(database).errors
