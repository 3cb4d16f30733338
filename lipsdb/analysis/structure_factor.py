"""Faber-Ziman partial structure factors, from g(r) or from the wave vectors of the cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.periodic_cells import checked_cells
from lipsdb.analysis.radial_distribution import RadialDistribution, species_members
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, blocks, checked_positions
from lipsdb.errors import BadInputError


@dataclass(frozen=True)
class StructureFactor:
    """Faber-Ziman partial structure factors.

    Attributes
    ----------
    elements : tuple of str
        Species in alphabetical order; the first two axes of `partial`.
    fractions : (n_elements,) array
        Atomic fractions ``c_i``, dimensionless.
    q : (n_q,) array
        Scattering vector, Å⁻¹.
    partial : (n_elements, n_elements, n_q) array
        ``S_ij``, dimensionless, 1 at large Q; NaN where there is no value.
    resolution : float
        Smallest Q that can be told from 0, Å⁻¹: ``2 π / r_max``, or the shortest wave vector of the cell.
    """

    elements: tuple[str, ...]
    fractions: FloatArray
    q: FloatArray
    partial: FloatArray
    resolution: float


def _checked_q(q: ArrayLike) -> FloatArray:
    array = np.asarray(q, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all() or (array <= 0).any():
        raise BadInputError(f"Q is {np.array2string(array, threshold=6)}; expected a row of positive numbers in 1/Å")
    return array


def structure_factor_from_rdf(
    distribution: RadialDistribution,
    q: ArrayLike,
    *,
    window: Literal["lorch", "none"] = "lorch",
    r_max_A: float | None = None,
) -> StructureFactor:
    """Faber-Ziman partial structure factors, dimensionless, by Fourier transform of the partial g(r).

    Parameters
    ----------
    distribution : RadialDistribution
        From `lipsdb.analysis.radial_distribution`, of all atoms.
    q : (n_q,) array, Å⁻¹
        Positive; at most 1 / dr.
    window : {"lorch", "none"}
        Factor ``sin(π r / r_max) / (π r / r_max)`` that takes away the ripples of the cut at r_max and broadens peaks
        to some ``5.4 / r_max``; or none.
    r_max_A : float, optional
        Upper limit of the integral, Å; the whole range if not given.

    Returns
    -------
    StructureFactor

    Raises
    ------
    BadInputError
        Q that is not positive or too large for the bins, another window, or r_max beyond the range.

    Notes
    -----
    ``S_ij(Q) - 1 = ρ ∫ 4 π r² [g_ij(r) - 1] w(r) sin(Qr) / (Qr) dr`` from 0 to r_max, ρ the number density of all
    atoms, as a sum over bins. In a crystal g(r) is far from 1 at any r_max, so peaks are broad; below `resolution`
    the values mean little. `structure_factor_direct` has neither limit.

    References
    ----------
    doi:10.1038/s41467-025-56322-x, eq. 3 (without window), Fig. S2.
    E. Lorch, J. Phys. C 2, 229 (1969), doi:10.1088/0022-3719/2/2/305 (window).

    Examples
    --------
    >>> from lipsdb.analysis.radial_distribution import radial_distribution
    >>> gas = np.random.default_rng(0).random((20, 200, 3)) * 16.0
    >>> result = structure_factor_from_rdf(radial_distribution(gas, 16.0 * np.eye(3), ["Ar"] * 200), [3.0, 9.0])
    >>> bool(np.allclose(result.partial, 1.0, atol=0.05))
    True
    """
    wanted = _checked_q(q)
    edges = distribution.edges
    limit = float(edges[-1]) if r_max_A is None else float(r_max_A)
    if window not in {"lorch", "none"}:
        raise BadInputError(f"the window is {window!r}; expected 'lorch' or 'none'")
    if not edges[1] <= limit <= edges[-1] + 1e-9:
        raise BadInputError(f"r_max is {limit:g} Å; expected {edges[1]:g} to {edges[-1]:g} Å, the range of the g(r)")
    step = float(edges[1])
    if wanted.max() * step > 1.0:
        raise BadInputError(
            f"Q reaches {wanted.max():g} 1/Å with bins of {step:g} Å; expected at most {1.0 / step:g} 1/Å; "
            "compute the g(r) with a smaller dr"
        )
    r = distribution.radius[edges[1:] <= limit + 1e-9]
    weights: FloatArray = 4.0 * np.pi * distribution.number_density * r**2 * step
    if window == "lorch":
        weights *= np.sinc(r / limit)
    kernel = weights[:, None] * np.sinc(np.outer(r, wanted) / np.pi)
    partial: FloatArray = 1.0 + (distribution.partial[..., : len(r)] - 1.0) @ kernel
    fractions = distribution.n_atoms / distribution.n_atoms.sum()
    return StructureFactor(distribution.elements, fractions, wanted, partial, 2.0 * np.pi / limit)


def _wave_vectors(cell: FloatArray, edges: FloatArray, most: int, rng: np.random.Generator) -> IntArray:
    """Indices h, k, l of wave vectors, one of each ± pair: all of a shell, or `most` at random where it has more."""
    step = edges[1]
    # A shell holds 2π q² dq V / (2π)³ such pairs.
    dense = np.sqrt(most * 4.0 * np.pi**2 / (step * abs(np.linalg.det(cell))))
    first = min(int(np.searchsorted(edges, dense, side="right")), len(edges) - 1)
    reach = np.floor(edges[first] * np.linalg.norm(cell, axis=1) / (2.0 * np.pi)).astype(int).tolist()
    axes = [np.arange(0, reach[0] + 1), *(np.arange(-n, n + 1) for n in reach[1:])]
    every = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm(every @ np.linalg.inv(cell).T, axis=1) * 2.0 * np.pi
    chosen = [every[lengths <= edges[first]]]
    outer = len(edges) - 1 - first
    if outer > 0:
        directions = rng.normal(size=(outer, most, 3))
        directions /= np.linalg.norm(directions, axis=2, keepdims=True)
        lengths = rng.uniform(edges[first:-1, None], edges[first + 1 :, None], size=(outer, most))
        chosen.append(np.rint((directions * lengths[..., None]).reshape(-1, 3) @ cell.T / (2.0 * np.pi)).astype(int))
    indices = np.concatenate(chosen)
    leading = np.where(indices[:, 0] != 0, indices[:, 0], np.where(indices[:, 1] != 0, indices[:, 1], indices[:, 2]))
    unique: IntArray = np.unique(indices[leading != 0] * np.sign(leading[leading != 0])[:, None], axis=0)
    return unique.astype(np.int64)


def _densities(fractional: FloatArray, indices: IntArray, starts: IntArray) -> FloatArray:
    """Fourier components ``Σ exp(-i Q·r)`` over each species' atoms, which follow one another; real and imaginary."""
    reach = np.abs(indices).max(axis=0)
    # Powers of three phase factors an atom, multiplied, are much cheaper than an exponential for each wave vector.
    powers = [np.exp(-2j * np.pi * np.arange(-n, n + 1)[:, None] * fractional[:, axis]) for axis, n in enumerate(reach)]
    rows = (indices + reach).T
    # Small blocks stay in the processor's cache.
    result = np.empty((len(indices), len(starts)), dtype=np.complex128)
    for block in blocks(len(indices), 128 * 16 * len(fractional)):
        product = powers[0][rows[0, block]]
        product *= powers[1][rows[1, block]]
        product *= powers[2][rows[2, block]]
        result[block] = np.add.reduceat(product, starts, axis=1)
    return np.stack([result.real, result.imag])


