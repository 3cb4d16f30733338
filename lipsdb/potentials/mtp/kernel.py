"""Energies per atom, forces and virial of a moment tensor potential, frame after frame."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.moments import Atoms, Tables, energies_and_forces, tables
from lipsdb.potentials.mtp.neighbours import check_frame, half_list
from lipsdb.potentials.mtp.potential import MomentTensorPotential
from lipsdb.potentials.mtp.simd import WIDTH, compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class ForceField:
    """Energies, forces and virial of one set of atoms, step after step: a list of neighbours serves several steps.

    Parameters
    ----------
    potential : MomentTensorPotential
    types : (n_atoms,) array of int
        Type of each atom: its element is potential.elements[type].
    threads : int
    skin_A : float, Å
        How much farther than the cutoff the list reaches. Longer: more pairs a step, but fewer lists.

    Notes
    -----
    With d the largest displacement of an atom since the list was made, apart from the strain of the cell and from whole
    cell vectors, a pair that was farther apart than R + skin is still farther than σ (R + skin) - 2 d, where R is the
    cutoff and σ the smallest singular value of the cell's deformation. The list is made anew before that reaches R, so
    that it is never incomplete; a constant cell gives the usual 2 d > skin.

    Examples
    --------
    >>> from lipsdb.potentials.mtp.potential import random_start
    >>> potential = random_start(4, ["Li"], min_distance_A=1.5, cutoff_A=4.0, radial_size=6, seed=1)
    >>> force_field = ForceField(potential, [0, 0])
    >>> energies, forces, virial = force_field.compute([[0.0, 0.0, 0.0], [1.7, 1.7, 1.7]], 3.4 * np.eye(3))
    >>> energies.shape, forces.shape, virial.shape, force_field.n_lists
    ((2,), (2, 3), (3, 3), 1)
    """

    def __init__(
        self, potential: MomentTensorPotential, types: ArrayLike, *, threads: int = 1, skin_A: float = 1.0
    ) -> None:
        if threads < 1 or not 0.0 <= skin_A < np.inf:
            raise BadInputError(
                f"threads are {threads} and the skin {skin_A} Å: give at least 1 thread and a skin from 0."
            )
        self.tables = tables(potential)
        self.types = _checked_types(types, self.tables.n_types)
        self.threads = threads
        self.reach = self.tables.cutoff + skin_A
        self.n_lists = 0  # how many lists of neighbours were made
        self._pool = ThreadPoolExecutor(threads)
        self._list: _List | None = None
        self._cell = self._inverse = np.zeros((3, 3))

    def compute(
        self, positions: ArrayLike, cell: ArrayLike, rebuild: bool = False
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Energy of each atom in eV, forces in eV/Å and virial in eV.

        Parameters
        ----------
        positions : (n_atoms, 3) array, Å
            Any image of each atom, another one in each step if need be.
        cell : (3, 3) array, Å
            Cell vectors as rows.
        rebuild : bool
            Make a new list of neighbours whether or not the old one is still good.

        Returns
        -------
        energies : (n_atoms,) array, eV
        forces : (n_atoms, 3) array, eV/Å
        virial : (3, 3) array, eV
            -dE/dε, symmetric.

        Raises
        ------
        BadInputError
            If a shape is wrong, a value is not finite or the cell has no volume.
        """
        positions = np.array(positions, dtype=np.float64, order="C")
        cell = np.array(cell, dtype=np.float64, order="C")
        if positions.shape != (self.types.size, 3):
            raise BadInputError(
                f"positions have shape {positions.shape}, but there are {self.types.size} atoms: give "
                f"{(self.types.size, 3)}, in Å."
            )
        if self._list is None or not np.array_equal(cell, self._cell):
            check_frame(positions, cell)
            self._cell, self._inverse = cell, np.linalg.inv(cell)
        if rebuild or self._list is None or not self._reaches(self._list, positions):
            check_frame(positions, cell)
            self._list = _make_list(positions, cell, self._inverse, self.types, self.tables.n_types, self.reach)
            self.n_lists += 1
            _place(positions, cell, self._inverse, self._list.fractional, self._list.shifts, self._list.atoms)
        return _all_atoms(self.tables, self._list.atoms, self._pool, self.threads)

    def _reaches(self, old: _List, positions: FloatArray) -> bool:
        # Moves the list's atoms to their places of this step, too.
        farthest = _place(positions, self._cell, self._inverse, old.fractional, old.shifts, old.atoms)
        stretch = 1.0
        if old.cell is not self._cell:
            stretch = np.linalg.svd(np.linalg.solve(old.cell, self._cell), compute_uv=False)[-1]
        return bool(stretch * self.reach - 2.0 * farthest >= self.tables.cutoff)


@dataclass(frozen=True)
class _List:
    """Pairs within the reach, and where their atoms were when they were found."""

    cell: FloatArray
    fractional: FloatArray
    shifts: FloatArray  # (n_images, 3), whole cell vectors
    atoms: Atoms  # where they are in the present step


