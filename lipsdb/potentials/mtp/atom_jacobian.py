"""How each atom's energy depends on each coefficient of a moment tensor potential, as extrapolation grades need it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.potentials.mtp.block_moments import Rows, energy_adjoints, inner, moments_of_block, neighbourhood, new_rows
from lipsdb.potentials.mtp.moments import Tables, tables
from lipsdb.potentials.mtp.neighbours import Neighbours
from lipsdb.potentials.mtp.potential import MomentTensorPotential
from lipsdb.potentials.mtp.simd import compiled, load, spread, store
from lipsdb.potentials.mtp.training_data import pack

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def atom_jacobian(potential: MomentTensorPotential, types: ArrayLike, neighbours: Neighbours) -> FloatArray:
    r"""Derivative of each atom's energy with respect to each parameter.

    Parameters
    ----------
    potential : MomentTensorPotential
    types : (n_atoms,) array of int
        Type t is potential.elements[t].
    neighbours : Neighbours
        Up to the cutoff or beyond.

    Returns
    -------
    (n_atoms, n_parameters) array
        In the order of `potential.parameters`.

    Notes
    -----
    The moment coefficients' columns are the basis functions :math:`B_\alpha`, the species coefficients' are 1 for the
    atom's own type. :math:`V_i` is linear in these two, so that their columns times the coefficients add up to it.

    References
    ----------
    E. V. Podryabinkin and A. V. Shapeev, Comput. Mater. Sci. 140, 171 (2017), doi:10.1016/j.commatsci.2017.08.031.

    Examples
    --------
    >>> from lipsdb.potentials.mtp.neighbours import neighbour_list
    >>> from lipsdb.potentials.mtp.potential import random_start
    >>> potential = random_start(2, ["Li"], min_distance_A=1.5, cutoff_A=5.0, radial_size=4, seed=1)
    >>> jacobian = atom_jacobian(potential, [0], neighbour_list([[0.0, 0.0, 0.0]], 3.0 * np.eye(3), 5.0))
    >>> jacobian.shape, float(jacobian[0, 1])  # moment, species and four radial coefficients
    ((1, 6), 1.0)
    """
    types = np.asarray(types, dtype=np.int64)
    blocks = pack([(types, neighbours)], len(potential.elements), potential.cutoff_A)
    jacobian = np.zeros((types.size + 1, potential.n_parameters))
    scalars = potential.basis.scalars.astype(np.int64)
    model = _tables(potential)
    _fill(model, scalars, blocks.types, blocks.atoms, blocks.slots, blocks.vectors, jacobian)
    jacobian = jacobian[: types.size]
    jacobian[:, potential.n_parameters - potential.radial_coefficients.size :] *= potential.scaling
    return jacobian


@lru_cache(maxsize=2)
def _tables(potential: MomentTensorPotential) -> Tables:
    """Made once for many frames with the same potential."""
    return tables(potential)


@compiled
def _fill(
    model: Tables,
    scalars: IntArray,
    block_types: IntArray,
    block_atoms: NDArray[np.int32],
    block_slots: IntArray,
    vectors: FloatArray,
    jacobian: FloatArray,
) -> None:
    n_moments, n_types, size = model.seed.size, model.n_types, model.n_radial * model.radial_size
    rows = new_rows(model)
    moments, adjoints = np.empty(8 * n_moments), np.empty(8 * n_moments)
    summed = np.empty(8 * size)
    for block in range(block_types.size):
        t = block_types[block]
        moments_of_block(model, t, block_slots[block], vectors, rows, moments, 0)
        energy_adjoints(model, moments, adjoints, 0)
        for lane in range(8):
            row = jacobian[block_atoms[block, lane]]
            for a in range(scalars.size):
                row[a] = moments[8 * scalars[a] + lane]
            row[scalars.size + t] = 1.0
        for neighbour in range(n_types):
            pair = t * n_types + neighbour
            for c in range(size):
                store(summed, 8 * c, spread(0.0))
            for slot in range(block_slots[block, neighbour], block_slots[block, neighbour + 1]):
                neighbourhood(model, pair, slot, vectors, rows)
                _add_radial(model, rows, adjoints, summed)
            for lane in range(8):
                row = jacobian[block_atoms[block, lane], scalars.size + n_types + pair * size :]
                for c in range(size):
                    row[c] = summed[8 * c + lane]


@inner
def _add_radial(model: Tables, rows: Rows, adjoints: FloatArray, summed: FloatArray) -> None:
    for mu in range(model.n_radial):
        polynomial = spread(0.0)
        for b in range(model.mu_first[mu], model.mu_first[mu + 1]):
            polynomial = polynomial + load(adjoints, 8 * model.basic[b]) * load(rows.monomials, 8 * model.monomial[b])
        for beta in range(0, 8 * model.radial_size, 8):
            c = 8 * mu * model.radial_size + beta
            store(summed, c, load(summed, c) + polynomial * load(rows.values, beta))
