"""Which potential of a grid search is chosen, and the reason that is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipsdb.errors import RefusedError
from lipsdb.potentials.prediction_errors import Predictions
from lipsdb.potentials.training_set import LabelledFrames
from lipsdb.workflows.potential_choice import choice, good_enough, reason, seconds_per_atom, timing_frames

ROWS = [
    {"settings": {"level": 8}, "force_mae_meV_per_A": 168.0, "time_us_per_atom": 8.0},
    {"settings": {"level": 12}, "force_mae_meV_per_A": 114.0, "time_us_per_atom": 19.0},
    {"settings": {"level": 14}, "force_mae_meV_per_A": 110.0, "time_us_per_atom": 31.0},
    {"settings": {"level": 16}, "force_mae_meV_per_A": 112.0, "time_us_per_atom": 55.0},
]


@pytest.mark.parametrize(("tolerance", "chosen"), [(0.0, 2), (0.03, 2), (0.05, 1), (0.6, 0)])
def test_the_quickest_within_the_tolerance_of_the_best_is_chosen(tolerance, chosen):
    criterion = "force_mae_meV_per_A"
    assert choice(ROWS, criterion, good_enough(ROWS, criterion, tolerance)) == chosen


def test_of_those_that_are_as_quick_the_one_with_the_smallest_error_is_chosen():
    rows = [
        {"e": error, "time_us_per_atom": time} for error, time in [(5.2, 1.0), (5.0, 1.05), (5.1, 0.98), (4.9, 1.2)]
    ]
    assert choice(rows, "e", [0, 1, 2, 3]) == 1


def test_the_reason_names_the_error_the_cost_and_the_best():
    assert reason(ROWS, 1, [1, 2, 3], "force_mae_meV_per_A", 0.05) == (
        "level 12 is the quickest (19 µs per atom and step) of 3 whose force MAE is within 5 % of the smallest, "
        "110 meV/Å (level 14); its own is 114 meV/Å"
    )
    assert reason(ROWS, 2, [2], "force_mae_meV_per_A", 0.0) == (
        "level 14 has the smallest force MAE, 110 meV/Å, and no other is within 0 %"
    )


def frames(n_frames: int, n_atoms: int) -> LabelledFrames:
    return LabelledFrames(
        np.full(n_atoms, 3),
        np.zeros((n_frames, n_atoms, 3)),
        np.ones((n_frames, 3, 3)),
        np.zeros(n_frames),
        np.zeros((n_frames, n_atoms, 3)),
    )


def test_thousands_of_atoms_of_the_largest_system_are_timed():
    timed = timing_frames({"small": frames(3, 8), "large": frames(30, 64), "single": frames(1, 100)})
    assert (timed.n_atoms, timed.n_frames) == (64, 62)
    assert timing_frames({"huge": frames(1, 9000)}).n_frames == 2


class Timed:
    """An engine whose evaluations take 5 s to load and so much for each atom, by a clock of its own."""

    def __init__(self, clock: list[float], seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def evaluate(self, model: Path, systems: dict[str, LabelledFrames], *, threads: int) -> dict[str, Predictions]:
        self.clock[0] += 5.0 + sum(self.seconds * one.n_frames * one.n_atoms for one in systems.values())
        return {}


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("lipsdb.workflows.potential_choice.time.process_time", lambda: now[0])
    return now


def test_what_a_call_costs_by_itself_does_not_count(clock):
    models = [(Timed(clock, seconds), Path("model")) for seconds in (2e-2, 5e-2)]
    assert seconds_per_atom(models, frames(20, 10)) == pytest.approx([2e-2, 5e-2])  # type: ignore[arg-type]


def test_what_takes_no_longer_than_loading_is_refused(clock):
    with pytest.raises(RefusedError, match="potential 1 of 1 cannot be timed: 20 frames take it 5 s, one frame 5 s"):
        seconds_per_atom([(Timed(clock, 1e-6), Path("model"))], frames(20, 10))  # type: ignore[list-item]
