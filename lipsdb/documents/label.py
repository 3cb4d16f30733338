"""Labels: energy, forces and virial of one configuration at one level of theory.

Signs, once for the whole project: the virial is W = −dE/dε (eV) for a homogeneous strain ε, symmetric, as DeePMD-kit
and LAMMPS count it; the stress is σ = −W/V, positive under tension, so that the pressure is P = tr(W)/(3V).
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from lipsdb.documents.base import Array, Document, Model


class LabelAsked(Model):
    """Which configuration, at which level of theory; the level's document is an input."""

    geometry: str | None = Field(
        None, description="Digest of the configuration (`geometry_digest`); None if an input gives the configuration."
    )
    frame: int | None = Field(None, description="Index of the frame in the run that is an input, from 0.")
    level_of_theory: str = Field(description="Name of the level of theory.")
    repeat: int = Field(0, description="0 for the first calculation; others repeat it, to check it.", ge=0)


class LabelOrigin(Model):
    """Where a configuration and its numbers come from."""

    system: str = Field(description="Name of the system, as in the study.")
    source: str = Field(description="Data set or program: a DOI, a name, 'cp2k' …")
    folder: str = Field(description="Folder in the data set, or trajectory.")
    frame: int = Field(description="Index of the frame there, from 0.", ge=0)
    trajectory: bool = Field(description="Whether neighbouring frames follow each other in time.")
    iteration: int | None = Field(description="Active-learning iteration, from 1; None for initial data.")
    temperatures_K: list[float] = Field(description="Temperatures of the runs it was taken from, where known (K).")
    pressures_bar: list[float] = Field(description="Pressures of the runs it was taken from, where known (bar).")


class LabelAnswer(Model):
    """The configuration and what DFT gave for it."""

    geometry: str = Field(description="Digest of numbers, positions and cell (`geometry_digest`).")
    formula: str = Field(description="Composition of the cell.")
    n_atoms: int = Field(description="Number of atoms.", gt=0)
    numbers: Array = Field(description="Atomic numbers, (n_atoms,).")
    positions: Array = Field(description="Cartesian positions, (n_atoms, 3), Å.")
    cell: Array = Field(description="Cell vectors as rows, (3, 3), Å.")
    energy_eV: float = Field(description="Total energy, eV.")
    forces: Array = Field(description="Forces, (n_atoms, 3), eV/Å.")
    virial: Array | None = Field(description="Virial W = −dE/dε, (3, 3), eV; None if it was not computed.")


class Label(Document):
    """Document of `labels`; its inputs are the level of theory and, if it was computed here, where the atoms come from.

    The origin is sealed but no part of the content, which is the same from anywhere.
    """

    kind: ClassVar[str] = "label"
    indexes = (
        [("origin.system", 1), ("asked.level_of_theory", 1), ("origin.iteration", 1), ("answer.formula", 1)],
        [("asked.level_of_theory", 1), ("origin.folder", 1), ("origin.frame", 1)],
        [("answer.geometry", 1)],
        # how many labels of which system were made from a document, and whether they are what a dataset recorded; ids
        # only where needed: they come in no order, which makes an index slow to write
        [("inputs.id", 1), ("origin.system", 1), ("inputs.content", 1)],
        [("_id", 1), ("content", 1)],
        [("made_by.versions", 1), ("made_by.host", 1)],
    )
    asked: LabelAsked
    answer: LabelAnswer
    origin: LabelOrigin


def geometry_digest(numbers: Any, positions: Any, cell: Any) -> str:
    """Digest of a configuration: atomic numbers, positions and cell as they stand, in double precision.

    Parameters
    ----------
    numbers : (n_atoms,) integers
    positions : (n_atoms, 3) array, Å
    cell : (3, 3) array, Å, rows are vectors

    Returns
    -------
    str
        32 hexadecimal digits. Two configurations that differ in anything, even by a lattice translation, differ in it.
    """
    import hashlib

    import numpy as np

    text = hashlib.sha256()
    for array, dtype in ((numbers, "<i4"), (positions, "<f8"), (cell, "<f8")):
        text.update(np.ascontiguousarray(array, dtype=dtype).tobytes())
    return text.hexdigest()[:32]
