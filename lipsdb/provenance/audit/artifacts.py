"""Audit of artifacts: every blob is read and hashed again, and belongs to a document."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.provenance.audit.findings import Progress, Survey
from lipsdb.provenance.audit.reading import lenient
from lipsdb.provenance.packed import ids as packed_ids
from lipsdb.store.batches import batches

if TYPE_CHECKING:
    from lipsdb.store.database import Database

_SHA256 = re.compile("[0-9a-f]{64}")
_REFERENCE = np.dtype(
    [("sha256", "S32"), ("document", f"S{packed_ids.WIDTH}"), ("name", "<u8"), ("size", "<i8"), ("imported", "?")]
)
_FIELDS = {"_id", "kind", "name", "size", "place", "key", "compression", "crc32"}
_REMAINS = "(harmless remains of an interrupted job; running the job again uses or replaces them)"


class References:
    """Which documents name which artifacts, by which name and with which size: 62 bytes each."""

    def __init__(self) -> None:
        self._added = bytearray()
        self._sorted = np.empty(0, _REFERENCE)

    def add(self, document: str, reference: Mapping[str, Any], *, imported: bool = False) -> None:
        """Note a reference; one that is illegible was found by the document's content hash.

        An imported document came from another database.
        """
        sha256, size, id_ = str(reference["sha256"]), reference["size"], packed_ids.packed(document)
        if id_ is not None and _SHA256.fullmatch(sha256) is not None:
            legible = isinstance(size, int) and 0 <= size < 2**63
            numbers = _number(reference["name"]) + (size if legible else -1).to_bytes(8, "little", signed=True)
            self._added += bytes.fromhex(sha256) + id_ + numbers + bytes([imported])

    def _all(self) -> np.ndarray:
        if self._added:
            added, self._added = np.frombuffer(bytes(self._added), _REFERENCE), bytearray()
            self._sorted = np.sort(np.concatenate([self._sorted, added]), order="sha256")
        return self._sorted

    def __iter__(self) -> Iterator[str]:
        return (_text(sha256) for sha256 in np.unique(self._all()["sha256"]).tolist())

    def _of(self, sha256: str) -> np.ndarray:
        everything, wanted = self._all(), np.array(bytes.fromhex(sha256), "S32")
        first, last = (np.searchsorted(everything["sha256"], wanted, side) for side in ("left", "right"))
        return everything[first:last]

    def documents(self, sha256: str) -> list[str]:
        """The documents that name an artifact."""
        return sorted({packed_ids.unpacked(id_) for id_ in self._of(sha256)["document"].tolist()})

    def named(self, sha256: str, name: str) -> bool:
        """Whether a document gives it this name."""
        return bool((self._of(sha256)["name"] == int.from_bytes(_number(name), "little")).any())

    def only_imported(self, sha256: str) -> bool:
        """Whether all documents that name an artifact came from other databases."""
        return bool(self._of(sha256)["imported"].all())

    def sized(self, sha256: str, size: Any) -> bool:
        """Whether all documents that name an artifact give it this size."""
        return isinstance(size, int) and bool((self._of(sha256)["size"] == size).all())

    def without(self, present: bytes) -> list[str]:
        """Those that are not among these digests, which stand one behind the other."""
        absent = np.setdiff1d(self._all()["sha256"], np.frombuffer(present, "S32"))
        return [_text(sha256) for sha256 in absent.tolist()]


def is_imported(document: Mapping[str, Any], database: str) -> bool:
    """Whether what is sealed in a document tells that it is not from the database with this identifier."""
    made_by = document.get("made_by")
    if not isinstance(made_by, Mapping):
        return False
    return str(made_by.get("host")).startswith("withheld:") or made_by.get("launchpad") not in {None, database}


def _number(name: Any) -> bytes:
    return hashlib.blake2b(str(name).encode(), digest_size=8).digest()


def _text(sha256: bytes) -> str:
    return sha256.ljust(32, b"\0").hex()  # NumPy takes zeros off the end


def check_artifacts(database: Database, survey: Survey, progress: Progress, references: References) -> None:
    """Read every artifact again and hash it; find those that are missing, and those that nobody names.

    Parameters
    ----------
    database : Database
    survey : Survey
        Of damaged artifacts it learns who names them.
    progress : callable
        Told how many bytes are done.
    references : References
        Of all documents in the scope.
    """
    from lipsdb.store.database import WITHHELD

    total, done, present, keys = _bytes(database, survey, references), 0, bytearray(), bytearray()
    for entry in _entries(database, survey, references):
        sha256, size = str(entry["_id"]), entry.get("size")
        size = size if isinstance(size, int) else 0
        keys += _number(entry.get("key"))
        if _SHA256.fullmatch(sha256) is not None:
            present += bytes.fromhex(sha256)

        def tell(n_bytes: int, before: int = done) -> None:
            progress("artifact bytes", before + n_bytes, max(before + n_bytes, total))

        for fault in _faults(database, entry, references, tell):
            _report(survey, references, sha256, f"{entry.get('name')}: {fault}")
        if survey.scope is None and not references.documents(sha256):
            survey.note("orphans", sha256, f"the artifact {entry.get('name')} belongs to no document {_REMAINS}")
        done += size
        survey.counts["artifacts"] += 1
    progress("artifact bytes", done, done)
    survey.counts["artifact bytes"] = done
    withheld = {entry["_id"]: entry for entry in lenient(database, WITHHELD).find({})}
    for sha256 in references.without(bytes(present)):
        if sha256 in withheld and _is_excused(withheld[sha256], references):
            reason = withheld[sha256].get("reason")
            survey.counts["files withheld"] += 1
            survey.note("artifacts", sha256, f"withheld from the archive that was imported: it {reason}")
            continue
        message = f"it is missing, but {references.documents(sha256)[0]} names it; restore it from a dump"
        _report(survey, references, sha256, message)
    if survey.scope is None:
        _find_orphans(database, survey, bytes(keys))


def _is_excused(entry: Mapping[str, Any], references: References) -> bool:
    """Whether an artifact may be missing: an archive came without it, and what was made here does not name it.

    The note of that is not sealed, so it must say what the documents say.
    """
    sha256 = str(entry["_id"])
    return (
        references.only_imported(sha256)
        and references.sized(sha256, entry.get("size"))
        and references.named(sha256, str(entry.get("name")))
    )


def _report(survey: Survey, references: References, sha256: str, message: str) -> None:
    survey.error("artifacts", sha256, message)
    survey.files[sha256] = references.documents(sha256)


def _faults(
    database: Database, entry: dict[str, Any], references: References, tell: Callable[[int], None]
) -> Iterator[str]:
    """What is wrong with an artifact's document or its blob."""
    here, place, sha256 = database.artifacts.blobs.place, entry.get("place"), str(entry["_id"])
    if place == here:
        fault = database.artifacts.fault(entry, tell)
        if fault is not None:
            yield fault
    else:
        yield f"its blob lies in {place!r}, but LIPSDB_ARTIFACTS names {here!r}; set it right"
    fixed = entry.get("kind") == "artifact" and entry.get("compression") == "zstd"
    numbers = all(isinstance(entry.get(name), int) for name in ("size", "crc32"))
    if entry.keys() != _FIELDS or not fixed or not numbers:
        yield "the fields of its document are not those that were stored"
    elif references.documents(sha256) and not references.named(sha256, entry["name"]):
        yield "no document that names it gives it this name"


