"""The choice of a potential from a grid search: error on held-out labels against cost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.documents.base import Input, MadeBy
from lipsdb.documents.potential import Potential
from lipsdb.documents.property import PropertyAsked
from lipsdb.potentials.engines import engine
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Question, QuestionMaker, Workplace
from lipsdb.workflows.potential import split_frames

if TYPE_CHECKING:
    from lipsdb.potentials.engine import Engine
    from lipsdb.potentials.training_set import LabelledFrames

TIMED_ATOMS = 4000  # evaluated at once, so that what a call costs by itself does not count
REPEATS = 3
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
    """Time the potentials one after the other on the held-out frames, and choose.

    Notes
    -----
    The errors are those that stand with each potential. The cost is the time of energy, forces and virial per atom and
    step on one core of the machine that made this, the shortest of three evaluations of some thousand atoms; it
    compares within one answer only. As in the passive learning of doi 10.1039/d3ya00234a, where r_cut and the level
    were chosen from such a grid.
    """
    parameters = asked.parameters
    stored = [Potential.from_stored(place.database.find(link.id)) for link in inputs if link.role == "potential"]
    ids = [link.id for link in inputs if link.role == "potential"]
    _, held = split_frames(place.database, next(link.id for link in inputs if link.role == "dataset"))
    timed = timing_frames(held)
    rows = []
    for number, (id_, potential) in enumerate(zip(ids, stored, strict=True)):
        made = engine(potential.asked.engine)
        model = place.database.artifacts.save(potential.answer.model.sha256, place.folder / f"{number}.model")
        everything = next(one for one in potential.answer.errors if one.system == "all").model_dump()
        rows.append(
            {
                "potential_id": id_,
                "engine": potential.asked.engine,
                "settings": {key: potential.asked.settings[key] for key in parameters["over"]},
                **{name: everything[name] for name in _ERRORS},
                "time_us_per_atom": 1e6 * seconds_per_atom(made, model, timed),
                "training_core_s": place.database.find(id_)["made_by"]["core_seconds"],
            }
        )
        place.progress(number + 1, len(ids), "potentials")
    chosen = choice(rows, parameters["criterion"], parameters["tolerance"])
    answer = {
        "n_held": sum(frames.n_frames for frames in held.values()),
        "rows": [{**row, "chosen": number == chosen} for number, row in enumerate(rows)],
        "chosen_id": ids[chosen],
        "chosen_settings": rows[chosen]["settings"],
        "reason": reason(rows, chosen, parameters["criterion"], parameters["tolerance"]),
    }
    libraries = {name for potential in stored for name in engine(potential.asked.engine).libraries}
    return answer, place.watch.made_by(versions_of(*sorted(libraries)))


def timing_frames(held: Mapping[str, LabelledFrames]) -> LabelledFrames:
    """Frames of the largest held-out system, repeated or cut to some `TIMED_ATOMS` atoms."""
    frames = max(held.values(), key=lambda one: (one.n_frames * one.n_atoms, one.n_atoms))
    return frames.select(np.resize(np.arange(frames.n_frames), max(2, TIMED_ATOMS // frames.n_atoms)))


def seconds_per_atom(made: Engine, model: Path, frames: LabelledFrames) -> float:
    """Time of an evaluation per atom, s: what many frames take more than one frame takes, the shortest of three."""

    def seconds(some: LabelledFrames) -> float:
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            made.evaluate(model, {"timed": some}, threads=1)
            times.append(time.perf_counter() - start)
        return min(times)

    one, all_ = seconds(frames.select([0])), seconds(frames)
    return max(all_ - one, 1e-3 * all_) / ((frames.n_frames - 1) * frames.n_atoms)


def choice(rows: Sequence[Mapping[str, Any]], criterion: str, tolerance: float) -> int:
    """Number of the cheapest row whose error is within the tolerance of the smallest.

    Examples
    --------
    >>> rows = [{"e": 9.0, "time_us_per_atom": 1}, {"e": 5.1, "time_us_per_atom": 3}, {"e": 5.0, "time_us_per_atom": 9}]
    >>> choice(rows, "e", 0.05), choice(rows, "e", 0.0)
    (1, 2)
    """
    allowed = min(row[criterion] for row in rows) * (1 + tolerance)
    return min(
        (number for number, row in enumerate(rows) if row[criterion] <= allowed),
        key=lambda number: rows[number]["time_us_per_atom"],
    )


def reason(rows: Sequence[Mapping[str, Any]], chosen: int, criterion: str, tolerance: float) -> str:
    """Why that row was chosen, in a sentence."""
    best = min(rows, key=lambda row: row[criterion])
    quantity, unit = _WORDS[criterion]
    row, good = rows[chosen], [one for one in rows if one[criterion] <= best[criterion] * (1 + tolerance)]
    settings = _in_words(row["settings"])
    if len(good) == 1:
        return (
            f"{settings} has the smallest {quantity}, {row[criterion]:.4g} {unit}, and no other is within "
            f"{100 * tolerance:g} %"
        )
    others = _in_words(best["settings"])
    return (
        f"{settings} is the quickest ({row['time_us_per_atom']:.3g} µs per atom and step) of {len(good)} whose "
        f"{quantity} is within {100 * tolerance:g} % of the smallest, {best[criterion]:.4g} {unit} ({others}); "
        f"its own is {row[criterion]:.4g} {unit}"
    )


def _in_words(settings: Mapping[str, Any]) -> str:
    """Settings as a person writes them: 'cutoff 5 Å, level 14'."""
    words = []
    for key, value in settings.items():
        name, unit = (key.removesuffix("_A"), " Å") if key.endswith("_A") else (key, "")
        words.append(
            f"{name.replace('_', ' ')} {value:g}{unit}" if isinstance(value, float) else f"{name} {value}{unit}"
        )
    return ", ".join(words)
