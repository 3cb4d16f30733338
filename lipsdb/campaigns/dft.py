"""The section ``dft`` of a campaign: labels that it computes itself, as single points or from AIMD."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from lipsdb.campaigns.base import CampaignModel, Positive, Text, Unique, reference
from lipsdb.campaigns.md import FS_PER_PS, Seed, Temperature, whole_steps

Level = Annotated[
    Text,
    Field(
        description="name of a level of theory that comes with lipsdb (disorder, grain-boundaries …), or a YAML file, "
        "relative to the campaign file, that describes one"
    ),
]
Ranks = Annotated[int, Field(ge=1, description="MPI ranks of one calculation; changes the speed, not the numbers")]


class SinglePoints(CampaignModel):
    """Energy, forces and virial of structures, of frames of MD or AIMD runs, or again of labels in the database.

    Frames are taken from the stored trajectory, whose positions have single precision (about 1e-6 Å), and turned as
    LAMMPS wants the cell: the energy is that of the MD's configuration, forces and virial are turned with it.
    """

    kind: Literal["single_point"] = Field(description="single_point")
    level_of_theory: Level
    structures: Annotated[list[Annotated[str, Field(json_schema_extra={"refers_to": "structures"})]], Unique] | None = (
        Field(default=None, min_length=1, description="names of structures")
    )
    md: str | None = Field(
        default=None,
        description="name of an MD; frames of each of its runs are taken",
        json_schema_extra={"refers_to": "md"},
    )
    aimd: str | None = Field(
        default=None,
        description="name of an AIMD of this section; frames of each of its runs are taken",
        json_schema_extra={"refers_to": "dft", "refers_to_kind": "aimd"},
    )
    times_ps: Annotated[list[Annotated[float, Field(ge=0)]], Unique] | None = Field(
        default=None,
        min_length=1,
        description="at which times of the production, or of the AIMD, the frames are taken, ps; with md or aimd only",
    )
    labels: str | None = Field(
        default=None,
        description="name of a selection of labels, whose configurations are computed again",
        json_schema_extra={"refers_to": "labels"},
    )
    repeat: int = Field(
        default=0, ge=0, description="0, or another number to compute again what was computed before; no unit"
    )
    ranks: Ranks = 1

    @model_validator(mode="after")
    def _one_source(self) -> SinglePoints:
        if sum(source is not None for source in (self.structures, self.md, self.aimd, self.labels)) != 1:
            raise ValueError("must have exactly one of: structures, md, aimd, labels")
        if (self.md is None and self.aimd is None) != (self.times_ps is None):
            raise ValueError("must have times_ps with md or aimd, and only then")
        return self


class AbInitioMD(CampaignModel):
    """AIMD in the NVT ensemble: a run for each temperature and seed, and labels from its frames."""

    kind: Literal["aimd"] = Field(description="aimd")
    level_of_theory: Level
    structure: str = reference("name of the starting structure", "structures")
    temperatures_K: Annotated[list[Temperature], Unique] = Field(min_length=1, description="temperatures, K")
    seeds: Annotated[list[Seed], Unique] = Field(
        min_length=1, description="seeds of the initial velocities: one replica each; no unit"
    )
    timestep_fs: float = Field(default=0.5, gt=0, le=10, description="time step, fs")
    length_ps: Positive = Field(description="length of a run, ps")
    label_interval_fs: Positive = Field(description="time between frames that become labels, fs")
    thermostat_damping_ps: Positive = Field(default=0.05, description="Nosé-Hoover time constant, ps")
    ranks: Ranks = 1

    @field_validator("length_ps")
    @classmethod
    def _length_in_steps(cls, value: float, info: ValidationInfo) -> float:
        if "timestep_fs" in info.data:
            whole_steps(Fraction(repr(value)) * FS_PER_PS, info.data["timestep_fs"])
        return value

    @field_validator("label_interval_fs")
    @classmethod
    def _interval_in_steps(cls, value: float, info: ValidationInfo) -> float:
        if "timestep_fs" in info.data:
            whole_steps(Fraction(repr(value)), info.data["timestep_fs"])
        if (Fraction(repr(info.data.get("length_ps", 0.0))) * FS_PER_PS) % Fraction(repr(value)):
            raise ValueError(f"must divide length_ps ({info.data['length_ps']:g} ps) without rest")
        return value

    def step_at(self, time_ps: float) -> int:
        """The step at a time, which is a frame of the trajectory.

        Raises
        ------
        ValueError
            If there is no step at that time.
        """
        if time_ps > self.length_ps:
            raise ValueError(f"must not be after the end of the run ({self.length_ps:g} ps): {time_ps:g}")
        return whole_steps(Fraction(repr(time_ps)) * FS_PER_PS, self.timestep_fs)

    def expand(self) -> Iterator[dict[str, Any]]:
        """Settings of each single run (`lipsdb.dft.settings.AimdSettings`)."""
        interval = whole_steps(Fraction(repr(self.label_interval_fs)), self.timestep_fs)
        for temperature, seed in product(self.temperatures_K, self.seeds):
            yield {
                "temperature_K": temperature,
                "timestep_fs": self.timestep_fs,
                "n_steps": whole_steps(Fraction(repr(self.length_ps)) * FS_PER_PS, self.timestep_fs),
                "thermostat_damping_ps": self.thermostat_damping_ps,
                "seed": seed,
                "label_stride": interval,
            }


Dft = Annotated[SinglePoints | AbInitioMD, Field(discriminator="kind")]
