"""The section ``classifiers`` of a campaign: what tells mobile from immobile ions by their surroundings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from lipsdb.campaigns.base import CampaignModel, Element, Elements, Positive, Unique

Quantile = Annotated[float, Field(gt=0, lt=1)]


def _in_order(pair: list[float]) -> list[float]:
    if pair[0] > pair[1]:
        raise ValueError(f"must be two fractions in order, received {pair}")
    return pair


class Motion(CampaignModel):
    """How far ions move against their surroundings: non-affine displacements, and their sum over a block."""

    neighbours: Elements | None = Field(
        default=None, description="elements of the atoms that the motion is measured against; all if left out"
    )
    cutoff_A: Positive = Field(default=5.0, description="distance up to which they are neighbours, Å")
    per_neighbour: bool = Field(
        default=True,
        description="whether D²_min is divided by the number of neighbours; the plain sum is larger for ions that have "
        "more of them, which their surroundings tell, too",
    )
    window_ps: Positive = Field(default=0.5, description="time over which D²_min is taken, ps")
    increments: int = Field(
        default=10, ge=1, description="consecutive windows that D_cum sums over: one block; no unit"
    )


class Surroundings(CampaignModel):
    """Numbers of neighbours in bins of distance, at the start of each block; lists are tried one by one."""

    elements: Elements = Field(default=["Li", "P", "S"], description="elements of the neighbours")
    cutoffs_A: Annotated[list[Positive], Unique] = Field(
        default=[10.0], min_length=1, description="ranges of the bins that are tried, Å"
    )
    spacings_A: Annotated[list[Positive], Unique] = Field(
        default=[0.2], min_length=1, description="widths of the bins that are tried, Å; multiples of the smallest"
    )
    smearing_A: float = Field(
        default=0.0, ge=0, description="standard deviation that each neighbour is smeared to, Å; 0 counts it in one bin"
    )

    @model_validator(mode="after")
    def _whole_bins(self) -> Surroundings:
        finest = min(self.spacings_A)
        for spacing in self.spacings_A:
            if not _is_multiple(spacing, finest):
                raise ValueError(
                    f"must have spacings_A that are multiples of the smallest, {finest:g}, not {spacing:g}"
                )
            for cutoff in self.cutoffs_A:
                if not _is_multiple(cutoff, spacing):
                    raise ValueError(f"must have cutoffs_A that are multiples of each of spacings_A, not {cutoff:g}")
        return self


def _is_multiple(value: float, unit: float) -> bool:
    return value >= unit and abs(round(value / unit) * unit - value) < 1e-6


class Classifier(CampaignModel):
    """A softness classifier: what it is trained on, and the choices that are tried by cross-validation.

    The combination with the largest balanced accuracy in the training groups is taken.
    """

    method: Literal["softness"] = Field(default="softness", description="softness")
    md: Annotated[list[Annotated[str, Field(json_schema_extra={"refers_to": "md"})]], Unique] = Field(
        min_length=1, description="names of the MD whose runs it is trained on"
    )
    temperatures_K: Annotated[list[Positive], Unique] | None = Field(
        default=None, min_length=1, description="temperatures of the runs that are taken, K; all if left out"
    )
    species: Element = Field(default="Li", description="chemical symbol of the ions that are classified")
    motion: Motion = Field(default=Motion(), description="displacements that tell hopping from immobile ions")
    surroundings: Surroundings = Field(default=Surroundings(), description="what is known of an ion before it moves")
    thresholds_A: Annotated[list[Positive], Unique] = Field(
        default=[], description="values of D_cum that are tried, Å: at or above it an ion hops, below it it stays"
    )
    quantiles: list[Annotated[list[Quantile], Field(min_length=2, max_length=2), AfterValidator(_in_order)]] = Field(
        default=[],
        description="pairs that are tried: the fraction of training samples that stay, and the one from which they hop;"
        " [0.5, 0.5], the median, if there are no thresholds_A either",
    )
    regularisations_C: Annotated[list[Positive], Unique] = Field(
        default=[1e-3, 1e-2, 1e-1, 1.0, 10.0],
        min_length=1,
        description="inverse strengths of the penalty on the weights that are tried, no unit",
    )
    test_fraction: float = Field(default=0.25, gt=0, lt=1, description="fraction of the groups held out, no unit")
    group_by: Literal["run", "ion"] = Field(
        description="what stands on one side of a split as a whole: run (needs several), or ion, whose neighbours see "
        "much the same surroundings, so that the test is too kind"
    )
    folds: int = Field(default=5, ge=2, description="parts of the cross-validation, no unit")
    balance: bool = Field(default=True, description="whether both classes weigh the same in the fit")
    most_samples: int = Field(
        default=100_000, ge=100, description="most samples that are used, drawn at random if there are more, no unit"
    )
    seed: int = Field(default=1, ge=0, description="seed of the splits and the draw, no unit")

    def settings(self) -> dict[str, Any]:
        """What changes the answer, complete; the runs are the inputs."""
        found = self.model_dump(mode="json", exclude={"method", "md", "temperatures_K"})
        if not (self.thresholds_A or self.quantiles):
            found["quantiles"] = [[0.5, 0.5]]
        return found

    @property
    def n_choices(self) -> int:
        """Combinations that are tried."""
        thresholds = len(self.thresholds_A) + len(self.quantiles) or 1
        bins = len(self.surroundings.cutoffs_A) * len(self.surroundings.spacings_A)
        return thresholds * bins * len(self.regularisations_C)
