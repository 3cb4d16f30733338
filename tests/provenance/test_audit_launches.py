from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lipsdb.documents.base import Input
from lipsdb.documents.refusal import Refusal, RefusalAnswer, RefusalAsked
from lipsdb.provenance.audit import AuditReport, audit
from lipsdb.provenance.sealing import reference


@pytest.fixture
def pad(graph: Any) -> Any:
    """The launchpad of the graph's database."""
    from lipsdb.workflows.launchpad import launchpad

    return launchpad(graph.database)


def started(pad: Any, folder: Path, document: str = "run-" + "0" * 24) -> tuple[int, int]:
    """A Firework for a document that does not exist yet, checked out by a worker."""
    from fireworks import Firework, FWorker, Workflow
    from jobflow import Job
    from jobflow.managers.fireworks import JobFiretask

    task = JobFiretask(job=Job(len, ([],)), store=None)
    firework = Firework(task, spec={"document": document}, name="md hot 600 K")
    pad.add_wf(Workflow([firework], metadata={"campaign": "another"}))
    running, launch_id = pad.checkout_fw(FWorker(), str(folder))
    return running.fw_id, launch_id


def completed(graph: Any, pad: Any, folder: Path, document: str) -> dict[str, Any]:
    """Where a Firework for a document that ended well ran."""
    from fireworks import FWAction

    fw_id, launch_id = started(pad, folder, document)
    pad.complete_launch(launch_id, FWAction())
    return {"fw_id": fw_id, "launch_id": launch_id, "launchpad": graph.database.identifier}


def errors(report: AuditReport) -> list[tuple[str, str]]:
    return [(finding.document, finding.check) for finding in report.errors]


def of_run(graph: Any) -> tuple[str, dict[str, Any]]:
    id_ = graph.of_kind("run")[0]
    return id_, graph.documents[id_]["made_by"]


def test_job_that_just_started_is_no_finding(graph: Any, pad: Any, tmp_path: Path) -> None:
    started(pad, tmp_path)
    assert audit(graph.database).findings == []


@pytest.mark.parametrize(
    "written", [lambda time: time.isoformat(), lambda time: time, lambda time: time.isoformat()[:19]]
)
def test_running_job_silent_for_six_minutes_hangs(graph: Any, pad: Any, tmp_path: Path, written: Any) -> None:
    fw_id, launch_id = started(pad, tmp_path)
    launches = graph.database.collection("launches")
    for minutes, expected in ((4, []), (6, [(f"firework-{fw_id}", "launches")])):
        ping = written(datetime.now(UTC) - timedelta(minutes=minutes))
        launches.update_one({"launch_id": launch_id}, {"$set": {"state_history.0.updated_on": ping}})
        assert errors(audit(graph.database)) == expected
    assert "md hot 600 K hangs" in audit(graph.database).errors[0].message


def test_hanging_job_of_another_campaign_is_out_of_scope(graph: Any, pad: Any, tmp_path: Path) -> None:
    _, launch_id = started(pad, tmp_path)
    change = {"$set": {"state_history.0.updated_on": "2020-01-01T00:00:00"}}
    graph.database.collection("launches").update_one({"launch_id": launch_id}, change)
    assert audit(graph.database, "small").passed
    assert not audit(graph.database).passed


def test_fizzled_job_is_a_note(graph: Any, pad: Any, tmp_path: Path) -> None:
    from fireworks import FWAction

    fw_id, launch_id = started(pad, tmp_path)
    pad.complete_launch(launch_id, FWAction(), state="FIZZLED")
    report = audit(graph.database)
    assert [(finding.level, finding.document) for finding in report.findings] == [("note", f"firework-{fw_id}")]


def test_completed_job_without_its_document_is_an_error(graph: Any, pad: Any, tmp_path: Path) -> None:
    from fireworks import FWAction

    _, launch_id = started(pad, tmp_path)
    pad.complete_launch(launch_id, FWAction())
    assert errors(audit(graph.database)) == [("run-" + "0" * 24, "launches")]


