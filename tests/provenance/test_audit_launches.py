from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lipsdb.documents.base import Input
from lipsdb.documents.label import Label, LabelAsked
from lipsdb.documents.refusal import Refusal, RefusalAnswer, RefusalAsked
from lipsdb.documents.run import Run, RunAsked
from lipsdb.provenance.audit import AuditReport, audit
from lipsdb.provenance.sealing import reference

NOT_MADE = "run-" + "0" * 24
SETTINGS = {"program": "lammps", "settings": {}}


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipsdb.provenance.audit.launches._PAUSES_S", (0.01,))


def started(launcher: Any, document: str = NOT_MADE, kind: str = "run", asked: Any = None) -> dict[str, Any]:
    """A Firework for a document, checked out by a worker."""
    (fw_id,) = launcher.submit({document: (kind, asked or SETTINGS)})
    return dict(launcher.start(fw_id))


def found(graph: Any, *levels: str) -> AuditReport:
    return audit(graph.database, levels=levels or ("launches",))


def errors(report: AuditReport) -> set[tuple[str, str]]:
    return {(finding.document, finding.check) for finding in report.errors}


def of_run(graph: Any) -> tuple[str, dict[str, Any]]:
    id_ = graph.of_kind("run")[0]
    return id_, graph.documents[id_]["made_by"]


def place_of(made_by: dict[str, Any]) -> dict[str, Any]:
    names = ("fw_id", "launch_id", "launchpad", "host", "job_uuid", "started_at", "finished_at")
    return {name: made_by[name] for name in names}


def change(graph: Any, name: str, made_by: dict[str, Any], update: dict[str, Any]) -> None:
    key = {"fireworks": "fw_id", "launches": "launch_id", "workflows": "nodes", "job_outputs": "uuid"}[name]
    value = made_by[{"nodes": "fw_id", "uuid": "job_uuid"}.get(key, key)]
    assert graph.database.collection(name).update_one({key: value}, update).modified_count == 1


def test_job_that_just_started_is_no_finding(graph: Any, launcher: Any) -> None:
    started(launcher)
    assert found(graph).findings == []


@pytest.mark.parametrize(
    "written", [lambda time: time.isoformat(), lambda time: time, lambda time: time.isoformat()[:19]]
)
def test_running_job_silent_for_six_minutes_hangs(graph: Any, launcher: Any, written: Any) -> None:
    place = started(launcher)
    for minutes, expected in ((4, set()), (6, {(f"firework-{place['fw_id']}", "launches")})):
        begun, heard = (datetime.now(UTC) - timedelta(minutes=minutes + more) for more in (1, 0))
        times = {"time_start": begun, "state_history.0.created_on": begun, "state_history.0.updated_on": heard}
        update = {"$set": {name: written(time) for name, time in times.items()}}
        graph.database.collection("launches").update_one({"launch_id": place["launch_id"]}, update)
        assert errors(found(graph)) == expected
    assert "run hot 600 K hangs" in found(graph).errors[0].message


def test_job_reserved_for_six_minutes_without_a_launch_hangs(graph: Any, launcher: Any) -> None:
    (fw_id,) = launcher.submit({NOT_MADE: ("run", SETTINGS)})
    for minutes, expected in ((4, set()), (6, {(f"firework-{fw_id}", "launches")})):
        time = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
        update = {"$set": {"state": "RESERVED", "updated_on": time}}
        graph.database.collection("fireworks").update_one({"fw_id": fw_id}, update)
        assert errors(found(graph)) == expected


def test_hanging_job_of_no_campaign_is_out_of_scope_of_one(graph: Any, launcher: Any) -> None:
    (fw_id,) = launcher.submit({NOT_MADE: ("run", SETTINGS)}, campaign=None)
    place = launcher.start(fw_id)
    launch = {"state_history.0.created_on": "2020-01-01T00:00:00", "state_history.0.updated_on": "2020-01-01T00:00:00"}
    change(graph, "launches", place, {"$set": launch | {"time_start": "2020-01-01T00:00:00"}})
    assert audit(graph.database, "small", levels=["launches"]).passed
    assert not found(graph).passed


