from __future__ import annotations

from typing import Any

import pytest

from lipsdb.documents.base import Input
from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.provenance import impact
from lipsdb.provenance.downstream import origins_downstream, reach
from lipsdb.provenance.label_origins import LABEL_ORIGINS, LabelOrigins


def numbers(graph: Any) -> set[str]:
    return set(graph.of_kind("property"))


def listed(found: impact.Impact) -> set[str]:
    return {one.id for one in found.published}


@pytest.mark.parametrize("kind", ["label", "level_of_theory", "dataset", "potential", "structure", "run", "property"])
def test_impact_of_each_document_is_every_property_found_by_plain_recursion(graph: Any, kind: str) -> None:
    for id_ in graph.of_kind(kind):
        found = impact.impact_of_document(graph.database, id_, 0)
        downstream = graph.downstream(id_)
        assert listed(found) == (downstream | {id_}) & numbers(graph)
        assert found.n_numbers == len(found.published)
        between = {name: sum(one.startswith(f"{name}-") for one in downstream) for name in ("run", "dataset", "label")}
        assert {name: found.between.get(name, 0) for name in between} == between


def test_arrhenius_fit_comes_first_and_the_used_diffusion_coefficients_last(graph: Any) -> None:
    found = impact.impact_of_document(graph.database, graph.of_kind("label")[0][:20], 2)
    assert [(one.property, one.final) for one in found.published] == [("arrhenius", True), ("diffusion", False)]
    assert found.published[0].value.startswith("arrhenius Li Ea=0.250 ± 0.020 eV")
    assert found.published[0].campaigns == ("small",)
    assert found.numbers == {"arrhenius": 1, "diffusion": 2}


def test_file_of_a_run_concerns_what_was_made_from_that_run_only(graph: Any) -> None:
    run, other = graph.of_kind("run")
    sha256 = graph.documents[run]["answer"]["trajectory"]["sha256"]
    found = impact.impact_of_artifact(graph.database, sha256[:12], 0)
    assert listed(found) == graph.downstream(run)
    assert found.of == {"run": 1}
    log = graph.documents[run]["made_by"]["files"][0]["sha256"]  # both runs name the same log
    assert listed(impact.impact_of_artifact(graph.database, log, 0)) == graph.downstream(run) | graph.downstream(other)
    with pytest.raises(NotFoundError, match="no document names a file 0000000000000000"):
        impact.impact_of_artifact(graph.database, "0" * 16)


def test_level_host_and_version_reach_all_numbers(graph: Any) -> None:
    assert listed(impact.impact_of_level(graph.database, "disorder", 0)) == numbers(graph)
    assert listed(impact.impact_of_host(graph.database, "here", 0)) == numbers(graph)
    found = impact.impact_of_version(graph.database, "lipsdb=0.1.0", 0)
    assert listed(found) == numbers(graph)
    assert found.of["label"] == 12


def test_unknown_level_host_and_version_name_what_there_is(graph: Any) -> None:
    with pytest.raises(NotFoundError, match="no level of theory 'PBE' in this database; there are disorder"):
        impact.impact_of_level(graph.database, "PBE")
    with pytest.raises(NotFoundError, match="no host 'there' in this database; there are here"):
        impact.impact_of_host(graph.database, "there")
    with pytest.raises(NotFoundError, match=r"no version of lipsdb '9' in this database; there are lipsdb=0\.1\.0"):
        impact.impact_of_version(graph.database, "lipsdb=9")
    with pytest.raises(NotFoundError, match=r"no program 'VASP' in this database; there are .*lipsdb, numpy"):
        impact.impact_of_version(graph.database, "VASP=6")
    with pytest.raises(BadInputError, match="ids begin with"):
        impact.impact_of_document(graph.database, "nothing-12")


def two_hosts(database: Any, labels: Any, level: Any, dataset_of: Any, record: Any) -> tuple[list[str], str]:
    """Twelve labels, the first made elsewhere with another program; a dataset of them."""
    made = record("ingest")
    elsewhere = made.model_copy(update={"host": "elsewhere", "versions": {"lipsdb": "0.1.0", "CP2K": "7.1"}})
    database.insert(level.sealed(made))
    some = labels(12)
    ids = [database.insert(label.sealed(made if index else elsewhere))["id"] for index, label in enumerate(some)]
    return ids, database.insert(dataset_of(some).sealed(made))["id"]


