"""The figures of ions by region."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from lipsdb.queries.figures.descriptors.figure import Answer, Document, Figure, curves
from lipsdb.queries.figures.panels import Axes, Curve

if TYPE_CHECKING:
    import plotly.graph_objects as go

_COLUMNS = 3
_PANEL = 300  # height, pixels
_BLOCKS = 40  # of time that a fraction is averaged over


def _regional_diffusion(answer: Answer) -> Iterator[Curve]:
    for found in answer["curves"]:
        for axis, name in enumerate("xyz"):
            msd = found["msd_A2"][:, axis]
            moved = np.where(msd > 0, msd, np.nan)  # ions at rest have no logarithm
            yield Curve(found["region"], found["lag_ps"], moved, name=f"along {name}")


def _region_fractions(answer: Answer) -> Iterator[Curve]:
    blocks = min(_BLOCKS, len(answer["time_ps"]))

    def averaged(values: np.ndarray) -> np.ndarray:
        return np.array([part.mean() for part in np.array_split(values, blocks)])

    for name, fraction in zip(answer["regions"], answer["fractions"], strict=True):
        yield Curve(name, averaged(answer["time_ps"]), averaged(100.0 * fraction))


def _ion_paths(documents: Sequence[Document]) -> go.Figure:
    from plotly.subplots import make_subplots

    from lipsdb.queries.figures.theme import dress

    columns = min(_COLUMNS, len(documents))
    n_rows = -(-len(documents) // columns)
    height = n_rows * _PANEL + 60
    conditions = [document["answer"]["conditions"] for document in documents]
    titles = [f"{one['temperature_K']:g} K, seed {one['seed']}" for one in conditions]
    spacing = {"horizontal_spacing": 0.06, "vertical_spacing": min(80 / height, 0.5 / n_rows)}
    figure = make_subplots(n_rows, columns, subplot_titles=titles, **spacing)
    dress(figure, height, showlegend=False)
    for place, document in enumerate(documents):
        answer = document["answer"]
        row, column = place // columns + 1, place % columns + 1
        _draw_paths(figure, answer, {"row": row, "col": column})
        first, second = answer["plane"]
        figure.update_xaxes(title_text=f"{first} (Å)", constrain="domain", row=row, col=column)
        anchor = {"scaleanchor": f"x{place + 1}" if place else "x", "constrain": "domain"}
        figure.update_yaxes(title_text=f"{second} (Å)", **anchor, row=row, col=column)
    return figure


def _draw_paths(figure: go.Figure, answer: Answer, where: dict[str, int]) -> None:
    """Paths within the cell, interrupted where they leave it, and the edges of the cell."""
    from lipsdb.queries.figures.theme import GREY, own_colour

    plane = ["xyz".index(axis) for axis in answer["plane"]]
    edges = _edges(answer["cell_A"])[:, plane]
    outline = {"color": GREY, "width": 1}
    figure.add_scatter(x=edges[:, 0], y=edges[:, 1], mode="lines", line=outline, hoverinfo="skip", **where)
    for number, ion in enumerate(answer["ions"].tolist()):
        path, times = answer["wrapped_A"][:, number, plane].astype(np.float64), answer["time_ps"]
        (gaps,) = np.nonzero(answer["crossings"][:, number])
        path, times = np.insert(path, gaps, np.nan, axis=0), np.insert(times, gaps, np.nan)
        figure.add_scatter(
            x=path[:, 0],
            y=path[:, 1],
            mode="lines",
            line={"color": own_colour(number), "width": 1.2},
            customdata=times,
            hovertemplate=f"ion {ion} at %{{customdata:.4g}} ps<br>%{{x:.4g}}, %{{y:.4g}} Å<extra></extra>",
            **where,
        )


def _edges(cell: np.ndarray) -> np.ndarray:
    """Ends of the twelve edges of a cell, (36, 3), a row of NaN behind each."""
    corners = np.array(list(product((0.0, 1.0), repeat=3)))
    steps = [(corner, step) for corner, step in product(corners, np.eye(3)) if not corner @ step]
    lines = [[corner @ cell, (corner + step) @ cell, np.full(3, np.nan)] for corner, step in steps]
    return np.array(lines).reshape(-1, 3)


FIGURES: dict[str, Figure] = {
    "regional_diffusion": Figure(
        "dynamics",
        "Mean squared displacement by region",
        curves(_regional_diffusion, Axes("lag time (ps)", "MSD (Å²)", x_log=True, y_log=True)),
        "Mean squared displacement of the ions of each region along the Cartesian axes, up to the lag at which too few "
        "of them are still there. Ions at rest have none. Dashes tell directions; replicas are drawn alike.",
    ),
    "region_fractions": Figure(
        "dynamics",
        "Ions by region",
        curves(_region_fractions, Axes("time (ps)", "share of the ions (%)")),
        f"Share of the ions that is in each region, averaged over each of {_BLOCKS} parts of the run. Dashes tell "
        "replicas.",
    ),
    "ion_paths": Figure(
        "dynamics",
        "Paths of single ions",
        _ion_paths,
        "Paths of the ions that get farthest, one colour each, in the cell, whose edges are grey; interrupted where "
        "they cross its boundary.",
    ),
}
