"""Impact: which numbers fall if a document, a level of theory, a program version or a machine turns out wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.provenance.downstream import Downstream, Reach, reach
from lipsdb.provenance.kinds import COLLECTIONS, RECORDS, RESULTS
from lipsdb.provenance.label_origins import LabelOrigins
from lipsdb.provenance.summaries import summary_fields, summary_of
from lipsdb.store.batches import ANSWER

if TYPE_CHECKING:
    from lipsdb.store.database import Database


_SHOWN = 20
# where documents name artifacts, beside `made_by.files`
_FILES = {
    "potential": ("answer.model.sha256", "answer.files.sha256", "answer.active_set.sha256"),
    "run": (
        "answer.trajectory.sha256",
        "answer.topology.sha256",
        "answer.restart.sha256",
        "answer.extrapolation.selected.sha256",
    ),
    "campaign": ("answer.file.sha256",),
}


@dataclass(frozen=True)
class PublishedNumber:
    """A property that depends on what was asked about.

    Attributes
    ----------
    id, property, value : str
        `value` is one line with the number and its unit.
    campaigns : tuple of str
        In whose tables it stands.
    final : bool
        Whether no other number was made from it.
    """

    id: str
    property: str
    value: str
    campaigns: tuple[str, ...]
    final: bool


@dataclass(frozen=True)
class Impact:
    """What depends on something.

    Attributes
    ----------
    asked : str
        What was asked about.
    of : dict
        How many documents that is itself, by kind or name of property.
    between : dict
        How many documents of each kind stand between these and the numbers.
    numbers : dict
        How many numbers depend on it, by property.
    published : tuple of PublishedNumber
        The numbers that are listed: those that no other was made from come first, Arrhenius fits and the like before
        all.
    """

    asked: str
    of: dict[str, int]
    between: dict[str, int]
    numbers: dict[str, int]
    published: tuple[PublishedNumber, ...]

    @property
    def n_numbers(self) -> int:
        """All numbers, listed or not."""
        return sum(self.numbers.values())


@dataclass
class _Start:
    """Where the walk begins."""

    asked: str
    roots: set[str] = field(default_factory=set)
    n_labels: int = 0  # in bulk, beside the roots
    labelled: set[str] = field(default_factory=set)  # what was made from those


def impact_of_document(database: Database, id_: str, limit: int = _SHOWN) -> Impact:
    """What depends on a document: its id, an unambiguous beginning of it, or the id of one known as external.

    Raises
    ------
    NotFoundError
        If it is neither stored nor named as an input.
    """
    try:
        id_ = database.find(id_)["_id"]
    except NotFoundError:
        walk, kind = Downstream(database), id_.partition("-")[0]
        if not walk.consumers(kind, [id_]) and not walk.has_labels(kind, [id_]):
            raise
    if id_.partition("-")[0] in RECORDS:
        raise BadInputError(f"{id_} is a record about other documents; nothing depends on it; ask about its document")
    return _impact(database, _Start(id_, {id_}), limit)


def impact_of_artifact(database: Database, sha256: str, limit: int = _SHOWN) -> Impact:
    """What depends on a file: the SHA-256 of its bytes, or at least eight digits of its beginning.

    Raises
    ------
    NotFoundError
        If no document names it.
    """
    beginning = {"$gte": sha256, "$lt": sha256 + "g"}
    roots: set[str] = set()
    for kind, name in RESULTS.items():
        for path in ("made_by.files.sha256", *_FILES.get(kind, ())):
            parent, _, last = path.rpartition(".")
            several = parent in {"made_by.files", "answer.files"}
            criteria = {parent: {"$elemMatch": {last: beginning}}} if several else {path: beginning}
            roots.update(str(entry["_id"]) for entry in database.collection(name).find(criteria, {"_id": 1}))
    if not roots:
        raise NotFoundError(f"no document names a file {sha256}; `lipsdb show ID` prints the hashes of its files")
    return _impact(database, _Start(f"the file {sha256}", roots), limit)


def impact_of_level(database: Database, name: str, limit: int = _SHOWN) -> Impact:
    """What depends on a level of theory, by its name.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    """
    levels = database.collection(COLLECTIONS["level_of_theory"])
    roots = {str(entry["_id"]) for entry in levels.find({"asked.name": name}, {"_id": 1})}
    if not roots:
        raise _unknown("level of theory", name, levels.distinct("asked.name"))
    return _impact(database, _Start(f"the level of theory {name}", roots), limit)


def impact_of_host(database: Database, host: str, limit: int = _SHOWN) -> Impact:
    """What depends on anything that was made on a machine.

    Raises
    ------
    NotFoundError
        If nothing was.
    """
    start = _Start(f"the host {host}")
    chosen = {
        name: {"made_by.versions": {"$in": records}, "made_by.host": host}
        for name, records in _records(database).items()
    }
    _made_by(database, start, chosen)
    if not start.roots and not start.n_labels:
        raise _unknown("host", host, _known_hosts(database))
    start.labelled = LabelOrigins(database).made_by(host=host)
    return _impact(database, start, limit)


def impact_of_version(database: Database, version: str, limit: int = _SHOWN) -> Impact:
    """What depends on a version of a program, such as ``LAMMPS=2 Aug 2023``.

    Raises
    ------
    NotFoundError
        If nothing was made with it; names the versions that there are.
    """
    program, equals, number = version.partition("=")
    known = known_versions(database)
    if program not in known:
        raise _unknown("program", program, known)
    if not equals or number not in known[program]:
        raise _unknown(f"version of {program}", number, [f"{program}={one}" for one in known[program]])
    start = _Start(f"{program} {number}")
    chosen = {
        name: {"made_by.versions": {"$in": [one for one in records if one.get(program) == number]}}
        for name, records in _records(database).items()
    }
    _made_by(database, start, chosen)
    start.labelled = LabelOrigins(database).made_by(versions=[version])
    return _impact(database, start, limit)


def known_versions(database: Database) -> dict[str, list[str]]:
    """The versions of each program that took part in anything."""
    found: dict[str, set[str]] = {}
    for records in _records(database).values():
        for record in records:
            for program, version in record.items():
                found.setdefault(program, set()).add(str(version))
    return {program: sorted(versions) for program, versions in sorted(found.items())}


def _records(database: Database) -> dict[str, list[Mapping[str, Any]]]:
    """The different records of versions in each collection; from the index, however many documents there are."""
    return {name: database.collection(name).distinct("made_by.versions") for name in RESULTS.values()}


def _known_hosts(database: Database) -> set[str]:
    return {
        str(host)
        for name, records in _records(database).items()
        for record in records
        for host in database.collection(name).distinct("made_by.host", {"made_by.versions": record})
    }


def _made_by(database: Database, start: _Start, chosen: Mapping[str, Mapping[str, Any]]) -> None:
    """Take what was made by certain programs or on a machine; labels by their number alone."""
    for name, criteria in chosen.items():
        collection = database.collection(name)
        if name == RESULTS["label"]:
            start.n_labels = int(database.mongo.command("count", name, query=criteria)["n"])
        else:
            found = collection.find(criteria, {"_id": 1}, batch_size=ANSWER)
            start.roots.update(str(entry["_id"]) for entry in found)


def _unknown(what: str, value: str, known: Iterable[str]) -> NotFoundError:
    names = sorted(known)
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return NotFoundError(f"no {what} {value!r} in this database; there are {shown or 'none'}")


def _impact(database: Database, start: _Start, limit: int) -> Impact:
    roots = Downstream(database).what(start.roots)
    found = reach(database, roots, labelled=start.labelled)
    of = {what: len(some) for what, some in roots.items()}
    if start.n_labels:
        of["label"] = of.get("label", 0) + start.n_labels
    numbers = {
        what: found.ids.get(what, set()) | roots.get(what, set())
        for what in found.ids.keys() | roots.keys()
        if what not in COLLECTIONS
    }
    between = {what: len(some) for what, some in found.ids.items() if what in COLLECTIONS}
    if found.n_labels:
        between["label"] = found.n_labels
    chosen = list(islice(_ordered(database, found, numbers), limit or None))
    counts = {what: len(some) for what, some in sorted(numbers.items())}
    return Impact(start.asked, of, _by_kind(between), counts, tuple(_published(database, chosen)))


def _by_kind(counts: Mapping[str, int]) -> dict[str, int]:
    return {kind: counts[kind] for kind in COLLECTIONS if counts.get(kind)}


def _ordered(database: Database, found: Reach, numbers: Mapping[str, set[str]]) -> Iterator[tuple[str, bool]]:
    """Ids of the numbers, those that no other was made from first, and whether they are."""
    derived = {made for source, made in found.direct | found.steps if source not in COLLECTIONS}
    used: set[str] = set()
    for what in derived & numbers.keys():
        of_these = {"_id": {"$in": sorted(numbers[what])}}
        for entry in database.collection(RESULTS["property"]).find(of_these, {"inputs.id": 1}, batch_size=ANSWER):
            used.update(str(link["id"]) for link in entry["inputs"])
    for is_used in (False, True):
        for what in sorted(numbers, key=lambda what: (what not in derived, what)):
            yield from ((id_, not is_used) for id_ in sorted(numbers[what] & used if is_used else numbers[what] - used))


def _published(database: Database, chosen: list[tuple[str, bool]]) -> Iterator[PublishedNumber]:
    wanted = [id_ for id_, _ in chosen]
    fields = [*summary_fields("property"), "campaigns"]
    stored = {one["_id"]: one for one in database.query(RESULTS["property"], {"_id": {"$in": wanted}}, fields)}
    for id_, final in chosen:
        if id_ in stored:
            document = stored[id_]
            value = summary_of(document).removeprefix("property: ")
            yield PublishedNumber(id_, str(document["asked"]["property"]), value, tuple(document["campaigns"]), final)


def is_hash(text: str) -> bool:
    """Whether this may be the beginning of an artifact's hash rather than a document's id.

    Examples
    --------
    >>> is_hash("00ff00ff"), is_hash("label-00ff")
    (True, False)
    """
    return re.fullmatch("[0-9a-f]{8,64}", text) is not None


def counted(numbers: Mapping[str, int]) -> str:
    """Numbers of documents, in words.

    Examples
    --------
    >>> counted({"run": 1, "property": 2, "prediction_errors": 3})
    '1 run, 2 properties, 3 prediction_errors'
    """
    return ", ".join(f"{n} {COLLECTIONS.get(what, what) if n > 1 else what}" for what, n in numbers.items())