def test_run_whose_launch_is_gone_is_named_with_its_downstream(graph: Any) -> None:
    id_, made_by = of_run(graph)
    graph.database.collection("launches").delete_one({"launch_id": made_by["launch_id"]})
    (finding,) = audit(graph.database).errors
    assert (finding.document, finding.check) == (id_, "launches")
    assert {affected.id for affected in finding.downstream} == graph.downstream(id_)


def test_run_whose_firework_is_gone_is_an_error(graph: Any) -> None:
    id_, made_by = of_run(graph)
    graph.database.collection("fireworks").delete_one({"fw_id": made_by["fw_id"]})
    assert errors(audit(graph.database)) == [(id_, "launches")]


def test_run_whose_firework_was_to_make_something_else_is_an_error(graph: Any) -> None:
    id_, made_by = of_run(graph)
    other = graph.of_kind("run")[1]
    change = {"$set": {"spec.document": other}}
    graph.database.collection("fireworks").update_one({"fw_id": made_by["fw_id"]}, change)
    assert errors(audit(graph.database)) == [(id_, "launches")]


def test_run_whose_launch_is_of_another_firework_is_an_error(graph: Any) -> None:
    id_, made_by = of_run(graph)
    change = {"$set": {"fw_id": made_by["fw_id"] + 1000}}
    graph.database.collection("launches").update_one({"launch_id": made_by["launch_id"]}, change)
    assert errors(audit(graph.database)) == [(id_, "launches")]


def test_launch_that_died_after_storing_its_document_is_a_note(graph: Any) -> None:
    id_, made_by = of_run(graph)
    change = {"$set": {"state": "FIZZLED"}}
    graph.database.collection("launches").update_one({"launch_id": made_by["launch_id"]}, change)
    report = audit(graph.database)
    assert report.passed
    assert [finding.document for finding in report.findings] == [id_]


def test_document_made_by_another_databases_launchpad_is_no_finding(
    database: Any, labels: Any, level: Any, record: Any
) -> None:
    made = record("work", fw_id=5, launch_id=6, launchpad="another database")
    database.insert_many([level.sealed(made)])
    database.insert(labels(1)[0].sealed(made))
    assert audit(database).findings == []


def refusal_of(label_id: str) -> Refusal:
    asked = RefusalAsked(
        document=label_id, system="P2S5", source="cp2k", folder="", frame=None, level_of_theory="disorder"
    )
    return Refusal(asked=asked, answer=RefusalAnswer(gate="scf", reason="the SCF did not converge"))


def test_refusal_in_place_of_the_label_that_was_asked_for_is_no_finding(
    graph: Any, pad: Any, tmp_path: Path, record: Any
) -> None:
    label_id = "label-" + "0" * 24
    launch = completed(graph, pad, tmp_path, label_id)
    assert errors(audit(graph.database)) == [(label_id, "launches")]
    graph.database.insert(refusal_of(label_id).sealed(record("label", **launch)))
    assert audit(graph.database).findings == []


def test_refusal_of_another_label_than_its_firework_was_to_make_is_an_error(
    graph: Any, pad: Any, tmp_path: Path, record: Any
) -> None:
    launch = completed(graph, pad, tmp_path, graph.of_kind("run")[0])
    refusal = refusal_of("label-" + "0" * 24).sealed(record("label", **launch))
    graph.database.insert(refusal)
    assert errors(audit(graph.database)) == [(refusal["_id"], "launches")]


def test_label_of_a_frame_is_made_by_the_firework_of_its_run(
    graph: Any, pad: Any, tmp_path: Path, labels: Any, record: Any
) -> None:
    run = graph.of_kind("run")[0]
    launch = {name: graph.documents[run]["made_by"][name] for name in ("fw_id", "launch_id", "launchpad")}
    label = labels(20)[-1]
    links = [*label.inputs, Input.of("run", reference(graph.documents[run]))]
    graph.database.insert(label.model_copy(update={"inputs": links}).sealed(record("md", **launch)))
    assert audit(graph.database).findings == []
    graph.database.insert(labels(19)[-1].sealed(record("md", **launch)))  # names no run
    assert [check for _, check in errors(audit(graph.database))] == ["launches"]
