"""The database: connection, collections with validators and indexes, written-once documents."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Any

from pymongo import IndexModel, MongoClient, WriteConcern
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
from lipsdb.store import joins
from lipsdb.store.artifacts import BUCKET, UNAUTHORIZED, Artifacts, open_blob_store
from lipsdb.store.batches import batches
from lipsdb.store.migrations import BOOKKEEPING, MIGRATIONS, note_pending
from lipsdb.store.schema import OTHER_INDEXES, schema
from lipsdb.store.server import EmbeddedServer

_log = logging.getLogger(__name__)
_SELECTION_TIMEOUT_S = 4.0
_BATCH = 1000
_DOCUMENTS = frozenset(COLLECTIONS.values())
_DUPLICATE, _NAMESPACE_EXISTS = 11000, 48  # MongoDB's error codes
EXTERNALS = "externals"  # inputs of adopted documents that are elsewhere: _id, collection, content
WITHHELD = "withheld"  # artifacts that were left out of an imported archive: _id (SHA-256), size, name, reason


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

        The list ``campaigns`` of what comes back has also those that joined later; ``campaigns`` among the criteria,
        a name, counts them too.

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
        stages = self._selection(collection, criteria or {})
        stages += [{"$sort": dict(sort)}] if sort else []
        stages += [{"$limit": limit}] if limit else []
        stages += [{"$project": dict.fromkeys(properties, 1)}] if properties else []
        if collection in _DOCUMENTS and (not properties or "campaigns" in properties):
            stages += joins.with_joined()
        yield from self.collection(collection).aggregate(stages)

    def count(self, collection: str, criteria: Mapping[str, Any] | None = None) -> int:
        """How many documents match; ``campaigns`` among the criteria as in `query`."""
        stages = [*self._selection(collection, criteria or {}), {"$count": "n"}]
        return next((int(found["n"]) for found in self.collection(collection).aggregate(stages)), 0)

    def _selection(self, collection: str, criteria: Mapping[str, Any]) -> list[dict[str, Any]]:
        if "campaigns" not in criteria or collection not in _DOCUMENTS:
            return [{"$match": dict(criteria)}]
        others = {field: value for field, value in criteria.items() if field != "campaigns"}
        campaign = criteria["campaigns"]
        if not isinstance(campaign, str):
            raise BadInputError(f"campaigns={campaign!r} is not the name of a campaign; ask for one by its name")
        return joins.of_campaign(collection, others, campaign)

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
        matches = list(self.query(COLLECTIONS[kind], {"_id": id_}))
        if not matches:
            beginning = {"_id": {"$gte": id_, "$lt": id_ + "\uffff"}}
            matches = list(self.query(COLLECTIONS[kind], beginning, sort={"_id": 1}, limit=2))
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
            for batch in batches(wanted):
                criteria = {"_id": {"$in": batch}}
                for document in self.collection(name).find(criteria, {"kind": 1, "content": 1}):
                    found[document["_id"]] = reference(document)
        return found

    def existing(self, kind: str, ids: Iterable[str]) -> set[str]:
        """Those of many ids of one kind that exist; answered from the index, without the documents."""
        collection, found = self.collection(COLLECTIONS[kind]), set[str]()
        for batch in batches(list(ids)):
            found.update(entry["_id"] for entry in collection.find({"_id": {"$in": batch}}, {"_id": 1}))
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
            others = [fault for fault in error.details["writeErrors"] if fault["code"] != _DUPLICATE]
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
        self._insert_new(EXTERNALS, entries)

    def _insert_new(self, collection: str, entries: Sequence[Mapping[str, Any]]) -> None:
        """Insert those entries that are not there, also if another process does the same."""
        if not entries:
            return
        try:
            self.collection(collection).insert_many([dict(entry) for entry in entries], ordered=False)
        except BulkWriteError as error:
            if any(fault["code"] != _DUPLICATE for fault in error.details["writeErrors"]):
                raise

    def _no_longer_external(self, ids: Sequence[str]) -> None:
        externals = self.collection(EXTERNALS)
        if externals.find_one({}, {"_id": 1}) is not None:
            externals.delete_many({"_id": {"$in": list(ids)}})

    def join_campaigns(self, ids: Sequence[str], campaigns: Sequence[str]) -> None:
        """Note that campaigns asked for documents, of one kind, that exist already."""
        for batch in batches(ids):
            chosen = {"_id": {"$in": batch}}
            self.join_matching(COLLECTIONS[ids[0].partition("-")[0]], chosen, campaigns)

    def join_matching(self, collection: str, criteria: Mapping[str, Any], campaigns: Sequence[str]) -> None:
        """Note that campaigns asked for all documents of a collection that match and exist already."""
        if campaigns:
            missing = list(self.collection(collection).aggregate(joins.missing_joins(criteria, campaigns)))
            self._insert_new(joins.JOINS, list(joins.notes(collection, missing)))

    # ---------------------------------------------------------------- set-up

    def prepare(self) -> None:
        """Give every collection its validator and indexes; one round trip when they are there already.

        Raises
        ------
        ServerError
            If they are not, and this user may not make them.
        """
        collections = schema()
        state = digest(
            {"collections": collections, "indexes": OTHER_INDEXES, "migrations": [one.name for one in MIGRATIONS]}
        )
        notes = {"_id": {"$in": ["schema", *(step.note for step in MIGRATIONS)]}}
        found = {entry["_id"]: entry for entry in self.collection(BOOKKEEPING).find(notes)}
        if found.get("schema", {}).get("state") != state:
            self._allowed_to_set_up(collections, state)
            found = {entry["_id"]: entry for entry in self.collection(BOOKKEEPING).find(notes)}
        waiting = sum(entry.get("pending", 0) for entry in found.values())
        if waiting:
            _log.warning("%d documents are in an older form; `lipsdb db migrate --dry-run` tells more", waiting)

    def _allowed_to_set_up(self, collections: Mapping[str, Any], state: str) -> None:
        try:
            self._set_up(collections)
            note_pending(self)
            self.collection(BOOKKEEPING).replace_one({"_id": "schema"}, {"_id": "schema", "state": state}, upsert=True)
        except OperationFailure as error:
            if error.code != UNAUTHORIZED:
                raise
            raise ServerError(
                f"the database {self.mongo.name!r} was not set up by this version of lipsdb, and this user "
                f"({redacted(self.uri)}) may not do it; run `lipsdb db prepare` with this version as an administrator"
            ) from error

    def _set_up(self, collections: Mapping[str, Any]) -> None:
        existing = set(self.mongo.list_collection_names())
        for name, definition in collections.items():
            options = {"validator": definition["validator"], "validationLevel": "strict", "validationAction": "error"}
            if name not in existing:
                try:
                    self.mongo.create_collection(name, check_exists=False, **options)
                except PyMongoError as error:
                    if getattr(error, "code", None) != _NAMESPACE_EXISTS:  # another process was quicker
                        raise
            else:
                self.mongo.command("collMod", name, **options)
            self._make_indexes(name, definition["indexes"])
        for name, index_sets in OTHER_INDEXES.items():
            self._make_indexes(name, index_sets)
        self.collection(BOOKKEEPING).update_one(
            {"_id": "identifier"}, {"$setOnInsert": {"value": str(uuid.uuid4())}}, upsert=True
        )

    def _make_indexes(self, name: str, index_sets: Sequence[Sequence[tuple[str, int]]]) -> None:
        unique = {"unique": True} if name == f"{BUCKET}.chunks" else {}
        self.collection(name).create_indexes([IndexModel(list(keys), **unique) for keys in index_sets])

    @cached_property
    def identifier(self) -> str:
        """The database's own name for itself, made once: tells its launches from those of other databases."""
        found = self.collection(BOOKKEEPING).find_one({"_id": "identifier"})
        if found is None:
            raise ServerError(f"the database {self.mongo.name!r} was never set up; run `lipsdb db prepare`")
        return str(found["value"])

    @cached_property
    def quick(self) -> MongoDatabase[dict[str, Any]]:
        """The same database for messages that may get lost: the server does not wait for its disk."""
        return self.mongo.with_options(write_concern=WriteConcern(w=1, j=False))


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


def connect(
    settings: Settings | None = None, *, patience_s: float = _SELECTION_TIMEOUT_S, prepare: bool = True
) -> Database:
    """Connect to the server that the settings name, or start the embedded one.

    Parameters
    ----------
    settings : Settings, optional
        From the environment by default.
    patience_s : float
        How long each operation waits for a server that is away (s); workers wait longer than people.
    prepare : bool
        Make sure that the collections have their validators and indexes.

    Returns
    -------
    Database

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
            if prepare:
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
