"""How one question is answered, once: identity, lock, work, artifacts, document.

A `Question` knows which document it asks for and from what it is made. Its id follows from that before anything runs.
The job `answer` is what a Firework runs: if the document exists it returns at once; otherwise it takes the lock of the
question's folder, lets the question's *performer* work there, and stores the one document. A label that fails its gate
is answered, too: by a `Refusal` with the reason, so that the workflow's other labels go on and it is not tried again.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from jobflow import CURRENT_JOB, Job, Maker, job

from lipsdb.documents import document_types
from lipsdb.documents.base import Document, Input, MadeBy, Model
from lipsdb.documents.label import LabelAsked
from lipsdb.errors import BadInputError, RefusedError
from lipsdb.export.private import names_of_this_machine
from lipsdb.provenance.kinds import falls_with
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.provenance.sealing import reference as reference_of
from lipsdb.provenance.withdrawal import Withdrawn, taint, withdrawn
from lipsdb.settings import Settings, read_settings
from lipsdb.store.database import Database, connect
from lipsdb.workflows.answer_size import check_size
from lipsdb.workflows.refusals import FINAL_GATES, in_order, refusal_of, refusals_of
from lipsdb.workflows.runs import join_labels_of_runs

PATIENCE_S = 90.0  # how long a worker waits for a server that went away
_PROGRESS_INTERVAL_S = 1.0


@lru_cache(maxsize=1)
def _database_of_process(pid: int, settings: Settings) -> Database:
    return connect(settings, patience_s=PATIENCE_S)


def worker_database() -> Database:
    """The database of this process (MongoDB clients must not cross a fork)."""
    return _database_of_process(os.getpid(), read_settings())


@dataclass(frozen=True)
class Selection:
    """Inputs chosen by a query when the question is asked: labels of a dataset."""

    role: str
    collection: str
    criteria: tuple[dict[str, Any], ...]  # each with its own stride and limit per system

    def expand(self, database: Database) -> list[Input]:
        """The chosen documents, in the order of their ids."""
        from lipsdb.workflows.labels import select_labels

        return [Input.of(self.role, reference) for reference in select_labels(database, self.criteria)]


@dataclass(frozen=True)
class Question:
    """A document that is wanted.

    Attributes
    ----------
    kind : str
        Kind of the document.
    name : str
        What a person calls it; the Firework's name.
    asked : Model
        Every parameter that changes the answer.
    inputs : tuple
        Pairs of a role and a `Question` or the reference of a document; or a `Selection`.
    performer : str
        ``module:function`` that does the work: ``(workplace, asked, inputs) -> (answer, made_by)``.
    category : str
        'dft', 'train', 'md' or 'analysis': which workers take it.
    options : dict
        What changes the speed but not the answer (ranks, threads, checkpoint interval).
    """

    kind: str
    name: str
    asked: Model
    inputs: tuple[Any, ...]
    performer: str
    category: str
    options: dict[str, Any] = field(default_factory=dict)
    _id: list[str] = field(default_factory=list, repr=False, compare=False)
    _answers: list[str] = field(default_factory=list, repr=False, compare=False)  # withdrawn ones

    @property
    def model(self) -> type[Document]:
        """The document's model."""
        return document_types()[self.kind]

    def id(self, database: Database, in_force: Mapping[str, Withdrawn] | None = None) -> str:
        """Identity of the document, known before it exists.

        If the answer was withdrawn, it is that of the next attempt.

        Parameters
        ----------
        database : Database
        in_force : mapping, optional
            The withdrawals in force, if they were read already.
        """
        if not self._id:
            in_force = withdrawn(database) if in_force is None else in_force
            links: list[Input] = []
            for link in self.inputs:
                if isinstance(link, Selection):
                    links += link.expand(database)
                elif isinstance(link[1], Question):
                    source = link[1]
                    links.append(
                        Input(
                            role=link[0],
                            collection=source.model.collection(),
                            id=source.id(database, in_force),
                            content="",
                        )
                    )
                else:
                    links.append(Input.of(link[0], link[1]))
            refused = refusals_of(database, [link.id for link in links if link.role == "label"])
            links = [Input.of("label", refused[link.id]) if link.id in refused else link for link in links]
            ids = (self.model.identity_of(self.asked, in_order(links), attempt) for attempt in count())
            self._answers.extend(takewhile(in_force.__contains__, ids))
            self._id.append(self.model.identity_of(self.asked, in_order(links), self.attempt))
        return self._id[0]

    @property
    def known_id(self) -> str:
        """Its `id`, once that was asked for; empty before."""
        return self._id[0] if self._id else ""

    @property
    def attempt(self) -> int:
        """How many answers to this question are withdrawn; known once its `id` is."""
        return len(self._answers)

    @property
    def replaces(self) -> str | None:
        """Id of the answer that was withdrawn last; known once its `id` is."""
        return self._answers[-1] if self._answers else None

    @property
    def size(self) -> float:
        """How large the work is, in MD or training steps; other work counts as few steps."""
        from lipsdb.workflows.estimate import size_of

        return size_of(self.kind, self.asked.model_dump())

    def parents(self) -> list[Question]:
        """The questions that must be answered before."""
        return [link[1] for link in self.inputs if not isinstance(link, Selection) and isinstance(link[1], Question)]

    def computed_from(self) -> list[Question | str]:
        """What must be right for the answer to be: questions, or ids of documents; not what a selection finds."""
        links = [link for link in self.inputs if not isinstance(link, Selection) and falls_with(self.kind, link[0])]
        return [link[1] if isinstance(link[1], Question) else link[1]["id"] for link in links]

    def job(self, sources: Mapping[int, Any], campaigns: Sequence[str], document_id: str | None = None) -> Job:
        """The job that answers it.

        Parameters
        ----------
        sources : mapping
            For each parent, by its Python ``id``: the reference of its document, or the output of its job.
        campaigns : sequence of str
            Who asks.
        document_id : str, optional
            Identity of the document, if it is known yet; stands in the Firework's spec as ``document``.
        """
        links: list[dict[str, Any]] = []
        for link in self.inputs:
            if isinstance(link, Selection):
                links.append({"role": link.role, "collection": link.collection, "selection": list(link.criteria)})
            else:
                source = sources[id(link[1])] if isinstance(link[1], Question) else link[1]
                links.append({"role": link[0], "reference": source})
        asked = self.asked.model_dump()
        made = answer(self.kind, asked, links, self.performer, self.options, list(campaigns), self.attempt)
        made.name = self.name
        made.metadata.update({"document": document_id, "campaigns": list(campaigns), "size": self.size})
        made.update_config({"manager_config": {"_category": self.category}})
        return made


