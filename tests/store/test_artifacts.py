"""Artifacts in GridFS and in a folder: one blob for the same bytes, streamed, and damage is found."""

from __future__ import annotations

import hashlib
import io
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
import zstandard

from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.settings import Settings
from lipsdb.store.artifacts import Artifacts, FolderBlobs, GridFSBlobs, open_blob_store
from lipsdb.store.database import Database, connect

TEXT = b"Step Temp Press\n" * 1000


@pytest.fixture(params=["gridfs", "file"])
def artifacts(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Artifacts:
    address = "gridfs" if request.param == "gridfs" else f"file://{tmp_path / 'blobs'}"
    return Artifacts(database.mongo, open_blob_store(address, database.mongo))


def entries(database: Database) -> list[dict[str, Any]]:
    return list(database.query("artifacts"))


def test_bytes_and_files_come_back_under_the_hash_of_their_bytes(artifacts: Artifacts, tmp_path: Path) -> None:
    path = tmp_path / "log.lammps"
    path.write_bytes(TEXT)
    reference = artifacts.put(path, "log.lammps")
    assert reference == {"sha256": hashlib.sha256(TEXT).hexdigest(), "size": len(TEXT), "name": "log.lammps"}
    assert artifacts.put(TEXT, "log.lammps") == reference
    assert artifacts.read(reference["sha256"]) == TEXT
    with artifacts.open(reference["sha256"]) as stream:
        assert stream.read(4) == b"Step"
    assert artifacts.save(reference["sha256"], tmp_path / "copy").read_bytes() == TEXT


def test_empty_artifact(artifacts: Artifacts) -> None:
    reference = artifacts.put(b"", "nothing")
    assert reference["size"] == 0
    assert artifacts.read(reference["sha256"]) == b""


def test_same_bytes_under_two_names_are_one_compressed_blob(artifacts: Artifacts, database: Database) -> None:
    first, second = artifacts.put(TEXT, "a"), artifacts.put(TEXT, "b")
    assert first["sha256"] == second["sha256"]
    (entry,) = entries(database)
    assert (entry["_id"], entry["size"], entry["name"]) == (first["sha256"], len(TEXT), "a")
    assert list(artifacts.blobs.keys()) == [entry["key"]]
    with artifacts.blobs.open(entry["key"]) as blob:
        stored = blob.read()
    assert len(stored) < len(TEXT) / 10
    assert zstandard.ZstdDecompressor().decompressobj().decompress(stored) == TEXT


def test_two_that_put_the_same_at_once_leave_one_blob(artifacts: Artifacts, database: Database) -> None:
    together = threading.Barrier(4)

    class Waits:
        """Lets all writers see that the artifact is not there yet."""

        def __init__(self, inner: Any) -> None:
            self.inner, self.place = inner, inner.place

        def write(self, key: str, source: IO[bytes]) -> Any:
            together.wait(20)
            return self.inner.write(key, source)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    waiting = Artifacts(database.mongo, Waits(artifacts.blobs))
    found: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: found.append(waiting.put(TEXT, "x"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [found[0]] * 4
    assert len(entries(database)) == 1
    assert list(artifacts.blobs.keys()) == [entries(database)[0]["key"]]
    assert artifacts.fault(entries(database)[0]) is None
    assert artifacts.read(found[0]["sha256"]) == TEXT


def test_large_file_is_streamed(artifacts: Artifacts, tmp_path: Path) -> None:
    path = tmp_path / "trajectory.nc"
    block = hashlib.shake_256(b"seed").digest(1 << 20)
    with path.open("wb") as file:
        for _ in range(48):
            file.write(block)
    tracemalloc.start()
    reference = artifacts.put(path, path.name)
    artifacts.save(reference["sha256"], tmp_path / "copy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 << 20
    assert hashlib.sha256((tmp_path / "copy").read_bytes()).hexdigest() == reference["sha256"]


def damage(artifacts: Artifacts, database: Database, key: Any, content: bytes) -> None:
    """Put other bytes where a blob lies."""
    if isinstance(artifacts.blobs, FolderBlobs):
        artifacts.blobs.delete(key)
        artifacts.blobs.write(key, io.BytesIO(content))
    else:
        database.mongo["artifacts.chunks"].delete_many({"files_id": key, "n": {"$gt": 0}})
        database.mongo["artifacts.chunks"].update_one({"files_id": key}, {"$set": {"data": content}})
        database.mongo["artifacts.files"].update_one({"_id": key}, {"$set": {"length": len(content)}})


def test_fault_finds_every_kind_of_damage(artifacts: Artifacts, database: Database) -> None:
    artifacts.put(TEXT, "log")
    (entry,) = entries(database)
    compress = zstandard.ZstdCompressor().compress
    assert artifacts.fault(entry) is None
    assert artifacts.fault({**entry, "size": 1}) == f"its size is {len(TEXT)} bytes, recorded are 1"
    for content, finding in (
        (compress(TEXT + b"x"), "its bytes are not those that were stored (SHA-256 is now"),
        (compress(TEXT)[:-9], "its bytes are not those that were stored"),
        (b"no compressed bytes", "its blob cannot be read: ZstdError"),
    ):
        damage(artifacts, database, entry["key"], content)
        fault = artifacts.fault(entry)
        assert fault is not None
        assert fault.startswith(finding)
    artifacts.blobs.delete(entry["key"])
    assert artifacts.fault(entry) == "its blob is missing"
    with pytest.raises(NotFoundError, match=rf"the blob of artifact {entry['_id']} \(log\) is gone from"):
        artifacts.read(entry["_id"])


def test_missing_chunk_in_gridfs_is_a_fault(database: Database) -> None:
    database.artifacts.put(TEXT, "log")
    (entry,) = entries(database)
    database.mongo["artifacts.chunks"].delete_many({"files_id": entry["key"]})
    assert str(database.artifacts.fault(entry)).startswith("its blob cannot be read: CorruptGridFile")


def test_artifact_that_is_not_there(artifacts: Artifacts) -> None:
    with pytest.raises(NotFoundError, match="no artifact 00 in this database"):
        artifacts.open("00")


def test_artifact_in_another_store_says_where_it_is(database: Database, tmp_path: Path) -> None:
    reference = database.artifacts.put(TEXT, "log")
    elsewhere = Artifacts(database.mongo, FolderBlobs(tmp_path))
    with pytest.raises(NotFoundError, match=r"\(log\) lies in the store 'gridfs', not 'file'; set LIPSDB_ARTIFACTS"):
        elsewhere.read(reference["sha256"])


def test_blob_of_a_put_that_was_cut_off_is_an_orphan_key(artifacts: Artifacts, database: Database) -> None:
    kept = artifacts.put(TEXT, "log")
    orphan = artifacts.blobs.write("ab" * 32, io.BytesIO(b"blob without document"))
    known = {entry["key"] for entry in entries(database)}
    assert set(artifacts.blobs.keys()) - known == {orphan}
    artifacts.blobs.delete(orphan)
    artifacts.blobs.delete(orphan)
    assert set(artifacts.blobs.keys()) == known
    assert artifacts.read(kept["sha256"]) == TEXT


def test_chunks_of_an_upload_that_was_killed_are_an_orphan_key(database: Database) -> None:
    database.artifacts.put(TEXT, "log")
    blobs = database.artifacts.blobs
    assert isinstance(blobs, GridFSBlobs)
    key = blobs.write("ab" * 32, io.BytesIO(bytes(3 << 20)))
    database.mongo["artifacts.files"].delete_one({"_id": key})
    assert set(blobs.keys()) - {entry["key"] for entry in entries(database)} == {key}


def test_write_that_fails_leaves_nothing_in_the_folder(tmp_path: Path) -> None:
    class Breaks(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError("the disk is gone")

    blobs = FolderBlobs(tmp_path)
    with pytest.raises(OSError, match="the disk is gone"):
        blobs.write("ab" * 32, Breaks())
    assert list(blobs.keys()) == []


def test_file_that_changes_while_it_is_stored_is_refused(
    artifacts: Artifacts, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    path.write_bytes(TEXT)
    write = artifacts.blobs.write

    def later(key: str, source: IO[bytes]) -> Any:
        with path.open("ab") as file:
            file.write(b"one more line\n")
        return write(key, source)

    monkeypatch.setattr(artifacts.blobs, "write", later)
    with pytest.raises(BadInputError, match="changed while it was stored"):
        artifacts.put(path, "log")
    assert entries(database) == []
    assert list(artifacts.blobs.keys()) == []


@pytest.fixture
def other(settings: Settings) -> Iterator[Database]:
    connected = connect(settings)
    yield connected
    connected.client.close()


def test_another_connection_reads_what_one_stored(database: Database, other: Database) -> None:
    assert other.artifacts.read(database.artifacts.put(TEXT, "log")["sha256"]) == TEXT


def test_address_of_no_store(database: Database) -> None:
    with pytest.raises(BadInputError, match="'ftp://x' is not an artifact store; use 'gridfs'"):
        open_blob_store("ftp://x", database.mongo)
