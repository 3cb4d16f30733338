"""Mean squared displacement against lag time, with the fitted window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.queries.figures.theme import GREY, LOGARITHMIC, dress, new_figure, temperature_colours, translucent

if TYPE_CHECKING:
    import plotly.graph_objects as go

A2_PER_PS = 1.0e4  # 1 cm²/s = 10¹⁶ Å² / 10¹² ps
_DASHES = ("solid", "dot", "dash", "dashdot", "longdash")


def line_in_window(answer: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The fitted line, ``MSD = 6 D t + c``, over its window.

    Parameters
    ----------
    answer : mapping
        Answer of a diffusion property.

    Returns
    -------
    lag_ps, msd_A2 : arrays
        c is the intercept of the fit.
    """
    lag = np.asarray(answer["msd"]["lag_ps"], dtype=float)
    used = (lag >= answer["fit_start_ps"] * (1 - 1e-9)) & (lag <= answer["fit_stop_ps"] * (1 + 1e-9))
    return lag[used], 6.0 * answer["D_cm2_s"] * A2_PER_PS * lag[used] + answer["intercept_A2"]


def msd_figure(diffusions: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw the MSD of each run: thin where it was not fitted, thick in the window, the line dashed on top.

    Parameters
    ----------
    diffusions : sequence of documents
        Properties 'diffusion' of one structure and species.
    """
    figure = new_figure(560)
    colours = temperature_colours([document["answer"]["conditions"]["temperature_K"] for document in diffusions])
    ordered = sorted(
        diffusions, key=lambda d: (-d["answer"]["conditions"]["temperature_K"], d["answer"]["conditions"]["seed"])
    )
    replica: dict[float, int] = {}
    for document in ordered:
        answer = document["answer"]
        temperature = answer["conditions"]["temperature_K"]
        rank = replica[temperature] = replica.get(temperature, -1) + 1
        _draw_run(figure, document, colours[temperature], _DASHES[rank % len(_DASHES)], first=rank == 0)
    _draw_slope_guide(figure, diffusions)
    species = ", ".join(sorted({document["answer"]["species"] for document in diffusions}))
    dress(
        figure,
        560,
        xaxis={"title": {"text": "lag time (ps)"}, **LOGARITHMIC},
        yaxis={"title": {"text": f"MSD of {species} (Å²)"}, **LOGARITHMIC},
    )
    return figure


def _draw_run(figure: go.Figure, document: Mapping[str, Any], colour: str, dash: str, *, first: bool) -> None:
    answer = document["answer"]
    conditions, msd = answer["conditions"], answer["msd"]
    lag, values, std = (np.asarray(msd[key], dtype=float) for key in ("lag_ps", "msd_A2", "msd_std_A2"))
    shown = (lag > 0) & (values > 0)
    lag, values, std = lag[shown], values[shown], std[shown]
    group = {"legendgroup": f"{conditions['temperature_K']:g}", "showlegend": False}
    low, high = np.maximum(values - std, values * 0.02), values + std
    figure.add_scatter(
        x=np.concatenate([lag, lag[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        fill="toself",
        fillcolor=translucent(colour, 0.10),
        mode="lines",
        line={"width": 0},
        hoverinfo="skip",
        **group,
    )
    slope = "" if answer["fickian"] else ", not Fickian"
    hover = (
        f"{conditions['temperature_K']:g} K, seed {conditions['seed']}<br>lag %{{x:.3g}} ps: %{{y:.3g}} Å²<br>"
        f"fitted {answer['fit_start_ps']:.3g} to {answer['fit_stop_ps']:.3g} ps, slope of log-log "
        f"{answer['loglog_slope']:.2f}{slope}<br>{document['_id']}<br>{conditions['run_id']}<extra></extra>"
    )
    figure.add_scatter(
        x=lag, y=values, mode="lines", line={"color": colour, "width": 1, "dash": dash}, hovertemplate=hover, **group
    )
    used = (lag >= answer["fit_start_ps"] * (1 - 1e-9)) & (lag <= answer["fit_stop_ps"] * (1 + 1e-9))
    figure.add_scatter(
        x=lag[used],
        y=values[used],
        mode="lines+markers",
        line={"color": colour, "width": 3, "dash": dash},
        marker={"size": 5, "symbol": "circle" if answer["fickian"] else "circle-open"},
        hovertemplate=hover,
        name=f"{conditions['temperature_K']:g} K",
        legendgroup=group["legendgroup"],
        showlegend=first,
    )
    line_lag, line = line_in_window(answer)
    positive = line > 0
    figure.add_scatter(
        x=line_lag[positive],
        y=line[positive],
        mode="lines",
        line={"color": GREY, "width": 1.2, "dash": "dash"},
        hoverinfo="skip",
        **group,
    )


def _draw_slope_guide(figure: go.Figure, diffusions: Sequence[Mapping[str, Any]]) -> None:
    """A line of slope 1, as diffusion has it, over the longest decade."""
    longest = max(float(np.max(document["answer"]["msd"]["lag_ps"])) for document in diffusions)
    top = max(float(np.max(document["answer"]["msd"]["msd_A2"])) for document in diffusions)
    if top > 0:
        lag = np.array([longest / 10, longest])
        figure.add_scatter(
            x=lag,
            y=2.0 * top * lag / longest,
            mode="lines",
            line={"color": GREY, "width": 1},
            name="slope 1",
            hoverinfo="skip",
        )
