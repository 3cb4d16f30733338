from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from lipsdb.errors import BadInputError
from lipsdb.settings import Settings, read_settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MONGO_URI", "DATABASE", "ARTIFACTS", "HOME", "SCRATCH"):
        monkeypatch.delenv(f"LIPSDB_{name}", raising=False)


def test_defaults_in_an_empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = read_settings()
    assert (settings.mongo_uri, settings.database, settings.artifacts) == (None, "lipsdb", "gridfs")
    assert settings.home_folder == tmp_path / ".lipsdb"
    assert settings.scratch_folder == tmp_path / ".lipsdb" / "scratch"
    assert not settings.home_folder.exists()


def test_nearest_home_folder_above_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".lipsdb").mkdir()
    (tmp_path / "a" / ".lipsdb").mkdir(parents=True)
    (tmp_path / "a" / "b").mkdir()
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert read_settings().home_folder == tmp_path / "a" / ".lipsdb"
    (tmp_path / "a" / ".lipsdb").rmdir()
    assert read_settings().home_folder == tmp_path / ".lipsdb"


def test_relative_home_and_scratch_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIPSDB_HOME", "here")
    monkeypatch.setenv("LIPSDB_SCRATCH", "there")
    assert read_settings().home_folder == tmp_path / "here"
    assert read_settings().scratch_folder == tmp_path / "there"


def test_changed_environment_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPSDB_DATABASE", "one")
    assert read_settings().database == "one"
    monkeypatch.setenv("LIPSDB_DATABASE", "two")
    assert read_settings().database == "two"


@pytest.mark.parametrize("value", ["gridfs", "file:///data/blobs", "s3://bucket", "s3://bucket/a/b"])
def test_known_artifact_stores(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LIPSDB_ARTIFACTS", value)
    assert read_settings().artifacts == value


@pytest.mark.parametrize(
    "value", ["", "ftp://host/x", "/data/blobs", "file://data/blobs", "file:blobs", "s3://", "gridfs "]
)
def test_unknown_artifact_stores(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LIPSDB_ARTIFACTS", value)
    with pytest.raises(
        BadInputError, match=r"LIPSDB_ARTIFACTS='.*': not an artifact store; use 'gridfs', 'file:///folder'"
    ):
        read_settings()


@pytest.mark.parametrize("value", ["", "a.b", "a b", "a/b", "$a", "x" * 64, "größe"])
def test_names_that_are_no_database(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LIPSDB_DATABASE", value)
    with pytest.raises(BadInputError, match=r"LIPSDB_DATABASE='.*': not a database name; use 1 to 63 letters"):
        read_settings()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read_settings().database = "other"  # type: ignore[misc]
    assert Settings(database="x").database == "x"
