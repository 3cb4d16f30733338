"""A server with users and passwords, started as in docker/."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from lipsdb.store.server import find_mongod


@dataclass(frozen=True)
class Server:
    """A mongod that asks for a password, the same for all users."""

    port: int
    password: str = "correct1horse2battery"

    def uri(self, user: str) -> str:
        return f"mongodb://{user}:{self.password}@127.0.0.1:{self.port}/?replicaSet=lipsdb"


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


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A mongod with a key file, a replica set of one and the administrator `root`."""
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
    started = Server(number)
    try:
        with MongoClient("127.0.0.1", number, directConnection=True) as client:
            member = {"_id": 0, "host": f"127.0.0.1:{number}"}
            client.admin.command("replSetInitiate", {"_id": "lipsdb", "members": [member]})
            wait_for_primary(client)
            # the first user may be made from the same machine without a password; then no more
            client.admin.command("createUser", "root", pwd=started.password, roles=["root"])
        yield started
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder, and nothing else in the environment."""
    for name in [name for name in os.environ if name.startswith("LIPSDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LIPSDB_HOME", str(tmp_path / ".lipsdb"))
    return tmp_path / ".lipsdb"


@pytest.fixture
def rocksalt(tmp_path: Path) -> Path:
    """A campaign file: one structure, one job."""
    path = tmp_path / "rocksalt.yaml"
    path.write_text(
        """\
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
    )
    return path
