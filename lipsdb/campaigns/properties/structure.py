"""Descriptors of structure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from lipsdb.campaigns.base import Element, Positive
from lipsdb.campaigns.properties.of_run import OfFrames, OfRun
from lipsdb.campaigns.yaml_file import YamlPath


class Coordination(OfRun):
    """Mean number of neighbours of one element around another, and its distribution."""

    kind: Literal["coordination"] = Field(description="coordination")
    centre: Element = Field(description="chemical symbol of the atoms whose neighbours are counted")
    neighbour: Element = Field(description="chemical symbol of the neighbours")
    cutoff_A: float = Field(gt=0, le=20, description="distance up to which an atom is a neighbour, Å")


class RadialDistribution(OfFrames):
    """Partial and total radial distribution functions, with running coordination numbers."""

    kind: Literal["radial_distribution"] = Field(description="radial_distribution")
    dr_A: Positive = Field(default=0.02, description="width of the bins, Å")
    r_max_A: Positive | None = Field(
        default=None, description="largest distance, Å; half the smallest width of the cell if left out"
    )


class BondAngles(OfFrames):
    """Distribution of the angles between bonds that meet at an atom, such as S-P-S."""

    kind: Literal["bond_angles"] = Field(description="bond_angles")
    centre: Element = Field(default="P", description="chemical symbol of the atoms where bonds meet")
    neighbour: Element = Field(default="S", description="chemical symbol of the atoms at their ends")
    cutoff_A: Positive = Field(default=2.5, description="atoms closer than this are bonded, Å")
    bin_width_deg: float = Field(
        default=1.0, gt=0, le=90, description="width of the bins, degrees: 180 divided by a whole number"
    )

    @field_validator("bin_width_deg")
    @classmethod
    def _whole_bins(cls, width: float) -> float:
        if abs(round(180 / width) * width - 180) > 1e-6:
            raise ValueError("must be 180 divided by a whole number, such as 0.5, 1 or 2")
        return width


class ThiophosphateUnits(OfFrames):
    """Fractions of PS4, P2S6, P2S7 and other units, by the graph of bonds, and the coordination of P by S."""

    kind: Literal["thiophosphate_units"] = Field(description="thiophosphate_units")
    cutoff_p_s_A: Positive = Field(default=2.5, description="P and S closer than this are bonded, Å")
    cutoff_p_p_A: Positive = Field(default=2.6, description="two P closer than this are bonded, Å")
    cutoff_s_s_A: Positive = Field(default=2.4, description="two S closer than this are bonded, Å")

    def problems(self, elements: Collection[str] | None, folder: Path | None) -> Iterator[tuple[YamlPath, str]]:
        """A structure without P or S."""
        if elements is not None and not {"P", "S"} <= set(elements):
            there = ", ".join(sorted(elements))
            yield ("of",), f"the structure has {there}, must have P and S: name an MD of a thiophosphate"
