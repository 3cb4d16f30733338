"""Active set of a moment tensor potential: the rows of a Jacobian of largest volume, and grades against them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.checkpoint import write_atomically

FloatArray = NDArray[np.float64]
Mode = Literal["neighbourhood", "configuration"]
#: Gives the Jacobian of each frame, (n_atoms, n_parameters), every time that it is called, in the same order.
Jacobians = Callable[[], Iterable[FloatArray]]
_Candidates = tuple[FloatArray, NDArray[np.int64]]  # rows that may come to be active, and which they are

TOLERANCE = 1e-6  # of singular values, relative to the largest
CONVERGED = 1e-3  # grades of the training data may exceed 1 by so much
_BLOCK_ROWS = 2048
_NEVER_SEEN = 1e-12  # a column with less, relative to the largest, is zero
_NEAR = 0.7  # rows graded above this may come to be active: they are kept, which saves passes over the whole data
_MOST_CANDIDATES = 20_000
_START = 1e-3  # rows that MaxVol starts with where it has none of the data, relative to the root mean square


@dataclass(frozen=True, eq=False)
class ActiveSet:
    """Rows of the training data that span the others, and what grades need of them.

    Attributes
    ----------
    mode : 'neighbourhood' or 'configuration'
        Whether rows are atoms or frames.
    matrix : (n_parameters, rank) array
        Grades within the span of the training data are the largest ``abs(row @ matrix)``.
    outside : (n_parameters, n_outside) array
        Grades outside of it are the norms of ``row @ outside``.
    systems, frames, atoms : (rank,) arrays
        Which the active rows are: name of the system, index of the frame in it, index of the atom (−1 for a frame).
    singular_values : (rank,) array
        Of the Jacobian with columns of unit root mean square, those kept, relative to the largest.
    n_rows : int
        Rows of the training data.
    tolerance : float
        Singular values below this, relative to the largest, were not kept.
    """

    mode: Mode
    matrix: FloatArray
    outside: FloatArray
    systems: NDArray[np.str_]
    frames: NDArray[np.int64]
    atoms: NDArray[np.int64]
    singular_values: FloatArray
    n_rows: int
    tolerance: float

    @property
    def rank(self) -> int:
        """Number of active rows."""
        return int(self.matrix.shape[1])

    @property
    def n_parameters(self) -> int:
        """Number of parameters of the potential."""
        return int(self.matrix.shape[0])

    def rows(self, jacobian: FloatArray) -> FloatArray:
        """Rows that are graded of one frame: its atoms, (n_atoms, n_parameters), or their sum, (1, n_parameters)."""
        return _rows(self.mode, jacobian)

    def grades(self, rows: ArrayLike) -> FloatArray:
        """Extrapolation grades of rows of a Jacobian.

        Parameters
        ----------
        rows : (n_rows, n_parameters) array
            Derivatives of the energies of atoms (of frames in configuration mode) with respect to the parameters.

        Returns
        -------
        (n_rows,) array
            At most 1 (and a thousandth) for the training data; the larger, the further from them.

        Raises
        ------
        BadInputError
            If the rows are not of so many parameters.
        """
        rows = np.asarray(rows, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.n_parameters:
            raise BadInputError(
                f"Jacobian of shape {rows.shape}, but the active set is of a potential with {self.n_parameters} "
                "parameters; give the potential that it was made with"
            )
        within: FloatArray = np.abs(rows @ self.matrix).max(axis=1, initial=0.0)
        if not self.outside.shape[1]:
            return within
        beyond: FloatArray = np.linalg.norm(rows @ self.outside, axis=1)
        return np.asarray(np.maximum(within, beyond))

    def save(self, path: str | Path) -> None:
        """Write it to an npz file, as a whole or not at all; the same active set gives the same bytes."""
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **{field.name: getattr(self, field.name) for field in fields(self)})
        write_atomically(Path(path), content.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> ActiveSet:
        """Read it from an npz file.

        Raises
        ------
        BadInputError
            If there is no such file, or it is none of ours.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                found = {field.name: file[field.name] for field in fields(cls)}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise BadInputError(f"{path} is no active set ({error}); give an active-set.npz of lipsdb") from error
        scalars = {"mode": str(found["mode"]), "n_rows": int(found["n_rows"]), "tolerance": float(found["tolerance"])}
        return cls(**(found | scalars))


@dataclass(frozen=True)
class _Span:
    """Directions of parameter space that rows span, for columns divided by `scale`.

    `whiten` (n_parameters, rank) takes rows to coordinates of unit root mean square; `beyond`, orthonormal columns, is
    what no training atom has, `between` what training atoms have but training frames, in configuration mode, do not.
    """

    n_rows: int
    scale: FloatArray
    singular_values: FloatArray
    whiten: FloatArray
    between: FloatArray
    beyond: FloatArray


