"""An administrator of one database on a server with passwords: what works, and where the password does not go."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from lipsdb.errors import ServerError
from lipsdb.settings import Settings
from lipsdb.store.database import Database, connect

ROLES = [{"role": "readWrite", "db": "lipsdb"}, {"role": "dbAdmin", "db": "lipsdb"}]


@pytest.fixture(scope="module")
def administrator(server: Any) -> str:
    with MongoClient(server.uri("root")) as root:
        root.admin.command("createUser", "lipsdb", pwd=server.password, roles=ROLES)
    return "lipsdb"


@pytest.fixture
def database(server: Any, administrator: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    # without authSource: the driver's default, admin, holds for all
    monkeypatch.setenv("LIPSDB_MONGO_URI", server.uri(administrator))
    connected = connect(Settings())
    yield connected
    for name in connected.mongo.list_collection_names():
        connected.mongo.drop_collection(name)
    connected.client.close()


def submit(database: Database, file: Path) -> list[int]:
    from lipsdb.campaigns.load import load_campaign
    from lipsdb.workflows import campaign as campaigns

    return campaigns.submit(database, load_campaign(file)).fw_ids


def test_documents_artifacts_and_launchpad_work_for_a_user_with_rights_on_one_database(
    database: Database, rocksalt: Path
) -> None:
    from lipsdb.workflows.launchpad import launchpad

    fw_ids = submit(database, rocksalt)
    assert len(fw_ids) == 1
    assert launchpad(database).get_wf_ids() == fw_ids
    campaign = next(database.query("campaigns"))
    assert database.artifacts.read(campaign["answer"]["file"]["sha256"]) == rocksalt.read_bytes()


def test_a_worker_answers_with_the_password_in_its_environment(
    database: Database, rocksalt: Path, tmp_path: Path
) -> None:
    from fireworks import FWorker
    from fireworks.core.rocket_launcher import launch_rocket

    from lipsdb.workflows.launchpad import launchpad

    submit(database, rocksalt)
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
    database: Database, rocksalt: Path, tmp_path: Path, server: Any
) -> None:
    from lipsdb.workflows.launchpad import write_fireworks_files

    submit(database, rocksalt)
    names = database.mongo.list_collection_names()
    assert {"fireworks", "workflows", "campaigns", "artifacts"} <= set(names)
    for name in names:
        for raw in database.mongo[name].find_raw_batches():
            assert server.password.encode() not in raw, name
    files = write_fireworks_files(database, tmp_path / "fireworks")
    holding = [file for file in files if server.password in file.read_text()]
    assert [file.name for file in holding] == ["my_launchpad.yaml"]
    assert stat.S_IMODE(holding[0].stat().st_mode) == 0o600


@pytest.mark.parametrize("user", ["lipsdb:wrong2secret@", "nobody:wrong2secret@", ""])
def test_wrong_password_unknown_user_and_no_user_are_refused_in_one_line_without_the_password(
    user: str, server: Any, administrator: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"127.0.0.1:{server.port}"
    monkeypatch.setenv("LIPSDB_MONGO_URI", f"mongodb://{user}{address}/?replicaSet=lipsdb&authSource=admin")
    begin = time.monotonic()
    with pytest.raises(ServerError, match=rf"127\.0\.0\.1:{server.port}.*refuses: .*[Aa]uthentication") as refusal:
        connect(Settings())
    assert time.monotonic() - begin < 5
    assert "\n" not in str(refusal.value)
    assert "wrong2secret" not in str(refusal.value)
