"""Adopting a potential that was trained elsewhere: its documents come in as they were made, hashes and all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bson import json_util

from lipsdb.errors import BadInputError
from lipsdb.export.potential import ARTIFACTS_FOLDER, FORMAT, RECORD, artifact_references
from lipsdb.provenance.sealing import reference, seal_faults
from lipsdb.store.database import Database


def read_record(folder: Path) -> list[dict[str, Any]]:
    """Read and check the documents of an adopted potential; the potential is the last.

    Raises
    ------
    BadInputError
        If the record is missing, is not one, or its hashes do not agree.
    """
    path = folder / RECORD
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise BadInputError(f"{path} is missing; `lipsdb export potential ID -o {folder}` writes it") from error
    except ValueError as error:
        raise BadInputError(f"{path} is not JSON: {error}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise BadInputError(f"{path} is not a {FORMAT!r}; `lipsdb export potential` writes one")
    options = json_util.JSONOptions(tz_aware=True)
    documents: list[dict[str, Any]] = json_util.loads(json.dumps(record["documents"]), json_options=options)
    for document in documents:
        for fault in seal_faults(document):
            raise BadInputError(f"{path}: {document.get('_id')}: {fault}; export it again from where it was trained")
    if not documents or documents[-1]["kind"] != "potential":
        raise BadInputError(f"{path} does not end with a potential; `lipsdb export potential` writes one that does")
    return documents


def reference_of_record(folder: Path) -> dict[str, str]:
    """Reference of the potential that a folder holds."""
    return reference(read_record(folder)[-1])


def adopt_potential(database: Database, folder: Path, campaigns: Sequence[str] = ()) -> dict[str, str]:
    """Take a potential with its dataset and files into the database.

    Parameters
    ----------
    database : Database
    folder : Path
        As `lipsdb.export.potential.export_potential` writes it.
    campaigns : sequence of str
        Who asks for it.

    Returns
    -------
    dict
        Reference of the potential. Labels that are not in this database are noted as external.

    Raises
    ------
    BadInputError
        If the record or a file is missing or is not what its hash says.
    """
    documents = read_record(folder)
    if len(database.known(document["_id"] for document in documents)) == len(documents):
        for document in documents:
            database.join_campaigns([document["_id"]], campaigns)
        return reference(documents[-1])
    for artifact in artifact_references(documents):
        path = folder / ARTIFACTS_FOLDER / artifact["sha256"]
        if not path.is_file():
            raise BadInputError(f"{path} ({artifact['name']}) is missing; copy the whole folder of the potential")
        if hashlib.sha256(path.read_bytes()).hexdigest() != artifact["sha256"]:
            raise BadInputError(f"{path} ({artifact['name']}) is damaged: its SHA-256 is not its name; copy it again")
        database.artifacts.put(path, artifact["name"])
    own = {document["_id"] for document in documents}
    links = [link for document in documents for link in document["inputs"] if link["id"] not in own]
    database.note_external(links)
    for document in documents:
        database.insert({**document, "campaigns": list(campaigns)})
    return reference(documents[-1])
