"""Documents with the record of how they were made, as a folder that another database can adopt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from bson import json_util

from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.links import by_collection, links_of
from lipsdb.provenance.sealing import withheld
from lipsdb.store.batches import batches
from lipsdb.store.database import EXTERNALS, Database

RECORD, FORMAT = "record.json", "lipsdb record 2"
ARTIFACTS_FOLDER = "artifacts"
# (kind, role of its input): known by id and content hash only, to keep records small
_OUTSIDE = frozenset({("dataset", "label"), ("dataset", "refused"), ("run", "potential")})


def artifact_references(value: Any) -> list[dict[str, Any]]:
    """All artifact references (sha256, size, name) anywhere in a document."""
    if isinstance(value, dict):
        if value.keys() == {"sha256", "size", "name"}:
            return [value]
        return [found for item in value.values() for found in artifact_references(item)]
    if isinstance(value, list):
        return [found for item in value for found in artifact_references(item)]
    return []


def export_record(database: Database, ids: Sequence[str], folder: Path) -> Path:
    """Write documents, what they were made from, and all their files into a folder.

    Parameters
    ----------
    database : Database
    ids : sequence of str
        The documents that are wanted; whole ids.
    folder : Path
        Created if needed; its record is replaced.

    Returns
    -------
    Path
        Of ``record.json``: the documents as they are stored (MongoDB Extended JSON), each once, inputs before what was
        made from them; ``wanted`` has the ids asked for. Withdrawals of them, and of what they were made from, come
        last. The files lie beside it in ``artifacts/``, named by their hash.

    Raises
    ------
    NotFoundError
        If a document or a file is not in this database.

    Notes
    -----
    Names of hosts stay out. The labels of datasets and the potentials that moved runs stand in the record by id and
    content hash only, unless they are wanted themselves or something else in it was made from them.
    """
    documents = _with_upstream(database, ids)
    order = TopologicalSorter({id_: _inputs_within(document) for id_, document in sorted(documents.items())})
    found = [documents[id_] for id_ in order.static_order() if id_ in documents]
    ordered = [{**withheld(one), "campaigns": []} for one in [*found, *_withdrawals(database, found)]]
    (folder / ARTIFACTS_FOLDER).mkdir(parents=True, exist_ok=True)
    for sha256 in sorted({reference["sha256"] for reference in artifact_references(ordered)}):
        database.artifacts.save(sha256, folder / ARTIFACTS_FOLDER / sha256)
    record = {"format": FORMAT, "wanted": sorted(set(ids)), "documents": ordered}
    text = json_util.dumps(record, json_options=json_util.CANONICAL_JSON_OPTIONS)
    path = folder / RECORD
    path.write_text(json.dumps(json.loads(text), indent=None, separators=(",", ":"), sort_keys=True) + "\n")
    return path


def export_potential(database: Database, id_: str, folder: Path) -> Path:
    """Write a potential with its dataset and all their files into a folder.

    Parameters
    ----------
    database : Database
    id_ : str
        The potential, or an unambiguous beginning of its id.
    folder : Path
        Created if needed; its record is replaced.

    Returns
    -------
    Path
        Of ``record.json`` (`export_record`); each training label stands there by id and content hash.

    Raises
    ------
    BadInputError
        If it is something else than a potential.
    """
    potential = database.find(id_)
    if potential["kind"] != "potential":
        raise BadInputError(f"{id_} is a {potential['kind']}; give the id of a potential (`lipsdb list potential`)")
    return export_record(database, [potential["_id"]], folder)


def _withdrawals(database: Database, documents: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Withdrawals, undone ones too, of documents, of their inputs, and of all that taints them; oldest first."""
    from lipsdb.provenance.withdrawal import taint

    records = list(database.query(COLLECTIONS["withdrawal"], sort={"answer.at": 1, "_id": 1}))
    if not records:
        return []
    ids = {document["_id"] for document in documents}
    about = ids | {link["id"] for document in documents for link in links_of(document)}
    about |= {withdrawn.document for withdrawn in taint(database).of(*ids)}
    return [record for record in records if record["asked"]["document"] in about]


def _inputs_within(document: Mapping[str, Any]) -> list[str]:
    return [link["id"] for link in links_of(document) if (document["kind"], link["role"]) not in _OUTSIDE]


def _with_upstream(database: Database, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The documents and everything upstream that belongs to the record; a round trip a generation and collection."""
    documents: dict[str, dict[str, Any]] = {}
    absent: set[str] = set()
    frontier = sorted(set(ids))
    while frontier:
        found = {document["_id"]: document for document in _read(database, frontier)}
        absent |= set(frontier) - found.keys()
        documents |= found
        named = {id_ for document in found.values() for id_ in _inputs_within(document)}
        frontier = sorted(named - documents.keys() - absent)
    elsewhere = {entry["_id"] for entry in database.collection(EXTERNALS).find({"_id": {"$in": sorted(absent)}})}
    missing = sorted(absent - (elsewhere - set(ids)))
    if missing:
        raise NotFoundError(
            f"{len(missing)} of the documents to write are not in this database ({missing[0]} …); `lipsdb audit` tells "
            "what is missing"
        )
    return documents


def _read(database: Database, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    for name, wanted in by_collection(ids).items():
        for batch in batches(wanted):
            yield from database.collection(name).find({"_id": {"$in": batch}})
