"""Moment tensor potentials as one of the engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipsdb.errors import BadInputError
from lipsdb.potentials.engine import Grader, Progress, Training

if TYPE_CHECKING:
    from pydantic import BaseModel

    from lipsdb.md.coupling import Coupling
    from lipsdb.md.settings import Extrapolation
    from lipsdb.potentials.prediction_errors import Predictions
    from lipsdb.potentials.training_set import LabelledFrames


class MTP:
    """Contracted moments of the neighbourhood, linear in most parameters; computed by lipsdb's own kernel."""

    name = "mtp"
    program = "lipsdb"
    grades = True
    libraries = ("numba", "motep", "vesin")

    def settings_model(self) -> type[BaseModel]:
        """Model of the settings of a training."""
        from lipsdb.potentials.mtp.settings import MTPSettings

        return MTPSettings

    def steps(self, settings: Mapping[str, Any]) -> float:
        """Most iterations, those of the starts that are given up among them."""
        trials = 0 if settings["program"] == "mlp" else (settings["starts"] - 1) * settings["start_iterations"]
        return float(trials + settings["max_iterations"])

    def train(
        self,
        folder: Path,
        settings: BaseModel,
        training: Mapping[str, LabelledFrames],
        held: Mapping[str, LabelledFrames],
        *,
        threads: int,
        progress: Progress | None,
        lock_fd: int | None,
    ) -> Training:
        """Train, and choose the active set of the training data; what is done already is not done again."""
        from lipsdb.potentials.mtp.checkpoint import Cost
        from lipsdb.potentials.mtp.grade import keep_active_set
        from lipsdb.potentials.mtp.settings import MTPSettings
        from lipsdb.potentials.mtp.training import train
        from lipsdb.potentials.training_set import elements_of

        assert isinstance(settings, MTPSettings)
        elements = elements_of(training)
        result = train(
            folder / "train",
            settings,
            training,
            held,
            elements=elements,
            threads=threads,
            progress=progress,
            lock_fd=lock_fd,
        )
        cost, steps = Cost(folder / "train"), int(self.steps(settings.model_dump()))
        last = {name: float(column[-1]) for name, column in result.learning_curve.items()}

        def note() -> None:
            cost.note()
            if progress is not None:
                progress(steps, steps, last)  # there is no telling how many passes over the frames are to come

        path = folder / ACTIVE_SET
        try:
            keep_active_set(path, result.model_path, training, settings.grade_mode, threads=threads, on_frame=note)
        finally:
            spent = cost.note(now=True)
        return Training(
            elements=tuple(elements),
            cutoff_A=settings.cutoff_A,
            model=result.model_path,
            other_models=(),
            active_set=path,
            learning_curve=result.learning_curve,
            records={path.name: path for path in result.log_paths},
            versions=result.versions,
            executable=result.executable,
            core_seconds=spent["cpu_s"],
        )

    def evaluate(
        self, model: Path, systems: Mapping[str, LabelledFrames], *, threads: int = 1
    ) -> dict[str, Predictions]:
        """Energies, forces and virials by the kernel."""
        from lipsdb.potentials.mtp.evaluation import evaluate

        return evaluate(model, systems, threads=threads)

    def grader(self, model: Path, active_set: Path | None) -> Grader:
        """The extrapolation grade of each atom."""
        from lipsdb.potentials.mtp.grade import grader

        if active_set is None:
            raise BadInputError(
                "the potential has no active set, which grades need; train it again with this version of lipsdb"
            )
        return grader(model, active_set)

    def coupling(
        self,
        model: Path,
        elements: tuple[str, ...],
        *,
        active_set: Path | None = None,
        extrapolation: Extrapolation | None = None,
    ) -> Coupling:
        """A native pair style where LAMMPS has one, else the kernel through ``fix external``."""
        from lipsdb.potentials.mtp.coupling import coupling
        from lipsdb.provenance.machine import versions_of

        made = coupling(model, elements, active_set=active_set, extrapolation=extrapolation)
        return made if made.driver is None else replace(made, versions=versions_of(*self.libraries))


ACTIVE_SET = "active-set.npz"
