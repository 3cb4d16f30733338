"""Tests of potentials."""

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
