"""What a moment tensor potential is trained with: its size, the weights of the loss, and when the training ends."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

SMALLEST_LEVEL, LARGEST_LEVEL = 2, 28


class MTPSettings(BaseModel):
    """Everything about a training but its frames; with the same frames and seed it asks for the same potential.

    Notes
    -----
    The training minimises, as MLIP does [1]_ with its weighting by structures,

    .. math:: L = \\frac{1}{K} \\sum_{k=1}^{K} \\left[ w_E \\left(\\frac{\\Delta E_k}{N_k}\\right)^2
        + \\frac{w_F}{N_k} \\sum_{i=1}^{N_k} |\\Delta \\mathbf{F}_{k,i}|^2
        + w_S \\frac{|\\Delta W_k|^2}{N_k^2} \\right]

    over K frames of N_k atoms, with the errors of the energy ΔE (eV), of the forces ΔF (eV/Å) and of the virial ΔW (eV,
    all nine components; frames without virial labels have no such term).

    References
    ----------
    .. [1] I. S. Novikov et al., Mach. Learn.: Sci. Technol. 2, 025002 (2021), doi:10.1088/2632-2153/abc9fe.

    Examples
    --------
    >>> MTPSettings(level=12, cutoff_A=5.0).radial_size
    8
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    program: Literal["lipsdb", "mlp"] = Field(
        "lipsdb", description="What trains: lipsdb itself, or MLIP's program mlp (which must be on PATH)."
    )
    level: int = Field(
        description=f"Level of the potential, an even number from {SMALLEST_LEVEL} to {LARGEST_LEVEL}: moments and "
        "their products up to this level make up the basis."
    )
    cutoff_A: PositiveFloat = Field(5.0, description="Radius within which neighbours are seen (Å).")
    min_distance_A: PositiveFloat | Literal["auto"] = Field(
        "auto",
        description="Distance at which the radial functions' polynomials begin (Å); below it they extrapolate. 'auto': "
        "the shortest distance in the training frames, rounded down to 0.1 Å.",
    )
    radial_size: PositiveInt = Field(8, description="Number of Chebyshev polynomials in each radial function.", ge=2)
    energy_weight: NonNegativeFloat = Field(1.0, description="Weight of the squared energy error per atom (1/eV²).")
    force_weight: NonNegativeFloat = Field(0.01, description="Weight of the squared force error (Å²/eV²).")
    stress_weight: NonNegativeFloat = Field(0.001, description="Weight of the squared virial error per atom (1/eV²).")
    starts: PositiveInt = Field(
        8, description="Random starts that are tried; the one with the lowest loss goes on (program lipsdb)."
    )
    start_iterations: PositiveInt = Field(
        100, description="Iterations of the optimiser from each start before the best is chosen."
    )
    max_iterations: PositiveInt = Field(
        1000, description="Iterations of the optimiser, from the chosen start, after which the training ends."
    )
    convergence_tolerance: NonNegativeFloat = Field(
        1e-3,
        description="The training ends when 50 iterations have lowered the loss by less than this fraction (no unit).",
    )
    checkpoint_iterations: PositiveInt = Field(
        25,
        description="Iterations between checkpoints (program lipsdb); the optimiser starts anew from each, so the "
        "result depends on it in its last digits.",
    )
    seed: int = Field(1, ge=0, le=10**8, description="Seed of the coefficients that the training starts from.")
    grade_mode: Literal["neighbourhood", "configuration"] = Field(
        "neighbourhood",
        description="What the active set of the extrapolation grade is chosen from: single atoms or whole frames.",
    )

    @field_validator("level")
    @classmethod
    def _even_level(cls, value: int) -> int:
        if value % 2 or not SMALLEST_LEVEL <= value <= LARGEST_LEVEL:
            raise ValueError(f"give an even number from {SMALLEST_LEVEL} to {LARGEST_LEVEL}, say 12")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_distance_A != "auto" and self.min_distance_A >= self.cutoff_A:
            raise ValueError(
                f"min_distance_A is {self.min_distance_A}: it must be below cutoff_A ({self.cutoff_A}); "
                "give about the shortest distance between atoms, or 'auto'"
            )
        if self.energy_weight == self.force_weight == self.stress_weight == 0:
            raise ValueError("energy_weight, force_weight and stress_weight are all 0: there is nothing to train on")
        if self.program == "mlp":
            for name in ("starts", "start_iterations", "checkpoint_iterations"):
                value, default = getattr(self, name), type(self).model_fields[name].default
                if value != default:
                    raise ValueError(
                        f"{name} is {value}, which mlp does not know: leave it out, or set program: lipsdb"
                    )
        return self