@dataclass
class QuestionMaker(Maker):  # type: ignore[misc]
    """Base of our Makers: settings are fields, `question` says what is asked, `make` gives the job for a flow."""

    name: str = "question"

    def question(self, *sources: Any) -> Question:
        """What is asked, made from these sources: questions, or references of documents."""
        raise NotImplementedError

    def make(self, *sources: Any, campaigns: Sequence[str] = ()) -> Job:
        """The job that answers, for a jobflow Flow of one's own.

        Parameters
        ----------
        sources
            References of documents (``collection``, ``id``, ``content``), or outputs of other such jobs.
        campaigns : sequence of str
            Who asks.

        Returns
        -------
        jobflow.Job
            Its output is the reference of the document.
        """
        return self.question(*sources).job({}, campaigns)


@dataclass
class Workplace:
    """The folder in which one question is answered, and what the work there needs."""

    database: Database
    document_id: str
    folder: Path
    lock_fd: int
    watch: Stopwatch
    options: dict[str, Any]
    name: str = ""
    origin: Model | None = None  # of the document, for labels
    # documents made with this one, from its reference and the campaigns that ask
    followers: Callable[[dict[str, str], Sequence[str]], list[dict[str, Any]]] | None = None
    logs: list[dict[str, Any]] = field(default_factory=list)  # artifacts that a refusal keeps
    _last_progress: float = 0.0

    def progress(self, done: float, total: float, unit: str = "steps", note: str = "") -> None:
        """Tell how far the work is, with a remark; at most one round trip a second, and never a failure."""
        from pymongo.errors import PyMongoError

        from lipsdb.documents.base import now

        if time.monotonic() - self._last_progress < _PROGRESS_INTERVAL_S:
            return
        self._last_progress = time.monotonic()
        entry = {"name": self.name, "done": done, "total": total, "unit": unit, "pid": os.getpid(), "updated_at": now()}
        entry |= {"started_at": self.watch.started_at, "note": note}
        with contextlib.suppress(PyMongoError):
            self.database.quick.get_collection("progress").replace_one({"_id": self.document_id}, entry, upsert=True)

    def put(self, source: Path | bytes, name: str) -> dict[str, Any]:
        """Store an artifact."""
        return self.database.artifacts.put(source, name)

    def put_text(self, path: Path, name: str) -> dict[str, Any]:
        """Store a log or an input as an artifact, without paths, host and user of this machine: it is given away."""
        text = path.read_text("utf-8", errors="replace")
        for folder, sign in ((str(self.folder), "."), (sys.prefix, "$PREFIX"), (str(Path.home()), "~")):
            text = _without(folder, sign, text)
        text = names_of_this_machine(self.database.uri).without(text)
        return self.database.artifacts.put(text.encode(), name)


