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


#: A run keeps so many frames; beyond them only those with a larger grade than any before, which are few.
MOST_SELECTED = 1000


def outstanding_atom(grades: NDArray[np.float64]) -> int | None:
    """Index of the atom with the largest grade.

    Parameters
    ----------
    grades : (n_atoms,) array, dimensionless

    Returns
    -------
    int or None
        None where all have the same: in configuration mode each atom carries the grade of the frame, and symmetry can
        make all atoms alike.

    Examples
    --------
    >>> outstanding_atom(np.array([0.3, 2.5, 0.1]))
    1
    >>> outstanding_atom(np.array([2.5, 2.5, 2.5])) is None
    True
    """
    atom = int(np.argmax(grades))
    return None if len(grades) > 1 and bool((grades == grades[atom]).all()) else atom


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
    kept_before : int
        Frames that the processes before this one kept, where it continues a run.
    largest_before : float
        The largest grade that they met, dimensionless.
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
        kept_before: int = 0,
        largest_before: float = 0.0,
    ) -> None:
        self._source, self._symbols, self._every = source, symbols, every
        self._select, self._break = select_grade, break_grade
        self._selected_file = selected_file
        self._rows: IO[str] = grade_file.open("w", encoding="ascii")
        selected_file.unlink(missing_ok=True)
        self._last_step = -1
        self._n_kept, self._largest = kept_before, largest_before

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
        largest = float(grades.max())
        if np.isnan(largest):
            raise RefusedError(f"an extrapolation grade is not a number at step {step}")
        selected = largest >= self._select and (self._n_kept < MOST_SELECTED or largest > self._largest)
        self._largest = max(largest, self._largest)
        if selected:
            self._n_kept += 1
            self._keep(step, positions, cell, grades)
        atom = outstanding_atom(grades)
        # The row comes last: a frame without one is dropped.
        self._rows.write(f"{step} {largest!r} {-1 if atom is None else atom} {int(selected)}\n")
        self._rows.flush()
        return largest >= self._break

    def close(self) -> None:
        """Close the file of rows."""
        self._rows.close()

    def _keep(
        self, step: int, positions: NDArray[np.float64], cell: NDArray[np.float64], grades: NDArray[np.float64]
    ) -> None:
        # Not by ase.io: its import takes as long as many steps.
        fractional = positions @ np.linalg.inv(cell)
        wrapped = positions - np.floor(fractional + 1e-7) @ cell
        lattice = " ".join(repr(float(value)) for value in cell.ravel())
        with self._selected_file.open("a", encoding="utf-8") as stream:
            stream.write(
                f'{len(grades)}\nLattice="{lattice}" Properties=species:S:1:pos:R:3:extrapolation_grade:R:1 '
                f'step={step} extrapolation_grade_max={float(grades.max())!r} pbc="T T T"\n'
            )
            for symbol, (x, y, z), grade in zip(self._symbols, wrapped, grades, strict=True):
                stream.write(f"{symbol} {x:.8f} {y:.8f} {z:.8f} {grade:.8g}\n")
