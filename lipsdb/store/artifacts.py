"""Artifacts: content-addressed, compressed blobs (trajectories, model files, inputs, logs).

An artifact's name is the SHA-256 of its uncompressed bytes. Its document in ``artifacts`` says where the blob lies; it
is written after the blob, so that a crash between leaves only an orphan blob, which the audit finds.
"""

from __future__ import annotations

import contextlib
import hashlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol, cast
from urllib.parse import urlsplit

import zstandard
from gridfs import GridFSBucket
from gridfs.errors import NoFile
from pymongo.database import Database as MongoDatabase
from pymongo.errors import ConnectionFailure, DuplicateKeyError, OperationFailure

from lipsdb.errors import BadInputError, NotFoundError

BUCKET = "artifacts"
_CHUNK = 1 << 20
UNAUTHORIZED = 13  # MongoDB's error code


class BlobStore(Protocol):
    """Where compressed blobs lie: a name for the place, and four verbs on keys."""

    place: str

    def write(self, key: str, source: IO[bytes]) -> Any:
        """Store a stream; return the key under which it is found again."""

    def open(self, key: Any) -> IO[bytes]:
        """Open a stored blob; KeyError if it is not there."""

    def delete(self, key: Any) -> None:
        """Remove a blob; nothing happens if it is not there."""

    def keys(self) -> Iterator[Any]:
        """All keys of finished and unfinished blobs."""


class GridFSBlobs:
    """Blobs in MongoDB's GridFS, bucket ``artifacts``."""

    place = "gridfs"

    def __init__(self, database: MongoDatabase[dict[str, Any]]) -> None:
        self._database = database
        self._bucket = GridFSBucket(database, BUCKET, chunk_size_bytes=_CHUNK - 1024)

    def write(self, key: str, source: IO[bytes]) -> Any:
        """Store a stream; return the key under which it is found again."""
        return self._bucket.upload_from_stream(key, source)

    def open(self, key: Any) -> IO[bytes]:
        """Open a stored blob; KeyError if it is not there."""
        try:
            return self._bucket.open_download_stream(key)
        except NoFile as error:
            raise KeyError(key) from error

    def delete(self, key: Any) -> None:
        """Remove a blob; nothing happens if it is not there."""
        with contextlib.suppress(NoFile):
            self._bucket.delete(key)

    def keys(self) -> Iterator[Any]:
        """All keys of finished and unfinished blobs."""
        # chunks, too: an upload that was killed leaves chunks without a file document
        yield from (file["_id"] for file in self._database[f"{BUCKET}.files"].find({}, {"_id": 1}))
        known: dict[str, Any] = {
            "$lookup": {"from": f"{BUCKET}.files", "localField": "_id", "foreignField": "_id", "as": "file"}
        }
        pipeline: list[dict[str, Any]] = [
            {"$group": {"_id": "$files_id"}},
            known,
            {"$match": {"file": []}},
            {"$project": {"_id": 1}},
        ]
        yield from (chunk["_id"] for chunk in self._database[f"{BUCKET}.chunks"].aggregate(pipeline))