def _find_orphans(database: Database, survey: Survey, keys: bytes) -> None:
    """Blobs of which no artifact's document tells."""
    known = np.unique(np.frombuffer(keys, "<u8"))
    for key in database.artifacts.blobs.keys():  # noqa: SIM118 (a method of the store, not of a dict)
        number = np.frombuffer(_number(key), "<u8")
        if not np.isin(number, known, assume_unique=True)[0]:
            survey.note("orphans", f"blob-{key}", f"a blob without an artifact {_REMAINS}")


def _selected(survey: Survey, references: References) -> Iterator[dict[str, Any]]:
    """Criteria for all artifacts, or for those that are named by a document in the scope, some at a time."""
    if survey.scope is None:
        yield {}
        return
    for batch in batches(list(references)):
        yield {"_id": {"$in": batch}}


def _bytes(database: Database, survey: Survey, references: References) -> int:
    """Size of all artifacts, as recorded."""
    total = 0
    for criteria in _selected(survey, references):
        stages: list[dict[str, Any]] = [{"$match": criteria}, {"$group": {"_id": None, "size": {"$sum": "$size"}}}]
        total += sum(int(found["size"]) for found in database.collection("artifacts").aggregate(stages))
    return total


def _entries(database: Database, survey: Survey, references: References) -> Iterator[dict[str, Any]]:
    for criteria in _selected(survey, references):
        yield from lenient(database, "artifacts").find(criteria)
