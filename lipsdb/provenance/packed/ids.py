"""Ids of documents in thirteen bytes."""

from __future__ import annotations

import re

from lipsdb.provenance.kinds import COLLECTIONS

WIDTH = 13  # code of the kind, then the digits
KINDS = list(COLLECTIONS)
CODES = {kind: f"{code:02x}" for code, kind in enumerate(KINDS)}  # hexadecimal
_DIGITS = re.compile("[0-9a-f]{24}")


def packed(id_: str) -> bytes | None:
    """An id in thirteen bytes; None if it is none of a document."""
    kind, _, digits = id_.partition("-")
    if kind not in CODES or _DIGITS.fullmatch(digits) is None:
        return None
    return bytes.fromhex(CODES[kind] + digits)


def unpacked(packed_: bytes) -> str:
    """The id that thirteen bytes stand for.

    Examples
    --------
    >>> unpacked(packed("run-00000000000000000000abcd"))
    'run-00000000000000000000abcd'
    """
    whole = packed_.ljust(WIDTH, b"\0")  # NumPy takes zeros off the end
    return f"{KINDS[whole[0]]}-{whole[1:].hex()}"
