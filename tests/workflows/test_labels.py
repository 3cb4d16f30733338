"""Which labels a selection finds when some of them were withdrawn and computed again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lipsdb.documents.base import Input
from lipsdb.documents.label import Label, LabelAnswer, LabelAsked, LabelOrigin
from lipsdb.errors import NotFoundError
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.provenance.withdrawal import withdraw
from lipsdb.store.database import Database
from lipsdb.workflows.labels import select_labels

RUN = Input(role="run", collection="runs", id="run-" + "0" * 24, content="0" * 64)


def store_label(database: Database, frame: int, attempt: int = 0) -> str:
    """A single point of a frame of a run that is elsewhere; its id."""
    database.note_external([RUN.model_dump()])
    origin = {"source": "cp2k", "folder": RUN.id, "trajectory": True, "iteration": None}
    label = Label(
        asked=LabelAsked(frame=frame, level_of_theory="PBE"),
        inputs=[RUN],
        answer=LabelAnswer(
            geometry="0" * 64, formula="P2", n_atoms=2, numbers=np.array([15, 15], "u1"), positions=np.zeros((2, 3)),
            cell=np.eye(3) * 5, energy_eV=-1.0 - attempt, forces=np.zeros((2, 3)), virial=None,
        ),
        origin=LabelOrigin(system="P2", frame=frame, temperatures_K=[], pressures_bar=[], **origin),
        attempt=attempt,
    )  # fmt: skip
    return database.insert(label.sealed(Stopwatch("label").made_by(versions_of())))["id"]


def chosen(database: Database, **selection: Any) -> set[str]:
    criteria = {"systems": ["P2"], "level_of_theory": "PBE", "iterations": None, "stride": 1, "limit": None}
    return {label["id"] for label in select_labels(database, [criteria | selection])}


def test_a_withdrawn_label_leaves_the_others_as_they_were_and_its_next_answer_takes_its_place(
    database: Database,
) -> None:
    labels = [store_label(database, frame) for frame in range(6)]
    assert chosen(database, stride=2) == {labels[0], labels[2], labels[4]}
    withdraw(database, [labels[2]], "another state", "Ada")
    assert chosen(database, stride=2) == {labels[0], labels[4]}
    again = store_label(database, 2, attempt=1)
    assert chosen(database, stride=2) == {labels[0], again, labels[4]}
    withdraw(database, [labels[2]], "the same state", "Ada", undo=True)
    assert chosen(database) == set(labels)


def test_a_selection_of_withdrawn_labels_only_is_refused_with_what_was_withdrawn(database: Database) -> None:
    labels = [store_label(database, frame) for frame in range(2)]
    withdraw(database, labels, "another functional", "Ada")
    with pytest.raises(NotFoundError, match=r"all 2 labels of 'P2' .* stand on something withdrawn .label-"):
        chosen(database)


def test_a_label_does_not_stand_on_the_run_that_gave_its_configuration(database: Database) -> None:
    labels = {store_label(database, frame) for frame in range(2)}
    from lipsdb.provenance.downstream import origins_downstream

    assert set(origins_downstream(database, [RUN.id])) == {RUN.id, *labels}
    assert chosen(database) == labels
