"""Regions of a cell, as a campaign file gives them: slabs, boxes, surroundings of planes, phases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from lipsdb.campaigns.base import CampaignModel, Name, Positive, Unique
from lipsdb.campaigns.properties.order import Degree, Phases, Surroundings
from lipsdb.campaigns.yaml_file import YamlPath

Axis = Literal["a", "b", "c"]
Unit = Literal["A", "fraction"]
_SHAPES = ("slab", "box", "near_planes", "bond_order", "amorphisation")


def _within_the_cell(places: list[float], unit: Unit) -> None:
    far = [place for place in places if abs(place) > 1]
    if unit == "fraction" and far:
        raise ValueError(f"must be from -1 to 1 with unit: fraction, has {far[0]:g}; give unit: A for Å")


class Slab(CampaignModel):
    """The layer from `start` to `stop` across a cell vector."""

    axis: Axis = Field(description="cell vector that crosses the slab: a, b or c")
    start: float = Field(description="where it begins, in the unit given, above the cell's face through its origin")
    stop: float = Field(description="where it ends; a start above the stop means through the cell's boundary")
    unit: Unit = Field(default="fraction", description="unit of start and stop: A or fraction (of the cell)")

    @model_validator(mode="after")
    def _some_thickness(self) -> Slab:
        _within_the_cell([self.start, self.stop], self.unit)
        if self.start == self.stop:
            raise ValueError(f"must have start and stop that differ, has {self.start:g} for both")
        return self


class NearPlanes(CampaignModel):
    """What is within a distance of any of several planes, such as grain boundaries."""

    axis: Axis = Field(description="cell vector that crosses the planes: a, b or c")
    planes: Annotated[list[float], Unique, AfterValidator(sorted)] = Field(
        min_length=1, description="where they are, in the unit given, above the cell's face through its origin"
    )
    unit: Unit = Field(default="fraction", description="unit of planes: A or fraction (of the cell)")
    distance_A: Positive = Field(default=10.0, description="largest distance to either side, Å")

    @model_validator(mode="after")
    def _planes_in_the_cell(self) -> NearPlanes:
        _within_the_cell(self.planes, self.unit)
        return self


class OrderRange(Surroundings):
    """The atoms of the group whose averaged bond order is within a range."""

    degree: Degree = Field(default=6, description="even l of the averaged bond order, no unit")
    lower: float | None = Field(default=None, description="atoms with less are outside, no unit; no limit if left out")
    upper: float | None = Field(
        default=None, description="atoms with this or more are outside, no unit; no limit if left out"
    )
    time_average: bool = Field(
        default=True, description="true: an atom is inside by its mean over time, for good; false: frame by frame"
    )
    every_ps: Positive | None = Field(
        default=None, description="time between the frames that are looked at, ps; all frames if left out"
    )

    @model_validator(mode="after")
    def _a_range(self) -> OrderRange:
        if self.lower is None and self.upper is None:
            raise ValueError("must have lower, upper, or both")
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError(f"must have lower ({self.lower:g}) below upper ({self.upper:g})")
        return self


class Phase(Phases):
    """The slabs of one phase by their amorphisation F."""

    phase: Literal["crystal", "interface", "glass"] = Field(description="crystal, interface or glass")
    every_ps: Positive | None = Field(
        default=None, description="time between the frames that are looked at, ps; all frames if left out"
    )


class Region(CampaignModel):
    """A part of the cell, or the atoms of a phase; given in exactly one way."""

    slab: Slab | None = Field(default=None, description="a layer across a cell vector")
    box: Annotated[list[Slab], Field(min_length=2, max_length=3)] | None = Field(
        default=None, description="where two or three slabs across different cell vectors meet"
    )
    near_planes: NearPlanes | None = Field(default=None, description="surroundings of planes, such as boundaries")
    bond_order: OrderRange | None = Field(default=None, description="atoms by their averaged bond order")
    amorphisation: Phase | None = Field(default=None, description="slabs by their amorphisation F")
    outside: bool = Field(default=False, description="true for the rest of the cell instead")

    @model_validator(mode="after")
    def _given_in_one_way(self) -> Region:
        given = [shape for shape in _SHAPES if getattr(self, shape) is not None]
        if len(given) != 1:
            raise ValueError(f"must have exactly one of: {', '.join(_SHAPES)}; has {', '.join(given) or 'none'}")
        axes = [slab.axis for slab in self.box or ()]
        if len(set(axes)) != len(axes):
            raise ValueError(f"must have a box of slabs across different cell vectors, has {', '.join(axes)}")
        return self

    @model_serializer(mode="wrap")
    def _as_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the ways in which it was not given: one more of them leaves all that is stored as it is."""
        return {name: value for name, value in handler(self).items() if value not in (None, False)}

    def times_in_frames(self) -> Iterator[tuple[YamlPath, float]]:
        """Each time (ps) that must be a multiple of the one between frames, with its field."""
        for shape in ("bond_order", "amorphisation"):
            every_ps = getattr(getattr(self, shape), "every_ps", None)
            if every_ps is not None:
                yield (shape, "every_ps"), every_ps


Regions = Annotated[dict[Name, Region], Field(min_length=1)]
