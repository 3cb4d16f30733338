"""The campaign file as a whole: what is wanted, section by section.

Every quantity has its unit in the key (``temperatures_K``, ``timestep_fs``); names link the sections.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lipsdb.campaigns.base import CampaignModel, Name, Text, Unique
from lipsdb.campaigns.classifiers import Classifier
from lipsdb.campaigns.dft import Dft
from lipsdb.campaigns.md import MolecularDynamics
from lipsdb.campaigns.potentials import Grid, Potential
from lipsdb.campaigns.properties import Property
from lipsdb.campaigns.published import Published, Reference
from lipsdb.campaigns.structures import Structure

Table = Literal[
    "arrhenius",
    "conductivity",
    "coordination",
    "radial_distribution",
    "thiophosphate_units",
    "bond_angles",
    "structure_factor",
    "bond_order",
    "disorder_parameter",
    "amorphisation",
    "voronoi_volumes",
    "profile",
    "density_map",
    "nonaffine_displacement",
    "softness",
    "displacement",
    "non_gaussian",
    "van_hove",
    "displacement_map",
    "isotropy",
    "regional_diffusion",
    "region_fractions",
    "ion_paths",
    "rings",
    "lattice",
    "elasticity",
    "labels",
    "reproduce",
    "potentials",
    "potential_choice",
    "extrapolation",
    "classifiers",
    "prediction_errors",
    "cost",
]


class LabelSelection(CampaignModel):
    """Labels: those of the named systems at one level of theory that are in the database, or adopted ones."""

    systems: Annotated[list[Text], Unique] | None = Field(
        default=None, min_length=1, description="names of the systems, such as beta-Li3PS4; with level_of_theory"
    )
    level_of_theory: Text | None = Field(
        default=None, description="name of the level of theory, as given when the labels were ingested"
    )
    adopt: Text | None = Field(
        default=None,
        description="folder with labels and their record (record.json), relative to the campaign file; all are taken",
        json_schema_extra={"path_to": "labels"},
    )
    iterations: Annotated[list[Annotated[int, Field(ge=0)]], Unique] | None = Field(
        default=None,
        min_length=1,
        description="iterations of the exploration; all, and labels without one, if left out",
    )
    stride: int = Field(default=1, ge=1, description="every how many frames of a system one is taken; 1 takes all")
    limit: int | None = Field(
        default=None, ge=1, description="most labels of each system, after stride; all if left out"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> LabelSelection:
        if (self.systems is None) == (self.adopt is None):
            raise ValueError("must have exactly one of: systems, adopt")
        if self.systems is not None and self.level_of_theory is None:
            raise ValueError("must have level_of_theory with systems")
        if self.adopt is not None:
            for key in ("level_of_theory", "iterations", "stride", "limit"):
                if key in self.model_fields_set:
                    raise ValueError(f"must not have {key} with adopt: all labels of the folder are taken")
        return self


class Dataset(CampaignModel):
    """Labels for training, split by seed into a part to train on and a part held back."""

    labels: Annotated[list[Annotated[str, Field(json_schema_extra={"refers_to": "labels"})]], Unique] = Field(
        default=[], description="names of the label selections"
    )
    dft: Annotated[
        list[Annotated[str, Field(json_schema_extra={"refers_to": "dft", "refers_to_kind": "single_point"})]],
        Unique,
    ] = Field(default=[], description="names of single points that the campaign computes")
    mixed_levels_of_theory: bool = Field(
        default=False, description="true if labels of more than one level of theory may stand in it"
    )
    held_fraction: float = Field(gt=0, lt=1, description="fraction held back for the evaluation, no unit")
    block_length: int = Field(
        ge=1,
        description="consecutive frames of one system that go into the same part, so that neighbours don't straddle",
    )
    seed: int = Field(ge=0, description="seed of the split, no unit")

    @model_validator(mode="after")
    def _of_something(self) -> Dataset:
        if not self.labels and not self.dft:
            raise ValueError("must have labels, dft, or both")
        return self


class Campaign(CampaignModel):
    """A campaign: the questions of one study."""

    name: Name = Field(description="name of the campaign in the database: letters, digits, . _ -")
    description: Text = Field(description="what the campaign asks")
    references: list[Reference] = Field(default=[], description="publications that the campaign follows")
    structures: dict[Name, Structure] = Field(default={}, description="starting structures: name -> builder")
    labels: dict[Name, LabelSelection] = Field(
        default={}, description="labels that are there: name -> selection in the database, or folder to adopt"
    )
    dft: dict[Name, Dft] = Field(
        default={}, description="labels that the campaign computes: name -> kind, level of theory and source"
    )
    datasets: dict[Name, Dataset] = Field(default={}, description="training data: name -> label selections and split")
    potentials: dict[Name, Potential] = Field(default={}, description="potentials: name -> adopt or train")
    grids: dict[Name, Grid] = Field(
        default={}, description="searches for settings: name -> engine, dataset, settings and those that vary"
    )
    md: dict[Name, MolecularDynamics] = Field(default={}, description="molecular dynamics: name -> conditions")
    classifiers: dict[Name, Classifier] = Field(
        default={}, description="what tells mobile from immobile ions: name -> MD to train on, and settings"
    )
    properties: dict[Name, Property] = Field(
        default={}, description="what is computed from the MD: name -> kind and settings"
    )
    published: list[Published] = Field(default=[], description="published values that stand beside the campaign's own")
    tables: Annotated[list[Table], Unique] = Field(default=[], description="tables that are printed at the end")

    @model_validator(mode="after")
    def _asks_for_something(self) -> Campaign:
        if not (self.structures or self.labels or self.potentials):
            raise ValueError("asks for nothing: give at least one of structures, labels, potentials")
        return self
