"""The figure of topology: diagrams of rings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lipsdb.queries.figures.descriptors.figure import Document, Figure, middles
from lipsdb.queries.figures.panels import Axes, HeatMap, heat_maps_figure

if TYPE_CHECKING:
    import plotly.graph_objects as go

_DECADES = 3  # below the highest density, that are shown


def _rings(documents: Sequence[Document]) -> go.Figure:
    """One map a temperature, the mean of its replicas; cut to where there are rings."""
    answers = [document["answer"] for document in documents]
    temperatures = sorted({answer["conditions"]["temperature_K"] for answer in answers})
    means = [
        np.mean([one["density_per_A2"] for one in answers if one["conditions"]["temperature_K"] == temperature], axis=0)
        for temperature in temperatures
    ]
    least = max(mean.max() for mean in means) / 10**_DECADES
    visible = np.any([mean > least for mean in means], axis=0)
    births, lifetimes = (
        slice(places[0], places[-1] + 1) for places in (np.flatnonzero(visible.any(axis=other)) for other in (1, 0))
    )
    x, y = middles(answers[0]["birth_edges_A"])[births], middles(answers[0]["lifetime_edges_A"])[lifetimes]
    maps = [
        HeatMap(f"{temperature:g} K", x, y, np.log10(np.where(mean > least, mean, np.nan))[births, lifetimes])
        for temperature, mean in zip(temperatures, means, strict=True)
    ]
    return heat_maps_figure(maps, Axes("birth (Å)", "lifetime (Å)"), "lg of density (Å⁻²)")


FIGURES: dict[str, Figure] = {
    "rings": Figure(
        "topology",
        "Rings of ions",
        _rings,
        "Density of the rings over birth and lifetime, both as radii of spheres around the ions (half of distances), "
        "smoothed; all snapshots of all replicas, normalised to one ring.",
    ),
}
