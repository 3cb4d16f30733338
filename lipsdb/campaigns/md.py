"""The section ``md`` of a campaign: conditions of molecular dynamics, and the single runs they stand for."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from lipsdb.campaigns.base import CampaignModel, Positive, Unique, reference

Temperature = Annotated[float, Field(gt=0, le=10000)]
Pressure = Annotated[float, Field(ge=-1e6, le=1e6)]
Seed = Annotated[int, Field(ge=1, le=2**31 - 1)]
FS_PER_PS = 1000


def whole_steps(duration_fs: Fraction, timestep_fs: float) -> int:
    """Number of time steps in a duration.

    Parameters
    ----------
    duration_fs : Fraction, fs
    timestep_fs : float, fs

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the duration is not a whole number of steps.

    Notes
    -----
    The decimals as typed are compared, so that 0.3 fs divides 0.9 fs.

    Examples
    --------
    >>> whole_steps(Fraction("20000"), 2.0)
    10000
    >>> whole_steps(Fraction("0.9"), 0.3)
    3
    """
    step = Fraction(repr(timestep_fs))
    steps = duration_fs / step
    if steps.denominator != 1:
        nearest = [float(step * n) for n in (int(steps), int(steps) + 1)]
        raise ValueError(
            f"must be a whole number of {timestep_fs:g} fs steps: {float(duration_fs):.12g} fs are {float(steps):.12g}"
            f"; take {nearest[0]:.12g} or {nearest[1]:.12g} fs"
        )
    return int(steps)


class ExtrapolationWatch(CampaignModel):
    """How a run is watched by the extrapolation grade of its potential; 1 is the edge of its training data."""

    interval_fs: Positive = Field(description="time between evaluations of the grade of all atoms, fs")
    select_grade: float = Field(gt=1, description="frames with an atom of at least this grade are kept (usual: 2)")
    break_grade: float = Field(gt=1, description="the run ends when an atom has at least this grade (usual: 10)")

    @field_validator("break_grade")
    @classmethod
    def _breaks_after_it_selects(cls, value: float, info: ValidationInfo) -> float:
        if value < info.data.get("select_grade", value):
            raise ValueError(
                f"must not be below select_grade ({info.data['select_grade']:g}): frames are kept before a run ends"
            )
        return value


class MolecularDynamics(CampaignModel):
    """One set of conditions: a run for each temperature, pressure and seed."""

    structure: str = reference("name of the starting structure", "structures")
    potential: str = reference("name of the potential", "potentials")
    ensemble: Literal["NVE", "NVT", "NPT"] = Field(
        description="NVT (thermostat), NPT (thermostat and barostat) or NVE (neither; equilibrated in NVT)"
    )
    temperatures_K: Annotated[list[Temperature], Unique] = Field(min_length=1, description="temperatures, K")
    pressures_bar: Annotated[list[Pressure], Unique] | None = Field(
        default=None, min_length=1, validate_default=True, description="pressures, bar; for NPT only"
    )
    seeds: Annotated[list[Seed], Unique] = Field(
        min_length=1, description="seeds of the initial velocities: one replica each; no unit"
    )
    timestep_fs: float = Field(gt=0, le=10, description="time step, fs")
    equilibration_ps: float = Field(ge=0, description="time at the start that is not analysed, ps")
    production_ps: Positive = Field(description="time that is analysed, ps")
    npt_coupling: Literal["iso", "aniso", "tri"] | None = Field(
        default=None,
        validate_default=True,
        description="what NPT varies: iso (volume), aniso (three lengths) or tri (lengths and angles); for NPT only",
    )
    dump_interval_fs: Positive = Field(description="time between stored frames of the trajectory, fs")
    thermo_interval_fs: Positive = Field(
        description="time between rows of temperature, pressure and energy in the log, fs"
    )
    thermostat_damping_ps: Positive = Field(description="Nosé-Hoover relaxation time of the temperature, ps")
    barostat_damping_ps: Positive | None = Field(
        default=None, validate_default=True, description="Nosé-Hoover relaxation time of the pressure, ps; for NPT only"
    )
    ranks: int = Field(
        default=1,
        ge=1,
        description="MPI ranks of one run, or threads for a moment tensor potential without a native pair style; "
        "changes the speed, not the physics; no unit",
    )
    checkpoint_ps: Positive = Field(
        description="time between restart files, ps: at most this much is lost when a run dies"
    )

    extrapolation: ExtrapolationWatch | None = Field(
        default=None,
        description="watch the extrapolation grade of the potential (one with an active set); left out: do not",
    )

    @field_validator("extrapolation")
    @classmethod
    def _interval_in_steps(cls, value: ExtrapolationWatch | None, info: ValidationInfo) -> ExtrapolationWatch | None:
        if value is not None and "timestep_fs" in info.data:
            try:
                whole_steps(Fraction(repr(value.interval_fs)), info.data["timestep_fs"])
            except ValueError as error:
                raise ValueError(f"interval_fs {error}") from error
        return value

    @field_validator("pressures_bar", "barostat_damping_ps", "npt_coupling")
    @classmethod
    def _belongs_to_npt(cls, value: Any, info: ValidationInfo) -> Any:
        ensemble = info.data.get("ensemble")
        if ensemble == "NPT" and value is None:
            raise ValueError("must be given when ensemble is NPT")
        if ensemble in ("NVE", "NVT") and value is not None:
            raise ValueError(f"must be left out when ensemble is {ensemble}: choose NPT or remove it")
        return value

    @field_validator("equilibration_ps", "production_ps", "checkpoint_ps")
    @classmethod
    def _ps_in_steps(cls, value: float, info: ValidationInfo) -> float:
        if "timestep_fs" in info.data:
            whole_steps(Fraction(repr(value)) * FS_PER_PS, info.data["timestep_fs"])
        return value

    @field_validator("dump_interval_fs", "thermo_interval_fs")
    @classmethod
    def _fs_in_steps(cls, value: float, info: ValidationInfo) -> float:
        if "timestep_fs" in info.data:
            whole_steps(Fraction(repr(value)), info.data["timestep_fs"])
        for field in ("equilibration_ps", "production_ps"):
            length_ps = info.data.get(field, 0.0)
            if (Fraction(repr(length_ps)) * FS_PER_PS) % Fraction(repr(value)):
                raise ValueError(f"must divide {field} ({length_ps:g} ps) without rest")
        return value

    def steps(self, field: str) -> int:
        """Number of time steps in one of the durations, such as ``steps("production_ps")``."""
        scale = FS_PER_PS if field.endswith("_ps") else 1
        return whole_steps(Fraction(repr(getattr(self, field))) * scale, self.timestep_fs)

    def frame_at(self, time_ps: float) -> int:
        """Index in the stored trajectory of the frame at a time of the production.

        Raises
        ------
        ValueError
            If there is no frame at that time.
        """
        if time_ps > self.production_ps:
            raise ValueError(f"must not be after the end of the production ({self.production_ps:g} ps)")
        interval = Fraction(repr(self.dump_interval_fs))
        frames = Fraction(repr(time_ps)) * FS_PER_PS / interval
        if frames.denominator != 1:
            before, after = (float(interval * n / FS_PER_PS) for n in (int(frames), int(frames) + 1))
            raise ValueError(
                f"must be a whole number of dump_interval_fs ({self.dump_interval_fs:g} fs): take {before:.12g} or "
                f"{after:.12g} ps"
            )
        return int(frames)

    def lag_of(self, time_ps: float) -> int:
        """Number of stored frames in a time between two of them.

        Raises
        ------
        ValueError
            If there are no two frames that are this far apart.
        """
        if time_ps >= self.production_ps:
            raise ValueError(f"must be shorter than the production ({self.production_ps:g} ps)")
        if time_ps * FS_PER_PS < self.dump_interval_fs * (1 - 1e-9):
            raise ValueError(f"must be at least dump_interval_fs ({self.dump_interval_fs:g} fs)")
        return self.frame_at(time_ps)

    def expand(self) -> Iterator[dict[str, Any]]:
        """Settings of each single run, for each temperature, pressure and seed in that order.

        Yields
        ------
        dict
            Keyword arguments of `lipsdb.md.settings.MDSettings`: ``ensemble`` (lower case), ``temperature_K``,
            ``pressure_bar`` (None but for NPT), ``timestep_fs``, ``n_steps`` (production only),
            ``equilibration_steps``, ``thermostat_damping_ps``, ``dump_interval`` and ``thermo_interval`` (steps),
            ``seed``; for NPT ``barostat_damping_ps`` and ``npt_coupling`` too; ``extrapolation`` if it was asked for.
        """
        watch = self.extrapolation
        grades = {} if watch is None else {
            "interval": whole_steps(Fraction(repr(watch.interval_fs)), self.timestep_fs),
            "select_grade": watch.select_grade,
            "break_grade": watch.break_grade,
        }  # fmt: skip
        for_npt = {"barostat_damping_ps": self.barostat_damping_ps, "npt_coupling": self.npt_coupling}
        pressures: list[float | None] = [*self.pressures_bar] if self.pressures_bar else [None]
        for temperature, pressure, seed in product(self.temperatures_K, pressures, self.seeds):
            yield {
                "ensemble": self.ensemble.lower(),
                "temperature_K": temperature,
                "pressure_bar": pressure,
                "timestep_fs": self.timestep_fs,
                "n_steps": self.steps("production_ps"),
                "equilibration_steps": self.steps("equilibration_ps"),
                "thermostat_damping_ps": self.thermostat_damping_ps,
                "dump_interval": self.steps("dump_interval_fs"),
                "thermo_interval": self.steps("thermo_interval_fs"),
                "seed": seed,
                **(for_npt if self.ensemble == "NPT" else {}),
                **({"extrapolation": grades} if grades else {}),
            }
