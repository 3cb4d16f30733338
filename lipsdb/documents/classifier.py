"""Classifiers: one version of a plane that tells mobile from immobile ions, with how well it does."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from lipsdb.documents.base import Array, Document, Model


class ClassifierAsked(Model):
    """What was to be trained; the runs are the inputs."""

    method: str = Field(description="Method: 'softness'.")
    settings: dict[str, Any] = Field(
        description="`lipsdb.campaigns.classifiers.Classifier` without its runs, complete; units in the names."
    )


class ClassifierFeatures(Model):
    """What the features are: numbers of neighbours in bins of distance."""

    centre: str = Field(description="Element of the ions that are classified.")
    neighbours: list[str] = Field(description="Elements of their neighbours; their bins follow one another.")
    cutoff_A: float = Field(description="Range of the bins, Å.")
    spacing_A: float = Field(description="Width of the bins, Å.")
    smearing_A: float = Field(description="Standard deviation that each neighbour is smeared to, Å; 0 for none.")


class ClassifierPerformance(Model):
    """How well labelled samples are classified; fractions of 1."""

    n_samples: int = Field(description="Samples.")
    n_groups: int = Field(description="Groups (ions or runs) that they come from.")
    accuracy: float = Field(description="Fraction classified rightly.")
    accuracy_low: float = Field(description="Lower end of its 95 % interval, which knows of the groups.")
    accuracy_high: float = Field(description="Upper end of that interval.")
    balanced_accuracy: float = Field(description="Mean of the fractions of both classes; 0.5 is chance.")
    roc_auc: float = Field(description="Probability that a mobile sample is softer than an immobile one.")
    majority: float = Field(description="Fraction of the larger class: the accuracy of always answering that.")


class ClassifierGridPoint(Model):
    """One choice of parameters, cross-validated within the training groups."""

    cutoff_A: float = Field(description="Range of the bins, Å.")
    spacing_A: float = Field(description="Width of the bins, Å.")
    immobile_below_A: float = Field(description="D_cum below which a sample is immobile, Å.")
    hopping_from_A: float = Field(description="D_cum from which a sample is hopping, Å.")
    regularisation_C: float = Field(description="Inverse strength of the penalty on the weights.")
    performance: ClassifierPerformance


class ClassifierRun(Model):
    """What a run gave to the training."""

    run_id: str = Field(description="The run.")
    structure: str = Field(description="Name of its structure.")
    temperature_K: float = Field(description="Its temperature, K.")
    seed: int = Field(description="Its seed.")
    n_ions: int = Field(description="Ions of the element classified.")
    n_blocks: int = Field(description="Blocks of windows.")
    mean_D_cum_A: float = Field(description="Mean cumulative non-affine displacement over a block, Å.")
    hopping_fraction: float = Field(description="Fraction of its samples labelled hopping, of 1.")


class ClassifierAnswer(Model):
    """The trained classifier: S = (Σ W (G - mean) / std - bias) / |W|."""

    features: ClassifierFeatures
    mean: Array = Field(description="Mean of each feature over the training samples, (n_features,), neighbours.")
    std: Array = Field(description="Their standard deviations, (n_features,), neighbours.")
    weights: Array = Field(description="W of the standardised features, (n_features,), no unit.")
    bias: float = Field(description="b, no unit.")
    regularisation_C: float = Field(description="Inverse strength of the penalty on the weights.")
    immobile_below_A: float = Field(description="D_cum below which a sample was immobile, Å.")
    hopping_from_A: float = Field(description="D_cum from which a sample was hopping, Å.")
    train: ClassifierPerformance = Field(description="On the groups that it was fitted to.")
    test: ClassifierPerformance = Field(description="On the groups held out, which had no say in any choice.")
    grid: list[ClassifierGridPoint] = Field(
        description="What its parameters were chosen from; empty if there was no choice."
    )
    n_samples: int = Field(description="Samples, those in no class included.")
    n_left_out: int = Field(description="Samples between the thresholds, in no class.")
    runs: list[ClassifierRun] = Field(description="Where the samples come from.")


class Classifier(Document):
    """Document of `classifiers`; its inputs are the runs."""

    kind: ClassVar[str] = "classifier"
    indexes = ([("asked.method", 1)],)
    asked: ClassifierAsked
    answer: ClassifierAnswer
