"""Moments of the atoms' neighbourhoods, their products up to the energy, and the way back to forces, compiled.

The adjoint method: the moments of an atom are summed over its neighbours and multiplied up to its energy; the
derivative of the energy with respect to each moment comes back through the same products; the force on a neighbour
needs those derivatives alone. Sums over neighbours handle eight neighbours at once, products eight atoms.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lipsdb.potentials.mtp.potential import MomentTensorPotential
from lipsdb.potentials.mtp.simd import compiled, load, root, spread, store, total

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Atoms(NamedTuple):
    """Where the atoms and their images are, and which images are neighbours of which atom."""

    centres: FloatArray  # (n_atoms, 3), Å
    images: FloatArray  # (n_images, 3), Å
    owner: IntArray  # the atom of each image
    types: IntArray  # of each atom
    first: IntArray  # pairs of atom i with neighbours of type t: first[i * n_types + t] and on
    image: IntArray  # of each pair


class Tables(NamedTuple):
    """A potential as the kernel reads it: flat arrays, moments sorted by radial function, monomials by degree."""

    cutoff: float
    scale: float  # slope and offset of the Chebyshev variable ξ = scale r + offset
    offset: float
    n_types: int
    n_radial: int
    radial_size: int
    radial: FloatArray  # [centre, neighbour, μ, β], with the potential's scaling
    species: FloatArray
    parent: IntArray  # monomial q = monomial parent[q] times x, y or z, as axis[q] says
    axis: IntArray
    raised: IntArray  # [3 p + axis]: monomial p times x, y or z, for p below the highest degree
    raised_power: FloatArray  # [3 p + axis]: its power of x, y or z
    mu_first: IntArray  # basic moments with radial function μ: mu_first[μ] … mu_first[μ + 1] - 1
    basic: IntArray  # index of each among the moments
    monomial: IntArray  # its monomial
    products: IntArray  # [3 p]: i, j, k of product p
    multiplicity: FloatArray
    seed: FloatArray  # dE/dM before the products are taken back: the moment coefficients


def tables(potential: MomentTensorPotential) -> Tables:
    """Arrays that the kernel needs, from a potential (copies: the kernel is compiled for writable arrays only)."""
    basis = potential.basis
    powers = basis.basic[:, 1:]
    degree = int(powers.sum(axis=1).max())
    monomials = [(a, b, n - a - b) for n in range(degree + 1) for a in range(n, -1, -1) for b in range(n - a, -1, -1)]
    index = {monomial: q for q, monomial in enumerate(monomials)}
    axis = np.array([next((x for x in range(3) if monomial[x]), 0) for monomial in monomials])
    unit = np.eye(3, dtype=np.int64)
    parent = np.array([index.get(tuple((m - unit[x]).tolist()), 0) for m, x in zip(monomials, axis, strict=True)])
    lower = np.array([m for m in monomials if sum(m) < degree], dtype=np.int64).reshape(-1, 3)
    order = np.argsort(basis.basic[:, 0], kind="stable")
    seed = np.zeros(basis.n_moments)
    np.add.at(seed, basis.scalars, potential.moment_coefficients)
    width = potential.cutoff_A - potential.min_distance_A
    return Tables(
        cutoff=float(potential.cutoff_A),
        scale=2.0 / width,
        offset=-(potential.cutoff_A + potential.min_distance_A) / width,
        n_types=len(potential.elements),
        n_radial=basis.n_radial,
        radial_size=potential.radial_coefficients.shape[3],
        radial=potential.scaling * potential.radial_coefficients.ravel(),
        species=np.array(potential.species_coefficients, dtype=np.float64),
        parent=parent,
        axis=axis,
        raised=np.array([index[tuple(m)] for p in lower for m in (p + unit).tolist()], dtype=np.int64),
        raised_power=np.asarray(lower + 1.0, dtype=np.float64).ravel(),
        mu_first=np.searchsorted(basis.basic[order, 0], np.arange(basis.n_radial + 1)),
        basic=order.astype(np.int64),
        monomial=np.array([index[tuple(m)] for m in powers[order].tolist()], dtype=np.int64),
        products=basis.products[:, [0, 1, 3]].astype(np.int64).ravel(),
        multiplicity=basis.products[:, 2].astype(np.float64),
        seed=seed,
    )


class _Rows(NamedTuple):
    """What the neighbours of eight atoms have, row after row of `size` numbers: atom after atom, type by type."""

    size: int
    near: FloatArray  # vector and its square; then unit vector and distance; then gradient and distance
    values: FloatArray  # Chebyshev polynomials times (cutoff - r)²
    slopes: FloatArray  # their derivatives by r
    functions: FloatArray  # radial functions, then their derivatives
    powers: FloatArray  # monomials of the unit vector
    members: IntArray  # image of each neighbour
    ends: IntArray  # of the types of the present atom


@compiled
def _rows(size: int, model: Tables) -> _Rows:
    return _Rows(
        size,
        np.zeros(4 * size),
        np.zeros(model.radial_size * size),
        np.zeros(model.radial_size * size),
        np.zeros(2 * model.n_radial * size),
        np.zeros(model.parent.size * size),
        np.zeros(size, dtype=np.int64),
        np.zeros(model.n_types, dtype=np.int64),
    )


@compiled
def _gather(i: int, begin: int, atoms: Atoms, model: Tables, rows: _Rows) -> int:
    size, near, members, ends = rows.size, rows.near, rows.members, rows.ends
    square_cutoff = model.cutoff * model.cutoff
    x, y, z = atoms.centres[i, 0], atoms.centres[i, 1], atoms.centres[i, 2]
    n = begin
    for t in range(model.n_types):
        for k in range(atoms.first[i * model.n_types + t], atoms.first[i * model.n_types + t + 1]):
            image = atoms.image[k]
            dx, dy, dz = atoms.images[image, 0] - x, atoms.images[image, 1] - y, atoms.images[image, 2] - z
            square = dx * dx + dy * dy + dz * dz
            near[n] = dx
            near[size + n] = dy
            near[2 * size + n] = dz
            near[3 * size + n] = square
            members[n] = image
            n += square < square_cutoff  # a pair beyond is written over by the next: quicker than a branch
        ends[t] = n
    for k in range(n, n + 8):
        near[k] = near[size + k] = near[2 * size + k] = 0.0
        near[3 * size + k] = square_cutoff  # where all radial functions are zero
    return n


@compiled
def _chebyshev(begin: int, end: int, model: Tables, rows: _Rows) -> None:
    size, near, values, slopes = rows.size, rows.near, rows.values, rows.slopes
    for j in range(begin, end, 8):
        r = root(load(near, 3 * size + j))
        inverse = 1.0 / r
        store(near, j, load(near, j) * inverse)
        store(near, size + j, load(near, size + j) * inverse)
        store(near, 2 * size + j, load(near, 2 * size + j) * inverse)
        store(near, 3 * size + j, r)
        xi = r * model.scale + model.offset
        gap = model.cutoff - r
        before, before_slope = gap * gap, gap * -2.0
        value, slope = xi * before, xi * before_slope + before * model.scale
        store(values, j, before)
        store(slopes, j, before_slope)
        for beta in range(1, model.radial_size):
            store(values, beta * size + j, value)
            store(slopes, beta * size + j, slope)
            next_slope = (xi * slope + value * model.scale) * 2.0 - before_slope
            next_value = xi * value * 2.0 - before
            before, before_slope, value, slope = value, slope, next_value, next_slope


@compiled
def _radial(t: int, begin: int, model: Tables, rows: _Rows) -> None:
    # Types stand without gaps: the last eight of a type spill into the next type, which is written after it.
    size, values, slopes, functions, ends = rows.size, rows.values, rows.slopes, rows.functions, rows.ends
    n_types, n_radial, radial = model.n_types, model.n_radial, model.radial
    start, padded = begin, (ends[n_types - 1] + 7) // 8 * 8
    for neighbour in range(n_types):
        stop = ends[neighbour] if neighbour < n_types - 1 else padded
        for mu in range(n_radial):
            c = ((t * n_types + neighbour) * n_radial + mu) * model.radial_size
            for j in range(start, stop, 8):
                value, slope = load(values, j) * radial[c], load(slopes, j) * radial[c]
                for beta in range(1, model.radial_size):
                    value = value + load(values, beta * size + j) * radial[c + beta]
                    slope = slope + load(slopes, beta * size + j) * radial[c + beta]
                store(functions, mu * size + j, value)
                store(functions, (n_radial + mu) * size + j, slope)
        start = ends[neighbour]


@compiled
def _monomials(begin: int, end: int, model: Tables, rows: _Rows) -> None:
    size, near, powers, parent, axis = rows.size, rows.near, rows.powers, model.parent, model.axis
    for j in range(begin, end, 8):
        store(powers, j, spread(1.0))
    for q in range(1, parent.size):
        for j in range(begin, end, 8):
            store(powers, q * size + j, load(powers, parent[q] * size + j) * load(near, axis[q] * size + j))


@compiled
def _basic_moments(begin: int, end: int, lane: int, model: Tables, rows: _Rows, moments: FloatArray) -> None:
    size, functions, powers = rows.size, rows.functions, rows.powers
    for mu in range(model.n_radial):
        for m in range(model.mu_first[mu], model.mu_first[mu + 1]):
            q = model.monomial[m] * size
            summed = spread(0.0)
            for j in range(begin, end, 8):
                summed = summed + load(functions, mu * size + j) * load(powers, q + j)
            moments[8 * model.basic[m] + lane] = total(summed)


@compiled
def _products(model: Tables, moments: FloatArray, adjoint: FloatArray) -> Any:
    # The energies of eight atoms, without those of their species, come back.
    products, multiplicity, seed = model.products, model.multiplicity, model.seed
    for p in range(multiplicity.size):
        i, j, k = 8 * products[3 * p], 8 * products[3 * p + 1], 8 * products[3 * p + 2]
        store(moments, k, load(moments, k) + load(moments, i) * multiplicity[p] * load(moments, j))
    energies = spread(0.0)
    for m in range(seed.size):
        energies = energies + load(moments, 8 * m) * seed[m]
        store(adjoint, 8 * m, spread(seed[m]))
    for p in range(multiplicity.size - 1, -1, -1):
        i, j, k = 8 * products[3 * p], 8 * products[3 * p + 1], 8 * products[3 * p + 2]
        slope = load(adjoint, k) * multiplicity[p]
        left, right = load(moments, i), load(moments, j)
        store(adjoint, i, load(adjoint, i) + slope * right)
        store(adjoint, j, load(adjoint, j) + slope * left)
    return energies


@compiled
def _pair_gradients(
    begin: int,
    end: int,
    lane: int,
    model: Tables,
    rows: _Rows,
    adjoint: FloatArray,
    weights: FloatArray,
    virial: FloatArray,
) -> None:
    # Site energy = Σ_μ f_μ(r) P_μ(u), u = v / r; the gradient by v of each neighbour replaces its unit vector.
    size, near, functions, powers = rows.size, rows.near, rows.functions, rows.powers
    n_radial, mu_first, raised, raised_power = model.n_radial, model.mu_first, model.raised, model.raised_power
    for j in range(begin, end, 8):
        for w in range(0, weights.size, 8):
            store(weights, w, spread(0.0))
        radial = spread(0.0)
        for mu in range(n_radial):
            function, polynomial = load(functions, mu * size + j), spread(0.0)
            for m in range(mu_first[mu], mu_first[mu + 1]):
                q, slope = model.monomial[m], adjoint[8 * model.basic[m] + lane]
                polynomial = polynomial + load(powers, q * size + j) * slope
                store(weights, 8 * q, load(weights, 8 * q) + function * slope)
            radial = radial + load(functions, (n_radial + mu) * size + j) * polynomial
        gx, gy, gz = spread(0.0), spread(0.0), spread(0.0)
        for p in range(raised.size // 3):
            power = load(powers, p * size + j)
            gx = gx + power * raised_power[3 * p] * load(weights, 8 * raised[3 * p])
            gy = gy + power * raised_power[3 * p + 1] * load(weights, 8 * raised[3 * p + 1])
            gz = gz + power * raised_power[3 * p + 2] * load(weights, 8 * raised[3 * p + 2])
        x, y, z, r = load(near, j), load(near, size + j), load(near, 2 * size + j), load(near, 3 * size + j)
        inverse = 1.0 / r
        radial = radial - (x * gx + y * gy + z * gz) * inverse
        gx, gy, gz = gx * inverse + radial * x, gy * inverse + radial * y, gz * inverse + radial * z
        x, y, z = x * r, y * r, z * r
        store(near, j, gx)
        store(near, size + j, gy)
        store(near, 2 * size + j, gz)
        store(virial, 0, load(virial, 0) - x * gx)
        store(virial, 8, load(virial, 8) - y * gy)
        store(virial, 16, load(virial, 16) - z * gz)
        store(virial, 24, load(virial, 24) - x * gy)
        store(virial, 32, load(virial, 32) - x * gz)
        store(virial, 40, load(virial, 40) - y * gz)


@compiled
def _scatter(i: int, begin: int, end: int, atoms: Atoms, rows: _Rows, forces: FloatArray) -> None:
    size, near = rows.size, rows.near
    sx = sy = sz = 0.0
    for k in range(begin, end):
        gx, gy, gz = near[k], near[size + k], near[2 * size + k]
        sx += gx
        sy += gy
        sz += gz
        j = atoms.owner[rows.members[k]]
        forces[j, 0] -= gx
        forces[j, 1] -= gy
        forces[j, 2] -= gz
    forces[i, 0] += sx
    forces[i, 1] += sy
    forces[i, 2] += sz


@compiled
def energies_and_forces(
    begin: int,
    end: int,
    atoms: Atoms,
    model: Tables,
    energies: FloatArray,
    forces: FloatArray,
    virial: FloatArray,
) -> None:
    """Of the atoms begin … end - 1: set their energies, and add what they contribute to all forces and to the virial.

    The virial's components are xx, yy, zz, xy, xz and yz.
    """
    most = 0
    for i in range(begin, end):
        most = max(most, atoms.first[(i + 1) * model.n_types] - atoms.first[i * model.n_types])
    rows = _rows(8 * ((most + 7) // 8 * 8) + 8, model)  # the eight of a type that come last may reach beyond
    moments, adjoint = np.zeros(8 * model.seed.size), np.zeros(8 * model.seed.size)
    weights, virials, block_energies = np.zeros(8 * model.parent.size), np.zeros(48), np.zeros(8)
    starts, stops = np.zeros(9, dtype=np.int64), np.zeros(8, dtype=np.int64)
    for first in range(begin, end, 8):
        moments[:] = 0.0
        for lane in range(min(8, end - first)):
            i, start = first + lane, starts[lane]
            stop = stops[lane] = _gather(i, start, atoms, model, rows)
            starts[lane + 1] = (stop + 7) // 8 * 8
            _chebyshev(start, stop, model, rows)
            _radial(atoms.types[i], start, model, rows)
            _monomials(start, stop, model, rows)
            _basic_moments(start, stop, lane, model, rows, moments)
        store(block_energies, 0, _products(model, moments, adjoint))
        for lane in range(min(8, end - first)):
            i = first + lane
            energies[i] = model.species[atoms.types[i]] + block_energies[lane]
            _pair_gradients(starts[lane], stops[lane], lane, model, rows, adjoint, weights, virials)
            _scatter(i, starts[lane], stops[lane], atoms, rows, forces)
    for component in range(6):
        virial[component] += virials[8 * component : 8 * component + 8].sum()
