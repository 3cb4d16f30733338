"""What a question would cost, from the database's own records of like work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.store.database import Database
from lipsdb.workflows.answering import Question

_RECENT = 20
SMALL_WORK = 100.0


def estimate_core_seconds(database: Database, question: Question) -> float | None:
    """Estimated cost of a question in core-seconds.

    Parameters
    ----------
    database : Database
        Its records of finished work are the base.
    question : Question
        What would be computed.

    Returns
    -------
    float or None
        Runs scale with steps and training with its steps; of other work the median counts. None if nothing like it
        was done here before.
    """
    criteria: dict[str, Any] = {}
    if question.kind == "property":
        criteria = {"asked.property": question.asked.model_dump()["property"]}
    fields = {"made_by.core_seconds": 1, "asked.settings": 1}
    recent = database.collection(COLLECTIONS[question.kind]).find(criteria, fields).sort("_id", 1).limit(_RECENT)
    rates = sorted(
        document["made_by"]["core_seconds"] / size_of(question.kind, document["asked"]) for document in recent
    )
    return rates[len(rates) // 2] * question.size if rates else None


def size_of(kind: str, asked: Mapping[str, Any]) -> float:
    """How large a piece of work is: MD steps, training steps; anything else counts as `SMALL_WORK` steps."""
    settings = asked.get("settings", {})
    if kind == "run":
        return float(settings["n_steps"] + settings["equilibration_steps"])
    if kind == "potential":
        return float(sum(stage["steps"] for stage in settings["stages"]))
    return SMALL_WORK
