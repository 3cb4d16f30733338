"""The figure of structure factors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

from lipsdb.queries.figures.descriptors.figure import Document, Figure
from lipsdb.queries.figures.panels import Axes, Curve, panels_figure

if TYPE_CHECKING:
    import plotly.graph_objects as go

_RADIATIONS = {"neutron": "neutrons", "xray": "X-rays"}


def _seen(documents: Sequence[Document]) -> Iterator[tuple[Document, Curve]]:
    """What each radiation sees, one panel a temperature, and there each experiment once."""
    drawn = set()
    for document in sorted(documents, key=_temperature):
        answer = document["answer"]
        panels = {radiation: f"{_temperature(document):g} K, {name}" for radiation, name in _RADIATIONS.items()}
        for radiation, panel in panels.items():
            if f"S_{radiation}" in answer:
                yield document, Curve(panel, answer["q_per_A"], answer[f"S_{radiation}"])
        for number, one in enumerate(answer["experiments"]):
            panel = panels[one["radiation"]]
            if (panel, number) not in drawn:
                yield document, Curve(panel, one["q_per_A"], one["S"], name=one["name"], measured=True)
                drawn.add((panel, number))


def _partials(documents: Sequence[Document]) -> Iterator[tuple[Document, Curve]]:
    for document in documents:
        answer = document["answer"]
        for i, j in combinations_with_replacement(range(len(answer["elements"])), 2):
            pair = f"{answer['elements'][i]}-{answer['elements'][j]}"
            yield document, Curve(pair, answer["q_per_A"], answer["partial"][i, j])


def _temperature(document: Document) -> float:
    return float(document["answer"]["conditions"]["temperature_K"])


def _structure_factor(documents: Sequence[Document]) -> go.Figure:
    curves = [*_seen(documents), *_partials(documents)]
    return panels_figure(curves, Axes("Q (Å⁻¹)", "S(Q)", reference=1.0), most_columns=2)


FIGURES: dict[str, Figure] = {
    "structure_factor": Figure(
        "structure",
        "Structure factors",
        _structure_factor,
        "S(Q) as neutrons and X-rays see it, divided by the square of the mean scattering, at each temperature, with "
        "experiments as grey points; and the partial (Faber-Ziman) ones. Dashes tell replicas.",
    ),
}
