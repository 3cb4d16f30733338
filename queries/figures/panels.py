"""Curves in panels, one panel a subject (a pair of elements, an axis …), coloured by temperature; and heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.queries.figures.theme import (
    DECADES,
    GREY,
    LOGARITHMIC,
    dress,
    new_figure,
    plain,
    temperature_colours,
    translucent,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

Document = Mapping[str, Any]
_DASHES = ("solid", "dot", "dash", "dashdot", "longdash")
_COLUMNS = 3
_PANEL_HEIGHT = 240
_PANEL_WIDTH = 780  # of all panels of a row, about
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
    measured : bool
        An experiment: grey points instead of a line, with `name` in the legend.
    """

    panel: str
    x: ArrayLike
    y: ArrayLike
    std: ArrayLike | None = None
    name: str = ""
    measured: bool = False


@dataclass(frozen=True)
class Axes:
    """Titles with units, and whether an axis is logarithmic; `reference` draws a horizontal line at that value."""

    x: str
    y: str
    x_log: bool = False
    y_log: bool = False
    reference: float | None = None


def panels_figure(curves: Sequence[tuple[Document, Curve]], axes: Axes, most_columns: int = _COLUMNS) -> go.Figure:
    """Draw curves of runs, one panel a subject.

    Parameters
    ----------
    curves : sequence of pairs
        Each with the property that it comes from; colours tell temperatures, dashes replicas or names.
    axes : Axes
    most_columns : int
        Most panels beside each other.
    """
    from plotly.subplots import make_subplots

    panels = list(dict.fromkeys(curve.panel for _, curve in curves))
    columns = min(most_columns, len(panels))
    n_rows = -(-len(panels) // columns)
    height = max(360, n_rows * _PANEL_HEIGHT + 110)
    figure = make_subplots(
        n_rows,
        columns,
        subplot_titles=panels if len(panels) > 1 else None,
        horizontal_spacing=0.07,
        vertical_spacing=min(90 / height, 0.5 / n_rows),
    )
    colours = temperature_colours([_temperature(document) for document, _ in curves])
    kinds = list(dict.fromkeys(_kind(document, curve) for document, curve in curves))
    named: set[str] = set()
    for document, curve in sorted(curves, key=lambda pair: -_temperature(pair[0])):
        place = panels.index(curve.panel)
        dash = _DASHES[kinds.index(_kind(document, curve)) % len(_DASHES)]
        where = {"row": place // columns + 1, "col": place % columns + 1}
        _draw(figure, document, curve, colours[_temperature(document)], dash, named, where)
    dress(figure, height)
    logarithmic = {True: LOGARITHMIC, False: {}}
    figure.update_xaxes(title_text=axes.x, **logarithmic[axes.x_log])
    figure.update_yaxes(title_text=axes.y, **(DECADES if axes.y_log else {}))
    if axes.reference is not None:
        figure.add_hline(axes.reference, line={"color": GREY, "width": 1, "dash": "dot"})
    return figure


def _kind(document: Document, curve: Curve) -> str:
    """What dashes tell: names, or replicas where there are none."""
    return curve.name or str(document["answer"]["conditions"]["seed"])


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
    look: dict[str, Any] = {"mode": "lines", "line": {"color": colour, "width": 1.6, "dash": dash}}
    hover = f"{label}, seed {conditions['seed']}<br>%{{x:.4g}}: %{{y:.4g}}<br>{document['_id']}<extra></extra>"
    if curve.measured:
        label = plain(curve.name)
        look = {"mode": "markers", "marker": {"color": GREY, "size": 3}}
        hover = f"{label}<br>%{{x:.4g}}: %{{y:.4g}}<extra></extra>"
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
    figure.add_scatter(
        x=x,
        y=y,
        **look,
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


@dataclass(frozen=True)
class HeatMap:
    """One of several maps: its panel, the centres of its cells (n_x,) and (n_y,), and values (n_x, n_y)."""

    panel: str
    x: ArrayLike
    y: ArrayLike
    values: ArrayLike


def heat_maps_figure(maps: Sequence[HeatMap], axes: Axes, colour_title: str) -> go.Figure:
    """Draw maps of lengths beside each other, with one scale of colours.

    Parameters
    ----------
    maps : sequence of HeatMap
        A length is as long along x as along y.
    axes : Axes
    colour_title : str
        What the colours mean, with its unit.
    """
    from plotly.subplots import make_subplots

    columns = min(_COLUMNS, len(maps))
    n_rows = -(-len(maps) // columns)
    aspect = float(np.ptp(np.asarray(maps[0].y)) / np.ptp(np.asarray(maps[0].x)))
    panel_height = float(np.clip(_PANEL_WIDTH / columns * aspect, 130, 460))
    height = int(n_rows * (panel_height + 80) + 60)
    figure = make_subplots(
        n_rows,
        columns,
        subplot_titles=[one.panel for one in maps],
        horizontal_spacing=0.06,
        vertical_spacing=min(0.5 / n_rows, 80 / height),
    )
    for place, one in enumerate(maps):
        x, y, values = (np.asarray(array, dtype=np.float32) for array in (one.x, one.y, one.values))
        where = {"row": place // columns + 1, "col": place % columns + 1}
        hover = f"{one.panel}<br>%{{x:.4g}}, %{{y:.4g}}: %{{z:.4g}}<extra></extra>"
        figure.add_heatmap(x=x, y=y, z=values.T, coloraxis="coloraxis", hovertemplate=hover, **where)
    colourbar = {"title": {"text": colour_title, "side": "right"}, "outlinewidth": 0, "thickness": 14}
    colourbar |= {"lenmode": "pixels", "len": min(360, height - 90), "y": 1, "yanchor": "top"}
    dress(figure, height, coloraxis={"colorscale": "Viridis", "colorbar": colourbar})
    for place in range(len(maps)):
        where = {"row": place // columns + 1, "col": place % columns + 1}
        anchor = f"x{place + 1}" if place else "x"
        figure.update_xaxes(title_text=axes.x, constrain="domain", **where)
        title = "" if place % columns else axes.y
        figure.update_yaxes(title_text=title, scaleanchor=anchor, constrain="domain", **where)
    return figure
