"""Extrapolation grade of a moment tensor potential: how far atoms or frames are from its training data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.active_set import TOLERANCE, ActiveSet, Mode, named, select_active
from lipsdb.potentials.training_set import LabelledFrames

if TYPE_CHECKING:
    from lipsdb.potentials.engine import Grader
    from lipsdb.potentials.mtp.potential import MomentTensorPotential

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class FrameGrades:
    """Extrapolation grades of frames with the same atoms.

    Attributes
    ----------
    largest : (n_frames,) array
        Of any atom; in configuration mode of the frame as a whole.
    atoms : (n_frames, n_atoms) array or None
        Of each atom; None in configuration mode.
    """

    largest: FloatArray
    atoms: FloatArray | None


def active_set(
    potential: MomentTensorPotential,
    systems: Mapping[str, LabelledFrames],
    mode: Mode = "neighbourhood",
    tolerance: float = TOLERANCE,
) -> ActiveSet:
    """Choose the active set of the training data.

    Parameters
    ----------
    potential : MomentTensorPotential
        Trained: the derivatives depend on its parameters.
    systems : mapping of name to LabelledFrames
        What it was trained on; the labels are not used.
    mode : 'neighbourhood' or 'configuration'
        Grade atoms by the derivatives of their own energies, or frames by those of their total energies. The former
        sees a single strange atom in a large cell.
    tolerance : float
        Directions of parameter space with smaller singular values, relative to the largest, count as redundant.

    Returns
    -------
    ActiveSet

    Raises
    ------
    BadInputError
        If there is no frame, or an element that the potential does not know.

    Notes
    -----
    The grade is that of the cited works, on the derivatives with respect to all parameters, those of the radial
    functions among them. What `lipsdb.potentials.mtp.active_set.select_active` notes of redundant parameters, and of
    directions that the training data do not span, makes it differ from other programs: rank by it, don't read its
    magnitude. It belongs to this potential with these parameters and to no other.

    References
    ----------
    Podryabinkin and Shapeev, Comput. Mater. Sci. 140, 171 (2017), doi:10.1016/j.commatsci.2017.08.031, eq. 8.
    Novikov et al., Mach. Learn.: Sci. Technol. 2, 025002 (2021), doi:10.1088/2632-2153/abc9fe.
    """
    if mode not in {"neighbourhood", "configuration"}:
        raise BadInputError(f"mode {mode!r} of the grade is not known; use 'neighbourhood' or 'configuration'")

    def jacobians() -> Iterator[FloatArray]:
        for frames in systems.values():
            for positions, cell in zip(frames.positions, frames.cells, strict=True):
                yield jacobian(potential, frames.numbers, positions, cell)

    active, rows = select_active(jacobians, mode, tolerance)
    return named(active, rows, {name: (frames.n_frames, frames.n_atoms) for name, frames in systems.items()})


def grade_frames(
    potential: MomentTensorPotential, active: ActiveSet, numbers: ArrayLike, positions: ArrayLike, cells: ArrayLike
) -> FrameGrades:
    """Grade frames with the same atoms.

    Parameters
    ----------
    potential : MomentTensorPotential
        The one that the active set was made with.
    active : ActiveSet
    numbers : (n_atoms,) array
        Atomic numbers.
    positions : (n_frames, n_atoms, 3) array, Å
    cells : (n_frames, 3, 3) array, Å

    Returns
    -------
    FrameGrades

    Raises
    ------
    BadInputError
        If the potential does not know an element, or is not the one of the active set.
    """
    frames = zip(np.asarray(positions, dtype=np.float64), np.asarray(cells, dtype=np.float64), strict=True)
    found = [active.grades(active.rows(jacobian(potential, numbers, places, cell))) for places, cell in frames]
    largest = np.array([grades.max(initial=0.0) for grades in found])
    return FrameGrades(largest, np.array(found) if active.mode == "neighbourhood" else None)


def grader(model: Path, active_set: Path) -> Grader:
    """What gives the extrapolation grade of each atom, from the files of a potential and its active set.

    In configuration mode each atom gets the grade of its frame.
    """
    from lipsdb.potentials.mtp.files import read_mtp

    potential, active = read_mtp(model), ActiveSet.load(active_set)

    def grade(numbers: NDArray[np.int64], positions: FloatArray, cell: FloatArray) -> FloatArray:
        grades = active.grades(active.rows(jacobian(potential, numbers, positions, cell)))
        return np.broadcast_to(grades, np.shape(numbers)).copy()

    return grade


def jacobian(potential: MomentTensorPotential, numbers: ArrayLike, positions: ArrayLike, cell: ArrayLike) -> FloatArray:
    """Derivatives of the energy of each atom with respect to the parameters, (n_atoms, n_parameters).

    Raises
    ------
    BadInputError
        If the potential does not know an element.
    """
    from lipsdb.potentials.mtp.atom_jacobian import atom_jacobian
    from lipsdb.potentials.mtp.neighbours import neighbour_list

    neighbours = neighbour_list(
        np.asarray(positions, dtype=np.float64), np.asarray(cell, dtype=np.float64), potential.cutoff_A
    )
    return atom_jacobian(potential, _types(potential, np.asarray(numbers)), neighbours)


def _types(potential: MomentTensorPotential, numbers: NDArray[np.int64]) -> NDArray[np.int32]:
    from ase.data import atomic_numbers, chemical_symbols

    type_of = np.full(len(chemical_symbols), -1, dtype=np.int32)
    type_of[[atomic_numbers[element] for element in potential.elements]] = np.arange(len(potential.elements))
    types = type_of[numbers]
    if (types < 0).any():
        missing = chemical_symbols[int(numbers[types < 0][0])]
        raise BadInputError(
            f"there is {missing} among the atoms, but the potential knows {' '.join(potential.elements)}; leave such "
            "frames out"
        )
    return types
