from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lipsdb.errors import BadInputError
from lipsdb.provenance.canonical import decode_array, decoded, digest, encode

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\0$."), min_size=1, max_size=6)
DATES = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=8),
    DATES,
)
VALUES = st.recursive(
    PLAIN, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)), max_leaves=12
)
ARRAYS = hnp.arrays(
    st.sampled_from(["<f8", ">f8", "<f4", "<i4", ">i8", "|u1", "|b1", "<u2"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


def test_digest_of_a_mapping_worked_out_by_hand() -> None:
    text = b'{"T":600.0,"n":3,"name":"\xce\xb2","when":{"$date":"2026-01-31T12:00:00.007Z"},"x":null}'
    when = datetime(2026, 1, 31, 12, 0, 0, 7999, tzinfo=UTC)
    value = {"name": "β", "x": None, "n": 3, "T": 600.0, "when": when}
    assert digest(value) == hashlib.sha256(text).hexdigest()


def test_digest_of_an_array_worked_out_by_hand() -> None:
    raw = hashlib.sha256(bytes.fromhex("000000000000f03f" + "0000000000000040")).hexdigest()  # 1.0, 2.0
    text = '{"a":{"$array":{"dtype":"<f8","sha256":"' + raw + '","shape":[2]}}}'
    assert digest({"a": np.array([1.0, 2.0])}) == hashlib.sha256(text.encode()).hexdigest()


@given(st.dictionaries(KEYS, VALUES, max_size=6), st.randoms())
def test_order_of_keys_does_not_matter(value: dict[str, Any], chance: Any) -> None:
    keys = list(value)
    chance.shuffle(keys)
    assert digest({key: value[key] for key in keys}) == digest(value)


@given(ARRAYS)
def test_array_comes_back_with_dtype_and_shape(array: np.ndarray) -> None:
    stored = encode(array)[0]
    back = decode_array(stored)
    assert back.shape == array.shape
    assert back.dtype == array.dtype.newbyteorder("<")
    assert back.tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()
    assert digest(stored) == digest(array)


@given(ARRAYS)
def test_byte_order_and_memory_layout_do_not_change_the_digest(array: np.ndarray) -> None:
    assert digest(array.astype(array.dtype.newbyteorder(">"))) == digest(array)
    assert digest(array.copy(order="F")) == digest(array)
    assert digest(np.stack([array, array], axis=-1)[..., 0]) == digest(array)


def test_dtype_and_shape_and_order_of_elements_change_the_digest() -> None:
    array = np.arange(6, dtype="<i4").reshape(2, 3)
    variants = [
        array,
        array.astype("<i8"),
        array.astype("<f4"),
        array.reshape(3, 2),
        array.T,
        array.ravel(),
        array[::-1],
    ]
    assert len({digest(variant) for variant in variants}) == len(variants)
    zeros = [np.zeros(2, "<f4"), np.zeros(1, "<f8"), np.zeros(2, "<i4"), np.zeros((0, 3)), np.zeros((3, 0))]
    assert len({digest(zero) for zero in zeros}) == len(zeros)


def test_kinds_of_values_are_told_apart() -> None:
    values = [0, 0.0, -0.0, False, None, "", "0", [], {}, [0], {"0": 0}, np.zeros(()), [[]], "null"]
    assert len({digest(value) for value in values}) == len(values)


@given(st.floats(allow_nan=False, allow_infinity=False, max_value=1e300))
def test_neighbouring_doubles_have_different_digests(value: float) -> None:
    assert digest(math.nextafter(value, math.inf)) != digest(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan"), {"a": [1.0, {"b": math.nan}]}])
def test_numbers_that_are_not_finite_are_refused(value: Any) -> None:
    with pytest.raises(BadInputError, match="cannot be stored; a missing value is written as null"):
        encode(value)


@pytest.mark.parametrize("value", [b"raw", {1, 2}, object(), 1j, np.array([None])])
def test_values_without_a_canonical_form_are_refused(value: Any) -> None:
    with pytest.raises(BadInputError, match="cannot be stored"):
        encode({"a": value})


@pytest.mark.parametrize("key", ["$date", "$array"])
def test_mapping_that_would_pass_for_a_date_or_an_array_is_refused(key: str) -> None:
    with pytest.raises(BadInputError, match="cannot be stored; these keys stand for dates and arrays"):
        digest({"made_at": {key: "2026-01-31T12:00:00.000Z"}})


def test_naive_time_is_refused() -> None:
    with pytest.raises(BadInputError, match="has no time zone"):
        encode(datetime(2026, 1, 1))


@given(DATES, st.integers(-12, 12))
def test_time_counts_in_utc_milliseconds_whatever_its_zone(time: datetime, hours: int) -> None:
    elsewhere = time.astimezone(timezone(timedelta(hours=hours)))
    assert digest(elsewhere) == digest(time)
    assert digest(time.replace(microsecond=time.microsecond // 1000 * 1000)) == digest(time)
    assert digest(time + timedelta(milliseconds=1)) != digest(time)


@given(VALUES)
@settings(max_examples=60)
def test_decoding_what_was_encoded_gives_it_back(value: Any) -> None:
    stored = encode({"value": value, "array": np.arange(3)})[0]
    assert digest(decoded(stored)) == digest({"value": value, "array": np.arange(3)})
