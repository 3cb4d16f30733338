"""The figures of how atoms share the space of the cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lipsdb.queries.figures.descriptors.figure import Answer, Document, Figure, curves, distribution, middles
from lipsdb.queries.figures.panels import Axes, Curve, HeatMap, heat_maps_figure

if TYPE_CHECKING:
    import plotly.graph_objects as go


def _voronoi_volumes(answer: Answer) -> Iterator[Curve]:
    for element, found in answer["distributions"].items():
        yield distribution(element, found["edges_A3"], found["histogram_per_A3"])


def _profile(answer: Answer) -> Iterator[Curve]:
    concentrations = zip(
        answer["elements"], answer["concentration_per_A3"], answer["concentration_std_per_A3"], strict=True
    )
    for element, concentration, std in concentrations:
        mean = concentration.mean()
        yield Curve(element, answer["distance_A"], concentration / mean, std / mean)
    density, std = answer["total_mass_density_g_cm3"], answer["total_mass_density_std_g_cm3"]
    yield Curve("mass density", middles(answer["edges_A"]), density / density.mean(), std / density.mean())


def _density_map(documents: Sequence[Document]) -> go.Figure:
    maps = []
    for document in documents:
        answer = document["answer"]
        conditions = answer["conditions"]
        panel = f"{conditions['temperature_K']:g} K, seed {conditions['seed']}"
        x, y = middles(answer["first_edges_A"]), middles(answer["second_edges_A"])
        maps.append(HeatMap(panel, x, y, answer["density_per_A2"]))
    first, second = documents[0]["answer"]["axes"]
    return heat_maps_figure(maps, Axes(f"along {first} (Å)", f"along {second} (Å)"), "density (Å⁻²)")


FIGURES: dict[str, Figure] = {
    "voronoi_volumes": Figure(
        "structure",
        "Voronoi volumes",
        curves(_voronoi_volumes, Axes("volume (Å³)", "probability density (Å⁻³)")),
        "Distribution of the volumes of Voronoi cells among all atoms, over atoms and frames. Dashes tell replicas.",
    ),
    "profile": Figure(
        "structure",
        "Profiles",
        curves(_profile, Axes("height (Å)", "over its mean", reference=1.0)),
        "Concentrations of the elements along the axis, smoothed, and the mass density in slabs, each over its mean in "
        "the cell; shaded: standard error from blocks of frames. Dashes tell replicas.",
    ),
    "density_map": Figure(
        "structure",
        "Density maps",
        _density_map,
        "Mean number of atoms per area, projected on the plane along the third cell vector; one colour scale for all "
        "runs. Drawn at right angles, whatever the angle of the cell vectors.",
    ),
}