def select_active(
    jacobians: Jacobians, mode: Mode, tolerance: float = TOLERANCE
) -> tuple[ActiveSet, NDArray[np.int64]]:
    """Active set of the frames with these Jacobians, and which rows it is of.

    Parameters
    ----------
    jacobians : callable
        Gives the Jacobian of each frame, (n_atoms, n_parameters). It is called once for the span, and then until all
        is graded at most 1, three or four times, so that the Jacobian of a large training set need not fit in memory.
    mode : 'neighbourhood' or 'configuration'
    tolerance : float
        Of singular values.

    Returns
    -------
    active, rows : ActiveSet, (rank,) array
        Rows are counted over all frames; `systems`, `frames` and `atoms` of the active set are still to be told.

    Raises
    ------
    BadInputError
        If there is no frame.

    Notes
    -----
    With columns of the Jacobian B divided by their root mean square and the singular value decomposition
    B = U S Vᵀ (of the triangular factor of B, which is updated block by block), only directions with singular values
    above the tolerance times the largest are kept: those below are redundant parameters (a radial function can be
    scaled against the moments that it stands in), which would make every square submatrix singular. Among the rows of
    B V, MaxVol looks for a square submatrix A of large volume, so that c of c A = b has no element beyond ±1 for any
    training row b; the grade of any row is then the largest ``abs(c)``. Replacing an active row by a row with
    grade γ multiplies ``abs(det(A))`` by γ.

    What lies outside of the span has no such grade. It counts as if the active set had a row there, too, as long as
    what training data could have there without being noticed: the tolerance times the root-mean-square norm of rows, or
    the largest that any training row has. So a direction that no training datum excites, such as a pair of elements
    that is not among them, gives grades of about the inverse of the tolerance. In configuration mode there may be fewer
    frames than parameters. Then directions that atoms of the training frames excite, but no frame as a
    whole, are measured by how far an active frame lies from the span of the others (the median).
    """
    span = _span(jacobians, mode, tolerance)
    inverse, rows, between, beyond = _maxvol(jacobians, mode, span)
    kept = span.whiten @ inverse
    alone = np.linalg.norm(kept * span.scale[:, None], axis=0)
    n_parameters = len(span.scale)
    between = max(between, float(np.median(1.0 / alone)))
    beyond = max(beyond, tolerance * n_parameters**0.5)
    outside = np.hstack([span.between / between, span.beyond / beyond]) / span.scale[:, None]
    active = ActiveSet(
        mode=mode,
        matrix=kept,
        outside=outside,
        systems=np.full(len(rows), ""),
        frames=np.full(len(rows), -1),
        atoms=np.full(len(rows), -1),
        singular_values=span.singular_values,
        n_rows=span.n_rows,
        tolerance=tolerance,
    )
    return active, rows


def named(active: ActiveSet, rows: NDArray[np.int64], systems: dict[str, tuple[int, int]]) -> ActiveSet:
    """Tell of which systems, frames and atoms the active rows are.

    Parameters
    ----------
    active : ActiveSet
    rows : (rank,) array
        As `select_active` counts them.
    systems : dict of name to (n_frames, n_atoms)
        In the order of the Jacobians.
    """
    per_frame = [n_atoms if active.mode == "neighbourhood" else 1 for _, n_atoms in systems.values()]
    ends = np.cumsum([n_frames * n for (n_frames, _), n in zip(systems.values(), per_frame, strict=True)])
    which = np.searchsorted(ends, rows, side="right")
    within = rows - np.concatenate([[0], ends])[which]
    frames, atoms = np.divmod(within, np.array(per_frame)[which])
    return replace(
        active,
        systems=np.array(list(systems))[which],
        frames=frames,
        atoms=atoms if active.mode == "neighbourhood" else np.full(len(rows), -1),
    )


def _rows(mode: Mode, jacobian: FloatArray) -> FloatArray:
    return jacobian if mode == "neighbourhood" else jacobian.sum(axis=0, keepdims=True)


def _blocks(jacobians: Iterable[FloatArray]) -> Iterator[FloatArray]:
    """Jacobians put together to blocks that are large enough for dense linear algebra."""
    waiting: list[FloatArray] = []
    n_rows = 0
    for jacobian in jacobians:
        waiting.append(jacobian)
        n_rows += len(jacobian)
        if n_rows >= _BLOCK_ROWS:
            yield np.concatenate(waiting)
            waiting, n_rows = [], 0
    if waiting:
        yield np.concatenate(waiting)


def _span(jacobians: Jacobians, mode: Mode, tolerance: float) -> _Span:
    atoms = frames = None
    n_rows = 0
    for block, sums in _with_sums(jacobians(), mode):
        atoms = np.linalg.qr(block if atoms is None else np.vstack([atoms, block]), mode="r")
        if mode == "configuration":
            frames = np.linalg.qr(sums if frames is None else np.vstack([frames, sums]), mode="r")
        n_rows += len(sums)
    if atoms is None:
        raise BadInputError("no frame to choose an active set from; give at least one")
    factor = atoms if frames is None else frames
    scale = np.linalg.norm(factor, axis=0) / n_rows**0.5
    seen = scale > _NEVER_SEEN * scale.max()
    scale = np.where(seen, scale, np.median(scale[seen]))
    kept, values, others = _directions(factor / scale, tolerance)
    beyond, between = others, others[:, :0]
    if frames is not None:
        # both within `others`: where the frames extend, however little, they have grades of their own
        left, shared, _ = np.linalg.svd(others.T @ _directions(atoms / scale, tolerance)[2])
        beyond, between = np.split(others @ left, [np.count_nonzero(shared > 0.5)], axis=1)
    whiten = kept * (n_rows**0.5 / values) / scale[:, None]
    return _Span(n_rows, scale, values / values[0], whiten, between, beyond)


