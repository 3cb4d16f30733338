"""Softness: how far an ion's surroundings lie on the mobile side of a plane learnt from the motion of ions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.analysis.mobility_labels import HOPPING, LEFT_OUT, MobilityLabels
from lipsdb.analysis.radial_features import FeatureDefinition
from lipsdb.analysis.trajectory_arrays import BoolArray, FloatArray, IntArray, blocks
from lipsdb.errors import BadInputError

NORMAL_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
GRADIENT_TOLERANCE = 1e-7  # of the mean loss
STEPS = 200  # of Newton's method; some ten are enough unless the classes are all but separable


@dataclass(frozen=True)
class Performance:
    """How well a classifier does on labelled samples; dimensionless.

    Attributes
    ----------
    n_samples, n_groups : int
        Samples, and groups (ions, runs …) that they come from.
    accuracy, accuracy_low, accuracy_high : float
        Fraction classified rightly and its 95 % interval (Wilson's, with the number of samples reduced for the
        correlation within groups).
    balanced_accuracy : float
        Mean of the accuracies in the two classes; 0.5 is chance.
    roc_auc : float
        Probability that a hopping sample has a higher softness than an immobile one.
    majority : float
        Fraction of the larger class: the accuracy of always answering that.
    """

    n_samples: int
    n_groups: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    balanced_accuracy: float
    roc_auc: float
    majority: float


@dataclass(frozen=True)
class Classifier:
    """A plane in the space of standardised radial structure functions, and all that is needed to use it again.

    Attributes
    ----------
    definition : FeatureDefinition
        Which features; Å.
    mean, std : (n_features,) arrays
        With which they are standardised (neighbours in a bin); of the training samples only.
    weights : (n_features,) array, dimensionless
        W(r) of the standardised features, pair after pair.
    bias : float, dimensionless
        b in ``Σ W G - b``.
    regularisation : float
        Inverse strength C of the penalty on the weights.
    hopping_from, immobile_below : float
        Thresholds of D_cum that made the labels, Å.
    train, test : Performance
        On the groups that it was fitted to and on those held out.
    """

    definition: FeatureDefinition
    mean: FloatArray
    std: FloatArray
    weights: FloatArray
    bias: float
    regularisation: float
    hopping_from: float
    immobile_below: float
    train: Performance
    test: Performance

    def weights_by_pair(self) -> dict[str, FloatArray]:
        """W(r) of each pair, dimensionless, at ``definition.distances`` (Å), as in Fig. 4b of the study."""
        rows = self.weights.reshape(len(self.definition.pairs), -1)
        return dict(zip(self.definition.pairs, rows, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Plain values and arrays, to be stored."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Classifier:
        """Inverse of `to_dict`; lists will do for arrays."""
        definition = dict(stored["definition"])
        return cls(
            definition=FeatureDefinition(**definition | {"neighbours": tuple(definition["neighbours"])}),
            mean=np.asarray(stored["mean"], dtype=np.float64),
            std=np.asarray(stored["std"], dtype=np.float64),
            weights=np.asarray(stored["weights"], dtype=np.float64),
            bias=float(stored["bias"]),
            regularisation=float(stored["regularisation"]),
            hopping_from=float(stored["hopping_from"]),
            immobile_below=float(stored["immobile_below"]),
            train=Performance(**stored["train"]),
            test=Performance(**stored["test"]),
        )


def held_out(groups: ArrayLike, test_fraction: float, generator: np.random.Generator) -> BoolArray:
    """Which samples are held out for the test: all those of some groups.

    Parameters
    ----------
    groups : (n_samples,) array
        Samples of one group never stand on both sides of the split: the ion, or better its run where there are
        several, since neighbouring ions see much the same surroundings.
    test_fraction : float
        Of the groups, rounded up.
    generator : numpy.random.Generator
        Chooses them.

    Returns
    -------
    (n_samples,) array of bool

    Raises
    ------
    BadInputError
        A fraction that is not between 0 and 1, or that leaves no group on one side.

    Examples
    --------
    >>> held_out([1, 1, 2, 2], 0.5, np.random.default_rng(0)).sum().item()
    2
    """
    from sklearn.model_selection import GroupShuffleSplit

    names: NDArray[Any] = np.asarray(groups)
    n_groups = len(np.unique(names))
    if not (0 < test_fraction < 1 and np.ceil(test_fraction * n_groups) < n_groups):
        raise BadInputError(
            f"a test fraction of {test_fraction} of {n_groups} groups; expected a number between 0 and 1 that leaves "
            "at least one group to fit to and one to hold out"
        )
    seed = int(generator.integers(2**32 - 1))
    split = GroupShuffleSplit(1, test_size=test_fraction, random_state=seed).split(names, groups=names)
    mask = np.zeros(len(names), dtype=np.bool_)
    mask[next(iter(split))[1]] = True
    return mask


def train_classifier(
    features: ArrayLike,
    definition: FeatureDefinition,
    labels: MobilityLabels,
    groups: ArrayLike,
    held: BoolArray,
    *,
    regularisation: float = 1.0,
    balance: bool = True,
) -> Classifier:
    """Logistic regression that tells hopping from immobile ions by their surroundings; weights dimensionless.

    Parameters
    ----------
    features : (n_samples, n_features) array
        Radial structure functions at the start of each sample's block of windows, not standardised.
    definition : FeatureDefinition
        What they are.
    labels : MobilityLabels
        Of the same samples; those that are neither are not used.
    groups : (n_samples,) array
        As for `held_out`; they also tell how many independent samples there are.
    held : (n_samples,) array of bool
        From `held_out`: samples to test on, not to fit to.
    regularisation : float
        Inverse strength C of the L2 penalty.
    balance : bool
        Give both classes the same total weight in the fit.

    Returns
    -------
    Classifier

    Raises
    ------
    BadInputError
        Arrays that do not fit together, a class missing on one side of the split, or a fit that does not converge.

    Notes
    -----
    Features are standardised with the training samples' mean and standard deviation (1 where a feature does not vary;
    its weight is then 0). ``log p/(1-p) = Σ W(r) G(i; r) - b``; Newton's method of scikit-learn, so that the order of
    the samples does not matter. Choose C, cutoff, spacing and threshold on the training groups alone, as
    `lipsdb.analysis.softness_selection` does: the test accuracy is no longer one if it was used to choose.

    References
    ----------
    Lithium thiophosphate study (disorder), eq. 16 and Methods, "Machine learning classification" (accuracy of the test
    set above 0.78, of both sets above 0.80 in the end).

    Examples
    --------
    >>> from lipsdb.analysis.mobility_labels import mobility_labels
    >>> definition = FeatureDefinition("Li", ("S",), cutoff=0.4, spacing=0.2)
    >>> generator = np.random.default_rng(0)
    >>> features = generator.normal(size=(400, 2))
    >>> labels, groups = mobility_labels(features[:, 1], threshold=0.0), np.arange(400) // 4
    >>> trained = train_classifier(features, definition, labels, groups, held_out(groups, 0.25, generator))
    >>> bool(trained.test.accuracy > 0.9), trained.test.n_groups
    (True, 25)
    """
    samples, classes, group = labelled_samples(features, definition, labels, groups)
    testing = np.asarray(held, dtype=np.bool_)[labels.values != LEFT_OUT]
    mean, std, weights, bias = fit_plane(samples[~testing], classes[~testing], regularisation, balance)
    margins = samples @ (weights / std) - float(mean @ (weights / std)) - bias
    parts = [performance_of(margins[part], classes[part], group[part]) for part in (~testing, testing)]
    return Classifier(
        definition, mean, std, weights, bias, regularisation, labels.hopping_from, labels.immobile_below, *parts
    )


def labelled_samples(
    features: ArrayLike, definition: FeatureDefinition, labels: MobilityLabels, groups: ArrayLike
) -> tuple[FloatArray, NDArray[np.int8], IntArray]:
    """Samples that are hopping or immobile, their class, and the number of their group."""
    table: NDArray[Any] = np.asarray(features)
    names: NDArray[Any] = np.asarray(groups)
    n_samples = len(labels.values)
    if table.shape != (n_samples, definition.n_features) or names.shape != (n_samples,):
        raise BadInputError(
            f"features have shape {table.shape} and groups {names.shape}; expected ({n_samples}, "
            f"{definition.n_features}) and ({n_samples},) for {n_samples} labels"
        )
    used = labels.values != LEFT_OUT
    samples = table[used].astype(np.float64)
    if not np.isfinite(samples).all():
        raise BadInputError("a feature is NaN or infinite; expected finite numbers; check the run it comes from")
    numbers = np.unique(names[used], return_inverse=True)[1].astype(np.int64)
    if numbers.max(initial=0) < 1:
        raise BadInputError(
            "all samples belong to one group; expected at least two, one a fitted and one a held-out one"
        )
    return samples, labels.values[used], numbers


def fit_plane(
    samples: FloatArray, classes: NDArray[np.int8], regularisation: float, balance: bool
) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Mean and standard deviation of the features, weights W and bias b of the plane; see `train_classifier`."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    if not (np.isfinite(regularisation) and regularisation > 0):
        raise BadInputError(f"a regularisation C of {regularisation}; expected a positive number")
    if len(np.unique(classes)) < 2:
        raise BadInputError("the training samples are all of one class; choose another threshold or more groups")
    scaler = StandardScaler().fit(samples)
    model = LogisticRegression(
        C=regularisation,
        class_weight="balanced" if balance else None,
        solver="newton-cholesky",
        tol=GRADIENT_TOLERANCE,
        max_iter=STEPS,
    )
    model.fit(scaler.transform(samples), classes)
    if model.n_iter_[0] >= STEPS:
        raise BadInputError(f"the fit did not converge in {STEPS} steps with C {regularisation}; choose a lower C")
    return scaler.mean_, scaler.scale_, model.coef_[0].astype(np.float64), -float(model.intercept_[0])


def performance_of(margins: FloatArray, classes: NDArray[np.int8], group: IntArray) -> Performance:
    """How well margins (positive: hopping) tell the classes, and how sure that is with so many groups."""
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    if len(np.unique(classes)) < 2:
        raise BadInputError("the held-out samples are all of one class; choose another threshold or more groups")
    right = (margins > 0) == (classes == HOPPING)
    accuracy = float(right.mean())
    low, high = _accuracy_interval(right, group)
    return Performance(
        n_samples=len(classes),
        n_groups=len(np.unique(group)),
        accuracy=accuracy,
        accuracy_low=low,
        accuracy_high=high,
        balanced_accuracy=float(balanced_accuracy_score(classes, margins > 0)),
        roc_auc=float(roc_auc_score(classes, margins)),
        majority=float(np.bincount(classes).max() / len(classes)),
    )


def _accuracy_interval(right: NDArray[np.bool_], group: IntArray) -> tuple[float, float]:
    """Wilson's 95 % interval with as many samples as, uncorrelated, would spread as much as the groups do."""
    numbers = np.unique(group, return_inverse=True)[1]
    accuracy, n_groups = float(right.mean()), int(numbers.max()) + 1
    excess = np.bincount(numbers, right - accuracy)
    variance = float(excess @ excess) / len(right) ** 2 * n_groups / max(n_groups - 1, 1)
    n = min(float(len(right)), accuracy * (1 - accuracy) / variance) if variance > 0 else float(n_groups)
    middle = (accuracy + NORMAL_95**2 / (2 * n)) / (1 + NORMAL_95**2 / n)
    half = NORMAL_95 / (1 + NORMAL_95**2 / n) * np.sqrt(accuracy * (1 - accuracy) / n + NORMAL_95**2 / (4 * n**2))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def softness(features: ArrayLike, classifier: Classifier) -> FloatArray:
    """Softness S (dimensionless) of each sample: its signed distance to the plane in standardised features.

    Parameters
    ----------
    features : (..., n_features) array
        Radial structure functions with the classifier's definition, not standardised.
    classifier : Classifier
        From `train_classifier`.

    Returns
    -------
    (...) array, dimensionless
        Positive for mobile, negative for immobile surroundings.

    Raises
    ------
    BadInputError
        Another number of features than the classifier has, or weights that are all 0.

    Notes
    -----
    ``S = (Σ W(r) G(i; r) - b) / |W|``, G standardised: the distance, as the study words it, hence divided by |W|. The
    classifier's estimate that the ion hops is ``1 / (1 + exp(-|W| S))``.

    References
    ----------
    Lithium thiophosphate study (disorder), eq. 16 and Fig. 4a.

    Examples
    --------
    >>> definition = FeatureDefinition("Li", ("S",), cutoff=0.4, spacing=0.2)
    >>> unknown = Performance(0, 0, *[float("nan")] * 6)
    >>> plane = Classifier(
    ...     definition, np.zeros(2), np.ones(2), np.array([3.0, 4.0]), 5.0, 1.0, 2.0, 2.0, unknown, unknown
    ... )
    >>> softness([[3.0, 4.0], [0.0, 0.0]], plane).tolist()
    [4.0, -1.0]
    """
    table: NDArray[Any] = np.asarray(features)
    length = float(np.linalg.norm(classifier.weights))
    if table.ndim == 0 or table.shape[-1] != len(classifier.weights) or length == 0:
        raise BadInputError(
            f"features of shape {table.shape}, weights of length {length:.3g}; expected {len(classifier.weights)} "
            "features a sample and a classifier that uses them; compute features with its definition"
        )
    flat = table.reshape(-1, table.shape[-1])
    direction = classifier.weights / (classifier.std * length)
    offset = float(classifier.mean @ direction) + classifier.bias / length
    result = np.empty(len(flat))
    for part in blocks(len(flat), 8 * flat.shape[1]):
        result[part] = flat[part].astype(np.float64) @ direction - offset
    return result.reshape(table.shape[:-1])
