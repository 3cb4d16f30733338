"""Canonical form and hashes of documents.

The rules, complete enough to write another verifier from them:

- A value is written as JSON with sorted keys, no white space, UTF-8, floats in their shortest round-trip form
  (``repr`` of a double: ``1.0``, ``1e-05``), integers without a point; NaN and infinities are not allowed.
- An array is written as ``{"$array": {"dtype": …, "shape": […], "sha256": …}}``: the NumPy dtype string in
  little-endian form (``<f8``, ``|u1``), and SHA-256 over its C-ordered little-endian bytes.
- A date is written as ``{"$date": "2026-01-31T12:00:00.000Z"}`` (UTC, milliseconds, as MongoDB keeps it).
- A digest is the SHA-256 of that text, in hexadecimal.

In MongoDB an array stands as ``{"dtype": …, "shape": […], "zstd": Binary, "crc32": …}``: the same bytes, compressed,
and the CRC-32 of the compressed ones. Neither compression nor CRC is part of any hash.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import Any

import numpy as np
import zstandard

from lipsdb.errors import BadInputError, RefusedError

_ARRAY_KEYS = frozenset({"dtype", "shape", "zstd", "crc32"})
_COMPRESSOR = zstandard.ZstdCompressor(level=-1)  # half the time of level 1 for 4 % more bytes
_DECOMPRESSOR = zstandard.ZstdDecompressor()
_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_LITTLE_ENDIAN = frozenset("<|=" if sys.byteorder == "little" else "<|")


def is_stored_array(value: Any) -> bool:
    """Whether a value from MongoDB is an array in its stored form."""
    return isinstance(value, Mapping) and len(value) == len(_ARRAY_KEYS) and value.keys() == _ARRAY_KEYS


class Encoded:
    """A part of a document as MongoDB stores it, with its canonical text; made once, it can stand in many documents."""

    __slots__ = ("stored", "text")

    def __init__(self, stored: Any, text: str) -> None:
        self.stored = stored
        self.text = text

    @classmethod
    def of(cls, value: Any) -> Encoded:
        """Encode a value now."""
        if isinstance(value, np.ndarray):
            return cls(*_array_and_text(value))
        stored, canonical = encode(value)
        return cls(stored, canonical_text(canonical))

    @classmethod
    def mapping(cls, parts: Mapping[str, Encoded]) -> Encoded:
        """A mapping of parts.

        Examples
        --------
        >>> value = {"b": 1.5, "a": np.arange(3), "c": [None, "x"]}
        >>> parts = Encoded.mapping({key: Encoded.of(item) for key, item in value.items()})
        >>> parts.text == Encoded.of(value).text, parts.stored == Encoded.of(value).stored
        (True, True)
        """
        text = "{" + ",".join([f"{encode_basestring(key)}:{parts[key].text}" for key in sorted(parts)]) + "}"
        return cls({key: part.stored for key, part in parts.items()}, text)


def _little_endian(array: np.ndarray) -> np.ndarray:
    if array.dtype.hasobject:
        raise BadInputError(f"an array of dtype {array.dtype} cannot be stored; convert it to numbers first")
    if array.flags.c_contiguous and array.dtype.byteorder in _LITTLE_ENDIAN:
        return array
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)


def _array_stands_for(dtype: str, shape: list[int], raw: bytes | memoryview) -> dict[str, Any]:
    return {"$array": {"dtype": dtype, "shape": shape, "sha256": hashlib.sha256(raw).hexdigest()}}


def _stored_array(dtype: str, shape: list[int], raw: bytes | memoryview) -> dict[str, Any]:
    compressed = _COMPRESSOR.compress(raw)
    return {"dtype": dtype, "shape": shape, "zstd": compressed, "crc32": zlib.crc32(compressed)}


def _raw_bytes(stored: Mapping[str, Any]) -> bytes:
    # some bits of a zstd frame mean nothing: a flipped one would not show in what is unpacked
    if not isinstance(stored["crc32"], int) or zlib.crc32(stored["zstd"]) != stored["crc32"]:
        raise RefusedError("an array is damaged (the checksum of its compressed bytes differs); see `lipsdb audit`")
    return _DECOMPRESSOR.decompress(stored["zstd"])


def decode_array(stored: Mapping[str, Any]) -> np.ndarray:
    """Rebuild an array from its stored form.

    Parameters
    ----------
    stored : mapping
        ``{"dtype", "shape", "zstd", "crc32"}`` as kept in MongoDB.

    Returns
    -------
    numpy.ndarray
        With the dtype and shape it was stored with; read-only.

    Raises
    ------
    RefusedError
        If the compressed bytes are not those that were stored.
    """
    return np.frombuffer(_raw_bytes(stored), dtype=stored["dtype"]).reshape(stored["shape"])


def _date(value: datetime) -> tuple[datetime, dict[str, str]]:
    if value.tzinfo is None:
        raise BadInputError(f"the time {value} has no time zone; use datetime.now(UTC)")
    value = value.astimezone(UTC)
    value = value.replace(microsecond=value.microsecond // 1000 * 1000)
    return value, {"$date": value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"}


def encode(value: Any) -> tuple[Any, Any]:
    """Turn a value into what MongoDB stores and what is hashed, in one pass.

    Parameters
    ----------
    value : Any
        Numbers, strings, None, dates with time zone, arrays, and mappings and sequences of these.

    Returns
    -------
    stored, canonical : tuple
        `stored` has arrays compressed; `canonical` has them replaced by their hashes, ready for JSON.

    Raises
    ------
    BadInputError
        For a value that has no canonical form (NaN, naive time, object array, unknown type).

    Examples
    --------
    >>> stored, canonical = encode({"x": 1.5, "n": np.arange(2, dtype="u1")})
    >>> canonical["n"]["$array"]["shape"], stored["n"]["dtype"]
    ([2], '|u1')
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value, value
    if isinstance(value, float):
        value = float(value)
        if not math.isfinite(value):
            raise BadInputError(f"the number {value} cannot be stored; a missing value is written as null")
        return value, value
    if isinstance(value, np.ndarray):
        return _encode_array(value)
    if isinstance(value, (dict, Mapping)):  # dict first: it is most of them, and Mapping is slow to ask
        return _encode_mapping(value)
    if isinstance(value, np.generic):
        return encode(value.item())
    if isinstance(value, (list, tuple)):
        pairs = [encode(item) for item in value]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if isinstance(value, datetime):
        return _date(value)
    raise BadInputError(f"a value of type {type(value).__name__} cannot be stored: {value!r}")


