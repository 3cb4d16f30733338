"""Tests of potentials, and choices among them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lipsdb.campaigns.base import CampaignModel, Unique, reference


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


class PotentialChoice(CampaignModel):
    """Which potential of a grid is worth its cost: error on held-out labels against time per atom and step.

    The cheapest is chosen whose error is within the tolerance of the smallest.
    """

    kind: Literal["potential_choice"] = Field(description="potential_choice")
    grid: str = reference("name of the grid", "grids")
    criterion: Literal[
        "force_mae_meV_per_A", "force_rmse_meV_per_A", "energy_mae_meV_per_atom", "energy_rmse_meV_per_atom"
    ] = Field(default="force_mae_meV_per_A", description="error on the held-out labels that decides")
    tolerance: float = Field(
        default=0.05, ge=0, lt=1, description="how much larger than the smallest error is good enough, as a fraction"
    )
