"""The figures of dynamics: how far atoms move, when, and in which direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.queries.figures.descriptors.figure import Answer, Document, Figure, curves
from lipsdb.queries.figures.panels import Axes, Curve, panels_figure

if TYPE_CHECKING:
    import plotly.graph_objects as go

_EXPONENT = "exponent of the MSD"
_MOST_POINTS = 4000  # of one panel of atoms


def _displacement(documents: Sequence[Document]) -> go.Figure:
    from lipsdb.queries.figures.theme import GREY

    def of(answer: Answer) -> Iterator[Curve]:
        lag = answer["lag_ps"]
        for axis in range(3):
            msd, std = answer["msd_axes_A2"][:, axis], answer["msd_axes_std_A2"][:, axis]
            yield Curve(f"MSD along {'xyz'[axis]}", lag, msd, _below(msd, std))
        yield Curve("MSD", lag, answer["msd_A2"], _below(answer["msd_A2"], answer["msd_std_A2"]))
        yield Curve(_EXPONENT, lag, answer["exponent"], answer["exponent_std"])

    drawn = [(document, curve) for document in documents for curve in of(document["answer"])]
    figure = panels_figure(drawn, Axes("lag time (ps)", "MSD (Å²)", x_log=True, y_log=True))
    figure.update_yaxes(title_text="", row=1, col=2)
    figure.update_yaxes(title_text="", row=1, col=3)
    place = {"row": 2, "col": 2}  # of the fifth panel
    figure.update_yaxes(type="linear", title_text="d ln MSD / d ln t", dtick=None, exponentformat=None, **place)
    figure.add_hline(1.0, line={"color": GREY, "width": 1, "dash": "dot"}, **place)
    return figure


def _below(values: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Errors that leave a lower end above 0, for a logarithmic axis."""
    below: np.ndarray = np.minimum(std, 0.98 * values)
    return below


def _non_gaussian(documents: Sequence[Document]) -> go.Figure:
    from lipsdb.queries.figures.theme import temperature_colours

    drawn = [
        (document, Curve("", answer["lag_ps"], answer["alpha2"], answer["alpha2_std"]))
        for document in documents
        for answer in [document["answer"]]
    ]
    figure = panels_figure(drawn, Axes("lag time (ps)", "α₂", x_log=True, reference=0.0))
    colours = temperature_colours([document["answer"]["conditions"]["temperature_K"] for document in documents])
    for document in documents:
        answer = document["answer"]
        [row], conditions = answer["summary"], answer["conditions"]
        if not answer["peak_found"]:
            continue
        label = f"{conditions['temperature_K']:g} K"
        figure.add_scatter(
            x=[row["peak_time_ps"]],
            y=[row["height"]],
            error_x=_alike_in_logarithm(row["peak_time_ps"], row["peak_time_std_ps"]),
            error_y={"array": [row["height_std"]], "thickness": 1.2, "width": 3},
            mode="markers",
            marker={"color": colours[conditions["temperature_K"]], "size": 7, "symbol": "square"},
            legendgroup=label,
            showlegend=False,
            hovertemplate=f"peak at {label}, seed {conditions['seed']}<br>%{{x:.4g}} ps: %{{y:.4g}}<extra></extra>",
        )
    return figure


def _alike_in_logarithm(value: float, std: float | None) -> dict[str, Any] | None:
    """Bars of the same length to both sides of a value on a logarithmic axis, which it was found on."""
    if std is None:
        return None
    upper, lower = (value * abs(np.expm1(sign * std / value)) for sign in (1, -1))
    return {"array": [upper], "arrayminus": [lower], "symmetric": False, "thickness": 1.2, "width": 3}


def _van_hove(answer: Answer) -> Iterator[Curve]:
    for time, density in zip(answer["times_ps"], answer["density_per_A"], strict=True):
        yield Curve(f"after {time:g} ps", answer["r_A"], density)


