"""Temperature, pressure and energy of the runs over time: did they hold?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.queries.figures.theme import dress, temperature_colours

if TYPE_CHECKING:
    import plotly.graph_objects as go

_MOST_POINTS = 150
_ROWS = (("temperature", "T (K)"), ("pressure", "p (bar)"), ("potential_energy", "ΔE (meV/atom)"))


def block_means(values: np.ndarray, most: int) -> np.ndarray:
    """Means over blocks of equal length, at most so many; the last block may be shorter.

    Examples
    --------
    >>> block_means(np.array([1.0, 3.0, 5.0, 7.0, 9.0]), 3).tolist()
    [2.0, 6.0, 9.0]
    """
    length = max(1, -(-values.size // most))
    starts = np.arange(0, values.size, length)
    means: np.ndarray = np.add.reduceat(values, starts) / np.diff(np.append(starts, values.size))
    return means


def run_health_figure(runs: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw the thermodynamic output of production, averaged over blocks; the potential energy against its mean.

    Parameters
    ----------
    runs : sequence of documents
        Of `runs`. One that was ended before its production has nothing to draw.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=len(_ROWS), cols=1, shared_xaxes=True, vertical_spacing=0.05)
    runs = [run for run in runs if len(run["answer"]["thermo"]["step"])]
    colours = temperature_colours([run["asked"]["settings"]["temperature_K"] for run in runs])
    named: set[float] = set()
    for run in sorted(runs, key=lambda r: r["asked"]["settings"]["temperature_K"]):
        thermo, settings = run["answer"]["thermo"], run["asked"]["settings"]
        target = settings["temperature_K"]
        time = block_means(_time_ps(run), _MOST_POINTS)
        for row, (column, _) in enumerate(_ROWS, 1):
            if column not in thermo:
                continue
            values = np.asarray(thermo[column], dtype=float)
            if column == "potential_energy":
                values = 1000.0 * (values - values.mean()) / run["answer"]["n_atoms"]
            figure.add_scatter(
                x=time.round(4),
                y=block_means(values, _MOST_POINTS).round(4),
                mode="lines",
                line={"color": colours[target], "width": 1},
                name=f"{target:g} K",
                legendgroup=f"{target:g}",
                showlegend=row == 1 and target not in named,
                hovertemplate=f"{target:g} K, seed {settings['seed']}<br>%{{x:.2f}} ps: %{{y:.4g}}"
                f"<br>{run['_id']}<extra></extra>",
                row=row,
                col=1,
            )
        named.add(target)
    dress(figure, 560)
    for row, (_, title) in enumerate(_ROWS, 1):
        figure.update_yaxes(title_text=title, nticks=5, row=row, col=1)
    figure.update_xaxes(title_text="time in production (ps)", row=len(_ROWS), col=1)
    return figure


def _time_ps(run: Mapping[str, Any]) -> np.ndarray:
    """Time of each row since the start of production, ps."""
    step = np.asarray(run["answer"]["thermo"]["step"], dtype=float)
    timestep_ps = float(run["asked"]["settings"]["timestep_fs"]) / 1000.0
    time: np.ndarray = (step - step[0]) * timestep_ps
    return time
