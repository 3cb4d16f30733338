"""Putting the launchpad in order after something died: lost launches, interrupted jobs, locks without an owner."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fireworks import LaunchPad

from lipsdb.provenance.audit.launches import is_silent
from lipsdb.store.database import Database
from lipsdb.workflows.failures import failures

# Failures that say nothing about the job itself: it is run again. Others stay FIZZLED until somebody looks.
_INTERRUPTIONS = (
    "InterruptedRunError",
    "KeyboardInterrupt",
    "ServerSelectionTimeoutError",
    "AutoReconnect",
    "NetworkTimeout",
    "NotPrimaryError",
    "ConnectionFailure",
    "WaitQueueTimeoutError",
)


@dataclass
class Recovery:
    """What was put in order."""

    lost: list[int] = field(default_factory=list)  # fw_ids that looked RUNNING, their worker being gone
    interrupted: list[int] = field(default_factory=list)  # fw_ids that failed since something was stopped from outside
    completed: list[int] = field(default_factory=list)  # fw_ids whose launch had completed, though they did not show it
    unlocked: int = 0  # workflows that a dead process had left locked


def worker_name(pid: int | None = None) -> str:
    """Name of a local worker; tells host and process, and when the process began (numbers are used again)."""
    pid = os.getpid() if pid is None else pid
    return f"{platform.node()}:{pid}:{_start_of_process(pid)}"


def _process_fields(pid: int) -> list[str]:
    """What the kernel says of a process, from its state on; empty if it does not exist."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _start_of_process(pid: int) -> str:
    fields = _process_fields(pid)
    return fields[19] if fields else ""


def worker_is_gone(name: str) -> bool | None:
    """Whether a local worker has died; None if it cannot be told (another host, another kind of worker)."""
    host, _, rest = name.rpartition(":")[0].partition(":")
    pid, start = rest, name.rpartition(":")[2]
    if host != platform.node() or not pid.isdigit():
        return None
    fields = _process_fields(int(pid))
    return not start or not fields or fields[19] != start or fields[0] == "Z"


def recover(database: Database, pad: LaunchPad) -> Recovery:
    """Put the launchpad in order and make ready what can run again.

    - A Firework that looks RUNNING or RESERVED but whose worker is gone (on this host: its process; elsewhere: no
      sign of life for five minutes) is made ready again.
    - A Firework that failed because it was stopped from outside, or lost the server, is made ready again.
    - A launch that completed while its Firework still says RUNNING (the server died between two writes) is completed.
    - A lock that a dead process left on a workflow is taken away.

    Parameters
    ----------
    database : Database
    pad : LaunchPad

    Returns
    -------
    Recovery
        What was done.
    """
    done = Recovery()
    running = list(database.collection("fireworks").find({"state": "RUNNING"}, {"fw_id": 1, "launches": 1}))
    by_launch = {launch_id: entry["fw_id"] for entry in running for launch_id in entry["launches"]}
    fields = {"launch_id": 1, "state": 1, "fworker.name": 1, "state_history": 1}
    launches = list(database.collection("launches").find({"launch_id": {"$in": list(by_launch)}}, fields))
    alive = False
    gone: list[tuple[int, dict[str, Any]]] = []
    for launch in launches:
        fw_id = by_launch[launch["launch_id"]]
        is_gone = worker_is_gone(launch["fworker"]["name"])
        if is_gone is None:
            is_gone = is_silent(launch)
        if is_gone:
            gone.append((fw_id, launch))
        else:
            alive = True
    if not alive:
        unlocked = database.collection("workflows").update_many({"locked": True}, {"$unset": {"locked": True}})
        done.unlocked = unlocked.modified_count
    for fw_id, launch in gone:
        if launch["state"] == "COMPLETED":
            pad._refresh_wf(fw_id)
            done.completed.append(fw_id)
        elif launch["state"] in {"RUNNING", "RESERVED"}:
            pad.mark_fizzled(launch["launch_id"])
            pad.rerun_fw(fw_id)
            done.lost.append(fw_id)
    for fw_id in _interrupted(database):
        pad.rerun_fw(fw_id)
        done.interrupted.append(fw_id)
    return done


def _interrupted(database: Database) -> list[int]:
    """Fireworks that failed for a reason outside themselves."""
    found = failures(database)
    return [one.fw_id for one in found if any(f"{name}:" in f"{one.reason}:" for name in _INTERRUPTIONS)]
