"""Audit of launches: documents and FireWorks' records tell the same story, and nothing hangs.

What is vouched for in FireWorks' records, since it stands there twice or in a document, too:

- of a launch: that it is there, once; state, history (states and times), ``fw_id``, ``launch_id``, ``time_start``,
  ``time_end``, ``runtime_secs``; ``host``, start and end against those of the documents made in it;
- of a Firework: that it is there, in one workflow; state, ``launches``, ``archived_launches``, ``spec.document``,
  ``spec.campaigns``; of one that is COMPLETED what its job asked (kind, parameters, attempt, campaigns, ``uuid``);
- of a workflow: ``nodes``, ``links``, ``parent_links``, ``fw_states``, ``state``, ``metadata.campaign`` and
  ``metadata.campaign_id``, if it has one;
- of a job's output: that it is there, once, and is the reference of the document; its ``fw_id``.

Not vouched for: names, worker (``fworker``, ``ip``, ``launch_dir``), trackers, checkpoints, ``action`` (what a failed
job printed), when a record was created or updated, the options and categories that change how quickly a job runs, its
links (the document's own are sealed) and performer, the remainder of ``metadata``, and whatever jobflow keeps beside.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from lipsdb.provenance.audit.findings import Progress, Survey
from lipsdb.provenance.audit.launch_documents import (
    JOB_FIELDS,
    LAUNCH_FIELDS,
    document_of,
    faults_of_answer,
    launch_faults,
    made_here,
    read_answers,
)
from lipsdb.provenance.audit.launch_records import (
    OPEN,
    SILENT_AFTER,
    faults_of_firework,
    faults_of_launch,
    faults_of_workflow,
    hanging,
    is_silent,
)
from lipsdb.provenance.audit.reading import lenient
from lipsdb.provenance.kinds import COLLECTIONS

if TYPE_CHECKING:
    from lipsdb.store.database import Database

__all__ = ["SILENT_AFTER", "check_launches", "is_silent"]

T = TypeVar("T")
Fault = tuple[str, str, str]  # level, what it is about, message
_AT_ONCE = 1000
_ILLEGIBLE = "its record cannot be read"
_PAUSES_S = (0.05, 0.3, 1.0)  # FireWorks writes one event in several places
_FIREWORK_FIELDS = {
    "fw_id": 1, "name": 1, "state": 1, "launches": 1, "archived_launches": 1, "updated_on": 1, "spec.document": 1,
    "spec.campaigns": 1, "spec._dupefinder": 1, "spec._allow_fizzled_parents": 1, **JOB_FIELDS,
}  # fmt: skip


def check_launches(database: Database, survey: Survey, progress: Progress, campaign: str | None = None) -> None:
    """Check each document's launch, and FireWorks' records with what they should have left.

    Parameters
    ----------
    database : Database
    survey : Survey
        Its scope is kept to; findings and counts are added.
    progress : callable
    campaign : str or None
        Only Fireworks of this campaign's workflows.
    """
    for kind in COLLECTIONS:
        for documents in made_here(database, kind, survey.scope, _AT_ONCE):
            _tell(survey, launch_faults(database, documents))
            survey.counts["launches"] += len(documents)
            progress("launches", survey.counts["launches"], survey.counts["launches"])
    criteria = {} if campaign is None else {"metadata.campaign": campaign}
    done, total = 0, database.collection("fireworks").estimated_document_count()
    for ids, n_nodes in _workflows(database, criteria):
        _tell(survey, _settled(partial(_read_workflows, database, survey, ids)))
        done += n_nodes
        progress("fireworks", done, max(done, total))
    survey.counts["fireworks"] = done
    if campaign is None:
        _tell(survey, _settled(lambda: (list(_strays(database)), True)))


def _tell(survey: Survey, faults: Iterator[Fault] | Sequence[Fault]) -> None:
    for level, about, message in faults:
        (survey.error if level == "error" else survey.note)("launches", about, message)


def _settled(read: Callable[[], tuple[list[Fault], bool]]) -> list[Fault]:
    """Faults that are still there when one looks again; `read` also tells whether work goes on."""
    found, active = read()
    for pause in _PAUSES_S:
        if all(level == "note" for level, _, _ in found):
            break
        time.sleep(pause if active else 0.0)
        again, active = read()
        found = [fault for fault in found if fault in again]
        if not active:
            break
    return found


def _workflows(database: Database, criteria: Mapping[str, Any]) -> Iterator[tuple[list[Any], int]]:
    """Keys of workflows that have some thousand Fireworks together, and the number of these."""
    ids, n_nodes = [], 0
    for workflow in database.collection("workflows").find(criteria, {"nodes": 1}):
        ids.append(workflow["_id"])
        n_nodes += len(workflow["nodes"]) if isinstance(workflow.get("nodes"), list) else 0
        if n_nodes >= _AT_ONCE:
            yield ids, n_nodes
            ids, n_nodes = [], 0
    if ids:
        yield ids, n_nodes


def _read_workflows(database: Database, survey: Survey, ids: Sequence[Any]) -> tuple[list[Fault], bool]:
    """Faults of workflows, their Fireworks and launches; and whether work goes on there."""
    workflows = list(lenient(database, "workflows").find({"_id": {"$in": list(ids)}}))
    chosen = {"fw_id": {"$in": [node for workflow in workflows for node in _nodes(workflow)]}}
    fireworks = {entry["fw_id"]: entry for entry in lenient(database, "fireworks").find(chosen, _FIREWORK_FIELDS)}
    launches = _launches(database, fireworks)
    answers = read_answers(database, list(fireworks.values()))
    faults: list[Fault] = []
    for workflow in workflows:
        name = f"workflow-{min(_nodes(workflow), default=0)}"
        for fw_id, fault in _legible(faults_of_workflow(workflow, fireworks), (None, _ILLEGIBLE)):
            faults.append(("error", name if fw_id is None else f"firework-{fw_id}", fault))
        found = _legible(_campaign_faults(workflow, fireworks, answers.campaigns), _ILLEGIBLE)
        faults += [("error", name, fault) for fault in found]
    for fw_id, firework in fireworks.items():
        name = f"firework-{fw_id}"
        faults += _legible(_firework_faults(firework, launches.get(fw_id, {})), ("error", name, _ILLEGIBLE))
        answered = _legible(faults_of_answer(firework, answers), (name, _ILLEGIBLE))
        faults += [("error", about, fault) for about, fault in answered]
    for about in {about for _, about, _ in faults}:
        wanted = (
            document_of(fireworks.get(int(about.rpartition("-")[2]), {})) if about.startswith("firework-") else None
        )
        if isinstance(wanted, str):
            survey.files[about] = [wanted]  # what is wrong with it concerns its document and all downstream
    states = {str(firework.get("state")) for firework in fireworks.values()}
    return faults, bool(states & OPEN) or any(workflow.get("locked") for workflow in workflows)


def _nodes(workflow: Mapping[str, Any]) -> list[int]:
    return _whole(workflow.get("nodes"))


def _whole(numbers: Any) -> list[int]:
    """Those of a list that are whole numbers; whatever else stands there is a finding elsewhere."""
    return [number for number in numbers if isinstance(number, int)] if isinstance(numbers, list) else []


def _legible(found: Iterator[T], illegible: T) -> list[T]:
    """What was found in a record that was read."""
    try:
        return list(found)
    except Exception:  # damage can take any form; each is a finding, none may stop the audit
        return [illegible]


def _launches(database: Database, fireworks: Mapping[int, Mapping[str, Any]]) -> dict[int, dict[int, dict[str, Any]]]:
    """Launches that Fireworks name, and those that name them, by fw_id and launch_id."""
    named: dict[Any, list[int]] = {}
    for fw_id, firework in fireworks.items():
        for numbers in (firework.get("launches"), firework.get("archived_launches")):
            for number in _whole(numbers):
                named.setdefault(number, []).append(fw_id)
    either = [{"fw_id": {"$in": list(fireworks)}}, {"launch_id": {"$in": list(named)}}]
    found: dict[Any, dict[Any, dict[str, Any]]] = {}
    for launch in lenient(database, "launches").find({"$or": either}, LAUNCH_FIELDS):
        for number in _whole([launch.get("launch_id")]):
            for owner in {*_whole([launch.get("fw_id")]), *named.get(number, [])}:
                found.setdefault(owner, {})[number] = launch
    return found


def _firework_faults(firework: Mapping[str, Any], launches: Mapping[int, Mapping[str, Any]]) -> Iterator[Fault]:
    fw_id, name, wanted = firework["fw_id"], f"firework-{firework['fw_id']}", document_of(firework)
    for fault in faults_of_firework(firework, launches):
        yield "error", name, fault
    for number, launch in launches.items():
        for fault in faults_of_launch(launch):
            yield "error", name, f"launch {number}: {fault}"
    reason = hanging(firework, launches)
    if reason is not None:
        yield "error", name, reason
    if firework.get("state") == "FIZZLED" and isinstance(wanted, str):
        message = f"{firework.get('name')} FIZZLED, so {wanted} was not made"
        yield "note", name, f"{message}; `lpad get_fws -i {fw_id} -d all` tells why"


def _campaign_faults(
    workflow: Mapping[str, Any], fireworks: Mapping[int, Mapping[str, Any]], campaigns: Mapping[str, str]
) -> Iterator[str]:
    """What is wrong with the campaign that a workflow says it belongs to."""
    metadata = workflow.get("metadata") or {}
    name, id_ = metadata.get("campaign"), metadata.get("campaign_id")
    if id_ is not None and id_ not in campaigns:
        yield f"its campaign {id_} is missing"
    elif id_ is not None and campaigns[id_] != name:
        yield f"it is for the campaign {name}, but {id_} is {campaigns[id_]}"
    if name is None:
        return
    if name not in campaigns.values():
        yield f"it is for the campaign {name!r}, but there is none of that name"
    for node in _nodes(workflow):
        asking = (fireworks.get(node, {}).get("spec") or {}).get("campaigns")
        if isinstance(asking, list) and name not in asking:
            yield f"it is for the campaign {name}, but its Firework {node} is not"


def _strays(database: Database) -> Iterator[Fault]:
    """Fireworks that are in no workflow or in several, and launches of no Firework."""
    counts: Counter[Any] = Counter()
    for workflow in lenient(database, "workflows").find({}, {"nodes": 1}):
        counts.update(_nodes(workflow))
    there = set()
    for firework in lenient(database, "fireworks").find({}, {"fw_id": 1, "_id": 0}):
        number = next(iter(_whole([firework.get("fw_id")])), 0)
        there.add(number)
        if counts[number] != 1:
            yield "error", f"firework-{number}", f"it is in {counts[number]} workflows, not in one"
    for launch in lenient(database, "launches").find({}, {"fw_id": 1, "launch_id": 1}):
        if not there.issuperset(_whole([launch.get("fw_id")]) or [-1]):
            fault = f"it is of Firework {launch.get('fw_id')}, which is not in the launchpad"
            yield "error", f"launch-{launch.get('launch_id')}", fault
