"""Withdrawing documents: nothing is erased, but everything made from them shows that it stands on them.

A withdrawal is a document of its own. Which documents are tainted is never stored: it follows, whenever it is asked,
from the withdrawals in force and the links of the documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.provenance.kinds import COLLECTIONS, RECORDS

if TYPE_CHECKING:
    from lipsdb.store.database import Database

_NOT_WITHDRAWN = RECORDS | {"campaign", "refusal"}


@dataclass(frozen=True)
class Withdrawn:
    """A withdrawal in force.

    Attributes
    ----------
    document : str
        Id of the document that is withdrawn.
    reason, by : str
        Why, and who said so.
    at : datetime
        When (UTC).
    record : str
        Id of the withdrawal.
    """

    document: str
    reason: str
    by: str
    at: datetime
    record: str


@dataclass(frozen=True)
class Taint:
    """What stands on withdrawn documents: everything that was made from them, however far.

    A label stands on what computed it (its level of theory, an ab initio run), not on where its configuration came
    from: it holds that configuration, and its energy and forces are right for it or not by themselves.

    Attributes
    ----------
    withdrawn : dict
        The withdrawals in force, by the id of the withdrawn document.
    origins : dict
        For each withdrawn document and each one downstream of it, the ids of the withdrawn documents it stands on.
    """

    withdrawn: Mapping[str, Withdrawn] = field(default_factory=dict)
    origins: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def of(self, *ids: str) -> tuple[Withdrawn, ...]:
        """Withdrawals of these documents or of anything that they were made from; empty if they are clean."""
        found = frozenset().union(*(self.origins.get(id_, frozenset()) for id_ in ids))
        return tuple(self.withdrawn[id_] for id_ in sorted(found))


def withdrawn(database: Database) -> dict[str, Withdrawn]:
    """The documents that are withdrawn now, by id, each with the newest of its withdrawals in force; one round trip."""
    return {id_: said[-1] for id_, said in _in_force(database).items()}


def _in_force(database: Database) -> dict[str, list[Withdrawn]]:
    """The withdrawals in force of each document, newest last."""
    pipeline: list[dict[str, Any]] = [
        {"$project": {"asked": 1, "at": "$answer.at", "inputs.id": 1}},
        {"$sort": {"asked.document": 1, "at": 1, "_id": 1}},
    ]
    records = list(database.collection(COLLECTIONS["withdrawal"]).aggregate(pipeline))
    undone = undone_by(records)
    found: dict[str, list[Withdrawn]] = {}
    for record in records:
        asked = record["asked"]
        if asked["withdrawn"] and record["_id"] not in undone:
            said = Withdrawn(asked["document"], asked["reason"], asked["by"], record["at"], record["_id"])
            found.setdefault(said.document, []).append(said)
    return found


def undone_by(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """For each withdrawal that was undone, the record that undid it: it names the withdrawals that it undoes.

    So a withdrawal stays in force when the records of two databases come together, unless it was undone itself.
    """
    undoing = (record for record in records if not record["asked"]["withdrawn"])
    return {link["id"]: record["_id"] for record in undoing for link in record["inputs"]}


def taint(database: Database) -> Taint:
    """What stands on withdrawn documents now; one round trip if nothing is withdrawn."""
    from lipsdb.provenance.downstream import origins_downstream

    in_force = withdrawn(database)
    return Taint(in_force, origins_downstream(database, in_force, configurations=False)) if in_force else Taint()


def withdraw(
    database: Database, ids: Sequence[str], reason: str, by: str, *, undo: bool = False
) -> list[dict[str, Any]]:
    """Say that documents are not to be trusted, or that they are after all.

    Parameters
    ----------
    database : Database
    ids : sequence of str
        Documents, or unambiguous beginnings of their ids. They may be known by id and content hash only (the labels
        that an adopted potential was trained on).
    reason : str
    by : str
        Name of the person who says so.
    undo : bool
        Undo their withdrawal.

    Returns
    -------
    list of dicts
        References of the records. Nothing else is changed.

    Raises
    ------
    NotFoundError
        If there is no such document.
    BadInputError
        If it is withdrawn already (or, with `undo`, is not), cannot be withdrawn, or reason or person are missing. Then
        nothing is stored.
    """
    from lipsdb.documents.base import Input, now
    from lipsdb.documents.withdrawal import Withdrawal, WithdrawalAnswer, WithdrawalAsked
    from lipsdb.provenance.machine import Stopwatch, versions_of

    if not reason.strip():
        raise BadInputError("the reason is empty; say why, such as --reason 'SCF converged to another state'")
    if not by.strip():
        raise BadInputError("nobody is named; say who withdraws with --by NAME, or set LIPSDB_PERSON")
    references = {reference["id"]: reference for reference in (_reference(database, id_) for id_ in ids)}
    in_force = _in_force(database)
    _check({id_: said[-1] for id_, said in in_force.items()}, references, undo)
    undone = database.known(said.record for id_ in references for said in in_force.get(id_, ())) if undo else {}
    numbers = _numbers(database, list(references))
    watch = Stopwatch("withdraw")
    records = []
    for id_, reference in references.items():
        asked = WithdrawalAsked(
            document=id_, withdrawn=not undo, number=numbers.get(id_, 0), reason=reason.strip(), by=by.strip()
        )
        links = [Input.of("withdrawn", reference)]
        links += [Input.of("withdrawal", undone[said.record]) for said in (in_force[id_] if undo else ())]
        document = Withdrawal(asked=asked, inputs=links, answer=WithdrawalAnswer(at=now()))
        records.append(document.sealed(watch.made_by(versions_of())))
    database.insert_many(records)
    return list(database.known(record["_id"] for record in records).values())


def _check(in_force: Mapping[str, Withdrawn], references: Mapping[str, Any], undo: bool) -> None:
    for id_ in references:
        known = in_force.get(id_)
        if undo and known is None:
            raise BadInputError(f"{id_} is not withdrawn; `lipsdb list withdrawal` shows what is")
        if not undo and known is not None:
            raise BadInputError(
                f"{id_} is withdrawn already, by {known.by}: {known.reason}; to give another reason undo that first "
                f"(`lipsdb withdraw --undo {id_} …`)"
            )


def _reference(database: Database, id_: str) -> dict[str, str]:
    from lipsdb.provenance.sealing import reference
    from lipsdb.store.database import EXTERNALS

    kind = id_.partition("-")[0]
    if kind in _NOT_WITHDRAWN:
        remedy = "withdraw a result; a withdrawal is undone with --undo and the id of the document that it names"
        raise BadInputError(f"{id_} is a {kind}, on which no result stands; {remedy}")
    try:
        return reference(database.find(id_))
    except NotFoundError:
        named = {"_id": {"$gte": id_, "$lt": id_ + "\uffff"}}
        found = list(database.query(EXTERNALS, named, limit=2))
        if len(found) != 1:
            raise
        return {"collection": found[0]["collection"], "id": found[0]["_id"], "content": found[0]["content"]}


def _numbers(database: Database, ids: Sequence[str]) -> dict[str, int]:
    """How many records about each document there are."""
    pipeline: list[dict[str, Any]] = [
        {"$match": {"asked.document": {"$in": list(ids)}}},
        {"$group": {"_id": "$asked.document", "number": {"$max": "$asked.number"}}},
    ]
    found = database.collection(COLLECTIONS["withdrawal"]).aggregate(pipeline)
    return {entry["_id"]: entry["number"] + 1 for entry in found}
