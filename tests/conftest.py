"""The session's own MongoDB server, and a database of its own for each test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lipsdb.settings import Settings
from lipsdb.store.database import Database, connect
from lipsdb.store.server import EmbeddedServer


@pytest.fixture(scope="session")
def mongo_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real mongod that lives as long as the session."""
    server = EmbeddedServer(tmp_path_factory.mktemp("mongod"))
    yield server.start().uri
    server.stop()


@pytest.fixture
def settings(mongo_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings, in the environment too, that name a fresh database and an empty project folder."""
    for name in [name for name in os.environ if name.startswith("LIPSDB_")]:
        monkeypatch.delenv(name)
    values = {
        "LIPSDB_MONGO_URI": mongo_uri,
        "LIPSDB_DATABASE": f"test-{uuid.uuid4().hex}",
        "LIPSDB_HOME": str(tmp_path / ".lipsdb"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """A connection to that fresh database, dropped at the end."""
    connected = connect(settings)
    yield connected
    connected.client.drop_database(settings.database)
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
