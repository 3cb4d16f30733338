"""Parity figures: what a potential says against the labels it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.queries.figures.theme import GREY, dress, new_figure, own_colour, plain

if TYPE_CHECKING:
    import plotly.graph_objects as go

MEV_PER_EV = 1000.0
MOST_POINTS = 3000  # drawn as SVG; more would make the page slow


def energy_parity_figure(potential: Mapping[str, Any]) -> go.Figure:
    """Energies per atom of the held-out labels, meV, each relative to the mean label energy of its system.

    Parameters
    ----------
    potential : document
        Of `potentials`.

    Notes
    -----
    Systems differ by electronvolts per atom, against which errors of millielectronvolts would not show. The same
    mean is taken from both axes, so that a bias of the potential stays visible.
    """
    parity = potential["answer"]["parity"]
    index = np.asarray(parity["system_index"])
    label, predicted = (np.asarray(parity[key], dtype=float) for key in ("energy_label", "energy_potential"))
    counts = np.bincount(index, minlength=len(parity["system"]))
    mean = np.bincount(index, weights=label, minlength=len(parity["system"])) / np.maximum(counts, 1)
    return _parity_figure(
        potential["_id"],
        parity["system"],
        index,
        MEV_PER_EV * (label - mean[index]),
        MEV_PER_EV * (predicted - mean[index]),
        "energy",
        "meV/atom",
    )


def force_parity_figure(potential: Mapping[str, Any]) -> go.Figure:
    """Force components, eV/Å: those kept in the document, every n-th if there are more than can be drawn.

    Parameters
    ----------
    potential : document
        Of `potentials`.
    """
    parity = potential["answer"]["parity"]
    index = np.asarray(parity["force_system_index"])
    stride = max(1, -(-index.size // MOST_POINTS))
    label, predicted = (np.asarray(parity[key], dtype=float)[::stride] for key in ("force_label", "force_potential"))
    return _parity_figure(
        potential["_id"], parity["system"], index[::stride], label, predicted, "force component", "eV/Å"
    )


def _parity_figure(
    id_: str,
    systems: list[str],
    index: np.ndarray,
    label: np.ndarray,
    predicted: np.ndarray,
    quantity: str,
    unit: str,
) -> go.Figure:
    figure = new_figure(460)
    both = np.concatenate([label, predicted])
    if both.size:
        ends = [float(both.min()), float(both.max())]
        figure.add_scatter(
            x=ends, y=ends, mode="lines", line={"color": GREY, "width": 1}, hoverinfo="skip", showlegend=False
        )
    for number, system in enumerate(systems):
        mine = index == number
        figure.add_scatter(
            x=label[mine].round(4),
            y=predicted[mine].round(4),
            mode="markers",
            marker={"size": 5, "color": own_colour(number), "opacity": 0.55},
            name=plain(system),
            hovertemplate=f"label %{{x:.3f}}, potential %{{y:.3f}} {unit}<extra>{plain(system)}</extra>",
        )
    dress(
        figure,
        460,
        xaxis={"title": {"text": f"{quantity} of the label ({unit})"}},
        yaxis={"title": {"text": f"by the potential ({unit})"}},
        meta={"id": id_},
        legend_itemsizing="constant",
    )
    return figure
