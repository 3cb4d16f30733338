"""Labelled frames packed for the training kernel: atoms of one type side by side, eight in a block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.neighbours import Neighbours, neighbour_list
from lipsdb.potentials.mtp.simd import WIDTH
from lipsdb.potentials.training_set import LabelledFrames, types_of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_ATOMS_IN_CHUNK = 512  # enough to find atoms of like surroundings, few enough to share the work among threads
_NO_VECTORS, _NO_ATOMS = np.empty(0), np.empty((0, WIDTH), dtype=np.int32)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Labelled frames with their neighbours, as `training_data` packs them.

    Attributes
    ----------
    elements : tuple of str
        Type t is elements[t].
    cutoff_A : float
        Neighbours up to here, Å.
    energies : (n_frames,) array, eV
    forces : (n_atoms, 3) array, eV/Å
        Of the atoms of all frames, one frame after the other.
    virials : (n_frames, 3, 3) array, eV
        -dE/dε, symmetric; zero where `has_virial` is False.
    has_virial : (n_frames,) bool array
    first_atom : (n_frames + 1,) array
        Frame f has the atoms first_atom[f] … first_atom[f + 1] - 1.
    chunk_frames, chunk_blocks : (n_chunks + 1,) arrays
        First frame and first block of each chunk; the frames of a chunk are computed together.
    block_types : (n_blocks,) array
        Type of the atoms of each block.
    block_atoms : (n_blocks, 8) int32 array
        Atom of each lane, counted from the first of its chunk; the number of atoms of the chunk for an empty lane.
    block_frames : (n_blocks, 8) int32 array
        Frame of each lane, counted from the first of its chunk; the number of frames for an empty lane.
    block_slots : (n_blocks, n_types + 1) array
        First slot of the neighbours of each type, and the end.
    vectors : (n_slots * 3 * 8,) array, Å
        x of eight atoms to their neighbours in the slot, then y, then z; (cutoff, 0, 0) where an atom has no neighbour.
    slot_atoms : (n_slots, 8) int32 array
        The neighbours, counted as `block_atoms`.
    """

    elements: tuple[str, ...]
    cutoff_A: float
    energies: FloatArray
    forces: FloatArray
    virials: FloatArray
    has_virial: NDArray[np.bool_]
    first_atom: IntArray
    chunk_frames: IntArray
    chunk_blocks: IntArray
    block_types: IntArray
    block_atoms: NDArray[np.int32]
    block_frames: NDArray[np.int32]
    block_slots: IntArray
    vectors: FloatArray
    slot_atoms: NDArray[np.int32]

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.energies.size

    @property
    def n_atoms(self) -> int:
        """Number of atoms of all frames."""
        return len(self.forces)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, bytes."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))


@dataclass(frozen=True)
class Blocks:
    """The atoms of some frames in blocks of eight, and their neighbours: as the attributes of `TrainingData`."""

    types: IntArray
    atoms: NDArray[np.int32]
    frames: NDArray[np.int32]
    slots: IntArray
    vectors: FloatArray
    slot_atoms: NDArray[np.int32]


def training_data(systems: Mapping[str, LabelledFrames], elements: Sequence[str], cutoff_A: float) -> TrainingData:
    """Find the neighbours of all frames and pack them for `loss_and_gradient`.

    Parameters
    ----------
    systems : mapping of name to LabelledFrames
        Periodic in all directions.
    elements : sequence of str
        Type t of the potential is elements[t]; may name more than occur.
    cutoff_A : float
        That of the potential, Å.

    Returns
    -------
    TrainingData
        28 bytes a neighbour, and some for empty places: 0.7 to 1.3 kB an atom at 5 Å. While it is made, an
        eighth more.

    Raises
    ------
    BadInputError
        If there is no frame, or an element that is not in `elements`.

    Examples
    --------
    >>> salt = LabelledFrames([3, 3], [[[0, 0, 0], [0, 0, 3.0]]], [9 * np.eye(3)], [-1.0], np.zeros((1, 2, 3)))
    >>> data = training_data({"salt": salt}, ["Li"], 5.0)
    >>> data.n_frames, data.n_atoms, data.vectors[:4]
    (1, 2, array([0., 0., 5., 5.]))
    """
    types = {name: types_of(frames.numbers, elements, f"system {name!r}") for name, frames in systems.items()}
    labels = [(name, index) for name, frames in systems.items() for index in range(frames.n_frames)]
    if not labels:
        raise BadInputError("there is no frame to train with or to test on: give at least one labelled frame.")
    n_atoms = np.array([systems[name].n_atoms for name, _ in labels])
    chunk_frames = _chunks(n_atoms)
    packed, first_slots = [], []
    vectors, slot_atoms = _Filled((3 * WIDTH,), np.float64), _Filled((WIDTH,), np.int32)
    for first, end in pairwise(chunk_frames):
        chunk = [
            (types[name], neighbour_list(systems[name].positions[index], systems[name].cells[index], cutoff_A))
            for name, index in labels[first:end]
        ]
        blocks = pack(chunk, len(elements), cutoff_A)
        first_slots.append(slot_atoms.n_rows)
        vectors.add(blocks.vectors.reshape(-1, 3 * WIDTH))
        slot_atoms.add(blocks.slot_atoms)
        packed.append(replace(blocks, vectors=_NO_VECTORS, slot_atoms=_NO_ATOMS))  # these are most of the memory
    virials = [_virial(systems[name], index) for name, index in labels]
    return TrainingData(
        elements=tuple(elements),
        cutoff_A=float(cutoff_A),
        energies=np.array([systems[name].energies[index] for name, index in labels]),
        forces=np.concatenate([systems[name].forces[index] for name, index in labels]),
        virials=np.array([np.zeros((3, 3)) if virial is None else virial for virial in virials]),
        has_virial=np.array([virial is not None for virial in virials]),
        first_atom=np.concatenate([[0], np.cumsum(n_atoms)]),
        chunk_frames=chunk_frames,
        chunk_blocks=np.cumsum([0] + [len(blocks.types) for blocks in packed]),
        block_types=np.concatenate([blocks.types for blocks in packed]),
        block_atoms=np.concatenate([blocks.atoms for blocks in packed]),
        block_frames=np.concatenate([blocks.frames for blocks in packed]),
        block_slots=np.concatenate([blocks.slots + first for blocks, first in zip(packed, first_slots, strict=True)]),
        vectors=vectors.done().reshape(-1),
        slot_atoms=slot_atoms.done(),
    )


