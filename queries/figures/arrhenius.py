"""Arrhenius figure: D against 1000/T, with the fit, its band, the replicas and what others published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.analysis.arrhenius import BOLTZMANN_EV_PER_K
from lipsdb.analysis.trajectory_arrays import FloatArray
from lipsdb.queries.figures.published_lines import PublishedResult
from lipsdb.queries.figures.theme import DECADES, GREY, OWN, dress, new_figure, plain, translucent

if TYPE_CHECKING:
    import plotly.graph_objects as go

Document = Mapping[str, Any]
_TEMPERATURE_TICKS = (250, 300, 350, 400, 500, 600, 700, 850, 1000, 1200, 1500, 2000)
_COLOURS = (OWN[0], OWN[2], OWN[3], OWN[4], OWN[5], OWN[1])  # orange last: published simulations are near it
_SYMBOLS = ("circle", "triangle-up", "pentagon", "star-square", "hexagon", "star")
_SIMULATED = ("#c2643c", "#b8862d", "#a8577e", "#7d6b3d")
_MEASURED = ("#3f8f5f", "#4b8a9b", "#6f7fb0", "#5d8c3a")


def fitted_line(fit: Mapping[str, Any], temperatures_K: FloatArray) -> tuple[FloatArray, FloatArray]:
    """D of a fit, cm²/s, and the standard deviation of ln D, at temperatures in K.

    Parameters
    ----------
    fit : mapping
        Answer of an arrhenius property.
    temperatures_K : (n,) array, K

    Returns
    -------
    diffusion, ln_std : (n,) arrays
    """
    u = 1.0 / (BOLTZMANN_EV_PER_K * temperatures_K)
    gradient = np.stack([np.ones_like(u), -u], axis=1)
    variance = np.einsum("ni,ij,nj->n", gradient, np.asarray(fit["covariance"], dtype=float), gradient)
    return np.exp(fit["ln_D0_cm2_s"] - fit["Ea_eV"] * u), np.sqrt(np.maximum(variance, 0.0))


def arrhenius_figure(
    fits: Sequence[Document],
    diffusions: Sequence[Document],
    published: Sequence[PublishedResult] = (),
    names: Sequence[str] | None = None,
    styles: Sequence[int] | None = None,
) -> go.Figure:
    """Draw the Arrhenius figure.

    Parameters
    ----------
    fits : sequence of documents
        Properties 'arrhenius'.
    diffusions : sequence of documents
        Properties 'diffusion' of single runs: the replicas.
    published : sequence of PublishedResult
        Drawn as a line where Ea and σ(300 K) both exist and one of the fits is of that structure.
    names : sequence of str, optional
        What tells the fits apart; their structures by default.
    styles : sequence of int, optional
        Number of the colour and symbol of each fit, the same in several figures if wanted; in turn by default.
    """
    figure = new_figure(620)
    reach = [1000.0 / 300.0]
    by_id = {document["_id"]: document for document in diffusions}
    names = names or [document["answer"]["conditions"]["structure"] for document in fits]
    for document, name, style in zip(fits, names, styles or range(len(fits)), strict=True):
        reach += _draw_fit(figure, plain(name), style, document, by_id)
    temperatures = 1000.0 / np.linspace(min(reach), max(reach), 60)
    drawn: dict[bool, int] = {True: 0, False: 0}
    for result in published:
        fit = next(
            (fit["answer"] for fit in fits if fit["answer"]["conditions"]["structure"] == result.structure), None
        )
        if fit is None:
            continue
        density = fit["points"][0]["number_density_A3"]
        line = result.diffusion_at(temperatures, density, fit["charge_e"])
        if line is not None:
            _draw_published(figure, result, temperatures, line, drawn[result.simulation])
            drawn[result.simulation] += 1
    _dress_axes(figure, min(reach), max(reach))
    return figure


def fit_colour(style: int) -> str:
    """Colour of the n-th of our fits; they repeat."""
    return _COLOURS[style % len(_COLOURS)]


def _draw_fit(
    figure: go.Figure, name: str, style: int, document: Document, by_id: Mapping[str, Document]
) -> list[float]:
    """Add one fit with its points and replicas; return the values of 1000/T that it covers."""
    fit, colour, symbol = document["answer"], fit_colour(style), _SYMBOLS[style % len(_SYMBOLS)]
    points = fit["points"]
    inverse = [1000.0 / point["temperature_K"] for point in points]
    grid = np.linspace(min(inverse), max([*inverse, 1000.0 / fit["target_temperature_K"]]), 80)
    line, ln_std = fitted_line(fit, 1000.0 / grid)
    group = {"legendgroup": document["_id"]}
    figure.add_scatter(
        x=np.concatenate([grid, grid[::-1]]),
        y=np.concatenate([line * np.exp(ln_std), (line * np.exp(-ln_std))[::-1]]),
        fill="toself",
        fillcolor=translucent(colour, 0.16),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        name=f"{name}: 68 % of the fit",
        showlegend=False,
        **group,
    )
    within = grid <= max(inverse) + 1e-12
    for part, dash in ((within, "solid"), (~within | (grid >= grid[within][-1]), "dash")):
        figure.add_scatter(
            x=grid[part],
            y=line[part],
            mode="lines",
            line={"color": colour, "width": 2, "dash": dash},
            name=f"{name}: Ea = {fit['Ea_eV']:.3f} ± {fit['Ea_std_eV']:.3f} eV",
            showlegend=dash == "solid",
            hovertemplate=f"{name}: %{{y:.2e}} cm²/s on the fitted line<extra>{document['_id']}</extra>",
            **group,
        )
    replicas = [by_id[link["id"]] for link in document["inputs"] if link["id"] in by_id]
    seen = [replica for replica in replicas if replica["answer"]["D_cm2_s"] > 0]
    figure.add_scatter(
        x=[1000.0 / replica["answer"]["conditions"]["temperature_K"] for replica in seen],
        y=[replica["answer"]["D_cm2_s"] for replica in seen],
        customdata=[_replica_hover(name, replica) for replica in seen],
        mode="markers",
        marker={"color": colour, "size": 6, "opacity": 0.4, "symbol": symbol},
        name=f"{name}: single runs",
        showlegend=False,
        hovertemplate="%{customdata[0]}<extra></extra>",
        **group,
    )
    shown = [point for point in points if point["D_cm2_s"] > 0]
    figure.add_scatter(
        x=[1000.0 / point["temperature_K"] for point in shown],
        y=[point["D_cm2_s"] for point in shown],
        error_y={
            "type": "data",
            "array": [point["D_std_cm2_s"] for point in shown],
            # an error bar as long as the value has no lower end on a logarithmic axis
            "arrayminus": [min(point["D_std_cm2_s"], 0.9 * point["D_cm2_s"]) for point in shown],
            "color": colour,
            "thickness": 1.5,
            "width": 5,
        },
        customdata=[[_point_hover(name, point, document["_id"])] for point in shown],
        mode="markers",
        marker={
            "color": colour,
            "size": 10,
            "line": {"width": 2, "color": colour},
            "symbol": [symbol if point["fickian"] else f"{symbol}-open" for point in shown],
        },
        name=f"{name}: replicas combined",
        showlegend=False,
        hovertemplate="%{customdata[0]}<extra></extra>",
        **group,
    )
    return [float(grid[0]), float(grid[-1])]


def _replica_hover(name: str, document: Document) -> list[str]:
    answer = document["answer"]
    conditions = answer["conditions"]
    return [
        f"{name}, {conditions['temperature_K']:g} K, seed {conditions['seed']}<br>"
        f"D = ({answer['D_cm2_s']:.2e} ± {answer['D_std_cm2_s']:.1e}) cm²/s<br>{document['_id']}<br>"
        f"{conditions['run_id']}"
    ]


def _point_hover(name: str, point: Mapping[str, Any], id_: str) -> str:
    fickian = "" if point["fickian"] else "<br>not Fickian: a rate, not a diffusion coefficient"
    return (
        f"{name}, {point['temperature_K']:g} K, {point['n_replicas']} replicas<br>"
        f"D = ({point['D_cm2_s']:.2e} ± {point['D_std_cm2_s']:.1e}) cm²/s<br>"
        f"σ = ({point['sigma_S_cm']:.3g} ± {point['sigma_std_S_cm']:.2g}) S/cm{fickian}<br>{id_}"
    )


def _draw_published(
    figure: go.Figure, result: PublishedResult, temperatures: FloatArray, line: FloatArray, rank: int
) -> None:
    colours, dash, symbol = (
        (_SIMULATED, "dot", "diamond-open") if result.simulation else (_MEASURED, "dashdot", "square-open")
    )
    colour = colours[rank % len(colours)]
    kind = "simulation" if result.simulation else "experiment"
    text = (
        f"published, {kind}: {plain(result.label)}<br>Ea = {result.activation_energy_eV:g} eV, "
        f"σ(300 K) = {result.conductivity_300K_S_cm:.2g} S/cm<br>doi:{plain(result.doi)}, {plain(result.where)}"
    )
    figure.add_scatter(
        x=1000.0 / temperatures,
        y=line,
        mode="lines",
        line={"color": colour, "width": 1.5, "dash": dash},
        name=f"{plain(result.label)}, {kind}",
        hovertemplate=text + "<extra></extra>",
        legendgroup=result.label,
    )
    at_300 = float(np.interp(1000.0 / 300.0, 1000.0 / temperatures[np.argsort(1000.0 / temperatures)], line))
    figure.add_scatter(
        x=[1000.0 / 300.0],
        y=[at_300],
        mode="markers",
        marker={"symbol": symbol, "size": 9, "color": colour, "line": {"width": 2}},
        hovertemplate=text + "<extra></extra>",
        showlegend=False,
        legendgroup=result.label,
    )


def _dress_axes(figure: go.Figure, low: float, high: float) -> None:
    """Axis 1000/T below, T above; both zoom together."""
    margin = 0.04 * (high - low)
    ticks: list[int] = []
    for t in sorted(_TEMPERATURE_TICKS, reverse=True):  # none nearer than a label is wide on a phone
        far = not ticks or 1000.0 / t - 1000.0 / ticks[-1] > 0.11 * (high - low)
        if low - margin <= 1000.0 / t <= high + margin and far:
            ticks.append(t)
    figure.add_scatter(x=[low], y=[None], xaxis="x2", showlegend=False, hoverinfo="skip")
    dress(
        figure,
        620,
        xaxis={"title": {"text": "1000 / T (K⁻¹)"}, "range": [low - margin, high + margin]},
        xaxis2={
            "title": {"text": "T (K)", "standoff": 4},
            "overlaying": "x",
            "matches": "x",
            "side": "top",
            "tickvals": [1000.0 / t for t in ticks],
            "ticktext": [str(t) for t in ticks],
            "showgrid": False,
            "tickangle": 0,
            "ticks": "outside",
            "tickcolor": GREY,
        },
        yaxis={"title": {"text": "D (cm²/s)"}, **DECADES},
        margin={"l": 72, "r": 16, "t": 56, "b": 56},
    )
