"""Documents are written once, also by several at once; validators and indexes are there and at work."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.errors import WriteError

from lipsdb.documents import document_types
from lipsdb.documents.base import ArtifactReference, MadeBy, now
from lipsdb.documents.campaign import Campaign, CampaignAnswer, CampaignAsked
from lipsdb.documents.property import Property, PropertyAsked
from lipsdb.errors import BadInputError, NotFoundError, ServerError
from lipsdb.provenance.sealing import reference
from lipsdb.settings import Settings
from lipsdb.store.database import EXTERNALS, Database, connect
from lipsdb.store.joins import of_campaign

MADE_BY = MadeBy(
    activity="test",
    versions={},
    commit=None,
    executable="python",
    host="here",
    started_at=now(),
    finished_at=now(),
    core_seconds=0.0,
)


def campaign(name: str = "a", sha256: str = "0" * 64, campaigns: tuple[str, ...] = ("a",)) -> dict[str, Any]:
    file = ArtifactReference(sha256=sha256, size=1, name="campaign.yaml")
    asked = CampaignAsked(name=name, specification={})
    return Campaign(asked=asked, answer=CampaignAnswer(file=file)).sealed(MADE_BY, campaigns)


def prop(number: int, campaigns: tuple[str, ...] = ("a",)) -> dict[str, Any]:
    asked = PropertyAsked(property="diffusion", parameters={"number": number})
    return Property(asked=asked, answer={"D_cm2_s": 1e-6}).sealed(MADE_BY, campaigns)


def test_document_comes_back_as_it_went_in(database: Database) -> None:
    document = campaign()
    assert database.insert(document) == reference(document)
    assert database.find(document["_id"]) == document


def test_second_answer_to_the_same_question_does_not_replace_the_first(database: Database) -> None:
    first, second = campaign(sha256="1" * 64, campaigns=("a",)), campaign(sha256="2" * 64, campaigns=("b",))
    assert first["_id"] == second["_id"]
    assert first["content"] != second["content"]
    database.insert(first)
    assert database.insert(second) == reference(first)
    assert database.find(first["_id"]) == {**first, "campaigns": ["a", "b"]}
    assert database.insert_many([second]) == 0
    assert database.find(first["_id"]) == {**first, "campaigns": ["a", "b"]}


def test_inserting_many_counts_the_new_and_joins_campaigns_to_the_known(database: Database) -> None:
    assert database.insert_many([]) == 0
    assert database.insert_many([prop(n) for n in range(3)]) == 3
    assert database.insert_many([prop(n, ("b",)) for n in range(5)]) == 2
    found = {entry["asked"]["parameters"]["number"]: entry["campaigns"] for entry in database.query("properties")}
    assert found == {0: ["a", "b"], 1: ["a", "b"], 2: ["a", "b"], 3: ["b"], 4: ["b"]}


def test_inserting_does_not_change_its_arguments(database: Database) -> None:
    documents = [prop(1), prop(2)]
    copies = [dict(document) for document in documents]
    database.insert_many(documents)
    database.insert_many(documents)
    database.insert(documents[0])
    assert documents == copies


def at_once(work: Callable[[int], None], n: int) -> None:
    barrier = threading.Barrier(n)

    def run(index: int) -> None:
        barrier.wait()
        work(index)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_threads_with_different_answers_leave_one_and_all_their_campaigns(database: Database) -> None:
    for round_ in range(5):
        answers = [campaign(f"round{round_}", f"{index:064d}", (f"c{index}",)) for index in range(6)]
        references: list[dict[str, str]] = []
        at_once(
            lambda index, answers=answers, references=references: references.append(database.insert(answers[index])), 6
        )
        stored = database.find(answers[0]["_id"])
        assert references == [reference(stored)] * 6
        assert sorted(stored["campaigns"]) == [f"c{index}" for index in range(6)]


def test_threads_that_insert_overlapping_batches_count_each_document_once(database: Database) -> None:
    counts = [0] * 4
    batches = [[prop(n, (f"c{index}",)) for n in range(40 * index, 40 * index + 100)] for index in range(4)]

    def work(index: int) -> None:
        counts[index] = database.insert_many(batches[index])

    at_once(work, 4)
    assert sum(counts) == database.collection("properties").count_documents({}) == 220
    expected = {n: {f"c{index}" for index in range(4) if 40 * index <= n < 40 * index + 100} for n in range(220)}
    found = {entry["asked"]["parameters"]["number"]: set(entry["campaigns"]) for entry in database.query("properties")}
    assert found == expected


PROCESS = """
import sys
from lipsdb.documents.base import MadeBy, now
from lipsdb.documents.property import Property, PropertyAsked
from lipsdb.store.database import connect
made_by = MadeBy(activity="t", versions={}, commit=None, executable="p", host=sys.argv[1], started_at=now(),
                 finished_at=now(), core_seconds=0)