class FolderBlobs:
    """Blobs as files in a folder, two levels deep."""

    place = "file"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def write(self, key: str, source: IO[bytes]) -> Any:
        """Store a stream; return the key under which it is found again."""
        import os
        import shutil
        import tempfile

        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{key}.")
        try:
            with os.fdopen(descriptor, "wb") as target:
                shutil.copyfileobj(source, target, _CHUNK)
                target.flush()
                os.fsync(target.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return key

    def open(self, key: Any) -> IO[bytes]:
        """Open a stored blob; KeyError if it is not there."""
        try:
            return self._path(key).open("rb")
        except FileNotFoundError as error:
            raise KeyError(key) from error

    def delete(self, key: Any) -> None:
        """Remove a blob; nothing happens if it is not there."""
        self._path(key).unlink(missing_ok=True)

    def keys(self) -> Iterator[Any]:
        """All keys of finished and unfinished blobs."""
        yield from (path.name for path in self._folder.glob("*/*"))


class S3Blobs:
    """Blobs as objects below a prefix of an S3 bucket (credentials as boto3 finds them)."""

    place = "s3"

    def __init__(self, bucket: str, prefix: str) -> None:
        import boto3

        self._bucket = boto3.resource("s3").Bucket(bucket)
        self._prefix = f"{prefix}/" if prefix else ""

    def write(self, key: str, source: IO[bytes]) -> Any:
        """Store a stream; return the key under which it is found again."""
        self._bucket.upload_fileobj(source, self._prefix + key)
        return key

    def open(self, key: Any) -> IO[bytes]:
        """Open a stored blob; KeyError if it is not there."""
        from botocore.exceptions import ClientError

        try:
            return cast(IO[bytes], self._bucket.Object(self._prefix + key).get()["Body"])
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in {"NoSuchKey", "404"}:
                raise
            raise KeyError(key) from error

    def delete(self, key: Any) -> None:
        """Remove a blob; nothing happens if it is not there."""
        self._bucket.Object(self._prefix + key).delete()

    def keys(self) -> Iterator[Any]:
        """All keys of finished and unfinished blobs."""
        yield from (entry.key.removeprefix(self._prefix) for entry in self._bucket.objects.filter(Prefix=self._prefix))


def open_blob_store(address: str, database: MongoDatabase[dict[str, Any]]) -> BlobStore:
    """Open the blob store that an address names: ``gridfs``, ``file:///folder`` or ``s3://bucket/prefix``."""
    if address == "gridfs":
        return GridFSBlobs(database)
    parts = urlsplit(address)
    if parts.scheme == "file":
        return FolderBlobs(Path(parts.path))
    if parts.scheme == "s3":
        return S3Blobs(parts.netloc, parts.path.strip("/"))
    raise BadInputError(f"{address!r} is not an artifact store; use 'gridfs', 'file:///folder' or 's3://bucket/prefix'")


class _ChecksumReader:
    """Reads a stream and keeps the CRC-32 of what passes."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self.crc32 = source, 0

    def read(self, size: int = -1) -> bytes:
        block = self._source.read(size)
        self.crc32 = zlib.crc32(block, self.crc32)
        return block


class _HashingReader:
    """Reads a stream and hashes what passes."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self._hash, self.size = source, hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        block = self._source.read(size)
        self._hash.update(block)
        self.size += len(block)
        return block

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


class Artifacts:
    """Content-addressed blobs with their documents in the collection ``artifacts``."""

    def __init__(self, database: MongoDatabase[dict[str, Any]], blobs: BlobStore) -> None:
        self._collection = database["artifacts"]
        self.blobs = blobs

    def put(self, source: Path | bytes, name: str) -> dict[str, Any]:
        """Store a file or bytes, once however often it is put.

        Parameters
        ----------
        source : Path or bytes
            What to store.
        name : str
            The name under which it is shown and written out.

        Returns
        -------
        dict
            The reference that documents keep: ``sha256``, ``size`` (bytes), ``name``.
        """
        import io

        def open_source() -> IO[bytes]:
            return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")

        with open_source() as stream:
            reader = _HashingReader(stream)
            while reader.read(_CHUNK):
                pass
        reference = {"sha256": reader.digest, "size": reader.size, "name": name}
        if self._collection.find_one({"_id": reader.digest}, {"_id": 1}) is not None:
            return reference
        with open_source() as stream:
            again = _HashingReader(stream)
            compressed = zstandard.ZstdCompressor(level=3).stream_reader(cast(IO[bytes], again))
            packed = _ChecksumReader(cast(IO[bytes], compressed))
            key = self.blobs.write(reader.digest, cast(IO[bytes], packed))
        if again.digest != reader.digest:
            self._leave(key)
            raise BadInputError(f"{source!s:.200} changed while it was stored; store it again when it is complete")
        entry = {
            "_id": reader.digest,
            "kind": "artifact",
            "name": name,
            "size": reader.size,
            "place": self.blobs.place,
            "key": key,
            "compression": "zstd",
            "crc32": packed.crc32,  # of the compressed bytes
        }
        try:
            self._collection.insert_one(entry)
        except DuplicateKeyError:  # another worker was quicker; its blob counts
            if self.blobs.place == "gridfs":
                self._leave(key)
        return reference

    def _leave(self, key: Any) -> None:
        """Remove a blob that no artifact names; a worker without that right leaves it to the audit."""
        try:
            self.blobs.delete(key)
        except OperationFailure as error:
            if error.code != UNAUTHORIZED:
                raise

    def open(self, sha256: str) -> IO[bytes]:
        """Open an artifact for reading (uncompressed).

        Raises
        ------
        NotFoundError
            If the artifact or its blob is not there.
        """
        entry = self._collection.find_one({"_id": sha256})
        if entry is None:
            raise NotFoundError(f"no artifact {sha256} in this database; `lipsdb audit` tells what is missing")
        if entry["place"] != self.blobs.place:
            raise NotFoundError(
                f"artifact {sha256} ({entry['name']}) lies in the store {entry['place']!r}, not {self.blobs.place!r}; "
                "set LIPSDB_ARTIFACTS to where it was stored"
            )
        try:
            blob = self.blobs.open(entry["key"])
        except KeyError as error:
            raise NotFoundError(
                f"the blob of artifact {sha256} ({entry['name']}) is gone from {entry['place']}"
            ) from error
        return zstandard.ZstdDecompressor().stream_reader(blob)

    def read(self, sha256: str) -> bytes:
        """Read a whole artifact."""
        with self.open(sha256) as stream:
            return stream.read()

    def save(self, sha256: str, path: Path) -> Path:
        """Write an artifact to a file and return its path."""
        import shutil

        with self.open(sha256) as stream, path.open("wb") as target:
            shutil.copyfileobj(stream, target, _CHUNK)
        return path

    def fault(self, entry: dict[str, Any], tell: Callable[[int], None] | None = None) -> str | None:
        """Read an artifact's blob again and say what is wrong with it; None if nothing is.

        `tell` is called with the number of bytes that were read, again and again.
        """
        try:
            packed = _ChecksumReader(self.blobs.open(entry["key"]))
            reader = _HashingReader(zstandard.ZstdDecompressor().stream_reader(cast(IO[bytes], packed)))
            while reader.read(_CHUNK):
                if tell is not None:
                    tell(reader.size)
            while packed.read(_CHUNK):  # what comes after the end of the compressed data
                pass
        except KeyError:
            return "its blob is missing"
        except ConnectionFailure:  # a server that went away is no damage
            raise
        except Exception as error:  # damage can take any form; each is a finding
            return f"its blob cannot be read: {type(error).__name__}: {error}"
        if reader.digest != entry["_id"]:
            return f"its bytes are not those that were stored (SHA-256 is now {reader.digest})"
        if packed.crc32 != entry.get("crc32"):
            return "its compressed bytes are not those that were stored (CRC-32 differs)"
        if reader.size != entry.get("size"):
            return f"its size is {reader.size} bytes, recorded are {entry.get('size')}"
        return None
