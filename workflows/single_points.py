"""Labels by DFT: a single point of a structure, of a frame of a run, or of a label's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.documents.base import Input, MadeBy
from lipsdb.documents.label import LabelAnswer, LabelAsked, LabelOrigin, geometry_digest
from lipsdb.documents.level_of_theory import LevelOfTheory
from lipsdb.errors import BadInputError
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Question, QuestionMaker, Workplace

if TYPE_CHECKING:
    from lipsdb.dft.result import SinglePoint
    from lipsdb.store.database import Database

PERFORMERS = {"cp2k": f"{__name__}:label_by_cp2k", "vasp": f"{__name__}:label_by_vasp"}


@dataclass(frozen=True)
class Configuration:
    """Atoms to be labelled, and where they come from."""

    numbers: np.ndarray  # (n_atoms,)
    positions: np.ndarray  # (n_atoms, 3) Å
    cell: np.ndarray  # (3, 3) Å
    origin: LabelOrigin


@dataclass
class SinglePointMaker(QuestionMaker):
    """Labels one configuration: energy, forces and virial.

    Parameters
    ----------
    level_of_theory : str
        Name of a level that can be run, or the path of its YAML file.
    frame : int, optional
        Which frame, if the configuration comes from a run; from 0.
    repeat : int
        0, or another number to compute again what was computed before.
    ranks : int
        MPI ranks.
    """

    name: str = "single point"
    level_of_theory: str = "disorder"
    frame: int | None = None
    repeat: int = 0
    ranks: int = 1

    def question(self, source: Question | dict[str, str]) -> Question:
        """Ask for the label of a structure, of a frame of a run, or of the configuration of another label."""
        from lipsdb.dft.levels_of_theory import reference_of, runnable_level

        level = runnable_level(self.level_of_theory)
        kind = source.kind if isinstance(source, Question) else source["id"].partition("-")[0]
        if kind not in {"structure", "run", "label"}:
            raise BadInputError(f"a {kind} has no configuration to label; give a structure, a run or a label")
        if (kind == "run") != (self.frame is not None):
            raise BadInputError(
                f"frame is {self.frame}, but the configuration comes from a {kind}; only runs have frames"
            )
        return Question(
            "label",
            self.name,
            LabelAsked(frame=self.frame, level_of_theory=level.asked.name, repeat=self.repeat),
            (("level_of_theory", reference_of(level)), (kind, source)),
            PERFORMERS[str(level.asked.code)],
            "dft",
            {"ranks": self.ranks},
        )


def configuration_of(place: Workplace, asked: LabelAsked, source: Input, program: str) -> Configuration:
    """The atoms that an input gives.

    Raises
    ------
    BadInputError
        If the run has no such frame.
    """
    from lipsdb.provenance.canonical import decode_array

    stored = place.database.find(source.id)
    if source.role == "run":
        numbers, positions, cell, conditions = _frame_of_run(place.database, source.id, int(asked.frame or 0))
        pressure = conditions["pressure_bar"]
        origin = LabelOrigin(
            system=conditions["structure"],
            source=program,
            folder=source.id,
            frame=int(asked.frame or 0),
            trajectory=True,
            iteration=None,
            temperatures_K=[conditions["temperature_K"]],
            pressures_bar=[] if pressure is None else [float(pressure)],
        )
        return Configuration(numbers, positions, cell, origin)
    answer = stored["answer"]
    numbers, positions, cell = (decode_array(answer[key]) for key in ("numbers", "positions", "cell"))
    if source.role == "label":
        origin = LabelOrigin.model_validate(stored["origin"] | {"source": program})
    else:
        origin = LabelOrigin(
            system=answer["name"],
            source=program,
            folder=source.id,
            frame=0,
            trajectory=False,
            iteration=None,
            temperatures_K=[],
            pressures_bar=[],
        )
    return Configuration(numbers, positions, cell, origin)


def _frame_of_run(
    database: Database, run_id: str, frame: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
    """Numbers, positions (wrapped into the cell), cell of a frame, and the conditions of its run."""
    from lipsdb.workflows.runs import load_run

    run = load_run(database, run_id, stopped=True)
    if not len(run.positions):
        raise BadInputError(f"frame {frame} of {run_id} is asked for; it ended in its equilibration and has none")
    if not 0 <= frame < len(run.positions):
        raise BadInputError(f"frame {frame} of {run_id} is asked for; it has frames 0 to {len(run.positions) - 1}")
    cell = np.asarray(run.cell[frame], dtype=float)
    fractional = np.asarray(run.positions[frame], dtype=float) @ np.linalg.inv(cell)
    return run.numbers, (fractional - np.floor(fractional)) @ cell, cell, run.conditions


def level_of(place: Workplace, link: Input) -> LevelOfTheory:
    """The level of theory that an input names; a packaged one is stored if it is not there yet.

    Raises
    ------
    BadInputError
        If it is not in the database and not one of the packaged ones.
    """
    from lipsdb.dft.levels_of_theory import packaged_levels, reference_of, store_level

    if place.database.known([link.id]):
        return LevelOfTheory.from_stored(place.database.find(link.id))
    level = next((one for one in packaged_levels().values() if reference_of(one)["id"] == link.id), None)
    if level is None:
        raise BadInputError(f"the level of theory {link.id!r} is not in this database; submit its campaign again")
    store_level(place.database, level)
    return level


def label_by_cp2k(place: Workplace, asked: LabelAsked, inputs: list[Input]) -> tuple[LabelAnswer, MadeBy]:
    """Run CP2K; continues from the wave functions when started again."""
    from ase.data import atomic_numbers, chemical_symbols
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

    from lipsdb.dft.cp2k.inputs import single_point_inputs
    from lipsdb.dft.cp2k.level import Cp2kLevel
    from lipsdb.dft.cp2k.output import read_single_point
    from lipsdb.dft.cp2k.program import describe
    from lipsdb.dft.cp2k.run import files_of, run_cp2k
    from lipsdb.dft.result import check_single_point

    level = Cp2kLevel.model_validate(level_of(place, inputs[0]).asked.settings)
    atoms = configuration_of(place, asked, inputs[1], "cp2k")
    place.origin = atoms.origin
    ranks = int(place.options.get("ranks", 1))
    structure = Structure(
        Lattice(atoms.cell),
        [chemical_symbols[number] for number in atoms.numbers],
        atoms.positions,
        coords_are_cartesian=True,
    )
    inputs_ = single_point_inputs(level, structure)
    try:
        output = run_cp2k(place.folder, inputs_, ranks=ranks, lock_fd=place.lock_fd)
        found = read_single_point(output, float(abs(np.linalg.det(atoms.cell))))
        valence = {atomic_numbers[symbol]: kind.valence for symbol, kind in level.kinds.items()}
        check_single_point(found, atoms.numbers, atoms.positions, atoms.cell, valence)
    finally:
        place.logs = [place.put_text(path, path.name) for path in files_of(place.folder)]
    program = describe()
    made_by = place.watch.made_by(
        versions_of("atomate2", "custodian", "pymatgen") | {"cp2k": program.version},
        place.logs,
        executable=program.path,
        core_seconds=place.watch.seconds * ranks,
    )
    return _answer(atoms, found), made_by


def label_by_vasp(place: Workplace, asked: LabelAsked, inputs: list[Input]) -> tuple[LabelAnswer, MadeBy]:
    """Run VASP; begins anew when started again."""
    from lipsdb.dft.result import check_single_point
    from lipsdb.dft.vasp.inputs import static_inputs
    from lipsdb.dft.vasp.level import VaspLevel
    from lipsdb.dft.vasp.run import run_vasp
    from lipsdb.workflows.vasp import put_files, record

    level = VaspLevel.model_validate(level_of(place, inputs[0]).asked.settings)
    atoms = configuration_of(place, asked, inputs[1], "vasp")
    place.origin = atoms.origin
    written = static_inputs(level, atoms.numbers, atoms.positions, atoms.cell)
    try:
        run = run_vasp(place.folder, written, lock_fd=place.lock_fd)
        found = run.steps.single_point()
        check_single_point(found, atoms.numbers, atoms.positions, atoms.cell, written.valence)
    finally:
        place.logs = put_files(place, {"": place.folder})
    return _answer(atoms, found), record(place, run, place.logs)


def _answer(atoms: Configuration, found: SinglePoint) -> LabelAnswer:
    from lipsdb.structures.composition import formula

    return LabelAnswer(
        geometry=geometry_digest(atoms.numbers, atoms.positions, atoms.cell),
        formula=formula(atoms.numbers),
        n_atoms=len(atoms.numbers),
        numbers=np.asarray(atoms.numbers, dtype="u1"),
        positions=np.asarray(atoms.positions, dtype=float),
        cell=np.asarray(atoms.cell, dtype=float),
        energy_eV=found.energy_eV,
        forces=found.forces,
        virial=found.virial,
    )
