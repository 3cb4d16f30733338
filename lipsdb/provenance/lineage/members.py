"""Who the members of a group are: up to 100,000 documents, which stay packed until somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import numpy as np

from lipsdb.provenance.packed import ids as packed_ids
from lipsdb.provenance.packed.links import RECORD, ids_of, packed, unpacked

NOBODY = np.empty(0, RECORD)


class Members(Mapping[str, str]):
    """Ids of documents of one kind, each with the content hash that was recorded of it.

    Parameters
    ----------
    links : array
        Packed (`lipsdb.provenance.packed`).
    """

    def __init__(self, links: np.ndarray) -> None:
        self.links = links

    def __getitem__(self, id_: str) -> str:
        return self._contents[id_]

    def __iter__(self) -> Iterator[str]:
        return iter(ids_of(self.links))

    def __len__(self) -> int:
        return len(self.links)

    @property
    def kind(self) -> str:
        """What they are."""
        return packed_ids.unpacked(self.links["id"][0]).partition("-")[0]

    @cached_property
    def _contents(self) -> dict[str, str]:
        return dict(zip(*unpacked(self.links), strict=True))

    def as_dict(self) -> dict[str, str]:
        """The same, unpacked."""
        return self._contents

    def number_among(self, ids: Iterable[str]) -> int:
        """How many of the members are among these."""
        known = [one[: RECORD["id"].itemsize] for id_ in ids if (one := packed(id_, "0" * 64)) is not None]
        return int(np.isin(self.links["id"], np.array(known, RECORD["id"])).sum()) if known else 0


def contents_of_all(groups: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Content hashes that were recorded of the members of several groups, each document once."""
    found: dict[str, str] = {}
    bulk = [NOBODY]
    for some in groups:
        if isinstance(some, Members):
            bulk.append(some.links)
        else:
            found.update(some)
    links = np.concatenate(bulk)
    _, first = np.unique(links["id"], return_index=True)
    return found | Members(links[first]).as_dict()


def split_bulk(links: Iterable[tuple[str, str, str]]) -> tuple[np.ndarray, list[tuple[str, str, str]]]:
    """Links (role, id, content hash) packed, and those that cannot be."""
    found, others = [], []
    for link in links:
        one = packed(link[1], link[2])
        if one is None:
            others.append(link)
        else:
            found.append(one)
    return np.frombuffer(b"".join(found), RECORD), others
