"""Which jobs failed, and why, in one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lipsdb.errors import StoppedRunError
from lipsdb.store.database import Database


@dataclass(frozen=True)
class Failure:
    """A Firework that failed."""

    fw_id: int
    name: str
    reason: str

    @property
    def may_rerun(self) -> bool:
        """Whether to run it again may help, which it does not if what it needs is stored and will not do."""
        return f"{StoppedRunError.__name__}:" not in self.reason


def failures(database: Database, campaign: str | None = None) -> list[Failure]:
    """Failed Fireworks with the last line of their traceback.

    Parameters
    ----------
    database : Database
    campaign : str, optional
        Only those of this campaign.
    """
    criteria: dict[str, Any] = {"state": "FIZZLED"}
    if campaign is not None:
        criteria["spec.campaigns"] = campaign
    fizzled = list(database.collection("fireworks").find(criteria, {"fw_id": 1, "name": 1, "launches": 1}))
    wanted = [entry["launches"][-1] for entry in fizzled if entry["launches"]]
    fields = {"launch_id": 1, "action.stored_data._exception._stacktrace": 1}
    traces = {}
    for launch in database.collection("launches").find({"launch_id": {"$in": wanted}}, fields):
        action = launch.get("action")
        exception = ((action if isinstance(action, dict) else {}).get("stored_data") or {}).get("_exception") or {}
        traces[launch["launch_id"]] = _last_line(exception.get("_stacktrace") or "")
    return [
        Failure(
            entry["fw_id"],
            entry["name"],
            (traces.get(entry["launches"][-1], "") if entry["launches"] else "") or "no reason was recorded",
        )
        for entry in sorted(fizzled, key=lambda entry: entry["fw_id"])
    ]


def _last_line(stacktrace: str) -> str:
    """The line of a traceback that says what happened."""
    lines = [line for line in stacktrace.splitlines() if line.strip()]
    return lines[-1] if lines else ""
