"""Reader, worker and manager on a real server with users: each can do its work, and none can change what is sealed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from pymongo import DeleteOne, MongoClient, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import OperationFailure
from typer.testing import CliRunner

from lipsdb.cli.main import app, main
from lipsdb.documents.base import MadeBy, now
from lipsdb.documents.property import Property, PropertyAsked
from lipsdb.errors import ServerError
from lipsdb.settings import Settings, read_settings
from lipsdb.store.artifacts import UNAUTHORIZED
from lipsdb.store.database import Database, connect
from lipsdb.store.migrations import BOOKKEEPING, MIGRATIONS, migrate
from lipsdb.store.roles import MANAGER, READER, SEALED, WORKER, create_roles, roles, script

NAME = "with-roles"
USERS = {"reader": READER, "worker": WORKER, "manager": MANAGER}
Become = Callable[[str], Database]


def prop(number: int, campaign: str) -> dict[str, Any]:
    made_by = MadeBy(
        activity="test",
        versions={"lipsdb": "0.1.0"},
        commit=None,
        executable="python",
        host="here",
        started_at=now(),
        finished_at=now(),
        core_seconds=0.0,
    )
    one = Property(asked=PropertyAsked(property="p", parameters={"n": number}), answer={"value": float(number)})
    return one.sealed(made_by, [campaign])


@pytest.fixture(scope="module")
def prepared(server: Any) -> Iterator[MongoClient[dict[str, Any]]]:
    """The administrator, when the database is set up and has its roles and users."""
    settings = Settings(mongo_uri=server.uri("root"), database=NAME)
    root = connect(settings)
    create_roles(root)
    for user, role in USERS.items():
        root.client.admin.command("createUser", user, pwd=server.password, roles=[{"role": role, "db": NAME}])
    yield root.client
    root.client.close()


@pytest.fixture
def become(
    server: Any, prepared: MongoClient[dict[str, Any]], home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Become]:
    """Connect to the empty database as one of the users; the environment is then that of this user, too."""
    for name in prepared[NAME].list_collection_names():
        if name != BOOKKEEPING:
            prepared[NAME][name].delete_many({})
    opened: list[Database] = []

    def connected(user: str) -> Database:
        monkeypatch.setenv("LIPSDB_MONGO_URI", server.uri(user))
        monkeypatch.setenv("LIPSDB_DATABASE", NAME)
        opened.append(connect(read_settings()))
        return opened[-1]

    yield connected
    for database in opened:
        database.client.close()


def cli(*arguments: str, ok: bool = True) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert (done.exit_code == 0) is ok, done.output
    return done.output


WRITES: dict[str, Callable[[Collection[dict[str, Any]]], Any]] = {
    "update_one": lambda c: c.update_one({}, {"$set": {"x": 1}}),
    "update_many": lambda c: c.update_many({}, {"$addToSet": {"campaigns": "x"}}),
    "upsert": lambda c: c.update_one({"_id": "none"}, {"$set": {"x": 1}}, upsert=True),
    "replace_one": lambda c: c.replace_one({}, {"x": 1}),
    "delete_one": lambda c: c.delete_one({}),
    "delete_many": lambda c: c.delete_many({}),
    "find_one_and_update": lambda c: c.find_one_and_update({}, {"$set": {"x": 1}}),
    "find_one_and_replace": lambda c: c.find_one_and_replace({}, {"x": 1}),
    "find_one_and_delete": lambda c: c.find_one_and_delete({}),
    "bulk update": lambda c: c.bulk_write([UpdateOne({}, {"$set": {"x": 1}})]),
    "bulk delete": lambda c: c.bulk_write([DeleteOne({})]),
    "$out": lambda c: list(c.database["joins"].aggregate([{"$out": c.name}])),
    "$merge": lambda c: list(c.database["joins"].aggregate([{"$merge": {"into": c.name}}])),
    "drop": lambda c: c.drop(),
    "rename": lambda c: c.rename("elsewhere"),
    "collMod": lambda c: c.database.command("collMod", c.name, validator={}),
    "time to live": lambda c: c.create_index("made_by.finished_at", expireAfterSeconds=1),
    "drop_indexes": lambda c: c.drop_indexes(),
    "without validation": lambda c: c.insert_one({"x": 1}, bypass_document_validation=True),
    "drop database": lambda c: c.database.client.drop_database(c.database.name),
}


def refused(write: Callable[[], Any]) -> bool:
    try:
        write()
    except OperationFailure as error:
        faults = (error.details or {}).get("writeErrors", [])
        return error.code == UNAUTHORIZED or any(fault["code"] == UNAUTHORIZED for fault in faults)
    return False


@pytest.mark.parametrize("user", USERS)
def test_the_server_refuses_to_change_what_is_sealed(become: Become, user: str) -> None:
    root = become("root")
    root.artifacts.put(b"bytes", "file")
    root.insert(prop(1, "a"))
    database = become(user)
    for name in SEALED:
        for what, write in WRITES.items():
            if what == "without validation" and name in {"artifacts.files", "artifacts.chunks"}:
                continue  # GridFS' own: they have no validator
            assert refused(lambda write=write, name=name: write(database.collection(name))), (name, what)
    assert database.find(prop(1, "a")["_id"])["answer"] == {"value": 1.0}


def test_every_sealed_collection_of_the_database_is_in_the_roles(become: Become) -> None:
    root = become("root")
    validated = {one["name"] for one in root.mongo.list_collections() if "validator" in one.get("options", {})}
    assert validated | {"artifacts.files", "artifacts.chunks"} == set(SEALED)


def test_a_worker_takes_a_job_from_the_launchpad_to_its_document(
    become: Become, rocksalt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fireworks import FWorker
    from fireworks.core.rocket_launcher import launch_rocket

    from lipsdb.campaigns.load import load_campaign
    from lipsdb.workflows import campaign as campaigns
    from lipsdb.workflows.launchpad import initialise, launchpad
    from lipsdb.workflows.recovery import recover

    campaigns.submit(become("manager"), load_campaign(rocksalt))
    worker = become("worker")
    monkeypatch.chdir(tmp_path)
    pad = launchpad(worker)
    initialise(pad, worker)
    recover(worker, pad)
    assert launch_rocket(pad, FWorker(), strm_lvl="ERROR")
    assert worker.mongo["fireworks"].distinct("state") == ["COMPLETED"]
    structure = next(worker.query("structures"))
    assert (structure["answer"]["name"], structure["campaigns"]) == ("Li2S", ["rocksalt"])
    assert structure["made_by"]["launchpad"] == worker.identifier
    become("manager")
    second = rocksalt.with_name("second.yaml")
    second.write_text(rocksalt.read_text().replace("name: rocksalt", "name: second"))
    cli("campaign", "submit", str(second))
    assert next(worker.query("structures", {"campaigns": "second"}))["campaigns"] == ["rocksalt", "second"]


def test_a_worker_stores_artifacts_and_leaves_what_another_stored_meanwhile(become: Become) -> None:
    root, worker = become("root"), become("worker")
    files = os.urandom(3_000_000)
    reference = worker.artifacts.put(files, "three chunks")
    assert worker.artifacts.put(files, "again")["sha256"] == reference["sha256"]
    assert worker.artifacts.read(reference["sha256"]) == files

    write = worker.artifacts.blobs.write

    def second(key: str, source: IO[bytes]) -> Any:
        root.artifacts.put(b"of two", "first")
        return write(key, source)

    worker.artifacts.blobs.write = second  # type: ignore[method-assign]
    late = worker.artifacts.put(b"of two", "second")
    assert worker.artifacts.read(late["sha256"]) == b"of two"
    assert len(list(worker.artifacts.blobs.keys())) == 3  # of two artifacts, and one that no artifact names


def test_a_worker_answers_a_question_once_and_joins_campaigns(become: Become) -> None:
    worker = become("worker")
    assert worker.insert(prop(1, "a")) == worker.insert(prop(1, "b"))
    assert worker.insert_many([prop(n, "c") for n in range(3)]) == 2
    worker.join_campaigns([prop(n, "")["_id"] for n in range(3)], ["a"])
    found = {one["asked"]["parameters"]["n"]: one["campaigns"] for one in worker.query("properties")}
    assert found == {0: ["c", "a"], 1: ["a", "b", "c"], 2: ["c", "a"]}
    assert worker.mongo["properties"].distinct("campaigns") == ["a", "c"]  # the documents stay as they were
    worker.note_external([{"collection": "properties", "id": prop(9, "")["_id"], "content": "0" * 64}])
    worker.insert(prop(9, "a"))
    assert worker.count("externals") == 0


def test_a_manager_submits_tends_and_withdraws(become: Become, rocksalt: Path) -> None:
    from lipsdb.workflows.launchpad import launchpad

    manager = become("manager")
    cli("campaign", "submit", str(rocksalt))
    manager.insert(prop(1, "rocksalt"))
    (fw_id,) = manager.mongo["fireworks"].distinct("fw_id")
    pad = launchpad(manager)  # what lpad calls
    for tend in (pad.defuse_fw, pad.reignite_fw, pad.rerun_fw):
        tend(fw_id)
    pad.set_priority(fw_id, 3)
    assert manager.mongo["fireworks"].find_one({})["spec"]["_priority"] == 3
    cli("withdraw", prop(1, "")["_id"], "--reason", "wrong", "--by", "Ann")
    cli("audit", "--level", "links", "--level", "content")
    assert (manager.count("withdrawals"), manager.count("audits")) == (1, 1)
    pad.delete_wf(fw_id)
    assert manager.count("fireworks") == 0


def test_a_reader_sees_everything_and_writes_nothing(
    become: Become, rocksalt: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lipsdb.queries.catalogue import QUERIES

    become("manager").insert(prop(1, "rocksalt"))
    cli("campaign", "submit", str(rocksalt))
    root = become("root")
    before = root.mongo.command("dbHash")["collections"]
    reader = become("reader")
    for name in QUERIES:
        for scope in ([], ["--campaign", "rocksalt"]):
            cli("query", name, *scope)
    id_ = prop(1, "")["_id"]
    for arguments in (
        ["lineage", id_],
        ["show", id_],
        ["list", "property", "--campaign", "rocksalt"],
        ["campaign", "status", str(rocksalt)],
        ["campaign", "plan", str(rocksalt)],
        ["audit", "--no-store"],
        ["db", "status"],
        ["db", "migrate", "--dry-run"],
    ):
        cli(*arguments)
    for name in root.mongo.list_collection_names():
        assert refused(lambda name=name: reader.collection(name).insert_one({"x": 1})), name
        assert refused(lambda name=name: reader.collection(name).update_one({}, {"$set": {"x": 1}})), name
        assert refused(lambda name=name: reader.collection(name).delete_one({})), name
    with pytest.raises(OperationFailure, match="not authorized"):
        reader.insert(prop(2, "a"))
    monkeypatch.setattr("sys.argv", ["lipsdb", "withdraw", id_, "--reason", "wrong", "--by", "Ann"])
    with pytest.raises(SystemExit):
        main()
    told = f"error: MongoDB: this user may not insert withdrawals in {NAME}; docs/cluster.md tells which role may"
    assert capsys.readouterr().err.startswith(told)
    assert root.mongo.command("dbHash")["collections"] == before


@pytest.mark.parametrize("user", USERS)
def test_a_database_that_is_not_set_up_is_left_so_and_the_remedy_is_named(become: Become, user: str) -> None:
    root = become("root")
    root.collection(BOOKKEEPING).update_one({"_id": "schema"}, {"$set": {"state": "that of another version"}})
    match = rf"'{NAME}' was not set up by this version .* \(mongodb://{user}:\*\*\*@.*; run `lipsdb db prepare`"
    with pytest.raises(ServerError, match=match) as refusal:
        become(user)
    assert "\n" not in str(refusal.value)
    become("root")
    assert cli("db", "prepare").startswith(f"the database {NAME} is set up, identifier {root.identifier}")
    become(user)


@pytest.mark.parametrize("user", USERS)
def test_migrations_and_roles_are_for_administrators(become: Become, user: str) -> None:
    root = become("root")
    document = prop(1, "a")
    del document["made_by"]["salt"]
    root.insert(document)
    database = become(user)
    with pytest.raises(ServerError, match=r"'salted-hosts' changes sealed documents.* as an administrator"):
        migrate(database, MIGRATIONS[0], lambda done, total: None)
    with pytest.raises(ServerError, match=f"may not create roles in '{NAME}'; connect as an administrator of users"):
        create_roles(database)
    assert "salt" not in next(root.query("properties"))["made_by"]


def test_creating_roles_again_brings_them_up_to_date(become: Become) -> None:
    root = become("root")
    root.mongo.command("updateRole", WORKER, privileges=[])
    assert create_roles(root) == dict.fromkeys((READER, WORKER, MANAGER), False)
    stored = root.mongo.command("rolesInfo", WORKER, showPrivileges=True)["roles"][0]["privileges"]

    def plain(privileges: list[Any]) -> set[tuple[str, str]]:
        return {(one["resource"]["collection"], action) for one in privileges for action in one["actions"]}

    assert plain(stored) == plain(roles(NAME)[WORKER])
    assert cli("db", "roles") == script(NAME)
    assert cli("db", "roles", "--create").count("brought up to date") == 3


def test_workers_at_once_store_each_answer_once(become: Become) -> None:
    worker = become("worker")
    threads = [
        threading.Thread(target=lambda index=index: worker.insert_many([prop(n, f"c{index}") for n in range(20)]))
        for index in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = list(worker.query("properties"))
    assert len(found) == 20
    assert {tuple(sorted(one["campaigns"])) for one in found} == {("c0", "c1", "c2", "c3")}
