"""Datasets: a frozen choice of labels, split into a training and a held-out part."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from lipsdb.documents.base import Array, Document, Model


class DatasetAsked(Model):
    """How the labels were split; which ones are the inputs."""

    held_fraction: float = Field(description="Fraction of labels held out of training.", gt=0, lt=1)
    block_length: int = Field(
        description="Frames of a trajectory are split in blocks of so many neighbours, which stay together.", gt=0
    )
    seed: int = Field(description="Seed of the split.")
    mixed_levels_of_theory: bool = Field(
        False, description="Whether labels of several levels of theory may stand in it."
    )


class DatasetSystem(Model):
    """How many labels of a system are where."""

    system: str = Field(description="Name of the system.")
    n_atoms: int = Field(description="Atoms in its cell.")
    n_training: int = Field(description="Labels used for training.")
    n_held: int = Field(description="Labels held out.")


class DatasetAnswer(Model):
    """The split."""

    level_of_theory: list[str] = Field(description="Levels of theory of the labels; more than one only if asked for.")
    held: Array = Field(description="For each label, in order: True if it is held out, (n_labels,) bool.")
    systems: list[DatasetSystem] = Field(description="Counts by system.")
    n_training: int = Field(description="Labels used for training.")
    n_held: int = Field(description="Labels held out.")


class Dataset(Document):
    """Document of `datasets`.

    Its inputs are the labels in the order of their ids (role 'label'), then those that were asked for and refused
    (role 'refused').
    """

    kind: ClassVar[str] = "dataset"
    # no more than that: a dataset is inserted with as many keys as it has labels, all in one transaction, which has to
    # fit into the part of the server's cache that may be unsaved
    indexes = ([("inputs.id", 1)],)
    asked: DatasetAsked
    answer: DatasetAnswer
