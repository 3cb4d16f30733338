"""What a molecular dynamics run is asked to do: ensemble, conditions, lengths, output intervals, seed."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

#: Largest seed that LAMMPS' random number generators take (a signed 32-bit integer).
LARGEST_SEED = 2**31 - 1


class Extrapolation(BaseModel):
    """How a run is watched by the extrapolation grade of its potential (γ: 1 is the edge of the training data).

    Examples
    --------
    >>> Extrapolation(interval=50, select_grade=2, break_grade=10).break_grade
    10.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    interval: int = Field(ge=1, description="Distance of two evaluations of the grade of all atoms (steps).")
    select_grade: float = Field(
        gt=1, allow_inf_nan=False, description="Frames with an atom of at least this grade are kept. No unit."
    )
    break_grade: float = Field(
        gt=1, allow_inf_nan=False, description="The run ends when an atom has at least this grade. No unit."
    )

    @model_validator(mode="after")
    def _selects_before_it_breaks(self) -> Self:
        if self.select_grade > self.break_grade:
            raise ValueError(
                f"select_grade = {self.select_grade:g} is above break_grade = {self.break_grade:g}; a run would end "
                "before a frame is kept: lower select_grade (usual: 2 and 10)"
            )
        return self


class MDSettings(BaseModel):
    """Settings of one molecular dynamics run; two runs with the same settings ask the same question.

    Examples
    --------
    >>> settings = MDSettings(temperature_K=800, n_steps=50_000, dump_interval=50, thermo_interval=50)
    >>> settings.production_ps
    100.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ensemble: Literal["nvt", "npt", "nve"] = Field(
        default="nvt",
        description="Production ensemble: Nosé–Hoover nvt or npt, or nve (equilibrated in nvt). No unit.",
    )
    temperature_K: float = Field(
        gt=0, allow_inf_nan=False, description="Target temperature, and that of the first velocities (K)."
    )
    pressure_bar: float | None = Field(
        default=None, allow_inf_nan=False, description="Target pressure (bar); npt only, where it is required."
    )
    timestep_fs: float = Field(default=2.0, gt=0, le=20, allow_inf_nan=False, description="Timestep (fs).")
    n_steps: int = Field(ge=1, description="Production length (steps).")
    equilibration_steps: int = Field(
        default=0, ge=0, description="Length of the equilibration before production (steps); its frames are not kept."
    )
    thermostat_damping_ps: float = Field(
        default=0.1, gt=0, allow_inf_nan=False, description="Relaxation time of the Nosé–Hoover thermostat (ps)."
    )
    barostat_damping_ps: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="Relaxation time of the barostat (ps); used by npt only."
    )
    npt_coupling: Literal["iso", "aniso", "tri"] = Field(
        default="iso",
        description="Which cell parameters npt varies: iso (volume), aniso (three lengths), tri (all six). No unit.",
    )
    dump_interval: int = Field(default=100, ge=1, description="Distance of two trajectory frames (steps).")
    thermo_interval: int = Field(default=100, ge=1, description="Distance of two rows of thermo output (steps).")
    seed: int = Field(
        default=1, ge=1, le=LARGEST_SEED, description="Seed of the first velocities. No unit, 1 to 2147483647."
    )
    extrapolation: Extrapolation | None = Field(
        default=None, description="Watch the potential's extrapolation grade; None does not. No unit."
    )

    @model_serializer(mode="wrap")
    def _without_what_is_not_asked(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Runs without it stay the questions that they were before it could be asked for.
        dumped: dict[str, Any] = serialise(self)
        return {name: value for name, value in dumped.items() if name != "extrapolation" or value is not None}

    @model_validator(mode="after")
    def _pressure_belongs_to_npt(self) -> Self:
        if self.ensemble == "npt" and self.pressure_bar is None:
            raise ValueError("ensemble npt needs pressure_bar (bar); set it, for example 1.0, or choose nvt")
        if self.ensemble != "npt" and self.pressure_bar is not None:
            raise ValueError(
                f"pressure_bar = {self.pressure_bar} has no meaning in {self.ensemble}; remove it, or choose npt"
            )
        return self

    @model_validator(mode="after")
    def _intervals_divide_lengths(self) -> Self:
        for name in ("dump_interval", "thermo_interval"):
            interval = getattr(self, name)
            for length_name in ("n_steps", "equilibration_steps"):
                length = getattr(self, length_name)
                if length % interval:
                    raise ValueError(
                        f"{name} = {interval} does not divide {length_name} = {length}; "
                        f"the nearest {length_name} that fits are {length - length % interval} "
                        f"and {length - length % interval + interval}"
                    )
        return self

    @model_validator(mode="after")
    def _damping_is_resolved(self) -> Self:
        shortest = 5e-3 * self.timestep_fs
        for name in ("thermostat_damping_ps", "barostat_damping_ps"):
            if getattr(self, name) < shortest:
                raise ValueError(
                    f"{name} = {getattr(self, name)} ps is under 5 timesteps ({shortest:g} ps); "
                    "raise it (usual: 100 timesteps for the thermostat, 500 to 1000 for the barostat)"
                )
        return self

    @property
    def timestep_ps(self) -> float:
        """Timestep in ps (1 ps = 1000 fs)."""
        return self.timestep_fs / 1000.0

    @property
    def total_steps(self) -> int:
        """Equilibration and production together, in steps."""
        return self.equilibration_steps + self.n_steps

    @property
    def production_ps(self) -> float:
        """Length of the production run in ps."""
        return self.n_steps * self.timestep_ps

    @property
    def n_frames(self) -> int:
        """Frames of the trajectory, the one at time zero included."""
        return self.n_steps // self.dump_interval + 1
