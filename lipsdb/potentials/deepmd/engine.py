"""DeePMD-kit as one of the engines."""

from __future__ import annotations

from collections.abc import Mapping
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

_NO_GRADE = (
    "potentials of the engine deepmd have no extrapolation grade; take one of the engine mtp, or leave grades out"
)


class DeepMD:
    """Networks on smooth descriptors of the neighbourhood, by the program DeePMD-kit (TensorFlow backend)."""

    name = "deepmd"
    program = "deepmd-kit"
    grades = False
    libraries = ("deepmd-kit",)

    def settings_model(self) -> type[BaseModel]:
        """Model of the settings of a training."""
        from lipsdb.potentials.deepmd.settings import DeepMDSettings

        return DeepMDSettings

    def steps(self, settings: Mapping[str, Any]) -> float:
        """Training steps of all stages."""
        return float(sum(stage["steps"] for stage in settings["stages"]))

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
        """Write the frames in DeePMD-kit's format; train, freeze and compress."""
        from lipsdb.export.deepmd import write_deepmd_systems
        from lipsdb.potentials.deepmd.settings import DeepMDSettings
        from lipsdb.potentials.deepmd.training import train
        from lipsdb.potentials.training_set import elements_of

        assert isinstance(settings, DeepMDSettings)
        elements = elements_of(training)
        result = train(
            folder / "train",
            settings,
            write_deepmd_systems(folder / "training", training, elements=elements),
            write_deepmd_systems(folder / "held", held, elements=elements),
            threads=threads,
            progress=progress,
            lock_fd=lock_fd,
        )
        files = [path for name in ("input.json", "train.log") for path in sorted((folder / "train").glob(f"*/{name}"))]
        return Training(
            elements=tuple(result.inputs[0]["model"]["type_map"]),
            cutoff_A=settings.cutoff_A,
            model=result.compressed_path,
            other_models=(result.model_path,),
            active_set=None,
            learning_curve=result.learning_curve,
            records={f"{path.parent.name}-{path.name}": path for path in files},
            versions=result.versions,
            executable="dp",
            core_seconds=result.core_seconds,
        )

    def evaluate(
        self, model: Path, systems: Mapping[str, LabelledFrames], *, threads: int = 1
    ) -> dict[str, Predictions]:
        """Energies, forces and virials by the compressed model."""
        from lipsdb.potentials.deepmd.evaluation import evaluate

        return evaluate(model, systems, threads=threads)

    def grader(self, model: Path, active_set: Path | None) -> Grader:
        """Not to be had from one network."""
        raise BadInputError(_NO_GRADE)

    def coupling(
        self,
        model: Path,
        elements: tuple[str, ...],
        *,
        active_set: Path | None = None,
        extrapolation: Extrapolation | None = None,
    ) -> Coupling:
        """The pair style of DeePMD-kit's plugin."""
        from lipsdb.md.coupling import Coupling
        from lipsdb.potentials.deepmd.inputs import pair_commands
        from lipsdb.provenance.machine import versions_of

        if extrapolation is not None:
            raise BadInputError(_NO_GRADE)
        return Coupling(pair_commands(model.name, elements), plugins=True, versions=versions_of(*self.libraries))
