"""Mutations of documents, links, artifacts and notes."""

from __future__ import annotations

import random

from mutation import Chooser, Entry, Mutation, Path, another_id, at, copied, fresh, other, places

from lipsdb.provenance.kinds import COLLECTIONS


def any_field(choose: Chooser, mutation: Mutation, change: str) -> None:
    name, document = choose.document()
    new = copied(document)
    paths = [path for path in places(new) if path != ("_id",) and choose.vouched(document, path)]
    path = choose.chance.choice(paths)
    alter(new, path, change, choose.chance)
    mutation.what = f"{name} {document['_id']} {'.'.join(map(str, path))}"
    mutation.replace(name, document, new)


def alter(document: Entry, path: Path, change: str, chance: random.Random) -> None:
    inside = at(document, path[:-1])
    if change == "changed":
        inside[path[-1]] = other(inside[path[-1]], chance)
    elif change == "removed":
        del inside[path[-1]]
    elif isinstance(inside, list):
        inside.insert(path[-1], fresh(chance))
    else:
        inside["added"] = fresh(chance)


def changed_field(choose: Chooser, mutation: Mutation) -> None:
    any_field(choose, mutation, "changed")


def added_field(choose: Chooser, mutation: Mutation) -> None:
    any_field(choose, mutation, "added")


def removed_field(choose: Chooser, mutation: Mutation) -> None:
    any_field(choose, mutation, "removed")


def array_byte(choose: Chooser, mutation: Mutation) -> None:
    while True:
        name, document = choose.document()
        arrays = [path for path in places(document) if path[-1] == "zstd" and isinstance(at(document, path), bytes)]
        if arrays:
            break
    new, path = copied(document), choose.chance.choice(arrays)
    raw = bytearray(at(new, path))
    raw[choose.chance.randrange(len(raw))] ^= 1 << choose.chance.randrange(8)
    at(new, path[:-1])["zstd"] = bytes(raw)
    mutation.what = f"{name} {document['_id']} {'.'.join(map(str, path))}"
    mutation.replace(name, document, new)


def renamed_document(choose: Chooser, mutation: Mutation) -> None:
    name, document = choose.document()
    mutation.what = f"{name} {document['_id']}"
    mutation.replace(name, document, {**document, "_id": another_id(document["_id"], choose.chance)})


def deleted_document(choose: Chooser, mutation: Mutation) -> None:
    name, document = choose.document()
    while document["_id"] == choose.last_audit:
        name, document = choose.document()
    mutation.what = f"{name} {document['_id']}"
    mutation.replace(name, document, None)


def doubled_document(choose: Chooser, mutation: Mutation) -> None:
    name, document = choose.document()
    mutation.what = f"{name} {document['_id']}"
    mutation.replace(name, None, {**document, "_id": another_id(document["_id"], choose.chance)})


def document_in_another_collection(choose: Chooser, mutation: Mutation) -> None:
    name, document = choose.document()
    into = choose.chance.choice([one for one in COLLECTIONS.values() if one != name])
    mutation.what = f"{name} {document['_id']} into {into}"
    mutation.replace(into, None, document)


def link(choose: Chooser, mutation: Mutation) -> None:
    while True:
        name, document = choose.document()
        if document["inputs"]:
            break
    new, chance = copied(document), choose.chance
    number = chance.randrange(len(new["inputs"]))
    part = chance.choice(["id", "another document", "content", "role", "removed", "doubled", "moved"])
    chosen = new["inputs"][number]
    if part == "id":
        chosen["id"] = another_id(chosen["id"], chance)
    elif part == "another document":
        chosen["id"] = choose.document()[1]["_id"]
    elif part in {"content", "role"}:
        chosen[part] = other(chosen[part], chance)
    elif part == "removed":
        del new["inputs"][number]
    else:
        new["inputs"].insert(0 if number else len(new["inputs"]), dict(chosen))
        if part == "moved" and len(document["inputs"]) > 1:
            del new["inputs"][number + 1 if number else 0]
    mutation.what = f"{name} {document['_id']} input {number}: {part}"
    mutation.replace(name, document, new)


def artifact_byte(choose: Chooser, mutation: Mutation) -> None:
    name, chunk = choose.entry("artifacts.chunks")
    data = bytearray(chunk["data"])
    data[choose.chance.randrange(len(data))] ^= 1 << choose.chance.randrange(8)
    mutation.what = f"{name} {chunk['_id']}"
    mutation.replace(name, chunk, {**chunk, "data": bytes(data)})


def lost_chunk(choose: Chooser, mutation: Mutation) -> None:
    name, chunk = choose.entry("artifacts.chunks")
    mutation.what = f"{name} {chunk['_id']}"
    mutation.replace(name, chunk, None)


def artifact_document(choose: Chooser, mutation: Mutation) -> None:
    name, entry = choose.entry("artifacts")
    change = choose.chance.choice(["changed", "changed", "added", "removed", "deleted", "doubled"])
    mutation.what = f"{name} {entry['_id']} {change}"
    if change == "deleted":
        mutation.replace(name, entry, None)
    elif change == "doubled":
        sha256 = another_id("-" + entry["_id"], choose.chance)[1:]
        mutation.replace(name, None, {**entry, "_id": sha256})
    else:
        new, path = copied(entry), (choose.chance.choice([key for key in entry if key != "_id"]),)
        alter(new, path, change, choose.chance)
        mutation.what += f" {path[0]}"
        mutation.replace(name, entry, new)


def external_note(choose: Chooser, mutation: Mutation) -> None:
    name, entry = choose.entry("externals")
    change = choose.chance.choice(["content", "collection", "deleted"])
    mutation.what = f"{name} {entry['_id']} {change}"
    mutation.replace(
        name, entry, None if change == "deleted" else {**entry, change: other(entry[change], choose.chance)}
    )
