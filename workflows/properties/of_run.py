"""Properties that are computed from one run by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from lipsdb.documents.base import MadeBy
from lipsdb.documents.property import PropertyAsked
from lipsdb.workflows.answering import Question, QuestionMaker

Result = tuple[dict[str, Any], MadeBy]


@dataclass
class RunPropertyMaker(QuestionMaker):
    """A property of one run.

    Parameters
    ----------
    property : str
        Its kind, as a campaign file has it: 'coordination', 'radial_distribution' …
    parameters : dict
        What `lipsdb.campaigns.properties` allows for that kind, complete.
    """

    name: str = "property"
    property: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)

    def question(self, run: Question | dict[str, str]) -> Question:
        """Ask for it."""
        return question_of_run(self.property, self.name, self.parameters, run)


def question_of_run(property_: str, name: str, parameters: dict[str, Any], run: Question | dict[str, str]) -> Question:
    """The question for a property of a run; ``measure_<property>`` answers it."""
    of = run.name.removeprefix("md ") if isinstance(run, Question) else ""
    asked = PropertyAsked(property=property_, parameters=parameters)
    performer = f"lipsdb.workflows.properties:measure_{property_}"
    return Question("property", f"{name} {of}".strip(), asked, (("run", run),), performer, "analysis")


def known(value: float) -> float | None:
    """A number, or None where there is none (NaN, infinity), which cannot be stored.

    Examples
    --------
    >>> known(1.5), known(float("nan"))
    (1.5, None)
    """
    return float(value) if math.isfinite(value) else None
