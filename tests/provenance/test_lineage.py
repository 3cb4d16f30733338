from __future__ import annotations

import html.parser
import io
import itertools
import json
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.monitoring import CommandListener

from lipsdb.documents.base import Input
from lipsdb.provenance.lineage import as_dot, as_html, as_json, as_tree, lineage
from lipsdb.provenance.lineage import walk as lineages
from lipsdb.provenance.lineage.prov_json import prov_document, prov_of_lineage
from lipsdb.provenance.lineage.svg import as_svg
from lipsdb.provenance.withdrawal import withdraw
from lipsdb.store.database import Database


def written(found: Any) -> str:
    from rich.console import Console

    stream = io.StringIO()
    Console(width=200, file=stream).print(as_tree(found))
    return stream.getvalue()


def arrhenius(graph: Any) -> str:
    return next(id_ for id_ in graph.of_kind("property") if graph.documents[id_]["asked"]["property"] == "arrhenius")


def test_upstream_of_the_arrhenius_property_is_everything_but_the_campaign(graph: Any) -> None:
    found = lineage(graph.database, arrhenius(graph))
    assert found.states == {id_: "present" for id_ in graph.documents if not id_.startswith("campaign-")}
    (group,) = found.groups.values()
    assert set(group.members) == set(graph.of_kind("label"))
    recorded = {
        (*(group.name if one in group.members else one for one in (link["id"], id_)), link["role"])
        for id_, stored in graph.documents.items()
        for link in stored["inputs"]
    }
    assert {(edge.source, edge.target, edge.role) for edge in found.edges} == recorded
    assert len(found.edges) == len(recorded)


@pytest.mark.parametrize("kind", ["level_of_theory", "label", "structure", "potential", "run", "property", "campaign"])
def test_downstream_agrees_with_plain_recursion(graph: Any, kind: str) -> None:
    id_ = graph.of_kind(kind)[0]
    found = lineage(graph.database, id_, "down")
    assert set(found.states) == {id_} | graph.downstream(id_)


def test_depth_one_stops_at_the_inputs(graph: Any) -> None:
    run = graph.of_kind("run")[0]
    found = lineage(graph.database, run, depth=1)
    assert {node.kind for node in found.nodes.values()} == {"run", "structure", "potential"}
    below = lineage(graph.database, graph.of_kind("structure")[0], "down", depth=1)
    assert {node.kind for node in below.nodes.values()} == {"structure", "run"}


def test_summaries_name_conditions_and_results(graph: Any) -> None:
    text = written(lineage(graph.database, arrhenius(graph)))
    assert "property: arrhenius Li Ea=0.250 ± 0.020 eV, σ(300 K)=1.0e-04 S/cm, extrapolated" in text
    assert "property: diffusion Li 600 K D=1.25e-05 ± 1.0e-06 cm²/s" in text
    assert "run: NVT 600 K, 8 atoms, 1 ps, seed 2" in text
    assert "potential: deepmd, 12 labels, F MAE 150 meV/Å" in text
    assert "structure: beta-Li3PS4, Li3PS4, 8 atoms (crystal)" in text
    counted = "12 labels, level of theory disorder: 6 beta-Li3PS4, 6 gamma-Li3PS4"
    assert text.count(counted) == 1  # under two runs, unfolded once
    assert "(unfolded above)" in text
    assert text.count("level_of_theory: disorder, cp2k PBE, no dispersion, 500/50 Ry (set)") == 1


def test_missing_and_changed_labels_are_marked(graph: Any) -> None:
    gone, altered = graph.of_kind("label")[:2]
    graph.database.collection("labels").delete_one({"_id": gone})
    graph.database.collection("labels").update_one({"_id": altered}, {"$set": {"content": "0" * 64}})
    found = lineage(graph.database, graph.of_kind("dataset")[0])
    assert (found.states[gone], found.states[altered]) == ("missing", "changed")
    text = written(found)
    assert "1 missing, 1 changed" in text
    assert f"label: missing (MISSING)  {gone}" in text
    assert f"<strong>label: missing (MISSING)</strong> <code>{gone}</code>" in as_html(found)


