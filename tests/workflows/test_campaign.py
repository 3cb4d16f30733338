"""A small campaign, run for real: FireWorks, LAMMPS with a DeePMD potential, MongoDB."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from lipsdb.campaigns.load import CampaignFile, load_campaign
from lipsdb.errors import NotFoundError
from lipsdb.provenance.audit import audit
from lipsdb.provenance.withdrawal import taint, withdraw
from lipsdb.store.database import Database
from lipsdb.workflows.campaign import plan, submit
from lipsdb.workflows.launchpad import launchpad, write_fireworks_files
from lipsdb.workflows.local_run import RunSummary, run_workers

N_JOBS = 11  # structure, 3 runs, 3 diffusion, 3 coordination, Arrhenius


def run(n_workers: int = 2) -> RunSummary:
    return run_workers(Console(file=io.StringIO()), n_workers=n_workers)


def counts(database: Database) -> dict[str, int]:
    names = ("structures", "runs", "properties", "potentials", "datasets", "campaigns")
    return {name: database.collection(name).count_documents({}) for name in names}


def test_campaign_runs_once_and_is_known_afterwards(database: Database, small_campaign: Callable[..., Path]) -> None:
    file = load_campaign(small_campaign())
    planned = plan(database, file)
    assert [row.state for row in planned.rows] == ["to do"] * N_JOBS
    assert {row.core_seconds for row in planned.rows} == {None}

    first = submit(database, file)
    assert (first.n_known, first.n_waiting, first.n_submitted) == (0, 0, N_JOBS)
    again = submit(database, file)
    assert (again.n_known, again.n_waiting, again.n_submitted) == (0, N_JOBS, 0)

    summary = run()
    assert summary.failures == []
    assert summary.n_completed == N_JOBS
    assert counts(database) == {
        "structures": 1, "runs": 3, "properties": 7, "potentials": 1, "datasets": 1, "campaigns": 1,
    }  # fmt: skip
    planned = plan(database, file)
    assert {row.state for row in planned.rows} == {"known"}
    assert {row.document_id for row in planned.rows} <= set(database.known(row.document_id for row in planned.rows))

    run_document = database.collection("runs").find_one({"asked.settings.temperature_K": 1000})
    assert run_document is not None
    assert run_document["answer"]["n_frames"] == 101
    made_by = run_document["made_by"]
    assert made_by["fw_id"] in first.fw_ids
    assert made_by["launchpad"] == database.identifier
    assert made_by["core_seconds"] > 0
    assert {"lammps", "numba", "lipsdb"} <= set(made_by["versions"])
    assert {"in.lammps", "log.lammps"} == {artifact["name"] for artifact in made_by["files"]}
    workflow = database.collection("workflows").find_one({"metadata.campaign": "small"})
    assert workflow is not None
    assert workflow["state"] == "COMPLETED"

    nothing = submit(database, file)
    assert (nothing.n_known, nothing.n_submitted, nothing.fw_ids) == (N_JOBS, 0, [])
    report = audit(database)
    assert report.errors == []

    _check_a_withdrawn_run_is_made_again(database, file, run_document["_id"])

    # a longer campaign: what is known is not asked for again, and like work gives an estimate
    longer = load_campaign(small_campaign(seeds=[1, 2]))
    rows = plan(database, longer).rows
    assert [row.state for row in rows].count("known") == 10
    assert all(row.core_seconds is not None and row.core_seconds > 0 for row in rows if row.state == "to do")


def _check_a_withdrawn_run_is_made_again(database: Database, file: CampaignFile, id_: str) -> None:
    withdraw(database, [id_], "its disk was bad", "Ada")
    rows = plan(database, file).rows
    again = [row for row in rows if row.state == "to do"]
    assert sorted(row.question.kind for row in again) == ["property"] * 3 + ["run"]
    assert [(row.question.attempt, row.question.replaces) for row in again if row.question.kind == "run"] == [(1, id_)]
    assert {row.state for row in rows if row not in again} == {"known"}
    assert submit(database, file).n_submitted == 4
    assert run().failures == []
    assert {row.state for row in plan(database, file).rows} == {"known"}
    made = database.find(next(row.document_id for row in again if row.question.kind == "run"))
    assert (made["attempt"], made["asked"]) == (1, database.find(id_)["asked"])
    assert taint(database).of(made["_id"]) == ()
    assert audit(database).errors == []

    withdraw(database, [id_], "its disk was good", "Ada", undo=True)
    rows = plan(database, file).rows
    assert {row.state for row in rows} == {"known"}
    assert id_ in {row.document_id for row in rows}

    label = database.find(next(iter(database.query("datasets")))["_id"])["inputs"][0]["id"]
    withdraw(database, [label], "another functional", "Ada")  # known by its hash only: the potential is adopted
    rows = plan(database, file).rows
    assert [row.question.kind for row in rows if row.state == "known"] == ["structure"]
    assert {one.document for row in rows if row.state == "tainted" for one in row.withdrawn} == {label}
    assert submit(database, file).n_tainted == N_JOBS - 1
    withdraw(database, [label], "the same functional", "Ada", undo=True)


def test_rerun_of_a_finished_md_job_by_plain_fireworks_leaves_one_document(
    database: Database, small_campaign: Callable[..., Path], tmp_path: Path
) -> None:
    submit(database, load_campaign(small_campaign(temperatures_K=[900, 1000, 1100], production_ps=0.6)))
    assert run().failures == []
    before = counts(database)
    content = {run["_id"]: run["content"] for run in database.collection("runs").find()}
    firework = database.collection("fireworks").find_one({"spec.document": next(iter(content))})
    assert firework is not None

    config = write_fireworks_files(database, tmp_path / "fireworks")[-1]
    programs = Path(sys.executable).parent
    for arguments in (["lpad", "rerun_fws", "-i", str(firework["fw_id"])], ["rlaunch", "rapidfire"]):
        environment = {**_environment(), "FW_CONFIG_FILE": str(config)}
        done = subprocess.run(
            [programs / arguments[0], *arguments[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert counts(database) == before
    assert {run["_id"]: run["content"] for run in database.collection("runs").find()} == content
    assert launchpad(database).fireworks.count_documents({"state": {"$ne": "COMPLETED"}}) == 0
    assert audit(database).errors == []


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


def test_training_on_absent_labels_says_what_to_ingest(database: Database) -> None:
    file = load_campaign(Path(__file__).parents[2] / "campaigns" / "quickstart" / "train.yaml")
    blocked = plan(database, file).blocked
    assert blocked is not None
    assert "no labels of 'beta-Li3PS4'" in blocked
    with pytest.raises(NotFoundError, match="lipsdb ingest"):
        submit(database, file)
