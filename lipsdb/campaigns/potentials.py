"""The sections ``potentials`` and ``grids`` of a campaign: how potentials are trained, and searches for settings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from lipsdb.campaigns.base import CampaignModel, Name, Text, Unique, reference
from lipsdb.field_names import settings_in_words
from lipsdb.potentials.engines import ENGINES


def _known_engine(name: str) -> str:
    """Refuse what is not the name of an engine."""
    from lipsdb.campaigns.problems import did_you_mean

    if name not in ENGINES:
        raise ValueError(f"not an engine{did_you_mean(name, ENGINES)}")
    return name


EngineName = Annotated[str, AfterValidator(_known_engine)]


class Training(CampaignModel):
    """How a potential is trained."""

    engine: EngineName = Field(description="engine of the potential")
    dataset: str = reference("name of the dataset", "datasets")
    threads: int = Field(default=1, ge=1, description="threads of the training; changes the speed, not what is asked")
    settings: dict[str, Any] = Field(description="settings of the engine; see its own model")


class Potential(CampaignModel):
    """A potential: adopted (trained before, shipped with its record) or trained by this campaign."""

    adopt: Text | None = Field(
        default=None,
        description="folder with model files and their record (record.json), relative to the campaign file",
        json_schema_extra={"path_to": "potential"},
    )
    train: Training | None = Field(default=None, description="engine, dataset and settings of the training")

    @model_validator(mode="after")
    def _one_origin(self) -> Potential:
        if (self.adopt is None) == (self.train is None):
            raise ValueError("must have exactly one of: adopt, train")
        return self


class Grid(Training):
    """A grid search: one potential for each combination of some settings, all else the same.

    A member of it is the potential that an entry of ``potentials`` with the same engine, dataset and settings names:
    it is trained once, whoever asks.
    """

    over: dict[Name, Annotated[list[Any], Field(min_length=1), Unique]] = Field(
        min_length=1, description="settings that vary, with their values: cutoff_A: [4, 5], level: [8, 12]"
    )

    @model_validator(mode="after")
    def _varied_only_once(self) -> Grid:
        for key in self.over:
            if key in self.settings:
                raise ValueError(f"must not have {key} in settings and in over: remove one")
        return self

    def expand(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name and settings of each member, the last setting varying fastest.

        Examples
        --------
        >>> grid = Grid(engine="mtp", dataset="aimd", settings={"seed": 1}, over={"cutoff_A": [4.0, 5.0], "level": [8]})
        >>> [name for name, _ in grid.expand()]
        ['cutoff 4 Å, level 8', 'cutoff 5 Å, level 8']
        """
        for values in product(*self.over.values()):
            varied = dict(zip(self.over, values, strict=True))
            named = {
                key: f"number {self.over[key].index(value) + 1}" if isinstance(value, list | dict) else value
                for key, value in varied.items()
            }
            yield settings_in_words(named), {**self.settings, **varied}
