"""Extrapolation grade of a moment tensor potential: how far atoms or frames are from its training data."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.active_set import TOLERANCE, ActiveSet, Mode, named, select_active
from lipsdb.potentials.mtp.checkpoint import write_atomically
from lipsdb.potentials.training_set import LabelledFrames, types_of

if TYPE_CHECKING:
    from lipsdb.potentials.engine import Grader
    from lipsdb.potentials.mtp.potential import MomentTensorPotential

FloatArray = NDArray[np.float64]

_FRAMES_A_THREAD = 8  # are handed out at once: their Jacobians wait in memory


def active_set(
    potential: MomentTensorPotential,
    systems: Mapping[str, LabelledFrames],
    mode: Mode = "neighbourhood",
    tolerance: float = TOLERANCE,
    *,
    threads: int = 1,
    on_frame: Callable[[], None] | None = None,
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
    threads : int
        The result is the same for any number.
    on_frame : callable, optional
        Called after each frame, four or five times for each.

    Returns
    -------
    ActiveSet

    Raises
    ------
    BadInputError
        If there is no frame, one with atoms on top of each other, or an element that the potential does not know.

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

    types = {name: types_of(frames.numbers, potential.elements, f"system {name!r}") for name, frames in systems.items()}
    which = [(name, index) for name, frames in systems.items() for index in range(frames.n_frames)]

    def one(frame: tuple[str, int]) -> FloatArray:
        name, index = frame
        found = _jacobian(potential, types[name], systems[name].positions[index], systems[name].cells[index])
        if not np.isfinite(found).all():
            raise BadInputError(
                f"frame {index} of {name!r} (counted from 0) has energies without a derivative: atoms are on top of "
                "each other; leave it out"
            )
        return found

    def jacobians() -> Iterator[FloatArray]:
        for found in _in_order(one, which, threads):
            yield found
            if on_frame is not None:
                on_frame()

    active, rows = select_active(jacobians, mode, tolerance)
    return named(active, rows, {name: (frames.n_frames, frames.n_atoms) for name, frames in systems.items()})


def _in_order(
    one: Callable[[tuple[str, int]], FloatArray], items: Sequence[tuple[str, int]], threads: int
) -> Iterator[FloatArray]:
    if threads <= 1:
        yield from map(one, items)
        return
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for part in range(0, len(items), _FRAMES_A_THREAD * threads):
            yield from pool.map(one, items[part : part + _FRAMES_A_THREAD * threads])


def keep_active_set(
    path: Path,
    model: Path,
    systems: Mapping[str, LabelledFrames],
    mode: Mode,
    *,
    threads: int = 1,
    on_frame: Callable[[], None] | None = None,
) -> None:
    """Choose the active set of the training data and write it to a file, unless it is there from before.

    Parameters
    ----------
    path : Path
        Where it is written. A note beside it tells which potential and mode it is of.
    model : Path
        The potential that was trained (.mtp).
    systems, mode, threads, on_frame
        As for `active_set`; the training data are not compared, as they belong to the potential.
    """
    from lipsdb.potentials.mtp.files import read_mtp

    note = path.with_suffix(".json")
    wanted = {"model": _sha256(model), "mode": mode}
    if path.exists() and note.exists():
        with contextlib.suppress(ValueError):
            if json.loads(note.read_text()) == {**wanted, "active_set": _sha256(path)}:
                return
    active_set(read_mtp(model), systems, mode, threads=threads, on_frame=on_frame).save(path)
    write_atomically(note, json.dumps({**wanted, "active_set": _sha256(path)}).encode())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
    types = types_of(numbers, potential.elements, "the frame")
    return _jacobian(potential, types, np.asarray(positions, dtype=np.float64), np.asarray(cell, dtype=np.float64))


def _jacobian(
    potential: MomentTensorPotential, types: NDArray[np.int64], positions: FloatArray, cell: FloatArray
) -> FloatArray:
    from lipsdb.potentials.mtp.atom_jacobian import atom_jacobian
    from lipsdb.potentials.mtp.neighbours import neighbour_list

    return atom_jacobian(potential, types, neighbour_list(positions, cell, potential.cutoff_A))
