"""Properties that are computed from one run by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

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


def mean_with_error(series: ArrayLike, *, n_blocks: int = 5) -> tuple[float | None, float | None]:
    """Mean of a value of each frame, and its standard error from consecutive blocks of frames; NaN is left out.

    Examples
    --------
    >>> mean_with_error([1.0, 3.0, 1.0, 3.0], n_blocks=2), mean_with_error([2.0])
    ((2.0, 0.0), (2.0, None))
    """
    values = np.asarray(series, dtype=np.float64)
    parts = [part[~np.isnan(part)] for part in np.array_split(values, min(n_blocks, len(values)))]
    means = [part.mean() for part in parts if len(part)]
    if not means:
        return None, None
    error = float(np.std(means, ddof=1)) / math.sqrt(len(means)) if len(means) > 1 else math.nan
    return float(np.nanmean(values)), known(error)
