"""The database: connection, collections with validators and indexes, written-once documents."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Any

from pymongo import MongoClient, ReturnDocument, WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database as MongoDatabase
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    DuplicateKeyError,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteError,
)

from lipsdb.errors import BadInputError, NotFoundError, ServerError
from lipsdb.provenance.canonical import digest
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.sealing import reference
from lipsdb.settings import Settings, read_settings
from lipsdb.store.artifacts import Artifacts, open_blob_store
from lipsdb.store.server import EmbeddedServer

_SELECTION_TIMEOUT_S = 4.0
_BATCH = 1000
EXTERNALS = "externals"  # inputs of adopted documents that are elsewhere: _id, collection, content


class Database:
    """One MongoDB database with documents, artifacts and FireWorks' collections.

    Use `connect` to get one.
    """

    def __init__(self, client: MongoClient[dict[str, Any]], uri: str, settings: Settings) -> None:
        self.client = client
        self.uri = uri
        self.settings = settings
        self.mongo = client[settings.database]
        self.artifacts = Artifacts(self.mongo, open_blob_store(settings.artifacts, self.mongo))

    def collection(self, name: str) -> Collection[dict[str, Any]]:
        """A collection by name."""
        return self.mongo[name]

    # ---------------------------------------------------------------- reading

    def query(
        self,
        collection: str,
        criteria: Mapping[str, Any] | None = None,
        properties: Sequence[str] | None = None,
        sort: Mapping[str, int] | None = None,
        limit: int = 0,
    ) -> Iterator[dict[str, Any]]:
        """Find documents (maggma's vocabulary).

        Parameters
        ----------
        collection : str
            Where to look.
        criteria : mapping, optional
            MongoDB filter.
        properties : sequence of str, optional
            Fields to return; all by default.
        sort : mapping, optional
            Field to 1 or -1.
        limit : int
            At most so many; 0 for all.
        """
        projection = None if properties is None else dict.fromkeys(properties, 1)
        cursor = self.collection(collection).find(dict(criteria or {}), projection, limit=limit)
        yield from cursor.sort(list(sort.items())) if sort else cursor

    def find(self, id_: str) -> dict[str, Any]:
        """Find a document by its id, or by an unambiguous beginning of it.

        Raises
        ------
        NotFoundError
            If there is none; BadInputError if there are several.
        """
        kind = id_.partition("-")[0]
        if kind not in COLLECTIONS:
            allowed = ", ".join(f"{name}-…" for name in COLLECTIONS)
            raise BadInputError(f"{id_!r} is not the id of a document; ids begin with {allowed}")
        collection = self.collection(COLLECTIONS[kind])
        exact = collection.find_one({"_id": id_})
        if exact is not None:
            return exact
        matches = list(collection.find({"_id": {"$gte": id_, "$lt": id_ + "\uffff"}}, limit=2))
        if not matches:
            raise NotFoundError(f"no document {id_} in this database; `lipsdb list {kind}` shows what there is")
        if len(matches) > 1:
            raise BadInputError(
                f"{id_!r} is the beginning of several ids ({matches[0]['_id']}, {matches[1]['_id']} …); give more"
            )
        return matches[0]

    def known(self, ids: Iterable[str]) -> dict[str, dict[str, str]]:
        """References of those documents that exist, by id; one round trip a collection."""
        by_collection: dict[str, list[str]] = {}
        for id_ in ids:
            by_collection.setdefault(COLLECTIONS[id_.partition("-")[0]], []).append(id_)
        found = {}
        for name, wanted in by_collection.items():
            for start in range(0, len(wanted), 10 * _BATCH):
                criteria = {"_id": {"$in": wanted[start : start + 10 * _BATCH]}}
                for document in self.collection(name).find(criteria, {"kind": 1, "content": 1}):
                    found[document["_id"]] = reference(document)
        return found

    def existing(self, kind: str, ids: Iterable[str]) -> set[str]:
        """Those of many ids of one kind that exist; answered from the index, without the documents."""
        wanted = list(ids)
        found: set[str] = set()
        for start in range(0, len(wanted), 10 * _BATCH):
            criteria = {"_id": {"$in": wanted[start : start + 10 * _BATCH]}}
            found.update(entry["_id"] for entry in self.collection(COLLECTIONS[kind]).find(criteria, {"_id": 1}))
        return found

    # ---------------------------------------------------------------- writing

    def insert(self, document: Mapping[str, Any]) -> dict[str, str]:
        """Store a sealed document, once.

        If the same question was answered before, also by another worker a moment ago, the stored answer stays, and
        the campaigns of this one are added to it.

        Returns
        -------
        dict
            Reference to the document that is now stored.
        """
        collection = self.collection(COLLECTIONS[document["kind"]])
        try:
            collection.insert_one(dict(document))
            self._no_longer_external([document["_id"]])
        except DuplicateKeyError:
            self.join_campaigns([document["_id"]], document["campaigns"])
            stored = collection.find_one({"_id": document["_id"]}, {"kind": 1, "content": 1})
            if stored is None:
                raise
            return reference(stored)
        except WriteError as error:
            reason = (error.details or {}).get("errmsg", error)
            raise ServerError(f"MongoDB refused {document['_id']}: {reason}") from error
        return reference(document)

    def insert_many(self, documents: Sequence[Mapping[str, Any]]) -> int:
        """Store sealed documents of one kind; those that exist stay as they are.

        Returns
        -------
        int
            How many are new.
        """
        if not documents:
            return 0
        collection = self.collection(COLLECTIONS[documents[0]["kind"]])
        campaigns = sorted({name for document in documents for name in document["campaigns"]})
        try:
            n_new = len(collection.insert_many([dict(document) for document in documents], ordered=False).inserted_ids)
            self._no_longer_external([document["_id"] for document in documents])
            return n_new
        except BulkWriteError as error:
            others = [fault for fault in error.details["writeErrors"] if fault["code"] != 11000]
            if others:
                raise ServerError(
                    f"MongoDB refused {len(others)} documents, the first: {others[0]['errmsg']}"
                ) from error
            self._no_longer_external([document["_id"] for document in documents])
            self.join_campaigns([fault["op"]["_id"] for fault in error.details["writeErrors"]], campaigns)
            return int(error.details["nInserted"])

    def note_external(self, links: Sequence[Mapping[str, str]]) -> None:
        """Note inputs of adopted documents that are not in this database; storing them later takes the note away."""
        known = self.known(link["id"] for link in links)
        entries = [
            {"_id": link["id"], "collection": link["collection"], "content": link["content"]}
            for link in links
            if link["id"] not in known
        ]
        if entries:
            try:
                self.collection(EXTERNALS).insert_many(entries, ordered=False)
            except BulkWriteError as error:
                if any(fault["code"] != 11000 for fault in error.details["writeErrors"]):
                    raise

    def _no_longer_external(self, ids: Sequence[str]) -> None:
        externals = self.collection(EXTERNALS)
        if externals.find_one({}, {"_id": 1}) is not None:
            externals.delete_many({"_id": {"$in": list(ids)}})

    def join_campaigns(self, ids: Sequence[str], campaigns: Sequence[str]) -> None:
        """Note that campaigns asked for documents that exist already."""
        if not ids or not campaigns:
            return
        collection = self.collection(COLLECTIONS[ids[0].partition("-")[0]])
        missing = {"_id": {"$in": list(ids)}, "campaigns": {"$not": {"$all": list(campaigns)}}}
        collection.update_many(missing, {"$addToSet": {"campaigns": {"$each": list(campaigns)}}})

    # ---------------------------------------------------------------- set-up

    def prepare(self) -> None:
        """Give every collection its validator and indexes; one round trip when they are there already."""
        wanted = _schema()
        state = digest(wanted)
        marker = self.collection("lipsdb")
        found = marker.find_one({"_id": "schema"})
        if found is not None and found.get("state") == state:
            return
        existing = set(self.mongo.list_collection_names())
        for name, definition in wanted.items():
            options = {"validator": definition["validator"], "validationLevel": "strict", "validationAction": "error"}
            if name not in existing:
                try:
                    self.mongo.create_collection(name, check_exists=False, **options)
                except PyMongoError as error:
                    if getattr(error, "code", None) != 48:  # NamespaceExists: another process was quicker
                        raise
            else:
                self.mongo.command("collMod", name, **options)
            for keys in definition["indexes"]:
                self.collection(name).create_index([(field, direction) for field, direction in keys])
        for name, index_sets in _OTHER_INDEXES.items():
            for keys in index_sets:
                self.collection(name).create_index(keys)
        marker.replace_one({"_id": "schema"}, {"_id": "schema", "state": state}, upsert=True)

    @cached_property
    def identifier(self) -> str:
        """The database's own name for itself, made once: tells its launches from those of other databases."""
        marker = self.collection("lipsdb")
        fresh = {"$setOnInsert": {"value": str(uuid.uuid4())}}
        found = marker.find_one_and_update(
            {"_id": "identifier"}, fresh, upsert=True, return_document=ReturnDocument.AFTER
        )
        return str((found or {})["value"])

    @cached_property
    def quick(self) -> MongoDatabase[dict[str, Any]]:
        """The same database for messages that may get lost: the server does not wait for its disk."""
        return self.mongo.with_options(write_concern=WriteConcern(w=1, j=False))


# jobflow makes no index on its outputs (jobflow issue 627); the launchpad is asked by document and campaign
_OTHER_INDEXES: dict[str, list[list[tuple[str, int]]]] = {
    "job_outputs": [[("uuid", 1), ("index", -1)]],
    "fireworks": [[("spec.document", 1)]],
    "workflows": [[("metadata.campaign", 1)]],
}


def _schema() -> dict[str, Any]:
    """Validators and indexes of our collections."""
    from lipsdb.documents import document_types

    text, link = {"bsonType": "string"}, {"bsonType": "object", "required": ["role", "collection", "id", "content"]}
    schema: dict[str, Any] = {}
    for kind, model in document_types().items():
        parts = {}
        for part in ("asked", "answer"):
            fields = model.model_fields[part].annotation
            required = [name for name, field in getattr(fields, "model_fields", {}).items() if field.is_required()]
            parts[part] = {"bsonType": "object", **({"required": required} if required else {})}
        if model.model_fields["origin"].is_required():
            parts["origin"] = {"bsonType": "object", "required": ["system", "source"]}
        properties = {
            "_id": {"bsonType": "string", "pattern": f"^{kind}-[0-9a-f]{{24}}$"},
            "kind": {"enum": [kind]},
            "schema_version": {"bsonType": "int"},
            "inputs": {"bsonType": "array", "items": link},
            "content": {"bsonType": "string", "pattern": "^[0-9a-f]{64}$"},
            "seal": {"bsonType": "string", "pattern": "^[0-9a-f]{64}$"},
            "made_by": {
                "bsonType": "object",
                "required": ["activity", "versions", "host", "started_at", "finished_at"],
            },
            "campaigns": {"bsonType": "array", "items": text},
            **parts,
        }
        validator = {"$jsonSchema": {"bsonType": "object", "required": sorted(properties), "properties": properties}}
        common = [[("campaigns", 1)], [("inputs.id", 1)], [("made_by.fw_id", 1)]]
        indexes = [*common, *([list(pair) for pair in keys] for keys in model.indexes)]
        schema[model.collection()] = {"validator": validator, "indexes": indexes}
    artifact = {
        "bsonType": "object",
        "required": ["_id", "kind", "name", "size", "place", "key", "compression", "crc32"],
    }
    schema["artifacts"] = {"validator": {"$jsonSchema": artifact}, "indexes": [[("key", 1)]]}
    return schema


def redacted(uri: str) -> str:
    """A connection string without its passwords, to be shown or stored.

    Examples
    --------
    >>> redacted("mongodb://ann:p/s@w@host:27017/?tls=true&tlsCertificateKeyFilePassword=x")
    'mongodb://ann:***@host:27017/?tls=true&tlsCertificateKeyFilePassword=***'
    """
    without = re.sub(r"(://[^:/@]*:).*@", r"\1***@", uri)
    return re.sub(r"(?i)(password=)[^&]*", r"\1***", without)


def server_uri(settings: Settings | None = None) -> str:
    """The connection string in force; starts the embedded server if that is the one."""
    settings = settings or read_settings()
    return settings.mongo_uri or EmbeddedServer(settings.home_folder).start().uri


def connect(settings: Settings | None = None, *, patience_s: float = _SELECTION_TIMEOUT_S) -> Database:
    """Connect to the server that the settings name, or start the embedded one.

    Parameters
    ----------
    settings : Settings, optional
        From the environment by default.
    patience_s : float
        How long each operation waits for a server that is away (s); workers wait longer than people.

    Returns
    -------
    Database
        Its collections have their validators and indexes.

    Raises
    ------
    ServerError
        If no server is reached (in under five seconds); says which address was tried and what to do.
    """
    settings = settings or read_settings()
    uri = server_uri(settings)
    shown = redacted(uri)
    with ExitStack() as undo:
        try:
            client: MongoClient[dict[str, Any]] = MongoClient(
                uri, tz_aware=True, serverSelectionTimeoutMS=int(1000 * patience_s), connectTimeoutMS=4000
            )
            undo.callback(client.close)
            database = Database(client, uri, settings)
            database.prepare()
        except (InvalidURI, ConfigurationError, ValueError) as error:
            # the driver's own words may quote the password
            reason = str(error) if shown == uri else "write special characters in user and password as %XX"
            raise BadInputError(
                f"{shown} is not a MongoDB address: {reason}; set LIPSDB_MONGO_URI as mongodb://host:27017"
            ) from error
        except (ServerSelectionTimeoutError, AutoReconnect) as error:
            raise ServerError(
                f"no MongoDB server answers at {shown}; start that server, "
                "or unset LIPSDB_MONGO_URI and run `lipsdb db start`"
            ) from error
        except OperationFailure as error:
            reason = str(error.details.get("errmsg") if error.details else error)
            raise ServerError(f"MongoDB at {shown} refuses: {reason}; check user, password and rights") from error
        undo.pop_all()
    return database
