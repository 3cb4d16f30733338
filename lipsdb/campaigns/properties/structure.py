"""Descriptors of structure."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lipsdb.campaigns.base import Element
from lipsdb.campaigns.properties.of_run import OfRun


class Coordination(OfRun):
    """Mean number of neighbours of one element around another, and its distribution."""

    kind: Literal["coordination"] = Field(description="coordination")
    centre: Element = Field(description="chemical symbol of the atoms whose neighbours are counted")
    neighbour: Element = Field(description="chemical symbol of the neighbours")
    cutoff_A: float = Field(gt=0, le=20, description="distance up to which an atom is a neighbour, Å")