def structure_factor_direct(
    positions: ArrayLike,
    cell: ArrayLike,
    symbols: ArrayLike,
    rng: np.random.Generator,
    *,
    q_max: float = 15.0,
    dq: float = 0.05,
    vectors_per_shell: int = 100,
) -> StructureFactor:
    """Faber-Ziman partial structure factors, dimensionless, from the wave vectors of the cell, without any g(r).

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Wrapped or not.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic.
    symbols : (n_atoms,) array of str
        Chemical symbols.
    rng : numpy.random.Generator
        Chooses the wave vectors of shells that have too many.
    q_max, dq : float, Å⁻¹
        Range, and width of the shells that are averaged over.
    vectors_per_shell : int
        About the most wave vectors (pairs ±Q) used of a shell. All are used where there are fewer.

    Returns
    -------
    StructureFactor
        At the middles of the shells; NaN for a shell without wave vectors.

    Raises
    ------
    BadInputError
        Arrays that do not fit together, or a range that is not positive.

    Notes
    -----
    ``S_ij(Q) = 1 + [<ρ_i(Q) ρ_j(-Q)> / N - c_i δ_ij] / (c_i c_j)`` with ``ρ_i(Q) = Σ exp(-i Q·r)``, averaged over the
    wave vectors ``Q = 2π (h, k, l) cell⁻ᵀ`` of a shell and over frames. The wave vectors are chosen once, for the mean
    cell; each frame is binned by the lengths in its own cell. A crystal's Bragg peaks are as high as the cell is large.
    `freud.diffraction.StaticStructureFactorDirect` is not used: it takes one octant of the wave vectors and
    makes triclinic cells orthorhombic. Cost: some 10 ns an atom and wave vector, of which there are up to
    ``vectors_per_shell q_max / dq``: a few tens of well separated frames will do.

    References
    ----------
    T. E. Faber, J. M. Ziman, Philos. Mag. 11, 153 (1965), doi:10.1080/14786436508211931.
    E. Fransson et al., Adv. Theory Simul. 4, 2000240 (2021), doi:10.1002/adts.202000240 (dynasor, the peer).

    Examples
    --------
    >>> crystal = np.zeros((1, 1, 3))  # every wave vector of a one-atom cell is a Bragg peak, N = 1
    >>> result = structure_factor_direct(crystal, 6.0 * np.eye(3), ["Ar"], np.random.default_rng(0), q_max=1.1, dq=0.1)
    >>> result.partial[0, 0].round(6)[10], round(result.resolution, 3)
    (np.float64(1.0), 1.047)
    """
    array = checked_positions(positions, minimum_frames=1)
    n_frames, n_atoms, _ = array.shape
    species = species_members(symbols, n_atoms)
    cells = checked_cells(cell, n_frames)
    if not (np.isfinite([q_max, dq]).all() and 0.0 < dq <= q_max) or vectors_per_shell < 1:
        raise BadInputError(
            f"q_max is {q_max:g}, dq {dq:g} 1/Å, {vectors_per_shell} vectors a shell; "
            "expected 0 < dq <= q_max and 1 vector or more"
        )
    n_bins = int(np.floor(q_max / dq + 1e-9))
    edges: FloatArray = dq * np.arange(n_bins + 1, dtype=np.float64)
    indices = _wave_vectors(cells.mean(axis=0), edges, vectors_per_shell, rng)
    order = np.concatenate(list(species.values()))
    numbers = np.array([len(atoms) for atoms in species.values()])
    starts = np.concatenate([[0], np.cumsum(numbers)[:-1]])
    products = np.zeros((len(numbers), len(numbers), n_bins))
    vectors = np.zeros(n_bins)
    shortest = np.inf
    for frame, frame_cell in zip(array, cells, strict=True):
        inverse = np.linalg.inv(frame_cell)
        lengths = 2.0 * np.pi * np.linalg.norm(indices @ inverse.T, axis=1)
        shortest = min(shortest, float(lengths.min(initial=np.inf)))
        inside = lengths < n_bins * dq
        shell = np.minimum((lengths[inside] / dq).astype(np.int64), n_bins - 1)
        if shell.size == 0:
            continue
        density = _densities(frame[order].astype(np.float64) @ inverse, indices[inside], starts)
        for i, j in np.ndindex(len(numbers), len(numbers)):
            product = (density[:, :, i] * density[:, :, j]).sum(axis=0)
            products[i, j] += np.bincount(shell, weights=product, minlength=n_bins)
        vectors += np.bincount(shell, minlength=n_bins)
    fractions = numbers / n_atoms
    with np.errstate(invalid="ignore"):
        mean = products / (vectors * n_atoms)
    mean -= np.diag(fractions)[:, :, None]
    partial: FloatArray = 1.0 + mean / (fractions[:, None, None] * fractions[:, None])
    return StructureFactor(tuple(species), fractions, 0.5 * (edges[1:] + edges[:-1]), partial, shortest)
