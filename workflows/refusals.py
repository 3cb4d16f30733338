"""Labels that were refused: their documents, and how what is made from labels leaves them out."""

from __future__ import annotations

from collections.abc import Sequence

from lipsdb.documents.base import Input, Model
from lipsdb.documents.label import LabelAsked, LabelOrigin
from lipsdb.documents.refusal import Refusal, RefusalAnswer, RefusalAsked
from lipsdb.errors import RefusedError
from lipsdb.provenance.sealing import reference as reference_of
from lipsdb.store.database import Database

# What is wrong with the configuration or its level of theory, not with the machine: it would fail again.
FINAL_GATES = frozenset({"scf", "finite", "size", "structure", "valence", "level", "entropy", "ionic"})


def refusals_of(database: Database, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """References of the refusals of these labels, by the label's id; a label that came in later counts instead."""
    labels = [id_ for id_ in ids if id_.startswith("label-")]
    if not labels:
        return {}
    found = database.query(
        "refusals", {"asked.document": {"$in": labels}}, ["kind", "content", "asked.document"], {"_id": 1}
    )
    refused = {refusal["asked"]["document"]: reference_of(refusal) for refusal in found}
    came_later = database.existing("label", refused) if refused else set()
    return {id_: refused[id_] for id_ in refused.keys() - came_later}


def in_order(inputs: Sequence[Input]) -> list[Input]:
    """Inputs as they stand in a document: labels once each, by id, behind the others; refused ones at the end."""
    labels = {link.id: link for link in inputs if link.role == "label" and link.collection != "refusals"}
    refused = {link.id: link for link in inputs if link.collection == "refusals"}
    return [
        *(link for link in inputs if link.role != "label"),
        *(labels[id_] for id_ in sorted(labels)),
        *(refused[id_].model_copy(update={"role": "refused"}) for id_ in sorted(refused)),
    ]


def refusal_of(
    label_id: str,
    name: str,
    asked: LabelAsked,
    inputs: list[Input],
    origin: Model | None,
    error: RefusedError,
) -> Refusal:
    """The refusal of a label.

    Parameters
    ----------
    label_id, name : str
        Identity that the label would have had, and what a person calls it.
    asked, inputs
        The question.
    origin : LabelOrigin or None
        Where the configuration comes from, as far as that was reached.
    error : RefusedError
        The gate and the reason.
    """
    found = origin if isinstance(origin, LabelOrigin) else None
    return Refusal(
        asked=RefusalAsked(
            document=label_id,
            system=found.system if found else name,
            source=found.source if found else "",
            folder=found.folder if found else "",
            frame=found.frame if found else asked.frame,
            level_of_theory=asked.level_of_theory,
        ),
        inputs=inputs,
        answer=RefusalAnswer(gate=error.gate, reason=str(error)),
    )
