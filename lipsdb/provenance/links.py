"""What documents say that they were made from, and where that is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lipsdb.provenance.kinds import COLLECTIONS


def links_of(document: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    """Inputs of a document, those that are legible; what is not was found by its seal."""
    inputs = document.get("inputs")
    for link in inputs if isinstance(inputs, list) else []:
        if isinstance(link, Mapping) and all(isinstance(link.get(key), str) for key in ("role", "id", "content")):
            yield link


def by_collection(ids: Iterable[str]) -> dict[str, list[str]]:
    """Ids by the collection that their kind belongs to; ids of no kind are left out."""
    groups: dict[str, list[str]] = {}
    for id_ in ids:
        name = COLLECTIONS.get(id_.partition("-")[0])
        if name is not None:
            groups.setdefault(name, []).append(id_)
    return groups
