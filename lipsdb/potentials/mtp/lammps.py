"""LAMMPS with the forces of a moment tensor potential: ``python -m lipsdb.potentials.mtp.lammps MODEL … -in … -log …``.

`lipsdb.potentials.mtp.coupling` says when it runs in place of ``lmp``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import BadInputError, LipsdbError
from lipsdb.md.coupling import DriverArguments, add_arguments, arguments_of
from lipsdb.md.external import ForceSource, GradeSource, run_script

if TYPE_CHECKING:
    from lipsdb.potentials.engine import Grader

#: Radius of the neighbour list beyond the cutoff (Å): a longer one is made anew less often, but has more pairs.
SKIN_A = 1.0

#: Makes a source of forces from a model file, the elements of LAMMPS' types, the types of the atoms, and threads.
ForcesOf = Callable[[Path, Sequence[str], NDArray[np.int64], int], ForceSource]


def kernel_forces(model: Path, elements: Sequence[str], types: NDArray[np.int64], threads: int) -> ForceSource:
    """Forces by lipsdb's own kernel."""
    from lipsdb.potentials.mtp.files import read_mtp
    from lipsdb.potentials.mtp.kernel import ForceField

    potential = read_mtp(model)
    if unknown := set(elements) - set(potential.elements):
        raise BadInputError(
            f"{model.name} knows {' '.join(potential.elements)} (its potential_tag), but LAMMPS' types are "
            f"{' '.join(elements)}, with {' '.join(sorted(unknown))}; name the elements of the potential, or correct "
            "the tag"
        )
    own = np.array([potential.elements.index(element) for element in elements])
    return ForceField(potential, own[types], threads=threads, skin_A=SKIN_A)


@dataclass(frozen=True)
class ActiveSetGrades:
    """Extrapolation grades against the active set of the training data."""

    grader: Grader
    numbers: NDArray[np.int64]

    def grades(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of each atom, dimensionless."""
        return self.grader(self.numbers, positions, cell)


def active_set_grades(model: Path, active_set: Path, elements: Sequence[str], types: NDArray[np.int64]) -> GradeSource:
    """Grades by a stored active set."""
    from ase.data import atomic_numbers

    from lipsdb.potentials.mtp.grade import grader

    numbers = np.array([atomic_numbers[element] for element in elements], dtype=np.int64)[types]
    return ActiveSetGrades(grader(model, active_set), numbers)


def main(words: Sequence[str] | None = None, forces_of: ForcesOf = kernel_forces) -> int:
    """Run LAMMPS on a script; the exit status.

    Parameters
    ----------
    words : sequence of str, optional
        Command line, by default that of this process.
    forces_of : callable
        Where forces come from; another one than lipsdb's kernel is for comparison.
    """
    parser = argparse.ArgumentParser(prog="lipsdb.potentials.mtp.lammps", description=__doc__)
    parser.add_argument("model", type=Path, help="the potential (.mtp)")
    parser.add_argument("--elements", nargs="+", required=True, help="symbols of LAMMPS' atom types, in order")
    parser.add_argument("--active-set", type=Path, default=None, help="active set, for extrapolation grades")
    add_arguments(parser)
    asked = parser.parse_args(words)
    arguments: DriverArguments = arguments_of(asked)

    def forces(types: NDArray[np.int64]) -> ForceSource:
        return forces_of(asked.model, asked.elements, types, arguments.threads)

    def grades(types: NDArray[np.int64]) -> GradeSource:
        return active_set_grades(asked.model, asked.active_set, asked.elements, types)

    try:
        run_script(arguments, asked.elements, forces, grades if asked.active_set is not None else None)
    except LipsdbError as error:
        sys.stdout.flush()
        print(f"ERROR: {error}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