database = connect()
sys.stdin.readline()
for number in range(50):
    one = Property(asked=PropertyAsked(property="p", parameters={"n": number}), answer={"by": sys.argv[1]})
    database.insert(one.sealed(made_by, [sys.argv[1]]))
"""


@pytest.mark.usefixtures("settings")
def test_two_processes_at_once_leave_each_document_once(database: Database) -> None:
    command = [sys.executable, "-c", PROCESS]
    processes = [subprocess.Popen([*command, name], stdin=subprocess.PIPE, text=True) for name in "xy"]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.wait(60) for process in processes] == [0, 0]
    stored = list(database.query("properties"))
    assert len(stored) == 50
    assert {tuple(sorted(document["campaigns"])) for document in stored} == {("x", "y")}
    assert all(document["made_by"]["host"] == document["answer"]["by"] for document in stored)


@pytest.mark.parametrize(
    "change",
    [
        {"_id": "property-xyz"},
        {"_id": 1},
        {"kind": "run"},
        {"schema_version": "1"},
        {"content": "abc"},
        {"seal": None},
        {"campaigns": "a"},
        {"inputs": [{"role": "run"}]},
        {"asked": {"property": "diffusion"}},
        {"answer": 3},
        {"made_by": {}},
    ],
    ids=str,
)
def test_validator_refuses_a_malformed_document(database: Database, change: dict[str, Any]) -> None:
    with pytest.raises(WriteError, match="Document failed validation"):
        database.collection("properties").insert_one({**prop(1), **change})


@pytest.mark.parametrize("field", sorted(set(prop(1)) - {"_id"}))
def test_validator_refuses_a_document_without_a_field(database: Database, field: str) -> None:
    document = prop(1)
    del document[field]
    with pytest.raises(WriteError, match="Document failed validation"):
        database.collection("properties").insert_one(document)


def test_refusal_by_the_validator_is_one_line_that_names_the_document(database: Database) -> None:
    broken = {**prop(1), "seal": "x"}
    with pytest.raises(ServerError, match=f"MongoDB refused {broken['_id']}: Document failed validation"):
        database.insert(broken)
    with pytest.raises(ServerError, match="MongoDB refused 1 documents, the first: Document failed validation"):
        database.insert_many([prop(2), broken])
    assert [entry["_id"] for entry in database.query("properties")] == [prop(2)["_id"]]


def stages(plan: Any) -> set[str]:
    """Names of all stages of a query plan."""
    parts = plan.values() if isinstance(plan, dict) else plan if isinstance(plan, list) else []
    own = {plan["stage"]} if isinstance(plan, dict) and "stage" in plan else set()
    return own.union(*map(stages, parts))


QUERIES: list[tuple[str, dict[str, Any]]] = [
    *((model.collection(), {"campaigns": "a"}) for model in document_types().values()),
    *((model.collection(), {"inputs.id": "run-0"}) for model in document_types().values()),
    *((model.collection(), {"made_by.fw_id": 3}) for model in document_types().values()),
    ("labels", {"origin.system": {"$in": ["a", "b"]}, "asked.level_of_theory": "PBE"}),
    ("labels", {"asked.level_of_theory": "PBE", "origin.folder": "x", "origin.frame": 3}),
    ("runs", {"asked.settings.temperature_K": 600.0}),
    ("properties", {"asked.property": "diffusion"}),
    ("structures", {"answer.formula": "Li2S"}),
    ("potentials", {"asked.engine": "deepmd"}),
    ("campaigns", {"asked.name": "a"}),
    ("properties", {"_id": {"$gte": "property-0", "$lt": "property-0\uffff"}}),
    ("artifacts", {"key": "x"}),
    ("job_outputs", {"uuid": "x"}),
    ("fireworks", {"spec.document": "x"}),
    ("workflows", {"metadata.campaign": "a"}),
    ("joins", {"campaign": "a", "collection": "labels"}),
    ("joins", {"document": {"$in": ["label-0", "label-1"]}}),
]


@pytest.mark.parametrize(("collection", "criteria"), QUERIES, ids=str)
def test_query_uses_an_index(database: Database, collection: str, criteria: dict[str, Any]) -> None:
    explained = database.collection(collection).find(criteria).explain()
    used = stages(explained["queryPlanner"]["winningPlan"])
    assert "COLLSCAN" not in used
    assert used & {"IXSCAN", "IDHACK"}


def test_asking_which_ids_exist_reads_the_index_only(database: Database) -> None:
    database.insert_many([prop(n) for n in range(20)])
    criteria = {"_id": {"$in": [prop(n)["_id"] for n in range(20)]}}
    explained = database.collection("properties").find(criteria, {"_id": 1}).explain()
    assert explained["executionStats"]["totalDocsExamined"] == 0


def test_find_by_id_and_by_its_beginning(database: Database) -> None:
    documents = [prop(n) for n in range(30)]
    database.insert_many(documents)
    id_ = documents[7]["_id"]
    assert database.find(id_) == documents[7]
    assert database.find(id_[:-8]) == documents[7]
    with pytest.raises(NotFoundError, match=r"no document property-zz in this database; `lipsdb list property`"):
        database.find("property-zz")
    with pytest.raises(
        BadInputError, match=r"'property-' is the beginning of several ids \(property-.*, property-.* …\)"
    ):
        database.find("property-")
    with pytest.raises(
        BadInputError,
        match=r"'thing-1' is not the id of a document; ids begin with level_of_theory-…, structure-…, label-…",
    ):
        database.find("thing-1")
    with pytest.raises(NotFoundError):
        database.find("run-" + id_.partition("-")[2])


def test_known_and_existing_tell_which_of_many_are_there(database: Database) -> None:
    documents = [*(prop(n) for n in range(3)), campaign()]
    for document in documents:
        database.insert(document)
    absent = [prop(n)["_id"] for n in range(3, 6)]
    wanted = [document["_id"] for document in documents] + absent
    assert database.known(wanted) == {document["_id"]: reference(document) for document in documents}
    assert database.known([]) == {}
    assert database.existing("property", [*wanted[:3], *absent]) == set(wanted[:3])
    assert database.existing("property", []) == set()


def test_query_has_criteria_properties_sort_and_limit(database: Database) -> None:
    database.insert_many([prop(n) for n in range(10)])
    field = "asked.parameters.number"
    found = list(database.query("properties", {field: {"$gte": 4}}, [field], {field: -1}, limit=2))
    assert [(entry["asked"]["parameters"], set(entry)) for entry in found] == [
        ({"number": 9}, {"_id", "asked"}),
        ({"number": 8}, {"_id", "asked"}),
    ]


def test_inputs_that_are_elsewhere_are_noted_until_they_come(database: Database) -> None:
    here, later, never = prop(1), prop(2), prop(3)
    database.insert(here)
    links = [{"role": "input", **reference(document)} for document in (here, later, never)]
    database.note_external(links)
    database.note_external(links)
    noted = {entry["_id"]: entry for entry in database.query(EXTERNALS)}
    assert set(noted) == {later["_id"], never["_id"]}
    assert noted[later["_id"]] == {
        "_id": later["_id"],
        "collection": "properties",
        "content": later["content"],
    }
    database.insert(later)
    assert [entry["_id"] for entry in database.query(EXTERNALS)] == [never["_id"]]
    database.insert_many([later, never])
    assert list(database.query(EXTERNALS)) == []


def test_joining_campaigns_adds_each_name_once(database: Database) -> None:
    database.insert_many([prop(1), prop(2)])
    ids = [prop(1)["_id"], prop(2)["_id"], prop(3)["_id"]]
    for _ in range(2):
        database.join_campaigns(ids, ["b", "a"])
    database.join_campaigns(ids, [])
    database.join_campaigns([], ["c"])
    assert [entry["campaigns"] for entry in database.query("properties")] == [["a", "b"]] * 2


def test_documents_stay_as_they_were_when_a_campaign_joins_and_are_found_by_both(database: Database) -> None:
    database.insert_many([prop(n, ("a",)) for n in range(4)])
    database.insert_many([prop(n, ("b",)) for n in range(2, 6)])
    database.join_matching("properties", {"asked.parameters.number": {"$lt": 3}}, ["c", "b"])
    assert database.find(prop(2)["_id"])["campaigns"] == ["a", "b", "c"]
    stored = database.collection("properties").find({}, {"campaigns": 1})
    assert {tuple(one["campaigns"]) for one in stored} == {("a",), ("b",)}

    def numbers(campaign: str, **criteria: Any) -> list[int]:
        found = database.query("properties", {"campaigns": campaign, **criteria}, ["asked"], {"_id": 1})
        return sorted(one["asked"]["parameters"]["number"] for one in found)

    assert (numbers("a"), numbers("b"), numbers("c")) == ([0, 1, 2, 3], [0, 1, 2, 3, 4, 5], [0, 1, 2])
    assert numbers("b", **{"asked.parameters.number": {"$gt": 1}}) == [2, 3, 4, 5]
    assert numbers("d") == []
    assert database.count("properties", {"campaigns": "b"}) == 6
    assert database.count("properties") == 6
    chosen = list(database.query("properties", {"campaigns": "b"}, sort={"_id": 1}, limit=2))
    assert [one["_id"] for one in chosen] == sorted(prop(n)["_id"] for n in range(6))[:2]
    assert all("b" in one["campaigns"] for one in chosen)


def test_what_joined_is_found_by_indexes_also_among_many(database: Database) -> None:
    database.insert_many([prop(n, ("a",)) for n in range(300)])
    database.join_campaigns([prop(n)["_id"] for n in range(10)], ["b"])
    command = {"aggregate": "properties", "pipeline": of_campaign("properties", {}, "b"), "cursor": {}}
    explained = repr(database.mongo.command("explain", command, verbosity="executionStats"))
    assert "COLLSCAN" not in explained
    assert max(int(n) for n in re.findall(r"'totalDocsExamined': (\d+)", explained)) <= 20


def test_a_campaign_is_asked_for_by_one_name(database: Database) -> None:
    with pytest.raises(BadInputError, match=r"campaigns=\{'\$ne': 'a'\} is not the name of a campaign"):
        list(database.query("properties", {"campaigns": {"$ne": "a"}}))


def test_preparing_again_changes_nothing_and_takes_one_round_trip(database: Database) -> None:
    def state() -> dict[str, Any]:
        names = sorted(database.mongo.list_collection_names())
        return {name: database.collection(name).index_information() for name in names}

    before = state()
    database.prepare()
    database.collection("lipsdb").delete_one({"_id": "schema"})
    database.prepare()
    assert state() == before
    start = time.perf_counter()
    for _ in range(20):
        database.prepare()
    assert (time.perf_counter() - start) / 20 < 0.2


def test_several_connect_to_a_new_database_at_once(mongo_uri: str, settings: Settings) -> None:
    opened: list[Database] = []
    settings = settings.model_copy(update={"database": f"test-{uuid.uuid4().hex}"})
    at_once(lambda _: opened.append(connect(settings)), 5)
    assert len(opened) == 5
    assert "validator" in opened[0].collection("runs").options()
    opened[0].client.drop_database(settings.database)
    for database in opened:
        database.client.close()


def test_identifier_is_the_databases_own_and_stays(database: Database, settings: Settings) -> None:
    again = connect(settings)
    assert again.identifier == database.identifier
    again.client.close()
