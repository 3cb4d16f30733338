"""Curves in panels, one panel a subject (a pair of elements, an axis …), coloured by temperature; and heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.queries.figures.theme import DECADES, GREY, LOGARITHMIC, dress, new_figure, temperature_colours, translucent

if TYPE_CHECKING:
    import plotly.graph_objects as go

Document = Mapping[str, Any]
_DASHES = ("solid", "dot", "dash", "dashdot", "longdash")
_COLUMNS = 3
_PANEL_HEIGHT = 240
_MOST_POINTS = 600  # of one curve


@dataclass(frozen=True)
class Curve:
    """One line.

    Attributes
    ----------
    panel : str
        Which panel it stands in.
    x, y : arrays
    std : array, optional
        Standard error of y, shaded.
    name : str
        What tells it from others of the same run in its panel.
    """

    panel: str
    x: ArrayLike
    y: ArrayLike
    std: ArrayLike | None = None
    name: str = ""


@dataclass(frozen=True)
class Axes:
    """Titles with units, and whether an axis is logarithmic; `reference` draws a horizontal line at that value."""

    x: str
    y: str
    x_log: bool = False
    y_log: bool = False
    reference: float | None = None


def panels_figure(curves: Sequence[tuple[Document, Curve]], axes: Axes) -> go.Figure:
    """Draw curves of runs, one panel a subject.

    Parameters
    ----------
    curves : sequence of pairs
        Each with the property that it comes from; colours tell temperatures, dashes replicas or names.
    axes : Axes
    """
    from plotly.subplots import make_subplots

    panels = list(dict.fromkeys(curve.panel for _, curve in curves))
    columns = min(_COLUMNS, len(panels))
    n_rows = -(-len(panels) // columns)
    height = max(360, n_rows * _PANEL_HEIGHT + 110)
    figure = make_subplots(
        n_rows,
        columns,
        subplot_titles=panels if len(panels) > 1 else None,
        horizontal_spacing=0.07,
        vertical_spacing=min(0.12, 0.5 / n_rows),
    )
    colours = temperature_colours([_temperature(document) for document, _ in curves])
    kinds = list(dict.fromkeys((document["answer"]["conditions"]["seed"], curve.name) for document, curve in curves))
    named: set[str] = set()
    for document, curve in sorted(curves, key=lambda pair: -_temperature(pair[0])):
        place = panels.index(curve.panel)
        dash = _DASHES[kinds.index((document["answer"]["conditions"]["seed"], curve.name)) % len(_DASHES)]
        where = {"row": place // columns + 1, "col": place % columns + 1}
        _draw(figure, document, curve, colours[_temperature(document)], dash, named, where)
    dress(figure, height)
    logarithmic = {True: LOGARITHMIC, False: {}}
    figure.update_xaxes(title_text=axes.x, **logarithmic[axes.x_log])
    figure.update_yaxes(title_text=axes.y, **(DECADES if axes.y_log else {}))
    if axes.reference is not None:
        figure.add_hline(axes.reference, line={"color": GREY, "width": 1, "dash": "dot"})
    return figure


def _temperature(document: Document) -> float:
    return float(document["answer"]["conditions"]["temperature_K"])


def _thinned(*arrays: ArrayLike | None) -> list[np.ndarray | None]:
    """Every n-th point, so that a page stays small."""
    found = [None if array is None else np.asarray(array, dtype=float) for array in arrays]
    step = max(1, len(found[0] if found[0] is not None else ()) // _MOST_POINTS)
    return [None if array is None else array[::step] for array in found]


def _draw(
    figure: go.Figure, document: Document, curve: Curve, colour: str, dash: str, named: set[str], where: dict[str, int]
) -> None:
    conditions = document["answer"]["conditions"]
    x, y, std = _thinned(curve.x, curve.y, curve.std)
    assert x is not None
    assert y is not None
    label = f"{conditions['temperature_K']:g} K" + (f", {curve.name}" if curve.name else "")
    group: dict[str, Any] = {"legendgroup": label, **where}
    if std is not None:
        figure.add_scatter(
            x=np.concatenate([x, x[::-1]]),
            y=np.concatenate([y + std, (y - std)[::-1]]),
            fill="toself",
            fillcolor=translucent(colour, 0.12),
            mode="lines",
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
            **group,
        )
    hover = f"{label}, seed {conditions['seed']}<br>%{{x:.4g}}: %{{y:.4g}}<br>{document['_id']}<extra></extra>"
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": colour, "width": 1.6, "dash": dash},
        name=label,
        hovertemplate=hover,
        showlegend=label not in named,
        **group,
    )
    named.add(label)


def heat_map_figure(
    x: ArrayLike, y: ArrayLike, values: ArrayLike, axes: Axes, colour_title: str, *, square: bool = True
) -> go.Figure:
    """Draw a map of values.

    Parameters
    ----------
    x, y : (n_x,), (n_y,) arrays
        Centres of the cells.
    values : (n_x, n_y) array
    axes : Axes
    colour_title : str
        What the colours mean, with its unit.
    square : bool
        Whether a length is as long along x as along y.
    """
    figure = new_figure(460)
    colourbar = {"title": {"text": colour_title, "side": "right"}, "outlinewidth": 0, "thickness": 14}
    figure.add_heatmap(
        x=np.asarray(x, dtype=float),
        y=np.asarray(y, dtype=float),
        z=np.asarray(values, dtype=float).T,
        colorscale="Viridis",
        colorbar=colourbar,
        hovertemplate="%{x:.4g}, %{y:.4g}: %{z:.4g}<extra></extra>",
    )
    aspect = {"scaleanchor": "x", "scaleratio": 1} if square else {}
    dress(figure, 460, xaxis={"title": {"text": axes.x}}, yaxis={"title": {"text": axes.y}, **aspect})
    return figure
