"""From a stored document back to the work that made it: which performer, with which inputs, and doing it again."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipsdb.documents import document_types
from lipsdb.documents.base import Input
from lipsdb.errors import BadInputError
from lipsdb.provenance.machine import Stopwatch
from lipsdb.provenance.sealing import reference
from lipsdb.store.database import Database
from lipsdb.workflows import properties
from lipsdb.workflows.answering import Workplace

OF_RUNS = tuple(name for name in properties.__all__ if name.startswith("measure_"))
_SECOND_LOOK = frozenset({"run"})  # a trajectory is read with the structure that its run started from


@dataclass(frozen=True)
class Performer:
    """A function that answers questions.

    Attributes
    ----------
    path : str
        ``module:function``, as a `lipsdb.workflows.answering.Question` names it.
    kind : str
        Kind of the documents that it makes; others (labels of an ab initio run) come along with them.
    through : frozenset of str
        Kinds of inputs behind which it looks further up: what those were made from must be there, too.
    """

    path: str
    kind: str
    through: frozenset[str] = frozenset()

    @property
    def activity(self) -> str:
        """What stands in ``made_by.activity`` of its documents."""
        return self.path.rpartition(":")[2]


def _of(module: str, kind: str, *functions: str, through: frozenset[str] = frozenset()) -> dict[str, Performer]:
    return {name: Performer(f"lipsdb.workflows.{module}:{name}", kind, through) for name in functions}


PERFORMERS: dict[str, Performer] = {
    **_of("structure", "structure", "build_structure"),
    **_of("relaxation", "structure", "relax_by_cp2k", "relax_by_vasp"),
    **_of("single_points", "label", "label_by_cp2k", "label_by_vasp", through=_SECOND_LOOK),
    **_of("aimd", "run", "run_aimd_by_cp2k", "run_aimd_by_vasp"),
    **_of("potential", "dataset", "freeze_dataset"),
    # to the labels; train_deepmd is its name from before there were several engines
    **_of("potential", "potential", "train_potential", "train_deepmd", through=frozenset({"dataset"})),
    **_of("molecular_dynamics", "run", "run_md"),
    **_of("softness", "classifier", "train_softness_classifier", through=_SECOND_LOOK),
    **_of("properties", "property", *OF_RUNS, through=_SECOND_LOOK),
    **_of("properties", "property", "fit_arrhenius_line", "strain_structure"),
    **_of("potential_choice", "property", "choose_potential", through=frozenset({"dataset"})),
    **_of(
        "potential_test",
        "property",
        "measure_prediction_errors",
        through=frozenset({"potential", "dataset"}),  # were the labels trained on?
    ),
}


def performer_of(document: Mapping[str, Any]) -> Performer:
    """The performer that made a stored document.

    Parameters
    ----------
    document : mapping
        At least its ``_id`` and ``made_by.activity``.

    Raises
    ------
    BadInputError
        If it was not computed (an ingested label, a campaign), or by something that this version does not know.

    Examples
    --------
    >>> performer_of({"_id": "property-1", "made_by": {"activity": "measure_diffusion"}}).path
    'lipsdb.workflows.properties:measure_diffusion'
    """
    id_, activity = str(document["_id"]), str(document["made_by"]["activity"])
    kind = id_.partition("-")[0]
    if activity in PERFORMERS and kind != "refusal":
        return PERFORMERS[activity]
    kinds = ", ".join(sorted({performer.kind for performer in PERFORMERS.values()}))
    if kind in {performer.kind for performer in PERFORMERS.values()} and activity not in {"ingest", "describe"}:
        raise BadInputError(
            f"{id_} was made by {activity!r}, which this version of lipsdb does not have; "
            f"it has {', '.join(PERFORMERS)}; install the version that stands in its made_by"
        )
    raise BadInputError(
        f"{id_} was not computed ({activity}), so that it cannot be computed again; "
        f"what can be are computed documents of these kinds: {kinds}"
    )


def maker_id(document: Mapping[str, Any]) -> str:
    """Id of the document whose question has to be answered again to get this one: its own, or that of its run."""
    if document["_id"].partition("-")[0] == performer_of(document).kind:
        return str(document["_id"])
    return next(str(link["id"]) for link in document["inputs"] if link["role"] == "run")


def perform_again(
    database: Database, document: Mapping[str, Any], contents: Mapping[str, str], folder: Path
) -> list[dict[str, Any]]:
    """Answer the question of a stored document again. Nothing is stored, but for artifacts of runs and potentials.

    Parameters
    ----------
    database : Database
        Holds what the document was made from; artifacts go there.
    document : mapping
        As read from MongoDB.
    contents : mapping
        Content hash by id of those inputs that are not what they were.
    folder : Path
        An empty folder to work in.

    Returns
    -------
    list of dict
        Sealed documents: the one that answers the question, then those made with it.
    """
    performer = performer_of(document)
    model = document_types()[performer.kind]
    asked = model.model_fields["asked"].annotation.model_validate(document["asked"])  # type: ignore[union-attr]
    links = [
        Input.model_validate(link | {"content": contents.get(link["id"], link["content"])})
        for link in document["inputs"]
    ]
    descriptor = os.open(folder.parent / f"{folder.name}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        options = _options(database, document)
        place = Workplace(
            database, document["_id"], folder, descriptor, Stopwatch(performer.activity), options, document["_id"]
        )
        module, _, function = performer.path.partition(":")
        answer, made_by = getattr(importlib.import_module(module), function)(place, asked, links)
    finally:
        os.close(descriptor)
    attempt = int(document.get("attempt", 0))
    made = model(asked=asked, inputs=links, answer=answer, origin=place.origin, attempt=attempt).sealed(made_by)
    followers: Sequence[dict[str, Any]] = () if place.followers is None else place.followers(reference(made), ())
    return [made, *followers]


def _options(database: Database, document: Mapping[str, Any]) -> dict[str, Any]:
    """How the work was shared out, as far as the record tells: it decides how sums are rounded.

    Notes
    -----
    LAMMPS' log tells ranks and restart interval (on steps with a restart file it sets itself up anew). Else the cores
    are the cost over the time it took.
    """
    made_by = document["made_by"]
    seconds = (made_by["finished_at"] - made_by["started_at"]).total_seconds()
    cores = round(made_by["core_seconds"] / seconds) if seconds > 0 else 1
    cores = min(max(cores, 1), os.cpu_count() or 1)
    options = {"ranks": cores, "threads": cores}
    log = next((file["sha256"] for file in made_by.get("files", []) if file["name"] == "log.lammps"), None)
    if log is not None:
        text = database.artifacts.read(log).decode("utf-8", errors="replace")
        found = {
            "ranks": re.search(r"^Loop time of \S+ on (\d+) procs", text, re.MULTILINE),
            "checkpoint_steps": re.search(r"^restart\s+(\d+) ", text, re.MULTILINE),
        }
        options |= {name: int(match.group(1)) for name, match in found.items() if match is not None}
    return options
