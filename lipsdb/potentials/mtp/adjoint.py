"""Compiled part of the training: errors of the labels, and by tangents and one sweep back the gradient of the loss.

Eight atoms of one type stand side by side in the lanes of each number; row q of an array starts at 8 q.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lipsdb.potentials.mtp.block_moments import Rows, energy_adjoints, inner, moments_of_block, neighbourhood, new_rows
from lipsdb.potentials.mtp.moments import Tables
from lipsdb.potentials.mtp.simd import compiled, load, spread, store, total

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Packed(NamedTuple):
    """Those arrays of `TrainingData` that the kernel reads."""

    energies: FloatArray
    forces: FloatArray
    virials: FloatArray
    first_atom: IntArray
    chunk_frames: IntArray
    chunk_blocks: IntArray
    block_types: IntArray
    block_atoms: NDArray[np.int32]
    block_frames: NDArray[np.int32]
    block_slots: IntArray
    vectors: FloatArray
    slot_atoms: NDArray[np.int32]


class Factors(NamedTuple):
    """What the squared errors of each frame count in the loss, (n_frames,) each."""

    energy: FloatArray
    force: FloatArray
    virial: FloatArray


@inner
def _pair_gradients(
    model: Tables,
    block: int,
    packed: Packed,
    rows: Rows,
    adjoints: FloatArray,
    start: int,
    forces: FloatArray,
    virials: FloatArray,
) -> None:
    """Forces on the atoms of the block and their neighbours, and the virial of each frame."""
    t, n_types = packed.block_types[block], model.n_types
    near, functions, monomials, back = rows.near, rows.functions, rows.monomials, rows.tangents
    for row in range(9):
        store(rows.gathered, 8 * row, spread(0.0))
    for neighbour in range(n_types):
        for slot in range(packed.block_slots[block, neighbour], packed.block_slots[block, neighbour + 1]):
            neighbourhood(model, t * n_types + neighbour, slot, packed.vectors, rows)
            for q in range(model.parent.size):
                store(back, 8 * q, spread(0.0))
            along = spread(0.0)
            for mu in range(model.n_radial):
                value, slope_sum = load(functions, 8 * mu), spread(0.0)
                for b in range(model.mu_first[mu], model.mu_first[mu + 1]):
                    adjoint, q = load(adjoints, start + 8 * model.basic[b]), 8 * model.monomial[b]
                    store(back, q, load(back, q) + value * adjoint)
                    slope_sum = slope_sum + adjoint * load(monomials, q)
                along = along + slope_sum * load(functions, 8 * (model.n_radial + mu))
            for axis in range(3):
                store(near, 8 * (4 + axis), spread(0.0))
            for q in range(model.parent.size - 1, 0, -1):
                adjoint, axis, parent = load(back, 8 * q), 8 * model.axis[q], 8 * model.parent[q]
                store(back, parent, load(back, parent) + adjoint * load(near, axis))
                store(near, 32 + axis, load(near, 32 + axis) + adjoint * load(monomials, parent))
            x, y, z, inverse = load(near, 0), load(near, 8), load(near, 16), load(near, 24)
            gx, gy, gz = load(near, 32), load(near, 40), load(near, 48)
            along = along - (x * gx + y * gy + z * gz) * inverse
            gx, gy, gz = x * along + gx * inverse, y * along + gy * inverse, z * along + gz * inverse
            store(near, 32, gx)
            store(near, 40, gy)
            store(near, 48, gz)
            _add_pairs(slot, packed, near, gx, gy, gz, rows.gathered, forces)
    for lane in range(8):
        atom, frame = packed.block_atoms[block, lane], packed.block_frames[block, lane]
        for axis in range(3):
            forces[atom, axis] += rows.gathered[8 * axis + lane]
        for component in range(6):
            virials[frame, component] -= rows.gathered[8 * (3 + component) + lane]


@inner
def _add_pairs(
    slot: int, packed: Packed, near: FloatArray, gx: Any, gy: Any, gz: Any, gathered: FloatArray, forces: FloatArray
) -> None:
    x, y, z = load(packed.vectors, 24 * slot), load(packed.vectors, 24 * slot + 8), load(packed.vectors, 24 * slot + 16)
    store(gathered, 0, load(gathered, 0) + gx)
    store(gathered, 8, load(gathered, 8) + gy)
    store(gathered, 16, load(gathered, 16) + gz)
    store(gathered, 24, load(gathered, 24) + x * gx)
    store(gathered, 32, load(gathered, 32) + y * gy)
    store(gathered, 40, load(gathered, 40) + z * gz)
    store(gathered, 48, load(gathered, 48) + y * gz)
    store(gathered, 56, load(gathered, 56) + x * gz)
    store(gathered, 64, load(gathered, 64) + x * gy)
    for lane in range(8):
        atom = packed.slot_atoms[slot, lane]
        forces[atom, 0] -= near[32 + lane]
        forces[atom, 1] -= near[40 + lane]
        forces[atom, 2] -= near[48 + lane]


@inner
def _tangents(model: Tables, slot: int, packed: Packed, rows: Rows, displacements: FloatArray) -> None:
    """How the distance, the unit vector and the monomials of a slot change along the displacements."""
    near, gathered = rows.near, rows.gathered
    for lane in range(8):
        atom = packed.slot_atoms[slot, lane]
        near[32 + lane] = displacements[atom, 0]
        near[40 + lane] = displacements[atom, 1]
        near[48 + lane] = displacements[atom, 2]
    x, y, z = load(packed.vectors, 24 * slot), load(packed.vectors, 24 * slot + 8), load(packed.vectors, 24 * slot + 16)
    xx, yy, zz, yz, xz, xy = (
        load(gathered, 24),
        load(gathered, 32),
        load(gathered, 40),
        load(gathered, 48),
        load(gathered, 56),
        load(gathered, 64),
    )
    ux = load(near, 32) - load(gathered, 0) + xx * x + xy * y + xz * z
    uy = load(near, 40) - load(gathered, 8) + xy * x + yy * y + yz * z
    uz = load(near, 48) - load(gathered, 16) + xz * x + yz * y + zz * z
    x, y, z, inverse = load(near, 0), load(near, 8), load(near, 16), load(near, 24)
    along = x * ux + y * uy + z * uz
    store(near, 32, (ux - x * along) * inverse)
    store(near, 40, (uy - y * along) * inverse)
    store(near, 48, (uz - z * along) * inverse)
    store(near, 56, along)
    store(rows.tangents, 0, spread(0.0))
    for q in range(1, model.parent.size):
        axis, parent = 8 * model.axis[q], 8 * model.parent[q]
        tangent = load(rows.tangents, parent) * load(near, axis) + load(rows.monomials, parent) * load(near, 32 + axis)
        store(rows.tangents, 8 * q, tangent)


@inner
def _moment_tangents(
    model: Tables, block: int, packed: Packed, rows: Rows, displacements: FloatArray, moments: FloatArray, start: int
) -> None:
    t, n_types, tangents = packed.block_types[block], model.n_types, rows.moments
    for m in range(model.seed.size):
        store(tangents, 8 * m, spread(0.0))
    for neighbour in range(n_types):
        for slot in range(packed.block_slots[block, neighbour], packed.block_slots[block, neighbour + 1]):
            neighbourhood(model, t * n_types + neighbour, slot, packed.vectors, rows)
            _tangents(model, slot, packed, rows, displacements)
            along = load(rows.near, 56)
            for mu in range(model.n_radial):
                value = load(rows.functions, 8 * mu)
                change = load(rows.functions, 8 * (model.n_radial + mu)) * along
                for b in range(model.mu_first[mu], model.mu_first[mu + 1]):
                    m, q = 8 * model.basic[b], 8 * model.monomial[b]
                    tangent = change * load(rows.monomials, q) + value * load(rows.tangents, q)
                    store(tangents, m, load(tangents, m) + tangent)
    for p in range(model.multiplicity.size):
        i, j, k = 8 * model.products[3 * p], 8 * model.products[3 * p + 1], 8 * model.products[3 * p + 2]
        product = load(tangents, i) * load(moments, start + j) + load(moments, start + i) * load(tangents, j)
        store(tangents, k, load(tangents, k) + product * model.multiplicity[p])


@inner
def _adjoint_tangents(
    model: Tables, rows: Rows, weight: Any, moments: FloatArray, adjoints: FloatArray, start: int
) -> None:
    """Derivative of weight × energy + its tangent with respect to the moments.

    That with respect to the tangents of the moments is `adjoints`.
    """
    tangents, back = rows.moments, rows.adjoints
    for m in range(model.seed.size):
        store(back, 8 * m, spread(0.0))
    for p in range(model.multiplicity.size - 1, -1, -1):
        i, j, k = 8 * model.products[3 * p], 8 * model.products[3 * p + 1], 8 * model.products[3 * p + 2]
        value = load(back, k) * model.multiplicity[p]
        tangent = load(adjoints, start + k) * model.multiplicity[p]
        store(back, i, load(back, i) + value * load(moments, start + j) + tangent * load(tangents, j))
        store(back, j, load(back, j) + value * load(moments, start + i) + tangent * load(tangents, i))
    for b in range(model.basic.size):
        m = 8 * model.basic[b]
        store(back, m, load(back, m) + weight * load(adjoints, start + m))


@inner
def _radial_gradient(
    model: Tables,
    block: int,
    packed: Packed,
    rows: Rows,
    displacements: FloatArray,
    adjoints: FloatArray,
    start: int,
    summed: FloatArray,
) -> None:
    t, n_types = packed.block_types[block], model.n_types
    for neighbour in range(n_types):
        pair = t * n_types + neighbour
        for slot in range(packed.block_slots[block, neighbour], packed.block_slots[block, neighbour + 1]):
            neighbourhood(model, pair, slot, packed.vectors, rows)
            _tangents(model, slot, packed, rows, displacements)
            for mu in range(model.n_radial):
                of_value, of_change = spread(0.0), spread(0.0)
                for b in range(model.mu_first[mu], model.mu_first[mu + 1]):
                    m, q = 8 * model.basic[b], 8 * model.monomial[b]
                    adjoint, monomial = load(adjoints, start + m), load(rows.monomials, q)
                    of_value = of_value + load(rows.adjoints, m) * monomial + adjoint * load(rows.tangents, q)
                    of_change = of_change + adjoint * monomial
                of_change = of_change * load(rows.near, 56)
                c = (pair * model.n_radial + mu) * 8 * model.radial_size
                for beta in range(0, 8 * model.radial_size, 8):
                    change = of_value * load(rows.values, beta) + of_change * load(rows.slopes, beta)
                    store(summed, c + beta, load(summed, c + beta) + change)


@inner
def _frame_errors(
    chunk: int,
    packed: Packed,
    factors: Factors,
    energies: FloatArray,
    forces: FloatArray,
    virials: FloatArray,
    errors: FloatArray,
) -> None:
    """Errors of each frame, and in place of energies, forces and virials the derivative of the loss along them."""
    for frame in range(packed.chunk_frames[chunk], packed.chunk_frames[chunk + 1]):
        local = frame - packed.chunk_frames[chunk]
        error = energies[local] - packed.energies[frame]
        errors[frame, 0] = error
        energies[local] = 2.0 * factors.energy[frame] * error
        squares = 0.0
        for atom in range(packed.first_atom[frame], packed.first_atom[frame + 1]):
            for axis in range(3):
                row = atom - packed.first_atom[packed.chunk_frames[chunk]]
                error = forces[row, axis] - packed.forces[atom, axis]
                squares += error * error
                forces[row, axis] = -2.0 * factors.force[frame] * error
        errors[frame, 1] = squares
        squares = 0.0
        for component in range(6):
            row, column = _COMPONENTS[component]
            error = virials[local, component] - packed.virials[frame, row, column]
            squares += error * error if component < 3 else 2.0 * error * error
            virials[local, component] = -2.0 * factors.virial[frame] * error
        errors[frame, 2] = squares


_COMPONENTS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@inner
def _predict(
    chunk: int,
    model: Tables,
    packed: Packed,
    rows: Rows,
    moments: FloatArray,
    adjoints: FloatArray,
    energies: FloatArray,
    forces: FloatArray,
    virials: FloatArray,
) -> None:
    """Energies, forces and virials of the chunk's frames."""
    n_moments = model.seed.size
    for block in range(packed.chunk_blocks[chunk], packed.chunk_blocks[chunk + 1]):
        start = (block - packed.chunk_blocks[chunk]) * n_moments * 8
        t, slots = packed.block_types[block], packed.block_slots[block]
        moments_of_block(model, t, slots, packed.vectors, rows, moments, start)
        energy_adjoints(model, moments, adjoints, start)
        energy = spread(model.species[t])
        for m in range(n_moments):
            if model.seed[m] != 0.0:
                energy = energy + load(moments, start + 8 * m) * model.seed[m]
        store(rows.gathered, 0, energy)
        for lane in range(8):
            energies[packed.block_frames[block, lane]] += rows.gathered[lane]
        _pair_gradients(model, block, packed, rows, adjoints, start, forces, virials)


