"""Descriptors of a group of atoms: by element, and by where they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from lipsdb.campaigns.base import Elements
from lipsdb.campaigns.properties.of_run import OfRun
from lipsdb.campaigns.properties.regions import Region
from lipsdb.campaigns.yaml_file import YamlPath


class OfIons(OfRun):
    """A descriptor of the motion of some elements in each run."""

    elements: Elements = Field(default=["Li"], description="chemical symbols of the atoms that move")
    framework: Elements = Field(
        default=["P", "S"],
        description="chemical symbols of the framework, whose drift is removed from all displacements",
    )


class OfGroup(OfIons):
    """A descriptor of the motion of some atoms of each run, the same ones throughout."""

    region: Region | None = Field(default=None, description="only the atoms in this region; everywhere if left out")
    assignment: Literal["whole", "start"] = Field(
        default="whole", description="whole: atoms that are in the region most of the run; start: in its first frame"
    )
    share: float = Field(
        default=0.5, ge=0, lt=1, description="with whole: an atom is there for more than this part of the run, no unit"
    )

    @model_validator(mode="after")
    def _only_what_has_a_meaning(self) -> OfGroup:
        for name, needed in (("assignment", self.region is not None), ("share", self._by_share)):
            if name in self.model_fields_set and not needed:
                raise ValueError(f"must not have {name} without region{' and assignment: whole' * (name == 'share')}")
        return self

    @property
    def _by_share(self) -> bool:
        return self.region is not None and self.assignment == "whole"

    def times_in_frames(self) -> Iterator[tuple[YamlPath, float]]:
        """Each time (ps) that must be a multiple of the one between frames, with its field."""
        yield from super().times_in_frames()
        if self.region is not None:
            yield from ((("region", *path), time) for path, time in self.region.times_in_frames())
