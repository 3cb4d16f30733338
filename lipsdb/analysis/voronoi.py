"""Voronoi cells of atoms: how much room each has among all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.periodic_cells import COINCIDENT_A, checked_cells, freud_frames
from lipsdb.analysis.trajectory_arrays import FloatArray, blocks, checked_mask, checked_positions
from lipsdb.errors import BadInputError

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def voronoi_volumes(positions: ArrayLike, cell: ArrayLike, centre_mask: ArrayLike) -> NDArray[np.float32]:
    """Volume in Å³ of the Voronoi cell of each chosen atom in each frame, all atoms being generators.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å
        All atoms, wrapped or not.
    cell : (3, 3) or (n_frames, 3, 3) array, Å
        Rows are the cell vectors; orthorhombic or triclinic, periodic in all three, of any size.
    centre_mask : (n_atoms,) array of bool
        The atoms whose volumes are wanted: Li in the study.

    Returns
    -------
    (n_frames, n_chosen) array of float32, Å³

    Raises
    ------
    BadInputError
        Arrays that do not fit together, a cell without volume, or a frame where atoms coincide.

    Notes
    -----
    The cell of an atom holds all points nearer to it than to any other atom or image, without radii, so the volumes
    of all atoms add up to that of the simulation cell. Made by freud, which calls voro++: some 30 µs an atom and
    frame. Neighbouring frames tell little new: every tenth picosecond will do
    (``positions[::n]``).

    References
    ----------
    doi:10.1038/s41467-025-56322-x, Fig. S4 (Voronoi volume of lithium atoms).
    C. H. Rycroft, Chaos 19, 041111 (2009), doi:10.1063/1.3215722 (voro++).

    Examples
    --------
    >>> atom = np.zeros((1, 1, 3))
    >>> voronoi_volumes(atom, np.diag([3.0, 4.0, 5.0]), np.array([True])).tolist()
    [[60.0]]
    """
    import freud

    array = checked_positions(positions, minimum_frames=1)
    n_frames, n_atoms, _ = array.shape
    chosen = checked_mask(centre_mask, n_atoms, "centre")
    cells = checked_cells(cell, n_frames)
    volumes = np.empty((n_frames, int(chosen.sum())), dtype=np.float32)
    diagram = freud.locality.Voronoi()
    for index, (box, points) in enumerate(freud_frames(array, cells)):
        search = freud.locality.AABBQuery(box, points)
        for first, second, _ in search.query(points, {"r_max": COINCIDENT_A, "exclude_ii": True}):
            raise BadInputError(
                f"atoms {first} and {second} of frame {index} are less than {COINCIDENT_A} Å apart; "
                "no two atoms may be at the same place; check the positions and the cell"
            )
        volumes[index] = diagram.compute(search).volumes[chosen]
    return volumes


@dataclass(frozen=True)
class VolumeDistribution:
    """How Voronoi volumes are distributed.

    Attributes
    ----------
    mean : float
        Over atoms and frames, Å³.
    mean_error : float
        Standard error of the mean from blocks of frames, Å³; NaN for a single frame.
    standard_deviation : float
        Of single volumes, Å³.
    quantiles : (5,) array
        Volumes below which lie 5, 25, 50, 75 and 95 % (`QUANTILES`), Å³: for a violin or box plot.
    edges : (n_bins + 1,) array
        Bin edges, Å³.
    density : (n_bins,) array
        Probability density, Å⁻³; its integral is 1.
    """

    mean: float
    mean_error: float
    standard_deviation: float
    quantiles: FloatArray
    edges: FloatArray
    density: FloatArray


def volume_distribution(volumes: ArrayLike, *, bin_width: float = 0.5, n_blocks: int = 5) -> VolumeDistribution:
    """Mean, spread, quantiles and probability density of Voronoi volumes in Å³.

    Parameters
    ----------
    volumes : (n_frames, n_chosen) array, Å³
        From `voronoi_volumes`.
    bin_width : float
        Of the histogram, Å³. Edges are whole multiples of it, so that histograms of several runs fit together.
    n_blocks : int
        Consecutive blocks of frames whose means give the standard error; fewer if there are fewer frames.

    Returns
    -------
    VolumeDistribution

    Raises
    ------
    BadInputError
        No table of positive volumes, or a bin width or number of blocks that is not allowed.

    References
    ----------
    doi:10.1038/s41467-025-56322-x, Fig. S4 (a: density distribution, b: violin plot).

    Examples
    --------
    >>> found = volume_distribution(np.array([[10.0, 12.0], [10.0, 12.0]]), bin_width=1.0)
    >>> found.mean, found.mean_error, found.edges.tolist(), found.density.tolist()
    (11.0, 0.0, [10.0, 11.0, 12.0, 13.0], [0.5, 0.0, 0.5])
    """
    table: NDArray[Any] = np.asarray(volumes)
    if table.ndim != 2 or table.size == 0 or not (table.min() > 0 and np.isfinite(table.max())):
        raise BadInputError(
            f"volumes are {table.dtype} of shape {table.shape}; expected (n_frames, n_chosen) positive numbers in Å³; "
            "give the result of voronoi_volumes"
        )
    if not (np.isfinite(bin_width) and bin_width > 0 and n_blocks >= 2):
        raise BadInputError(
            f"bin width {bin_width} Å³ and {n_blocks} blocks; expected a positive width and at least 2 blocks"
        )
    frame_means = table.mean(axis=1, dtype=np.float64)
    mean = float(frame_means.mean())
    parts = [part.mean() for part in np.array_split(frame_means, min(n_blocks, len(frame_means)))]
    error = float(np.std(parts, ddof=1) / np.sqrt(len(parts))) if len(parts) > 1 else float("nan")
    squares = sum(float(np.square(table[some] - mean).sum()) for some in blocks(len(table), 16 * table.shape[1]))
    first, last = np.floor(float(table.min()) / bin_width), np.floor(float(table.max()) / bin_width)
    edges: FloatArray = np.arange(first, last + 2) * bin_width
    counts, _ = np.histogram(table, bins=edges)
    return VolumeDistribution(
        mean=mean,
        mean_error=error,
        standard_deviation=float(np.sqrt(squares / table.size)),
        quantiles=np.quantile(table, QUANTILES).astype(np.float64),
        edges=edges,
        density=counts / (table.size * bin_width),
    )
