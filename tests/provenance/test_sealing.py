from __future__ import annotations

import copy
import hashlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pymongo import MongoClient

from lipsdb.provenance.sealing import identity, reference, seal, seal_faults

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\0$."), min_size=1, max_size=6)
NUMBERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
LEAVES = st.one_of(NUMBERS, st.none(), TEXTS, TIMES)
ARRAYS = hnp.arrays(
    st.sampled_from(["<f8", ">i4", "|u1"]), hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=4)
)
MAPPINGS = st.dictionaries(
    KEYS,
    st.recursive(LEAVES | ARRAYS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)),
    max_size=4,
)
LINK = {"role": "run", "collection": "runs", "id": "run-" + "a" * 24, "content": "b" * 64}


@pytest.fixture(scope="module")
def collection(mongo_uri: str) -> Iterator[Any]:
    """A bare collection of a real server."""
    client: Any = MongoClient(mongo_uri, tz_aware=True)
    name = f"test-{uuid.uuid4().hex}"
    yield client[name]["documents"]
    client.drop_database(name)
    client.close()


def test_identity_content_and_seal_worked_out_by_hand() -> None:
    def sha256(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    stored = seal("property", {"T": 600.0}, [LINK], {"D": 1e-05}, {"host": "here"}, ["small"])
    asked = (
        '{"asked":{"T":600.0},"inputs":[{"collection":"runs","id":"run-aaaaaaaaaaaaaaaaaaaaaaaa","role":"run"}],'
        '"kind":"property","schema_version":1}'
    )
    content = sha256('{"D":1e-05}')
    sealed = (
        f'{{"_id":"property-{sha256(asked)[:24]}","asked":{{"T":600.0}},"content":"{content}","inputs":[{{"collection":"runs",'
        f'"content":"{"b" * 64}","id":"run-{"a" * 24}","role":"run"}}],"kind":"property","made_by":{{"host":"here"}},'
        '"schema_version":1}'
    )
    assert stored["_id"] == f"property-{sha256(asked)[:24]}"
    assert stored["content"] == content
    assert stored["seal"] == sha256(sealed)
    assert reference(stored) == {"collection": "properties", "id": stored["_id"], "content": content}


@given(asked=MAPPINGS, answer=MAPPINGS, made_by=MAPPINGS)
@settings(max_examples=80, deadline=None)
def test_round_trip_through_mongodb_keeps_identity_content_and_seal(
    collection: Any, asked: dict[str, Any], answer: dict[str, Any], made_by: dict[str, Any]
) -> None:
    stored = seal("property", asked, [LINK], answer, made_by)
    collection.replace_one({"_id": stored["_id"]}, stored, upsert=True)
    found = collection.find_one({"_id": stored["_id"]})
    assert seal_faults(found) == []
    again = seal("property", found["asked"], found["inputs"], found["answer"], found["made_by"])
    assert {key: again[key] for key in ("_id", "content", "seal")} == {
        key: found[key] for key in ("_id", "content", "seal")
    }


def test_identity_follows_from_the_question_alone() -> None:
    asked = {"T": 600.0, "seed": 1}
    first = seal("run", asked, [LINK], {"x": 1}, {"host": "a"}, ["one"])
    second = seal("run", dict(reversed(asked.items())), [LINK | {"content": "c" * 64}], {"x": 2}, {"host": "b"})
    assert first["_id"] == second["_id"] == identity("run", asked, [LINK])
    assert first["content"] != second["content"]
    others = [
        identity("run", asked | {"seed": 2}, [LINK]),
        identity("property", asked, [LINK]),
        identity("run", asked, []),
        identity("run", asked, [LINK | {"role": "other"}]),
        identity("run", asked, [LINK | {"id": "run-" + "b" * 24}]),
        identity("run", asked | {"T": 600}, [LINK]),
    ]
    assert len({first["_id"], *others}) == 7


def test_order_of_inputs_is_part_of_the_question() -> None:
    other = LINK | {"id": "run-" + "b" * 24}
    assert identity("property", {}, [LINK, other]) != identity("property", {}, [other, LINK])


def test_campaigns_are_not_sealed_but_everything_else_is() -> None:
    made_at = datetime(2026, 1, 1, tzinfo=UTC)
    stored = seal("run", {"T": 600.0}, [LINK], {"x": np.arange(3.0)}, {"host": "a", "at": made_at}, ["one"])
    assert seal_faults(stored | {"campaigns": ["one", "two"]}) == []
    for field in set(stored) - {"campaigns"}:
        changed = copy.deepcopy(stored)
        changed[field] = "other"
        assert seal_faults(changed), field
        del changed[field]
        assert seal_faults(changed) == [f"the field {field!r} is missing"]
    assert seal_faults(stored | {"remark": "added later"}) == ["a sealed field was changed (seal differs)"]


def test_faults_say_what_differs() -> None:
    stored = seal("run", {"T": 600.0}, [LINK], {"x": 1.0}, {"host": "a"})
    assert seal_faults(stored | {"answer": {"x": 1}}) == [
        "the answer is not the one that was stored (content hash differs)"
    ]
    (identity_fault, seal_fault) = seal_faults(stored | {"asked": {"T": 601.0}})
    assert identity_fault.startswith("the identity does not follow from what was asked (recomputed run-")
    assert seal_fault == "a sealed field was changed (seal differs)"
    forged = stored | {"made_by": {"host": "a", "at": {"$date": "2026-01-01T00:00:00.000Z"}}}
    assert seal_faults(forged)[0].startswith("cannot be read: BadInputError")