def _without(folder: str, sign: str, text: str) -> str:
    """A text with a sign in place of a path, also where the path is broken over two lines (CP2K's banners)."""
    broken = "(?:\n +)?".join(re.escape(character) for character in folder)
    return re.sub(f"{broken}(?![\\w-])", sign, text)


@contextlib.contextmanager
def _locked_folder(database: Database, document_id: str) -> Iterator[tuple[Path, int]]:
    """The question's own folder, with a lock that also a surviving child process keeps."""
    scratch = database.settings.scratch_folder / database.mongo.name
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / f"{document_id}.lock"
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                break
        os.close(descriptor)  # its last holder took the file away: lock the one that is there now
    try:
        folder = scratch / document_id
        folder.mkdir(exist_ok=True)
        yield folder, descriptor
        shutil.rmtree(folder, ignore_errors=True)
        path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _launch_of_this_job(database: Database) -> dict[str, Any]:
    """Which Firework and launch run now; empty outside FireWorks."""
    current = CURRENT_JOB.job
    if current is None:
        return {}
    fw_id = current.metadata.get("fw_id")
    launch = None
    if fw_id is not None:
        launch = database.collection("launches").find_one({"fw_id": fw_id}, {"launch_id": 1}, sort=[("launch_id", -1)])
    return {
        "job_uuid": current.uuid,
        "fw_id": fw_id,
        "launch_id": launch["launch_id"] if launch else None,
        "launchpad": database.identifier if fw_id is not None else None,
    }


def _note_document(database: Database, document_id: str) -> None:
    """Correct the id in the Firework's spec: labels that were refused meanwhile change what a dataset is made from."""
    current = CURRENT_JOB.job
    if current is None or current.metadata.get("document") in {None, document_id}:
        return
    criteria = {"fw_id": current.metadata.get("fw_id"), "spec.document": current.metadata["document"]}
    database.collection("fireworks").update_one(criteria, {"$set": {"spec.document": document_id}})


def _performer(path: str) -> Callable[..., tuple[Model | dict[str, Any], MadeBy]]:
    module, _, function = path.partition(":")
    try:
        return getattr(importlib.import_module(module), function)  # type: ignore[no-any-return]
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInputError(
            f"the performer {path!r} cannot be imported on this worker ({error}); install here what the submitter has"
        ) from error


def _inputs_of(database: Database, links: Sequence[Mapping[str, Any]]) -> list[Input]:
    inputs: list[Input] = []
    for link in links:
        if "selection" in link:
            inputs += Selection(link["role"], link["collection"], tuple(link["selection"])).expand(database)
        else:
            inputs.append(Input.of(link["role"], link["reference"]))
    # a level that was stored by another version of this package may have other remarks: it counts as it is stored
    levels = database.known([link.id for link in inputs if link.collection == "levels_of_theory"])
    return in_order([Input.of(link.role, levels[link.id]) if link.id in levels else link for link in inputs])


