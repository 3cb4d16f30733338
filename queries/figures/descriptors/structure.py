"""The figures of structure: pairs and units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np

from lipsdb.queries.figures.descriptors.figure import Answer, Document, Figure, curves, middles
from lipsdb.queries.figures.panels import Axes, Curve

if TYPE_CHECKING:
    import plotly.graph_objects as go


def _radial_distribution(answer: Answer) -> Iterator[Curve]:
    for i, j in combinations_with_replacement(range(len(answer["elements"])), 2):
        pair = f"{answer['elements'][i]}-{answer['elements'][j]}"
        yield Curve(pair, answer["r_A"], answer["partial"][i, j], answer["partial_std"][i, j])
    yield Curve("total", answer["r_A"], answer["total"], answer["total_std"])


def _bond_angles(answer: Answer) -> Iterator[Curve]:
    angle = answer["summary"][0]["angle"]
    yield Curve(angle, middles(answer["edges_deg"]), answer["density_per_deg"], answer["density_std_per_deg"])


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
        curves(_radial_distribution, Axes("r (Å)", "g(r)", reference=1.0)),
        "Partial radial distribution functions and the total (number-number) one; shaded: standard error from blocks "
        "of frames. Dashes tell replicas.",
    ),
    "bond_angles": Figure(
        "structure",
        "Bond angles",
        curves(_bond_angles, Axes("angle (°)", "probability density (1/°)")),
        "Distribution of the angles between bonds over centres and frames, per degree (not per solid angle); shaded: "
        "standard error from blocks of frames. Dashes tell replicas.",
    ),
    "thiophosphate_units": Figure(
        "structure",
        "Thiophosphate units",
        _thiophosphate_units,
        "Share of the P atoms in each unit, by the graph of bonds, over all frames; replicas averaged.",
    ),
}
