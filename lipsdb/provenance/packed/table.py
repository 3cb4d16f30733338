"""Packed ids with content hashes, looked up by the ten thousand."""

from __future__ import annotations

import numpy as np

from lipsdb.provenance.packed.links import RECORD


class PackedTable:
    """Packed documents, looked up by id."""

    def __init__(self) -> None:
        self._added = bytearray()
        self._known = np.empty(0, RECORD)

    def add(self, document: bytes) -> None:
        """Add a document; it is not known before `sort`."""
        self._added += document

    def sort(self) -> None:
        """Make what was added known."""
        if self._added:
            joined = np.concatenate([self._known, np.frombuffer(bytes(self._added), RECORD)])
            self._added, self._known = bytearray(), joined[np.argsort(joined["id"])]

    def state_of(self, links: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each link: whether its document is known, and whether it is known with that content."""
        if not len(self._known):
            return np.zeros(len(links), bool), np.zeros(len(links), bool)
        place = np.searchsorted(self._known["id"], links["id"])
        entry = self._known[np.minimum(place, len(self._known) - 1)]
        here = entry["id"] == links["id"]
        return here, here & (entry["content"] == links["content"])
