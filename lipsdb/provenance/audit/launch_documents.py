"""Documents and launches against each other: who made what, where, when, and was that asked?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lipsdb.provenance.audit.launch_records import CLOCKS, history_of, is_silent, time_of
from lipsdb.provenance.audit.reading import lenient
from lipsdb.provenance.canonical import digest
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.links import links_of
from lipsdb.provenance.sealing import identity, reference

if TYPE_CHECKING:
    from lipsdb.store.database import Database

_ANSWER = {"@module": "lipsdb.workflows.answering", "@callable": "answer"}
_ARGUMENTS = ("kind", "asked", "links", "performer", "options", "campaigns", "attempt")
_OUTPUTS = "job_outputs"
JOB_FIELDS = {
    f"spec._tasks.job.{name}": 1
    for name in ("uuid", "function", "function_args", "function_kwargs", "metadata.document")
}
LAUNCH_FIELDS = {"action": 0, "trackers": 0, "fworker": 0}


def job_of(firework: Mapping[str, Any]) -> Mapping[str, Any]:
    """The jobflow job of a Firework; empty if it has none."""
    tasks = _spec(firework).get("_tasks")
    job = tasks[0].get("job") if isinstance(tasks, list) and tasks and isinstance(tasks[0], Mapping) else None
    return job if isinstance(job, Mapping) else {}


def document_of(firework: Mapping[str, Any]) -> Any:
    """Id of the document that a Firework is to make; None if it does not say."""
    return _spec(firework).get("document")


def _spec(firework: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = firework.get("spec")
    return spec if isinstance(spec, Mapping) else {}


# ------------------------------------------------------------------- from the documents to their launches


def made_here(database: Database, kind: str, scope: set[str] | None, at_once: int) -> Iterator[list[dict[str, Any]]]:
    """Documents of a kind that this database's launchpad made, some at a time: who made them, not what."""
    fields: dict[str, Any] = {"made_by": 1, "asked.document": 1}
    if kind in {"label", "refusal"}:
        fields["inputs"] = 1
    criteria = {"made_by.fw_id": {"$type": "number"}, "made_by.launchpad": database.identifier}
    batch: list[dict[str, Any]] = []
    for document in lenient(database, COLLECTIONS[kind]).find(criteria, fields):
        if (scope is None or document["_id"] in scope) and _legible(document["made_by"]):
            batch.append(document)
        if len(batch) == at_once:
            yield batch
            batch = []
    yield batch


def _legible(made_by: Any) -> bool:
    """Whether it names a launch; what is damaged is a finding of the content."""
    numbers = [made_by.get("fw_id"), made_by.get("launch_id")] if isinstance(made_by, Mapping) else [[]]
    return all(number is None or isinstance(number, int | float) for number in numbers)


def _asked_for(document: Mapping[str, Any]) -> set[str]:
    """Ids that the Firework that made a document may have been asked for.

    Its own, that of the label for which a refusal stands, that of the run that gave a label.
    """
    kind, asked = str(document["_id"]).partition("-")[0], document.get("asked")
    wanted = {str(document["_id"])}
    if kind == "refusal" and isinstance(asked, Mapping):
        wanted.add(str(asked.get("document")))
    if kind in {"label", "refusal"}:
        wanted |= {link["id"] for link in links_of(document) if link["id"].startswith("run-")}
    return wanted


