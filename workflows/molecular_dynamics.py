"""Molecular dynamics of a structure with a potential."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipsdb.documents.base import ArtifactReference, Input, MadeBy
from lipsdb.documents.potential import Potential
from lipsdb.documents.run import RunAnswer, RunAsked
from lipsdb.documents.structure import Structure, StructureAnswer
from lipsdb.errors import BadInputError
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Question, QuestionMaker, Workplace


@dataclass
class MDMaker(QuestionMaker):
    """Runs LAMMPS.

    Parameters
    ----------
    settings : dict
        Of `lipsdb.md.settings.MDSettings`.
    ranks : int
        MPI ranks.
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


def _pair_commands(engine: str) -> Callable[[str, list[str]], str]:
    """How LAMMPS is told to use a potential of this engine."""
    if engine == "deepmd":
        from lipsdb.potentials.deepmd import pair_commands

        return pair_commands
    raise BadInputError(f"no LAMMPS coupling for potentials of the engine {engine!r}; there is one for: deepmd")


def prepare_potential(place: Workplace, structure: StructureAnswer, potential: Potential) -> str:
    """Put the model file into the job's folder; gives LAMMPS' lines of input that use it.

    Raises
    ------
    BadInputError
        If the potential does not know an element of the structure, or LAMMPS not the potential's engine.
    """
    absent = set(structure.elements) - set(potential.answer.elements)
    if absent:
        raise BadInputError(
            f"the structure holds {', '.join(sorted(absent))}, which the potential does not know; "
            f"it was trained for {', '.join(potential.answer.elements)}"
        )
    model_name = Path(potential.answer.model.name).name
    place.database.artifacts.save(potential.answer.model.sha256, place.folder / model_name)
    return _pair_commands(potential.asked.engine)(model_name, potential.answer.elements)


def run_md(place: Workplace, asked: RunAsked, inputs: list[Input]) -> tuple[RunAnswer, MadeBy]:
    """Run LAMMPS; continues from the last restart file when started again."""
    from lipsdb.md.run import run_lammps
    from lipsdb.md.settings import MDSettings

    by_role = {link.role: link for link in inputs}
    structure = Structure.from_stored(place.database.find(by_role["structure"].id)).answer
    potential = Potential.from_stored(place.database.find(by_role["potential"].id))
    settings = MDSettings.model_validate(asked.settings)
    result = run_lammps(
        place.folder,
        settings,
        prepare_potential(place, structure, potential),
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
        n_frames=settings.n_frames,
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
    )
    made_by = place.watch.made_by(
        versions_of("lammps", "deepmd-kit") | {"LAMMPS": result.lammps_version},
        [place.put(result.script.encode(), "in.lammps"), place.put_text(result.log_path, "log.lammps")],
        executable="lmp",
        core_seconds=result.wall_seconds * result.ranks,
        rates={"steps_per_second": result.steps_per_second},
    )
    return answer, made_by
