"""Descriptors of how atoms share the space of the cell."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lipsdb.campaigns.base import Elements, Positive, Unique
from lipsdb.campaigns.properties.of_run import OfFrames

Axis = Literal["a", "b", "c"]


class VoronoiVolumes(OfFrames):
    """Volumes of the Voronoi cells of chosen atoms among all."""

    kind: Literal["voronoi_volumes"] = Field(description="voronoi_volumes")
    every_ps: Positive | None = Field(
        default=None,
        description="time between the frames that are looked at, ps; all frames if left out, of which one of 10⁴ atoms "
        "takes about 0.3 s",
    )
    elements: Elements = Field(default=["Li"], description="elements of the atoms whose volumes are wanted")
    bin_width_A3: Positive = Field(default=0.5, description="width of the bins of the distribution, Å³")


class _OfPlaces(OfFrames):
    framework: Elements | None = Field(
        default=None, description="elements of the framework, whose drift is removed; none is if left out"
    )


class Profile(_OfPlaces):
    """Density and composition in slabs along an axis, and smoothed concentrations of the elements."""

    kind: Literal["profile"] = Field(description="profile")
    axis: Axis = Field(description="cell vector that crosses the slabs: a, b or c")
    bin_width_A: Positive = Field(
        default=1.0, description="thickness of the slabs, Å; changed so that they fill the cell"
    )
    bandwidth_A: Positive = Field(
        default=1.0, description="standard deviation of the Gaussian that smooths concentrations, Å"
    )


class DensityMap(_OfPlaces):
    """Mean density of chosen atoms, projected on the plane of two cell vectors."""

    kind: Literal["density_map"] = Field(description="density_map")
    elements: Elements = Field(description="elements of the atoms that are shown")
    axes: Annotated[list[Axis], Unique] = Field(
        min_length=2, max_length=2, description="the two cell vectors of the plane, such as [a, c]"
    )
    bin_width_A: Positive = Field(default=0.2, description="length of the bins along both, Å; changed so that they fit")
