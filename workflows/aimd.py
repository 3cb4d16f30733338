"""Ab initio molecular dynamics of a structure, and labels from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.documents.base import ArtifactReference, Input, MadeBy
from lipsdb.documents.label import Label, LabelAnswer, LabelAsked, LabelOrigin, geometry_digest
from lipsdb.documents.level_of_theory import LevelOfTheory
from lipsdb.documents.refusal import Refusal, RefusalAnswer, RefusalAsked
from lipsdb.documents.run import RunAnswer, RunAsked
from lipsdb.documents.structure import Structure, StructureAnswer
from lipsdb.errors import RefusedError
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Question, QuestionMaker, Workplace
from lipsdb.workflows.single_points import level_of

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure as Atoms

    from lipsdb.dft.cp2k.aimd_output import Segment
    from lipsdb.dft.result import SinglePoint
    from lipsdb.dft.settings import AimdSettings
    from lipsdb.dft.vasp.aimd import VaspDynamics

PERFORMERS = {"cp2k": f"{__name__}:run_aimd_by_cp2k", "vasp": f"{__name__}:run_aimd_by_vasp"}
_THERMO_UNITS = {
    "step": "1",
    "time": "ps",
    "temperature": "K",
    "potential_energy": "eV",
    "conserved_energy": "eV",
    "pressure": "bar",
}


@dataclass
class AimdMaker(QuestionMaker):
    """Runs ab initio molecular dynamics; every so many steps of it become a label.

    Parameters
    ----------
    level_of_theory : str
        Name of a level that can be run, or the path of its YAML file.
    settings : dict
        Of `lipsdb.dft.settings.AimdSettings`.
    ranks : int
        MPI ranks.
    """

    name: str = "aimd"
    level_of_theory: str = "disorder"
    settings: dict[str, Any] = field(default_factory=dict)
    ranks: int = 1

    def question(self, structure: Question | dict[str, str]) -> Question:
        """Ask for the run; its labels are stored with it."""
        from lipsdb.dft.levels_of_theory import reference_of
        from lipsdb.dft.settings import AimdSettings, check_seed

        level = level_with_performer(self.level_of_theory, PERFORMERS)
        settings = AimdSettings.model_validate(self.settings)
        code = str(level.asked.code)
        check_seed(settings, code)
        return Question(
            "run",
            self.name,
            RunAsked(program=code, settings=settings.model_dump(mode="json")),
            (("structure", structure), ("level_of_theory", reference_of(level))),
            PERFORMERS[code],
            "dft",
            {"ranks": self.ranks},
        )


def level_with_performer(name: str, performers: dict[str, str]) -> LevelOfTheory:
    """A level of theory whose code has a performer.

    Raises
    ------
    BadInputError
        If it cannot be run, or not by these performers.
    """
    from lipsdb.dft.levels_of_theory import runnable_level
    from lipsdb.errors import BadInputError

    level = runnable_level(name)
    if level.asked.code not in performers:
        raise BadInputError(
            f"the level of theory {name!r} is one of {level.asked.code}; this runs with {', '.join(performers)}"
        )
    return level


def atoms_of(structure: StructureAnswer) -> Atoms:
    """A structure as pymatgen's."""
    from ase.data import chemical_symbols
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

    symbols = [chemical_symbols[number] for number in structure.numbers]
    return Structure(Lattice(structure.cell), symbols, structure.positions, coords_are_cartesian=True)


def _question(
    place: Workplace, asked: RunAsked, inputs: list[Input]
) -> tuple[LevelOfTheory, StructureAnswer, AimdSettings]:
    """Level of theory, structure and settings of a run."""
    from lipsdb.dft.settings import AimdSettings

    by_role = {link.role: link for link in inputs}
    structure = Structure.from_stored(place.database.find(by_role["structure"].id)).answer
    return level_of(place, by_role["level_of_theory"]), structure, AimdSettings.model_validate(asked.settings)


