"""The choice of a potential from a grid search: error on held-out labels against cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.documents.base import Input, MadeBy
from lipsdb.documents.property import PropertyAsked
from lipsdb.errors import RefusedError
from lipsdb.field_names import settings_in_words
from lipsdb.potentials.engines import engine
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Question, QuestionMaker, Workplace
from lipsdb.workflows.potential import held_frames

if TYPE_CHECKING:
    from lipsdb.potentials.engine import Engine
    from lipsdb.potentials.training_set import LabelledFrames

TIMED_ATOMS = 4000  # evaluated at once, so that what a call costs by itself does not count
ROUNDS = 5
AS_QUICK = 0.1  # times that are no further apart, as a fraction, count as equal
_ERRORS = (
    "energy_mae_meV_per_atom",
    "energy_rmse_meV_per_atom",
    "force_mae_meV_per_A",
    "force_rmse_meV_per_A",
    "virial_mae_meV_per_atom",
    "virial_rmse_meV_per_atom",
)
_WORDS = {
    "force_mae_meV_per_A": ("force MAE", "meV/Å"),
    "force_rmse_meV_per_A": ("force RMSE", "meV/Å"),
    "energy_mae_meV_per_atom": ("energy MAE", "meV/atom"),
    "energy_rmse_meV_per_atom": ("energy RMSE", "meV/atom"),
}


@dataclass
class PotentialChoiceMaker(QuestionMaker):
    """Chooses the cheapest potential of a grid that is about as good as the best.

    Parameters
    ----------
    over : tuple of str
        Settings that vary.
    criterion : str
        Error on the held-out labels that decides.
    tolerance : float
        How much larger than the smallest error is good enough, as a fraction.
    """

    name: str = "potential choice"
    over: tuple[str, ...] = ()
    criterion: str = "force_mae_meV_per_A"
    tolerance: float = 0.05

    def question(self, potentials: Sequence[Question | dict[str, str]], dataset: Question | dict[str, str]) -> Question:
        """Ask which of these potentials, all trained on this dataset, is worth its cost."""
        parameters = {"over": list(self.over), "criterion": self.criterion, "tolerance": self.tolerance}
        return Question(
            "property",
            self.name,
            PropertyAsked(property="potential_choice", parameters=parameters),
            (*(("potential", potential) for potential in potentials), ("dataset", dataset)),
            f"{__name__}:choose_potential",
            "analysis",
        )


def choose_potential(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> tuple[dict[str, Any], MadeBy]:
    """Time the potentials in turns on the held-out frames, and choose.

    Notes
    -----
    The errors are those that stand with each potential. The cost is the processor time of energy, forces and virial per
    atom and step on the machine that made this, the shortest of several evaluations of some thousand atoms, in turns;
    it compares within one answer only. As in the passive learning of doi 10.1039/d3ya00234a, where r_cut and the level
    were chosen from such a grid.
    """
    parameters = asked.parameters
    ids = [link.id for link in inputs if link.role == "potential"]
    fields = {"asked": 1, "answer.errors": 1, "answer.model": 1, "made_by.core_seconds": 1}
    stored = {one["_id"]: one for one in place.database.collection("potentials").find({"_id": {"$in": ids}}, fields)}
    held = held_frames(place.database, next(link.id for link in inputs if link.role == "dataset"))
    models = []
    for number, id_ in enumerate(ids):
        path = place.database.artifacts.save(stored[id_]["answer"]["model"]["sha256"], place.folder / f"{number}.model")
        models.append((engine(stored[id_]["asked"]["engine"]), path))
    times = seconds_per_atom(models, timing_frames(held), lambda done, total: place.progress(done, total, "rounds"))
    rows = []
    for id_, seconds in zip(ids, times, strict=True):
        potential = stored[id_]
        errors = next(one for one in potential["answer"]["errors"] if one["system"] == "all")
        rows.append(
            {
                "potential_id": id_,
                "engine": potential["asked"]["engine"],
                "settings": {key: potential["asked"]["settings"][key] for key in parameters["over"]},
                **{name: errors[name] for name in _ERRORS},
                "time_us_per_atom": 1e6 * seconds,
                "training_core_seconds": potential["made_by"]["core_seconds"],
            }
        )
    good = good_enough(rows, parameters["criterion"], parameters["tolerance"])
    chosen = choice(rows, parameters["criterion"], good)
    answer = {
        "n_held": sum(frames.n_frames for frames in held.values()),
        "rows": [{**row, "good_enough": number in good, "chosen": number == chosen} for number, row in enumerate(rows)],
        "chosen_id": ids[chosen],
        "chosen_settings": rows[chosen]["settings"],
        "reason": reason(rows, chosen, good, parameters["criterion"], parameters["tolerance"]),
    }
    libraries = {name for made, _ in models for name in made.libraries}
    return answer, place.watch.made_by(versions_of(*sorted(libraries)))


def timing_frames(held: Mapping[str, LabelledFrames]) -> LabelledFrames:
    """Frames of the largest held-out system, repeated or cut to some `TIMED_ATOMS` atoms."""
    frames = max(held.values(), key=lambda one: (one.n_frames * one.n_atoms, one.n_atoms))
    return frames.select(np.resize(np.arange(frames.n_frames), max(2, TIMED_ATOMS // frames.n_atoms)))


def seconds_per_atom(
    models: Sequence[tuple[Engine, Path]],
    frames: LabelledFrames,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[float]:
    """Processor time of an evaluation per atom, s, of each potential.

    What many frames take more than one frame takes, so that loading does not count; the shortest of some rounds, in
    each of which all take their turn.

    Raises
    ------
    RefusedError
        If an evaluation of all frames did not take clearly longer than one of a single frame.
    """
    one, all_ = (np.full((ROUNDS, len(models)), np.inf) for _ in range(2))
    for round_ in range(ROUNDS):
        for number, (made, path) in enumerate(models):
            for times, some in ((one, frames.select([0])), (all_, frames)):
                start = time.process_time()
                made.evaluate(path, {"timed": some}, threads=1)
                times[round_, number] = time.process_time() - start
        progress(round_ + 1, ROUNDS)
    more = all_.min(axis=0) - one.min(axis=0)
    if (more <= 0.1 * all_.min(axis=0)).any():
        worst = int(np.argmin(more / all_.min(axis=0)))
        raise RefusedError(
            f"potential {worst + 1} of {len(models)} cannot be timed: {frames.n_frames} frames take it "
            f"{all_[:, worst].min():.3g} s, one frame {one[:, worst].min():.3g} s; run the job again"
        )
    return [float(seconds) for seconds in more / ((frames.n_frames - 1) * frames.n_atoms)]


def good_enough(rows: Sequence[Mapping[str, Any]], criterion: str, tolerance: float) -> list[int]:
    """Numbers of the rows whose error is within the tolerance of the smallest."""
    allowed = min(row[criterion] for row in rows) * (1 + tolerance)
    return [number for number, row in enumerate(rows) if row[criterion] <= allowed]


def choice(rows: Sequence[Mapping[str, Any]], criterion: str, good: Sequence[int]) -> int:
    """Number of the quickest of the good rows; of those that are about as quick, the one with the smallest error.

    Examples
    --------
    >>> rows = [{"e": 9.0, "time_us_per_atom": 1}, {"e": 5.1, "time_us_per_atom": 3}, {"e": 5.0, "time_us_per_atom": 9}]
    >>> choice(rows, "e", [1, 2]), choice(rows, "e", [2])
    (1, 2)
    """
    allowed = min(rows[number]["time_us_per_atom"] for number in good) * (1 + AS_QUICK)
    return min(
        (number for number in good if rows[number]["time_us_per_atom"] <= allowed),
        key=lambda number: (rows[number][criterion], number),
    )


def reason(
    rows: Sequence[Mapping[str, Any]], chosen: int, good: Sequence[int], criterion: str, tolerance: float
) -> str:
    """Why that row was chosen, in a sentence."""
    best = min(rows, key=lambda row: row[criterion])
    quantity, unit = _WORDS[criterion]
    row, settings = rows[chosen], settings_in_words(rows[chosen]["settings"])
    if len(good) == 1:
        return (
            f"{settings} has the smallest {quantity}, {row[criterion]:.4g} {unit}, and no other is within "
            f"{100 * tolerance:g} %"
        )
    return (
        f"{settings} is the quickest ({row['time_us_per_atom']:.3g} µs per atom and step) of {len(good)} whose "
        f"{quantity} is within {100 * tolerance:g} % of the smallest, {best[criterion]:.4g} {unit} "
        f"({settings_in_words(best['settings'])}); its own is {row[criterion]:.4g} {unit}"
    )
