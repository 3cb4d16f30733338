"""Descriptors of structure and dynamics: what each run of an MD is asked for."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lipsdb.campaigns.base import CampaignModel, Positive, reference


class OfRun(CampaignModel):
    """A descriptor that is computed from each run of an MD."""

    kind: str
    of: str = reference("name of the MD", "md")

    def parameters(self) -> dict[str, Any]:
        """What changes the answer, complete."""
        return self.model_dump(mode="json", exclude={"kind", "of"})


class OfFrames(OfRun):
    """A descriptor that is averaged over frames of a run."""

    every_ps: Positive | None = Field(
        default=None, description="time between the frames that are looked at, ps; all frames if left out"
    )
