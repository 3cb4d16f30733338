"""Transport: diffusion, conductivity, activation energy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lipsdb.campaigns.base import CampaignModel, Element, Positive, Unique, reference


class Diffusion(CampaignModel):
    """Diffusion coefficient D of one species from its MSD, and its Nernst-Einstein conductivity, by temperature."""

    kind: Literal["diffusion"] = Field(description="diffusion")
    of: str = reference("name of the MD", "md")
    species: Element = Field(description="chemical symbol of the moving species")
    framework: Annotated[list[Element], Unique] = Field(
        min_length=1, description="chemical symbols of the framework, whose drift is removed from all displacements"
    )
    charge_e: float = Field(description="charge of the moving ion in the Nernst-Einstein relation, e")
    fit_start_ps: Positive | None = Field(
        default=None, description="lag time from which the line is fitted, ps; found from the log-log slope if left out"
    )


class Arrhenius(CampaignModel):
    """Activation energy Ea from D at several temperatures, with D and the conductivity extrapolated."""

    kind: Literal["arrhenius"] = Field(description="arrhenius")
    of: str = reference("name of the property of kind diffusion that gives D", "properties", kind="diffusion")
    extrapolate_to_K: Positive = Field(description="temperature at which D and the conductivity are stated, K")
