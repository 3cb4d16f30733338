"""How the properties of one kind are drawn, and curves from their answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

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


def curves(of: Callable[[Mapping[str, Any]], Iterator[Curve]], axes: Axes) -> Callable[[Sequence[Document]], go.Figure]:
    """A drawing of curves, from a function that takes an answer."""

    def draw(documents: Sequence[Document]) -> go.Figure:
        return panels_figure([(document, curve) for document in documents for curve in of(document["answer"])], axes)

    return draw


def middles(edges: ArrayLike) -> np.ndarray:
    """Middles of bins.

    Examples
    --------
    >>> middles([0.0, 1.0, 3.0]).tolist()
    [0.5, 2.0]
    """
    ends = np.asarray(edges, dtype=np.float64)
    return 0.5 * (ends[:-1] + ends[1:])


def distribution(panel: str, edges: ArrayLike, density: ArrayLike) -> Curve:
    """The curve of a histogram, without the empty bins at its ends.

    Examples
    --------
    >>> distribution("", [0, 1, 2, 3, 4, 5], [0, 0, 0, 2, 0]).x.tolist()
    [2.5, 3.5, 4.5]
    """
    values = np.asarray(density, dtype=np.float64)
    (filled,) = np.nonzero(values)
    first, last = (filled[0], filled[-1]) if len(filled) else (0, len(values) - 1)
    shown = slice(max(0, first - 1), last + 2)
    return Curve(panel, middles(edges)[shown], values[shown])
