from __future__ import annotations

from typing import Any

import pytest

from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.provenance.audit import audit
from lipsdb.provenance.sealing import reference, seal
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


def test_a_withdrawal_that_came_from_another_database_is_not_undone_by_an_undo_of_another(graph: Any) -> None:
    label = graph.of_kind("label")[0]
    withdraw(graph.database, [label], REASON, PERSON)
    record = next(graph.database.query("withdrawals"))
    asked = record["asked"] | {"by": "Bob", "reason": "its forces are not zero"}
    of_bob = seal("withdrawal", asked, record["inputs"], record["answer"], record["made_by"])
    withdraw(graph.database, [label], "the SCF was right", PERSON, undo=True)
    assert withdrawn(graph.database) == {}
    graph.database.insert(of_bob)
    assert withdrawn(graph.database)[label].by == "Bob"
    withdraw(graph.database, [label], "they are", "Bob", undo=True)
    assert withdrawn(graph.database) == {}


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


def store_labels_of_a_run(graph: Any, run: dict[str, Any], level: dict[str, Any]) -> tuple[str, str]:
    """A label of a frame of a run, and a dataset of that label; their ids."""
    stored, dataset = graph.documents[graph.of_kind("label")[0]], graph.documents[graph.of_kind("dataset")[0]]
    links = [{"role": "level_of_theory", **reference(level)}, {"role": "run", **reference(run)}]
    asked = stored["asked"] | {"geometry": None, "frame": 3}
    label = seal("label", asked, links, stored["answer"], stored["made_by"], [], stored["origin"])
    of_label = [{"role": "label", **reference(label)}]
    made = seal("dataset", dataset["asked"], of_label, dataset["answer"], dataset["made_by"])
    for document in (label, made):
        graph.database.insert(document)
    return label["_id"], made["_id"]


@pytest.mark.parametrize("n_others", [0, 9])  # nine sets of roots and more are told apart by another query
def test_a_label_stands_on_its_level_and_on_an_ab_initio_run_but_not_on_the_run_that_gave_its_frame(
    graph: Any, n_others: int
) -> None:
    level, classical = (graph.documents[graph.of_kind(kind)[0]] for kind in ("level_of_theory", "run"))
    of_level = [{"role": "level_of_theory", **reference(level)}, *classical["inputs"][:1]]
    aimd = seal("run", {"program": "cp2k", "settings": {}}, of_level, classical["answer"], classical["made_by"])
    graph.database.insert(aimd)
    of_classical, of_aimd = (store_labels_of_a_run(graph, run, level) for run in (classical, aimd))
    others = graph.of_kind("label")[:n_others]
    withdraw(graph.database, [classical["_id"], *others], "its disk was bad", PERSON)
    marks = taint(graph.database)
    assert classical["_id"] in marks.origins
    assert not {*of_classical, *of_aimd} & marks.origins.keys()
    withdraw(graph.database, [aimd["_id"]], "its time step was too long", PERSON)
    marks = taint(graph.database)
    assert {one.document for one in marks.of(*of_aimd)} == {aimd["_id"]}
    assert marks.of(*of_classical) == ()
    withdraw(graph.database, [level["_id"]], "its basis set was too small", PERSON)
    marks = taint(graph.database)
    assert level["_id"] in {one.document for one in marks.of(of_classical[1])}
    assert set(graph.of_kind("label")) <= marks.origins.keys()
