"""Which ions hopped and which stayed, by their cumulative non-affine displacement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.errors import BadInputError

HOPPING, IMMOBILE, LEFT_OUT = 1, 0, -1


@dataclass(frozen=True)
class MobilityLabels:
    """Which samples hopped and which stayed.

    Attributes
    ----------
    values : (n_samples,) array of int8
        1 hopping, 0 immobile, -1 neither.
    hopping_from, immobile_below : float
        Thresholds of D_cum, Å; equal where no sample is left out.
    """

    values: NDArray[np.int8]
    hopping_from: float
    immobile_below: float


def mobility_labels(
    displacement: ArrayLike,
    *,
    threshold: float | None = None,
    quantiles: tuple[float, float] | None = None,
) -> MobilityLabels:
    """Label samples hopping (1), immobile (0) or neither (-1) by their cumulative non-affine displacement in Å.

    Parameters
    ----------
    displacement : (n_samples,) array, Å
        D_cum.
    threshold : float, optional
        D_c in Å: at or above it an ion is hopping, below it immobile.
    quantiles : (float, float), optional
        Instead of a threshold: the lowest fraction that is immobile and the fraction from which ions are hopping, such
        as (0.2, 0.8) for the lowest and the highest fifth; (0.5, 0.5) splits at the median.

    Returns
    -------
    MobilityLabels

    Raises
    ------
    BadInputError
        Both or neither of threshold and quantiles, values that are not finite, or a class without samples.

    References
    ----------
    Lithium thiophosphate study (disorder), Fig. S16 (threshold D_c); E. D. Cubuk et al., Phys. Rev. Lett. 114, 108001
    (2015), doi:10.1103/PhysRevLett.114.108001 (classes from the ends of the distribution).

    Examples
    --------
    >>> mobility_labels([0.1, 0.2, 5.0, 0.6], quantiles=(0.5, 0.75)).values.tolist()
    [0, 0, 1, -1]
    """
    values = np.asarray(displacement, dtype=np.float64)
    if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():
        raise BadInputError(f"D_cum has shape {values.shape}; expected a row of at least two finite values in Å")
    if threshold is not None and quantiles is None:
        low = high = float(threshold)
    elif quantiles is not None and threshold is None:
        if not 0 < quantiles[0] <= quantiles[1] < 1:
            raise BadInputError(f"quantiles {quantiles}; expected 0 < lower <= upper < 1")
        low, high = np.quantile(values, quantiles).tolist()
    else:
        raise BadInputError(f"threshold {threshold} and quantiles {quantiles}; expected one of the two")
    return labels_between(values, low, high)


def labels_between(displacement: ArrayLike, immobile_below: float, hopping_from: float) -> MobilityLabels:
    """Label samples immobile below one threshold in Å, hopping from another one on, and neither between them.

    Parameters
    ----------
    displacement : (n_samples,) array, Å
        D_cum.
    immobile_below, hopping_from : float
        Å; those found for some samples (to train on) can so be used for others (to test on).

    Returns
    -------
    MobilityLabels

    Raises
    ------
    BadInputError
        A class without samples.

    Examples
    --------
    >>> labels_between([0.1, 0.2, 5.0, 0.6], 0.5, 1.0).values.tolist()
    [0, 0, 1, -1]
    """
    values = np.asarray(displacement, dtype=np.float64)
    labels = np.full(values.shape, LEFT_OUT, dtype=np.int8)
    labels[values < immobile_below] = IMMOBILE
    labels[values >= hopping_from] = HOPPING
    if not ((labels == HOPPING).any() and (labels == IMMOBILE).any()):
        raise BadInputError(
            f"with thresholds {immobile_below:.4g} and {hopping_from:.4g} Å a class has no sample; D_cum goes from "
            f"{values.min():.4g} to {values.max():.4g} Å; choose thresholds inside"
        )
    return MobilityLabels(labels, hopping_from, immobile_below)