@inner
def _add_gradient(
    chunk: int,
    model: Tables,
    scalars: IntArray,
    packed: Packed,
    rows: Rows,
    moments: FloatArray,
    adjoints: FloatArray,
    energies: FloatArray,
    forces: FloatArray,
    virials: FloatArray,
    gradient: FloatArray,
) -> None:
    n_moments, n_species = model.seed.size, model.species.size
    summed = np.zeros(8 * model.radial.size)
    for block in range(packed.chunk_blocks[chunk], packed.chunk_blocks[chunk + 1]):
        start = (block - packed.chunk_blocks[chunk]) * n_moments * 8
        for lane in range(8):
            rows.gathered[lane] = energies[packed.block_frames[block, lane]]
        weight = load(rows.gathered, 0)
        for lane in range(8):
            atom, frame = packed.block_atoms[block, lane], packed.block_frames[block, lane]
            for axis in range(3):
                rows.gathered[8 * axis + lane] = forces[atom, axis]
            for component in range(6):
                rows.gathered[8 * (3 + component) + lane] = virials[frame, component]
        _moment_tangents(model, block, packed, rows, forces, moments, start)
        for a in range(scalars.size):
            m = 8 * scalars[a]
            gradient[a] += total(weight * load(moments, start + m) + load(rows.moments, m))
        gradient[scalars.size + packed.block_types[block]] += total(weight)
        _adjoint_tangents(model, rows, weight, moments, adjoints, start)
        _radial_gradient(model, block, packed, rows, forces, adjoints, start, summed)
    for c in range(model.radial.size):
        gradient[scalars.size + n_species + c] = total(load(summed, 8 * c))