def _make_list(
    positions: FloatArray, cell: FloatArray, inverse: FloatArray, types: IntArray, n_types: int, reach: float
) -> _List:
    fractional = positions @ inverse
    fractional -= np.floor(fractional)
    pairs, pair_shifts = half_list(fractional @ cell, cell, reach)
    first, image, owner, shifts = _arrange(pairs, pair_shifts, types, n_types)
    atoms = Atoms(np.zeros((types.size, 3)), np.zeros((owner.size, 3)), owner, types, first, image)
    return _List(cell, fractional, shifts, atoms)


@compiled
def _arrange(
    pairs: IntArray, pair_shifts: NDArray[np.int32], types: IntArray, n_types: int
) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Turn half a list into both (i, j) and (j, i), sorted by centre and neighbour's type, and number the images."""
    n_pairs, n_atoms = pairs.shape[0], types.size
    first = np.zeros(n_atoms * n_types + 2, dtype=np.int64)
    reach = np.zeros(3, dtype=np.int64)
    for p in range(n_pairs):
        i, j = pairs[p, 0], pairs[p, 1]
        first[i * n_types + types[j] + 2] += 1
        first[j * n_types + types[i] + 2] += 1
        for x in range(3):
            reach[x] = max(reach[x], abs(pair_shifts[p, x]))
    first = np.cumsum(first)
    span = 2 * reach + 1
    number = np.full(n_atoms * span[0] * span[1] * span[2], -1, dtype=np.int64)
    image, owner = np.empty(2 * n_pairs, dtype=np.int64), np.empty(2 * n_pairs, dtype=np.int64)
    shifts = np.empty((2 * n_pairs, 3))
    n_images = 0
    for p in range(n_pairs):
        for sign in (1, -1):
            i, j = pairs[p, (1 - sign) // 2], pairs[p, (1 + sign) // 2]
            key = j
            for x in range(3):
                key = key * span[x] + sign * pair_shifts[p, x] + reach[x]
            if number[key] < 0:
                number[key] = n_images
                owner[n_images] = j
                for x in range(3):
                    shifts[n_images, x] = sign * pair_shifts[p, x]
                n_images += 1
            group = i * n_types + types[j] + 1
            image[first[group]] = number[key]
            first[group] += 1
    return first[:-1].copy(), image, owner[:n_images].copy(), shifts[:n_images].copy()


@compiled
def _place(
    positions: FloatArray,
    cell: FloatArray,
    inverse: FloatArray,
    fractional: FloatArray,
    shifts: FloatArray,
    atoms: Atoms,
) -> float:
    """Put atoms and images where they are now; the largest displacement that is not strain or cell vectors, Å."""
    owner, centres, images = atoms.owner, atoms.centres, atoms.images
    largest = 0.0
    moved = np.empty(3)
    for i in range(positions.shape[0]):
        for x in range(3):
            now = positions[i, 0] * inverse[0, x] + positions[i, 1] * inverse[1, x] + positions[i, 2] * inverse[2, x]
            moved[x] = now - fractional[i, x]
            moved[x] -= np.rint(moved[x])
        square = 0.0
        for x in range(3):
            displacement = moved[0] * cell[0, x] + moved[1] * cell[1, x] + moved[2] * cell[2, x]
            square += displacement * displacement
            reference = fractional[i, 0] * cell[0, x] + fractional[i, 1] * cell[1, x] + fractional[i, 2] * cell[2, x]
            centres[i, x] = reference + displacement
        if not square <= largest:
            largest = np.inf if np.isnan(square) else square
    for k in range(owner.size):
        for x in range(3):
            images[k, x] = (
                centres[owner[k], x] + shifts[k, 0] * cell[0, x] + shifts[k, 1] * cell[1, x] + shifts[k, 2] * cell[2, x]
            )
    return float(np.sqrt(largest))


def _all_atoms(
    kernel: Tables, atoms: Atoms, pool: ThreadPoolExecutor, threads: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    n_atoms = atoms.types.size
    energies = np.empty(n_atoms)
    forces, virials = np.zeros((threads, n_atoms, 3)), np.zeros((threads, 6))

    def part(number: int) -> None:
        begin, end = (min(n_atoms, k * share) for k in (number, number + 1))
        energies_and_forces(begin, end, atoms, kernel, energies, forces[number], virials[number])

    share = -(-n_atoms // (threads * WIDTH)) * WIDTH  # whole blocks of the atoms that are handled at once
    others = [pool.submit(part, number) for number in range(1, threads)]
    part(0)
    for other in others:
        other.result()
    for number in range(1, threads):
        forces[0] += forces[number]
        virials[0] += virials[number]
    return energies, forces[0], virials[0][[[0, 3, 4], [3, 1, 5], [4, 5, 2]]]


def _checked_types(types: ArrayLike, n_types: int) -> IntArray:
    checked = np.array(types, dtype=np.int64)
    if checked.ndim != 1 or checked.size == 0 or checked.min() < 0 or checked.max() >= n_types:
        raise BadInputError(
            f"types are {np.unique(checked).tolist()} in the shape {checked.shape}, but the potential has 0 to "
            f"{n_types - 1}: give one such number an atom."
        )
    return checked
