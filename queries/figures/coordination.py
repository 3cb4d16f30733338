"""Coordination numbers by temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.queries.figures.theme import dress, new_figure, own_colour

if TYPE_CHECKING:
    import plotly.graph_objects as go


def coordination_figure(coordinations: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Shares of the coordination numbers at each temperature, the mean written above.

    Parameters
    ----------
    coordinations : sequence of documents
        Properties 'coordination' of one structure and pair of elements; replicas are averaged for the bars.
    """
    figure = new_figure(400)
    temperatures = sorted({document["answer"]["conditions"]["temperature_K"] for document in coordinations})
    answers = {
        temperature: [d["answer"] for d in coordinations if d["answer"]["conditions"]["temperature_K"] == temperature]
        for temperature in temperatures
    }
    numbers = sorted({int(number) for document in coordinations for number in document["answer"]["fractions"]})
    shares = {
        number: [
            float(np.mean([answer["fractions"].get(str(number), 0.0) for answer in answers[temperature]]))
            for temperature in temperatures
        ]
        for number in numbers
    }
    names = [f"{temperature:g} K" for temperature in temperatures]
    usual = max(numbers, key=lambda number: sum(shares[number]))
    for number in sorted(numbers, key=lambda n: (n != usual, n)):
        figure.add_bar(
            x=names,
            y=[100.0 * share for share in shares[number]],
            name=f"{number} neighbours",
            marker={"color": own_colour(number - usual), "opacity": 0.85},
            hovertemplate=f"%{{x}}: %{{y:.3g}} % have {number} neighbours<extra></extra>",
        )
    first = coordinations[0]["answer"]
    figure.add_scatter(
        x=names,
        y=[104.0] * len(names),
        mode="text",
        text=[f"mean {np.mean([answer['mean'] for answer in answers[t]]):.3f}" for t in temperatures],
        hoverinfo="skip",
        showlegend=False,
    )
    dress(
        figure,
        400,
        barmode="stack",
        bargap=0.45,
        xaxis={"type": "category"},
        yaxis={"title": {"text": f"share of {first['centre']} atoms (%)"}, "range": [0, 110]},
    )
    return figure