@compiled
def add_chunk(
    chunk: int,
    model: Tables,
    scalars: IntArray,
    packed: Packed,
    factors: Factors,
    with_gradient: bool,
    errors: FloatArray,
    gradient: FloatArray,
) -> None:
    """Write the errors of the chunk's frames, (n_frames, 3), and add up its gradient, (n_parameters,)."""
    n_blocks = packed.chunk_blocks[chunk + 1] - packed.chunk_blocks[chunk]
    n_frames = packed.chunk_frames[chunk + 1] - packed.chunk_frames[chunk]
    n_atoms = packed.first_atom[packed.chunk_frames[chunk + 1]] - packed.first_atom[packed.chunk_frames[chunk]]
    rows = new_rows(model)
    moments, adjoints = np.zeros(n_blocks * model.seed.size * 8), np.zeros(n_blocks * model.seed.size * 8)
    # One atom and one frame more, for empty lanes.
    energies, forces, virials = np.zeros(n_frames + 1), np.zeros((n_atoms + 1, 3)), np.zeros((n_frames + 1, 6))
    _predict(chunk, model, packed, rows, moments, adjoints, energies, forces, virials)
    _frame_errors(chunk, packed, factors, energies, forces, virials, errors)
    if with_gradient:
        energies[n_frames] = 0.0
        virials[n_frames] = 0.0
        forces[n_atoms] = 0.0
        _add_gradient(chunk, model, scalars, packed, rows, moments, adjoints, energies, forces, virials, gradient)
