"""A potential with its record, as a folder that another database can adopt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bson import json_util

from lipsdb.errors import BadInputError
from lipsdb.store.database import Database

RECORD, FORMAT = "record.json", "lipsdb potential record 1"
ARTIFACTS_FOLDER = "artifacts"


def artifact_references(value: Any) -> list[dict[str, Any]]:
    """All artifact references (sha256, size, name) anywhere in a document."""
    if isinstance(value, dict):
        if value.keys() == {"sha256", "size", "name"}:
            return [value]
        return [found for item in value.values() for found in artifact_references(item)]
    if isinstance(value, list):
        return [found for item in value for found in artifact_references(item)]
    return []


def export_potential(database: Database, id_: str, folder: Path) -> Path:
    """Write a potential, its dataset and all their files into a folder.

    Parameters
    ----------
    database : Database
    id_ : str
        The potential.
    folder : Path
        Created if needed; its record is replaced.

    Returns
    -------
    Path
        Of ``record.json``: both documents as they are stored (MongoDB Extended JSON); each training label stands there
        by id and content hash. The files lie beside it in ``artifacts/``, named by their hash.
    """
    potential = database.find(id_)
    if potential["kind"] != "potential":
        raise BadInputError(f"{id_} is a {potential['kind']}; give the id of a potential (`lipsdb list potential`)")
    links = [link["id"] for link in potential["inputs"]]
    documents = [*(database.find(link) for link in links), potential]
    (folder / ARTIFACTS_FOLDER).mkdir(parents=True, exist_ok=True)
    for reference in artifact_references(documents):
        database.artifacts.save(reference["sha256"], folder / ARTIFACTS_FOLDER / reference["sha256"])
    for document in documents:
        document["campaigns"] = []
    record = {"format": FORMAT, "documents": documents}
    text = json_util.dumps(record, json_options=json_util.CANONICAL_JSON_OPTIONS)
    path = folder / RECORD
    path.write_text(json.dumps(json.loads(text), indent=None, separators=(",", ":"), sort_keys=True) + "\n")
    return path
