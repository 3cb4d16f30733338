"""What changes the number in a CP2K calculation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from lipsdb.documents.base import Model

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Cp2kKind(Model):
    """Basis set and pseudopotential of one element."""

    basis: str = Field(description="Name of the basis set.", min_length=1)
    basis_sha256: Sha256 = Field(description="SHA-256 of the basis set's entry (`entry_digest`).")
    potential: str = Field(
        description="Name of the pseudopotential with its valence, such as GTH-PBE-q5.", min_length=1
    )
    potential_sha256: Sha256 = Field(description="SHA-256 of the pseudopotential's entry (`entry_digest`).")
    valence: int = Field(description="Electrons that the pseudopotential leaves.", gt=0)


class Cp2kLevel(Model):
    """Settings of a CP2K/Quickstep level of theory (GPW); Γ point only, no spin.

    The minimiser and its preconditioner are not among them: a converged SCF does not depend on them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    functional: Literal["PBE", "PBESOL", "REVPBE", "BLYP", "PADE"] = Field(
        description="Exchange-correlation functional."
    )
    dispersion: Literal["D3", "D3(BJ)"] | None = Field(description="Dispersion correction; None for none.")
    cutoff_Ry: float = Field(description="Plane-wave cutoff of the finest grid, Ry.", gt=0)
    rel_cutoff_Ry: float = Field(description="Cutoff of the reference grid, Ry.", gt=0)
    ngrids: int = Field(4, description="Number of multigrids.", gt=0)
    eps_default: float = Field(1e-12, description="EPS_DEFAULT of Quickstep.", gt=0, le=1e-6)
    eps_scf: float = Field(1e-6, description="EPS_SCF: convergence of the SCF, inner and outer.", gt=0, le=1e-4)
    kinds: dict[str, Cp2kKind] = Field(description="Chemical symbol -> basis set and pseudopotential.", min_length=1)

    @model_validator(mode="after")
    def _elements_known(self) -> Cp2kLevel:
        from ase.data import atomic_numbers

        unknown = [symbol for symbol in self.kinds if symbol not in atomic_numbers or symbol == "X"]
        if unknown:
            raise ValueError(f"kinds names {unknown[0]!r}, which is no chemical element")
        return self
