from __future__ import annotations

from typing import Any

import pytest

from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.provenance.audit import audit
from lipsdb.provenance.withdrawal import Taint, taint, withdraw, withdrawn

REASON, PERSON = "SCF converged to another state", "Ada"


def test_withdrawing_a_label_taints_all_that_was_made_from_it_and_nothing_else(graph: Any) -> None:
    label = graph.of_kind("label")[0]
    withdraw(graph.database, [label], REASON, PERSON)
    marks = taint(graph.database)
    assert set(marks.origins) == {label} | graph.downstream(label)
    assert len(graph.downstream(label)) == 7  # dataset, potential, two runs, their diffusion, the Arrhenius fit
    for id_ in marks.origins:
        (one,) = marks.of(id_)
        assert (one.document, one.reason, one.by) == (label, REASON, PERSON)
    assert marks.of(graph.of_kind("label")[1], *graph.of_kind("structure")) == ()
    assert audit(graph.database).errors == []


def test_undoing_needs_another_record_and_leaves_both(graph: Any) -> None:
    label = graph.of_kind("label")[0]
    withdraw(graph.database, [label], REASON, PERSON)
    withdraw(graph.database, [label], "the SCF was right", PERSON, undo=True)
    assert withdrawn(graph.database) == {}
    assert taint(graph.database) == Taint()
    withdraw(graph.database, [label], REASON, "Grace")
    assert withdrawn(graph.database)[label].by == "Grace"
    records = list(graph.database.query("withdrawals", sort={"asked.number": 1}))
    assert [(one["asked"]["number"], one["asked"]["withdrawn"]) for one in records] == [
        (0, True),
        (1, False),
        (2, True),
    ]
    assert audit(graph.database).errors == []


def test_two_withdrawals_are_told_apart_downstream(graph: Any) -> None:
    label, run = graph.of_kind("label")[0], graph.of_kind("run")[0]
    withdraw(graph.database, [label, run], REASON, PERSON)
    marks = taint(graph.database)
    arrhenius = next(
        id_ for id_ in graph.of_kind("property") if graph.documents[id_]["asked"]["property"] == "arrhenius"
    )
    assert [one.document for one in marks.of(arrhenius)] == [label, run]
    assert [one.document for one in marks.of(graph.of_kind("run")[1])] == [label]
    assert [one.document for one in marks.of(run)] == [label, run]


def test_a_label_known_by_its_hash_only_can_be_withdrawn_by_the_beginning_of_its_id(graph: Any) -> None:
    label = graph.of_kind("label")[0]
    entry = {"_id": label, "collection": "labels", "content": graph.documents[label]["content"]}
    graph.database.collection("labels").delete_one({"_id": label})
    graph.database.collection("externals").insert_one(entry)
    withdraw(graph.database, [label[:14]], REASON, PERSON)
    assert set(taint(graph.database).origins) == {label} | graph.downstream(label)
    assert audit(graph.database).errors == []


@pytest.mark.parametrize(
    ("chosen", "options", "error", "message"),
    [
        (["label-" + "0" * 24], {}, NotFoundError, "no document label-0"),
        (["campaign"], {}, BadInputError, "is a campaign, on which no result stands"),
        (["label"], {"reason": "  "}, BadInputError, "the reason is empty"),
        (["label"], {"by": ""}, BadInputError, "say who withdraws with --by NAME, or set LIPSDB_PERSON"),
        (["label"], {"undo": True}, BadInputError, "is not withdrawn; `lipsdb list withdrawal` shows what is"),
        (["run", "label-" + "0" * 24], {}, NotFoundError, "no document label-0"),
    ],
)
def test_what_cannot_be_withdrawn_is_refused_and_nothing_is_stored(
    graph: Any, chosen: list[str], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    ids = [one if "-" in one else graph.of_kind(one)[0] for one in chosen]
    with pytest.raises(error, match=message):
        withdraw(graph.database, ids, **{"reason": REASON, "by": PERSON} | options)
    assert graph.database.collection("withdrawals").count_documents({}) == 0


def test_withdrawing_twice_names_who_did_it_first(graph: Any) -> None:
    label = graph.of_kind("label")[0]
    withdraw(graph.database, [label], REASON, PERSON)
    with pytest.raises(BadInputError, match=f"is withdrawn already, by Ada: {REASON}"):
        withdraw(graph.database, [label], "another", PERSON)
    record = next(graph.database.query("withdrawals"))["_id"]
    with pytest.raises(BadInputError, match="is a withdrawal, on which no result stands"):
        withdraw(graph.database, [record], REASON, PERSON)
