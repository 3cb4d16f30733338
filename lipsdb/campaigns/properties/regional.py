"""Descriptors of ions by region: how fast they are there, how many, how long, and on which paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from lipsdb.campaigns.base import Positive, Unique
from lipsdb.campaigns.properties.group import OfGroup, OfIons
from lipsdb.campaigns.properties.regions import Regions
from lipsdb.campaigns.yaml_file import YamlPath

Cartesian = Literal["x", "y", "z"]
NotNegative = Annotated[float, Field(ge=0)]


class _InRegions(OfIons):
    in_frames: ClassVar[tuple[str, ...]] = ("bridge_ps",)
    regions: Regions = Field(description="regions: name -> slab, box, near_planes, bond_order or amorphisation")
    bridge_ps: NotNegative = Field(
        default=0.5,
        description="longest absence that does not count as one, ps: some vibrations, less than between jumps; 0: none",
    )

    def times_in_frames(self) -> Iterator[tuple[YamlPath, float]]:
        """Each time (ps) that must be a multiple of the one between frames, with its field."""
        yield from super().times_in_frames()
        for name, region in self.regions.items():
            yield from ((("regions", name, *path), time) for path, time in region.times_in_frames())


class RegionalDiffusion(_InRegions):
    """Diffusion coefficient D of the ions of each region, along x, y, z and in total."""

    in_frames: ClassVar[tuple[str, ...]] = ("bridge_ps", "fit_start_ps", "origin_stride_ps")
    kind: Literal["regional_diffusion"] = Field(description="regional_diffusion")
    assignment: Literal["followed", "start", "whole"] = Field(
        default="followed",
        description="displacements that count: of ions that stay in the region (followed), that start there (start), "
        "or that are there for most of the run (whole)",
    )
    least_retention: float = Field(
        default=0.5, ge=0, lt=1, description="lags end where fewer of the ions are still in the region, no unit"
    )
    share: float = Field(
        default=0.5, ge=0, lt=1, description="with whole: an ion is there for more than this part of the run, no unit"
    )
    fit_start_ps: Positive | None = Field(
        default=None, description="lag time from which the lines are fitted, ps; found from the MSD if left out"
    )
    origin_stride_ps: Positive | None = Field(
        default=None, description="time between time origins, ps; every frame is one if left out"
    )
    normal_axis: Cartesian = Field(
        default="z", description="Cartesian axis normal to the boundary, for the isotropy: x, y or z"
    )

    @model_validator(mode="after")
    def _only_what_has_a_meaning(self) -> RegionalDiffusion:
        if "share" in self.model_fields_set and self.assignment != "whole":
            raise ValueError("must not have share without assignment: whole")
        if "least_retention" in self.model_fields_set and self.assignment == "whole":
            raise ValueError("must not have least_retention with assignment: whole")
        return self


class RegionFractions(_InRegions):
    """Fraction of the ions that is in each region, and how long they stay."""

    kind: Literal["region_fractions"] = Field(description="region_fractions")


class IonPaths(OfGroup):
    """Paths of the single ions that get farthest from where they start."""

    in_frames: ClassVar[tuple[str, ...]] = ("smoothing_ps", "stride_ps")
    kind: Literal["ion_paths"] = Field(description="ion_paths")
    ions: int = Field(default=5, ge=1, le=100, description="most ions, no unit")
    smoothing_ps: NotNegative = Field(
        default=0.5,
        description="positions are averaged over this time, ps, made an odd number of frames; 0: not at all",
    )
    stride_ps: Positive = Field(default=0.5, description="time between the points of a path, ps")
    plane: Annotated[list[Cartesian], Unique] = Field(
        default=["x", "y"], min_length=2, max_length=2, description="Cartesian axes of the figure, such as [x, y]"
    )
