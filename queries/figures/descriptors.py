"""The figures of descriptors, by kind of property: what of the answer is drawn, and what stands below it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.queries.figures.panels import Axes, Curve, panels_figure

if TYPE_CHECKING:
    import plotly.graph_objects as go

Document = Mapping[str, Any]
Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """How properties of one kind are drawn.

    Attributes
    ----------
    family : str
        Section of the report.
    title : str
        Stands above the figure.
    draw : callable
        Takes the properties of one structure and potential, all with the same parameters.
    caption : str
    """

    family: str
    title: str
    draw: Callable[[Sequence[Document]], go.Figure]
    caption: str


def _curves(
    of: Callable[[Mapping[str, Any]], Iterator[Curve]], axes: Axes
) -> Callable[[Sequence[Document]], go.Figure]:
    """A drawing of curves, from a function that takes an answer."""

    def draw(documents: Sequence[Document]) -> go.Figure:
        return panels_figure([(document, curve) for document in documents for curve in of(document["answer"])], axes)

    return draw


def _radial_distribution(answer: Answer) -> Iterator[Curve]:
    for i, j in combinations_with_replacement(range(len(answer["elements"])), 2):
        pair = f"{answer['elements'][i]}-{answer['elements'][j]}"
        yield Curve(pair, answer["r_A"], answer["partial"][i, j], answer["partial_std"][i, j])
    yield Curve("total", answer["r_A"], answer["total"], answer["total_std"])


def _thiophosphate_units(documents: Sequence[Document]) -> go.Figure:
    from lipsdb.queries.figures.theme import dress, new_figure, own_colour

    figure = new_figure(380)
    temperatures = sorted({document["answer"]["conditions"]["temperature_K"] for document in documents})
    names = documents[0]["answer"]["units"]

    def share(kind: int, temperature: float) -> float:
        alike = [d["answer"] for d in documents if d["answer"]["conditions"]["temperature_K"] == temperature]
        return 100.0 * float(np.mean([answer["of_phosphorus"][:, kind].mean() for answer in alike]))

    shares = {name: [share(kind, temperature) for temperature in temperatures] for kind, name in enumerate(names)}
    for number, name in enumerate(name for name in names if any(shares[name])):
        figure.add_bar(
            x=[f"{temperature:g} K" for temperature in temperatures],
            y=shares[name],
            name=name,
            marker={"color": own_colour(number), "opacity": 0.85},
            hovertemplate=f"%{{x}}: %{{y:.3g}} % of P in {name}<extra></extra>",
        )
    layout = {"barmode": "stack", "bargap": 0.45, "xaxis": {"type": "category"}}
    dress(figure, 380, yaxis={"title": {"text": "share of P atoms (%)"}, "range": [0, 102]}, **layout)
    return figure


FIGURES: dict[str, Figure] = {
    "radial_distribution": Figure(
        "structure",
        "Radial distribution functions",
        _curves(_radial_distribution, Axes("r (Å)", "g(r)", reference=1.0)),
        "Partial radial distribution functions and the total (number-number) one; shaded: standard error from blocks "
        "of frames. Dashes tell replicas.",
    ),
    "thiophosphate_units": Figure(
        "structure",
        "Thiophosphate units",
        _thiophosphate_units,
        "Share of the P atoms in each unit, by the graph of bonds, over all frames; replicas averaged.",
    ),
}
