"""Structures: the atoms that a run starts from."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from lipsdb.documents.base import Array, Document, Model


class StructureAsked(Model):
    """How a structure is built."""

    builder: str = Field(description="Name of the builder: 'crystal', 'file' …")
    parameters: dict[str, Any] = Field(description="The builder's parameters, complete.")


class StructureAnswer(Model):
    """The atoms."""

    name: str = Field(description="Name that tables and figures show.")
    formula: str = Field(description="Elements and their numbers, alphabetically as Hill's order without carbon.")
    elements: list[str] = Field(description="Chemical symbols present, sorted by atomic number.")
    n_atoms: int = Field(description="Number of atoms.", gt=0)
    numbers: Array = Field(description="Atomic numbers, (n_atoms,).")
    positions: Array = Field(description="Cartesian positions, (n_atoms, 3), Å.")
    cell: Array = Field(description="Cell vectors as rows, (3, 3), Å; periodic along all.")
    volume_A3: float = Field(description="Cell volume, Å³.", gt=0)
    density_g_cm3: float = Field(description="Mass density, g/cm³.", gt=0)


class Structure(Document):
    """Document of `structures`."""

    kind: ClassVar[str] = "structure"
    indexes = ([("answer.formula", 1)],)
    asked: StructureAsked
    answer: StructureAnswer
