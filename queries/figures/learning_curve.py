"""Learning curves of potentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.queries.figures.theme import LOGARITHMIC, dress, own_colour

if TYPE_CHECKING:
    import plotly.graph_objects as go

MEV_PER_EV = 1000.0
_MOST_POINTS = 400
_QUANTITIES = (("rmse_e", "energy (meV/atom)"), ("rmse_f", "force (meV/Å)"), ("rmse_v", "virial (meV/atom)"))
_LOSS = (("rmse", "√loss (10⁻³)"),)  # where a program tells no more
_FEWEST_AS_LINE = 25


@dataclass(frozen=True)
class _Words:
    """What an engine's steps and its training errors are called."""

    step: str
    axis: str
    training: str


_WORDS = {"mtp": _Words("iteration", "iteration of the optimiser", "training")}
_DEFAULT = _Words("step", "training step", "training batch")  # errors of one batch


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
    """Root mean square errors of energy, force and virial during the training; None if there are no such columns.

    Parameters
    ----------
    potential : document
        Of `potentials`; the columns have DeePMD-kit's names (eV/atom, eV/Å) for all engines.
    """
    from plotly.subplots import make_subplots

    curve = potential["answer"]["learning_curve"]
    words = _WORDS.get(potential["asked"]["engine"], _DEFAULT)
    parts = (("_val", "held out", 0), ("_trn", words.training, 1), ("", words.training, 0))
    rows = _rows(curve, _QUANTITIES) or _rows(curve, _LOSS)
    if "step" not in curve or not rows:
        return None
    steps = steps_of_stages(curve)
    figure = make_subplots(rows=len(rows), cols=1, shared_xaxes=True, vertical_spacing=0.05)
    for row, (stem, _) in enumerate(rows, 1):
        for part, name, colour in parts:
            if stem + part not in curve:
                continue
            x, y = _thinned(steps, MEV_PER_EV * np.asarray(curve[stem + part], dtype=float))
            figure.add_scatter(
                x=x,
                y=y,
                mode="lines" if x.size > _FEWEST_AS_LINE else "lines+markers",
                line={"color": own_colour(colour), "width": 1.4},
                marker={"size": 4},
                name=name,
                legendgroup=name,
                showlegend=row == 1,
                hovertemplate=f"{words.step} %{{x}}: %{{y:.3g}}<extra>{name}</extra>",
                row=row,
                col=1,
            )
    dress(figure, 140 + 160 * len(rows))
    for row, (_, title) in enumerate(rows, 1):
        figure.update_yaxes(title_text=title, **LOGARITHMIC, row=row, col=1)
    figure.update_xaxes(title_text=words.axis, row=len(rows), col=1)
    return figure


def _rows(curve: Mapping[str, Any], quantities: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of which a column has numbers."""
    suffixes = ("_val", "_trn", "")
    return [
        (stem, title)
        for stem, title in quantities
        if any(np.isfinite(np.asarray(curve.get(stem + suffix, ()), dtype=float)).any() for suffix in suffixes)
    ]


def _thinned(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Not more points than can be seen, the last among them, without those that are no number."""
    known = np.flatnonzero(np.isfinite(values))
    thin = max(1, -(-known.size // _MOST_POINTS))
    chosen = known[::-1][::thin][::-1]
    return steps[chosen], values[chosen]
