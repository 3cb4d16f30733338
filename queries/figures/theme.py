"""The look that all figures share. Text takes the page's colour; all else is chosen to read on light and on dark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

GREY = "#8a8f98"
GRID = "rgba(138,143,152,0.22)"
# our own series: blue, orange, violet …; distinguishable with colour blindness too
OWN = ("#2f7ed8", "#e0662b", "#8b5cf6", "#0ea5a0", "#d9468f", "#a3a212")
# from cold to hot
_COLD_TO_HOT = ((47, 107, 216), (14, 165, 160), (226, 160, 30), (224, 72, 43))
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def plain(text: str) -> str:
    """Text from outside without what plotly would read as markup or as a template.

    Examples
    --------
    >>> plain("<b>50 %{x}</b>")
    '‹b›50 ％(x)‹/b›'
    """
    return text.translate({ord(mark): other for mark, other in zip("<>%{}", "‹›％()", strict=True)})


def own_colour(index: int) -> str:
    """Colour of the n-th of our series; they repeat."""
    return OWN[index % len(OWN)]


def translucent(colour: str, opacity: float) -> str:
    """A colour ``#rrggbb`` or ``rgb(…)`` with an opacity.

    Examples
    --------
    >>> translucent("#2f7ed8", 0.5)
    'rgba(47,126,216,0.5)'
    """
    if colour.startswith("rgb("):
        return f"rgba({colour[4:-1]},{opacity:g})"
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def temperature_colours(temperatures_K: Sequence[float]) -> dict[float, str]:
    """A colour for each temperature (K), blue for the coldest to red for the hottest.

    Examples
    --------
    >>> temperature_colours([300.0, 900.0])
    {300.0: 'rgb(47,107,216)', 900.0: 'rgb(224,72,43)'}
    """
    ordered = sorted(set(temperatures_K))
    colours = {}
    for rank, temperature in enumerate(ordered):
        place = rank / max(1, len(ordered) - 1) * (len(_COLD_TO_HOT) - 1)
        low = min(int(place), len(_COLD_TO_HOT) - 2)
        mixed = (
            round(a + (place - low) * (b - a)) for a, b in zip(_COLD_TO_HOT[low], _COLD_TO_HOT[low + 1], strict=True)
        )
        colours[temperature] = f"rgb({','.join(map(str, mixed))})"
    return colours


def new_figure(height: int, **layout: Any) -> go.Figure:
    """An empty figure in the common look.

    Parameters
    ----------
    height : int
        In pixels; the width follows the page.
    **layout
        More of plotly's layout.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    dress(figure, height, **layout)
    return figure


def dress(figure: go.Figure, height: int, **layout: Any) -> None:
    """Give a figure the common look."""
    figure.update_layout(
        template="none",
        height=height,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13},
        margin={"l": 68, "r": 16, "t": 26, "b": 56},
        hoverlabel={"font": {"family": FONT, "size": 12}, "align": "left", "namelength": -1},
        hovermode="closest",
        modebar={"bgcolor": "rgba(0,0,0,0)"},
        legend={
            "orientation": "h",
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
            "x": 0.5,
            "xanchor": "center",
        },
    )
    axis = {
        "gridcolor": GRID,
        "linecolor": GREY,
        "showline": True,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": GREY,
        "ticklen": 4,
        "automargin": True,
        "title_standoff": 8,
    }
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    figure.update_layout(**layout)


DECADES: dict[str, Any] = {"type": "log", "exponentformat": "power", "dtick": 1}  # for many decades
_ONE_TWO_FIVE = [float(f"{digit}e{power}") for power in range(-4, 7) for digit in (1, 2, 5)]
LOGARITHMIC: dict[str, Any] = {  # for few
    "type": "log",
    "tickvals": _ONE_TWO_FIVE,
    "ticktext": [f"{value:.6g}" for value in _ONE_TWO_FIVE],
}