def run_aimd_by_cp2k(place: Workplace, asked: RunAsked, inputs: list[Input]) -> tuple[RunAnswer, MadeBy]:
    """Run CP2K; continues from its last restart file when started again."""
    from ase.data import atomic_numbers

    from lipsdb.dft.cp2k.aimd import run_aimd
    from lipsdb.dft.cp2k.level import Cp2kLevel
    from lipsdb.dft.cp2k.program import describe

    level, structure, settings = _question(place, asked, inputs)
    ranks = int(place.options.get("ranks", 1))
    result = run_aimd(
        place.folder,
        Cp2kLevel.model_validate(level.asked.settings),
        atoms_of(structure),
        settings,
        ranks=ranks,
        lock_fd=place.lock_fd,
        progress=place.progress,
    )
    files = [place.put_text(path, _name(path)) for path in result.file_paths]
    program = describe()
    versions = versions_of("atomate2", "custodian", "pymatgen") | {"cp2k": program.version}
    made_by = place.watch.made_by(
        versions,
        files,
        executable=program.path,
        core_seconds=result.wall_seconds * ranks,
        rates={"steps_per_second": settings.n_steps / result.wall_seconds} if result.wall_seconds > 0 else {},
    )
    data = result.data
    valence = {atomic_numbers[symbol]: kind["valence"] for symbol, kind in level.asked.settings["kinds"].items()}
    place.followers = lambda run, campaigns: labels_of(
        run,
        structure,
        level,
        lambda step: _point_by_cp2k(data, structure, settings, step),
        settings,
        valence,
        made_by,
        campaigns,
    )
    return _answer(place, structure, settings, data, place.put_text(result.restart_path, "final.restart")), made_by


def _point_by_cp2k(data: Segment, structure: StructureAnswer, settings: AimdSettings, step: int) -> SinglePoint:
    """What CP2K gave for one step."""
    from lipsdb.dft.result import SinglePoint, virial_of_stress

    frame = step // settings.dump_interval
    return SinglePoint(
        numbers=data.numbers,
        positions=data.positions[frame],
        cell=structure.cell,
        energy_eV=float(data.energy_eV[step]),
        forces=data.forces[frame],
        virial=virial_of_stress(-data.force_pressure_GPa[step], structure.volume_A3),
        converged=bool(data.converged[step]),
        n_electrons=data.n_electrons,
    )


def run_aimd_by_vasp(place: Workplace, asked: RunAsked, inputs: list[Input]) -> tuple[RunAnswer, MadeBy]:
    """Run VASP; begins anew when started again."""
    from lipsdb.dft.vasp.aimd import run_aimd
    from lipsdb.dft.vasp.level import VaspLevel
    from lipsdb.workflows.vasp import put_files, record

    level, structure, settings = _question(place, asked, inputs)
    data = run_aimd(
        place.folder,
        VaspLevel.model_validate(level.asked.settings),
        structure.numbers,
        structure.positions,
        structure.cell,
        settings,
        lock_fd=place.lock_fd,
        progress=place.progress,
    )
    made_by = record(place, data.run, put_files(place, {"": place.folder}), n_steps=settings.n_steps)
    valence = data.run.inputs.valence
    place.followers = lambda run, campaigns: labels_of(
        run, structure, level, data.single_point, settings, valence, made_by, campaigns
    )
    # Positions and velocities of the last step, and the thermostat: VASP's own way to go on.
    return _answer(place, structure, settings, data, place.put_text(place.folder / "CONTCAR", "CONTCAR")), made_by


def _name(path: Any) -> str:
    """Name of an artifact: the file's, and which segment it is from if that is not the first."""
    number = int(path.parent.name.rpartition("-")[2])
    return str(path.name) if number == 0 else f"{path.stem}-{number}{path.suffix}"