def _encode_array(value: np.ndarray) -> tuple[dict[str, Any], dict[str, Any]]:
    array = _little_endian(value)
    dtype, shape = array.dtype.str, list(array.shape)
    raw = array.data if array.size else b""
    return _stored_array(dtype, shape, raw), _array_stands_for(dtype, shape, raw)


def _array_and_text(value: np.ndarray) -> tuple[dict[str, Any], str]:
    array = _little_endian(value)
    dtype, shape = array.dtype.str, list(array.shape)
    raw = array.data if array.size else b""
    lengths, sha256 = ",".join(map(str, shape)), hashlib.sha256(raw).hexdigest()
    text = f'{{"$array":{{"dtype":{encode_basestring(dtype)},"sha256":"{sha256}","shape":[{lengths}]}}}}'
    return _stored_array(dtype, shape, raw), text


def _encode_mapping(value: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    if is_stored_array(value):
        return dict(value), _array_stands_for(value["dtype"], list(value["shape"]), _raw_bytes(value))
    if "$date" in value or "$array" in value:  # it would have the hash of a date or an array
        raise BadInputError(
            "a mapping with the key '$date' or '$array' cannot be stored; these keys stand for dates and arrays"
        )
    stored, canonical = {}, {}
    for key, item in value.items():
        stored[key], canonical[key] = encode(item)
    return stored, canonical


def canonical_text(canonical: Any) -> str:
    """The text (JSON) of a value that is already in canonical form."""
    kind = type(canonical)
    if kind is str:
        return encode_basestring(canonical)
    if kind is float and math.isfinite(canonical):
        return float.__repr__(canonical)
    return int.__repr__(canonical) if kind is int else _JSON.encode(canonical)


def digest_of_text(text: str) -> str:
    """SHA-256 (hexadecimal) of a canonical text."""
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of_canonical(canonical: Any) -> str:
    """SHA-256 (hexadecimal) of a value that is already in canonical form."""
    return digest_of_text(canonical_text(canonical))


def digest(value: Any) -> str:
    """SHA-256 (hexadecimal) of a value's canonical form.

    Examples
    --------
    >>> digest({"b": 1, "a": 2.0}) == digest({"a": 2.0, "b": 1})
    True
    >>> digest(1) == digest(1.0)  # the kind of a number is part of it
    False
    """
    return digest_of_canonical(encode(value)[1])


def decoded(value: Any) -> Any:
    """Replace every stored array in a document from MongoDB by a NumPy array."""
    if isinstance(value, Mapping):
        return decode_array(value) if is_stored_array(value) else {key: decoded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decoded(item) for item in value]
    return value
