"""Distribution of softness over the ions of a phase or region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray
from lipsdb.errors import BadInputError


@dataclass(frozen=True)
class SoftnessDistribution:
    """Distribution of softness in each group of samples (a phase, a region).

    Attributes
    ----------
    names : tuple of str
        Groups, sorted.
    edges : (n_bins + 1,) array, dimensionless
        Of the bins.
    density : (n_groups, n_bins) array, dimensionless
        Probability per unit of softness; each row integrates to 1.
    mean, std, soft_fraction : (n_groups,) arrays, dimensionless
        Mean and standard deviation of S, and the fraction with S > 0.
    number : (n_groups,) array of int
        Samples.
    """

    names: tuple[str, ...]
    edges: FloatArray
    density: FloatArray
    mean: FloatArray
    std: FloatArray
    soft_fraction: FloatArray
    number: IntArray


def softness_distribution(values: ArrayLike, groups: ArrayLike, *, bins: int = 60) -> SoftnessDistribution:
    """Distribution of the softness S (dimensionless) in each group.

    Parameters
    ----------
    values : (n_samples,) array, dimensionless
        Softness.
    groups : (n_samples,) array
        Name of each sample's group.
    bins : int
        Equal bins from the least to the largest value.

    Returns
    -------
    SoftnessDistribution

    Raises
    ------
    BadInputError
        Rows of different lengths, or values that are not finite.

    References
    ----------
    Lithium thiophosphate study (disorder), Figs. 4a, S11 and S12.

    Examples
    --------
    >>> result = softness_distribution([-1.0, -2.0, 1.0, 3.0], ["crystal", "crystal", "glass", "glass"], bins=5)
    >>> result.names, result.mean.tolist(), result.soft_fraction.tolist()
    (('crystal', 'glass'), [-1.5, 2.0], [0.0, 1.0])
    """
    samples, names = np.asarray(values, dtype=np.float64), np.asarray(groups).astype(np.str_)
    if samples.ndim != 1 or samples.size == 0 or names.shape != samples.shape or not np.isfinite(samples).all():
        raise BadInputError(
            f"softness of shape {samples.shape}, groups of shape {names.shape}; expected two equally long rows, finite"
        )
    edges = np.histogram_bin_edges(samples, bins)
    parts = {str(name): samples[names == name] for name in np.unique(names)}
    return SoftnessDistribution(
        names=tuple(parts),
        edges=edges,
        density=np.array([np.histogram(part, edges, density=True)[0] for part in parts.values()]),
        mean=np.array([part.mean() for part in parts.values()]),
        std=np.array([part.std() for part in parts.values()]),
        soft_fraction=np.array([(part > 0).mean() for part in parts.values()]),
        number=np.array([len(part) for part in parts.values()], dtype=np.int64),
    )
