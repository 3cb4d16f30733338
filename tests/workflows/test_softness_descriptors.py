"""Softness from a stored run with a real trajectory to tables, lineage and rebuild."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from lipsdb.campaigns.classifiers import Classifier
from lipsdb.campaigns.load import load_campaign
from lipsdb.campaigns.properties import Property
from lipsdb.errors import BadInputError
from lipsdb.provenance.canonical import decoded
from lipsdb.provenance.lineage import lineage
from lipsdb.provenance.summaries import summary_of
from lipsdb.provenance.withdrawal import taint, withdraw
from lipsdb.queries.catalogue import QUERIES
from lipsdb.queries.figures.classifier import grid_figure, weights_figure
from lipsdb.store.database import Database
from lipsdb.workflows.agreement import compare
from lipsdb.workflows.answering import answer
from lipsdb.workflows.campaign_questions import ask
from lipsdb.workflows.performers import perform_again
from lipsdb.workflows.properties import SoftnessMaker
from lipsdb.workflows.softness import SoftnessClassifierMaker
from lipsdb.workflows.tolerances import tolerances_for

Measured = Callable[..., dict[str, Any]]
SETTINGS = {
    "md": ["hot"],
    "group_by": "ion",
    "motion": {"increments": 5},
    "surroundings": {"cutoffs_A": [6.0, 8.0], "spacings_A": [0.5]},
    "regularisations_C": [0.001, 0.01],
    "folds": 3,
}


@pytest.fixture
def train(database: Database, real_run: dict[str, str]) -> Callable[..., dict[str, str]]:
    """Train a classifier on the real run, as a campaign file would ask for it; gives its reference."""

    def make(**changes: Any) -> dict[str, str]:
        settings = Classifier.model_validate({**SETTINGS, **changes}).settings()
        return answer.original(*SoftnessClassifierMaker(settings=settings).make([real_run]).function_args)

    return make


@pytest.fixture
def softness_of(database: Database, real_run: dict[str, str]) -> Callable[..., dict[str, str]]:
    def measure(classifier: dict[str, str], **settings: Any) -> dict[str, str]:
        given = {"kind": "softness", "of": "hot", "classifier": "soft", "every_ps": 1.0, "resamples": 20, **settings}
        parameters = TypeAdapter(Property).validate_python(given).parameters()
        return answer.original(*SoftnessMaker(parameters=parameters).make(real_run, classifier).function_args)

    return measure


def test_classifier_is_stored_with_data_choice_and_test(
    database: Database, real_run: dict[str, str], train: Callable[..., dict[str, str]]
) -> None:
    document = decoded(database.find(train()["id"]))
    found = document["answer"]
    # 20 ps in windows of 0.5 ps, five to a block: 8 blocks of 48 ions
    assert found["n_samples"] == 8 * 48
    assert (found["train"]["n_groups"], found["test"]["n_groups"]) == (36, 12)
    assert [(one["n_ions"], one["n_blocks"]) for one in found["runs"]] == [(48, 8)]
    assert found["runs"][0]["hopping_fraction"] == pytest.approx(0.5, abs=0.1)  # split at the median
    assert len(found["grid"]) == 4
    best = max(found["grid"], key=lambda one: one["performance"]["balanced_accuracy"])
    assert best["regularisation_C"] == found["regularisation_C"]
    assert best["cutoff_A"] == found["features"]["cutoff_A"]
    n_features = 3 * round(found["features"]["cutoff_A"] / 0.5)
    assert all(len(found[name]) == n_features for name in ("mean", "std", "weights"))
    assert document["inputs"] == [{"role": "run", **real_run}]
    assert summary_of(database.find(document["_id"])).startswith("classifier: softness of Li, D_c ")
    (row,) = QUERIES["classifiers"].rows(database)
    assert row.n_choices == 4
    assert row.accuracy_interval_95[0] <= row.accuracy <= row.accuracy_interval_95[1]
    assert {trace.name for trace in weights_figure(document).data} == {"W(r)"}
    assert grid_figure(document) is not None


def test_few_samples_are_drawn_where_there_are_many(database: Database, train: Callable[..., dict[str, str]]) -> None:
    found = database.find(train(most_samples=200)["id"])["answer"]
    assert found["n_samples"] == found["train"]["n_samples"] + found["test"]["n_samples"] == 200


def test_threshold_outside_the_displacements_is_refused(train: Callable[..., dict[str, str]]) -> None:
    with pytest.raises(BadInputError, match="with thresholds 900 and 900 Å a class has no sample; D_cum goes from"):
        train(thresholds_A=[900.0])


def test_softness_is_stored_by_ion_by_frame_and_as_a_distribution(
    database: Database, train: Callable[..., dict[str, str]], softness_of: Callable[..., dict[str, str]]
) -> None:
    classifier = train()
    document = decoded(database.find(softness_of(classifier)["id"]))
    found = document["answer"]
    assert found["S_of_atoms"].shape == (48,)
    assert found["S_by_frame"].shape == (21,)
    assert found["S_by_frame"].mean() == pytest.approx(found["S_of_atoms"].mean())
    assert found["summary"][0]["S"] == pytest.approx(found["S_of_atoms"].mean())
    assert (found["S_density"] * np.diff(found["edges"])).sum() == pytest.approx(1.0)
    positive = found["edges"][:-1] >= -1e-9
    soft = (found["S_density"] * np.diff(found["edges"]))[positive].sum()
    assert found["summary"][0]["soft_percent"] == pytest.approx(100 * soft, abs=1e-6)
    assert {link["role"]: link["id"].partition("-")[0] for link in document["inputs"]} == {
        "run": "run",
        "classifier": "classifier",
    }
    (row,) = QUERIES["softness"].rows(database)
    assert classifier["id"].startswith(row.classifier)
    assert -1 <= row.spearman <= 1
    assert row.order == "l = 6, all, Voronoi"
    assert found["spearman_samples"] == 21 * 48


def test_correlation_with_order_takes_whole_frames_evenly_and_no_more_samples_than_allowed(
    database: Database,
    train: Callable[..., dict[str, str]],
    softness_of: Callable[..., dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    classifier = train()
    with monkeypatch.context() as limited:
        limited.setattr("lipsdb.workflows.properties.softness.MOST_SAMPLES", 11 * 48 + 20)
        few = database.find(softness_of(classifier)["id"])["answer"]
    all_of_those = database.find(softness_of(classifier, every_ps=2.0)["id"])["answer"]
    assert few["n_frames"] == 21
    assert few["spearman_samples"] == all_of_those["spearman_samples"] == 11 * 48
    assert few["summary"][0]["spearman"] == pytest.approx(all_of_those["summary"][0]["spearman"], abs=1e-9)


def test_softness_stands_on_its_classifier_and_that_on_its_runs(
    database: Database,
    real_run: dict[str, str],
    train: Callable[..., dict[str, str]],
    softness_of: Callable[..., dict[str, str]],
) -> None:
    classifier = train()
    soft = softness_of(classifier)
    assert {real_run["id"], classifier["id"]} <= lineage(database, soft["id"]).nodes.keys()
    below = lineage(database, real_run["id"], "down").nodes
    assert {soft["id"], classifier["id"]} <= below.keys()
    withdraw(database, [classifier["id"]], "trained on one run only", "Ann")
    assert taint(database).of(soft["id"])
    assert not taint(database).of(real_run["id"])


def test_both_are_the_same_when_computed_again(
    database: Database,
    tmp_path: Path,
    train: Callable[..., dict[str, str]],
    softness_of: Callable[..., dict[str, str]],
) -> None:
    classifier = train()
    for id_ in (classifier["id"], softness_of(classifier)["id"]):
        stored, folder = database.find(id_), tmp_path / id_
        folder.mkdir()
        (again,) = perform_again(database, stored, {}, folder)
        assert (again["_id"], again["content"]) == (id_, stored["content"])
        assert compare(tolerances_for(stored), stored, again).outcome == "equal"


def test_a_classifier_with_other_weights_is_not_the_same(
    database: Database, train: Callable[..., dict[str, str]]
) -> None:
    stored = database.find(train()["id"])
    other = decoded(stored)
    nearly = {**other, "content": "1", "answer": {**other["answer"], "weights": other["answer"]["weights"] * 1.0001}}
    assert compare(tolerances_for(stored), stored, nearly).outcome == "within tolerance"
    wrong = {**other, "content": "2", "answer": {**other["answer"], "weights": other["answer"]["weights"] * 1.1}}
    assert compare(tolerances_for(stored), stored, wrong).outcome == "different"


def test_nonaffine_displacements_of_the_real_run(
    database: Database, real_run: dict[str, str], measured: Measured
) -> None:
    document = measured("nonaffine_displacement", real_run, increments=5)
    found, summary = document["answer"], document["answer"]["summary"][0]
    assert found["D2min_of_atoms_A2"].shape == (48,)
    assert found["D2min_by_window_A2"].shape == (40,)
    assert summary["D2min_A2"] == pytest.approx(found["D2min_of_atoms_A2"].mean())
    # Σ sqrt(x) over five windows is at most 5 sqrt(mean x)
    assert 0 < summary["D_cum_A"] <= 5 * np.sqrt(summary["D2min_A2"])
    assert (found["D_cum_density_per_A"] * np.diff(found["edges_A"])).sum() == pytest.approx(1.0)
    whole = measured("nonaffine_displacement", real_run, increments=5, per_neighbour=False)["answer"]["summary"][0]
    assert whole["D2min_A2"] > 10 * summary["D2min_A2"]  # some twenty neighbours within 5 Å
    framework = measured("nonaffine_displacement", real_run, increments=5, neighbours=["P"])["answer"]["summary"][0]
    assert framework["D2min_A2"] != summary["D2min_A2"]


def test_campaign_trains_on_the_runs_of_its_temperatures(
    database: Database, small_campaign: Callable[..., Path], tmp_path: Path
) -> None:
    path = small_campaign("soft", seeds=[1, 2], production_ps=20, dump_interval_fs=100)
    text = path.read_text().replace(
        "\nproperties:\n",
        "\nclassifiers:\n  soft:\n    md: [hot]\n    temperatures_K: [800, 1200]\n    group_by: ion\n"
        "\nproperties:\n  how-soft: {kind: softness, of: hot, classifier: soft}\n",
    )
    path.write_text(text)
    asked = ask(database, load_campaign(path))
    trained = asked.classifiers["soft"]
    runs = [run.asked.settings for run in trained.parents()]
    assert {(one["temperature_K"], one["seed"]) for one in runs} == {(800, 1), (800, 2), (1200, 1), (1200, 2)}
    assert len(runs) == 4
    soft = asked.properties["how-soft"]
    assert len(soft) == 6
    assert all(question.parents()[1] is trained for question in soft)
    everything = list(asked)
    assert everything.count(trained) == 1
    assert everything.index(trained) < min(everything.index(question) for question in soft)


def test_a_run_that_two_md_ask_for_is_trained_on_once_and_their_order_is_nothing(
    database: Database, small_campaign: Callable[..., Path]
) -> None:
    path = small_campaign("soft", seeds=[1, 2], production_ps=20, dump_interval_fs=100)
    yaml = YAML()
    content = yaml.load(path.read_text())
    content["md"]["again"] = {**content["md"]["hot"], "seeds": [2, 3]}
    content["classifiers"] = {
        name: {"md": md, "temperatures_K": [800], "group_by": "ion"}
        for name, md in (("one", ["hot", "again"]), ("other", ["again", "hot"]))
    }
    with path.open("w") as stream:
        yaml.dump(content, stream)
    asked = ask(database, load_campaign(path)).classifiers
    assert sorted(run.asked.settings["seed"] for run in asked["one"].parents()) == [1, 2, 3]
    assert asked["one"].id(database) == asked["other"].id(database)

    content["md"]["again"]["seeds"] = [1, 2]
    for classifier in content["classifiers"].values():
        classifier |= {"group_by": "run", "test_fraction": 0.6}
    with path.open("w") as stream:
        yaml.dump(content, stream)
    with pytest.raises(BadInputError, match="there are 2 runs, of which 2 are held out"):
        load_campaign(path)
