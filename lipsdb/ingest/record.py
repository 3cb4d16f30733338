"""Adopting documents that were made elsewhere: they come in as they are, hashes and all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bson import json_util
from bson.errors import BSONError

from lipsdb.documents.base import is_file_name
from lipsdb.errors import BadInputError
from lipsdb.export.record import ARTIFACTS_FOLDER, FORMAT, RECORD, artifact_references
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.sealing import reference, seal_faults
from lipsdb.store.database import Database

_FORMAT_1 = "lipsdb potential record 1"  # a potential and its dataset; the potential stands last
_WRITTEN_BY = "`lipsdb export potential ID -o DIR` or `lipsdb export labels --format record -o DIR`"


@dataclass(frozen=True)
class Record:
    """What a folder holds, checked.

    Attributes
    ----------
    path : Path
        Of ``record.json``.
    documents : list of dicts
        As MongoDB stores them, inputs before what was made from them.
    wanted : list of str
        Ids of those that the record is about; the others are what they were made from.
    """

    path: Path
    documents: list[dict[str, Any]]
    wanted: list[str]

    def references(self, kind: str) -> list[dict[str, str]]:
        """References of the wanted documents, which must be of one kind.

        Raises
        ------
        BadInputError
            If there are none of that kind, or others beside them.
        """
        chosen = set(self.wanted)
        others = sorted({id_.partition("-")[0] for id_ in chosen} - {kind})
        if others or not chosen:
            what = COLLECTIONS[others[0]].replace("_", " ") if others else "nothing"
            raise BadInputError(
                f"{self.path} holds {what}, not {COLLECTIONS[kind]}; give the folder of a record of those"
            )
        return [reference(document) for document in self.documents if document["_id"] in chosen]


def read_record(folder: Path) -> Record:
    """Read the record in a folder and check identity, content and seal of every document.

    Raises
    ------
    BadInputError
        If the record is missing, is not one, or its hashes do not agree.
    """
    path = folder / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInputError(f"{path} is missing; {_WRITTEN_BY} writes it") from error
    except ValueError as error:
        raise BadInputError(f"{path} is not JSON: {error}; {_WRITTEN_BY} writes it again") from error
    if not isinstance(record, dict) or record.get("format") not in {FORMAT, _FORMAT_1}:
        raise BadInputError(f"{path} is not a {FORMAT!r}; {_WRITTEN_BY} writes one")
    documents = _documents(path, record)
    old = record["format"] == _FORMAT_1
    wanted = [documents[-1]["_id"]] if old else record.get("wanted")
    ids = {document["_id"] for document in documents}
    if (
        not isinstance(wanted, list)
        or not wanted
        or not all(isinstance(id_, str) for id_ in wanted)
        or not set(wanted) <= ids
    ):
        raise BadInputError(f"{path}: 'wanted' must name documents of the record; export it again")
    return Record(path, documents, wanted)


def _documents(path: Path, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    options = json_util.JSONOptions(tz_aware=True)
    try:
        documents = json_util.loads(json.dumps(record["documents"]), json_options=options)
    except (ValueError, TypeError, KeyError, BSONError) as error:
        raise BadInputError(f"{path}: its documents cannot be read ({error}); export it again") from error
    if not isinstance(documents, list) or not documents or not all(isinstance(one, dict) for one in documents):
        raise BadInputError(f"{path} holds no documents; {_WRITTEN_BY} writes one that does")
    for document in documents:
        for fault in seal_faults(document):
            raise BadInputError(f"{path}: {document.get('_id')}: {fault}; export it again from where it was made")
        if document["kind"] not in COLLECTIONS:
            raise BadInputError(f"{path}: {document['_id']} is a {document['kind']}, which this lipsdb does not know")
        for file in artifact_references([document["answer"], document["made_by"]]):
            if not is_file_name(file["name"]):
                raise BadInputError(
                    f"{path}: {document['_id']} names a file {file['name']!r:.100}, which could leave its folder; "
                    "do not trust it"
                )
    return documents


def reference_of_potential(folder: Path) -> dict[str, str]:
    """Reference of the potential that a folder holds.

    Raises
    ------
    BadInputError
        If it holds anything else, or several.
    """
    return _one_potential(read_record(folder))


def _one_potential(record: Record) -> dict[str, str]:
    found = record.references("potential")
    if len(found) > 1:
        raise BadInputError(f"{record.path} holds {len(found)} potentials; export one by itself")
    return found[0]


def adopt_record(
    database: Database, folder: Path, campaigns: Sequence[str] = (), *, kind: str | None = None
) -> list[dict[str, str]]:
    """Take the documents of a record, with their files, into the database.

    Parameters
    ----------
    database : Database
    folder : Path
        As `lipsdb.export.record.export_record` writes it.
    campaigns : sequence of str
        Who asks for the wanted documents (and for the datasets of potentials).
    kind : str, optional
        Of the wanted documents; any by default.

    Returns
    -------
    list of dicts
        References of the wanted documents, as they are in the database now. What they were made from and is neither in
        the record nor in this database is noted as external.

    Raises
    ------
    BadInputError
        If the record or a file is missing or is not what its hash says, contradicts what is here, or is not of that
        kind. Then nothing is stored.
    """
    record = read_record(folder)
    if kind is not None:
        record.references(kind)
    return _adopt(database, record, campaigns)


def _adopt(database: Database, record: Record, campaigns: Sequence[str]) -> list[dict[str, str]]:
    known = database.known(document["_id"] for document in record.documents)
    missing = [document for document in record.documents if document["_id"] not in known]
    if missing:
        _check_contradictions(database, record, known)
        files = _check_files(record.path.parent, record.documents)
        _put_files(database, files)
        own = {document["_id"] for document in record.documents}
        links = {link["id"]: link for document in missing for link in document["inputs"] if link["id"] not in own}
        database.note_external(list(links.values()))
        asked = {id_ for ids in _asked(record).values() for id_ in ids}
        for group in _in_order(missing):
            joined = [{**one, "campaigns": list(campaigns) if one["_id"] in asked else []} for one in group]
            database.insert_many(joined)
    for ids in _asked(record).values():
        database.join_campaigns(ids, campaigns)
    kept = database.known(record.wanted)
    return [kept[id_] for id_ in record.wanted]


def adopt_potential(database: Database, folder: Path, campaigns: Sequence[str] = ()) -> dict[str, str]:
    """Take a potential with its dataset and files into the database.

    Returns
    -------
    dict
        Reference of the potential. Labels that are not in this database are noted as external.

    Raises
    ------
    BadInputError
        As `adopt_record`, and if the record is not that of one potential.
    """
    record = read_record(folder)
    _one_potential(record)
    return _adopt(database, record, campaigns)[0]


def _check_contradictions(database: Database, record: Record, known: Mapping[str, Mapping[str, str]]) -> None:
    """Documents that are here with another answer while others of the record build on theirs; levels of one name."""
    used = {link["id"] for document in record.documents for link in document["inputs"]}
    for document in record.documents:
        here = known.get(document["_id"])
        if here is not None and here["content"] != document["content"] and document["_id"] in used:
            raise BadInputError(
                f"{document['_id']} is in this database with another answer than in {record.path}, where others were "
                "made from it; adopt it into another database (LIPSDB_DATABASE)"
            )
    levels = {one["asked"]["name"]: one["_id"] for one in record.documents if one["kind"] == "level_of_theory"}
    check_levels(database, record.path, levels)


def check_levels(database: Database, path: Path, levels: Mapping[str, str]) -> None:
    """Refuse levels of theory (name to id) of which the database has another one of the same name."""
    named = {"asked.name": {"$in": sorted(levels)}}
    for level in database.query("levels_of_theory", named, ["asked.name"]) if levels else ():
        name = level["asked"]["name"]
        if level["_id"] != levels[name]:
            raise BadInputError(
                f"the level of theory {name!r} of {path} is in this database with other settings; adopt it into "
                "another database (LIPSDB_DATABASE)"
            )


def _check_files(folder: Path, documents: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Path, str]]:
    """Files that the documents name, by hash, with their names."""
    files: dict[str, tuple[Path, str]] = {}
    for artifact in artifact_references(list(documents)):
        sha256, name = artifact["sha256"], artifact["name"]
        path = folder / ARTIFACTS_FOLDER / sha256
        if sha256 in files:
            continue
        if not path.is_file():
            raise BadInputError(f"{path} ({name}) is missing; copy the whole folder of the record")
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
                raise BadInputError(f"{path} ({name}) is damaged: its SHA-256 is not its name; copy it again")
        files[sha256] = path, name
    return files


def _put_files(database: Database, files: Mapping[str, tuple[Path, str]]) -> None:
    here = {entry["_id"] for entry in database.query("artifacts", {"_id": {"$in": sorted(files)}}, ["_id"])}
    for sha256, (path, name) in files.items():
        if sha256 not in here:
            database.artifacts.put(path, name)


def _in_order(documents: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Groups of one kind such that what others were made from comes first: a crash leaves no link without its end."""
    generation: dict[str, int] = {}
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for document in documents:
        number = max((1 + generation[link["id"]] for link in document["inputs"] if link["id"] in generation), default=0)
        generation[document["_id"]] = number
        groups.setdefault((number, document["kind"]), []).append(document)
    return [groups[key] for key in sorted(groups)]


def _asked(record: Record) -> dict[str, list[str]]:
    """Ids of what campaigns ask for, by kind: the wanted documents, and the datasets of potentials."""
    wanted = set(record.wanted)
    asked = [document for document in record.documents if document["_id"] in wanted]
    datasets = {link["id"] for document in asked for link in document["inputs"] if link["role"] == "dataset"}
    by_kind: dict[str, list[str]] = {}
    for document in record.documents:
        if document["_id"] in wanted | datasets:
            by_kind.setdefault(document["kind"], []).append(document["_id"])
    return by_kind
