"""What a relaxation or ab initio molecular dynamics asks for beside its level of theory."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from lipsdb.documents.base import Model


class RelaxationSettings(Model):
    """Relaxation of positions, and of the cell, by conjugate gradients (IBRION = 2).

    The grain-boundary study prints an ionic criterion of 2e-2 eV and one of 0.01 eV/Å. VASP takes one EDIFFG, an
    energy if positive and a force if negative: here the force ends the loop, and the last change of the energy is
    compared with the other criterion afterwards.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    relax_cell: bool = Field(True, description="Whether the cell changes too (ISIF = 3), or not (ISIF = 2).")
    max_force_eV_per_A: float = Field(0.01, description="-EDIFFG: largest force at the end, eV/Å.", gt=0)
    max_energy_change_eV: float = Field(2e-2, description="Largest change of the energy in the last step, eV.", gt=0)
    max_steps: int = Field(99, description="NSW: most ionic steps.", gt=1)


class AIMDSettings(Model):
    """Ab initio molecular dynamics at constant volume, with a Nosé-Hoover thermostat.

    Velocities at the start are drawn by VASP from the seed (RANDOM_SEED).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    temperature_K: float = Field(description="TEBEG: temperature at the start, K.", gt=0)
    end_temperature_K: float | None = Field(
        None, description="TEEND: temperature at the end, K, reached by a linear ramp; None to keep it.", gt=0
    )
    timestep_fs: float = Field(2.0, description="POTIM: time step, fs.", gt=0, le=5)
    n_steps: int = Field(description="NSW: steps.", gt=1)
    nose_mass: float = Field(
        0.0, description="SMASS: Nosé mass; 0 makes the temperature oscillate with a period of 40 steps.", ge=0
    )
    seed: int = Field(description="First number of RANDOM_SEED.", ge=1, le=900_000_000)
