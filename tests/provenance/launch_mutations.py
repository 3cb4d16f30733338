"""Mutations of FireWorks' records: launches, Fireworks, workflows, and the outputs of jobs."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from bson.objectid import ObjectId
from mutation import Chooser, Entry, Mutation, Path, another_id, at, copied, other, places

from lipsdb.provenance.kinds import COLLECTIONS

STATES = ["ARCHIVED", "FIZZLED", "DEFUSED", "PAUSED", "WAITING", "READY", "RESERVED", "RUNNING", "COMPLETED"]


def another_state(state: str, chance: random.Random) -> str:
    return chance.choice([one for one in STATES if one != state])


def another_time(text: str, chance: random.Random) -> str:
    time = datetime.fromisoformat(text) + timedelta(seconds=chance.choice([-86400, -60, -1, 1, 60, 86400]))
    return chance.choice([time.isoformat(), time.isoformat(), "some time"])


def launch(choose: Chooser, mutation: Mutation) -> None:
    while True:
        name, entry = choose.entry("launches")
        made = (choose.database.collection(one) for one in COLLECTIONS.values())
        here = {"made_by.launch_id": entry["launch_id"], "made_by.launchpad": choose.database.identifier}
        if any(one.find_one(here, {"_id": 1}) for one in made):  # of others nothing is known but themselves
            break
    new, chance = copied(entry), choose.chance
    changes: dict[str, Callable[[], Any]] = {
        "state": lambda: another_state(entry["state"], chance),
        "fw_id": lambda: entry["fw_id"] + chance.choice([-1, 1]),
        "launch_id": lambda: entry["launch_id"] + 1_000_000,
        "host": lambda: other(entry["host"], chance),
        "time_start": lambda: another_time(entry["time_start"], chance),
        "time_end": lambda: another_time(entry["time_end"], chance),
        "runtime_secs": lambda: entry["runtime_secs"] + chance.choice([-1, 0.1, 100]),
    }
    part = chance.choice([*changes, "deleted", "history state", "history time", "history lost", "history gone"])
    mutation.what = f"{name} {entry['launch_id']} {part}"
    if part == "deleted":
        mutation.replace(name, entry, None)
        return
    moment = chance.choice(new["state_history"])
    if part in changes:
        new[part] = changes[part]()
    elif part == "history state":
        moment["state"] = another_state(moment["state"], chance)
    elif part == "history time":
        moment["created_on"] = another_time(moment["created_on"], chance)
    elif part == "history lost":
        new["state_history"].remove(moment)
    else:
        del new["state_history"]
    mutation.replace(name, entry, new)


def firework(choose: Chooser, mutation: Mutation) -> None:
    while True:
        name, entry = choose.entry("fireworks")
        if entry["state"] == "COMPLETED" and isinstance(entry["spec"].get("document"), str):
            break
    new, chance = copied(entry), choose.chance
    spec, job = new["spec"], new["spec"]["_tasks"][0]["job"]
    asked = [
        path for path in places(job["function_args"][1]) if not isinstance(at(job["function_args"][1], path), dict)
    ]
    path = chance.choice(asked)
    changes: dict[str, Callable[[], Any]] = {
        "state": lambda: new.update(state=another_state(entry["state"], chance)),
        "fw_id": lambda: new.update(fw_id=entry["fw_id"] + 1_000_000),
        "launches": lambda: new.update(launches=chance.choice([[], [10**6], [*entry["launches"], 10**6]])),
        "archived_launches": lambda: new.update(archived_launches=entry["launches"]),
        "document": lambda: spec.update(document=choose.document()[1]["_id"]),
        "document changed": lambda: spec.update(document=another_id(spec["document"], chance)),
        "document removed": lambda: spec.pop("document"),
        "campaigns": lambda: spec.update(campaigns=[*spec["campaigns"], "other"]),
        "job uuid": lambda: job.update(uuid=other(job["uuid"], chance)),
        "job kind": lambda: job["function_args"].__setitem__(
            0, "label" if job["function_args"][0] != "label" else "run"
        ),
        "job attempt": lambda: job.update(function_args=[*job["function_args"][:6], 5]),
        "job campaigns": lambda: job["function_args"].__setitem__(5, ["other"]),
        "job function": lambda: job["function"].update({"@callable": "len"}),
        **dict.fromkeys(["asked 1", "asked 2", "asked 3"], lambda: ask(job["function_args"][1], path, chance)),
    }
    part = chance.choice([*changes, "deleted"])
    mutation.what = f"{name} {entry['fw_id']} {part} {path if part.startswith('asked') else ''}"
    if part == "deleted":
        mutation.replace(name, entry, None)
        return
    changes[part]()
    mutation.replace(name, entry, new)


def ask(asked: Entry, path: Path, chance: random.Random) -> None:
    """Ask for something else: not the same number in another type."""
    inside, value = at(asked, path[:-1]), at(asked, path)
    if isinstance(value, bool):
        inside[path[-1]] = not value
    elif isinstance(value, int | float):
        inside[path[-1]] = value + chance.choice([-1, 1])
    else:
        inside[path[-1]] = "other" if value is None else value + ("x" if isinstance(value, str) else [0])


def workflow(choose: Chooser, mutation: Mutation) -> None:
    name, entry = choose.entry("workflows")
    new, chance = copied(entry), choose.chance
    node = str(chance.choice(entry["nodes"]))
    linked = [one for one, others in entry["links"].items() if others]
    metadata = new["metadata"]
    changes: dict[str, Callable[[], Any]] = {
        "state": lambda: new.update(state=another_state(entry["state"], chance)),
        "node lost": lambda: new["nodes"].remove(int(node)),
        "node added": lambda: new["nodes"].append(10**6),
        "state of one": lambda: new["fw_states"].update({node: another_state(entry["fw_states"][node], chance)}),
        "state of one lost": lambda: new["fw_states"].pop(node),
        "link added": lambda: new["links"][node].append(chance.choice([*entry["nodes"], 10**6])),
        "links gone": lambda: new["links"].pop(node),
        "campaign": lambda: metadata.update(campaign=other(metadata["campaign"], chance)),
    }
    if linked:
        changes["link lost"] = new["links"][chance.choice(linked)].pop
        changes["link up lost"] = lambda: new["parent_links"].pop(chance.choice(list(new["parent_links"])))
    if "campaign_id" in metadata:
        changes["campaign_id"] = lambda: metadata.update(campaign_id=another_id(metadata["campaign_id"], chance))
        changes["campaign lost"] = lambda: metadata.pop("campaign")
    part = chance.choice([*changes, "deleted", "doubled"])
    mutation.what = f"{name} {min(entry['nodes'])} {part} {node}"
    if part == "deleted":
        mutation.replace(name, entry, None)
    elif part == "doubled":
        mutation.replace(name, None, {**entry, "_id": ObjectId()})
    else:
        changes[part]()
        mutation.replace(name, entry, new)


def job_output(choose: Chooser, mutation: Mutation) -> None:
    name, entry = choose.entry("job_outputs")
    new, chance = copied(entry), choose.chance
    part = chance.choice(
        ["uuid", "id", "collection", "content", "another document", "nothing", "fw_id", "deleted", "doubled"]
    )
    mutation.what = f"{name} {entry['uuid']} {part}"
    if part == "deleted":
        mutation.replace(name, entry, None)
        return
    if part == "doubled":
        mutation.replace(name, None, {**entry, "_id": ObjectId()})
        return
    if part == "uuid":
        new["uuid"] = other(entry["uuid"], chance)
    elif part == "another document":
        new["output"]["id"] = choose.document()[1]["_id"]
    elif part == "nothing":
        new["output"] = None
    elif part == "fw_id":
        new["metadata"]["fw_id"] += 1
    else:
        new["output"][part] = other(entry["output"][part], chance)
    mutation.replace(name, entry, new)