def test_fizzled_job_is_a_note(graph: Any, launcher: Any) -> None:
    place = started(launcher)
    launcher.end(place, None, state="FIZZLED")
    report = found(graph)
    assert [(finding.level, finding.document) for finding in report.findings] == [
        ("note", f"firework-{place['fw_id']}")
    ]


def test_completed_job_without_its_document_is_an_error(graph: Any, launcher: Any) -> None:
    launcher.end(started(launcher), None)
    assert errors(found(graph)) == {(NOT_MADE, "launches")}


@pytest.mark.parametrize("state", ["PAUSED", "DEFUSED", "ARCHIVED", "READY"])
def test_workflow_that_was_set_aside_or_is_run_again_is_no_finding(graph: Any, launcher: Any, state: str) -> None:
    _, made_by = of_run(graph)
    if state == "PAUSED":
        (fw_id,) = launcher.submit({NOT_MADE: ("run", SETTINGS)})
        launcher.pad.pause_fw(fw_id)
    elif state == "DEFUSED":
        launcher.pad.defuse_fw(made_by["fw_id"])
    elif state == "ARCHIVED":
        launcher.pad.archive_wf(made_by["fw_id"])
    else:
        launcher.pad.rerun_fw(made_by["fw_id"])
        launcher.start(made_by["fw_id"])
    assert found(graph).findings == []


def test_second_firework_for_the_same_run_is_no_finding(graph: Any, launcher: Any) -> None:
    id_, _ = of_run(graph)
    stored = graph.documents[id_]
    launcher.end(started(launcher, id_, "run", stored["asked"]), reference(stored))
    assert found(graph).findings == []


def test_run_made_in_a_launch_that_was_given_up_and_found_by_the_next_is_a_note(
    graph: Any, launcher: Any, record: Any
) -> None:
    stored = graph.documents[of_run(graph)[0]]
    asked = RunAsked(program="lammps", settings=stored["asked"]["settings"] | {"seed": 3})
    run = Run.from_stored(stored).model_copy(update={"asked": asked})
    id_ = run.sealed(record("none"))["_id"]
    place = started(launcher, id_, "run", asked.model_dump())
    sealed = run.sealed(record("work", **place), ["small"])
    graph.database.insert(sealed)
    launcher.pad.mark_fizzled(place["launch_id"])
    launcher.pad.rerun_fw(place["fw_id"])
    launcher.end(launcher.start(place["fw_id"]), reference(sealed))
    assert [(finding.level, finding.document) for finding in found(graph).findings] == [("note", id_)]


def test_run_whose_launch_is_gone_is_named_with_its_downstream(graph: Any) -> None:
    id_, made_by = of_run(graph)
    graph.database.collection("launches").delete_one({"launch_id": made_by["launch_id"]})
    report = found(graph)
    assert errors(report) == {(id_, "launches"), (f"firework-{made_by['fw_id']}", "launches")}
    for finding in report.errors:
        downstream = {affected.id for affected in finding.downstream} - {id_}
        assert downstream == graph.downstream(id_)


def test_run_whose_firework_is_gone_is_an_error(graph: Any) -> None:
    id_, made_by = of_run(graph)
    graph.database.collection("fireworks").delete_one({"fw_id": made_by["fw_id"]})
    assert (id_, "launches") in errors(found(graph))


CONTRADICTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("launches", {"$set": {"fw_id": 1000}}, "that made it is of Firework 1000"),
    ("launches", {"$set": {"host": "elsewhere"}}, "ran on elsewhere"),
    ("launches", {"$set": {"state": "FIZZLED"}}, "its state is FIZZLED, but its history ends with COMPLETED"),
    ("launches", {"$set": {"state_history.1.state": "FIZZLED"}}, "its history ends with FIZZLED"),
    ("launches", {"$set": {"state_history.0.created_on": "2020-01-01T00:00:00"}}, "time_start is"),
    ("launches", {"$set": {"state_history.0.created_on": "soon"}}, "history cannot be read"),
    ("launches", {"$set": {"time_end": "2040-01-01T00:00:00"}}, "its time_end is 2040"),
    ("launches", {"$inc": {"runtime_secs": 1.0}}, "its runtime_secs is"),
    ("launches", {"$unset": {"state_history": 1}}, "it has no history"),
    ("fireworks", {"$set": {"spec.document": "run-" + "1" * 24}}, "that made it was to make run-1111"),
    ("fireworks", {"$unset": {"spec.document": 1}}, "does not say any more"),
    ("fireworks", {"$set": {"state": "RUNNING"}}, "but its workflow says COMPLETED"),
    ("fireworks", {"$set": {"state": "FIZZLED"}}, "but its workflow says COMPLETED"),
    ("fireworks", {"$set": {"launches": []}}, "but it does not name it"),
    ("fireworks", {"$set": {"spec._tasks.0.job.function_args.1.settings.seed": 9}}, "what it was asked is not"),
    ("fireworks", {"$set": {"spec._tasks.0.job.function_args.0": "structure"}}, "what it was asked is not"),
    ("fireworks", {"$set": {"spec._tasks.0.job.uuid": "another"}}, "is not the one that made it"),
    ("fireworks", {"$set": {"spec._tasks.0.job.function.@callable": "len"}}, "is not one that answers a question"),
    ("fireworks", {"$set": {"spec.campaigns": []}}, "not for the same campaigns"),
    ("workflows", {"$pop": {"nodes": 1}}, "not of the same Fireworks"),
    ("workflows", {"$set": {"state": "RUNNING"}}, "but its Fireworks' states make it COMPLETED"),
    ("workflows", {"$set": {"parent_links": {"1": [2]}}}, "its links down and up do not agree"),
    ("workflows", {"$set": {"metadata.campaign": "other"}}, "there is none of that name"),
    ("workflows", {"$set": {"metadata.campaign_id": "campaign-1"}}, "its campaign campaign-1 is missing"),
    ("workflows", {"$unset": {"metadata.campaign": 1}}, "it is for the campaign None"),
    ("job_outputs", {"$set": {"output.content": "0" * 64}}, "is not the reference of run-"),
    ("job_outputs", {"$set": {"uuid": "another"}}, "the output of its job is gone"),
    ("job_outputs", {"$set": {"metadata.fw_id": 1000}}, "said to be another Firework's"),
]


@pytest.mark.parametrize(("name", "update", "fault"), CONTRADICTIONS, ids=[str(one[1]) for one in CONTRADICTIONS])
def test_contradiction_between_records_is_an_error(graph: Any, name: str, update: dict[str, Any], fault: str) -> None:
    _, made_by = of_run(graph)
    change(graph, name, made_by, update)
    report = found(graph)
    assert any(fault in finding.message for finding in report.errors), [finding.message for finding in report.errors]


@pytest.mark.parametrize(
    ("name", "update"),
    [
        ("runs", {"$set": {"asked.settings.seed": b"bytes"}}),
        ("runs", {"$unset": {"asked": 1}}),
        ("runs", {"$set": {"campaigns": 5}}),
        ("fireworks", {"$set": {"spec": []}}),
        ("fireworks", {"$unset": {"state": 1}}),
        ("fireworks", {"$set": {"spec._tasks.0.job.function_args": 5}}),
        ("fireworks", {"$set": {"spec.document": []}}),
        ("fireworks", {"$set": {"launches": [[]]}}),
        ("fireworks", {"$set": {"fw_id": []}}),
        ("launches", {"$set": {"state_history": ["COMPLETED"]}}),
        ("launches", {"$set": {"fw_id": []}}),
        ("launches", {"$set": {"launch_id": []}}),
        ("workflows", {"$set": {"metadata": "none"}}),
        ("workflows", {"$set": {"fw_states": []}}),
        ("job_outputs", {"$set": {"metadata": "none"}}),
    ],
    ids=str,
)
def test_record_that_cannot_be_read_is_an_error_and_not_a_crash(graph: Any, name: str, update: dict[str, Any]) -> None:
    id_, made_by = of_run(graph)
    if name == "runs":
        graph.database.collection(name).update_one({"_id": id_}, update, bypass_document_validation=True)
    else:
        change(graph, name, made_by, update)
    assert not found(graph).passed


