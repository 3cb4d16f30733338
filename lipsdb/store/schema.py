"""Validators and indexes of the collections."""

from __future__ import annotations

from typing import Any

from lipsdb.provenance.label_origins import LABEL_ORIGINS
from lipsdb.store import joins
from lipsdb.store.artifacts import BUCKET

# jobflow makes no index on its outputs (jobflow issue 627); the launchpad is asked by document and campaign; GridFS
# makes its own at the first upload, which may be that of a worker without the right to make indexes
OTHER_INDEXES: dict[str, list[list[tuple[str, int]]]] = {
    "job_outputs": [[("uuid", 1), ("index", -1)]],
    "fireworks": [[("spec.document", 1)]],
    "workflows": [[("metadata.campaign", 1)]],
    joins.JOINS: joins.INDEXES,
    LABEL_ORIGINS: [[(field, 1), ("_id", 1)] for field in ("links.id", "beyond", "hosts", "versions", "absent")],
    f"{BUCKET}.files": [[("filename", 1), ("uploadDate", 1)]],
    f"{BUCKET}.chunks": [[("files_id", 1), ("n", 1)]],
}

# of each kind of document, unless it has one of its own that begins with the same field; with the ids in them, walks
# through the graph read no document
_COMMON_INDEXES = (
    [("campaigns", 1)],
    [("inputs.id", 1), ("_id", 1)],
    [("made_by.fw_id", 1)],
    [("made_by.versions", 1), ("made_by.host", 1), ("_id", 1)],
    [("made_by.files.sha256", 1)],
)


def schema() -> dict[str, Any]:
    """Validators and indexes of our collections."""
    from lipsdb.documents import document_types

    text, link = {"bsonType": "string"}, {"bsonType": "object", "required": ["role", "collection", "id", "content"]}
    found: dict[str, Any] = {}
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
        begun = {keys[0][0] for keys in model.indexes}
        common = [keys for keys in _COMMON_INDEXES if keys[0][0] not in begun]
        indexes = [[list(pair) for pair in keys] for keys in (*common, *model.indexes)]
        found[model.collection()] = {"validator": validator, "indexes": indexes}
    artifact = {
        "bsonType": "object",
        "required": ["_id", "kind", "name", "size", "place", "key", "compression", "crc32"],
    }
    found["artifacts"] = {"validator": {"$jsonSchema": artifact}, "indexes": [[("key", 1)]]}
    return found
