"""Verify an archive of lipsdb without lipsdb: python verify_archive.py FILE (needs only Python and `zstandard`).

Written from the rules of hashing alone (docs/provenance.md), to be read in one go. It prints each fault in a line and
exits with 1 if there is any.
"""

import base64
import hashlib
import json
import sys
import zipfile
import zlib
from datetime import UTC, datetime, timedelta

import zstandard

PLURALS = {"level_of_theory": "levels_of_theory", "refusal": "refusals", "property": "properties"}


def sha256(data):
    """In hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def canonical(value):
    """A value of MongoDB's canonical Extended JSON in the form that is hashed."""
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if not isinstance(value, dict):
        return value
    keys = set(value)
    if keys & {"$numberInt", "$numberLong"}:
        return int(next(iter(value.values())))
    if keys == {"$numberDouble"}:
        return float(value["$numberDouble"])
    if keys == {"$date"}:
        time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(value["$date"]["$numberLong"]))
        return {"$date": time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"}
    if keys == {"dtype", "shape", "zstd", "crc32"}:
        packed = base64.b64decode(value["zstd"]["$binary"]["base64"], validate=True)
        if zlib.crc32(packed) != canonical(value["crc32"]):
            raise ValueError("the checksum of a compressed array differs")
        raw = zstandard.ZstdDecompressor().decompress(packed)
        shape = canonical(value["shape"])
        return {"$array": {"dtype": value["dtype"], "shape": shape, "sha256": sha256(raw)}}
    return {key: canonical(item) for key, item in value.items()}


def digest(value):
    """SHA-256 of a canonical value's text."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return sha256(text.encode())


def references(value):
    """Every {sha256, size, name} in a canonical value: files that belong to it."""
    if isinstance(value, dict) and set(value) == {"sha256", "size", "name"}:
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from references(item)


def check_document(document):
    """Identity, content and seal of a canonical document, recomputed; yields what does not agree."""
    links = [{key: link[key] for key in ("role", "collection", "id")} for link in document["inputs"]]
    asked = {"kind": document["kind"], "schema_version": document["schema_version"], "asked": document["asked"]}
    asked |= {"inputs": links} | ({"attempt": document["attempt"]} if document.get("attempt") else {})
    if document["_id"] != f"{document['kind']}-{digest(asked)[:24]}":
        yield "the identity does not follow from what was asked"
    if document["content"] != digest(document["answer"]):
        yield "the content is not the hash of the answer"
    sealed = {key: item for key, item in document.items() if key not in ("answer", "campaigns", "seal")}
    made_by = dict(sealed["made_by"])
    if "salt" in made_by:
        made_by["host"] = "withheld:" + sha256(f"{made_by.pop('salt')}\0{made_by['host']}".encode())
    if document["seal"] != digest(sealed | {"made_by": made_by}):
        yield "a sealed field was changed"


def verify(path):
    """Yield what is wrong with an archive."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        hashes = {}
        for name in names:  # in pieces: a trajectory can be larger than the memory
            with archive.open(name) as stream:
                hashes[name] = hashlib.file_digest(stream, "sha256").hexdigest()
        manifest = dict(
            reversed(line.split("  ", 1)) for line in archive.read("manifest-sha256.txt").decode().splitlines()
        )
        for name in sorted(set(names) ^ (set(manifest) | {"manifest-sha256.txt"})):
            yield f"{name}: is missing, or not in the manifest"
        for name in sorted(set(manifest) & set(hashes)):
            if manifest[name] != hashes[name]:
                yield f"{name}: is not the file that was written"
        if len(names) != len(set(names)):
            yield "a name stands twice in the zip file"

        contents, links, files = {}, [], {}
        for name in (name for name in names if name.startswith("documents/")):
            with archive.open(name) as stream:
                for line in stream:
                    document = canonical(json.loads(line))
                    for fault in check_document(document):
                        yield f"{document['_id']}: {fault}"
                    if document["_id"] in contents:
                        yield f"{document['_id']}: is there twice"
                    if name != f"documents/{PLURALS.get(document['kind'], document['kind'] + 's')}.jsonl":
                        yield f"{document['_id']}: stands in {name}"
                    contents[document["_id"]] = document["content"]
                    links += [(document["_id"], link["id"], link["content"]) for link in document["inputs"]]
                    files |= {file["sha256"]: file for file in references([document["answer"], document["made_by"]])}
        externals = [json.loads(line) for line in archive.read("externals.jsonl").splitlines()]
        known = {entry["id"]: entry["content"] for entry in externals} | contents
        for consumer, id_, content in links:
            if known.get(id_) != content:
                yield f"{consumer}: its input {id_} is missing or has another content than when it was used"

        about = json.loads(archive.read("archive.json"))
        withheld = {file["sha256"] for file in about["withheld"]}
        present = {name.removeprefix("artifacts/") for name in names if name.startswith("artifacts/")}
        for file in sorted((set(files) - withheld) ^ present):
            yield f"artifacts/{file}: is missing, or belongs to no document"
        for file in sorted(present & set(files)):
            if (
                hashes[f"artifacts/{file}"] != file
                or archive.getinfo(f"artifacts/{file}").file_size != files[file]["size"]
            ):
                yield f"artifacts/{file}: is damaged"
        counted = sum(about["documents"].values()), about["artifacts"], about["externals"]
        if counted != (len(contents), len(present), len(externals)):
            yield f"archive.json: says {counted} documents, artifacts, externals"


if __name__ == "__main__":
    faults = []
    try:
        for fault in verify(sys.argv[1]):
            faults.append(fault)
            print(fault)
    except Exception as error:  # damage can take any form
        faults.append(f"cannot be read: {type(error).__name__}: {error}")
        print(faults[-1])
    print(f"not verified: {len(faults)} faults" if faults else "verified")
    sys.exit(bool(faults))
