"""Extrapolation grades along a run, written by the process that runs LAMMPS; `lipsdb.md.extrapolation` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import RefusedError

if TYPE_CHECKING:
    from lipsdb.md.external import GradeSource


class GradeWatch:
    """Evaluates the extrapolation grade now and then, and keeps frames that the potential should be trained on.

    Parameters
    ----------
    source : GradeSource
    symbols : sequence of str
        Of each atom.
    every : int
        Steps between evaluations.
    select_grade, break_grade : float
        Largest grades of an atom from which on a frame is kept, and from which on the run is to end; dimensionless.
    grade_file, selected_file : Path
        Where rows and frames are written; they are begun anew.
    """

    def __init__(
        self,
        source: GradeSource,
        symbols: Sequence[str],
        every: int,
        select_grade: float,
        break_grade: float,
        grade_file: Path,
        selected_file: Path,
    ) -> None:
        self._source, self._symbols, self._every = source, symbols, every
        self._select, self._break = select_grade, break_grade
        self._selected_file = selected_file
        self._rows: IO[str] = grade_file.open("w", encoding="ascii")
        selected_file.unlink(missing_ok=True)
        self._last_step = -1

    def due(self, step: int) -> bool:
        """Whether to look in this step: once, though LAMMPS computes the forces of some steps twice."""
        return step % self._every == 0 and step != self._last_step

    def look(self, step: int, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> bool:
        """Evaluate and write down; whether the run is to end.

        Raises
        ------
        RefusedError
            If a grade is not a number.
        """
        self._last_step = step
        grades = self._source.grades(positions, cell)
        atom = int(np.argmax(grades))
        largest = float(grades[atom])
        if np.isnan(largest):
            raise RefusedError(f"the extrapolation grade of atom {atom} is not a number at step {step}")
        selected = largest >= self._select
        if selected:
            self._keep(step, positions, cell, grades)
        # The row comes last: a frame without one is dropped.
        self._rows.write(f"{step} {largest!r} {atom} {int(selected)}\n")
        self._rows.flush()
        return largest >= self._break

    def close(self) -> None:
        """Close the file of rows."""
        self._rows.close()

    def _keep(
        self, step: int, positions: NDArray[np.float64], cell: NDArray[np.float64], grades: NDArray[np.float64]
    ) -> None:
        from ase import Atoms
        from ase.io import write

        atoms = Atoms(self._symbols, positions=positions, cell=cell, pbc=True)
        atoms.wrap()  # type: ignore[no-untyped-call]
        atoms.arrays["extrapolation_grade"] = grades
        atoms.info = {"step": step, "extrapolation_grade_max": float(grades.max())}
        write(self._selected_file, atoms, format="extxyz", append=True)
