"""Extrapolation grade of the runs over time, with the grades from which on frames are kept and runs are ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.queries.figures.theme import GREY, LOGARITHMIC, dress, new_figure, plain, temperature_colours

if TYPE_CHECKING:
    import plotly.graph_objects as go

_MOST_POINTS = 300
_HEIGHT = 420
_THRESHOLDS = (("select_grade", "frames are kept", "dash"), ("break_grade", "the run is ended", "dot"))


def block_maxima(values: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Index and value of the maxima over blocks of equal length, at most so many; the last block may be shorter.

    Examples
    --------
    >>> index, largest = block_maxima(np.array([1.0, 3.0, 5.0, 2.0, 9.0]), 3)
    >>> index.tolist(), largest.tolist()
    ([1, 2, 4], [3.0, 5.0, 9.0])
    """
    length = max(1, -(-values.size // most))
    starts = range(0, values.size, length)
    index = np.array([start + int(np.argmax(values[start : start + length])) for start in starts], dtype=int)
    return index, values[index]


def extrapolation_figure(runs: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw the largest grade of an atom against time since the beginning of production.

    Parameters
    ----------
    runs : sequence of documents
        Of `runs`, with extrapolation grades; where there are many points, the largest of each block is drawn.
    """
    figure = new_figure(_HEIGHT)
    colours = temperature_colours([run["asked"]["settings"]["temperature_K"] for run in runs])
    named: set[float] = set()
    for run in sorted(runs, key=lambda run: run["asked"]["settings"]["temperature_K"]):
        settings, grades = run["asked"]["settings"], run["answer"]["extrapolation"]
        temperature = settings["temperature_K"]
        time = np.asarray(grades["steps"], dtype=float) * settings["timestep_fs"] / 1000.0
        index, largest = block_maxima(np.asarray(grades["max_grades"], dtype=float), _MOST_POINTS)
        figure.add_scatter(
            x=time[index].round(5),
            y=largest,
            mode="lines" if index.size > 1 else "markers",
            line={"color": colours[temperature], "width": 1.2},
            name=f"{temperature:g} K",
            legendgroup=f"{temperature:g}",
            showlegend=temperature not in named,
            hovertemplate=f"{temperature:g} K, seed {settings['seed']}<br>%{{x:.3f}} ps: %{{y:.3g}}<br>{run['_id']}"
            "<extra></extra>",
        )
        named.add(temperature)
        if grades["stopped"] is not None:
            figure.add_scatter(
                x=time[-1:],
                y=grades["max_grades"][-1:],
                mode="markers",
                marker={"symbol": "x", "size": 11, "color": colours[temperature]},
                legendgroup=f"{temperature:g}",
                showlegend=False,
                hovertemplate=f"{plain(grades['stopped'])}<br>{run['_id']}<extra>ended</extra>",
            )
    _draw_thresholds(figure, runs)
    dress(
        figure,
        _HEIGHT,
        xaxis={"title": {"text": "time in production (ps)"}},
        yaxis={"title": {"text": "largest grade of an atom"}, **LOGARITHMIC},
    )
    return figure


def _draw_thresholds(figure: go.Figure, runs: Sequence[Mapping[str, Any]]) -> None:
    ends = [float(end) for trace in figure.data for end in (min(trace.x), max(trace.x))]
    for name, meaning, dash in _THRESHOLDS:
        for value in sorted({run["asked"]["settings"]["extrapolation"][name] for run in runs}):
            figure.add_scatter(
                x=[min(ends), max(ends)],
                y=[value, value],
                mode="lines",
                line={"color": GREY, "width": 1.4, "dash": dash},
                name=f"from {value:g} on {meaning}",
                hoverinfo="skip",
            )
