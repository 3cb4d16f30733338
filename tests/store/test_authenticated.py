"""A server with users and passwords, started as in docker/: what works there, and where the password does not go."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from lipsdb.errors import ServerError
from lipsdb.settings import Settings
from lipsdb.store.database import Database, connect
from lipsdb.store.server import find_mongod

PASSWORD = "correct1horse2battery"
ROLES = [{"role": "readWrite", "db": "lipsdb"}, {"role": "dbAdmin", "db": "lipsdb"}]  # as docker/create-user.js
CAMPAIGN = """\
name: rocksalt
description: one structure, one job
structures:
  Li2S:
    crystal:
      spacegroup: Fm-3m
      lattice: {a_A: 5.71, b_A: 5.71, c_A: 5.71}
      sites:
        - {label: Li, element: Li, position: [0.25, 0.25, 0.25], multiplicity: 8}
        - {label: S, element: S, position: [0, 0, 0], multiplicity: 4}
"""


def wait_for_primary(client: MongoClient) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if client.admin.command("hello").get("isWritablePrimary"):
                return
        except PyMongoError:
            pass
        time.sleep(0.1)
    raise TimeoutError("mongod does not become primary")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of a mongod with a key file, a replica set of one and the user `lipsdb`."""
    folder = tmp_path_factory.mktemp("authenticated")
    keyfile = folder / "keyfile"
    keyfile.write_text("c2VjcmV0" * 20)
    keyfile.chmod(0o400)
    (folder / "data").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [
            find_mongod(), "--dbpath", str(folder / "data"), "--port", str(number), "--bind_ip", "127.0.0.1",
            "--replSet", "lipsdb", "--keyFile", str(keyfile), "--auth", "--logpath", str(folder / "mongod.log"),
            "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "50",
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with MongoClient("127.0.0.1", number, directConnection=True) as client:
            member = {"_id": 0, "host": f"127.0.0.1:{number}"}
            client.admin.command("replSetInitiate", {"_id": "lipsdb", "members": [member]})
            wait_for_primary(client)
            # the first user may be made from the same machine without a password; then no more
            client.admin.command("createUser", "root", pwd="root" + PASSWORD, roles=["root"])
        with MongoClient(
            "127.0.0.1", number, directConnection=True, username="root", password="root" + PASSWORD
        ) as root:
            root.admin.command("createUser", "lipsdb", pwd=PASSWORD, roles=ROLES)
        yield number
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("LIPSDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LIPSDB_HOME", str(tmp_path / ".lipsdb"))
    return tmp_path / ".lipsdb"


@pytest.fixture
def database(port: int, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    uri = f"mongodb://lipsdb:{PASSWORD}@127.0.0.1:{port}/?replicaSet=lipsdb"
    monkeypatch.setenv("LIPSDB_MONGO_URI", uri)  # without authSource: the driver's default, admin, holds for all
    connected = connect(Settings())
    yield connected
    for name in connected.mongo.list_collection_names():
        connected.mongo.drop_collection(name)
    connected.client.close()


def submit(database: Database, folder: Path) -> list[int]:
    from lipsdb.campaigns.load import load_campaign
    from lipsdb.workflows import campaign as campaigns

    file = folder / "rocksalt.yaml"
    file.write_text(CAMPAIGN)
    return campaigns.submit(database, load_campaign(file)).fw_ids


def test_documents_artifacts_and_launchpad_work_for_a_user_with_rights_on_one_database(
    database: Database, tmp_path: Path
) -> None:
    from lipsdb.workflows.launchpad import launchpad

    fw_ids = submit(database, tmp_path)
    assert len(fw_ids) == 1
    assert launchpad(database).get_wf_ids() == fw_ids
    campaign = next(database.query("campaigns"))
    assert database.artifacts.read(campaign["answer"]["file"]["sha256"]) == CAMPAIGN.encode()


def test_a_worker_answers_with_the_password_in_its_environment(database: Database, tmp_path: Path) -> None:
    from fireworks import FWorker
    from fireworks.core.rocket_launcher import launch_rocket

    from lipsdb.workflows.launchpad import launchpad

    submit(database, tmp_path)
    launches = tmp_path / "launch"
    launches.mkdir()
    before = Path.cwd()
    os.chdir(launches)
    try:
        assert launch_rocket(launchpad(database), FWorker(), strm_lvl="ERROR")
    finally:
        os.chdir(before)
    assert [entry["answer"]["name"] for entry in database.query("structures")] == ["Li2S"]


def test_the_password_is_in_no_stored_document_and_in_one_file_of_the_owner_only(
    database: Database, tmp_path: Path
) -> None:
    from lipsdb.workflows.launchpad import write_fireworks_files

    submit(database, tmp_path)
    names = database.mongo.list_collection_names()
    assert {"fireworks", "workflows", "campaigns", "artifacts"} <= set(names)
    for name in names:
        for raw in database.mongo[name].find_raw_batches():
            assert PASSWORD.encode() not in raw, name
    files = write_fireworks_files(database, tmp_path / "fireworks")
    holding = [file for file in files if PASSWORD in file.read_text()]
    assert [file.name for file in holding] == ["my_launchpad.yaml"]
    assert stat.S_IMODE(holding[0].stat().st_mode) == 0o600


@pytest.mark.parametrize("user", ["lipsdb:wrong2secret@", "nobody:wrong2secret@", ""])
def test_wrong_password_unknown_user_and_no_user_are_refused_in_one_line_without_the_password(
    user: str, port: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPSDB_MONGO_URI", f"mongodb://{user}127.0.0.1:{port}/?replicaSet=lipsdb&authSource=admin")
    begin = time.monotonic()
    with pytest.raises(ServerError, match=rf"127\.0\.0\.1:{port}.*refuses: .*[Aa]uthentication") as refusal:
        connect(Settings())
    assert time.monotonic() - begin < 5
    assert "\n" not in str(refusal.value)
    assert "wrong2secret" not in str(refusal.value)
