"""Descriptors of structure and dynamics: what each run of an MD is asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from lipsdb.campaigns.base import CampaignModel, Positive, reference
from lipsdb.campaigns.yaml_file import YamlPath


class OfRun(CampaignModel):
    """A descriptor that is computed from each run of an MD."""

    in_frames: ClassVar[tuple[str, ...]] = ()  # fields with times (ps) that must be multiples of that between frames
    kind: str
    of: str = reference("name of the MD", "md")

    def parameters(self, folder: Path = Path()) -> dict[str, Any]:
        """What changes the answer, complete; the content of files, which are looked up from the campaign's folder."""
        return self.model_dump(mode="json", exclude={"kind", "of"})

    def problems(self, elements: Collection[str] | None, folder: Path | None) -> Iterator[tuple[YamlPath, str]]:
        """What does not fit the structure's elements or the campaign's folder (None: not known), with its field."""
        yield from ()

    def times_in_frames(self) -> Iterator[tuple[YamlPath, float]]:
        """Each time (ps) that must be a multiple of the one between frames, with its field; 0 is none."""
        for name in self.in_frames:
            value = getattr(self, name)
            times = value if isinstance(value, list) else [value]
            yield from (((name,), time) for time in times if time)


class OfFrames(OfRun):
    """A descriptor that is averaged over frames of a run."""

    in_frames: ClassVar[tuple[str, ...]] = ("every_ps",)
    every_ps: Positive | None = Field(
        default=None, description="time between the frames that are looked at, ps; all frames if left out"
    )
