from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from lipsdb.analysis.mobility_labels import MobilityLabels, mobility_labels
from lipsdb.analysis.nonaffine import cumulative_nonaffine_displacement, nonaffine_squared_displacement
from lipsdb.analysis.radial_features import FeatureDefinition, radial_structure_functions
from lipsdb.analysis.softness import Classifier, held_out, softness
from lipsdb.analysis.softness import train_classifier as train_on
from lipsdb.errors import BadInputError

DEFINITION = FeatureDefinition("Li", ("P", "S"), cutoff=1.0, spacing=0.2)  # ten features
WEIGHTS = np.array([2.0, -1.5, 1.0, 0.5, 0, -0.8, 0.3, 0, 0, 1.2])
BIAS = 0.4


def made_up(n_samples: int, seed: int = 0) -> tuple[np.ndarray, MobilityLabels, np.ndarray]:
    """Features of unlike means and widths, and classes drawn with the probability that a known plane gives."""
    rng = np.random.default_rng(seed)
    standard = rng.normal(size=(n_samples, 10))
    hopping = rng.random(n_samples) < 1 / (1 + np.exp(BIAS - standard @ WEIGHTS))
    features = 3.0 + np.arange(10) + standard * np.linspace(0.5, 4.0, 10)
    labels = MobilityLabels(hopping.astype(np.int8), 1.0, 1.0)
    return features.astype(np.float32), labels, np.arange(n_samples) // 20


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def train_classifier(features, definition, labels, groups, generator, *, test_fraction: float = 0.25, **options):
    return train_on(features, definition, labels, groups, held_out(groups, test_fraction, generator), **options)


@pytest.fixture(scope="module")
def trained() -> Classifier:
    return train_classifier(*_arguments(20000), np.random.default_rng(1), regularisation=100.0, balance=False)


def _arguments(n_samples: int, seed: int = 0):
    features, labels, groups = made_up(n_samples, seed)
    return features, DEFINITION, labels, groups


def test_known_plane_is_found_with_the_accuracy_of_bayes(trained: Classifier) -> None:
    assert cosine(trained.weights, WEIGHTS) > 0.99
    np.testing.assert_allclose(trained.weights, WEIGHTS, atol=0.15)
    assert trained.bias == pytest.approx(BIAS, abs=0.1)
    margin = np.random.default_rng(9).normal(size=(200000, 10)) @ WEIGHTS - BIAS
    bayes = float((1 / (1 + np.exp(-np.abs(margin)))).mean())
    for performance in (trained.train, trained.test):
        error = np.sqrt(bayes * (1 - bayes) / performance.n_samples)
        assert performance.accuracy == pytest.approx(bayes, abs=3 * error)
    assert (trained.train.n_groups, trained.test.n_groups) == (750, 250)


def test_interval_of_samples_that_are_not_correlated_is_nearly_that_of_wilson(trained: Classifier) -> None:
    for part in (trained.train, trained.test):
        hits = round(part.accuracy * part.n_samples)
        wilson = stats.binomtest(hits, part.n_samples).proportion_ci(method="wilson")
        width = wilson.high - wilson.low
        assert part.accuracy_low == pytest.approx(wilson.low, abs=0.1 * width)
        assert part.accuracy_high == pytest.approx(wilson.high, abs=0.1 * width)


def test_softness_is_the_distance_to_the_plane_of_unseen_samples(trained: Classifier) -> None:
    features, labels, _ = made_up(4000, seed=5)
    values = softness(features.reshape(50, 80, 10), trained)
    assert values.shape == (50, 80)
    standard = (features - trained.mean) / trained.std
    np.testing.assert_allclose(
        values.ravel() * np.linalg.norm(trained.weights), standard @ trained.weights - trained.bias, atol=1e-9
    )
    on_plane = standard - values.reshape(-1, 1) * trained.weights / np.linalg.norm(trained.weights)
    np.testing.assert_allclose(softness(on_plane * trained.std + trained.mean, trained), 0.0, atol=1e-9)
    hit = ((values.ravel() > 0) == (labels.values == 1)).mean()
    assert trained.test.accuracy_low - 0.02 < hit < trained.test.accuracy_high + 0.02


def test_newton_fit_is_the_minimum_of_the_penalised_likelihood() -> None:
    from scipy.optimize import minimize

    features, definition, labels, groups = _arguments(600)
    result = train_classifier(features, definition, labels, groups, np.random.default_rng(0), regularisation=0.3)
    parts = [np.isin(groups, np.unique(groups)[chosen]) for chosen in _training_groups(result, groups, features)]
    standard = (features[parts[0]] - result.mean) / result.std
    sign = np.where(labels.values[parts[0]] == 1, 1.0, -1.0)
    balanced = np.where(sign > 0, len(sign) / 2 / (sign > 0).sum(), len(sign) / 2 / (sign < 0).sum())

    def loss(w: np.ndarray) -> float:
        return 0.5 * w[:-1] @ w[:-1] + 0.3 * balanced @ np.logaddexp(0, -sign * (standard @ w[:-1] - w[-1]))

    best = minimize(loss, np.zeros(11), method="BFGS", options={"gtol": 1e-6}).x
    np.testing.assert_allclose(np.append(result.weights, result.bias), best, atol=2e-4)


def _training_groups(result: Classifier, groups: np.ndarray, features: np.ndarray):
    from sklearn.model_selection import GroupShuffleSplit

    seed = int(np.random.default_rng(0).integers(2**32 - 1))
    training, _ = next(GroupShuffleSplit(1, test_size=0.25, random_state=seed).split(features, groups=groups))
    np.testing.assert_allclose(features[training].astype(float).mean(axis=0), result.mean, rtol=1e-6)
    yield np.unique(groups[training])


