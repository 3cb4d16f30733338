"""Descriptors of dynamics: how far the atoms of a group move, when, and in which direction."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from lipsdb.campaigns.base import Positive, Unique
from lipsdb.campaigns.properties.group import OfGroup

Cartesian = Literal["x", "y", "z"]


class _AtLags(OfGroup):
    longest_fraction: float = Field(
        default=0.5, gt=0, lt=1, description="longest lag over the length of the run, no unit"
    )


class Displacement(_AtLags):
    """Mean squared displacement, in total and by axis, and its local log-log exponent."""

    kind: Literal["displacement"] = Field(description="displacement")
    lag_count: int = Field(default=50, ge=5, description="most lags, evenly spaced in their logarithm, no unit")
    exponent_smoothing_factor: float = Field(
        default=1.5, ge=1, description="the exponent at t is fitted from t over this to t times this, no unit; 1: none"
    )


class NonGaussian(_AtLags):
    """Non-Gaussian parameter of the displacements, with the time and height of its peak."""

    kind: Literal["non_gaussian"] = Field(description="non_gaussian")
    lag_count: int = Field(default=60, ge=5, description="most lags, evenly spaced in their logarithm, no unit")
    groups: int = Field(
        default=10, ge=2, description="groups of atoms for the uncertainty; one an atom if there are fewer, no unit"
    )


class VanHove(OfGroup):
    """Self part of the van Hove function: the distribution of the distance moved in a time."""

    in_frames: ClassVar[tuple[str, ...]] = ("times_ps",)
    kind: Literal["van_hove"] = Field(description="van_hove")
    times_ps: Annotated[list[Positive], Unique, AfterValidator(sorted)] = Field(
        default=[1.0, 2.0, 5.0, 10.0], min_length=1, description="times, ps: multiples of the one between frames"
    )
    dr_A: Positive = Field(default=0.1, description="width of the bins, Å")
    r_max_A: Positive = Field(default=10.0, description="longest distance in the distribution, Å")

    @model_validator(mode="after")
    def _some_bins(self) -> VanHove:
        if not 1 <= self.r_max_A / self.dr_A <= 1e5:
            raise ValueError(
                f"must have 1 to 100000 bins: r_max_A ({self.r_max_A:g} Å) over dr_A ({self.dr_A:g} Å) are "
                f"{self.r_max_A / self.dr_A:.3g}"
            )
        return self


class DisplacementMap(OfGroup):
    """How far each atom moved during a window, and from where."""

    in_frames: ClassVar[tuple[str, ...]] = ("window_ps",)
    kind: Literal["displacement_map"] = Field(description="displacement_map")
    window_ps: Positive = Field(default=10.0, description="length of a window, ps: a multiple of that between frames")
    mobile_threshold_A: Positive = Field(default=4.0, description="an atom that moved farther is mobile, Å")
    plane: Annotated[list[Cartesian], Unique] = Field(
        default=["x", "y"], min_length=2, max_length=2, description="Cartesian axes of the figure, such as [x, y]"
    )


class Isotropy(OfGroup):
    """Isotropy of diffusion: slope of the MSD along the normal of a boundary over the larger one in its plane."""

    in_frames: ClassVar[tuple[str, ...]] = ("start_ps", "stop_ps")
    kind: Literal["isotropy"] = Field(description="isotropy")
    start_ps: Positive = Field(description="shortest lag of the fit, ps: a multiple of the time between frames")
    stop_ps: Positive = Field(description="longest lag of the fit, ps: a multiple of the time between frames")
    normal_axis: Cartesian = Field(default="z", description="Cartesian axis normal to the boundary: x, y or z")
    resamples: int = Field(default=2000, ge=100, description="resamples of groups of atoms, no unit")
    seed: int = Field(default=0, ge=0, description="seed of the resampling, no unit")

    @model_validator(mode="after")
    def _a_window(self) -> Isotropy:
        if self.start_ps >= self.stop_ps:
            raise ValueError(f"must have start_ps ({self.start_ps:g} ps) below stop_ps ({self.stop_ps:g} ps)")
        return self
