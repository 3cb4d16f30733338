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
    """One map a temperature, the mean of its replicas; cut to where there are rings, empty if there are none."""
    answers = [document["answer"] for document in documents]
    # All grids begin at 0 and have the same bins, but each ends where its rings do.
    birth_edges, lifetime_edges = (
        max((answer[name] for answer in answers), key=len) for name in ("birth_edges_A", "lifetime_edges_A")
    )
    shape = len(birth_edges) - 1, len(lifetime_edges) - 1
    temperatures = sorted({answer["conditions"]["temperature_K"] for answer in answers})
    means = [
        np.mean(
            [
                _extended(one["density_per_A2"], shape)
                for one in answers
                if one["conditions"]["temperature_K"] == temperature
            ],
            axis=0,
        )
        for temperature in temperatures
    ]
    least = max(mean.max() for mean in means) / 10**_DECADES
    visible = np.any([mean > least for mean in means], axis=0)
    if not visible.any():
        visible[:] = True
    births, lifetimes = (
        slice(places[0], places[-1] + 1) for places in (np.flatnonzero(visible.any(axis=other)) for other in (1, 0))
    )
    x, y = middles(birth_edges)[births], middles(lifetime_edges)[lifetimes]
    maps = [
        HeatMap(f"{temperature:g} K", x, y, np.log10(np.where(mean > least, mean, np.nan))[births, lifetimes])
        for temperature, mean in zip(temperatures, means, strict=True)
    ]
    return heat_maps_figure(maps, Axes("birth (Å)", "lifetime (Å)"), "lg of density (Å⁻²)")


def _extended(density: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map on a larger grid, with nothing beyond its own."""
    return np.pad(density, [(0, larger - own) for larger, own in zip(shape, density.shape, strict=True)])


FIGURES: dict[str, Figure] = {
    "rings": Figure(
        "topology",
        "Rings of ions",
        _rings,
        "Density of the rings over birth and lifetime, both as radii of spheres around the ions (half of distances), "
        "smoothed; all snapshots of all replicas, normalised to one ring.",
    ),
}
