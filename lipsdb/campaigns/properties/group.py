"""Descriptors of a group of atoms: by element, and by where they are."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lipsdb.campaigns.base import Element, Unique
from lipsdb.campaigns.properties.of_run import OfRun

Elements = Annotated[list[Element], Unique]


class OfGroup(OfRun):
    """A descriptor of the motion of some atoms of each run."""

    elements: Elements = Field(default=["Li"], min_length=1, description="chemical symbols of the atoms that move")
    framework: Elements = Field(
        default=["P", "S"],
        min_length=1,
        description="chemical symbols of the framework, whose drift is removed from all displacements",
    )
