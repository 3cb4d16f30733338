"""Which labels go into a dataset, and their arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.provenance.canonical import decode_array
from lipsdb.provenance.sealing import reference
from lipsdb.provenance.withdrawal import taint
from lipsdb.store.database import Database

if TYPE_CHECKING:
    from lipsdb.potentials.training_set import LabelledFrames

_BATCH = 2000


def select_labels(database: Database, criteria: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """References of the labels that match any of several selections, in the order of their ids.

    Parameters
    ----------
    database : Database
    criteria : sequence of mappings
        Each with ``systems``, ``level_of_theory``, ``iterations`` (or None), ``stride`` and ``limit``
        (or None; per system).

    Raises
    ------
    NotFoundError
        If a named system has no labels, or only withdrawn ones.

    Notes
    -----
    Labels that are withdrawn, or stand on something that is, are left out, or replaced by another answer to the same
    question; the others stay those that were chosen.
    """
    tainted = taint(database).origins
    chosen: dict[str, dict[str, str]] = {}
    for selection in criteria:
        query: dict[str, Any] = {
            "origin.system": {"$in": list(selection["systems"])},
            "asked.level_of_theory": selection["level_of_theory"],
        }
        if selection.get("iterations") is not None:
            query["origin.iteration"] = {"$in": list(selection["iterations"])}
        fields = {"kind": 1, "content": 1, "origin": 1, "asked": 1, "attempt": 1}
        by_system: dict[str, list[dict[str, Any]]] = {name: [] for name in selection["systems"]}
        for label in database.collection("labels").find(query, fields):
            by_system[label["origin"]["system"]].append(label)
        for system, labels in by_system.items():
            if not labels:
                raise NotFoundError(
                    f"no labels of {system!r} at level of theory {selection['level_of_theory']!r} in this database; "
                    "`lipsdb query labels --by system` shows what there is, `lipsdb ingest` brings labels in"
                )
            wanted = _attempts(labels)[:: selection.get("stride", 1)][: selection.get("limit")]
            clean = [next((one for one in attempts if one["_id"] not in tainted), None) for attempts in wanted]
            kept = {label["_id"]: reference(label) for label in clean if label is not None}
            if not kept:
                first = next(iter(tainted[wanted[0][0]["_id"]]))
                raise NotFoundError(
                    f"all {len(wanted)} labels of {system!r} at level of theory {selection['level_of_theory']!r} stand "
                    f"on something withdrawn ({first}); `lipsdb query withdrawals` says why, other labels are needed"
                )
            chosen |= kept
    return [chosen[id_] for id_ in sorted(chosen)]


def _attempts(labels: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The answers to each question in the order of folders and frames; a withdrawn one may have been asked again."""
    questions: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for label in sorted(labels, key=lambda label: label.get("attempt", 0)):
        origin, asked = label["origin"], label["asked"]
        question = (origin["folder"], origin["frame"], asked.get("geometry") or "", asked.get("repeat", 0))
        questions.setdefault(question, []).append(label)
    return [questions[key] for key in sorted(questions)]


def load_labels(database: Database, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read whole labels by id, in few round trips.

    Raises
    ------
    BadInputError
        If a label is not in this database (it was used by an adopted potential, say).
    """
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(ids), _BATCH):
        for label in database.collection("labels").find({"_id": {"$in": list(ids[start : start + _BATCH])}}):
            found[label["_id"]] = label
    missing = [id_ for id_ in ids if id_ not in found]
    if missing:
        raise BadInputError(
            f"{len(missing)} labels are not in this database ({missing[0]} …); ingest the set they belong to"
        )
    return found


def frames_by_system(labels: Sequence[Mapping[str, Any]]) -> dict[str, LabelledFrames]:
    """Stack labels with the same atoms, by system.

    Parameters
    ----------
    labels : sequence of label documents
        In the order in which they are to stand.

    Returns
    -------
    dict
        Name to `LabelledFrames`. A system that has several compositions gets one entry for each.
    """
    from lipsdb.potentials.training_set import LabelledFrames

    groups: dict[tuple[str, bytes], list[Mapping[str, Any]]] = {}
    for label in labels:
        answer = label["answer"]
        groups.setdefault((label["origin"]["system"], decode_array(answer["numbers"]).tobytes()), []).append(answer)
    names = [system for system, _ in groups]
    stacked: dict[str, LabelledFrames] = {}
    for (system, _), answers in groups.items():
        name = (
            system
            if names.count(system) == 1
            else f"{system}-{len([key for key in stacked if key.startswith(system)])}"
        )
        with_virial = all(answer["virial"] is not None for answer in answers)
        stacked[name] = LabelledFrames(
            numbers=decode_array(answers[0]["numbers"]),
            positions=np.stack([decode_array(answer["positions"]) for answer in answers]),
            cells=np.stack([decode_array(answer["cell"]) for answer in answers]),
            energies=np.array([answer["energy_eV"] for answer in answers]),
            forces=np.stack([decode_array(answer["forces"]) for answer in answers]),
            virials=np.stack([decode_array(answer["virial"]) for answer in answers]) if with_virial else None,
        )
    return stacked
