"""The session's own MongoDB server, and an empty database for each test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database as MongoDatabase

from lipsdb.settings import Settings
from lipsdb.store.database import BOOKKEEPING, Database, connect
from lipsdb.store.server import EmbeddedServer


@pytest.fixture(scope="session")
def mongo_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real mongod that lives as long as the session."""
    server = EmbeddedServer(tmp_path_factory.mktemp("mongod"))
    yield server.start().uri
    server.stop()


@pytest.fixture(scope="session")
def emptied_databases(mongo_uri: str) -> Iterator[list[str]]:
    """Names of databases that tests have left empty: making the collections and indexes of one takes over a second."""
    names: list[str] = []
    yield names
    with MongoClient(mongo_uri) as client:
        for name in names:
            client.drop_database(name)


@pytest.fixture
def database_name(mongo_uri: str, emptied_databases: list[str]) -> Iterator[str]:
    """Name of an empty database: a new one, or one that was emptied."""
    name = emptied_databases.pop() if emptied_databases else f"test-{uuid.uuid4().hex}"
    yield name
    with MongoClient(mongo_uri) as client:
        if _emptied(client[name]):
            emptied_databases.append(name)
        else:
            client.drop_database(name)


def _emptied(database: MongoDatabase[dict[str, Any]]) -> bool:
    """Empty the collections of a database; False if nobody set it up."""
    if database[BOOKKEEPING].find_one({"_id": "schema"}) is None:
        return False
    for name in database.list_collection_names():
        database[name].delete_many({"_id": {"$nin": ["schema", "identifier"]}} if name == BOOKKEEPING else {})
    return True


@pytest.fixture
def settings(mongo_uri: str, database_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings, in the environment too, that name an empty database and an empty project folder."""
    for name in [name for name in os.environ if name.startswith("LIPSDB_")]:
        monkeypatch.delenv(name)
    values = {
        "LIPSDB_MONGO_URI": mongo_uri,
        "LIPSDB_DATABASE": database_name,
        "LIPSDB_HOME": str(tmp_path / ".lipsdb"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """A connection to that database."""
    connected = connect(settings)
    yield connected
    connected.client.close()


@pytest.fixture
def small_level(tmp_path: Path) -> Path:
    """A level of theory that CP2K computes in seconds: the study's, with a low cutoff."""
    from importlib import resources

    text = resources.files("lipsdb.dft").joinpath("levels/disorder.yaml").read_text(encoding="utf-8")
    for old, new in (("name: disorder\n", "name: small\n"), ("Ry: 500.0", "Ry: 150.0"), ("Ry: 50.0", "Ry: 30.0")):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "small.yaml"
    path.write_text(text)
    return path


@pytest.fixture
def p2_file(tmp_path: Path) -> Path:
    """A P2 molecule in a small cell: CP2K needs a second for it."""
    path = tmp_path / "p2.extxyz"
    path.write_text(
        '2\nLattice="4.6 0 0 0 4.8 0 0 0 5.0" Properties=species:S:1:pos:R:3 pbc="T T T"\n'
        "P 0.3 0.2 0.1\nP 1.1 0.9 1.5\n"
    )
    return path
