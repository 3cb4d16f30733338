"""The sections ``published`` and ``references`` of a campaign: numbers from the literature that stand beside ours."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from lipsdb.campaigns.base import CampaignModel, Doi, Positive, Text, reference

# Quantity -> its unit, and whether it belongs to a temperature.
QUANTITIES: dict[str, tuple[str, bool]] = {
    "D": ("cm^2/s", True),
    "Ea": ("eV", False),
    "sigma_300K": ("S/cm", False),
    "bulk_modulus": ("GPa", False),
    "shear_modulus": ("GPa", False),
    "a": ("A", False),
    "b": ("A", False),
    "c": ("A", False),
    "density": ("g/cm^3", False),
}


class Reference(CampaignModel):
    """A publication that the campaign follows."""

    doi: Doi = Field(description="DOI, such as 10.1039/d3ya00234a")
    what: Text = Field(description="what was taken from it")


class Source(CampaignModel):
    """Where a published value is printed."""

    doi: Doi = Field(description="DOI of the publication that prints the value")
    where: Text = Field(description="table, figure or page in it")
    cites: Text | None = Field(default=None, description="original work, if the publication quotes another")


class Published(CampaignModel):
    """One published value."""

    structure: str = reference("name of the structure in this campaign that the value stands beside", "structures")
    quantity: Literal["D", "Ea", "sigma_300K", "bulk_modulus", "shear_modulus", "a", "b", "c", "density"] = Field(
        description="D (diffusion, cm^2/s), Ea (activation energy, eV), sigma_300K (conductivity at 300 K, S/cm), "
        "bulk_modulus or shear_modulus (GPa), a, b or c (lattice parameters, A), density (g/cm^3)"
    )
    temperature_K: Positive | None = Field(
        default=None, validate_default=True, description="temperature, K; for D only"
    )
    unit: Literal["cm^2/s", "eV", "S/cm", "GPa", "A", "g/cm^3"] = Field(
        description="unit of the value: cm^2/s for D, eV for Ea, S/cm for sigma_300K, GPa for moduli, A, g/cm^3"
    )
    value: float | None = Field(description="the value in that unit; null if the publication shows it only in a figure")
    method: Text = Field(description="how it was obtained, such as AC impedance")
    source: Source = Field(description="doi and where: the publication and the place in it")
    note: Text | None = Field(
        default=None, validate_default=True, description="remark shown with it; needed if value is null"
    )

    @field_validator("temperature_K")
    @classmethod
    def _temperature_fits(cls, value: float | None, info: ValidationInfo) -> float | None:
        quantity = info.data.get("quantity")
        if quantity is not None and QUANTITIES[quantity][1] != (value is not None):
            raise ValueError(f"must be {'left out' if value is not None else 'given'} for {quantity}")
        return value

    @field_validator("unit")
    @classmethod
    def _unit_fits(cls, value: str, info: ValidationInfo) -> str:
        quantity = info.data.get("quantity")
        if quantity is not None and QUANTITIES[quantity][0] != value:
            raise ValueError(f"must be {QUANTITIES[quantity][0]} for {quantity}: convert the value")
        return value

    @field_validator("note")
    @classmethod
    def _no_value_needs_a_note(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and "value" in info.data and info.data["value"] is None:
            raise ValueError("must say why value is null")
        return value
