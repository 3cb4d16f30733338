"""Correlation coefficients of two quantities, with their uncertainty by bootstrap over groups of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray
from lipsdb.errors import BadInputError


@dataclass(frozen=True)
class Correlation:
    """Correlation coefficients of two quantities with standard errors and 95 % intervals; dimensionless."""

    pearson: float
    pearson_error: float
    pearson_interval: tuple[float, float]
    spearman: float
    spearman_error: float
    spearman_interval: tuple[float, float]
    n_samples: int
    n_groups: int


def correlation(
    first: ArrayLike,
    second: ArrayLike,
    generator: np.random.Generator,
    *,
    groups: ArrayLike | None = None,
    resamples: int = 1000,
) -> Correlation:
    """Pearson and Spearman correlation (dimensionless) of two quantities, with their uncertainty by bootstrap.

    Parameters
    ----------
    first, second : (n_samples,) arrays
        Softness and, say, the averaged Steinhardt parameter q̄ of the same ions in the same frames.
    generator : numpy.random.Generator
        Draws the samples.
    groups : (n_samples,) array, optional
        Samples of one group (the ion over its frames) are drawn together; each sample by itself if not given, which
        makes the error too small where samples are correlated.
    resamples : int
        Draws.

    Returns
    -------
    Correlation
        Errors are standard deviations over the draws, intervals their 2.5 and 97.5 % quantiles.

    Raises
    ------
    BadInputError
        Rows that differ in length, are not finite or are constant; fewer than two groups or draws.

    Notes
    -----
    A draw is a set of whole-number weights. Ranks are taken anew in each draw (ties share their mean rank).

    References
    ----------
    Lithium thiophosphate study (disorder), Fig. 4e and f; B. Efron and R. J. Tibshirani, An Introduction to the
    Bootstrap (1993), doi:10.1201/9780429246593.

    Examples
    --------
    >>> result = correlation(np.arange(9.0), -np.arange(9.0) ** 3, np.random.default_rng(0), resamples=20)
    >>> result.spearman, result.spearman_error < 1e-6, round(result.pearson, 3)
    (-1.0, True, -0.908)
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    names: NDArray[Any] = np.arange(x.size) if groups is None else np.asarray(groups)
    valid = x.ndim == 1 and x.shape == y.shape == names.shape and x.size > 2
    if not (valid and np.isfinite(x).all() and np.isfinite(y).all() and np.ptp(x) > 0 and np.ptp(y) > 0):
        raise BadInputError(
            f"quantities of shapes {x.shape} and {y.shape}, groups {names.shape}; expected equally long rows of at "
            "least three finite values that are not all the same"
        )
    number = np.unique(names, return_inverse=True)[1]
    n_groups = int(number.max()) + 1
    if n_groups < 2 or resamples < 2:
        raise BadInputError(f"{n_groups} groups and {resamples} draws; expected at least two of each")
    _, x_place = np.unique(x, return_inverse=True)
    _, y_place = np.unique(y, return_inverse=True)
    drawn = np.empty((resamples, 2))
    for row in range(resamples):
        weight = np.bincount(generator.integers(n_groups, size=n_groups), minlength=n_groups)[number].astype(np.float64)
        ranks = _ranks(x_place, weight), _ranks(y_place, weight)
        drawn[row] = _pearson(x, y, weight), _pearson(*ranks, weight)
    once = np.ones(x.size)
    error = np.nanstd(drawn, axis=0, ddof=1).tolist()
    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0).tolist()
    return Correlation(
        pearson=_pearson(x, y, once),
        pearson_error=error[0],
        pearson_interval=(low[0], high[0]),
        spearman=_pearson(_ranks(x_place, once), _ranks(y_place, once), once),
        spearman_error=error[1],
        spearman_interval=(low[1], high[1]),
        n_samples=x.size,
        n_groups=n_groups,
    )


def _ranks(place: IntArray, weight: FloatArray) -> FloatArray:
    there = np.bincount(place, weight)
    ranks: FloatArray = (np.cumsum(there) - (there - 1.0) / 2.0)[place]
    return ranks


def _pearson(x: FloatArray, y: FloatArray, weight: FloatArray) -> float:
    total = weight.sum()
    x, y = x - (weight @ x) / total, y - (weight @ y) / total
    spread = np.sqrt((weight @ (x * x)) * (weight @ (y * y)))
    return float(weight @ (x * y) / spread) if spread > 0 else float("nan")
