"""Levels of theory: everything in a DFT calculation that changes the number."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from lipsdb.documents.base import Document, Model

HowKnown = Literal["set", "stated", "inferred", "named"]


class LevelOfTheoryAsked(Model):
    """Name, code and settings; two levels that differ in any of them are different levels."""

    name: str = Field(description="Name by which campaigns and labels call it.")
    code: str | None = Field(description="DFT code: 'cp2k', 'vasp' …; None if only the name is known.")
    settings: dict[str, Any] = Field(
        description="What changes the number, complete, in the terms of the code "
        "(`lipsdb.dft.cp2k.Cp2kLevel`, `lipsdb.dft.vasp.VaspLevel`); units stand in the keys."
    )


class LevelOfTheoryAnswer(Model):
    """How it is known, and where it is described."""

    how_known: HowKnown = Field(
        description="'set': calculations are run with it; 'stated': a publication says so; 'inferred': found by "
        "recomputing published labels; 'named': nothing but its name is known."
    )
    reference: str | None = Field(description="DOI of the publication that uses or states it.")
    remarks: str = Field(description="What else a reader must know, with figures.")


class LevelOfTheory(Document):
    """Document of `levels_of_theory`."""

    kind: ClassVar[str] = "level_of_theory"
    indexes = ([("asked.name", 1)],)
    asked: LevelOfTheoryAsked
    answer: LevelOfTheoryAnswer
