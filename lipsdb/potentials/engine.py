"""What an engine of machine-learned potentials is to the rest of lipsdb: train, evaluate, uncertainty, LAMMPS coupling.

The engines that there are stand in `lipsdb.potentials.engines`; docs/engines.md shows how another one is added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pydantic import BaseModel

    from lipsdb.md.coupling import Coupling
    from lipsdb.md.settings import Extrapolation
    from lipsdb.potentials.prediction_errors import Predictions
    from lipsdb.potentials.training_set import LabelledFrames

#: Called with (steps done, steps in all, newest row of the learning curve).
Progress = Callable[[int, int, Mapping[str, float]], None]
#: From atomic numbers (n_atoms,), positions (n_atoms, 3) and cell (3, 3) in Å to the grade of each atom, (n_atoms,).
Grader = Callable[[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Training:
    """A finished training.

    Attributes
    ----------
    elements : tuple of str
        Chemical symbols in the model's order of types.
    cutoff_A : float, Å
    model : Path
        The file that evaluation and MD use.
    other_models : tuple of Path
        Other forms of the model, kept with it.
    active_set : Path or None
        What the engine needs to tell how far a configuration is from the training data.
    learning_curve : mapping of column to (n_rows,) array
        ``step``, and ``rmse_e_trn``, ``rmse_e_val`` (eV/atom), ``rmse_f_trn``, ``rmse_f_val`` (eV/Å) as far as the
        engine gives them; others in its own names.
    records : mapping of name to Path
        Inputs and logs, by the names that they are stored under.
    versions : mapping of str to str
        Of the programs that trained.
    executable : str
        What ran.
    core_seconds : float
        Over all restarts, s.
    """

    elements: tuple[str, ...]
    cutoff_A: float
    model: Path
    other_models: tuple[Path, ...]
    active_set: Path | None
    learning_curve: Mapping[str, NDArray[np.float64]]
    records: Mapping[str, Path]
    versions: Mapping[str, str]
    executable: str
    core_seconds: float


class Engine(Protocol):
    """One engine. What is heavy is imported in the methods, not with the module.

    Attributes
    ----------
    name : str
        As ``engine`` in campaign files and in ``asked.engine`` of potentials.
    program : str
        Name in ``made_by.versions`` of what computes energies: the audit asks for its major version to be the same
        where a potential was trained and where it is used.
    grades : bool
        Whether it tells how far atoms are from the training data: MD can be watched, frames graded.
    libraries : tuple of str
        Installed packages whose versions are recorded where a potential is trained or evaluated; what computes it in
        LAMMPS is recorded as the coupling says.
    """

    name: str
    program: str
    grades: bool
    libraries: tuple[str, ...]

    def settings_model(self) -> type[BaseModel]:
        """Model of the settings of a training; everything in it changes the answer."""

    def steps(self, settings: Mapping[str, Any]) -> float:
        """How many steps (iterations) a training has at most, for progress bars and estimates."""

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
        """Train in a folder; called again after an interruption, it goes on from its last checkpoint there.

        Parameters
        ----------
        folder : Path
        settings : BaseModel
            Of `settings_model`.
        training, held : mapping of system to LabelledFrames
            To train on, and for the learning curve only.
        threads : int
        progress : callable, optional
        lock_fd : int, optional
            Descriptor of a locked file that child processes inherit.
        """

    def evaluate(
        self, model: Path, systems: Mapping[str, LabelledFrames], *, threads: int = 1
    ) -> dict[str, Predictions]:
        """Energies (eV), forces (eV/Å) and virials (eV) of frames."""

    def grader(self, model: Path, active_set: Path | None) -> Grader:
        """What tells how far atoms are from the training data.

        Raises
        ------
        BadInputError
            If potentials of this engine do not tell, or there is no active set.
        """

    def coupling(
        self,
        model: Path,
        elements: tuple[str, ...],
        *,
        active_set: Path | None = None,
        extrapolation: Extrapolation | None = None,
    ) -> Coupling:
        """How LAMMPS gets its forces from a potential.

        Parameters
        ----------
        model : Path
            In the folder where LAMMPS runs.
        elements : tuple of str
            Chemical symbols of LAMMPS' atom types.
        active_set : Path, optional
            Of the potential, in the same folder.
        extrapolation : Extrapolation, optional
            Grade the atoms during the run.

        Raises
        ------
        BadInputError
            If grades are asked for and there are none.
        """
