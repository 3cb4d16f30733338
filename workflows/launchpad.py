"""The launchpad: FireWorks' collections in the project's database, and the files for bare ``lpad`` and ``rlaunch``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fireworks import LaunchPad

from lipsdb.provenance.audit.launches import SILENT_AFTER
from lipsdb.store.database import Database

PING_S = 60  # FireWorks' own default is an hour: a killed job would look alive for four


def _authenticating_uri(database: Database) -> str:
    """The connection string, with the authentication source spelled out (FireWorks would take the database's name)."""
    parts = urlsplit(database.uri)
    if parts.username is None or "authSource" in parse_qs(parts.query) or parts.path.strip("/"):
        return database.uri
    query = f"{parts.query}&authSource=admin" if parts.query else "authSource=admin"
    return parts._replace(path="/", query=query).geturl()


def launchpad(database: Database, patience_s: float = 4.0) -> LaunchPad:
    """FireWorks' launchpad on the project's database."""
    return LaunchPad(
        host=_authenticating_uri(database),
        name=database.mongo.name,
        uri_mode=True,
        strm_lvl="ERROR",
        mongoclient_kwargs={"serverSelectionTimeoutMS": int(1000 * patience_s)},
    )


def write_fireworks_files(database: Database, folder: Path) -> list[Path]:
    """Write ``my_launchpad.yaml``, ``my_fworker.yaml`` and ``FW_config.yaml`` for those who call FireWorks bare.

    Parameters
    ----------
    database : Database
    folder : Path
        Where; created if needed. The launchpad file holds the connection string, password included, and is readable
        by its owner only.

    Returns
    -------
    list of Path
        The files written.
    """
    import os
    import tempfile

    from ruamel.yaml import YAML

    folder.mkdir(parents=True, exist_ok=True)
    address = {
        "host": _authenticating_uri(database),
        "name": database.mongo.name,
        "uri_mode": True,
        "strm_lvl": "ERROR",
    }
    config = {
        "LAUNCHPAD_LOC": str(folder / "my_launchpad.yaml"),
        "FWORKER_LOC": str(folder / "my_fworker.yaml"),
        "PING_TIME_SECS": PING_S,
        "RUN_EXPIRATION_SECS": int(SILENT_AFTER.total_seconds()),
        "PRINT_FW_YAML": False,
    }
    contents = {
        "my_launchpad.yaml": address,
        "my_fworker.yaml": {"name": "bare", "category": "", "query": "{}"},
        "FW_config.yaml": config,
    }
    yaml = YAML()
    paths = []
    for name, content in contents.items():
        path = folder / name
        # batch jobs that start together write it at the same time, while others read it
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")  # mode 0600
        with os.fdopen(descriptor, "w") as stream:
            yaml.dump(content, stream)
        Path(temporary).replace(path)
        paths.append(path)
    return paths


def initialise(pad: LaunchPad, database: Database) -> None:
    """Make FireWorks' counters and indexes once, without touching what is there."""
    counters = database.collection("fw_id_assigner")
    if counters.find_one({}) is None:
        fresh = {"$setOnInsert": {"next_fw_id": 1, "next_launch_id": 1}}
        counters.update_one({"_id": -1}, fresh, upsert=True)  # as LaunchPad.reset does, but safe for two at once
        pad.tuneup(bkground=False)


def waiting_documents(database: Database, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Fireworks that are to make these documents and are not given up, by document id."""
    alive = {"spec.document": {"$in": list(ids)}, "state": {"$nin": ["ARCHIVED", "DEFUSED", "COMPLETED"]}}
    fields = {"fw_id": 1, "state": 1, "spec.document": 1}
    return {entry["spec"]["document"]: entry for entry in database.collection("fireworks").find(alive, fields)}
