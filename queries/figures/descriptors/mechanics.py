"""The figures of mechanics: the lattice in time, and elastic constants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lipsdb.queries.figures.descriptors.figure import Answer, Document, Figure, curves
from lipsdb.queries.figures.panels import Axes, Curve

if TYPE_CHECKING:
    import plotly.graph_objects as go

_NAMES = ("a (Å)", "b (Å)", "c (Å)", "α (°)", "β (°)", "γ (°)")
_LIGHT = ((0.0, "#f0a882"), (0.5, "#f7f7f7"), (1.0, "#7fb3ea"))  # numbers are read on them
_VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")


def _lattice(answer: Answer) -> Iterator[Curve]:
    series = answer["lattice_by_frame"]
    time = answer["frame_interval_ps"] * np.arange(len(series))
    for name, values in zip(_NAMES, series.T, strict=True):
        if np.ptp(values) > 1e-6:  # angles that the barostat does not move are left out
            yield Curve(name, time, values)
    yield Curve("density (g/cm³)", time, answer["density_by_frame_g_cm3"])


def _elasticity(documents: Sequence[Document]) -> go.Figure:
    from lipsdb.queries.figures.theme import dress, new_figure

    stiffness = np.round(documents[0]["answer"]["stiffness_GPa"], 2) + 0.0
    figure = new_figure(420)
    largest = float(np.abs(stiffness).max())
    figure.add_heatmap(
        x=_VOIGT,
        y=_VOIGT,
        z=stiffness,
        zmin=-largest,
        zmax=largest,
        colorscale=_LIGHT,
        texttemplate="%{z:.1f}",
        textfont={"color": "#1b1f24"},
        hovertemplate="%{y}, %{x}: %{z:.2f} GPa<extra></extra>",
        colorbar={"title": {"text": "C (GPa)", "side": "right"}, "outlinewidth": 0, "thickness": 14},
    )
    axis = {"type": "category", "constrain": "domain", "showgrid": False}
    dress(figure, 420, xaxis={**axis, "title": {"text": "strain"}})
    figure.update_yaxes(**axis, title_text="stress", autorange="reversed", scaleanchor="x")
    return figure


FIGURES: dict[str, Figure] = {
    "lattice": Figure(
        "mechanics",
        "Lattice in time",
        curves(_lattice, Axes("time (ps)", "")),
        "Lattice parameters of one unit cell and density, in each stored frame. Dashes tell replicas.",
    ),
    "elasticity": Figure(
        "mechanics",
        "Elastic constants",
        _elasticity,
        "Constants of the relaxed crystal at 0 K in Voigt's notation, a along x and b in the xy plane.",
    ),
}
