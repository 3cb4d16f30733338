"""What ab initio molecular dynamics and relaxations ask for beside their level of theory, whatever the DFT code."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from lipsdb.documents.base import Model
from lipsdb.errors import BadInputError

#: Largest seed: a signed 32-bit integer.
LARGEST_SEED = 2**31 - 1
#: Codes that take less; VASP: first number of RANDOM_SEED.
LARGEST_SEEDS = {"vasp": 900_000_000}


class AimdSettings(Model):
    """Settings of ab initio molecular dynamics at constant volume, Nosé–Hoover thermostat.

    CP2K runs a chain of three thermostats, VASP a single one. The fields that `lipsdb.md.settings.MDSettings` has too
    mean the same there, so that queries need not ask which program made a run.

    Examples
    --------
    >>> AimdSettings(temperature_K=3000, n_steps=20_000, label_stride=50).length_ps
    10.0
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    ensemble: Literal["nvt"] = Field("nvt", description="Ensemble: Nosé–Hoover nvt. No unit.")
    temperature_K: float = Field(gt=0, description="Target temperature, and that of the first velocities (K).")
    pressure_bar: None = Field(None, description="Always None: the volume is constant.")
    timestep_fs: float = Field(0.5, gt=0, le=5, description="Timestep (fs).")
    n_steps: int = Field(ge=1, description="Length (steps).")
    equilibration_steps: Literal[0] = Field(0, description="Always 0: the whole run is kept (steps).")
    # 100 timesteps of 0.5 fs: what LAMMPS' manual recommends for fix nvt ("around 100 timesteps").
    thermostat_damping_ps: float = Field(
        0.05,
        gt=0,
        description="Time constant of the thermostat (ps): TIMECON of CP2K; of VASP it gives the Nosé mass as in "
        "LAMMPS. Of the order of 100 timesteps.",
    )
    dump_interval: int = Field(1, ge=1, description="Distance of two trajectory frames (steps).")
    label_stride: int = Field(
        1, ge=1, description="Distance of two frames that become labels (steps); a multiple of dump_interval."
    )
    seed: int = Field(1, ge=1, le=LARGEST_SEED, description="Seed of the first velocities. No unit, 1 to 2147483647.")

    @model_validator(mode="after")
    def _intervals_fit(self) -> Self:
        if self.n_steps % self.dump_interval:
            raise ValueError(
                f"dump_interval = {self.dump_interval} does not divide n_steps = {self.n_steps}; the nearest n_steps "
                f"that fits is {self.n_steps - self.n_steps % self.dump_interval + self.dump_interval}"
            )
        if self.label_stride % self.dump_interval:
            raise ValueError(
                f"label_stride = {self.label_stride} is no multiple of dump_interval = {self.dump_interval}; labels "
                "are taken from frames of the trajectory, so choose a multiple"
            )
        return self

    @model_validator(mode="after")
    def _damping_is_resolved(self) -> Self:
        shortest = 5e-3 * self.timestep_fs
        if self.thermostat_damping_ps < shortest:
            raise ValueError(
                f"thermostat_damping_ps = {self.thermostat_damping_ps} ps is under 5 timesteps ({shortest:g} ps); "
                "raise it (usual: 100 timesteps)"
            )
        return self

    @property
    def timestep_ps(self) -> float:
        """Timestep in ps (1 ps = 1000 fs)."""
        return self.timestep_fs / 1000.0

    @property
    def length_ps(self) -> float:
        """Length of the run in ps."""
        return self.n_steps * self.timestep_ps

    @property
    def n_frames(self) -> int:
        """Frames of the trajectory, the one at time zero included."""
        return self.n_steps // self.dump_interval + 1


def check_seed(settings: AimdSettings, code: str) -> None:
    """Refuse a seed that the code of a level of theory does not take.

    Raises
    ------
    BadInputError
        If it is too large.

    Examples
    --------
    >>> check_seed(AimdSettings(temperature_K=300, n_steps=10, seed=2_000_000_000), "cp2k")
    """
    largest = LARGEST_SEEDS.get(code, LARGEST_SEED)
    if settings.seed > largest:
        raise BadInputError(f"the seed {settings.seed} is too large for {code}; take one from 1 to {largest}")


class RelaxationSettings(Model):
    """Settings of a relaxation of the atoms, or of atoms and cell.

    Examples
    --------
    >>> RelaxationSettings(cell=False).max_force_eV_A
    0.01
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    cell: bool = Field(True, description="Whether the cell is relaxed, too, to zero pressure. No unit.")
    max_force_eV_A: float = Field(0.01, gt=0, description="No component of a force may remain larger (eV/Å).")
    pressure_tolerance_bar: float = Field(
        100.0, gt=0, description="Largest mean pressure that may remain (bar), if the cell is relaxed."
    )
    max_steps: int = Field(200, ge=1, description="Most steps of the optimiser; more is refused.")