@job  # type: ignore[untyped-decorator]
def answer(
    kind: str,
    asked: dict[str, Any],
    links: list[dict[str, Any]],
    performer: str,
    options: dict[str, Any],
    campaigns: list[str],
    attempt: int = 0,
) -> dict[str, str]:
    """Answer a question: return the reference of its document, after making it if it does not exist.

    Parameters
    ----------
    kind, asked
        The document wanted.
    links : list of dicts
        Its inputs: ``{role, reference}``, or ``{role, collection, selection}``.
    performer : str
        ``module:function`` that does the work.
    options : dict
        What changes the speed but not the answer.
    campaigns : list of str
        Who asks.
    attempt : int
        How many earlier answers were withdrawn.

    Returns
    -------
    dict
        ``collection``, ``id`` and ``content`` of the document.
    """
    database = worker_database()
    model = document_types()[kind]
    question = model.model_fields["asked"].annotation.model_validate(asked)  # type: ignore[union-attr]
    inputs = _inputs_of(database, links)
    _check_standing(database, kind, inputs)
    document_id = model.identity_of(question, inputs, attempt)
    _note_document(database, document_id)
    reference = _answered(database, document_id)
    if reference is None:
        with _locked_folder(database, document_id) as (folder, lock_fd):
            reference = _answered(database, document_id)  # another worker may have answered while this one waited
            if reference is None:
                watch = Stopwatch(performer.rpartition(":")[2], launch=_launch_of_this_job(database))
                name = CURRENT_JOB.job.name if CURRENT_JOB.job is not None else document_id
                place = Workplace(database, document_id, folder, lock_fd, watch, dict(options), name)
                reference = _perform(place, model, question, inputs, performer, campaigns, attempt)
                database.collection("progress").delete_one({"_id": document_id})
    database.join_campaigns([reference["id"]], campaigns)
    if kind == "run":
        join_labels_of_runs(database, [reference["id"]], campaigns)
    return reference


def _check_standing(database: Database, kind: str, inputs: Sequence[Input]) -> None:
    """Compute nothing on what was withdrawn after the job was submitted."""
    marks = taint(database)
    used = [link.id for link in inputs if falls_with(kind, link.role)]
    for said in marks.of(*used):
        raise BadInputError(
            f"it would stand on {said.document}, withdrawn by {said.by}: {said.reason}; submit the campaign again, "
            "which asks otherwise, and give this Firework up (`lipsdb lpad defuse_fws`)"
        )


def _answered(database: Database, document_id: str) -> dict[str, str] | None:
    """Reference of the document, or of its refusal, if there is one."""
    known = database.known([document_id])
    return known.get(document_id) or refusals_of(database, [document_id]).get(document_id)


def _perform(
    place: Workplace,
    model: type[Document],
    question: Model,
    inputs: list[Input],
    performer: str,
    campaigns: Sequence[str],
    attempt: int = 0,
) -> dict[str, str]:
    """Do the work and store its document; for a label that fails its gate, store the refusal."""
    database = place.database
    try:
        result, made_by = _performer(performer)(place, question, inputs)
        check_size(question, result)
    except RefusedError as error:
        if not isinstance(question, LabelAsked) or error.gate not in FINAL_GATES:
            raise  # the Firework fails and can be run again: a full disk is no property of the configuration
        refusal = refusal_of(place.document_id, place.name, question, inputs, place.origin, error)
        return database.insert(refusal.sealed(place.watch.made_by(versions_of(), place.logs), campaigns))
    document = model(asked=question, inputs=inputs, answer=result, origin=place.origin, attempt=attempt).sealed(
        made_by, campaigns
    )
    if place.followers is None:
        return database.insert(document)
    # what was made from it first: a crash in between leaves labels without their run, which the next launch adds
    followers = place.followers(reference_of(document), campaigns)
    for kind in sorted({follower["kind"] for follower in followers}):
        database.insert_many([follower for follower in followers if follower["kind"] == kind])
    return database.insert(document)
