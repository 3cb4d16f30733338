"""Figures of classifiers from documents of known numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from lipsdb.queries.figures.classifier import grid_figure, weights_figure


def point(cutoff: float, regularisation: float, accuracy: float) -> dict[str, Any]:
    known = {"cutoff_A": cutoff, "spacing_A": 0.5, "immobile_below_A": 12.0, "hopping_from_A": 12.0}
    return {**known, "regularisation_C": regularisation, "performance": {"balanced_accuracy": accuracy}}


def classifier(*grid: dict[str, Any]) -> dict[str, Any]:
    features = {"centre": "Li", "neighbours": ["Li", "S"], "cutoff_A": 1.0, "spacing_A": 0.5}
    answer = {"features": features, "weights": np.array([1.0, 2.0, -3.0, 4.0]), "grid": list(grid)}
    return {"_id": "classifier-1", "answer": answer}


def test_weights_stand_at_the_middle_of_their_bins_beside_the_mean_of_g() -> None:
    partial = np.arange(12.0).reshape(2, 2, 3)
    answers = [
        {"elements": ["Li", "S"], "r_A": np.array([0.2, 0.9, 1.4]), "partial": factor * partial} for factor in (1, 3)
    ]
    figure = weights_figure(classifier(), [{"answer": answer} for answer in answers])
    of_name = {(trace.name, trace.xaxis): trace for trace in figure.data}
    assert len(of_name) == 4
    weights = [trace for trace in figure.data if trace.name == "W(r)"]
    assert [list(trace.x) for trace in weights] == [[0.25, 0.75]] * 2
    assert [list(trace.y) for trace in weights] == [[1.0, 2.0], [-3.0, 4.0]]
    behind = [trace for trace in figure.data if trace.name == "g(r)"]
    assert [list(trace.x) for trace in behind] == [[0.2, 0.9]] * 2  # up to the cutoff
    assert [list(trace.y) for trace in behind] == [[0.0, 2.0], [6.0, 8.0]]


def test_weights_stand_alone_without_radial_distributions() -> None:
    assert {trace.name for trace in weights_figure(classifier()).data} == {"W(r)"}


def test_grid_shows_the_choices_around_the_best_one() -> None:
    grid = [point(5, 0.1, 0.6), point(5, 1.0, 0.7), point(10, 0.1, 0.5), point(10, 1.0, 0.65)]
    figure = grid_figure(classifier(*grid))
    assert figure is not None
    penalties, cutoffs = figure.data
    assert (list(penalties.x), list(penalties.y), penalties.z.tolist()) == (["12"], ["0.1", "1"], [[0.6], [0.7]])
    assert (list(cutoffs.x), list(cutoffs.y), cutoffs.z.tolist()) == (["5", "10"], ["0.5"], [[0.7, 0.65]])


def test_without_a_choice_there_is_no_grid() -> None:
    assert grid_figure(classifier()) is None
    assert grid_figure(classifier(point(5, 1.0, 0.7))) is None
