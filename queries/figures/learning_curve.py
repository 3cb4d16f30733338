"""Learning curves of potentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.queries.figures.theme import LOGARITHMIC, dress, own_colour

if TYPE_CHECKING:
    import plotly.graph_objects as go

MEV_PER_EV = 1000.0
_MOST_POINTS = 400
_QUANTITIES = (("rmse_e", "energy (meV/atom)"), ("rmse_f", "force (meV/Å)"))
_PARTS = (("_val", "held out"), ("_trn", "training batch"), ("", "training batch"))


def steps_of_stages(curve: Mapping[str, Any]) -> np.ndarray:
    """Steps counted through all stages of a training, (n,).

    Examples
    --------
    >>> steps_of_stages({"stage": np.array([1, 1, 2, 2]), "step": np.array([0, 100, 0, 100])}).tolist()
    [0, 100, 100, 200]
    """
    step = np.asarray(curve["step"])
    if "stage" not in curve or not step.size:
        return step
    starts = np.flatnonzero(np.diff(np.asarray(curve["stage"]), prepend=curve["stage"][0]))
    offset = np.zeros_like(step)
    for start in starts:
        offset[start:] += step[start - 1]
    counted: np.ndarray = step + offset
    return counted


def learning_curve_figure(potential: Mapping[str, Any]) -> go.Figure | None:
    """Root mean square errors of energy and force during the training; None if the document has no such columns.

    Parameters
    ----------
    potential : document
        Of `potentials`; the columns are DeePMD-kit's (eV/atom, eV/Å).
    """
    from plotly.subplots import make_subplots

    curve = potential["answer"]["learning_curve"]
    rows = [(stem, title) for stem, title in _QUANTITIES if any(stem + part in curve for part, _ in _PARTS)]
    if "step" not in curve or not rows:
        return None
    steps = steps_of_stages(curve)
    thin = max(1, -(-steps.size // _MOST_POINTS))
    figure = make_subplots(rows=len(rows), cols=1, shared_xaxes=True, vertical_spacing=0.07)
    for row, (stem, _) in enumerate(rows, 1):
        for number, (part, name) in enumerate(_PARTS[:2] if f"{stem}_val" in curve else _PARTS[2:]):
            if stem + part not in curve:
                continue
            figure.add_scatter(
                x=steps[::thin],
                y=MEV_PER_EV * np.asarray(curve[stem + part], dtype=float)[::thin],
                mode="lines",
                line={"color": own_colour(number), "width": 1.4},
                name=name,
                legendgroup=name,
                showlegend=row == 1,
                hovertemplate="step %{x}: %{y:.3g}<extra>" + name + "</extra>",
                row=row,
                col=1,
            )
    dress(figure, 460)
    for row, (_, title) in enumerate(rows, 1):
        figure.update_yaxes(title_text=title, **LOGARITHMIC, row=row, col=1)
    figure.update_xaxes(title_text="training step", row=len(rows), col=1)
    return figure