def test_deleted_label_still_has_its_downstream(graph: Any) -> None:
    gone = graph.of_kind("label")[0]
    graph.database.collection("labels").delete_one({"_id": gone})
    found = lineage(graph.database, gone, "down")
    assert found.nodes[gone].state == "missing"
    assert set(found.nodes) - {gone} == graph.downstream(gone)


def test_labels_of_an_adopted_dataset_are_external(database: Any, labels: Any, dataset_of: Any, record: Any) -> None:
    dataset = dataset_of(labels(12)).sealed(record("work"))
    database.note_external(dataset["inputs"])
    database.insert(dataset)
    found = lineage(database, dataset["_id"])
    assert list(found.states.values()).count("external") == 12
    assert "12 labels: 12 not in this database" in written(found)


def test_json_is_complete_and_dot_counts_labels(graph: Any) -> None:
    found = lineage(graph.database, arrhenius(graph))
    plain = json.loads(json.dumps(as_json(found)))
    (group,) = plain["groups"]
    assert {*(one["id"] for one in plain["nodes"]), *group["members"]} == set(found.states)
    assert group["systems"] == {"beta-Li3PS4": 6, "gamma-Li3PS4": 6}
    assert len(plain["edges"]) == len(found.edges)
    text, dataset = as_dot(found), graph.of_kind("dataset")[0]
    assert text.startswith("digraph lineage {")
    assert f'"labels of {dataset}" -> "{dataset}" [label="label"];' in text
    assert "label-" not in text
    level = graph.of_kind("level_of_theory")[0]
    assert f'"{level}" -> "labels of {dataset}" [label="level_of_theory"];' in text
    assert text.count(" -> ") == 1 + 1 + 1 + 2 * 2 + 2 + 2


