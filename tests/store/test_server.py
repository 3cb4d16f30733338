"""The embedded server, with real mongod processes of the tests' own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from lipsdb.errors import BadInputError, MissingProgramError, ServerError
from lipsdb.settings import Settings
from lipsdb.store.database import connect, redacted
from lipsdb.store.server import EmbeddedServer, ServerRecord, find_mongod


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    one = EmbeddedServer(tmp_path / ".lipsdb")
    yield one
    one.stop()


def put(record: ServerRecord, value: int) -> None:
    with MongoClient(record.uri) as client:
        client["test"]["things"].insert_one({"_id": value})


def things(record: ServerRecord) -> list[int]:
    with MongoClient(record.uri, serverSelectionTimeoutMS=10_000) as client:
        return [thing["_id"] for thing in client["test"]["things"].find(sort=[("_id", 1)])]


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_start_stop_and_start_again_keep_data_and_port(server: EmbeddedServer) -> None:
    assert server.record() is None
    assert server.running() is None
    assert server.stop() is False
    first = server.start()
    put(first, 1)
    assert server.start() == first
    assert server.running() == first
    assert server.stop() is True
    assert server.running() is None
    assert server.stop() is False
    second = server.start()
    assert second.port == first.port
    assert second.pid != first.pid
    assert things(second) == [1]
    put(second, 2)


def test_server_is_a_replica_set_on_loopback_with_sessions(server: EmbeddedServer) -> None:
    record = server.start()
    with MongoClient(record.uri) as client:
        assert client.admin.command("hello")["setName"] == "lipsdb"
        assert client.admin.command("getCmdLineOpts")["parsed"]["net"]["bindIp"] == "127.0.0.1"
        with client.start_session() as session, session.start_transaction():
            client["test"]["things"].insert_one({"_id": 1}, session=session)
    assert things(record) == [1]


def test_two_processes_that_start_at_once_get_one_server(server: EmbeddedServer) -> None:
    script = (
        "import sys; from pathlib import Path; from lipsdb.store.server import EmbeddedServer; "
        "record = EmbeddedServer(Path(sys.argv[1])).start(); print(record.port, record.pid)"
    )
    command = [sys.executable, "-c", script, str(server.folder.parent)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    found = {process.communicate(timeout=120)[0] for process in processes}
    record = server.running()
    assert record is not None
    assert found == {f"{record.port} {record.pid}\n"}


def test_killed_server_keeps_its_data(server: EmbeddedServer) -> None:
    first = server.start()
    put(first, 1)
    os.kill(first.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while server.running() is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.running() is None
    second = server.start()
    assert second.pid != first.pid
    assert things(second) == [1]


def test_port_taken_by_another_program_gives_another_port_and_the_same_data(server: EmbeddedServer) -> None:
    first = server.start()
    put(first, 1)
    server.stop()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(first.port)]
    other = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not answers(first.port):
            assert other.poll() is None
            time.sleep(0.05)
        second = server.start()
        assert second.port != first.port
        assert things(second) == [1]
        put(second, 2)
        assert things(second) == [1, 2]
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"port": 1}', '{"port": 1, "pid": 999999999, "mongod": "x"}'])
def test_damaged_or_stale_record_is_started_over(server: EmbeddedServer, content: str) -> None:
    server.folder.mkdir(parents=True)
    (server.folder / "server.json").write_text(content)
    assert server.running() is None
    assert server.stop() is False
    put(server.start(), 1)


def test_record_with_the_pid_of_another_mongod_is_stale(server: EmbeddedServer, mongo_uri: str) -> None:
    with MongoClient(mongo_uri) as client:
        foreign = client.admin.command("serverStatus")["pid"]
    server.folder.mkdir(parents=True)
    (server.folder / "server.json").write_text(f'{{"port": 1, "pid": {foreign}, "mongod": "x"}}')
    assert server.stop() is False
    assert server.start().pid != foreign


def test_server_that_cannot_write_names_its_log(server: EmbeddedServer) -> None:
    server.folder.mkdir(parents=True)
    (server.folder / "data").mkdir()
    (server.folder / "data" / "WiredTiger").write_text("not a database")
    (server.folder / "data" / "storage.bson").write_bytes(b"nonsense")
    with pytest.raises(ServerError, match=r"mongod stopped at once with exit code \d+: .*mongod\.log\)$"):
        server.start()


def test_no_mongod_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: EmbeddedServer) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("lipsdb.store.server._MONGOD_WHEEL", "no-such-distribution")
    with pytest.raises(MissingProgramError, match=r"no `mongod` on PATH .*\(pip install 'lipsdb\[mongod\]'"):
        server.start()


def test_mongod_on_path_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "mongod"
    shutil.copy("/bin/true", program)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_mongod() == str(program)


@pytest.mark.parametrize("secret", ["s3cret", "p@ss/w:rd", "a%2Fb"])
def test_unreachable_server_is_told_soon_with_its_address_and_without_its_password(secret: str) -> None:
    uri = f"mongodb://ann:{secret}@127.0.0.1:9/?authSource=admin"
    start = time.monotonic()
    with pytest.raises((ServerError, BadInputError), match=r"mongodb://ann:\*\*\*@127\.0\.0\.1:9/") as caught:
        connect(Settings(mongo_uri=uri))
    assert time.monotonic() - start < 5
    assert secret not in str(caught.value)
    assert "ss/w" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("uri", ["http://localhost", "mongodb://host:port", "mongodb://"])
def test_address_that_is_none(uri: str) -> None:
    with pytest.raises(BadInputError, match=r"is not a MongoDB address: .*; set LIPSDB_MONGO_URI as mongodb://"):
        connect(Settings(mongo_uri=uri))


def test_embedded_server_is_started_by_connecting(monkeypatch: pytest.MonkeyPatch, server: EmbeddedServer) -> None:
    monkeypatch.delenv("LIPSDB_MONGO_URI", raising=False)
    database = connect(Settings(home=server.folder.parent))
    record = server.running()
    assert record is not None
    assert database.uri == record.uri == redacted(record.uri)
    database.client.close()
