"""What a DeePMD-kit potential is trained with: descriptor, networks, and the stages of the training."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, field_validator, model_validator

ZBL_BLEND_A = 0.2


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Prefactors(_Frozen):
    """Weights of the loss' terms at the start and at the end of a stage (they follow the learning rate)."""

    energy: tuple[float, float] = Field(
        (0.02, 1.0), description="Weight of the squared energy error per atom, start and end (1/eV²)."
    )
    force: tuple[float, float] = Field(
        (1000.0, 1.0), description="Weight of the squared force error, start and end (Å²/eV²)."
    )
    virial: tuple[float, float] = Field(
        (0.02, 0.2), description="Weight of the squared virial error per atom, start and end (1/eV²)."
    )


class TrainingStage(_Frozen):
    """One run of the optimiser; a stage after the first starts from the network of the one before, at step 0."""

    steps: PositiveInt = Field(description="Number of optimiser steps.")
    learning_rate: tuple[PositiveFloat, PositiveFloat] = Field(
        (1e-3, 1e-8), description="Learning rate at the start and at the end; it decays exponentially (no unit)."
    )
    prefactors: Prefactors = Field(default_factory=Prefactors, description="Weights of the loss' terms.")
    zbl_inner_A: PositiveFloat | None = Field(
        None,
        description="Below this (soft-minimum) distance to the nearest neighbour an atom's energy is the ZBL repulsion "
        "alone (Å); null for no ZBL.",
    )
    zbl_outer_A: PositiveFloat | None = Field(
        None,
        description=f"Beyond this distance the network alone (Å); null for zbl_inner_A + {ZBL_BLEND_A} Å.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        start, stop = self.learning_rate
        if stop > start:
            raise ValueError(f"learning_rate goes from {start} up to {stop}; it must fall: give [larger, smaller]")
        if self.zbl_outer_A is not None and (self.zbl_inner_A is None or self.zbl_outer_A <= self.zbl_inner_A):
            raise ValueError(f"zbl_outer_A is {self.zbl_outer_A}: it must lie beyond zbl_inner_A ({self.zbl_inner_A})")
        return self

    @property
    def zbl_range_A(self) -> tuple[float, float] | None:  # noqa: N802
        """Distances (Å) between which the ZBL repulsion gives way to the network, or None without ZBL."""
        if self.zbl_inner_A is None:
            return None
        return self.zbl_inner_A, self.zbl_outer_A or self.zbl_inner_A + ZBL_BLEND_A


class DeepMDSettings(_Frozen):
    """Everything about a training but its frames; with the same frames and seed it asks for the same potential."""

    descriptor: Literal["se_e2_a"] = Field(
        "se_e2_a", description="DeePMD-kit's descriptor: se_e2_a has radial and angular information."
    )
    cutoff_A: PositiveFloat = Field(6.0, description="Radius within which neighbours are seen (Å).")
    smoothing_start_A: PositiveFloat = Field(
        1.0, description="Radius from which neighbours are smoothed out towards the cutoff (Å)."
    )
    selection: list[PositiveInt] | str = Field(
        "auto",
        description="Largest number of neighbours of each element within the cutoff (a list in the order of the "
        "elements), or 'auto' or 'auto:FACTOR' (FACTOR ≥ 1 times what occurs in the training frames; 'auto' is 1.1).",
    )
    embedding_neurons: tuple[PositiveInt, ...] = Field(
        (25, 50, 100), description="Widths of the embedding network's layers.", min_length=1
    )
    axis_neurons: PositiveInt = Field(
        8, description="Width of the embedding's part that makes the descriptor rotation-invariant."
    )
    fitting_neurons: tuple[PositiveInt, ...] = Field(
        (240, 240, 240), description="Widths of the fitting network's layers.", min_length=1
    )
    type_one_side: bool = Field(
        True, description="One embedding network per neighbour's element instead of one per pair of elements."
    )
    precision: Literal["float32", "float64"] = Field("float32", description="Arithmetic of the networks.")
    seed: int = Field(1, ge=0, le=10**8, description="Seed of the networks' first weights and of the order of frames.")
    stages: tuple[TrainingStage, ...] = Field(description="The stages of the training, in order.", min_length=1)
    batch_size: PositiveInt | str = Field(
        "auto:256",
        description="Frames in a step: a number, or 'auto:N' for as many as hold N atoms or more together.",
    )
    system_weights: Literal["prob_uniform", "prob_sys_size"] | list[float] = Field(
        "prob_uniform",
        description="Probability of each training system: all equal, by its number of batches, or a list of weights.",
    )
    compression_step: PositiveFloat = Field(
        0.01, description="Spacing of the compressed model's tables (no unit); a larger one makes a smaller file."
    )
    held_batches: PositiveInt = Field(2, description="Held-out batches averaged in each row of the learning curve.")
    disp_freq: PositiveInt = Field(100, description="Steps between rows of the learning curve.")
    save_freq: PositiveInt = Field(1000, description="Steps between checkpoints; a multiple of disp_freq.")

    @field_validator("selection")
    @classmethod
    def _known_selection(cls, value: list[int] | str) -> list[int] | str:
        if isinstance(value, str):
            match = re.fullmatch(r"auto(?::(\d+(?:\.\d+)?))?", value)
            if not match or (match[1] is not None and float(match[1]) < 1):
                raise ValueError(f"selection is {value!r}: give a list, 'auto' or 'auto:FACTOR' with FACTOR at least 1")
        return value

    @field_validator("batch_size")
    @classmethod
    def _known_batch_size(cls, value: int | str) -> int | str:
        if isinstance(value, str) and not re.fullmatch(r"auto(:[1-9]\d*)?", value):
            raise ValueError(f"batch_size is {value!r}: give a number of frames, 'auto' or 'auto:N'")
        return value

    @field_validator("system_weights")
    @classmethod
    def _positive_weights(cls, value: str | list[float]) -> str | list[float]:
        if not isinstance(value, str) and (not value or min(value) < 0 or sum(value) <= 0):
            raise ValueError(f"system_weights is {value}: give weights of zero or more, not all zero")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.smoothing_start_A >= self.cutoff_A:
            raise ValueError(
                f"smoothing_start_A is {self.smoothing_start_A}: it must be below cutoff_A ({self.cutoff_A})"
            )
        if self.save_freq % self.disp_freq:
            raise ValueError(
                f"save_freq is {self.save_freq}: DeePMD-kit writes checkpoints only with a row of the learning curve, "
                f"so it must be a multiple of disp_freq ({self.disp_freq})"
            )
        if self.axis_neurons > self.embedding_neurons[-1]:
            raise ValueError(
                f"axis_neurons is {self.axis_neurons}: "
                f"at most the last of embedding_neurons ({self.embedding_neurons[-1]})"
            )
        with_zbl = [stage.zbl_range_A is not None for stage in self.stages]
        if any(later and not earlier for earlier, later in pairwise(with_zbl)):
            raise ValueError("a stage with ZBL follows one without: DeePMD-kit can only drop it, so put it first")
        for stage in self.stages:
            if stage.zbl_range_A is not None and stage.zbl_range_A[1] >= self.cutoff_A:
                raise ValueError(
                    f"the ZBL repulsion reaches {stage.zbl_range_A[1]} Å: keep it below cutoff_A ({self.cutoff_A})"
                )
        return self
