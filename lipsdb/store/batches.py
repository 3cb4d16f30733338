"""Many ids, asked in pieces that one query can hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Answer = TypeVar("Answer")
Piece = TypeVar("Piece")

ANSWER = 100_000  # documents in one message of the server
_AT_ONCE = 10_000
_THREADS = 4


def batches(ids: Collection[str]) -> Iterator[list[str]]:
    """Ids in pieces that one query can hold."""
    rest = iter(ids)
    while batch := list(islice(rest, _AT_ONCE)):
        yield batch


def side_by_side(ask: Callable[[Piece], Answer], pieces: Sequence[Piece]) -> Iterator[Answer]:
    """Answers for each piece, in their order; the server works at several of them, each on a core of its own."""
    if len(pieces) < 2:
        yield from map(ask, pieces)
        return
    with ThreadPoolExecutor(min(_THREADS, len(pieces))) as threads:
        yield from threads.map(ask, pieces)
