"""Softness of the ions of a run by a classifier, and the motion that it is learnt from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from lipsdb.campaigns.base import Element, Elements, Positive, reference
from lipsdb.campaigns.classifiers import Motion
from lipsdb.campaigns.properties.of_run import OfFrames, OfRun


class NonaffineDisplacement(OfRun, Motion):
    """Non-affine displacements of the ions of one element, over windows and summed over blocks of windows."""

    in_frames: ClassVar[tuple[str, ...]] = ("window_ps",)

    kind: Literal["nonaffine_displacement"] = Field(description="nonaffine_displacement")
    species: Element = Field(default="Li", description="chemical symbol of the ions")
    bin_width_A: Positive = Field(default=0.5, description="width of the bins of the distribution of D_cum, Å")


class Softness(OfFrames):
    """Softness of each ion by a classifier, and its correlation with the bond order around the ion."""

    kind: Literal["softness"] = Field(description="softness")
    classifier: str = reference("name of the classifier", "classifiers")
    bin_width: Positive = Field(default=0.2, description="width of the bins of the distribution of S, no unit")
    order_degree: Annotated[int, Field(ge=2, le=20, multiple_of=2)] = Field(
        default=6, description="even l of the averaged bond order that S is correlated with, no unit"
    )
    order_neighbours: Elements | None = Field(
        default=None, description="elements of the atoms that the bond order is taken over; all if left out"
    )
    order_cutoff_A: Positive | None = Field(default=None, description="neighbours are the atoms nearer than this, Å")
    order_n_neighbours: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="neighbours are this many nearest atoms; with neither, those that share a Voronoi face",
    )
    resamples: int = Field(default=200, ge=10, description="draws for the error of the correlation, no unit")
    seed: int = Field(default=1, ge=0, description="seed of these draws, no unit")

    @model_validator(mode="after")
    def _neighbours_in_one_way(self) -> Softness:
        if self.order_cutoff_A is not None and self.order_n_neighbours is not None:
            raise ValueError("must have at most one of order_cutoff_A, order_n_neighbours; with neither, Voronoi's")
        return self

    def parameters(self, folder: Path = Path()) -> dict[str, Any]:
        """What changes the answer, complete; the classifier is an input."""
        return {name: value for name, value in super().parameters(folder).items() if name != "classifier"}
