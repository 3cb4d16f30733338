"""Structures built from the recipes of a campaign file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lipsdb.documents.base import Input, MadeBy
from lipsdb.documents.structure import StructureAnswer, StructureAsked
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Question, QuestionMaker, Workplace

AMU_PER_A3_IN_G_PER_CM3 = 1.66053906892  # CODATA 2022: 1 u = 1.66053906892e-24 g


@dataclass
class StructureMaker(QuestionMaker):
    """Builds a structure.

    Parameters
    ----------
    name : str
        Name of the structure, as tables show it.
    recipe : dict
        Of `lipsdb.campaigns.structures.Structure`.
    folder : str
        Folder from which a file in the recipe is looked up.
    """

    name: str = "structure"
    recipe: dict[str, Any] = field(default_factory=dict)
    folder: str = "."

    def question(self) -> Question:
        """Ask for the structure; a file's atoms, not its path, are what is asked."""
        from lipsdb.campaigns.structures import Structure

        recipe = Structure.model_validate(self.recipe)
        if recipe.crystal is not None:
            builder, parameters = "crystal", recipe.model_dump(mode="json", exclude={"file"})
        else:
            numbers, positions, cell = recipe.build(Path(self.folder))
            builder = "file"
            parameters = {"numbers": numbers.tolist(), "positions": positions.tolist(), "cell": cell.tolist()}
        asked = StructureAsked(builder=builder, parameters={"name": self.name, **parameters})
        return Question("structure", f"structure {self.name}", asked, (), f"{__name__}:build_structure", "analysis")


def build_structure(place: Workplace, asked: StructureAsked, inputs: list[Input]) -> tuple[StructureAnswer, MadeBy]:
    """Build the structure that is asked for."""
    from lipsdb.campaigns.structures import Structure

    parameters = dict(asked.parameters)
    name = parameters.pop("name")
    if asked.builder == "crystal":
        numbers, positions, cell = Structure.model_validate(parameters).build(place.folder)
    else:
        numbers, positions, cell = (np.array(parameters[key]) for key in ("numbers", "positions", "cell"))
    return structure_answer(name, numbers, positions, cell), place.watch.made_by(versions_of("ase", "pymatgen"))


def structure_answer(name: str, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray) -> StructureAnswer:
    """The answer that these atoms make.

    Parameters
    ----------
    name : str
        Name that tables show.
    numbers : (n_atoms,) integers
    positions : (n_atoms, 3) array, Å
    cell : (3, 3) array, Å, rows are vectors

    Returns
    -------
    StructureAnswer
    """
    from ase.data import atomic_masses, chemical_symbols

    from lipsdb.structures.composition import formula

    volume = float(abs(np.linalg.det(cell)))
    return StructureAnswer(
        name=name,
        formula=formula(numbers),
        elements=[chemical_symbols[number] for number in np.unique(numbers)],
        n_atoms=len(numbers),
        numbers=np.asarray(numbers, dtype="u1"),
        positions=np.asarray(positions, dtype=float),
        cell=np.asarray(cell, dtype=float),
        volume_A3=volume,
        density_g_cm3=float(atomic_masses[numbers].sum() / volume * AMU_PER_A3_IN_G_PER_CM3),
    )