def test_html_is_balanced_and_escaped(graph: Any) -> None:
    id_ = graph.of_kind("structure")[0]
    name = {"answer.name": "<script>alert(1)</script>"}
    graph.database.collection("structures").update_one({"_id": id_}, {"$set": name})
    text = as_html(lineage(graph.database, arrhenius(graph)))
    opened: list[str] = []

    class Balance(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Balance().feed(text)
    assert opened == []
    assert "<script" not in text
    assert text.startswith('<details class="lineage"><summary>property: arrhenius')


class Counting(CommandListener):
    """Counts round trips to the server."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def started(self, event: Any) -> None:
        self.commands.append(event.command_name)

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass


def test_lineage_of_3000_labels_takes_one_round_trip_a_level_and_collection(
    database: Any, labels: Any, level: Any, dataset_of: Any, record: Any
) -> None:
    some = labels(3000)
    made = record("ingest")
    database.insert(level.sealed(made))
    stored = [label.sealed(made) for label in some]
    database.insert_many(stored)
    dataset = dataset_of(some).sealed(made)
    database.insert(dataset)
    listener = Counting()
    client: Any = MongoClient(database.uri, tz_aware=True, event_listeners=[listener])
    with client:
        counted = Database(client, database.uri, database.settings)
        assert len(lineage(counted, dataset["_id"]).states) == 3002
        trips = [name for name in listener.commands if name in {"find", "getMore", "aggregate"}]
        assert len(trips) <= 14  # what the labels were made from is gathered now, once
        listener.commands.clear()
        lineage(counted, dataset["_id"])
        assert len([name for name in listener.commands if name in {"find", "getMore", "aggregate"}]) <= 10
        listener.commands.clear()
        assert len(lineage(counted, stored[0]["_id"], "down").nodes) == 2
        trips = [name for name in listener.commands if name in {"find", "getMore", "aggregate"}]
        assert len(trips) <= 44  # two levels, ten collections, each asked first whether there is anything


def test_labels_of_two_levels_are_counted_by_level_and_each_level_stands_once(
    database: Any, labels: Any, level: Any, dataset_of: Any, record: Any
) -> None:
    made = record("ingest")
    other = type(level)(asked=level.asked.model_copy(update={"name": "disorder-printed"}), answer=level.answer)
    links = [Input.of("level_of_theory", database.insert(one.sealed(made))) for one in (level, other)]
    some = [
        label.model_copy(
            update={
                "asked": label.asked.model_copy(
                    update={"level_of_theory": ("disorder", "disorder-printed")[index >= 8]}
                ),
                "inputs": [links[index >= 8]],
            }
        )
        for index, label in enumerate(labels(12))
    ]
    database.insert_many([label.sealed(made) for label in some])
    dataset = database.insert(dataset_of(some).sealed(made))["id"]
    text = written(lineage(database, dataset))
    assert "12 labels, levels of theory disorder (8) and disorder-printed (4): 12 beta-Li3PS4" in text
    assert text.count("level_of_theory: disorder, cp2k PBE") == 1
    assert text.count("level_of_theory: disorder-printed, cp2k PBE") == 1


def test_few_labels_stand_alone_and_their_level_is_unfolded_once(
    database: Any, labels: Any, level: Any, dataset_of: Any, record: Any
) -> None:
    made = record("ingest")
    database.insert(level.sealed(made))
    some = labels(4)
    database.insert_many([label.sealed(made) for label in some])
    text = written(lineage(database, database.insert(dataset_of(some).sealed(made))["id"]))
    assert text.count("label: beta-Li3PS4, 8 atoms, disorder, beta-Li3PS4 frame") == 4
    assert text.count("level_of_theory:") == 1


def test_downstream_of_a_level_counts_its_labels_whether_used_or_not(
    database: Any, labels: Any, level: Any, record: Any
) -> None:
    made = record("ingest")
    id_ = database.insert(level.sealed(made))["id"]
    database.insert_many([label.sealed(made) for label in labels(20)])
    found = lineage(database, id_, "down")
    assert "20 labels, level of theory disorder: 20 beta-Li3PS4" in written(found)
    text = as_dot(found)
    assert text.count(" -> ") == 1
    assert f'"{id_}" -> "labels of {id_}" [label="level_of_theory"];' in text


def test_what_stands_on_a_withdrawn_label_says_so_and_no_longer_when_that_is_undone(graph: Any) -> None:
    label, other = graph.of_kind("label")[:2]
    withdraw(graph.database, [label], "wrong spin", "Ann")
    found = lineage(graph.database, arrhenius(graph))
    assert found.nodes[found.root].standing == "tainted"
    assert "12 labels, level of theory disorder: 6 beta-Li3PS4, 6 gamma-Li3PS4, 1 withdrawn" in written(found)
    assert lineage(graph.database, label, "down").nodes[label].standing == "withdrawn"
    down = lineage(graph.database, label, "down")
    assert {node.standing for node in down.nodes.values()} == {"withdrawn", "tainted"}
    (level,) = graph.of_kind("level_of_theory")
    withdraw(graph.database, [level], "wrong functional", "Ann")
    assert "1 withdrawn, some tainted" in written(lineage(graph.database, arrhenius(graph)))
    assert "1 withdrawn, 11 tainted" in written(lineage(graph.database, level, "down"))
    withdraw(graph.database, [level], "it was right", "Ann", undo=True)
    assert lineage(graph.database, other).nodes[other].standing == ""
    withdraw(graph.database, [label], "it was right", "Ann", undo=True)
    assert "withdrawn" not in written(lineage(graph.database, arrhenius(graph)))


def test_too_much_downstream_to_be_drawn_is_counted_by_what_it_is(graph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineages, "_DRAWN", 5)
    level = graph.of_kind("level_of_theory")[0]
    found = lineage(graph.database, level, "down")
    counts = {name: group.n for name, group in found.groups.items()}
    assert counts == {"label": 12, "dataset": 1, "potential": 1, "run": 2, "diffusion": 2, "arrhenius": 1}
    chain = [level, "label", "dataset", "potential", "run", "diffusion", "arrhenius"]
    assert [(edge.source, edge.target) for edge in found.edges] == sorted(itertools.pairwise(chain))
    assert "12 labels: 6 beta-Li3PS4, 6 gamma-Li3PS4" in written(found)
    short = lineage(graph.database, level, "down", depth=2)
    assert {name: group.n for name, group in short.groups.items()} == {"label": 12, "dataset": 1}


def test_labels_from_many_runs_show_these_as_one_line(
    database: Any, labels: Any, level: Any, dataset_of: Any, record: Any
) -> None:
    made, link = record("work"), Input.of("level_of_theory", database.insert(level.sealed(record("ingest"))))
    runs = [{"collection": "runs", "id": f"run-{index:024x}", "content": "0" * 64} for index in range(12)]
    some = [
        label.model_copy(update={"inputs": [link, Input.of("run", run)]})
        for label, run in zip(labels(12), runs, strict=True)
    ]
    for label in some:
        database.insert(label.sealed(made))
    database.note_external([{"role": "run", **run} for run in runs[:11]])
    dataset = database.insert(dataset_of(some).sealed(made))["id"]
    found = lineage(database, dataset)
    assert "12 runs: 11 not in this database, 1 missing" in written(found)
    assert f"run: missing (MISSING)  {runs[11]['id']}" in written(found)
    assert len(lineage(database, dataset, depth=1).groups) == 1


def test_svg_has_each_document_once_and_an_arrow_for_each_link(graph: Any) -> None:
    from xml.etree import ElementTree

    found = lineage(graph.database, arrhenius(graph))
    root = ElementTree.fromstring(as_svg(found))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert all(texts.count(id_) == 1 for id_ in found.nodes)
    assert {"potential", "structure", "diffusion"} <= set(texts)
    assert "12 labels, level of theory disorder: 6" in texts
    marked = [element for element in root.iter("{http://www.w3.org/2000/svg}path") if "marker-end" in element.attrib]
    assert len(marked) == len(found.edges)


def test_svg_draws_cycles_of_kinds(graph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineages, "_DRAWN", 5)
    found = lineage(graph.database, graph.of_kind("dataset")[0], "down")
    cycle = lineages.Lineage(
        found.root, "down", found.nodes, [*found.edges, lineages.Edge("arrhenius", "run", "", "")], found.groups
    )
    assert as_svg(cycle).count("marker-end") == len(cycle.edges)


def test_prov_of_a_lineage_reads_back_equal_and_names_no_host(graph: Any) -> None:
    from prov.model import ProvDocument

    found = lineage(graph.database, arrhenius(graph))
    text = prov_of_lineage(graph.database, found).serialize()
    read = ProvDocument.deserialize(content=text)
    assert read == prov_of_lineage(graph.database, found)
    assert len(json.loads(text)["wasGeneratedBy"]) == len(found.nodes)
    assert len(json.loads(text)["wasDerivedFrom"]) == len(found.edges)
    assert '"here"' not in text
    assert '"here"' in prov_of_lineage(graph.database, found, hosts=True).serialize()


def test_prov_of_documents_has_an_activity_for_each_and_every_input_with_its_role(graph: Any) -> None:
    documents = list(graph.documents.values())
    text = json.loads(prov_document(documents).serialize())
    assert len(text["entity"]) == len(text["activity"]) == len(documents)
    assert len(text["used"]) == sum(len(document["inputs"]) for document in documents)
    run = graph.of_kind("run")[0]
    roles = {used["prov:role"] for used in text["used"].values() if used["prov:activity"] == f"lipsdb:making-{run}"}
    assert roles == {"structure", "potential"}
    agents = {agent["prov:label"] for agent in text["agent"].values()}
    assert {"lipsdb", "numpy"} <= agents


def test_dataset_with_an_illegible_link_still_shows_the_others(graph: Any) -> None:
    (dataset,) = graph.of_kind("dataset")
    damage = {"$unset": {"inputs.0.content": ""}}
    graph.database.collection("datasets").update_one({"_id": dataset}, damage, bypass_document_validation=True)
    (group,) = lineage(graph.database, dataset).groups.values()
    assert (group.n, group.odd) == (11, {})
