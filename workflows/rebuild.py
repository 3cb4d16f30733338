"""Rebuild: compute stored documents again from what they were made from, in isolation, and compare."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, Literal

from lipsdb.errors import BadInputError, LipsdbError, MissingProgramError, NotFoundError
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.summaries import summary_of
from lipsdb.store.database import Database
from lipsdb.workflows.agreement import Comparison, Outcome, Tolerance, compare
from lipsdb.workflows.isolation import borrow
from lipsdb.workflows.performers import maker_id, perform_again, performer_of
from lipsdb.workflows.tolerances import tolerances_for

Start = Literal["trajectory", "labels"]
Progress = Callable[[str, int, int], None]  # document, done, total

_BATCH = 1000
# What is computed again beside the documents asked for, if that is upstream of them
AGAIN: dict[Start, frozenset[str]] = {
    "trajectory": frozenset({"classifier", "property"}),
    "labels": frozenset({"dataset", "potential", "run", "structure", "classifier", "property"}),
}


@dataclass(frozen=True)
class Rebuilt:
    """One document that was computed again.

    Attributes
    ----------
    id, summary : str
    comparison : Comparison
        Of the stored answer with the new one.
    versions : dict of str to (str, str)
        Versions that are not what they were, then and now; 'commit' is that of lipsdb.
    core_seconds : float
        What it cost then.
    seconds : float
        What it took now.
    reason : str
        Why it could not be computed; empty if it was.
    """

    id: str
    summary: str
    comparison: Comparison
    versions: dict[str, tuple[str | None, str | None]]
    core_seconds: float
    seconds: float
    reason: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the answer stands."""
        return self.comparison.outcome not in {"different", "failed"}


@dataclass(frozen=True)
class _Plan:
    """What is computed, in this order; what is copied; and which documents come along with which run."""

    order: list[str]
    copied: dict[str, list[str]]  # ids by collection
    followers: dict[str, list[str]]
    documents: dict[str, dict[str, Any]]


def rebuild(
    source: Database,
    ids: Sequence[str],
    scratch: Database,
    start: Start = "trajectory",
    progress: Progress | None = None,
) -> list[Rebuilt]:
    """Compute documents again, and what is upstream of them as far as asked.

    Parameters
    ----------
    source : Database
        Where they are; nothing in it is changed.
    ids : sequence of str
        The documents: properties, classifiers, runs, datasets, potentials, structures, labels that were computed.
    scratch : Database
        An empty one (`isolated`); holds all that was computed afterwards.
    start : str
        'trajectory': the documents, and properties and classifiers upstream of them. 'labels': everything upstream of
        them down to the labels, which are taken as they are.
    progress : callable, optional
        Called with what is computed next, how many are done, and how many there are.

    Returns
    -------
    list of Rebuilt
        In the order in which they were computed.

    Raises
    ------
    BadInputError
        If a document was not computed, or what it was made from is not in this database. Nothing is computed then.
    """
    plan = _plan(source, ids, start)
    borrow(source, scratch, plan.copied)
    rebuilt: dict[str, Rebuilt] = {}
    contents: dict[str, str] = {}
    for done, id_ in enumerate(plan.order):
        document = plan.documents[id_]
        (progress or (lambda what, done, total: None))(summary_of(document), done, len(plan.order))
        begin = time.monotonic()
        inputs = [rebuilt[link["id"]] for link in document["inputs"] if link["id"] in rebuilt]
        found: dict[str, dict[str, Any]] = {}
        reason = next((f"its input {one.id} could not be computed" for one in inputs if one.reason), "")
        if not reason:
            try:
                found = _perform(scratch, document, contents)
            except MissingProgramError:
                raise
            except LipsdbError as error:
                reason = str(error)
        contents |= {key: made["content"] for key, made in found.items()}
        seconds = time.monotonic() - begin
        rebuilt[id_] = _rebuilt(document, found, _worst(inputs), (source, scratch), reason, seconds)
        for follower in plan.followers.get(id_, []):
            beside = _worst([rebuilt[id_]])
            rebuilt[follower] = _rebuilt(plan.documents[follower], found, beside, (source, scratch), reason, 0.0)
    return list(rebuilt.values())


# ---------------------------------------------------------------- what is to be done


def _plan(source: Database, ids: Sequence[str], start: Start) -> _Plan:
    asked = _fetch(source, ids)
    for id_ in ids:
        if id_ not in asked:
            raise NotFoundError(f"no document {id_} in this database")
    makers = {id_: maker_id(asked[id_]) for id_ in asked}
    targets = set(makers.values())
    links = _walk(source, targets, AGAIN[start], targets)
    again = {id_ for id_ in links if id_ in targets or id_.partition("-")[0] in AGAIN[start]}
    documents = asked | _fetch(source, sorted(again - asked.keys()))
    performers = [performer_of(documents[id_]) for id_ in again]
    for id_ in sorted(again):
        missing = [link for link in links[id_] if link not in links]
        if missing:
            raise BadInputError(
                f"{id_} was made from {len(missing)} documents that are not in this database ({missing[0]} …); "
                "ingest or import them, or start nearer to the end (--from trajectory)"
            )
    through = frozenset().union(*(performer.through for performer in performers))
    links |= _walk(source, {link for id_ in again for link in links[id_]} - again, through)
    copied: dict[str, list[str]] = {}
    for id_ in sorted(links.keys() - again):
        copied.setdefault(COLLECTIONS[id_.partition("-")[0]], []).append(id_)
    graph = {id_: [link for link in links[id_] if link in again] for id_ in sorted(again)}
    followers: dict[str, list[str]] = {}
    for id_, maker in makers.items():
        if id_ != maker:
            followers.setdefault(maker, []).append(id_)
    return _Plan(list(TopologicalSorter(graph).static_order()), copied, followers, documents)


