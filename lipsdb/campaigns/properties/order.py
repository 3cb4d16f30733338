"""Descriptors of order: around each atom, and in slabs along an axis."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from lipsdb.campaigns.base import CampaignModel, Element, Elements, Positive, Unique
from lipsdb.campaigns.properties.of_run import OfFrames

Degree = Annotated[int, Field(ge=2, le=20, multiple_of=2)]


class Surroundings(CampaignModel):
    """Which atoms are the neighbours of an atom."""

    neighbours: Elements | None = Field(
        default=None, description="elements of the atoms that make their surroundings; all if left out"
    )
    cutoff_A: Positive | None = Field(default=None, description="neighbours are the atoms nearer than this, Å")
    n_neighbours: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="neighbours are this many nearest atoms; with neither, those that share a Voronoi face",
    )

    @model_validator(mode="after")
    def _neighbours_in_one_way(self) -> Surroundings:
        if self.cutoff_A is not None and self.n_neighbours is not None:
            raise ValueError("must have at most one of cutoff_A, n_neighbours; with neither, neighbours are Voronoi's")
        return self


class _OfNeighbours(OfFrames, Surroundings):
    every_ps: Positive | None = Field(
        default=None,
        description="time between the frames that are looked at, ps; all frames if left out, of which one of 10⁴ atoms "
        "takes about 0.4 s with Voronoi's neighbours, 0.1 s with others",
    )
    centres: Elements | None = Field(default=None, description="elements of the atoms described; all if left out")


class BondOrder(_OfNeighbours):
    """Bond order q_l of Steinhardt, and its average over the first shell."""

    kind: Literal["bond_order"] = Field(description="bond_order")
    degrees: Annotated[list[Degree], Unique, AfterValidator(sorted)] = Field(
        default=[4, 6], min_length=1, description="even l, no unit"
    )


class DisorderParameter(_OfNeighbours):
    """Disorder parameter S: how little the surroundings of an atom resemble those of its neighbours."""

    kind: Literal["disorder_parameter"] = Field(description="disorder_parameter")
    degree: Degree = Field(default=6, description="even l of the bond order that it is made of, no unit")


class Phases(CampaignModel):
    """Slabs along an axis, and the amorphisation F by which they are crystal, interface or glass."""

    axis: Literal["a", "b", "c"] = Field(description="cell vector that the slabs are stacked along: a, b or c")
    elements: Elements | None = Field(default=None, description="elements whose density is looked at; all if left out")
    slab_width_A: Positive = Field(default=2.0, description="width of the slabs, Å; changed so that they fill the cell")
    smoothing_A: Positive = Field(
        default=1.0, description="standard deviation of the Gaussian that stands for an atom, Å"
    )
    crystal_below: Positive = Field(default=0.6, description="F below which a slab is crystal, no unit")
    glass_above: Positive = Field(default=0.8, description="F above which a slab is glass, no unit")
    interface_half_width_A: Annotated[float, Field(ge=0)] = Field(
        default=10.0, description="slabs within this distance of a boundary are interface, Å"
    )
    reference: Positive | None = Field(
        default=None,
        description="sum that counts as F = 1, from a run with glass of the same cross-section and slabs, no unit; "
        "the largest of this run if left out",
    )

    @model_validator(mode="after")
    def _thresholds_in_order(self) -> Phases:
        if self.crystal_below > self.glass_above:
            raise ValueError(
                f"must have crystal_below ({self.crystal_below:g}) no larger than glass_above ({self.glass_above:g})"
            )
        return self


class Amorphisation(OfFrames, Phases):
    """Amorphisation F of slabs along an axis: which are glass, which crystal, and where the boundaries are."""

    kind: Literal["amorphisation"] = Field(description="amorphisation")
    species: Element = Field(default="Li", description="element whose atoms are counted in each phase")