def test_shuffled_labels_are_not_predicted() -> None:
    features, labels, groups = made_up(6000)
    shuffled = MobilityLabels(np.random.default_rng(2).permutation(labels.values), 1.0, 1.0)
    result = train_classifier(features, DEFINITION, shuffled, groups, np.random.default_rng(3))
    assert result.test.balanced_accuracy == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(result.test.n_samples))
    assert result.test.roc_auc == pytest.approx(0.5, abs=0.05)


def test_order_of_the_samples_does_not_matter() -> None:
    features, definition, labels, groups = _arguments(2000)
    order = np.random.default_rng(4).permutation(2000)
    shuffled = MobilityLabels(labels.values[order], 1.0, 1.0)
    first = train_classifier(features, definition, labels, groups, np.random.default_rng(1))
    second = train_classifier(features[order], definition, shuffled, groups[order], np.random.default_rng(1))
    np.testing.assert_allclose(second.weights, first.weights, rtol=1e-6, atol=1e-9)
    assert second.test.accuracy == first.test.accuracy
    assert second.train.n_samples == first.train.n_samples


def test_units_of_the_features_do_not_matter_and_one_that_is_constant_gets_no_weight() -> None:
    features, definition, labels, groups = _arguments(2000)
    features[:, 7] = 4.0
    first = train_classifier(features, definition, labels, groups, np.random.default_rng(1))
    scaled = features * np.linspace(1, 50, 10)
    second = train_classifier(scaled, definition, labels, groups, np.random.default_rng(1))
    np.testing.assert_allclose(second.weights, first.weights, atol=1e-5)
    np.testing.assert_allclose(softness(scaled, second), softness(features, first), atol=1e-5)
    assert first.weights[7] == 0.0


def test_balanced_classes_put_the_plane_in_the_middle_although_one_is_rare() -> None:
    rng = np.random.default_rng(0)
    hopping = rng.random(8000) < 0.1
    features = rng.normal(size=(8000, 10)) + hopping[:, None] * 0.5
    labels = MobilityLabels(hopping.astype(np.int8), 1.0, 1.0)
    arguments = (features, DEFINITION, labels, np.arange(8000) // 10)
    plain = train_classifier(*arguments, np.random.default_rng(0), balance=False).test
    balanced = train_classifier(*arguments, np.random.default_rng(0)).test
    best = stats.norm.cdf(0.5 * np.sqrt(10) / 2)  # two normal distributions, the plane half-way
    assert balanced.balanced_accuracy == pytest.approx(best, abs=0.03)
    assert plain.balanced_accuracy < balanced.balanced_accuracy
    assert plain.majority == pytest.approx(0.9, abs=0.02)


def test_classifier_comes_back_from_json(trained: Classifier) -> None:
    def plain(value: object) -> object:
        return value.tolist() if isinstance(value, np.ndarray) else value

    again = Classifier.from_dict(json.loads(json.dumps(trained.to_dict(), default=plain)))
    assert again.definition == trained.definition
    assert (again.train, again.test, again.bias) == (trained.train, trained.test, trained.bias)
    features = made_up(100)[0]
    np.testing.assert_array_equal(softness(features, again), softness(features, trained))
    by_pair = trained.weights_by_pair()
    np.testing.assert_array_equal(np.concatenate([by_pair["Li-P"], by_pair["Li-S"]]), trained.weights)


def test_whole_way_on_the_real_run_from_trajectory_to_softness(real_run) -> None:
    lithium = real_run.symbols == "Li"
    result = nonaffine_squared_displacement(
        real_run.positions, real_run.cell, lithium, np.full(128, True), cutoff=5.0, window=10
    )
    displacement = cumulative_nonaffine_displacement(result.squared, increments=5)
    starts = result.start[::5][: len(displacement)]
    definition = FeatureDefinition(cutoff=6.0, spacing=0.5)
    features = radial_structure_functions(
        real_run.positions[starts], real_run.cell[starts], real_run.symbols, definition
    )
    labels = mobility_labels(displacement.ravel(), quantiles=(0.5, 0.5))
    ions = np.tile(np.arange(48), len(starts))
    classifier = train_classifier(
        features.reshape(-1, definition.n_features), definition, labels, ions, np.random.default_rng(0)
    )
    assert (classifier.train.n_groups, classifier.test.n_groups) == (36, 12)
    assert classifier.train.n_samples + classifier.test.n_samples == 8 * 48
    values = softness(features, classifier)
    assert values.shape == (8, 48)
    hopping = labels.values.reshape(8, 48) == 1
    assert values[hopping].mean() > values[~hopping].mean()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros((200, 9))}, r"expected \(200, 10\) and \(200,\) for 200 labels"),
        ({"features": np.full((200, 10), np.nan)}, "a feature is NaN"),
        ({"groups": np.zeros(200)}, r"a test fraction of 0\.25 of 1 groups"),
        ({"regularisation": 0.0}, "C of 0.0; expected a positive number"),
        ({"test_fraction": 1.5}, "a test fraction of 1.5"),
        ({"groups": made_up(200)[1].values}, "samples are all of one class"),
    ],
)
def test_bad_training_input_is_refused(change: dict, message: str) -> None:
    features, definition, labels, groups = _arguments(200)
    arguments = {"features": features, "definition": definition, "labels": labels, "groups": groups} | change
    with pytest.raises(BadInputError, match=message):
        train_classifier(**arguments, generator=np.random.default_rng(0))


def test_other_bad_input_is_refused(trained: Classifier) -> None:
    with pytest.raises(BadInputError, match="compute features with its definition"):
        softness(np.zeros((3, 4)), trained)
