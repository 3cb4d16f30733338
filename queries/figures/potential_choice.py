"""Error against cost of the members of a grid search, with the one that was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.field_names import in_words, value_in_words
from lipsdb.queries.figures.theme import GREY, LOGARITHMIC, dress, own_colour, plain, translucent
from lipsdb.queries.potential_choice import in_order

if TYPE_CHECKING:
    import plotly.graph_objects as go

_HEIGHT = 500
_MARKER = 18  # pixels: a number of two digits fits in
_QUANTITIES = {
    "force_mae_meV_per_A": "force MAE (meV/Å)",
    "force_rmse_meV_per_A": "force RMSE (meV/Å)",
    "energy_mae_meV_per_atom": "energy MAE (meV/atom)",
    "energy_rmse_meV_per_atom": "energy RMSE (meV/atom)",
}
_BESIDE = {
    "force_mae_meV_per_A": "energy_mae_meV_per_atom",
    "force_rmse_meV_per_A": "energy_rmse_meV_per_atom",
    "energy_mae_meV_per_atom": "force_mae_meV_per_A",
    "energy_rmse_meV_per_atom": "force_rmse_meV_per_A",
}
Row = Mapping[str, Any]


def potential_choice_figure(choice: Mapping[str, Any]) -> go.Figure:
    """Draw the error that decided, and that of the other quantity, against the time per atom and step.

    Parameters
    ----------
    choice : document
        Property 'potential_choice'.

    Notes
    -----
    The last of the settings that vary is written into the points; there is a line for each value of the others.
    """
    from plotly.subplots import make_subplots

    rows, parameters = choice["answer"]["rows"], choice["asked"]["parameters"]
    criterion = parameters["criterion"]
    panels = (criterion, _BESIDE[criterion])
    lines, last = lines_of(rows, parameters["over"])
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.1)
    for column, quantity in enumerate(panels, 1):
        for number, (name, members) in enumerate(lines.items()):
            figure.add_scatter(
                x=[row["time_us_per_atom"] for row in members],
                y=[row[quantity] for row in members],
                text=[value_in_words(row["settings"][last]) for row in members],
                customdata=[_hover(row) for row in members],
                mode="lines+markers+text",
                textposition="middle center",
                textfont={"size": 10},
                line={"color": translucent(own_colour(number), 0.55), "width": 1.2},
                marker={
                    "color": translucent(own_colour(number), 0.3),
                    "size": _MARKER,
                    "line": {"color": own_colour(number), "width": 1},
                },
                name=name,
                legendgroup=name,
                showlegend=column == 1 and bool(name),
                hovertemplate="%{customdata}<extra></extra>",
                row=1,
                col=column,
            )
            _ring(figure, [row for row in members if row["chosen"]], quantity, column, own_colour(number))
    best = min(row[criterion] for row in rows)
    band = {"fillcolor": translucent(GREY, 0.22), "line_width": 0, "layer": "below"}
    figure.add_hrect(best, best * (1 + parameters["tolerance"]), row=1, col=1, **band)
    dress(figure, _HEIGHT)
    for column, quantity in enumerate(panels, 1):
        figure.update_yaxes(title_text=_QUANTITIES[quantity], range=_reach(rows, quantity), row=1, col=column)
    figure.update_xaxes(title_text="time (µs per atom and step)", **LOGARITHMIC)
    times = np.log10([row["time_us_per_atom"] for row in rows])
    figure.update_xaxes(range=[float(times.min()) - 0.12, float(times.max()) + 0.12])
    return figure


def lines_of(rows: Sequence[Row], over: Sequence[str]) -> tuple[dict[str, list[Row]], str]:
    """Members of a grid by all settings that vary but the last, which names the points of a line.

    Examples
    --------
    >>> rows = [{"settings": {"cutoff_A": cutoff, "level": level}} for cutoff in (5.0, 4.0) for level in (12, 8)]
    >>> lines, last = lines_of(rows, ["cutoff_A", "level"])
    >>> {name: [row["settings"][last] for row in members] for name, members in lines.items()}, last
    ({'cutoff 4 Å': [8, 12], 'cutoff 5 Å': [8, 12]}, 'level')
    """
    varying = [name for name in over if len({value_in_words(row["settings"][name]) for row in rows}) > 1] or [over[-1]]
    ordered = sorted(rows, key=lambda row: [in_order(row["settings"][name]) for name in varying])
    lines: dict[str, list[Row]] = {}
    for row in ordered:
        lines.setdefault(", ".join(setting_in_words(row, name) for name in varying[:-1]), []).append(row)
    return lines, varying[-1]


def setting_in_words(row: Row, name: str) -> str:
    """A setting with its name and unit."""
    words, unit = in_words(name)
    return plain(" ".join(filter(None, (words, value_in_words(row["settings"][name]), unit))))


def _hover(row: Row) -> str:
    settings = ", ".join(setting_in_words(row, name) for name in row["settings"])
    return (
        f"{settings}{', chosen' if row['chosen'] else ''}<br>{row['time_us_per_atom']:.3g} µs per atom and step<br>"
        f"force MAE {row['force_mae_meV_per_A']:.4g} meV/Å<br>energy MAE {row['energy_mae_meV_per_atom']:.3g} meV/atom"
        f"<br>{row['potential_id']}"
    )


def _ring(figure: go.Figure, chosen: Sequence[Row], quantity: str, column: int, colour: str) -> None:
    for row in chosen:
        settings = ", ".join(setting_in_words(row, name) for name in row["settings"])
        figure.add_scatter(
            x=[row["time_us_per_atom"]],
            y=[row[quantity]],
            mode="markers",
            marker={"symbol": "circle-open", "size": _MARKER + 10, "color": colour, "line": {"width": 2.5}},
            name=f"chosen: {settings}",
            legendgroup="chosen",
            legendrank=2000,  # last
            showlegend=column == 1,
            hoverinfo="skip",
            row=1,
            col=column,
        )


def _reach(rows: Sequence[Row], quantity: str) -> list[float]:
    """Ends of the axis, with room for the labels above the points."""
    low, high = (end([float(row[quantity]) for row in rows]) for end in (min, max))
    span = (high - low) or 0.1 * high or 1.0
    return [low - 0.12 * span, high + 0.14 * span]
