"""FireWorks' records by themselves: does a launch, a Firework, a workflow agree with itself and with its parts?

Pure functions on the entries of ``launches``, ``fireworks`` and ``workflows``. FireWorks keeps most facts twice: a
launch's state and times stand in its history, too, a workflow's states in its Fireworks; the two must tell the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

SILENT_AFTER = timedelta(minutes=5)  # a living job pings every minute
STATES = frozenset({"ARCHIVED", "FIZZLED", "DEFUSED", "PAUSED", "WAITING", "READY", "RESERVED", "RUNNING", "COMPLETED"})
OPEN = frozenset({"WAITING", "READY", "RESERVED", "RUNNING"})
_ENDED = ("COMPLETED", "FIZZLED")
CLOCKS = timedelta(seconds=5)  # two clocks may differ by so much
_SAME_TIME = timedelta(milliseconds=2)  # as text to the microsecond, as a date to the millisecond


def time_of(value: Any) -> datetime | None:
    """A time as FireWorks writes it, text mostly, a date sometimes; None if it is neither."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, AttributeError, OverflowError):
        return None


def history_of(launch: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The legible entries of a launch's history."""
    history = launch.get("state_history")
    return [entry for entry in history if isinstance(entry, Mapping)] if isinstance(history, list) else []


def last_heard(launch: Mapping[str, Any]) -> datetime | None:
    """Last sign of life of a launch."""
    history = history_of(launch) or [{}]
    return time_of(history[-1].get("updated_on") or history[-1].get("created_on"))


def is_silent(launch: Mapping[str, Any]) -> bool:
    """Whether a launch has given no sign of life for `SILENT_AFTER`."""
    return _is_long_ago(last_heard(launch))


def _is_long_ago(time: datetime | None) -> bool:
    return time is None or datetime.now(UTC) - time > SILENT_AFTER


def faults_of_launch(launch: Mapping[str, Any]) -> Iterator[str]:
    """What is contradictory in a launch: its state and times against its history."""
    history = launch.get("state_history")
    if not isinstance(history, list) or not history or not all(isinstance(entry, Mapping) for entry in history):
        yield "it has no history"
        return
    if launch.get("state") != history[-1].get("state") or launch.get("state") not in STATES:
        yield f"its state is {launch.get('state')}, but its history ends with {history[-1].get('state')}"
    times = [time_of(entry.get(key)) for entry in history for key in ("created_on", "updated_on") if key in entry]
    if any("created_on" not in entry or entry.get("state") not in STATES for entry in history) or None in times:
        yield "its history cannot be read"
        return
    moments = [time for time in times if time is not None]
    if any(later < earlier - CLOCKS for earlier, later in pairwise(moments)):
        yield "the times of its history are not in order"
    started, ended = _first(history, ("RUNNING",)), _first(history, _ENDED)
    seconds = (ended - started).total_seconds() if started and ended else None
    for name, known in (("time_start", started), ("time_end", ended)):
        if not _same(launch.get(name), known):
            yield f"its {name} is {launch.get(name)}, but its history says {known}"
    runtime = launch.get("runtime_secs")
    known_both = isinstance(runtime, int | float) and seconds is not None
    if not (abs(runtime - seconds) < 0.01 if known_both else runtime is seconds):  # type: ignore[operator]
        yield f"its runtime_secs is {runtime}, but its history gives {seconds}"


def _first(history: Sequence[Mapping[str, Any]], states: Sequence[str]) -> datetime | None:
    return next((time_of(entry["created_on"]) for entry in history if entry["state"] in states), None)


def _same(value: Any, known: datetime | None) -> bool:
    time = time_of(value)
    if value is None or time is None or known is None:
        return value is None and known is None
    return abs(time - known) <= _SAME_TIME


def faults_of_firework(firework: Mapping[str, Any], launches: Mapping[int, Mapping[str, Any]]) -> Iterator[str]:
    """What is contradictory in a Firework: its state against those of its launches.

    Parameters
    ----------
    firework : mapping
    launches : mapping
        The launches that it names, and those that name it, by launch_id.
    """
    fw_id, state = firework["fw_id"], firework.get("state")
    current, earlier = firework.get("launches"), firework.get("archived_launches", [])
    if not isinstance(current, list) or not isinstance(earlier, list) or state not in STATES:
        yield f"its record cannot be read (state {state})"
        return
    shares = "_dupefinder" in (firework.get("spec") or {})  # FireWorks' way to let several have one launch
    for number in (*current, *earlier):
        if number not in launches:
            yield f"its launch {number} is not in the launchpad"
        elif launches[number].get("fw_id") != fw_id and not shares:
            yield f"its launch {number} is one of Firework {launches[number].get('fw_id')}"
    if len({*current, *earlier}) < len(current) + len(earlier):
        yield "it names a launch twice"
    for number in sorted(launches.keys() - {*current, *earlier}):
        yield f"launch {number} is said to be its, but it does not name it"
    states = [launches[number].get("state") for number in current if number in launches]
    if state == "COMPLETED" and "COMPLETED" not in states:
        yield f"it is COMPLETED, but none of its launches is ({', '.join(map(str, states)) or 'there is none'})"
    elif state in {"WAITING", "READY"} and "COMPLETED" in states:
        yield f"it is {state}, but a launch of it is COMPLETED"


def hanging(firework: Mapping[str, Any], launches: Mapping[int, Mapping[str, Any]]) -> str | None:
    """Why a Firework hangs: it looks busy, but nobody works on it; None if it does not."""
    fw_id, name, current = firework["fw_id"], firework.get("name"), firework.get("launches") or []
    launch = launches.get(current[-1]) if current else None
    again = f"`lpad rerun_fws -i {fw_id}`"
    if firework["state"] == "RESERVED" and not current and _is_long_ago(time_of(firework.get("updated_on"))):
        return f"{name} hangs: RESERVED, but no launch came of it; {again}"
    if firework["state"] != "RUNNING":
        return None
    if launch is None:
        return f"{name} is RUNNING without a launch; {again}"
    if is_silent(launch):
        heard = last_heard(launch)
        since = "never" if heard is None else f"last at {heard:%Y-%m-%d %H:%M:%S} UTC"
        remedy = "its worker died or lost the database; `lipsdb run` takes it up again"
        return f"{name} hangs: RUNNING on {launch.get('host')}, but heard of {since}; {remedy}, or {again}"
    return None


def faults_of_workflow(
    workflow: Mapping[str, Any], fireworks: Mapping[int, Mapping[str, Any]]
) -> Iterator[tuple[int | None, str]]:
    """What is contradictory in a workflow: its parts against each other and against its Fireworks.

    Parameters
    ----------
    workflow : mapping
    fireworks : mapping
        Those of its nodes that there are, by fw_id.

    Yields
    ------
    fw_id, fault : tuple
        fw_id is None if it is about the workflow itself.
    """
    nodes, links, states = workflow.get("nodes"), workflow.get("links"), workflow.get("fw_states")
    if not (isinstance(nodes, list) and isinstance(links, Mapping) and isinstance(states, Mapping)):
        yield None, "its nodes, links or states cannot be read"
        return
    names = {str(node) for node in nodes}
    if len(names) < len(nodes) or links.keys() != names or states.keys() != names:
        yield None, "its nodes, links and states are not of the same Fireworks"
        return
    upward = workflow.get("parent_links")
    if not isinstance(upward, Mapping) or _pairs(links) != sorted((up, down) for down, up in _pairs(upward)):
        yield None, "its links down and up do not agree"
    for node in nodes:
        firework, noted = fireworks.get(node), states[str(node)]
        if firework is None:
            yield node, "it stands in a workflow, but is not in the launchpad"
        elif firework.get("state") != noted and not {firework.get("state"), noted} <= OPEN:
            yield node, f"it is {firework.get('state')}, but its workflow says {noted}; `lpad admin refresh -i {node}`"
    known = state_of_workflow(workflow, fireworks)
    if workflow.get("state") != known:
        yield None, f"it is {workflow.get('state')}, but its Fireworks' states make it {known}"


def _pairs(links: Mapping[str, Any]) -> list[tuple[str, str]]:
    return sorted((node, str(other)) for node, others in links.items() for other in (others or []))


def state_of_workflow(workflow: Mapping[str, Any], fireworks: Mapping[int, Mapping[str, Any]]) -> str:
    """The state that follows from those noted for its Fireworks (`fireworks.Workflow.state`)."""
    links, states = workflow["links"], workflow["fw_states"]
    known = set(states.values())
    if all(states[node] == "COMPLETED" for node, children in links.items() if not children):
        return "COMPLETED"
    if known == {"ARCHIVED"}:
        return "ARCHIVED"
    for state in ("DEFUSED", "PAUSED"):
        if state in known:
            return state
    if "FIZZLED" in known:
        failed = [links[node] for node, state in states.items() if state == "FIZZLED"]
        stuck = any(
            not children or not all(_goes_on(fireworks.get(child)) for child in children) for children in failed
        )
        return "FIZZLED" if stuck else "RUNNING"
    if known & {"COMPLETED", "RUNNING"}:
        return "RUNNING"
    return "RESERVED" if "RESERVED" in known else "READY"


def _goes_on(firework: Mapping[str, Any] | None) -> bool:
    """Whether a Firework runs even if one before it failed."""
    return bool(((firework or {}).get("spec") or {}).get("_allow_fizzled_parents"))
