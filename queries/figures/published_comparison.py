"""Our activation energy and conductivity beside the published ones, one row each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lipsdb.queries.figures.arrhenius import fit_colour
from lipsdb.queries.figures.published_lines import PublishedResult
from lipsdb.queries.figures.theme import DECADES, GREY, dress, plain

if TYPE_CHECKING:
    import plotly.graph_objects as go

_SIMULATED, _MEASURED = "#c2643c", "#3f8f5f"


def comparison_figure(
    fits: Sequence[Mapping[str, Any]],
    published: Sequence[PublishedResult],
    names: Sequence[str] | None = None,
    styles: Sequence[int] | None = None,
) -> go.Figure:
    """Draw Ea and σ(300 K) as points with error bars.

    Parameters
    ----------
    fits : sequence of documents
        Properties 'arrhenius' of one structure. A conductivity stated at another temperature than 300 K is left out.
    published : sequence of PublishedResult
        Of that structure.
    names : sequence of str, optional
        What tells the fits apart; numbers by default.
    styles : sequence of int, optional
        Number of the colour of each fit, as in the Arrhenius figure.
    """
    from plotly.subplots import make_subplots

    of_fits = names or [str(number) for number in range(1, len(fits) + 1)]
    ours = [f"<b>this campaign</b>{f'<br>{plain(name)}' if len(fits) > 1 else ''}" for name in of_fits]
    colours = [fit_colour(style) for style in styles or range(len(fits))]
    rows = ours + [_row_name(result, number) for number, result in enumerate(published)]
    height = 110 + 34 * len(rows)
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.04)
    for number, (name, colour, fit) in enumerate(zip(ours, colours, fits, strict=True)):
        answer = fit["answer"]
        style = {"mode": "markers", "marker": {"size": 11, "color": colour}, "showlegend": number == 0}
        extra = {"name": "this campaign", "legendgroup": "own"}
        figure.add_scatter(
            x=[answer["Ea_eV"]],
            y=[name],
            error_x={"type": "data", "array": [answer["Ea_std_eV"]], "color": colour},
            hovertemplate=f"Ea = %{{x:.3f}} ± {answer['Ea_std_eV']:.3f} eV<extra>{fit['_id']}</extra>",
            row=1,
            col=1,
            **style,
            **extra,
        )
        if abs(answer["target_temperature_K"] - 300.0) < 1e-6:
            low, high = answer["sigma_target_68_S_cm"]
            value = answer["sigma_target_S_cm"]
            figure.add_scatter(
                x=[value],
                y=[name],
                error_x={
                    "type": "data",
                    "array": [high - value],
                    "arrayminus": [value - low],
                    "color": colour,
                },
                hovertemplate=f"σ(300 K) = %{{x:.2e}} S/cm, 68 %: {low:.1e} to {high:.1e}<extra>{fit['_id']}</extra>",
                row=1,
                col=2,
                **{**style, "showlegend": False},
                **extra,
            )
    for simulation, colour, symbol in ((True, _SIMULATED, "diamond"), (False, _MEASURED, "square")):
        mine = [(_row_name(r, n), r) for n, r in enumerate(published) if r.simulation == simulation]
        kind = "published, simulation" if simulation else "published, experiment"
        for col, field, unit in ((1, "activation_energy_eV", "eV"), (2, "conductivity_300K_S_cm", "S/cm")):
            shown = [(row, result) for row, result in mine if getattr(result, field) is not None]
            figure.add_scatter(
                x=[getattr(result, field) for _, result in shown],
                y=[row for row, _ in shown],
                customdata=[[plain(f"doi:{result.doi}, {result.where}")] for _, result in shown],
                mode="markers",
                marker={"size": 10, "color": colour, "symbol": symbol},
                name=kind,
                legendgroup=kind,
                showlegend=col == 1 and bool(shown),
                hovertemplate=f"%{{x:.3g}} {unit}<br>%{{customdata[0]}}<extra></extra>",
                row=1,
                col=col,
            )
    dress(figure, height, margin={"l": 10, "r": 16, "t": 10, "b": 56})
    figure.update_yaxes(categoryorder="array", categoryarray=rows[::-1], type="category", linecolor=GREY)
    figure.update_yaxes(showticklabels=False, ticks="", col=2)
    figure.update_xaxes(title_text="Ea (eV)", rangemode="tozero", row=1, col=1)
    figure.update_xaxes(title_text="σ(300 K) (S/cm)", **{**DECADES, "dtick": None}, nticks=3, tickangle=0, row=1, col=2)
    return figure


def _row_name(result: PublishedResult, number: int) -> str:
    # rows of the same name would fall on one line
    source = plain(result.cites.partition(",")[0] if result.cites else result.where)
    return f"{plain(result.method)}<br><sup>{source}</sup>" + "\u200b" * number