def test_workflow_of_which_a_firework_is_still_open_may_lag_behind(graph: Any, launcher: Any) -> None:
    place = started(launcher)
    change(graph, "workflows", place, {"$set": {f"fw_states.{place['fw_id']}": "READY", "state": "READY"}})
    assert found(graph).findings == []


def test_contradiction_that_is_gone_at_the_second_look_is_no_finding(
    graph: Any, launcher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = started(launcher)
    fireworks = graph.database.collection("fireworks")
    fireworks.update_one({"fw_id": place["fw_id"]}, {"$set": {"launches": []}})  # as between two writes of a checkout
    launches = [place["launch_id"]]

    def work_goes_on(seconds: float) -> None:
        fireworks.update_one({"fw_id": place["fw_id"]}, {"$set": {"launches": launches}})

    monkeypatch.setattr("lipsdb.provenance.audit.launches.time.sleep", work_goes_on)
    assert found(graph).findings == []


def test_document_made_by_another_databases_launchpad_is_no_finding(
    database: Any, labels: Any, level: Any, record: Any
) -> None:
    made = record("work", fw_id=5, launch_id=6, launchpad="another database")
    database.insert_many([level.sealed(made)])
    database.insert(labels(1)[0].sealed(made))
    assert audit(database, levels=["launches"]).findings == []


def refusal_of(label_id: str, inputs: list[Input]) -> Refusal:
    asked = RefusalAsked(
        document=label_id, system="P2S5", source="cp2k", folder="", frame=None, level_of_theory="disorder"
    )
    return Refusal(asked=asked, inputs=inputs, answer=RefusalAnswer(gate="scf", reason="the SCF did not converge"))


def test_refusal_in_place_of_the_label_that_was_asked_for_is_no_finding(
    graph: Any, launcher: Any, labels: Callable[[int], list[Label]], record: Any
) -> None:
    asked, inputs = LabelAsked(level_of_theory="disorder", repeat=3), labels(1)[0].inputs
    label_id = Label.identity_of(asked, inputs)
    place = started(launcher, label_id, "label", asked.model_dump())
    refusal = refusal_of(label_id, inputs).sealed(record("label", **place), ["small"])
    launcher.end(place, reference(refusal))
    assert errors(found(graph)) == {(label_id, "launches")}
    graph.database.insert(refusal)
    assert found(graph).findings == []


def test_refusal_of_another_label_than_its_firework_was_to_make_is_an_error(
    graph: Any, launcher: Any, record: Any
) -> None:
    _, made_by = of_run(graph)
    place = place_of(made_by)
    refusal = refusal_of("label-" + "0" * 24, []).sealed(record("label", **place))
    graph.database.insert(refusal)
    assert errors(found(graph)) == {(refusal["_id"], "launches")}


def test_label_of_a_frame_is_made_by_the_firework_of_its_run(graph: Any, labels: Any, record: Any) -> None:
    run, made_by = of_run(graph)
    place = place_of(made_by)
    label = labels(20)[-1]
    links = [*label.inputs, Input.of("run", reference(graph.documents[run]))]
    graph.database.insert(label.model_copy(update={"inputs": links}).sealed(record("md", **place)))
    assert found(graph).findings == []
    stray = labels(19)[-1].sealed(record("md", **place))  # names no run
    graph.database.insert(stray)
    assert errors(found(graph)) == {(stray["_id"], "launches")}


def test_document_made_before_its_launch_began_is_an_error(graph: Any, labels: Any, record: Any) -> None:
    run, made_by = of_run(graph)
    place = place_of(made_by)
    links = [*labels(1)[0].inputs, Input.of("run", reference(graph.documents[run]))]
    early = record("md", **place | {"started_at": datetime(2020, 1, 1, tzinfo=UTC)})
    label = labels(20)[-1].model_copy(update={"inputs": links}).sealed(early)
    graph.database.insert(label)
    assert errors(found(graph)) == {(label["_id"], "launches")}