def _displacement_maps(documents: Sequence[Document]) -> go.Figure:
    from plotly.subplots import make_subplots

    from lipsdb.queries.figures.theme import dress

    ordered = sorted(documents, key=_temperature_and_seed)
    axes = ["xyz".index(axis) for axis in ordered[0]["answer"]["plane"]]
    columns = min(3, len(ordered))
    n_rows = -(-len(ordered) // columns)
    sides = [np.abs(document["answer"]["cell_A"][0]).sum(axis=0)[axes] for document in ordered]
    panel = float(np.clip(780 / columns * max(side[1] / side[0] for side in sides), 130, 460))
    height = int(n_rows * (panel + 80) + 40)
    titles = [
        f"{conditions['temperature_K']:g} K, seed {conditions['seed']}"
        for conditions in (document["answer"]["conditions"] for document in ordered)
    ]
    figure = make_subplots(
        n_rows,
        columns,
        subplot_titles=titles,
        horizontal_spacing=0.06,
        vertical_spacing=min(80 / height, 0.5 / n_rows),
    )
    colourbar = {"title": {"text": "displacement (Å)", "side": "right"}, "outlinewidth": 0, "thickness": 14}
    colourbar |= {"lenmode": "pixels", "len": min(360, height - 90), "y": 1, "yanchor": "top"}
    dress(figure, height, coloraxis={"colorscale": "Viridis", "cmin": 0, "colorbar": colourbar}, showlegend=False)
    names = [f"{'xyz'[axis]} (Å)" for axis in axes]
    for place, (document, title) in enumerate(zip(ordered, titles, strict=True)):
        where: dict[str, Any] = {"row": place // columns + 1, "col": place % columns + 1}
        _draw_atoms(figure, document["answer"], axes, title, where)
        figure.update_xaxes(title_text=names[0], constrain="domain", **where)
        anchor = f"x{place + 1}" if place else "x"
        title_text = "" if place % columns else names[1]
        figure.update_yaxes(title_text=title_text, scaleanchor=anchor, constrain="domain", **where)
    return figure


def _draw_atoms(figure: go.Figure, answer: Answer, axes: Sequence[int], title: str, where: dict[str, Any]) -> None:
    start, moved = answer["start_A"], answer["moved_A"]
    n_windows = max(1, min(len(start), _MOST_POINTS // start.shape[1]))
    step = -(-start.shape[1] // _MOST_POINTS)  # of many atoms every n-th
    points, colours = start[:n_windows, ::step].reshape(-1, 3)[:, axes], moved[:n_windows, ::step].ravel()
    figure.add_scatter(
        x=points[:, 0],
        y=points[:, 1],
        mode="markers",
        marker={"color": colours, "coloraxis": "coloraxis", "size": 6 if len(points) < 1000 else 4, "opacity": 0.85},
        hovertemplate=f"{title}<br>from %{{x:.3g}}, %{{y:.3g}} Å by %{{marker.color:.3g}} Å<extra></extra>",
        **where,
    )


def _isotropy(documents: Sequence[Document]) -> go.Figure:
    from lipsdb.queries.figures.theme import GREY, dress, new_figure, own_colour, translucent

    figure = new_figure(420)
    ordered = sorted(documents, key=_temperature_and_seed)
    rows = [document["answer"]["summary"][0] for document in ordered]
    shown = [n for n, row in enumerate(rows) if row["xi"] is not None]
    labels = [
        f"{temperature:g} K<br>seed {seed}" for temperature, seed in (_temperature_and_seed(one) for one in ordered)
    ]
    lows, highs = ([rows[n][f"isotropic_{end}"] for n in shown] for end in ("from", "to"))
    figure.add_bar(
        x=[labels[n] for n in shown],
        base=lows,
        y=[None if None in (low, high) else high - low for low, high in zip(lows, highs, strict=True)],
        width=0.5,
        marker={"color": translucent(GREY, 0.3)},
        name="isotropic, 95 %",
        customdata=list(zip(lows, highs, strict=True)),
        hovertemplate="%{customdata[0]:.3g} to %{customdata[1]:.3g}<extra></extra>",
    )
    figure.add_scatter(
        x=[labels[n] for n in shown],
        y=[rows[n]["xi"] for n in shown],
        error_y={"array": [rows[n]["xi_std"] for n in shown], "thickness": 1.4, "width": 4},
        mode="markers",
        marker={"color": own_colour(0), "size": 8},
        name="ξ",
        customdata=[ordered[n]["_id"] for n in shown],
        hovertemplate="%{x}: ξ = %{y:.3g}<br>%{customdata}<extra></extra>",
    )
    figure.add_hline(1.0, line={"color": GREY, "width": 1, "dash": "dot"})
    normal = rows[0]["normal"]
    lateral = ", ".join(f"m<sub>{axis}</sub>" for axis in "xyz" if axis != normal)
    title = f"ξ = m<sub>{normal}</sub> / max({lateral})"
    dress(figure, 420, xaxis={"type": "category"}, yaxis={"title": {"text": title}, "rangemode": "tozero"})
    return figure


def _temperature_and_seed(document: Document) -> tuple[float, int]:
    conditions = document["answer"]["conditions"]
    return conditions["temperature_K"], conditions["seed"]


FIGURES: dict[str, Figure] = {
    "displacement": Figure(
        "dynamics",
        "Mean squared displacement and its exponent",
        _displacement,
        "Over all time origins, along the axes and in total, and the local log-log exponent of the total: 2 for "
        "ballistic motion, low while atoms rattle in their cages, 1 (dotted) for diffusion. Shaded: standard error "
        "from groups of atoms. Dashes tell replicas.",
    ),
    "non_gaussian": Figure(
        "dynamics",
        "Non-Gaussian parameter",
        _non_gaussian,
        "α₂ = 3⟨Δr⁴⟩ / (5⟨Δr²⟩²) − 1, 0 for Gaussian displacements; the larger, the more atoms differ in how far "
        "they moved. Squares: peaks that were found. Shaded and bars: standard error from groups of atoms. Dashes tell "
        "replicas.",
    ),
    "van_hove": Figure(
        "dynamics",
        "Self part of the van Hove function",
        curves(_van_hove, Axes("r (Å)", "4πr² G<sub>s</sub> (Å⁻¹)")),
        "Probability density of the distance moved in a time. A second maximum at the distance between sites means "
        "hopping. Dashes tell replicas.",
    ),
    "displacement_map": Figure(
        "dynamics",
        "Displacement maps",
        _displacement_maps,
        "Atoms where they were at the start of a window, within the cell, coloured by how far they were from there at "
        f"its end. Several windows of a run overlaid, up to {_MOST_POINTS} points; of more atoms every n-th.",
    ),
    "isotropy": Figure(
        "dynamics",
        "Isotropy of diffusion",
        _isotropy,
        "Ratio of the slopes m of the MSD, along the normal over the larger one in the plane, with its standard error. "
        "Grey: where 95 % of ξ would lie for an isotropic medium with slopes as uncertain; ξ within shows no "
        "anisotropy.",
    ),
}
