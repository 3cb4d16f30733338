"""Relaxation of a structure at a level of theory: another structure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lipsdb.documents.base import Input, MadeBy
from lipsdb.documents.level_of_theory import LevelOfTheory
from lipsdb.documents.structure import Structure, StructureAnswer, StructureAsked
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.aimd import atoms_of, level_with_performer
from lipsdb.workflows.answering import Question, QuestionMaker, Workplace
from lipsdb.workflows.single_points import level_of
from lipsdb.workflows.structure import structure_answer

if TYPE_CHECKING:
    from lipsdb.dft.settings import RelaxationSettings

PERFORMERS = {"cp2k": f"{__name__}:relax_by_cp2k", "vasp": f"{__name__}:relax_by_vasp"}


@dataclass
class RelaxationMaker(QuestionMaker):
    """Relaxes a structure: atoms and cell, or the atoms only.

    Parameters
    ----------
    name : str
        Name of the relaxed structure, as tables show it.
    level_of_theory : str
        Name of a level that can be run, or the path of its YAML file.
    settings : dict
        Of `lipsdb.dft.settings.RelaxationSettings`.
    ranks : int
        MPI ranks.
    """

    name: str = "relaxed"
    level_of_theory: str = "disorder"
    settings: dict[str, Any] = field(default_factory=dict)
    ranks: int = 1

    def question(self, structure: Question | dict[str, str]) -> Question:
        """Ask for the relaxed structure."""
        from lipsdb.dft.levels_of_theory import reference_of
        from lipsdb.dft.settings import RelaxationSettings

        level = level_with_performer(self.level_of_theory, PERFORMERS)
        settings = RelaxationSettings.model_validate(self.settings).model_dump(mode="json")
        parameters = {"name": self.name, **settings, "level_of_theory": level.asked.name}
        return Question(
            "structure",
            self.name,
            StructureAsked(builder="relaxation", parameters=parameters),
            (("structure", structure), ("level_of_theory", reference_of(level))),
            PERFORMERS[str(level.asked.code)],
            "dft",
            {"ranks": self.ranks},
        )


def _question(
    place: Workplace, asked: StructureAsked, inputs: list[Input]
) -> tuple[LevelOfTheory, StructureAnswer, RelaxationSettings]:
    """Level of theory, structure and settings of a relaxation."""
    from lipsdb.dft.settings import RelaxationSettings

    by_role = {link.role: link for link in inputs}
    structure = Structure.from_stored(place.database.find(by_role["structure"].id)).answer
    settings = {name: asked.parameters[name] for name in RelaxationSettings.model_fields}
    return (
        level_of(place, by_role["level_of_theory"]),
        structure,
        RelaxationSettings.model_validate(settings),
    )


def relax_by_cp2k(place: Workplace, asked: StructureAsked, inputs: list[Input]) -> tuple[StructureAnswer, MadeBy]:
    """Run CP2K; continues from its last restart file when started again."""
    from lipsdb.dft.cp2k.level import Cp2kLevel
    from lipsdb.dft.cp2k.program import describe
    from lipsdb.dft.cp2k.relaxation import run_relaxation
    from lipsdb.dft.cp2k.run import files_of

    level, structure, settings = _question(place, asked, inputs)
    ranks = int(place.options.get("ranks", 1))
    relaxed = run_relaxation(
        place.folder,
        Cp2kLevel.model_validate(level.asked.settings),
        atoms_of(structure),
        settings,
        ranks=ranks,
        lock_fd=place.lock_fd,
    )
    program = describe()
    made_by = place.watch.made_by(
        versions_of("atomate2", "custodian", "pymatgen") | {"cp2k": program.version},
        [place.put_text(path, path.name) for path in files_of(place.folder)],
        executable=program.path,
        core_seconds=place.watch.seconds * ranks,
    )
    return structure_answer(asked.parameters["name"], structure.numbers, relaxed.positions, relaxed.cell), made_by


def relax_by_vasp(place: Workplace, asked: StructureAsked, inputs: list[Input]) -> tuple[StructureAnswer, MadeBy]:
    """Run VASP, again from the relaxed cell if that differs; begins anew when started again."""
    from lipsdb.dft.vasp.level import VaspLevel
    from lipsdb.dft.vasp.relaxation import run_relaxation
    from lipsdb.workflows.vasp import put_files, record

    level, structure, settings = _question(place, asked, inputs)
    relaxed = run_relaxation(
        place.folder,
        VaspLevel.model_validate(level.asked.settings),
        structure.numbers,
        structure.positions,
        structure.cell,
        settings,
        lock_fd=place.lock_fd,
    )
    names = {str(i) if i else "": place.folder / f"round-{i}" for i in range(len(relaxed.rounds))}
    made_by = record(place, relaxed.rounds[-1], put_files(place, names))
    return structure_answer(asked.parameters["name"], structure.numbers, relaxed.positions, relaxed.cell), made_by
