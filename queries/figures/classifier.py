"""Figures of classifiers: the weights of the surroundings beside g(r), and the choices that were tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.queries.figures.theme import GREY, dress, own_colour

if TYPE_CHECKING:
    import plotly.graph_objects as go

Document = Mapping[str, Any]
_HEIGHT = 360
_CHANCE = 0.5
# what is tried together: the parts of a grid point that each axis shows, and its title
_THRESHOLD = (("immobile_below_A", "hopping_from_A"), "D_c (Å)")
_PENALTY = (("regularisation_C",), "C")
_CUTOFF = (("cutoff_A",), "cutoff (Å)")
_SPACING = (("spacing_A",), "bins (Å)")


def weights_figure(classifier: Document, distributions: Sequence[Document] = ()) -> go.Figure:
    """Draw the weights W(r), one panel a pair of elements, and behind them g(r) of the same runs.

    Parameters
    ----------
    classifier : document
        Of `classifiers`.
    distributions : sequence of documents
        Radial distributions of runs that it was trained on; those on the grid of the first are averaged.
    """
    from plotly.subplots import make_subplots

    answer = classifier["answer"]
    features = answer["features"]
    weights = np.asarray(answer["weights"], dtype=float).reshape(len(features["neighbours"]), -1)
    r = features["spacing_A"] * (np.arange(weights.shape[1]) + 0.5)
    pairs = [f"{features['centre']}-{neighbour}" for neighbour in features["neighbours"]]
    figure = make_subplots(
        1, len(pairs), subplot_titles=pairs, shared_yaxes=True, horizontal_spacing=0.06,
        specs=[[{"secondary_y": True}] * len(pairs)],
    )  # fmt: skip
    behinds = [_mean_distribution(distributions, features["centre"], other) for other in features["neighbours"]]
    for column, (pair, of_pair, behind) in enumerate(zip(pairs, weights, behinds, strict=True), 1):
        if behind is not None:
            shown = behind[0] <= features["cutoff_A"]
            figure.add_scatter(
                x=behind[0][shown],
                y=behind[1][shown],
                mode="lines",
                line={"color": GREY, "width": 1.2},
                name="g(r)",
                legendgroup="g",
                showlegend=column == 1,
                hovertemplate=f"{pair} %{{x:.4g}} Å: g = %{{y:.3g}}<extra></extra>",
                row=1,
                col=column,
                secondary_y=True,
            )
        figure.add_scatter(
            x=r,
            y=of_pair,
            mode="lines",
            line={"color": own_colour(0), "width": 1.6, "shape": "hvh"},
            name="W(r)",
            legendgroup="W",
            showlegend=column == 1,
            hovertemplate=f"{pair} %{{x:.4g}} Å: W = %{{y:.3g}}<extra></extra>",
            row=1,
            col=column,
        )
    dress(figure, _HEIGHT)
    figure.update_xaxes(title_text="r (Å)")
    largest = 1.08 * float(np.abs(weights).max()) or 1.0
    figure.update_yaxes(range=[-largest, largest], secondary_y=False)
    figure.update_yaxes(title_text="W(r)", col=1, secondary_y=False)
    highest = max((float(behind[1].max()) for behind in behinds if behind is not None), default=1.0)
    beside = {"showgrid": False, "showticklabels": False, "tickmode": "auto", "nticks": 5}
    figure.update_yaxes(range=[0, 1.08 * highest], secondary_y=True, **beside)
    if any(behind is not None for behind in behinds):
        figure.update_yaxes(title_text="g(r)", showticklabels=True, col=len(pairs), secondary_y=True)
    return figure


def _mean_distribution(distributions: Sequence[Document], one: str, other: str) -> tuple[np.ndarray, np.ndarray] | None:
    """r (Å) and g(r) of a pair, averaged over runs; None if there is none."""
    answers = [document["answer"] for document in distributions]
    answers = [answer for answer in answers if {one, other} <= set(answer["elements"])]
    answers = [answer for answer in answers if np.array_equal(answer["r_A"], answers[0]["r_A"])]
    if not answers:
        return None
    partial = [answer["partial"][answer["elements"].index(one), answer["elements"].index(other)] for answer in answers]
    return np.asarray(answers[0]["r_A"], dtype=float), np.mean(partial, axis=0)


def grid_figure(classifier: Document) -> go.Figure | None:
    """Draw the cross-validated balanced accuracy of the choices around the one taken; None if there was none.

    Parameters
    ----------
    classifier : document
        Of `classifiers`.
    """
    from plotly.subplots import make_subplots

    grid = classifier["answer"]["grid"]
    if not grid:
        return None
    best, panels = max(grid, key=_accuracy), []
    for across, up, fixed in (
        (_THRESHOLD, _PENALTY, (_CUTOFF, _SPACING)),
        (_CUTOFF, _SPACING, (_THRESHOLD, _PENALTY)),
    ):
        points = [point for point in grid if all(_at(point, axis) == _at(best, axis) for axis in fixed)]
        sides = [list(dict.fromkeys(_at(point, axis) for point in points)) for axis in (across, up)]
        if max(map(len, sides)) > 1:
            panels.append((across, up, sides, points))
    if not panels:
        return None
    figure = make_subplots(1, len(panels), horizontal_spacing=0.14)
    for column, (across, up, (x, y), points) in enumerate(panels, 1):
        values = np.full((len(y), len(x)), np.nan)
        for point in points:
            values[y.index(_at(point, up)), x.index(_at(point, across))] = _accuracy(point)
        figure.add_heatmap(
            x=x,
            y=y,
            z=values,
            coloraxis="coloraxis",
            texttemplate="%{z:.2f}",
            hovertemplate=f"{across[1]} %{{x}}, {up[1]} %{{y}}: %{{z:.3f}}<extra></extra>",
            row=1,
            col=column,
        )
        figure.update_xaxes(title_text=across[1], row=1, col=column)
        figure.update_yaxes(title_text=up[1], row=1, col=column)
    colourbar = {"title": {"text": "balanced accuracy", "side": "right"}, "outlinewidth": 0, "thickness": 14}
    scale = {"cmin": _CHANCE, "cmax": max(0.75, _accuracy(best))}
    dress(figure, _HEIGHT, coloraxis={"colorscale": "Viridis", "colorbar": colourbar, **scale})
    figure.update_xaxes(type="category")
    figure.update_yaxes(type="category")
    return figure


def _accuracy(point: Mapping[str, Any]) -> float:
    return float(point["performance"]["balanced_accuracy"])


def _at(point: Mapping[str, Any], axis: tuple[tuple[str, ...], str]) -> str:
    """Where a grid point stands along an axis."""
    return " to ".join(dict.fromkeys(f"{point[name]:.3g}" for name in axis[0]))
