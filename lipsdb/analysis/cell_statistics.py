"""Lattice parameters and density from a run at constant pressure, with errors that respect correlation in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.periodic_cells import checked_cell_series
from lipsdb.analysis.trajectory_arrays import FloatArray
from lipsdb.errors import BadInputError

GRAMS_PER_CM3 = 1.66053906660  # of 1 amu/Å³: 1.66053906660e-24 g in 1e-24 cm³ (CODATA 2018)


@dataclass(frozen=True)
class TimeAverage:
    """Mean of a correlated time series, in the unit of the series where not said otherwise."""

    mean: float
    standard_error: float
    standard_deviation: float  # of the single values: the fluctuation
    statistical_inefficiency: float  # frames that make one independent one; 1 for no correlation
    block_length: int  # frames
    converged: bool  # false: the run is too short for its correlation, the error is a lower bound
    drift_sigma: float  # second half's mean less the first's over its standard error; above 3 not in equilibrium


@dataclass(frozen=True)
class CellStatistics:
    """Averages over a run of the lattice parameters of one unit cell, and the density."""

    a: TimeAverage  # Å
    b: TimeAverage  # Å
    c: TimeAverage  # Å
    alpha: TimeAverage  # degrees
    beta: TimeAverage  # degrees
    gamma: TimeAverage  # degrees
    volume: TimeAverage  # Å³, of one unit cell
    density: TimeAverage  # g/cm³


def _blocked_error(series: FloatArray) -> tuple[float, float, int, bool]:
    """Standard error, statistical inefficiency, block length in frames, and whether such a block was found."""
    number = len(series)
    plain = float(series.var(ddof=1)) / number
    if plain <= (1e-12 * max(1.0, float(np.abs(series).max()))) ** 2:  # a cell that does not move
        return 0.0, 1.0, 1, True
    blocks, length, largest = series, 1, plain
    while len(blocks) >= 4:
        variance = float(blocks.var(ddof=1)) / len(blocks)
        largest = max(largest, variance)
        if length**3 >= 2 * number * (variance / plain) ** 2:
            return float(np.sqrt(variance)), variance / plain, length, True
        even = len(blocks) // 2 * 2
        blocks, length = blocks[:even].reshape(-1, 2).mean(axis=1), 2 * length
    return float(np.sqrt(largest)), largest / plain, length // 2, False


def time_average(series: ArrayLike) -> TimeAverage:
    """Mean of a time series in its unit, with a standard error from blocks and the drift between its halves.

    Parameters
    ----------
    series : (n_frames,) array
        Equally spaced in time, equilibration left out; 16 frames or more.

    Returns
    -------
    TimeAverage

    Raises
    ------
    BadInputError
        Another shape, fewer than 16 frames, or a value that is not finite.

    Notes
    -----
    Blocking: frames are averaged in pairs again and again; the standard error of the mean of the blocks grows until the
    blocks no longer remember each other. Taken is the first block length B with ``B³ ≥ 2 n g²``, where n is the number
    of frames and g the statistical inefficiency that those blocks give: it balances what is left of the correlation
    against the noise of few blocks. If no B leaves four blocks, the largest error seen is given as not converged.
    The drift compares the two halves, each with its own error: a run in equilibrium stays below 2 nineteen times in
    twenty, if both halves are long against the correlation time.

    References
    ----------
    H. Flyvbjerg and H. G. Petersen, J. Chem. Phys. 91, 461 (1989), doi:10.1063/1.457480; R. M. Lee et al., Phys. Rev. E
    83, 066706 (2011), doi:10.1103/PhysRevE.83.066706 (the choice of B).

    Examples
    --------
    >>> average = time_average(np.tile([1.0, 3.0], 50))
    >>> average.mean, average.converged
    (2.0, True)
    """
    values = np.asarray(series, dtype=np.float64)
    if values.ndim != 1 or len(values) < 16 or not np.isfinite(values).all():
        raise BadInputError(
            f"a series of shape {values.shape}, {int(np.isfinite(values).sum())} values finite; expected 16 finite "
            "values or more in one row; run longer or write frames more often"
        )
    mean = float(values.mean())
    deviations = values - mean
    error, inefficiency, length, converged = _blocked_error(deviations)
    first, second = deviations[: len(values) // 2], deviations[len(values) // 2 :]
    spread = float(np.hypot(_blocked_error(first)[0], _blocked_error(second)[0]))
    difference = float(second.mean() - first.mean())
    steady = abs(difference) <= 1e-9 * max(1.0, abs(mean))
    return TimeAverage(
        mean=mean,
        standard_error=error,
        standard_deviation=float(values.std(ddof=1)),
        statistical_inefficiency=inefficiency,
        block_length=length,
        converged=converged,
        drift_sigma=0.0 if steady else difference / spread if spread > 0 else float(np.copysign(np.inf, difference)),
    )


def lattice_parameters(cells: ArrayLike) -> FloatArray:
    """Lengths in Å and angles in degrees of cells of any shape and orientation.

    Parameters
    ----------
    cells : (n_frames, 3, 3) array, Å
        Rows are the cell vectors.

    Returns
    -------
    (n_frames, 6) array, Å and degrees
        a, b, c, α (between b and c), β (a and c), γ (a and b).

    Raises
    ------
    BadInputError
        Another shape, a value that is not finite, or a cell without volume.

    Examples
    --------
    >>> hexagonal = np.array([[[3.0, 0.0, 0.0], [-1.5, 1.5 * 3**0.5, 0.0], [0.0, 0.0, 5.0]]])
    >>> lattice_parameters(hexagonal).round(9).tolist()
    [[3.0, 3.0, 5.0, 90.0, 90.0, 120.0]]
    """
    vectors = checked_cell_series(cells)
    lengths = np.linalg.norm(vectors, axis=2)
    unit = vectors / lengths[:, :, None]
    cosines = np.stack([(unit[:, i] * unit[:, j]).sum(axis=1) for i, j in ((1, 2), (0, 2), (0, 1))], axis=1)
    return np.concatenate([lengths, np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))], axis=1)


def cell_statistics(
    cells: ArrayLike, masses: ArrayLike, *, repeats: tuple[int, int, int] = (1, 1, 1)
) -> CellStatistics:
    """Mean lattice parameters in Å and degrees, volume in Å³ and density in g/cm³ of a run at constant pressure.

    Parameters
    ----------
    cells : (n_frames, 3, 3) array, Å
        Rows are the vectors of the simulation cell; equilibration left out.
    masses : (n_atoms,) array, amu
        Of all atoms in the simulation cell.
    repeats : three int
        How many unit cells the simulation cell has along each vector: lengths and volume are those of one unit cell.

    Returns
    -------
    CellStatistics

    Raises
    ------
    BadInputError
        Cells that are no cells, fewer than 16 frames, masses that are not positive, or repeats below 1.

    Notes
    -----
    Volume and density are averaged frame by frame (not made from the mean lengths). Errors as in `time_average`.

    References
    ----------
    The study: doi:10.1039/d3ya00234a, Table 1 (a, b, c and density of β-Li3PS4).

    Examples
    --------
    >>> cells = np.tile(np.diag([20.0, 10.0, 10.0]), (20, 1, 1))
    >>> result = cell_statistics(cells, np.full(100, 12.0), repeats=(2, 1, 1))
    >>> result.a.mean, round(result.volume.mean, 6), round(result.density.mean, 4)  # 1200 amu in 2000 Å³
    (10.0, 1000.0, 0.9963)
    """
    vectors = checked_cell_series(cells)
    weights = np.asarray(masses, dtype=np.float64)
    if weights.ndim != 1 or weights.size == 0 or not (np.isfinite(weights).all() and (weights > 0).all()):
        raise BadInputError(
            f"masses of shape {weights.shape}, {np.array2string(weights.ravel(), threshold=6)}; "
            "expected positive numbers in amu, one an atom"
        )
    counts: NDArray[np.int64] = np.asarray(repeats)
    if counts.shape != (3,) or not np.issubdtype(counts.dtype, np.integer) or counts.min() < 1:
        raise BadInputError(f"repeats {repeats}; expected three whole numbers of 1 or more")
    parameters = lattice_parameters(vectors)
    parameters[:, :3] /= counts
    volumes = np.abs(np.linalg.det(vectors))
    densities = GRAMS_PER_CM3 * weights.sum() / volumes
    a, b, c, alpha, beta, gamma = (time_average(column) for column in parameters.T)
    return CellStatistics(
        a=a,
        b=b,
        c=c,
        alpha=alpha,
        beta=beta,
        gamma=gamma,
        volume=time_average(volumes / counts.prod()),
        density=time_average(densities),
    )
