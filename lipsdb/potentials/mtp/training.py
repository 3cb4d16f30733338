"""Training a moment tensor potential in a folder; restartable at any moment, to the same bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.checkpoint import (
    Attempt,
    Cost,
    Row,
    Search,
    claim_folder,
    load_checkpoint,
    save_checkpoint,
    write_atomically,
)
from lipsdb.potentials.mtp.files import write_mtp
from lipsdb.potentials.mtp.optimisation import advance, start
from lipsdb.potentials.mtp.potential import MomentTensorPotential
from lipsdb.potentials.mtp.settings import MTPSettings
from lipsdb.potentials.mtp.start import first_inverse_hessian, starting_potential
from lipsdb.potentials.mtp.training_data import TrainingData, training_data
from lipsdb.potentials.mtp.training_kernel import LossTerms, LossWeights, loss_and_gradient, loss_terms
from lipsdb.potentials.mtp.training_log import NOT_OF_THE_TRAINING, missing_pairs, training_log
from lipsdb.potentials.training_set import LabelledFrames, types_of

FloatArray = NDArray[np.float64]
Progress = Callable[[int, int, Mapping[str, float]], None]

MODEL, LOG = "potential.mtp", "training.log"
ROW_ITERATIONS = 5  # between rows of the learning curve: each costs a look at the held-out frames


@dataclass(frozen=True)
class TrainingResult:
    """A finished training.

    Attributes
    ----------
    model_path : Path
        The potential, in MLIP's format.
    learning_curve : dict of column to (n_rows,) array
        step (iteration), loss, and in DeePMD-kit's names the root mean square errors rmse_e (eV/atom), rmse_f (eV/Å)
        and rmse_v (eV/atom; NaN without virial labels), and rmse, the root of the loss. The names end in _val for
        held-out and _trn for training frames where there are held-out ones. By mlp: step, loss and rmse alone.
    converged : bool
        Whether it ended because little was left to gain.
    ended : str
        Why it ended.
    log_paths : tuple of Path
    program, executable : str
        "lipsdb", or "mlp" and its path.
    versions : dict
        Of what computed.
    wall_seconds, core_seconds : float
        Over all restarts; core-seconds are CPU seconds really used.
    """

    model_path: Path
    learning_curve: dict[str, FloatArray]
    converged: bool
    ended: str
    log_paths: tuple[Path, ...]
    program: str
    executable: str
    versions: dict[str, str]
    wall_seconds: float
    core_seconds: float


def train(
    folder: Path,
    settings: MTPSettings,
    training: Mapping[str, LabelledFrames],
    held: Mapping[str, LabelledFrames],
    *,
    elements: Sequence[str],
    threads: int = 1,
    progress: Progress | None = None,
    lock_fd: int | None = None,
) -> TrainingResult:
    """Train a potential; called again in the same folder, it continues.

    Parameters
    ----------
    folder : Path
        Working folder of this training alone.
    settings : MTPSettings
    training : mapping of system to LabelledFrames
    held : mapping of system to LabelledFrames
        For the learning curve only; may be empty.
    elements : sequence of str
        Type t of the potential is elements[t].
    threads : int
        The result is the same for any number.
    progress : callable, optional
        Called after each iteration with (iterations done, most iterations of all starts, row: step, loss and errors).
    lock_fd : int, optional
        Open file descriptor that mlp inherits, if it trains.

    Returns
    -------
    TrainingResult
        Also if max_iterations end the training before it converged.

    Raises
    ------
    BadInputError
        If the folder holds another training, there is no training frame or no label with a weight, or an element is
        not in `elements`.
    RefusedError
        If the loss becomes NaN.
    InterruptedRunError, MissingProgramError, LipsdbError
        Where mlp trains: if a signal stopped it, there is none, or it fails.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> salt = LabelledFrames([3, 3], [[[0, 0, 0], [0, 0, 3.0]]], [9 * np.eye(3)], [-1.0], np.zeros((1, 2, 3)))
    >>> result = train(Path(mkdtemp()), MTPSettings(level=2, max_iterations=5), {"salt": salt}, {}, elements=["Li"])
    >>> result.model_path.name, result.learning_curve["step"].tolist()
    ('potential.mtp', [0.0, 5.0])
    """
    folder = Path(folder)
    if not any(frames.n_frames for frames in training.values()):
        raise BadInputError("there is no training frame: give at least one, better some hundreds.")
    for systems in (training, held):
        for name, frames in systems.items():
            types_of(frames.numbers, elements, f"system {name!r}")
    data = training_data(training, elements, settings.cutoff_A)
    if settings.energy_weight == settings.force_weight == 0 and not data.has_virial.any():
        raise BadInputError(
            "energy_weight and force_weight are 0, and no training frame has a virial label: there is nothing to train "
            "on; give one of the weights, or frames with virials."
        )
    first = starting_potential(settings, data, training)
    claim_folder(folder, settings.model_dump(mode="json", exclude=NOT_OF_THE_TRAINING), elements, training, held)
    cost = Cost(folder)
    if settings.program == "mlp":
        return _train_by_mlp(folder, settings, first, training, held, cost, threads, progress, lock_fd)
    held_data = None
    if any(frames.n_frames for frames in held.values()):
        held_data = training_data(held, elements, settings.cutoff_A)
    weights = LossWeights(settings.energy_weight, settings.force_weight, settings.stress_weight)
    run = _Run(folder, settings, training, first, data, held_data, weights, threads, cost, progress)
    try:
        search = run.minimise()
    finally:
        cost.note(now=True)
    state, rows = search.now.state, search.now.rows
    trained = first.with_parameters(state.parameters)
    write_mtp(folder / MODEL, trained)
    spent = cost.note(now=True)
    log = training_log(
        settings,
        first,
        missing_pairs(training, first),
        search.trials,
        run.columns,
        rows,
        state.ended,
        state.iterations,
        spent,
    )
    write_atomically(folder / LOG, log.encode())
    return TrainingResult(
        model_path=folder / MODEL,
        learning_curve={name: np.array([row[name] for row in rows]) for name in run.columns},
        converged=state.converged,
        ended=state.ended,
        log_paths=(folder / LOG,),
        program="lipsdb",
        executable="lipsdb",
        versions={name: version(name) for name in ("numba", "scipy")},
        wall_seconds=spent["wall_s"],
        core_seconds=spent["cpu_s"],
    )


@dataclass
class _Run:
    """The minimisation of one call of `train`."""

    folder: Path
    settings: MTPSettings
    systems: Mapping[str, LabelledFrames]
    first: MomentTensorPotential
    data: TrainingData
    held: TrainingData | None
    weights: LossWeights
    threads: int
    cost: Cost
    progress: Progress | None
    _last: tuple[FloatArray, float, FloatArray, LossTerms] | None = field(default=None, init=False)

    @property
    def columns(self) -> list[str]:
        """Of the learning curve."""
        parts = ("_val", "_trn") if self.held is not None else ("",)
        return ["step", *(f"rmse{what}{part}" for what in ("", "_e", "_f", "_v") for part in parts), "loss"]

    def minimise(self) -> Search:
        """Go on from the last checkpoint to the end."""
        kept, settings = load_checkpoint(self.folder), self.settings
        search = kept or Search(self._begin(0))
        while len(search.trials) < settings.starts:
            state = search.now.state
            if not state.ended and state.iterations < settings.start_iterations:
                left = settings.start_iterations - state.iterations
                search = replace(search, now=self._round(search, min(settings.checkpoint_iterations, left)))
            else:
                search = self._next_start(search)
            save_checkpoint(self.folder, search)
        while not search.now.state.ended:
            search = replace(search, now=self._round(search, settings.checkpoint_iterations))
            save_checkpoint(self.folder, search)
        return search

    def _begin(self, number: int) -> Attempt:
        potential = starting_potential(self.settings, self.data, self.systems, number)
        inverse_hessian = first_inverse_hessian(potential, self.data)
        return Attempt(
            start(self.objective, potential.parameters, inverse_hessian), [self._row(0, potential.parameters)]
        )

    def _next_start(self, search: Search) -> Search:
        tried, best = search.now, search.best
        if best is None or tried.state.losses[-1] < best.state.losses[-1]:
            best = tried
        trials = (*search.trials, float(tried.state.losses[-1]))
        now = best if len(trials) == self.settings.starts else self._begin(len(trials))
        return Search(now, best, trials)

    def _round(self, search: Search, iterations: int) -> Attempt:
        rows = list(search.now.rows)
        before = min(len(search.trials), self.settings.starts - 1) * self.settings.start_iterations
        total = (self.settings.starts - 1) * self.settings.start_iterations + self.settings.max_iterations

        def note(iteration: int, parameters: FloatArray, loss: float) -> None:
            if iteration % ROW_ITERATIONS == 0:
                rows.append(self._row(iteration, parameters))
            if self.progress is not None:
                row = {"step": float(iteration), "loss": loss, **self._training_errors(parameters)}
                self.progress(before + iteration, total, row)
            self.cost.note()

        state = advance(
            self.objective,
            search.now.state,
            iterations=iterations,
            max_iterations=self.settings.max_iterations,
            tolerance=self.settings.convergence_tolerance,
            on_iteration=note,
        )
        if state.ended and rows[-1]["step"] != state.iterations:
            rows.append(self._row(state.iterations, state.parameters))
        return Attempt(state, rows)

    def objective(self, parameters: FloatArray) -> tuple[float, FloatArray]:
        """Loss and gradient; the last are kept, since the optimiser accepts most points that it tries."""
        loss, gradient, _ = self._at(parameters)
        return loss, gradient.copy()

    def _at(self, parameters: FloatArray) -> tuple[float, FloatArray, LossTerms]:
        if self._last is None or not np.array_equal(self._last[0], parameters):
            potential = self.first.with_parameters(parameters)
            found = loss_and_gradient(potential, self.data, self.weights, threads=self.threads)
            self._last = (parameters.copy(), *found)
        return self._last[1:]

    def _training_errors(self, parameters: FloatArray) -> Row:
        loss, _, terms = self._at(parameters)
        return _errors(loss, terms, "" if self.held is None else "_trn")

    def _row(self, iteration: int, parameters: FloatArray) -> Row:
        values = {"step": float(iteration), "loss": self._at(parameters)[0], **self._training_errors(parameters)}
        if self.held is not None:
            potential = self.first.with_parameters(parameters)
            values |= _errors(*loss_terms(potential, self.held, self.weights, threads=self.threads), "_val")
        return {name: values[name] for name in self.columns}


def _errors(loss: float, terms: LossTerms, part: str) -> Row:
    virial = terms.virial_rmse
    return {
        f"rmse{part}": float(np.sqrt(loss)),
        f"rmse_e{part}": terms.energy_rmse,
        f"rmse_f{part}": terms.force_rmse,
        f"rmse_v{part}": float("nan") if virial is None else virial,
    }


def _train_by_mlp(
    folder: Path,
    settings: MTPSettings,
    first: MomentTensorPotential,
    training: Mapping[str, LabelledFrames],
    held: Mapping[str, LabelledFrames],
    cost: Cost,
    threads: int,
    progress: Progress | None,
    lock_fd: int | None,
) -> TrainingResult:
    from lipsdb.potentials.mtp.mlp import train_by_mlp

    def note(iteration: int, loss: float) -> None:
        if progress is not None:
            progress(iteration, settings.max_iterations, {"step": float(iteration), "loss": loss})

    try:
        done = train_by_mlp(
            folder, settings, first, training, held, threads=threads, on_iteration=note, lock_fd=lock_fd
        )
    finally:
        cost.note(now=True)
    write_mtp(folder / MODEL, done.potential)
    spent = cost.note(now=True)
    rows = [{"step": float(i), "rmse": float(np.sqrt(loss)), "loss": float(loss)} for i, loss in enumerate(done.losses)]
    missing = missing_pairs(training, first)
    columns = ["step", "rmse", "loss"]
    log = training_log(settings, first, missing, (), columns, rows, done.ended, len(rows), spent)
    write_atomically(folder / LOG, log.encode())
    return TrainingResult(
        model_path=folder / MODEL,
        learning_curve={name: np.array([row[name] for row in rows]) for name in columns},
        converged=done.converged,
        ended=done.ended,
        log_paths=(folder / LOG, done.log),
        program="mlp",
        executable=done.executable,
        versions={"mlp": done.version},
        wall_seconds=spent["wall_s"],
        core_seconds=spent["cpu_s"],
    )