def _with_sums(jacobians: Iterable[FloatArray], mode: Mode) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Blocks of atoms, and the rows of their mode."""
    if mode == "neighbourhood":
        yield from ((block, block) for block in _blocks(jacobians))
        return
    sums: list[FloatArray] = []

    def noted() -> Iterator[FloatArray]:
        for jacobian in jacobians:
            sums.append(_rows(mode, jacobian))
            yield jacobian

    for block in _blocks(noted()):
        yield block, np.concatenate(sums)
        sums.clear()


def _directions(factor: FloatArray, tolerance: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Directions in which rows extend and their singular values, and the directions in which they do not."""
    _, values, directions = np.linalg.svd(factor)
    rank = np.count_nonzero(values > tolerance * values[0])
    return directions[:rank].T, values[:rank], directions[rank:].T


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Active rows in whitened coordinates, (rank, rank), and which rows of the data they are; −1 is none of them."""

    rows: FloatArray
    indices: NDArray[np.int64]

    @cached_property
    def inverse(self) -> FloatArray:
        return np.asarray(np.linalg.inv(self.rows), dtype=np.float64)

    def grades(self, rows: FloatArray) -> FloatArray:
        return np.asarray(np.abs(rows @ self.inverse).max(axis=1, initial=0.0))

    def exchanged(self, rows: FloatArray, indices: NDArray[np.int64]) -> _Chosen:
        """Take in rows that enlarge the volume, by motep's MaxVol: from a pivoted QR if none is of the data yet."""
        from motep.grade.maxvol import InitMethod, MaxVol  # type: ignore[import-untyped,unused-ignore]

        start = InitMethod.QR if (self.indices < 0).all() else InitMethod.FIRST
        all_rows = np.vstack([self.rows, rows])
        kept = MaxVol(init_method=start, threshold=CONVERGED / 2).run(all_rows).indices
        return _Chosen(all_rows[kept], np.concatenate([self.indices, indices])[kept])


def _maxvol(jacobians: Jacobians, mode: Mode, span: _Span) -> tuple[FloatArray, NDArray[np.int64], float, float]:
    """Inverse of the active rows (in whitened coordinates), which they are, and the largest rows between and beyond."""
    rank = span.whiten.shape[1]
    # Small rows that are no data make a start that is never singular. In whitened coordinates some row of the data
    # exceeds each direction's root mean square, so that none of these is left when no row is graded above 1.
    chosen = _Chosen(_START * np.eye(rank), np.full(rank, -1))
    candidates: list[_Candidates] = []
    between = beyond = 0.0
    converged = False
    while not converged:
        converged, first = True, 0
        for block in _blocks(_rows(mode, jacobian) for jacobian in jacobians()):
            whitened = block @ span.whiten
            indices = np.arange(first, first + len(block))
            grades = chosen.grades(whitened)
            if (grades > 1 + CONVERGED).any():
                converged = False
                chosen = _settled(chosen, whitened, indices)
                grades = chosen.grades(whitened)
            near = grades > _NEAR
            candidates.append((whitened[near], indices[near]))
            if sum(len(kept) for _, kept in candidates) > _MOST_CANDIDATES:
                candidates = [_nearest(chosen, candidates)]
            scaled = block / span.scale
            between = max(between, _largest_norm(scaled @ span.between))
            beyond = max(beyond, _largest_norm(scaled @ span.beyond))
            first += len(block)
        if not converged:
            candidates = [_nearest(chosen, candidates)]
            chosen = _settled(chosen, *candidates[0])
    order = np.argsort(chosen.indices)
    inverse = np.asarray(np.linalg.inv(chosen.rows[order]), dtype=np.float64)
    return inverse, chosen.indices[order], between, beyond


def _settled(chosen: _Chosen, rows: FloatArray, indices: NDArray[np.int64]) -> _Chosen:
    """Exchange rows until none of these is graded above 1."""
    while (above := chosen.grades(rows) > 1 + CONVERGED).any():
        chosen = chosen.exchanged(rows[above], indices[above])
    return chosen


def _nearest(chosen: _Chosen, candidates: list[_Candidates]) -> _Candidates:
    """Put candidates together, each once; of too many, those with the largest grades."""
    rows, indices = (np.concatenate(parts) for parts in zip(*candidates, strict=True))
    indices, once = np.unique(indices, return_index=True)
    best = np.argsort(-chosen.grades(rows[once]), kind="stable")[: _MOST_CANDIDATES // 2]
    return rows[once[best]], indices[best]


def _largest_norm(rows: FloatArray) -> float:
    return float(np.linalg.norm(rows, axis=1).max(initial=0.0))
