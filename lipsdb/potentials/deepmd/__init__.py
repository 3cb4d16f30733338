"""DeePMD-kit (TensorFlow backend) as an engine: settings, train, evaluate, LAMMPS coupling."""

from lipsdb.potentials.deepmd.evaluation import evaluate
from lipsdb.potentials.deepmd.inputs import pair_commands, training_input
from lipsdb.potentials.deepmd.settings import DeepMDSettings, Prefactors, TrainingStage
from lipsdb.potentials.deepmd.training import TrainingResult, train

__all__ = [
    "DeepMDSettings",
    "Prefactors",
    "TrainingResult",
    "TrainingStage",
    "evaluate",
    "pair_commands",
    "train",
    "training_input",
]
