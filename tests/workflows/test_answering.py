"""One question, one document: whoever asks, however often, and whatever goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk
from jobflow import Flow, run_locally

from lipsdb.dft.levels_of_theory import find_level, store_level
from lipsdb.errors import BadInputError, RefusedError
from lipsdb.provenance.machine import Stopwatch
from lipsdb.provenance.withdrawal import withdraw
from lipsdb.store.database import Database
from lipsdb.workflows.answering import Question, Workplace, answer, worker_database
from lipsdb.workflows.jobstore import job_store
from lipsdb.workflows.relaxation import RelaxationMaker
from lipsdb.workflows.single_points import SinglePointMaker
from lipsdb.workflows.structure import StructureMaker

RACE = """
import sys, time
from lipsdb.workflows.answering import answer
from lipsdb.workflows.structure import StructureMaker
job = StructureMaker("argon", {"file": sys.argv[1], "supercell": [3, 3, 3]}).make()
while time.time() < float(sys.argv[2]):
    pass
print(answer.original(*job.function_args)["content"])
"""


@pytest.fixture
def argon(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "argon.xyz"
    bulk("Ar", "fcc", 5.3, cubic=True).write(path)
    return {"file": str(path), "supercell": [2, 2, 2]}


def test_two_workers_at_the_same_time_leave_one_document(database: Database, argon: dict[str, Any]) -> None:
    import time

    start = str(time.time() + 6)
    command = [sys.executable, "-c", RACE, argon["file"], start]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) for _ in range(2)]
    contents = {worker.communicate(timeout=120)[0].strip() for worker in workers}
    assert len(contents) == 1
    assert [document["content"] for document in database.collection("structures").find()] == [*contents]


def test_job_of_a_flow_without_fireworks_leaves_a_document(database: Database, argon: dict[str, Any]) -> None:
    job = StructureMaker("argon", argon).make(campaigns=["by-hand"])
    output = run_locally(Flow([job]), store=job_store())[job.uuid][1].output
    document = database.find(output["id"])
    assert document["campaigns"] == ["by-hand"]
    assert document["answer"]["n_atoms"] == 32
    assert document["answer"]["density_g_cm3"] == pytest.approx(4 * 39.948 * 1.66053907 / 5.3**3)
    assert document["made_by"]["fw_id"] is None
    assert document["made_by"]["job_uuid"] == job.uuid


def test_stored_job_names_no_address(database: Database) -> None:
    assert "mongodb" not in str(job_store().as_dict())


def test_known_answer_joins_the_campaign_that_asks_next(database: Database, argon: dict[str, Any]) -> None:
    for campaign in ("first", "second", "second"):
        job = StructureMaker("argon", argon).make(campaigns=[campaign])
        reference = answer.original(*job.function_args)
    assert database.find(reference["id"])["campaigns"] == ["first", "second"]
    assert database.collection("structures").count_documents({}) == 1


def test_nothing_is_computed_on_what_was_withdrawn_after_the_job_was_submitted(
    database: Database, argon: dict[str, Any]
) -> None:
    structure = answer.original(*StructureMaker("argon", argon).make().function_args)
    level = store_level(database, find_level("disorder"))
    relaxed = RelaxationMaker("relaxed", "disorder", {"cell": False, "max_force_eV_A": 0.05, "max_steps": 1}, 1)
    label = SinglePointMaker("label", "disorder", None, 0, 1)
    withdraw(database, [structure["id"]], "another lattice", "Ada")
    with pytest.raises(BadInputError, match=f"it would stand on {structure['id']}, withdrawn by Ada: another lattice"):
        answer.original(*relaxed.make(structure).function_args)
    withdraw(database, [level["id"]], "a small basis", "Ada")
    with pytest.raises(BadInputError, match=f"it would stand on {level['id']}, withdrawn by Ada: a small basis"):
        answer.original(*label.make(structure).function_args)


def refuse(place: Any, asked: Any, inputs: Any) -> Any:
    raise RefusedError("atoms were lost at step 7")


def test_refused_result_is_not_stored(
    database: Database, argon: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import lipsdb.workflows.structure as module

    monkeypatch.setattr(module, "build_structure", refuse)
    job = StructureMaker("argon", argon).make()
    with pytest.raises(RefusedError, match="step 7"):
        answer.original(*job.function_args)
    assert database.collection("structures").count_documents({}) == 0


def test_performer_that_this_worker_lacks_is_named(database: Database) -> None:
    asked = StructureMaker("x", {"crystal": None, "file": "x"}).recipe
    assert asked["file"] == "x"
    with pytest.raises(BadInputError, match="install here what the submitter has"):
        answer.original("structure", {"builder": "b", "parameters": {}}, [], "nowhere:nothing", {}, [])


def test_identity_needs_no_answer(database: Database, argon: dict[str, Any]) -> None:
    question: Question = StructureMaker("argon", argon).question()
    job = StructureMaker("argon", argon).make()
    assert answer.original(*job.function_args)["id"] == question.id(worker_database())


def test_stored_log_names_no_folder_of_this_machine(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "label-0a102b7905e8bbb2273f44e2"
    folder.mkdir()
    place = Workplace(database, "label-0", folder, 0, Stopwatch("test"), {})
    text, middle = str(folder), len(str(folder)) - 20
    broken = f" PROGRAM STARTED IN {text[:middle]}\n{' ' * 40}{text[middle:]}\n"
    (folder / "log").write_text(f"in {text}/x\n{broken}")
    stored = database.artifacts.read(place.put_text(folder / "log", "log")["sha256"]).decode()
    assert stored == "in ./x\n PROGRAM STARTED IN .\n"
