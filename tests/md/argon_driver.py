"""Program that gives LAMMPS the forces of Lennard-Jones argon from Python: what a driver is at the least."""

from __future__ import annotations

import argparse
import os
import signal
import sys

import numpy as np
from vesin import NeighborList

from lipsdb.errors import LipsdbError
from lipsdb.md import grade_watch
from lipsdb.md.coupling import add_arguments, arguments_of
from lipsdb.md.external import run_script

EPSILON_eV, SIGMA_A, CUTOFF_A = 0.0104, 3.4, 7.0


class Argon:
    """``pair_style lj/smooth/linear``."""

    def __init__(self, fail_at: int, how: str) -> None:
        self.fail_at, self.how, self.calls = fail_at, how, 0

    def compute(self, positions, cell, rebuild=False):
        if self.calls == int(os.environ.get("ARGON_KILLED_AT", "-1")):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.calls == self.fail_at:
            fail(self.how)
        self.calls += 1
        centres, r, vectors = neighbours(positions, cell)
        at_cutoff, slope_at_cutoff = lennard_jones(CUTOFF_A)
        energy, slope = lennard_jones(r)
        energy -= at_cutoff + (r - CUTOFF_A) * slope_at_cutoff
        pull = ((slope - slope_at_cutoff) / r)[:, None] * vectors
        n = len(positions)
        forces = np.array([np.bincount(centres, column, n) for column in pull.T]).T
        return 0.5 * np.bincount(centres, energy, n), forces, -0.5 * pull.T @ vectors


def fail(how: str) -> None:
    if how == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
    raise {"disk": OSError(28, "No space left"), "code": ZeroDivisionError("no forces\nto be had")}[how]


def neighbours(positions, cell):
    """Centres, distances and vectors of all pairs."""
    found = NeighborList(cutoff=CUTOFF_A, full_list=True, sorted=True).compute(positions, cell, True, "idD")
    return found[0].astype(int), found[1], found[2]


def lennard_jones(r):
    x = (SIGMA_A / r) ** 6
    return 4 * EPSILON_eV * (x**2 - x), -24 * EPSILON_eV * (2 * x**2 - x) / r


class Nearness:
    """A stand-in for grades: 1 at the distance of neighbours at rest, more for atoms that come nearer."""

    def grades(self, positions, cell):
        centres, r, _ = neighbours(positions, cell)
        nearest = np.full(len(positions), CUTOFF_A)
        np.minimum.at(nearest, centres, r)
        return (3.75 / nearest) ** 10


class Jump:
    """Grades of whole configurations: 0.5, and 100 from one of the looks on."""

    def __init__(self, at: int) -> None:
        self.at, self.looks = at, -1

    def grades(self, positions, cell):
        self.looks += 1
        return np.full(len(positions), 0.5 if self.looks < self.at else 100.0)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fail-at", type=int, default=-1)
    parser.add_argument("--fail-by", default="code")
    parser.add_argument("--grades", action="store_true")
    parser.add_argument("--jump-at", type=int, default=-1)
    parser.add_argument("--most-selected", type=int, default=grade_watch.MOST_SELECTED)
    add_arguments(parser)
    asked = parser.parse_args()
    grade_watch.MOST_SELECTED = asked.most_selected
    source = Jump(asked.jump_at) if asked.jump_at >= 0 else Nearness() if asked.grades else None
    grades = None if source is None else lambda _: source
    try:
        run_script(arguments_of(asked), ["Kr", "Ar"], lambda _: Argon(asked.fail_at, asked.fail_by), grades)
    except LipsdbError as error:
        print(f"ERROR: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
