"""Documents as MongoDB sends them, read whatever was done to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion

# a damaged date or text must become a finding, not end the reading
LENIENT: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
)


def split(batch: bytes) -> Iterator[bytes]:
    """The documents of a raw batch."""
    place = 0
    while place < len(batch):
        end = place + int.from_bytes(batch[place : place + 4], "little")
        yield batch[place:end]
        place = end


def decoded(raw: bytes) -> dict[str, Any]:
    """A document, read whatever was done to it."""
    return bson.decode(raw, LENIENT)