def launch_faults(database: Database, documents: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Of documents made here: what their Fireworks and launches say otherwise.

    Yields
    ------
    level, id, fault : tuple
    """
    by_fw_id = {document["made_by"]["fw_id"] for document in documents}
    by_launch = {document["made_by"].get("launch_id") for document in documents} - {None}
    fields = {"fw_id": 1, "spec.document": 1, "launches": 1, "archived_launches": 1, "spec._tasks.job.uuid": 1}
    fireworks = _by(database, "fireworks", "fw_id", by_fw_id, fields)
    launches = _by(database, "launches", "launch_id", by_launch, LAUNCH_FIELDS)
    for document in documents:
        made_by, id_ = document["made_by"], str(document["_id"])
        fw_id, launch_id = made_by["fw_id"], made_by.get("launch_id")
        for fault in _firework_faults(document, made_by, fireworks.get(fw_id)):
            yield "error", id_, fault
        if launch_id is not None:
            for level, fault in _launch_faults(made_by, launches.get(launch_id)):
                yield level, id_, fault


def _by(
    database: Database, name: str, field: str, values: set[Any], fields: Mapping[str, int]
) -> dict[Any, dict[str, Any]]:
    found = lenient(database, name).find({field: {"$in": list(values)}}, fields)
    return {entry[field]: entry for entry in found}


def _firework_faults(
    document: Mapping[str, Any], made_by: Mapping[str, Any], firework: Mapping[str, Any] | None
) -> Iterator[str]:
    fw_id, launch_id = made_by["fw_id"], made_by.get("launch_id")
    if firework is None:
        yield f"the Firework {fw_id} that made it is not in the launchpad"
        return
    if document_of(firework) is not None and str(document_of(firework)) not in _asked_for(document):
        yield f"the Firework {fw_id} that made it was to make {document_of(firework)}"
    if made_by.get("job_uuid") != job_of(firework).get("uuid"):
        yield f"the job of Firework {fw_id} is not the one that made it"
    lists = [firework.get("launches"), firework.get("archived_launches")]
    if launch_id is not None and not any(launch_id in numbers for numbers in lists if isinstance(numbers, list)):
        yield f"the Firework {fw_id} that made it does not name the launch {launch_id}"


def _launch_faults(made_by: Mapping[str, Any], launch: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    fw_id, launch_id, host = made_by["fw_id"], made_by["launch_id"], str(made_by.get("host"))
    if launch is None:
        yield "error", f"the launch {launch_id} of Firework {fw_id} that made it is not in the launchpad"
        return
    state = launch.get("state")
    if launch.get("fw_id") != fw_id:
        yield "error", f"the launch {launch_id} that made it is of Firework {launch.get('fw_id')}, not {fw_id}"
    if host != launch.get("host") and not host.startswith("withheld:"):
        yield "error", f"it was made on {host}, but its launch {launch_id} ran on {launch.get('host')}"
    history = history_of(launch) or [{}]
    begin, end = time_of(launch.get("time_start")), time_of(history[-1].get("created_on"))
    started, finished = time_of(made_by.get("started_at")), time_of(made_by.get("finished_at"))
    if started is None or finished is None:
        return  # a finding of its content
    if begin is None or started < begin - CLOCKS:
        yield "error", f"it was begun at {started}, but its launch {launch_id} at {begin}"
    # a launch that was given up may go on unseen
    if state == "COMPLETED" and (end is None or finished > end + CLOCKS):
        yield "error", f"it was finished at {finished}, but its launch {launch_id} at {end}"
    if state not in {"COMPLETED", "RUNNING"} or (state == "RUNNING" and is_silent(launch)):
        message = f"the launch {launch_id} of Firework {fw_id} stopped ({state}) after the document was stored"
        yield "note", f"{message}; harmless: `lpad rerun_fws -i {fw_id}` finds the document"


# ------------------------------------------------------------------- from the Fireworks to their documents


@dataclass(frozen=True)
class Answers:
    """What there is of the documents that some Fireworks were to make."""

    documents: Mapping[str, Mapping[str, Any]]
    refusals: Mapping[str, Mapping[str, Any]]  # by the id of the label
    outputs: Mapping[str, Sequence[Mapping[str, Any]]]  # by the job's uuid
    joined: Mapping[str, set[str]]  # campaigns that asked later, by document
    campaigns: Mapping[str, str]  # names of all that were submitted, by id
    launchpad: str

    def campaigns_of(self, document: Mapping[str, Any]) -> set[str]:
        """The campaigns that asked for a document."""
        return {*map(str, document.get("campaigns") or []), *self.joined.get(str(document["_id"]), set())}

    def made_by(self, firework: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
        """Whether this Firework made a document."""
        made_by = document.get("made_by") or {}
        return bool(made_by.get("fw_id") == firework["fw_id"] and made_by.get("launchpad") == self.launchpad)


def read_answers(database: Database, fireworks: Sequence[Mapping[str, Any]]) -> Answers:
    """Read what Fireworks that are COMPLETED should have left."""
    from lipsdb.store.joins import JOINS

    done = [firework for firework in fireworks if firework.get("state") == "COMPLETED"]
    outputs: dict[str, list[dict[str, Any]]] = {}
    uuids = [job["uuid"] for job in map(job_of, done) if isinstance(job.get("uuid"), str)]
    fields = {"uuid": 1, "index": 1, "output": 1, "metadata.fw_id": 1}
    for output in lenient(database, _OUTPUTS).find({"uuid": {"$in": uuids}}, fields).sort("index", 1):
        outputs.setdefault(output["uuid"], []).append(output)
    ids = {id_ for id_ in map(document_of, done) if isinstance(id_, str)}
    for several in outputs.values():
        answer = several[-1].get("output")
        ids |= {str(answer.get("id"))} if isinstance(answer, Mapping) else set()
    documents: dict[str, dict[str, Any]] = {}
    names = ("kind", "content", "asked", "attempt", "campaigns", "made_by.fw_id", "made_by.launchpad")
    fields = dict.fromkeys(names, 1)
    for kind, name in COLLECTIONS.items():
        wanted = [id_ for id_ in ids if id_.startswith(f"{kind}-")]
        if wanted:
            documents |= {one["_id"]: one for one in lenient(database, name).find({"_id": {"$in": wanted}}, fields)}
    labels = [id_ for id_ in ids if id_.startswith("label-")]
    refusals = {}
    if labels:
        fields["inputs"] = 1
        for refusal in lenient(database, COLLECTIONS["refusal"]).find({"asked.document": {"$in": labels}}, fields):
            refusals[refusal["asked"]["document"]] = refusal
    joined: dict[str, set[str]] = {}
    everything = [*documents, *(refusal["_id"] for refusal in refusals.values())]
    for note in lenient(database, JOINS).find({"document": {"$in": everything}}):
        joined.setdefault(note["document"], set()).add(str(note.get("campaign")))
    submitted = lenient(database, COLLECTIONS["campaign"]).find({}, {"asked.name": 1})
    campaigns = {str(one["_id"]): str((one.get("asked") or {}).get("name")) for one in submitted}
    return Answers(documents, refusals, outputs, joined, campaigns, database.identifier)


def faults_of_answer(firework: Mapping[str, Any], answers: Answers) -> Iterator[tuple[str, str]]:
    """What a Firework was asked, what it gave, and what is stored: where they differ.

    Yields
    ------
    id, fault : tuple
        Of the Firework ('firework-N'), or of the document that it should have left.
    """
    wanted, job, name = document_of(firework), job_of(firework), f"firework-{firework['fw_id']}"
    function = job.get("function")
    if not isinstance(function, Mapping) or {key: function.get(key) for key in _ANSWER} != _ANSWER:
        if wanted is not None:
            yield name, f"it is to make {wanted}, but its job is not one that answers a question"
        return
    if not isinstance(wanted, str) and isinstance((job.get("metadata") or {}).get("document"), str):
        yield name, "it does not say any more which document it is to make"
    call = dict(zip(_ARGUMENTS, job.get("function_args") or [], strict=False)) | dict(job.get("function_kwargs") or {})
    if sorted(firework["spec"].get("campaigns") or []) != sorted(call.get("campaigns") or []):
        yield name, "it and its job are not for the same campaigns"
    if firework["state"] != "COMPLETED":
        return
    outputs = answers.outputs.get(str(job.get("uuid")), [])
    output = outputs[-1].get("output") if outputs else None
    given = output.get("id") if isinstance(output, Mapping) else None
    document, refusal = answers.documents.get(str(wanted or given)), answers.refusals.get(str(wanted))
    if document is None and refusal is None:
        message = f"it is missing, but Firework {firework['fw_id']} ({firework.get('name')}) is COMPLETED"
        yield str(wanted or given), f"{message}; `lpad rerun_fws -i {firework['fw_id']}` makes it again"
        return
    stored = [one for one in (document, refusal) if one is not None]
    yield from ((name, fault) for fault in _output_faults(firework, outputs, stored))
    if not any(_same_question(call, one, str(wanted or given)) for one in stored):
        yield name, f"what it was asked is not what {stored[0]['_id']} answers"
    asking = set(map(str, call.get("campaigns") or []))
    if not any(asking <= answers.campaigns_of(one) for one in stored):
        yield name, f"it was for {', '.join(sorted(asking))}, but {stored[0]['_id']} does not belong to all of these"
    for one in stored:
        others = set(map(str, one.get("campaigns") or [])) - asking - set(answers.campaigns.values())
        if others and answers.made_by(firework, one):
            yield str(one["_id"]), f"there is no campaign {sorted(others)[0]!r}, to which it is said to belong"


def _output_faults(
    firework: Mapping[str, Any], outputs: Sequence[Mapping[str, Any]], stored: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    if not outputs:
        yield "it is COMPLETED, but the output of its job is gone"
        return
    if len({output.get("index") for output in outputs}) < len(outputs):
        yield "its job has the same output twice"
    if outputs[-1].get("output") not in [reference(one) for one in stored]:
        yield f"the output of its job is not the reference of {stored[0]['_id']}"
    if (outputs[-1].get("metadata") or {}).get("fw_id") != firework["fw_id"]:
        yield "the output of its job is said to be another Firework's"


def _same_question(call: Mapping[str, Any], stored: Mapping[str, Any], wanted: str) -> bool:
    kind, asked, attempt = call.get("kind"), call.get("asked"), call.get("attempt", 0)
    if not isinstance(asked, Mapping) or not isinstance(attempt, int) or kind != wanted.partition("-")[0]:
        return False
    return any(_answers(stored, str(kind), one, attempt, wanted) for one in _readings(str(kind), asked))


def _readings(kind: str, asked: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What was asked, as it stands there and with what its model adds."""
    from pydantic import ValidationError

    from lipsdb.documents import document_types

    yield asked
    try:
        yield document_types()[kind].model_fields["asked"].annotation.model_validate(asked).model_dump()  # type: ignore[union-attr]
    except ValidationError:
        return


def _answers(stored: Mapping[str, Any], kind: str, asked: Mapping[str, Any], attempt: int, wanted: str) -> bool:
    if stored["kind"] == kind:
        return digest(asked) == digest(stored["asked"]) and attempt == stored.get("attempt", 0)
    return identity(kind, asked, stored["inputs"], attempt) == wanted  # a refusal in place of a label