def test_dataset_with_one_label_of_another_host_or_program_depends_on_them(
    database: Any, labels: Any, level: Any, dataset_of: Any, record: Any
) -> None:
    _, dataset = two_hosts(database, labels, level, dataset_of, record)
    for found in (
        impact.impact_of_host(database, "elsewhere"),
        impact.impact_of_version(database, "CP2K=7.1"),
    ):
        assert (found.of, found.between, found.n_numbers) == ({"label": 1}, {"dataset": 1}, 0)
    assert impact.known_versions(database)["CP2K"] == ["7.1"]
    assert set(LabelOrigins(database).made_by(host="elsewhere")) == {dataset}


def test_cache_of_label_origins_may_be_dropped_at_any_time(graph: Any) -> None:
    level, (dataset,) = graph.of_kind("level_of_theory")[0], graph.of_kind("dataset")
    entries = graph.database.collection(LABEL_ORIGINS)
    assert LabelOrigins(graph.database).made_from([level]) == {dataset}
    assert entries.count_documents({}) == 1
    entries.drop()
    assert reach(graph.database, [level]).ids["dataset"] == {dataset}


def test_labels_that_were_external_count_as_soon_as_they_are_stored(
    database: Any, labels: Any, level: Any, dataset_of: Any, record: Any
) -> None:
    made = record("work")
    id_ = database.insert(level.sealed(made))["id"]
    some = labels(12)
    dataset = dataset_of(some).sealed(made)
    database.note_external(dataset["inputs"])
    database.insert(dataset)
    assert reach(database, [id_]).ids == {}  # nobody here knows what those labels were made from
    assert origins_downstream(database, [dataset["inputs"][0]["id"]])[dataset["_id"]]
    database.insert(some[0].sealed(made))
    assert reach(database, [id_]).ids == {"dataset": {dataset["_id"]}}


def test_dataset_of_recomputed_labels_stands_on_the_level_of_the_first_ones(
    database: Any, labels: Any, level: Any, dataset_of: Any, record: Any
) -> None:
    made = record("ingest")
    first = database.insert(level.sealed(made))["id"]
    other = type(level)(asked=level.asked.model_copy(update={"name": "other"}), answer=level.answer)
    link = Input.of("level_of_theory", database.insert(other.sealed(made)))
    again = []
    for label in labels(12):
        source = Input.of("label", database.insert(label.sealed(made)))
        asked = label.asked.model_copy(update={"level_of_theory": "other"})
        again.append(label.model_copy(update={"asked": asked, "inputs": [link, source]}))
    database.insert_many([label.sealed(made) for label in again])
    dataset = database.insert(dataset_of(again).sealed(made))["id"]
    assert dataset in reach(database, [first]).ids["dataset"]
    assert dataset in origins_downstream(database, [first])


@pytest.mark.parametrize("n_roots", [1, 12])
def test_origins_agree_with_plain_recursion(graph: Any, n_roots: int) -> None:
    """Twelve roots are more than are asked about one by one."""
    roots = [*graph.of_kind("label"), graph.of_kind("structure")[0]][-n_roots - 1 :]
    wanted: dict[str, set[str]] = {root: {root} for root in roots}
    for root in roots:
        for id_ in graph.downstream(root):
            wanted.setdefault(id_, set()).add(root)
    assert origins_downstream(graph.database, roots) == wanted


def test_origins_of_a_level_have_its_labels_unless_left_out(graph: Any) -> None:
    (level,) = graph.of_kind("level_of_theory")
    everything = {level} | graph.downstream(level)
    assert set(origins_downstream(graph.database, [level])) == everything
    without = {id_ for id_ in everything if not id_.startswith("label-")}
    assert set(origins_downstream(graph.database, [level], labels=False)) == without
    assert origins_downstream(graph.database, ["label-" + "0" * 24]) == {"label-" + "0" * 24: {"label-" + "0" * 24}}