def _walk(
    database: Database, starts: set[str], through: frozenset[str], targets: set[str] | frozenset[str] = frozenset()
) -> dict[str, list[str]]:
    """Ids of the inputs of documents: of the starts, and upstream of those of some kinds and of the targets."""
    found: dict[str, list[str]] = {}
    waiting, missing = set(starts), set()
    while waiting:
        links = {
            document["_id"]: [link["id"] for link in document["inputs"]]
            for document in _documents(database, sorted(waiting), {"inputs.id": 1})
        }
        missing |= waiting - links.keys()
        found |= links
        passed = [id_ for id_ in links if id_ in targets or id_.partition("-")[0] in through]
        waiting = {link for id_ in passed for link in links[id_]} - found.keys() - missing
    return found


def _documents(
    database: Database, ids: Sequence[str], fields: Mapping[str, int] | None = None
) -> Iterator[dict[str, Any]]:
    by_collection: dict[str, list[str]] = {}
    for id_ in ids:
        kind = id_.partition("-")[0]
        if kind in COLLECTIONS:
            by_collection.setdefault(COLLECTIONS[kind], []).append(id_)
    for name, wanted in by_collection.items():
        for begin in range(0, len(wanted), _BATCH):
            yield from database.collection(name).find({"_id": {"$in": wanted[begin : begin + _BATCH]}}, fields)


def _fetch(database: Database, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {document["_id"]: document for document in _documents(database, ids)}


# ---------------------------------------------------------------- doing it


def _perform(scratch: Database, document: Mapping[str, Any], contents: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Compute and store in the scratch database; by id."""
    folder = scratch.settings.scratch_folder / document["_id"]
    folder.mkdir()
    made = perform_again(scratch, document, contents, folder)
    for one in made:
        scratch.insert(one)
    shutil.rmtree(folder)
    return {one["_id"]: one for one in made}


def _worst(inputs: Sequence[Rebuilt]) -> Outcome:
    order: tuple[Outcome, ...] = ("equal", "within tolerance", "different", "failed", "statistically")
    return max((one.comparison.outcome for one in inputs), key=order.index, default="equal")


def _rebuilt(
    document: Mapping[str, Any],
    found: Mapping[str, dict[str, Any]],
    inputs: Outcome,
    databases: tuple[Database, Database],
    reason: str,
    seconds: float,
) -> Rebuilt:
    new, comparison = found.get(document["_id"]), Comparison("failed")
    if new is None:
        reason = reason or f"this version computes {', '.join(found)} in its place"
    elif new["content"] == document["content"]:
        comparison = Comparison("equal")
    else:
        try:
            pair = comparable(document, databases[0]), comparable(new, databases[1])
            comparison = compare(tolerances_for(document), *pair, inputs)
        except LipsdbError as error:  # what was stored cannot be read
            comparison, reason = Comparison("different"), str(error)
    versions = {} if new is None else version_changes(document["made_by"], new["made_by"])
    cost = float(document["made_by"]["core_seconds"])
    return Rebuilt(document["_id"], summary_of(document), comparison, versions, cost, seconds, reason)


def comparable(document: Mapping[str, Any], database: Database) -> Mapping[str, Any]:
    """Content and answer; of a run with the trajectory itself in place of its file, which names its writer's version.

    Raises
    ------
    LipsdbError
        If the trajectory cannot be read.
    """
    if document["kind"] != "run":
        return document
    from lipsdb.md.trajectory import read_trajectory

    trajectory = read_trajectory(database.artifacts.read(document["answer"]["trajectory"]["sha256"]))
    arrays = {"positions": trajectory.positions, "cell": trajectory.cell}
    return {"content": document["content"], "answer": {**document["answer"], "trajectory": arrays}}


def version_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[str | None, str | None]]:
    """Versions and commit that are not the same in two records of work (`made_by`), then and now.

    Examples
    --------
    >>> then = {"versions": {"numpy": "2.0", "scipy": "1.14"}, "commit": "abc"}
    >>> version_changes(then, {"versions": {"numpy": "2.4", "scipy": "1.14"}, "commit": "abc"})
    {'numpy': ('2.0', '2.4')}
    """
    pairs = {
        name: (before["versions"].get(name), after["versions"].get(name))
        for name in sorted({**before["versions"], **after["versions"]})
    } | {"commit": (before.get("commit"), after.get("commit"))}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def tolerances_of(rebuilt: Sequence[Rebuilt]) -> list[Tolerance]:
    """The tolerances that were needed, each once."""
    return list(dict.fromkeys(tolerance for one in rebuilt for tolerance in one.comparison.tolerances))
