"""Audit of launches: documents and FireWorks' records agree, and nothing hangs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from lipsdb.provenance.audit_findings import Progress, Survey
from lipsdb.provenance.kinds import COLLECTIONS

if TYPE_CHECKING:
    from lipsdb.store.database import Database

SILENT_AFTER = timedelta(minutes=5)  # a living job pings every minute
_BATCH = 1000


def check_launches(database: Database, survey: Survey, progress: Progress, campaign: str | None) -> None:
    """Check each document's launch, and each Firework's document.

    Parameters
    ----------
    database : Database
    survey : Survey
        After `check_documents`.
    progress : callable
    campaign : str or None
        Only Fireworks of this campaign's workflows.
    """
    _documents_have_launches(database, survey, progress)
    _fireworks_have_documents(database, survey, progress, campaign)


def _batches(items: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(items, _BATCH)):
        yield batch


def _documents_have_launches(database: Database, survey: Survey, progress: Progress) -> None:
    done, total = 0, len(survey.made_in)
    for batch in _batches(iter(survey.made_in.items())):
        fireworks = _by(database, "fireworks", "fw_id", [fw_id for _, (fw_id, _, _) in batch], {"spec.document": 1})
        numbers = [launch_id for _, (_, launch_id, _) in batch if launch_id is not None]
        last = {"fw_id": 1, "state": 1, "state_history": {"$slice": -1}}
        launches = _by(database, "launches", "launch_id", numbers, last)
        for id_, (fw_id, launch_id, wanted) in batch:
            _check_firework_of(survey, id_, wanted, fw_id, fireworks.get(fw_id))
            if launch_id is not None:
                _check_launch_of(survey, id_, fw_id, launch_id, launches.get(launch_id))
            done += 1
            progress("launches", done, total)
    survey.counts["launches"] = done


def _by(
    database: Database, name: str, field: str, values: Sequence[Any], fields: Mapping[str, Any]
) -> dict[Any, dict[str, Any]]:
    found = database.collection(name).find({field: {"$in": list(values)}}, {field: 1, **fields})
    return {entry[field]: entry for entry in found}


def _check_firework_of(
    survey: Survey, id_: str, wanted: frozenset[str], fw_id: int, firework: Mapping[str, Any] | None
) -> None:
    if firework is None:
        survey.error("launches", id_, f"the Firework {fw_id} that made it is not in the launchpad")
    elif firework.get("spec", {}).get("document") not in wanted:
        asked = firework.get("spec", {}).get("document")
        survey.error("launches", id_, f"the Firework {fw_id} that made it was to make {asked}")


def _check_launch_of(survey: Survey, id_: str, fw_id: int, launch_id: int, launch: Mapping[str, Any] | None) -> None:
    if launch is None:
        survey.error(
            "launches", id_, f"the launch {launch_id} of Firework {fw_id} that made it is not in the launchpad"
        )
    elif launch["fw_id"] != fw_id:
        survey.error(
            "launches", id_, f"the launch {launch_id} that made it is of Firework {launch['fw_id']}, not {fw_id}"
        )
    elif launch["state"] not in {"COMPLETED", "RUNNING"} or (launch["state"] == "RUNNING" and is_silent(launch)):
        message = (
            f"the launch {launch_id} of Firework {fw_id} stopped ({launch['state']}) after the document was stored"
        )
        survey.note("launches", id_, f"{message}; harmless: `lpad rerun_fws -i {fw_id}` finds the document")


def _fireworks_have_documents(database: Database, survey: Survey, progress: Progress, campaign: str | None) -> None:
    criteria: dict[str, Any] = {"spec.document": {"$type": "string"}}
    if campaign is not None:
        workflows = database.collection("workflows").find({"metadata.campaign": campaign}, {"nodes": 1})
        criteria["fw_id"] = {"$in": [number for workflow in workflows for number in workflow["nodes"]]}
    fireworks = database.collection("fireworks")
    total, done = fireworks.count_documents(criteria), 0
    fields = {"fw_id": 1, "state": 1, "name": 1, "spec.document": 1, "launches": 1}
    for batch in _batches(fireworks.find(criteria, fields)):
        made = [entry["spec"]["document"] for entry in batch if entry["state"] == "COMPLETED"]
        known = {*database.known(id_ for id_ in made if id_.partition("-")[0] in COLLECTIONS)}
        known |= _refused(database, [id_ for id_ in made if id_ not in known])
        running = [number for entry in batch if entry["state"] == "RUNNING" for number in entry["launches"][-1:]]
        last = {"fw_id": 1, "state": 1, "host": 1, "state_history": {"$slice": -1}}
        launches = _by(database, "launches", "launch_id", running, last)
        for entry in batch:
            _check_document_of(survey, entry, known)
            if entry["state"] == "RUNNING":
                _check_alive(survey, entry, launches)
            done += 1
            progress("fireworks", done, max(done, total))
    survey.counts["fireworks"] = done


def _refused(database: Database, ids: list[str]) -> set[str]:
    """Those labels in whose place a refusal stands."""
    found = database.collection("refusals").find({"asked.document": {"$in": ids}}, {"asked.document": 1})
    return {refusal["asked"]["document"] for refusal in found}


def _check_document_of(survey: Survey, firework: Mapping[str, Any], known: set[str]) -> None:
    fw_id, id_ = firework["fw_id"], firework["spec"]["document"]
    if firework["state"] == "COMPLETED" and id_ not in known:
        message = f"it is missing, but Firework {fw_id} ({firework['name']}) is COMPLETED"
        survey.error("launches", id_, f"{message}; `lpad rerun_fws -i {fw_id}` makes it again")
    elif firework["state"] == "FIZZLED":
        message = f"{firework['name']} FIZZLED, so {id_} was not made"
        survey.note("launches", f"firework-{fw_id}", f"{message}; `lpad get_fws -i {fw_id} -d all` tells why")


def _check_alive(survey: Survey, firework: Mapping[str, Any], launches: Mapping[int, Mapping[str, Any]]) -> None:
    fw_id, numbers = firework["fw_id"], firework["launches"]
    launch = launches.get(numbers[-1]) if numbers else None
    if launch is None:
        survey.error(
            "launches",
            f"firework-{fw_id}",
            f"{firework['name']} is RUNNING without a launch; `lpad rerun_fws -i {fw_id}`",
        )
    elif is_silent(launch):
        heard = _last_heard(launch)
        since = "never" if heard is None else f"last at {heard:%Y-%m-%d %H:%M:%S} UTC"
        message = f"{firework['name']} hangs: RUNNING on {launch.get('host')}, but heard of {since}"
        remedy = "its worker died or lost the database; `lipsdb run` takes it up again"
        survey.error("launches", f"firework-{fw_id}", f"{message}; {remedy}, or `lpad rerun_fws -i {fw_id}`")


def is_silent(launch: Mapping[str, Any]) -> bool:
    """Whether a launch has given no sign of life for `SILENT_AFTER`."""
    heard = _last_heard(launch)
    return heard is None or datetime.now(UTC) - heard > SILENT_AFTER


def _last_heard(launch: Mapping[str, Any]) -> datetime | None:
    """Last sign of life of a launch; FireWorks writes times as text mostly, as dates sometimes."""
    history = launch.get("state_history") or [{}]
    time = history[-1].get("updated_on") or history[-1].get("created_on")
    try:
        heard = datetime.fromisoformat(time) if isinstance(time, str) else time
        return heard.astimezone(UTC) if heard.tzinfo else heard.replace(tzinfo=UTC)
    except (ValueError, AttributeError):
        return None
