"""Labelled frames as they are read, whatever the format, and the gates that they must pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from lipsdb.documents.level_of_theory import LevelOfTheoryAsked
from lipsdb.errors import BadInputError, RefusedError
from lipsdb.structures.distances import closest_pairs_below, least_heights

MINIMUM_DISTANCE_A = 0.4


@dataclass(frozen=True)
class Frames:
    """Labelled frames of one file or folder; all have the same atoms in the same order."""

    numbers: np.ndarray  # (n_atoms,)
    positions: np.ndarray  # (n_frames, n_atoms, 3) Å
    cells: np.ndarray  # (n_frames, 3, 3) Å
    energies: np.ndarray  # (n_frames,) eV
    forces: np.ndarray  # (n_frames, n_atoms, 3) eV/Å
    virials: np.ndarray | None  # (n_frames, 3, 3) eV, W = −dE/dε
    converged: np.ndarray | None = None  # (n_frames,) bool: whether the SCF of each converged; None if not told
    places: np.ndarray | None = None  # (n_frames,) index of each in its file; None if they are all in order

    @property
    def indices(self) -> np.ndarray:
        """Index of each frame in its file, (n_frames,)."""
        return np.arange(len(self.energies)) if self.places is None else self.places

    @cached_property
    def largest_forces(self) -> np.ndarray:
        """Largest force on an atom in each frame, (n_frames,) eV/Å."""
        return np.asarray(np.sqrt((self.forces**2).sum(axis=2).max(axis=1)))

    def select(self, chosen: np.ndarray) -> Frames:
        """Frames chosen by a mask or by positions in these arrays."""
        return replace(
            self,
            positions=self.positions[chosen],
            cells=self.cells[chosen],
            energies=self.energies[chosen],
            forces=self.forces[chosen],
            virials=None if self.virials is None else self.virials[chosen],
            converged=None if self.converged is None else self.converged[chosen],
            places=self.indices[chosen],
        )


@dataclass(frozen=True)
class Fault:
    """Why a frame is refused."""

    frame: int  # index in its file
    gate: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """What a file holds: its frames, by their atoms, and those that cannot be labels as they stand."""

    frames: list[Frames]
    faults: list[Fault] = field(default_factory=list)
    #: Raises RefusedError if the file says that it was made at another level of theory; None if it does not tell.
    check_level: Callable[[LevelOfTheoryAsked], None] | None = None

    @property
    def n_frames(self) -> int:
        """Frames in the file, those at fault among them."""
        return sum(len(part.energies) for part in self.frames) + len(self.faults)


@dataclass(frozen=True)
class Frame:
    """One labelled frame, before it is put together with the others of its file."""

    numbers: np.ndarray  # (n_atoms,)
    positions: np.ndarray  # (n_atoms, 3) Å
    cell: np.ndarray  # (3, 3) Å
    energy: float  # eV
    forces: np.ndarray  # (n_atoms, 3) eV/Å
    virial: np.ndarray | None  # (3, 3) eV, W = −dE/dε
    converged: bool | None = None


def refuse_other_code(code: str, level: LevelOfTheoryAsked) -> None:
    """Refuse a file of one DFT code at a level of theory of another one.

    Raises
    ------
    RefusedError
        Its `gate` is 'level'.
    """
    if level.code not in (code, None):
        raise RefusedError(
            f"the file is of {code}, the level of theory {level.name} of {level.code}; name the level that made the "
            "file",
            "level",
        )


def reading_of(
    frames: Sequence[Frame | Fault], check_level: Callable[[LevelOfTheoryAsked], None] | None = None
) -> Reading:
    """Put the frames of a file together by their atoms; frames with and without a virial stay apart.

    Parameters
    ----------
    frames : sequence
        In the order of the file; the index of each is its place there.
    check_level : callable, optional
        As in `Reading`.
    """
    groups: dict[tuple[bytes, bool, bool], list[int]] = {}
    for place, frame in enumerate(frames):
        if isinstance(frame, Frame):
            kind = (
                np.asarray(frame.numbers, dtype="u1").tobytes(),
                frame.virial is None,
                frame.converged is None,
            )
            groups.setdefault(kind, []).append(place)

    def stacked(places: list[int]) -> Frames:
        chosen = [frame for frame in map(frames.__getitem__, places) if isinstance(frame, Frame)]

        def rows(name: str) -> np.ndarray:
            return np.array([getattr(frame, name) for frame in chosen], dtype=np.float64)

        return Frames(
            numbers=np.asarray(chosen[0].numbers, dtype="u1"),
            positions=rows("positions"),
            cells=rows("cell"),
            energies=rows("energy"),
            forces=rows("forces"),
            virials=None if chosen[0].virial is None else rows("virial"),
            converged=None if chosen[0].converged is None else rows("converged").astype(bool),
            places=np.array(places),
        )

    faults = [frame for frame in frames if isinstance(frame, Fault)]
    return Reading([stacked(places) for places in groups.values()], faults, check_level)


# A gate gives, for the frames that passed those before it, a mask of the bad ones and the reason for one of them.
_Verdict = tuple[np.ndarray, Callable[[int], str]]


def _finite_gates(frames: Frames) -> list[Callable[[Frames], _Verdict]]:
    names = {"coord": "positions", "box": "cells", "energy": "energies", "force": "forces"}
    if frames.virials is not None:
        names["virial"] = "virials"

    def gate(name: str, field_: str) -> Callable[[Frames], _Verdict]:
        def verdict(some: Frames) -> _Verdict:
            array = getattr(some, field_)
            bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
            return bad, lambda at: f"{name} of frame {some.indices[at]} is not finite"

        return verdict

    return [gate(name, field_) for name, field_ in names.items()]


def _convergence_gate(frames: Frames) -> _Verdict:
    bad = np.zeros(len(frames.energies), dtype=bool) if frames.converged is None else ~frames.converged
    return (
        bad,
        lambda at: (
            f"the SCF of frame {frames.indices[at]} did not converge; "
            "repeat the calculation with more electronic steps or another mixing"
        ),
    )


def _volume_gate(frames: Frames) -> _Verdict:
    bad = np.abs(np.linalg.det(frames.cells)) < 1e-3
    return bad, lambda at: f"box of frame {frames.indices[at]} has no volume; periodic cells are needed"


def _thickness_gate(frames: Frames) -> _Verdict:
    thickness = least_heights(frames.cells)
    return (
        thickness < 2 * MINIMUM_DISTANCE_A,
        lambda at: (
            f"box of frame {frames.indices[at]} is {thickness[at]:.2f} Å thin; "
            f"at least {2 * MINIMUM_DISTANCE_A} Å is expected"
        ),
    )


def _force_gate(limit_eV_A: float) -> Callable[[Frames], _Verdict]:
    def verdict(frames: Frames) -> _Verdict:
        largest = frames.largest_forces
        return (
            largest > limit_eV_A,
            lambda at: (
                f"frame {frames.indices[at]} has a force of {largest[at]:.1f} eV/Å, above the limit of "
                f"{limit_eV_A:g} eV/Å (--force-limit)"
            ),
        )

    return verdict


def _distance_gate(frames: Frames) -> _Verdict:
    shortest = closest_pairs_below(frames.positions, frames.cells, MINIMUM_DISTANCE_A)
    return (
        np.isfinite(shortest),
        lambda at: (
            f"frame {frames.indices[at]} has atoms {shortest[at]:.2f} Å apart; "
            f"at least {MINIMUM_DISTANCE_A} Å is expected"
        ),
    )


def sift_frames(frames: Frames, force_limit_eV_A: float) -> tuple[Frames, list[Fault]]:
    """Separate the frames that can be right from those that cannot.

    Parameters
    ----------
    frames : Frames
    force_limit_eV_A : float
        Largest force on an atom that is allowed, eV/Å.

    Returns
    -------
    good, faults : tuple
        A frame is at fault for an SCF that did not converge (gate 'scf'), NaN or infinite numbers ('finite'), a flat or
        very thin cell or atoms closer than 0.4 Å ('structure'), or a force above the limit ('size'): the first of
        these. The faults come gate by gate.
    """
    gates = [
        ("scf", _convergence_gate),
        *(("finite", gate) for gate in _finite_gates(frames)),
        ("structure", _volume_gate),
        ("structure", _thickness_gate),
        ("size", _force_gate(force_limit_eV_A)),
        ("structure", _distance_gate),
    ]
    faults: list[Fault] = []
    for name, gate in gates:
        bad, reason = gate(frames)
        if bad.any():
            faults += [Fault(int(frames.indices[at]), name, reason(at)) for at in np.flatnonzero(bad).tolist()]
            frames = frames.select(~bad)
        if not len(frames.energies):
            break
    return frames, faults


def check_frames(frames: Frames, force_limit_eV_A: float) -> Fault | None:
    """The fault for which frames are refused as a whole: the first of `sift_frames`, with how many share it."""
    _, faults = sift_frames(frames, force_limit_eV_A)
    if not faults:
        return None
    first = faults[0]
    n_such = sum(fault.gate == first.gate for fault in faults)
    return replace(first, reason=f"{first.reason} ({n_such} such frames)") if n_such > 1 else first


def element_numbers(symbols: Sequence[str], where: str) -> np.ndarray:
    """Atomic numbers of chemical symbols, (n,).

    Raises
    ------
    BadInputError
        For a symbol that is no element; names it and `where` it stands.
    """
    from ase.data import atomic_numbers

    unknown = [symbol for symbol in symbols if symbol not in atomic_numbers or symbol == "X"]
    if unknown:
        raise BadInputError(f"{where} names {unknown[0]!r}, which is no element")
    return np.array([atomic_numbers[symbol] for symbol in symbols], dtype="u1")
