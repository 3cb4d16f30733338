"""Structure of a run."""

from __future__ import annotations

import numpy as np

from lipsdb.documents.base import Input
from lipsdb.documents.property import PropertyAsked
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Workplace
from lipsdb.workflows.properties.of_run import Result
from lipsdb.workflows.runs import load_run


def measure_coordination(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Distribution of coordination numbers over all frames."""
    from lipsdb.analysis.coordination import coordination_numbers

    run, parameters = load_run(place.database, inputs[0].id), asked.parameters
    centre, neighbour = run.symbols == parameters["centre"], run.symbols == parameters["neighbour"]
    counts = coordination_numbers(run.positions, run.cell, centre, neighbour, parameters["cutoff_A"])
    numbers, occurrences = np.unique(counts, return_counts=True)
    answer = {
        "conditions": run.conditions,
        "centre": parameters["centre"],
        "neighbour": parameters["neighbour"],
        "mean": float(counts.mean()),
        "fractions": {str(number): float(n / counts.size) for number, n in zip(numbers, occurrences, strict=True)},
        "mean_by_frame": counts.mean(axis=1),
    }
    return answer, place.watch.made_by(versions_of("scipy"))