def _answer(
    place: Workplace,
    structure: StructureAnswer,
    settings: AimdSettings,
    data: Segment | VaspDynamics,
    restart: dict[str, Any],
) -> RunAnswer:
    """The trajectory in LAMMPS' orientation, as that of other runs, and the means over all steps."""
    from ase.calculators.lammps import Prism

    from lipsdb.md.trajectory import Trajectory, topology_text, write_trajectory

    prism = Prism(structure.cell)
    rotation, cell = np.array(prism.rot_mat), np.array(prism.cell)
    positions = data.positions @ rotation
    path = place.folder / "trajectory.nc"
    n_frames = len(data.frame_steps)
    frames = Trajectory(data.frame_steps * settings.timestep_ps, positions, np.broadcast_to(cell, (n_frames, 3, 3)))
    write_trajectory(path, [frames], title=structure.name)
    topology = topology_text(structure.numbers, positions[0], cell).encode()
    pressure = np.trace(data.pressure_bar, axis1=1, axis2=2) / 3
    return RunAnswer(
        n_atoms=structure.n_atoms,
        n_frames=n_frames,
        frame_interval_ps=settings.dump_interval * settings.timestep_ps,
        trajectory=ArtifactReference(**place.put(path, "trajectory.nc")),
        topology=ArtifactReference(**place.put(topology, "topology.xyz")),
        restart=ArtifactReference(**restart),
        thermo={
            "step": data.steps,
            "time": data.steps * settings.timestep_ps,
            "temperature": data.temperature_K,
            "potential_energy": data.potential_eV,
            "conserved_energy": data.conserved_eV,
            "pressure": pressure,
        },
        thermo_units=_THERMO_UNITS,
        mean_temperature_K=float(data.temperature_K.mean()),
        mean_pressure_bar=float(pressure.mean()),
        mean_volume_A3=structure.volume_A3,
        mean_density_g_cm3=structure.density_g_cm3,
        # 1 bar = 1e-4 GPa; a stress is positive under tension, a pressure when compressed. As the trajectory, rotated.
        mean_stress_GPa=-1e-4 * (rotation.T @ data.pressure_bar.mean(axis=0) @ rotation),
        rotation=rotation,
    )


def labels_of(
    run: dict[str, str],
    structure: StructureAnswer,
    level: LevelOfTheory,
    point: Callable[[int], SinglePoint],
    settings: AimdSettings,
    valence: Mapping[int, float] | None,
    made_by: MadeBy,
    campaigns: Sequence[str],
) -> list[dict[str, Any]]:
    """Labels of every `label_stride`-th step, or refusals of those that fail a gate; sealed.

    Parameters
    ----------
    run : dict
        Reference of the run.
    structure : StructureAnswer
        Gives atoms and cell, in the orientation in which the program ran.
    level : LevelOfTheory
    point : callable
        Gives what the program computed at a step; may refuse it.
    settings : AimdSettings
    valence : dict or None
        Atomic number -> electrons that the pseudopotential leaves.
    made_by : MadeBy
        Record of the run. The cost is the run's, and counted there: labels have none.
    campaigns : sequence of str
        Who asks.

    Returns
    -------
    list of dict
        A label's `asked.frame` counts frames of the trajectory, as everywhere; `origin.frame` is the MD step.
    """
    from lipsdb.dft.levels_of_theory import reference_of

    inputs = [Input.of("level_of_theory", reference_of(level)), Input.of("run", run)]
    of_labels = made_by.model_copy(update={"core_seconds": 0.0, "rates": {}, "files": []})
    sealed = []
    for step in range(0, settings.n_steps + 1, settings.label_stride):
        asked = LabelAsked(frame=step // settings.dump_interval, level_of_theory=level.asked.name)
        origin = LabelOrigin(
            system=structure.name,
            source=str(level.asked.code),
            folder=run["id"],
            frame=step,
            trajectory=True,
            iteration=None,
            temperatures_K=[settings.temperature_K],
            pressures_bar=[],
        )
        document: Label | Refusal
        try:
            answer = _label_answer(structure, point(step), valence)
            document = Label(asked=asked, inputs=inputs, answer=answer, origin=origin)
        except RefusedError as error:
            refused = RefusalAsked(
                document=Label.identity_of(asked, inputs),
                system=origin.system,
                source=origin.source,
                folder=origin.folder,
                frame=step,
                level_of_theory=level.asked.name,
            )
            answer_ = RefusalAnswer(gate=error.gate, reason=str(error))
            document = Refusal(asked=refused, inputs=inputs, answer=answer_)
        sealed.append(document.sealed(of_labels, campaigns))
    return sealed


def _label_answer(structure: StructureAnswer, found: SinglePoint, valence: Mapping[int, float] | None) -> LabelAnswer:
    """The numbers of one step, if they pass the gates."""
    from lipsdb.dft.result import check_single_point

    check_single_point(found, structure.numbers, found.positions, structure.cell, valence)
    return LabelAnswer(
        geometry=geometry_digest(structure.numbers, found.positions, structure.cell),
        formula=structure.formula,
        n_atoms=structure.n_atoms,
        numbers=np.asarray(structure.numbers, dtype="u1"),
        positions=np.asarray(found.positions, dtype=float),
        cell=np.asarray(structure.cell, dtype=float),
        energy_eV=found.energy_eV,
        forces=found.forces,
        virial=found.virial,
    )
