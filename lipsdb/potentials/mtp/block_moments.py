"""Moments of eight atoms of one type, side by side in the lanes of each number, compiled.

Row q of an array starts at 8 q. The neighbours of the eight atoms are read slot by slot, as `TrainingData` packs them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lipsdb.potentials.mtp.moments import Tables
from lipsdb.potentials.mtp.simd import load, root, spread, store

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
_options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def inner(function: Any) -> Any:
    """Compile a kernel that only other kernels call: the way in from Python would take longest to compile."""
    return njit(**_options)(function)


class Rows(NamedTuple):
    """Working space of a kernel."""

    near: FloatArray  # unit vector, inverse distance; then tangents of the unit vector and of the distance
    values: FloatArray  # Chebyshev polynomials times the cutoff function
    slopes: FloatArray  # their derivatives
    functions: FloatArray  # radial functions, then their derivatives
    monomials: FloatArray
    tangents: FloatArray  # of the monomials, or the derivative of the energy with respect to them
    moments: FloatArray  # tangents of the moments
    adjoints: FloatArray  # tangents of the adjoints
    gathered: FloatArray  # force on the centre and virial, or displacement of the centre and strain


@inner
def new_rows(model: Tables) -> Rows:
    """Working space."""
    n_monomials, n_moments = model.parent.size, model.seed.size
    return Rows(
        np.zeros(64),
        np.zeros(8 * model.radial_size),
        np.zeros(8 * model.radial_size),
        np.zeros(16 * model.n_radial),
        np.zeros(8 * n_monomials),
        np.zeros(8 * n_monomials),
        np.zeros(8 * n_moments),
        np.zeros(8 * n_moments),
        np.zeros(72),
    )


@inner
def neighbourhood(model: Tables, pair: int, slot: int, vectors: FloatArray, rows: Rows) -> None:
    """Unit vectors, radial functions and monomials of the eight neighbours in a slot."""
    near, values, slopes, functions, monomials = rows.near, rows.values, rows.slopes, rows.functions, rows.monomials
    x, y, z = load(vectors, 24 * slot), load(vectors, 24 * slot + 8), load(vectors, 24 * slot + 16)
    r = root(x * x + y * y + z * z)
    inverse = 1.0 / r
    store(near, 0, x * inverse)
    store(near, 8, y * inverse)
    store(near, 16, z * inverse)
    store(near, 24, inverse)
    xi, gap = r * model.scale + model.offset, model.cutoff - r
    before, before_slope = gap * gap, gap * -2.0
    value, slope = xi * before, xi * before_slope + before * model.scale
    store(values, 0, before)
    store(slopes, 0, before_slope)
    for beta in range(1, model.radial_size):
        store(values, 8 * beta, value)
        store(slopes, 8 * beta, slope)
        next_value = xi * value * 2.0 - before
        next_slope = (xi * slope + value * model.scale) * 2.0 - before_slope
        before, before_slope, value, slope = value, slope, next_value, next_slope
    for mu in range(model.n_radial):
        c = (pair * model.n_radial + mu) * model.radial_size
        value, slope = load(values, 0) * model.radial[c], load(slopes, 0) * model.radial[c]
        for beta in range(1, model.radial_size):
            value = value + load(values, 8 * beta) * model.radial[c + beta]
            slope = slope + load(slopes, 8 * beta) * model.radial[c + beta]
        store(functions, 8 * mu, value)
        store(functions, 8 * (model.n_radial + mu), slope)
    store(monomials, 0, spread(1.0))
    for q in range(1, model.parent.size):
        store(monomials, 8 * q, load(monomials, 8 * model.parent[q]) * load(near, 8 * model.axis[q]))


@inner
def moments_of_block(
    model: Tables, t: int, slots: IntArray, vectors: FloatArray, rows: Rows, moments: FloatArray, start: int
) -> None:
    """Moments of eight atoms of type t."""
    for m in range(model.seed.size):
        store(moments, start + 8 * m, spread(0.0))
    for neighbour in range(model.n_types):
        for slot in range(slots[neighbour], slots[neighbour + 1]):
            neighbourhood(model, t * model.n_types + neighbour, slot, vectors, rows)
            for mu in range(model.n_radial):
                value = load(rows.functions, 8 * mu)
                for b in range(model.mu_first[mu], model.mu_first[mu + 1]):
                    m = start + 8 * model.basic[b]
                    store(moments, m, load(moments, m) + value * load(rows.monomials, 8 * model.monomial[b]))
    for p in range(model.multiplicity.size):
        i, j, k = (
            start + 8 * model.products[3 * p],
            start + 8 * model.products[3 * p + 1],
            8 * model.products[3 * p + 2],
        )
        product = load(moments, i) * load(moments, j) * model.multiplicity[p]
        store(moments, start + k, load(moments, start + k) + product)


@inner
def energy_adjoints(model: Tables, moments: FloatArray, adjoints: FloatArray, start: int) -> None:
    """Derivative of the atoms' energies with respect to their moments."""
    for m in range(model.seed.size):
        store(adjoints, start + 8 * m, spread(model.seed[m]))
    for p in range(model.multiplicity.size - 1, -1, -1):
        i, j, k = 8 * model.products[3 * p], 8 * model.products[3 * p + 1], 8 * model.products[3 * p + 2]
        back = load(adjoints, start + k) * model.multiplicity[p]
        store(adjoints, start + i, load(adjoints, start + i) + back * load(moments, start + j))
        store(adjoints, start + j, load(adjoints, start + j) + back * load(moments, start + i))
