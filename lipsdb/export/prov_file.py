"""W3C PROV of many documents as one PROV-JSON text, made a few documents at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import ExitStack
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import Any

from lipsdb.provenance.lineage.prov_json import prov_document

_AT_ONCE = 500
_IN_MEMORY = 1 << 22
_BLOCK = 1 << 20


def prov_blocks(documents: Iterable[Mapping[str, Any]], ids: Set[str], *, hosts: bool) -> Iterator[bytes]:
    """Write PROV-JSON block by block; each of its sections waits in a file until all documents were seen.

    Parameters
    ----------
    documents : iterable of mappings
        As for `lipsdb.provenance.lineage.prov_json.prov_document`.
    ids : set of str
        Of all the documents.
    hosts : bool
        Whether the machines' names are told.
    """
    prefix: dict[str, str] = {}
    seen: set[str] = set()  # agents, and entities that are not among the documents
    with ExitStack() as stack:
        sections: dict[str, SpooledTemporaryFile[bytes]] = {}
        source, number = iter(documents), 0
        while batch := [_in_order(document) for document in islice(source, _AT_ONCE)]:
            described = json.loads(str(prov_document(batch, hosts=hosts).serialize(format="json")))
            prefix |= described.pop("prefix")
            own = {f"lipsdb:{document['_id']}" for document in batch}
            for name, records in described.items():
                if name not in sections:
                    sections[name] = stack.enter_context(SpooledTemporaryFile(_IN_MEMORY))
                for key, record in records.items():
                    if name in {"entity", "agent"} and not _is_first(key, own, ids, seen):
                        continue
                    unique = f"_:{number}-{key.removeprefix('_:')}" if key.startswith("_:") else key
                    line = f"{json.dumps(unique)}:{json.dumps(record, ensure_ascii=False)}"
                    sections[name].write((",\n" if sections[name].tell() else "\n").encode() + line.encode())
            number += 1
        yield f'{{"prefix":{json.dumps(prefix)}'.encode()
        for name, section in sorted(sections.items()):
            yield f',\n"{name}":{{'.encode()
            section.seek(0)
            yield from iter(lambda section=section: section.read(_BLOCK), b"")  # type: ignore[misc]
            yield b"\n}"
        yield b"}\n"


def _is_first(key: str, own: Set[str], ids: Set[str], seen: set[str]) -> bool:
    """Whether a batch is where an entity or agent is described: the one with its document, or the first."""
    if key in own:
        return True
    if key in seen or key.removeprefix("lipsdb:") in ids:
        return False
    seen.add(key)
    return True


def _in_order(document: Mapping[str, Any]) -> dict[str, Any]:
    """MongoDB keeps the order in which versions were noted; an import does not."""
    made_by = document["made_by"]
    return {**document, "made_by": made_by | {"versions": dict(sorted(made_by["versions"].items()))}}
