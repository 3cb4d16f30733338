"""The section ``properties`` of a campaign: what is computed from the MD runs, and tests of potentials.

A new kind is a class with a ``kind`` of its own, added to `Property`; the loader needs no change.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

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


class Coordination(CampaignModel):
    """Mean number of neighbours of one element around another, and its distribution."""

    kind: Literal["coordination"] = Field(description="coordination")
    of: str = reference("name of the MD", "md")
    centre: Element = Field(description="chemical symbol of the atoms whose neighbours are counted")
    neighbour: Element = Field(description="chemical symbol of the neighbours")
    cutoff_A: float = Field(gt=0, le=20, description="distance up to which an atom is a neighbour, Å")


class PredictionErrors(CampaignModel):
    """Errors of a potential against labels: energy, forces and, where the labels have them, virial and stress."""

    kind: Literal["prediction_errors"] = Field(description="prediction_errors")
    potential: str = reference("name of the potential that is tested", "potentials")
    labels: Annotated[list[Annotated[str, Field(json_schema_extra={"refers_to": "labels"})]], Unique] = Field(
        default=[], description="names of labels that are there"
    )
    dft: Annotated[
        list[Annotated[str, Field(json_schema_extra={"refers_to": "dft", "refers_to_kind": "single_point"})]],
        Unique,
    ] = Field(default=[], description="names of single points that the campaign computes")

    @model_validator(mode="after")
    def _against_something(self) -> PredictionErrors:
        if not self.labels and not self.dft:
            raise ValueError("must have labels, dft, or both")
        return self


Property = Annotated[Diffusion | Arrhenius | Coordination | PredictionErrors, Field(discriminator="kind")]
