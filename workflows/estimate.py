"""What a question would cost, from the database's own records of like work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lipsdb.potentials.engines import engine
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.store.database import Database
from lipsdb.workflows.answering import Question

_SAMPLE = 20
SMALL_WORK = 100.0
# What must be the same, of what is asked, for the costs of two pieces of work to compare.
_ALIKE = {
    "run": "program",
    "label": "level_of_theory",
    "potential": "engine",
    "property": "property",
    "classifier": "method",
    "structure": "builder",
}


class Estimates:
    """Costs of questions; asks the database once for each kind of work.

    Parameters
    ----------
    database : Database
        Its records of finished work are the base.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rates: dict[tuple[str, str | None], float | None] = {}

    def core_seconds(self, question: Question) -> float | None:
        """Estimated cost of a question in core-seconds.

        Runs scale with steps and training with its steps; of other work the median counts. Only like work is compared:
        see `_ALIKE`. None if nothing like it was done here before.
        """
        asked = question.asked.model_dump()
        field = _ALIKE.get(question.kind)
        work = (question.kind, None if field is None else asked[field])
        if work not in self._rates:
            self._rates[work] = self._rate(*work)
        rate = self._rates[work]
        return None if rate is None else rate * question.size

    def _rate(self, kind: str, alike: str | None) -> float | None:
        """Median cost of a step of such work, over a sample of what was done."""
        # What costs nothing was made along with something else, such as the labels of AIMD.
        # And a run that was ended early did fewer steps than were asked for.
        criteria: dict[str, Any] = {"made_by.core_seconds": {"$gt": 0.0}}
        if kind == "run":
            criteria["answer.extrapolation.stopped"] = None
        if alike is not None:
            criteria[f"asked.{_ALIKE[kind]}"] = alike
        fields = {"made_by.core_seconds": 1, "asked.settings": 1, "asked.engine": 1}
        sample = self._database.collection(COLLECTIONS[kind]).find(criteria, fields).sort("_id", 1).limit(_SAMPLE)
        rates = sorted(document["made_by"]["core_seconds"] / size_of(kind, document["asked"]) for document in sample)
        return rates[len(rates) // 2] if rates else None


def size_of(kind: str, asked: Mapping[str, Any]) -> float:
    """How large a piece of work is: MD steps, training steps; anything else counts as `SMALL_WORK` steps."""
    settings = asked.get("settings", {})
    if kind == "run":
        return float(settings["n_steps"] + settings["equilibration_steps"])
    if kind == "potential":
        return engine(asked["engine"]).steps(settings)
    return SMALL_WORK
