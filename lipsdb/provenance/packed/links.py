"""Links of a document as 45 bytes each: the packed id of the input and its content hash.

A dataset names 60,000 labels. As MongoDB sends them, such links are records of equal length that differ in their
number, id and content only; they are packed by cutting these columns out, far quicker than by decoding them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lipsdb.provenance.packed import ids as packed_ids
from lipsdb.store.raw import decoded, split

RECORD = np.dtype([("id", f"S{packed_ids.WIDTH}"), ("content", "S32")])
_MANY = 50_000  # bytes of a document from which on cutting is quicker than decoding
_ARRAY = b"\x04inputs\0"
_LINK = re.compile(
    rb"\x03(\d+)\0.{4}\x02role\0.{4}[^\0]*\0\x02collection\0.{4}[^\0]*\0\x02id\0.{4}([a-z_]+)-([0-9a-f]{24})"
    rb"\0\x02content\0.{4}([0-9a-f]{64})\0\0",
    re.DOTALL,
)
_CONTENT = re.compile(rb".{4}\x02_id\0.{4}()([a-z_]+)-([0-9a-f]{24})\0\x02content\0.{4}([0-9a-f]{64})\0\0", re.DOTALL)
_HASH = re.compile("[0-9a-f]{64}")
_KIND_OF_CODE = {code: f"{kind}-" for kind, code in packed_ids.CODES.items()}
_NO_DIGIT = 255
_DIGITS = np.full(256, _NO_DIGIT, np.uint8)
_DIGITS[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16, dtype=np.uint8)


def packed(id_: str, content: str) -> bytes | None:
    """An id and a content hash in 45 bytes; None if they are not of that form."""
    known = packed_ids.packed(id_)
    return None if known is None or _HASH.fullmatch(content) is None else known + bytes.fromhex(content)


def read(raw: bytes) -> tuple[dict[str, Any], bytes | None]:
    """A document as MongoDB sends it.

    Parameters
    ----------
    raw : bytes
        With the fields ``_id``, ``inputs`` and ``content``.

    Returns
    -------
    document, links : tuple
        The links are None if any of them is not of the usual form; then they stand in the document.
    """
    place = raw.find(_ARRAY) if len(raw) > _MANY else -1
    if place >= 0:
        begin = place + len(_ARRAY)
        end = begin + int.from_bytes(raw[begin : begin + 4], "little")
        links = _cut(raw[begin + 4 : end - 1], _LINK)
        if links is not None:
            rest = raw[4:place] + raw[end:]
            return decoded((len(rest) + 4).to_bytes(4, "little") + rest), links
    document = decoded(raw)
    inputs = document.get("inputs")
    return document, _joined(inputs) if isinstance(inputs, list) else b""


def _joined(inputs: Sequence[Mapping[str, str]]) -> bytes | None:
    """Links that were decoded, packed; None if any is not of the usual form."""
    try:
        parts = [(*link["id"].split("-"), link["content"]) for link in inputs]
        text = "".join([packed_ids.CODES[kind] + digits + content for kind, digits, content in parts])
        found = bytes.fromhex(text)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return found if len(found) == RECORD.itemsize * len(inputs) and text == text.lower() else None


def read_contents(raw: bytes) -> bytes:
    """Ids and content hashes of documents, packed.

    Parameters
    ----------
    raw : bytes
        A batch of documents as MongoDB sends them, with the fields ``_id`` and ``content``.

    Returns
    -------
    bytes
        As `RECORD`; documents whose id or content hash is not of the usual form are left out.
    """
    found = _cut(raw, _CONTENT)
    if found is None:
        known = (packed(str(one.get("_id")), str(one.get("content"))) for one in map(decoded, split(raw)))
        found = b"".join(one for one in known if one is not None)
    return found


def unpacked(links: np.ndarray) -> tuple[list[str], list[str]]:
    """Ids and content hashes of packed links."""
    text, row = links["content"].tobytes().hex(), 2 * RECORD["content"].itemsize
    return ids_of(links), [text[at : at + row] for at in range(0, len(text), row)]


def ids_of(links: np.ndarray) -> list[str]:
    """Ids of packed links."""
    raw, row = links["id"].tobytes(), 2 * packed_ids.WIDTH
    text, kinds = raw.hex(), raw[:: packed_ids.WIDTH]
    if kinds.count(kinds[:1]) == len(kinds):  # nearly always: 60,000 labels
        kind = _KIND_OF_CODE[text[:2]] if text else ""
        return [kind + text[at : at + row - 2] for at in range(2, len(text), row)]
    return [_KIND_OF_CODE[text[at : at + 2]] + text[at + 2 : at + row] for at in range(0, len(text), row)]


def _cut(array: bytes, pattern: re.Pattern[bytes]) -> bytes | None:
    """Elements of a BSON array, or documents one after the other, packed; None if any is not of the usual form.

    The pattern's groups are the element's number (empty in a document), kind and digits of the id, and content hash.
    """
    found, place, number = [], 0, 0
    while place < len(array):
        first = pattern.match(array, place)
        if first is None or first[2].decode() not in packed_ids.CODES:
            return None
        size = first.end() - place
        alike = (len(array) - place) // size
        if first[1]:
            alike = min(alike, 10 ** len(first[1]) - number)  # those whose numbers are as long
        rows = np.frombuffer(array, np.uint8, alike * size, place).reshape(alike, size)
        fixed = np.ones(size, bool)
        for group in (1, 3, 4):
            fixed[first.start(group) - place : first.end(group) - place] = False
        same = (rows[:, fixed] == rows[0, fixed]).all(axis=1)
        alike = alike if same.all() else int(same.argmin())
        digits = [rows[:alike, first.start(group) - place : first.end(group) - place] for group in (3, 4)]
        halves = _DIGITS[np.concatenate(digits, axis=1)]
        if (halves == _NO_DIGIT).any():
            return None
        links = np.empty((alike, RECORD.itemsize), np.uint8)
        links[:, 0] = int(packed_ids.CODES[first[2].decode()], 16)
        links[:, 1:] = halves[:, ::2] << 4 | halves[:, 1::2]
        found.append(links.tobytes())
        place, number = place + alike * size, number + alike
    return b"".join(found)
