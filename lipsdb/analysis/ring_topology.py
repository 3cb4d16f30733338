"""Rings in the network of ions: persistence diagrams in dimension 1 of a periodic point cloud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.cell_statistics import time_average
from lipsdb.analysis.periodic_alpha_complex import periodic_alpha_complex, ring_pairs
from lipsdb.analysis.periodic_cells import checked_cells
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, checked_mask, checked_positions
from lipsdb.errors import BadInputError


@dataclass(frozen=True)
class RingDiagram:
    """Persistence diagram of rings: one row for each ring of each snapshot, as radii in Å."""

    births: FloatArray  # (n,) Å, radius at which the spheres close the ring
    deaths: FloatArray  # (n,) Å, radius at which the ring is filled
    frames: IntArray  # (n,) index of the frame in the positions
    weights: FloatArray  # (n,) 1, or 1 / number of copies where a small cell had to be repeated
    birth_edges: IntArray  # (n, 2) atoms whose spheres close the ring
    death_triangles: IntArray  # (n, 3) atoms whose spheres fill it
    snapshots: IntArray  # (n_snapshots,) frames analysed

    @property
    def lifetimes(self) -> FloatArray:
        """Death less birth, (n,) Å."""
        return self.deaths - self.births


@dataclass(frozen=True)
class LongLivedFraction:
    """Fraction of the rings that live longer than a threshold, dimensionless."""

    fraction: float  # of all rings of all snapshots
    standard_error: float  # from blocks of snapshots; NaN for fewer than 16 snapshots
    by_snapshot: FloatArray  # (n_snapshots,) NaN where a snapshot has no ring
    rings_per_snapshot: float


@dataclass(frozen=True)
class DiagramHeatMap:
    """Smoothed density of a persistence diagram in Å⁻²."""

    birth_edges: FloatArray  # (n_births + 1,) Å, edges of the bins
    vertical_edges: FloatArray  # (n_vertical + 1,) Å, edges of the bins in lifetime or death
    density: FloatArray  # (n_births, n_vertical) Å⁻², integrates to the fraction of the rings that lie on the grid


def ring_persistence(
    positions: ArrayLike, cell: ArrayLike, mask: ArrayLike, *, frames: Sequence[int] | ArrayLike | None = None
) -> RingDiagram:
    """Birth and death radii in Å of the rings of the chosen ions in each snapshot, periodic in all directions.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        Wrapped or not.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic.
    mask : (n_atoms,) array of bool
        The ions that form the rings: Li.
    frames : sequence of int, optional
        Frames to analyse; the study takes 200. All if not given.

    Returns
    -------
    RingDiagram

    Raises
    ------
    BadInputError
        Arrays that do not fit together, a cell without volume, frames outside the trajectory.

    Notes
    -----
    Spheres of one radius r grow around the ions; a ring is born when they touch all around (half the longest distance
    between its neighbours, b = d_Li-Li / 2) and dies when they cover it. That is the filtration by the alpha complex
    (gudhi), whose homology is that of the union of the spheres: three ions can form a ring, which in a Vietoris-Rips
    complex they cannot. In terms of distances between ions (the unit of ripser and of scikit-TDA) all values are
    to be doubled.

    Periodic images within reach are added, simplices that are images of each other are made one, and the persistence is
    that of the resulting periodic complex: no ring is lost or made at a boundary, none is counted twice. The three
    classes that wind around the cell never die and are left out. A cell so small that two ions are bound in two ways
    is repeated first (its rings then have a smaller weight). Ions are displaced by 1e-6 Å at random (with a fixed
    seed), so that perfect crystals have one triangulation; lifetimes below 1e-4 Å are left out.

    References
    ----------
    The study: doi:10.1039/d3ya00234a, "Topological data analysis of the Li pathway network" and Fig. 9. A. Zomorodian
    and G. Carlsson, Discrete Comput. Geom. 33, 249 (2005), doi:10.1007/s00454-004-1146-y.

    Examples
    --------
    >>> atom = np.zeros((1, 1, 3))  # simple cubic, a = 4 Å: squares, born at a / 2, dead at a / √2
    >>> diagram = ring_persistence(atom, 4.0 * np.eye(3), np.array([True]))
    >>> sorted(set(diagram.births.round(3).tolist())), sorted(set(diagram.deaths.round(3).tolist()))
    ([2.0], [2.828])
    """
    array = checked_positions(positions, minimum_frames=1)
    chosen = np.flatnonzero(checked_mask(mask, array.shape[1], "ring"))
    cells = checked_cells(cell, len(array))
    snapshots = checked_frames(frames, len(array))
    rows: list[tuple[FloatArray, FloatArray, IntArray, IntArray]] = []
    weights, owners = [], []
    for frame in snapshots.tolist():
        complex_ = periodic_alpha_complex(array[frame, chosen].astype(np.float64), cells[frame])
        births, deaths, edges, triangles = ring_pairs(complex_)
        rows.append((births, deaths, chosen[edges % len(chosen)], chosen[triangles % len(chosen)]))
        weights.append(np.full(len(births), 1.0 / complex_.repeats.prod()))
        owners.append(np.full(len(births), frame, dtype=np.int64))
    births, deaths, birth_edges, death_triangles = (np.concatenate(column) for column in zip(*rows, strict=True))
    return RingDiagram(
        births=births,
        deaths=deaths,
        frames=np.concatenate(owners),
        weights=np.concatenate(weights),
        birth_edges=birth_edges,
        death_triangles=death_triangles,
        snapshots=snapshots,
    )


def checked_frames(frames: Sequence[int] | ArrayLike | None, n_frames: int) -> IntArray:
    """Return the indices of the frames wanted, all if None, refusing those outside the trajectory."""
    if frames is None:
        return np.arange(n_frames, dtype=np.int64)
    array: NDArray[np.int64] = np.asarray(frames)
    integral = array.ndim == 1 and array.size > 0 and np.issubdtype(array.dtype, np.integer)
    if not integral or array.min() < 0 or array.max() >= n_frames or len(np.unique(array)) < len(array):
        raise BadInputError(
            f"frames {np.array2string(array, threshold=6)} are not allowed; expected different whole numbers from 0 to "
            f"{n_frames - 1}"
        )
    return array.astype(np.int64)


def rings_in_region(diagram: RingDiagram, region: ArrayLike) -> RingDiagram:
    """Rings, with radii in Å, that lie in a region of the cell: at a grain boundary, in a glass.

    Parameters
    ----------
    diagram : RingDiagram
        Of the whole cell, so that no ring is cut at the region's faces.
    region : (n_atoms,) or (n_frames, n_atoms) array of bool
        True for the atoms in the region; all atoms and all frames of the positions.

    Returns
    -------
    RingDiagram
        Rings of which two or three of the atoms that fill them are in the region.

    Raises
    ------
    BadInputError
        A region that is not of bool or too small for the diagram.

    Examples
    --------
    >>> atom = np.zeros((1, 1, 3))
    >>> diagram = ring_persistence(atom, 4.0 * np.eye(3), np.array([True]))
    >>> len(rings_in_region(diagram, np.array([False])).births)
    0
    """
    inside: NDArray[np.bool_] = np.asarray(region)
    frames = int(diagram.snapshots.max()) + 1
    atoms = int(diagram.death_triangles.max(initial=-1)) + 1
    fits = inside.ndim in {1, 2} and inside.shape[-1] >= atoms and (inside.ndim == 1 or len(inside) >= frames)
    if inside.dtype != np.bool_ or not fits:
        raise BadInputError(
            f"the region is {inside.dtype} of shape {inside.shape}; expected bool of shape (n_atoms,) or "
            f"(n_frames, n_atoms) for at least {atoms} atoms and {frames} frames"
        )
    if inside.ndim == 1:
        filling = inside[diagram.death_triangles]
    else:
        filling = inside[diagram.frames[:, None], diagram.death_triangles]
    kept = filling.sum(axis=1) >= 2
    return RingDiagram(
        births=diagram.births[kept],
        deaths=diagram.deaths[kept],
        frames=diagram.frames[kept],
        weights=diagram.weights[kept],
        birth_edges=diagram.birth_edges[kept],
        death_triangles=diagram.death_triangles[kept],
        snapshots=diagram.snapshots,
    )


def long_lived_fraction(diagram: RingDiagram, *, minimum_lifetime: float = 1.0) -> LongLivedFraction:
    """Fraction f_PD of the rings with a lifetime above a threshold in Å, dimensionless.

    Parameters
    ----------
    diagram : RingDiagram
        From `ring_persistence`, or a part of it.
    minimum_lifetime : float
        Å, difference of two radii. A threshold on distances between ions is twice that on radii.

    Returns
    -------
    LongLivedFraction

    Raises
    ------
    BadInputError
        A threshold below 0, or a diagram without rings.

    Notes
    -----
    ``f_PD = #{L > L_min} / #{all}`` over the rings of all snapshots, ``L = d - b``. The study states b and d as radii
    of spheres, yet its Fig. 9 has most births of the crystal at 4 Å, the distance between neighbouring Li, and its
    package has the Vietoris-Rips filtration in distances: its absolute values of f_PD can't be compared with those of
    radii; their order and ratios can.

    References
    ----------
    The study: doi:10.1039/d3ya00234a, Fig. 9d.

    Examples
    --------
    >>> atom = np.zeros((1, 1, 3))  # every ring lives for 0.83 Å
    >>> diagram = ring_persistence(atom, 4.0 * np.eye(3), np.array([True]))
    >>> long_lived_fraction(diagram).fraction, long_lived_fraction(diagram, minimum_lifetime=0.5).fraction
    (0.0, 1.0)
    """
    if not (np.isfinite(minimum_lifetime) and minimum_lifetime >= 0):
        raise BadInputError(f"the smallest lifetime is {minimum_lifetime} Å; expected 0 or more")
    if len(diagram.births) == 0:
        raise BadInputError("the diagram has no ring; expected one at least; check the mask, the region and the frames")
    order = np.argsort(diagram.snapshots)
    owner = order[np.searchsorted(diagram.snapshots, diagram.frames, sorter=order)]
    number = len(diagram.snapshots)
    every = np.bincount(owner, diagram.weights, minlength=number)
    long = np.bincount(owner, diagram.weights * (diagram.lifetimes > minimum_lifetime), minlength=number)
    fraction = float(long.sum() / every.sum())
    # To first order the error of a ratio of means is that of the mean of (long - fraction * every) / mean(every).
    deviations = (long - fraction * every) / every.mean()
    return LongLivedFraction(
        fraction=fraction,
        standard_error=time_average(deviations).standard_error if number >= 16 else np.nan,
        by_snapshot=np.divide(long, every, out=np.full(number, np.nan), where=every > 0),
        rings_per_snapshot=float(every.mean()),
    )


def smoothed_diagram(
    diagram: RingDiagram,
    *,
    vertical: Literal["lifetime", "death"] = "lifetime",
    maximum: tuple[float, float] = (4.0, 2.0),
    spacing: float = 0.02,
    smoothing: float = 0.06,
) -> DiagramHeatMap:
    """Density in Å⁻² of the rings over birth and lifetime (or death), smoothed by a Gaussian.

    Parameters
    ----------
    diagram : RingDiagram
        From `ring_persistence`, or a part of it.
    vertical : {"lifetime", "death"}
        What stands on the second axis; the text of the study suits the lifetime.
    maximum : two float, Å
        Upper ends of the birth axis and of the second axis; both begin at 0. Rings beyond them are not counted.
    spacing : float
        Width of a bin, Å; rounded down so that bins fit.
    smoothing : float
        Standard deviation of the Gaussian, Å. It is mirrored at the borders, so that no density leaves the grid.

    Returns
    -------
    DiagramHeatMap

    Raises
    ------
    BadInputError
        A diagram without rings, an unknown axis, or widths that are not positive.

    Notes
    -----
    The study gives σ_smooth = 6 Å, wider than the whole diagram: bins must be meant. The default here is three bins.

    References
    ----------
    The study: doi:10.1039/d3ya00234a, Fig. 9a-c.

    Examples
    --------
    >>> atom = np.zeros((1, 1, 3))  # births at 2 Å, lifetimes of 0.83 Å
    >>> heat = smoothed_diagram(ring_persistence(atom, 4.0 * np.eye(3), np.array([True])))
    >>> bins = np.unravel_index(heat.density.argmax(), heat.density.shape)
    >>> round(float(heat.birth_edges[bins[0]]), 1), round(float(heat.vertical_edges[bins[1]]), 2)
    (2.0, 0.82)
    """
    from scipy.ndimage import gaussian_filter

    if vertical not in {"lifetime", "death"}:
        raise BadInputError(f"the second axis is {vertical!r}; expected 'lifetime' or 'death'")
    if len(diagram.births) == 0 or not (np.asarray([*maximum, spacing, smoothing]) > 0).all():
        raise BadInputError(
            f"{len(diagram.births)} rings, axes up to {maximum}, bins of {spacing} and smoothing of {smoothing} Å; "
            "expected one ring or more and positive lengths"
        )
    edges = [np.linspace(0.0, upper, int(np.ceil(upper / spacing - 1e-9)) + 1) for upper in maximum]
    second = diagram.lifetimes if vertical == "lifetime" else diagram.deaths
    counts, birth_edges, vertical_edges = np.histogram2d(
        diagram.births, second, bins=[edges[0], edges[1]], weights=diagram.weights
    )
    widths = birth_edges[1], vertical_edges[1]
    density = gaussian_filter(counts, [smoothing / width for width in widths], mode="reflect")
    density /= diagram.weights.sum() * widths[0] * widths[1]
    return DiagramHeatMap(birth_edges=birth_edges, vertical_edges=vertical_edges, density=density)
