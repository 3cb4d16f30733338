"""Descriptors of topology: rings in the network of ions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lipsdb.campaigns.base import Elements, Positive
from lipsdb.campaigns.properties.of_run import OfRun


class Rings(OfRun):
    """Rings of ions by persistent homology: how many live longer than a threshold, and when they are born."""

    kind: Literal["rings"] = Field(description="rings")
    elements: Elements = Field(default=["Li"], description="elements of the ions that form the rings")
    n_snapshots: Annotated[int, Field(ge=1)] = Field(
        default=200, description="frames that are looked at, evenly over the run; all if it has fewer; no unit"
    )
    minimum_lifetime_A: Positive = Field(
        default=1.0, description="rings that live longer are counted, Å of radius; half of it is tried too"
    )
    smoothing_A: Positive = Field(default=0.06, description="standard deviation of the heat map's Gaussian, Å")
    bin_A: Positive = Field(default=0.02, description="width of the heat map's bins, Å")
