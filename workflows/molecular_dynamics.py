"""Molecular dynamics of a structure with a potential."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipsdb.documents.base import ArtifactReference, Input, MadeBy
from lipsdb.documents.potential import Potential
from lipsdb.documents.run import Extrapolation, RunAnswer, RunAsked
from lipsdb.documents.structure import Structure, StructureAnswer
from lipsdb.errors import BadInputError
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Question, QuestionMaker, Workplace

if TYPE_CHECKING:
    from lipsdb.md import settings as md_settings
    from lipsdb.md.coupling import Coupling
    from lipsdb.md.extrapolation import GradeSeries


@dataclass
class MDMaker(QuestionMaker):
    """Runs LAMMPS.

    Parameters
    ----------
    settings : dict
        Of `lipsdb.md.settings.MDSettings`.
    ranks : int
        MPI ranks; threads, where the potential is computed by a program of its own.
    checkpoint_steps : int
        Steps between restart files: at most so many are lost when the run dies.
    """

    name: str = "md"
    settings: dict[str, Any] = field(default_factory=dict)
    ranks: int = 1
    checkpoint_steps: int = 1000

    def question(self, structure: Question | dict[str, str], potential: Question | dict[str, str]) -> Question:
        """Ask for the run."""
        from lipsdb.md.settings import MDSettings

        settings = MDSettings.model_validate(self.settings)
        return Question(
            "run",
            self.name,
            RunAsked(program="lammps", settings=settings.model_dump(mode="json")),
            (("structure", structure), ("potential", potential)),
            f"{__name__}:run_md",
            "md",
            {"ranks": self.ranks, "checkpoint_steps": self.checkpoint_steps},
        )


def prepare_potential(
    place: Workplace,
    structure: StructureAnswer,
    potential: Potential,
    extrapolation: md_settings.Extrapolation | None = None,
) -> Coupling:
    """Put the potential's files into the job's folder; gives how LAMMPS uses them.

    Raises
    ------
    BadInputError
        If the potential does not know an element of the structure, LAMMPS not the potential's engine, or if
        extrapolation grades are asked for and the potential has none.
    """
    from lipsdb.potentials.engines import engine

    answer = potential.answer
    absent = set(structure.elements) - set(answer.elements)
    if absent:
        raise BadInputError(
            f"the structure holds {', '.join(sorted(absent))}, which the potential does not know; "
            f"it was trained for {', '.join(answer.elements)}"
        )
    model = _saved(place, answer.model)
    active_set = None if answer.active_set is None or extrapolation is None else _saved(place, answer.active_set)
    return engine(potential.asked.engine).coupling(
        model, tuple(answer.elements), active_set=active_set, extrapolation=extrapolation
    )


def _saved(place: Workplace, file: ArtifactReference) -> Path:
    return Path(place.database.artifacts.save(file.sha256, place.folder / Path(file.name).name))


def lammps_versions(coupling: Coupling, lammps: str) -> dict[str, str]:
    """Versions of what computes with a potential in LAMMPS.

    Parameters
    ----------
    coupling : Coupling
        How LAMMPS used the potential.
    lammps : str
        Version that LAMMPS' log states.
    """
    return versions_of("lammps") | dict(coupling.versions) | {"LAMMPS": lammps}


def run_md(place: Workplace, asked: RunAsked, inputs: list[Input]) -> tuple[RunAnswer, MadeBy]:
    """Run LAMMPS; continues from the last restart file when started again."""
    from lipsdb.md.run import run_lammps
    from lipsdb.md.settings import MDSettings

    by_role = {link.role: link for link in inputs}
    structure = Structure.from_stored(place.database.find(by_role["structure"].id)).answer
    potential = Potential.from_stored(place.database.find(by_role["potential"].id))
    settings = MDSettings.model_validate(asked.settings)
    coupling = prepare_potential(place, structure, potential, settings.extrapolation)
    result = run_lammps(
        place.folder,
        settings,
        coupling,
        structure.numbers,
        structure.positions,
        structure.cell,
        potential.answer.elements,
        ranks=int(place.options.get("ranks", 1)),
        restart_interval=int(place.options.get("checkpoint_steps", 1000)),
        progress=place.progress,
        lock_fd=place.lock_fd,
    )
    answer = RunAnswer(
        n_atoms=structure.n_atoms,
        n_frames=result.n_frames,
        frame_interval_ps=settings.dump_interval * settings.timestep_ps,
        trajectory=ArtifactReference(**place.put(result.trajectory_path, "trajectory.nc")),
        topology=ArtifactReference(**place.put(result.topology_path, "topology.xyz")),
        restart=ArtifactReference(**place.put(result.final_restart_path, "final.restart")),
        thermo=dict(result.thermo),
        thermo_units=dict(result.thermo_units),
        mean_temperature_K=result.mean_temperature_K,
        mean_pressure_bar=result.mean_pressure_bar,
        mean_volume_A3=result.mean_volume_A3,
        mean_density_g_cm3=result.mean_density_g_cm3,
        mean_stress_GPa=result.mean_stress_GPa,
        rotation=result.rotation,
        extrapolation=_extrapolation(place, result.extrapolation),
    )
    made_by = place.watch.made_by(
        lammps_versions(coupling, result.lammps_version),
        [place.put(result.script.encode(), "in.lammps"), place.put_text(result.log_path, "log.lammps")],
        executable=result.program,
        core_seconds=result.wall_seconds * result.ranks,
        rates={"steps_per_second": result.steps_per_second},
    )
    return answer, made_by


def _extrapolation(place: Workplace, grades: GradeSeries | None) -> Extrapolation | None:
    """What the record says of extrapolation grades."""
    if grades is None:
        return None
    selected = grades.selected_path
    return Extrapolation(
        steps=grades.steps,
        max_grades=grades.max_grades,
        atoms=grades.atoms,
        n_selected=grades.n_selected,
        selected=None if selected is None else ArtifactReference(**place.put(selected, "selected.xyz")),
        stopped_at_step=grades.stopped_at_step,
        stopped=grades.stopped,
    )
