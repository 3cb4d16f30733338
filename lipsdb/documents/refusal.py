"""Refusals: labels that were asked for or offered and failed a gate, each with the reason."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from lipsdb.documents.base import Document, Model


class RefusalAsked(Model):
    """What was refused."""

    document: str | None = Field(
        description="Id that the label would have had; None for a file that could not be read into labels."
    )
    system: str = Field(description="Name of the system, as far as it is known.")
    source: str = Field(description="Program, data set or file that it came from.")
    folder: str = Field(description="Folder or file in the data set, or trajectory; empty for a calculation.")
    frame: int | None = Field(description="Index of the frame there, from 0; None for all of it.")
    level_of_theory: str = Field(description="Name of the level of theory.")


class RefusalAnswer(Model):
    """Why."""

    gate: str = Field(description="The gate that refused it: 'scf', 'finite', 'size', 'structure', 'valence', 'file' …")
    reason: str = Field(description="The value, what is allowed, the remedy, in one line.")


class Refusal(Document):
    """Document of `refusals`; its inputs are those that the label would have had, its files the logs."""

    kind: ClassVar[str] = "refusal"
    indexes = ([("asked.document", 1)], [("asked.level_of_theory", 1), ("answer.gate", 1)])
    asked: RefusalAsked
    answer: RefusalAnswer