class _Filled:
    """One array that pieces are added to: without a copy of it, where the system moves memory by its pages."""

    def __init__(self, row_shape: tuple[int, ...], dtype: type[np.generic]) -> None:
        self.rows = np.empty((0, *row_shape), dtype=dtype)
        self.n_rows = 0

    def add(self, piece: NDArray[Any]) -> None:
        end = self.n_rows + len(piece)
        if end > len(self.rows):
            self._resize(end + end // 8)
        self.rows[self.n_rows : end] = piece
        self.n_rows = end

    def done(self) -> NDArray[Any]:
        self._resize(self.n_rows)
        return self.rows

    def _resize(self, n_rows: int) -> None:
        self.rows.resize((n_rows, *self.rows.shape[1:]), refcheck=False)


def _virial(frames: LabelledFrames, index: int) -> FloatArray | None:
    if frames.virials is None:
        return None
    virial: FloatArray = (frames.virials[index] + frames.virials[index].T) / 2
    return virial


def _chunks(n_atoms: IntArray) -> IntArray:
    """First frame of each chunk: whole frames up to about the same number of atoms, whatever the threads."""
    first_atoms = np.cumsum(n_atoms) - n_atoms
    chunk = first_atoms // _ATOMS_IN_CHUNK
    return np.concatenate([[0], np.flatnonzero(np.diff(chunk)) + 1, [n_atoms.size]])


def pack(frames: Sequence[tuple[NDArray[np.integer], Neighbours]], n_types: int, cutoff_A: float) -> Blocks:
    """Put atoms of one type with like numbers of neighbours side by side, eight in a block.

    Parameters
    ----------
    frames : sequence of (types, neighbours)
        Of each frame; pairs beyond the cutoff are left out.
    n_types : int
    cutoff_A : float, Å

    Returns
    -------
    Blocks
        With atoms and frames counted from the first of these frames.
    """
    sizes = np.array([frame_types.size for frame_types, _ in frames])
    offsets = np.cumsum(sizes) - sizes
    n_atoms = int(sizes.sum())
    types = np.concatenate([frame_types for frame_types, _ in frames])
    frame_of = np.append(np.repeat(np.arange(len(frames)), sizes), len(frames)).astype(np.int32)
    pairs = list(zip(offsets, (pairs for _, pairs in frames), strict=True))
    vectors = np.concatenate([pairs.vectors for _, pairs in frames])
    inside = np.einsum("pa,pa->p", vectors, vectors) < cutoff_A**2
    vectors = vectors[inside]
    centres = np.concatenate([pair.centre + offset for offset, pair in pairs])[inside]
    neighbours = np.concatenate([pair.index + offset for offset, pair in pairs])[inside]

    group = centres * n_types + types[neighbours]
    counts = np.bincount(group, minlength=n_atoms * n_types).reshape(n_atoms, n_types)
    ordered = np.lexsort((*counts.T, counts.sum(axis=1), types))
    n_of_type = np.bincount(types, minlength=n_types)
    n_blocks_of_type = -(-n_of_type // WIDTH)
    first_blocks = np.cumsum(n_blocks_of_type) - n_blocks_of_type
    rank = np.arange(n_atoms) - (np.cumsum(n_of_type) - n_of_type)[types[ordered]]
    block, lane = np.empty(n_atoms, dtype=np.int64), np.empty(n_atoms, dtype=np.int64)
    block[ordered] = first_blocks[types[ordered]] + rank // WIDTH
    lane[ordered] = rank % WIDTH

    n_blocks = int(n_blocks_of_type.sum())
    atoms = np.full((n_blocks, WIDTH), n_atoms, dtype=np.int32)
    atoms[block, lane] = np.arange(n_atoms)
    most = np.zeros((n_blocks, n_types), dtype=np.int64)
    np.maximum.at(most, block, counts)
    ends = np.cumsum(most.ravel()).reshape(n_blocks, n_types)
    slots = np.concatenate([(ends - most)[:, :1], ends], axis=1)

    by_group = np.argsort(group, kind="stable")
    within = np.arange(group.size) - np.repeat(np.cumsum(counts.ravel()) - counts.ravel(), counts.ravel())
    slot = np.empty(group.size, dtype=np.int64)
    slot[by_group] = within
    slot += slots[block[centres], types[neighbours]]
    n_slots = int(ends[-1, -1]) if n_blocks else 0
    slot_vectors = np.zeros((n_slots, 3, WIDTH))
    slot_vectors[:, 0] = cutoff_A
    slot_vectors[slot, :, lane[centres]] = vectors
    slot_atoms = np.repeat(atoms, most.sum(axis=1), axis=0)
    slot_atoms[slot, lane[centres]] = neighbours
    return Blocks(
        types=np.repeat(np.arange(n_types), n_blocks_of_type),
        atoms=atoms,
        frames=frame_of[atoms],
        slots=slots,
        vectors=slot_vectors.ravel(),
        slot_atoms=slot_atoms,
    )
