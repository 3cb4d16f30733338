from __future__ import annotations

import bson
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.lineage.members import Members, contents_of_all
from lipsdb.provenance.packed import ids
from lipsdb.provenance.packed.links import RECORD, packed, read_contents, unpacked

KINDS = st.sampled_from(sorted(COLLECTIONS))
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)


@st.composite
def links(draw: st.DrawFn) -> tuple[str, str]:
    return f"{draw(KINDS)}-{draw(HASHES)[:24]}", draw(HASHES)


def array(some: list[tuple[str, str]]) -> np.ndarray:
    return np.frombuffer(b"".join(packed(*one) or b"" for one in some), RECORD)


@given(st.lists(links()))
def test_packed_links_come_back_as_they_were(some: list[tuple[str, str]]) -> None:
    assert list(zip(*unpacked(array(some)), strict=True)) == some


@given(st.lists(links(), min_size=1, unique_by=lambda link: link[0]))
def test_members_are_a_mapping_of_ids_to_contents(some: list[tuple[str, str]]) -> None:
    members = Members(array(some))
    assert dict(members) == dict(some)
    assert members.kind == some[0][0].partition("-")[0]
    assert members.number_among([some[0][0], "label-0"]) == 1
    other = {f"label-{24 * 'f'}": 64 * "0"}
    assert contents_of_all([members, members, other]) == {**dict(some), **other}


@pytest.mark.parametrize("damaged", [{"content": "x"}, {"content": 3}, {"_id": "label-1"}, {"_id": None}])
def test_contents_of_damaged_documents_are_left_out(damaged: dict[str, object]) -> None:
    documents = [{"_id": f"label-{index:024x}", "content": f"{index:064x}"} for index in range(200)]
    raw = b"".join(bson.encode(one) for one in documents)
    known = [(one["_id"], one["content"]) for one in documents]
    assert list(zip(*unpacked(np.frombuffer(read_contents(raw), RECORD)), strict=True)) == known
    raw += bson.encode({**documents[0], **damaged})
    assert list(zip(*unpacked(np.frombuffer(read_contents(raw), RECORD)), strict=True)) == known
    assert ids.unpacked(ids.packed(known[7][0]) or b"") == known[7][0]
