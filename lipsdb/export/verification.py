"""Verifying an archive without any database: is every file, document, link and number what it says it is?"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from bson import json_util

from lipsdb.documents.base import is_file_name
from lipsdb.export.archive import ARTIFACTS, DESCRIPTION, DOCUMENTS, EXTERNALS_FILE, TABLES, Progress
from lipsdb.export.archive_zip import UNREADABLE, description, lines_of, open_archive, read_text
from lipsdb.export.crate import MANIFEST, METADATA
from lipsdb.export.record import artifact_references
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.sealing import seal_faults

_BLOCK = 1 << 20
_OPTIONS = json_util.JSONOptions(tz_aware=True)
_ID = re.compile(rf"(?:{'|'.join(COLLECTIONS)})-[0-9a-f]{{24}}")


@dataclass
class Verification:
    """What was found in an archive.

    Attributes
    ----------
    path : Path
    campaign : str
    fingerprint : str
        SHA-256 of the manifest.
    about : dict
        The content of ``archive.json``.
    faults : list of str
        What is not as it says; empty if the archive is sound.
    counts : dict
        What was checked, by what it is.
    contents : dict
        Content hash of each document, by id.
    sources : dict
        Ids of the documents in the archive that each document was made from, where there are any.
    externals : dict
        Collection and content hash of documents that are elsewhere, by id.
    files : dict
        Artifacts that documents name, by hash: their size and name (of several names the first by the alphabet).
    """

    path: Path
    campaign: str = ""
    fingerprint: str = ""
    about: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    externals: dict[str, dict[str, str]] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def verified(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def count(self, what: str, number: int = 1) -> None:
        """Note that so much was checked."""
        self.counts[what] = self.counts.get(what, 0) + number


def verify_archive(path: Path, progress: Progress | None = None) -> Verification:
    """Check an archive: files against the manifest, documents against their hashes, links, artifacts, tables.

    Parameters
    ----------
    path : Path
        As `lipsdb.export.archive.export_archive` writes it.
    progress : callable, optional
        Called with stage, how many files are done, and how many there are.

    Returns
    -------
    Verification

    Raises
    ------
    BadInputError
        If it is no archive at all, or one that could do harm (`lipsdb.export.archive_zip.open_archive`).

    Notes
    -----
    What is not checked: whether the fingerprint is the one that was published; numbers in tables that no document
    states in the field of the same name; CSV and Markdown, beyond their hashes; what environment and PROV say.
    """
    with open_archive(path) as archive:
        return _Check(archive, Verification(path), progress or (lambda stage, done, total: None)).run()


def stored_documents(stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The documents of a file of an archive, as MongoDB stores them, one at a time."""
    for line in lines_of(stream):
        yield json_util.loads(line.decode(), json_options=_OPTIONS)


def _is_withheld_file(entry: Any) -> bool:
    types = {"sha256": str, "size": int, "name": str, "reason": str}
    return (
        isinstance(entry, dict)
        and entry.keys() == types.keys()
        and all(isinstance(entry[key], type_) for key, type_ in types.items())
    )


@dataclass(slots=True)
class _Link:
    consumer: str
    id: str
    content: str


class _HashedReader(io.RawIOBase):
    """Reads a file and hashes what passes."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self.digest = source, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._source.read(len(buffer))
        self.digest.update(block)
        buffer[: len(block)] = block
        return len(block)


class _Check:
    """One pass through an archive."""

    def __init__(self, archive: zipfile.ZipFile, found: Verification, report: Progress) -> None:
        self.archive, self.found, self.report = archive, found, report
        self.names = [entry.filename for entry in archive.infolist()]
        self.hashes: dict[str, str] = {}
        self.waiting: list[_Link] = []
        self.rows: dict[str, list[tuple[str, dict[str, Any]]]] = {}  # of tables, by the id of their document

    def run(self) -> Verification:
        found = self.found
        found.about = self._about()
        found.campaign = str(found.about.get("campaign"))
        manifest = self._try(MANIFEST, self._manifest) or {}
        for name in self.names:
            if name.startswith(f"{TABLES}/") and name.endswith(".json"):
                self._try(name, self._table)
        self._try(EXTERNALS_FILE, self._externals)
        readers = {DOCUMENTS: self._documents}
        for done, name in enumerate(self.names):
            self.report("files", done, len(self.names))
            self._hash(name, manifest, readers.get(name.partition("/")[0]))
        self._links()
        self._artifacts()
        self._tables()
        self._description()
        self._try(METADATA, self._metadata)
        return found

    def _about(self) -> dict[str, Any]:
        """What ``archive.json`` says; of withheld files what has the right shape, so that all else can rely on it."""
        about = description(self.archive)
        entries = about.get("withheld")
        listed = entries if isinstance(entries, list) else []
        sound = {entry["sha256"]: entry for entry in listed if _is_withheld_file(entry)}
        if not isinstance(entries, list) or len(sound) < len(entries):
            self._fault(DESCRIPTION, "'withheld' must list files, each once, with sha256, size, name and reason")
        return about | {"withheld": list(sound.values())}

    def _fault(self, where: str, what: str) -> None:
        self.found.faults.append(f"{where}: {what}")

    def _try(self, name: str, check: Callable[[str], Any]) -> Any:
        """A check of a file; that it is missing or damaged is a fault like others."""
        try:
            return check(name)
        except KeyError as error:
            self._fault(name, f"is missing ({error})" if name not in self.names else f"has no {error}")
        except (*UNREADABLE, ValueError, TypeError, AttributeError) as error:
            self._fault(name, f"cannot be read ({type(error).__name__}: {error})")
        return None

    # ---------------------------------------------------------------- files

    def _manifest(self, name: str) -> dict[str, str]:
        text = read_text(self.archive, name)
        self.found.fingerprint = hashlib.sha256(text.encode()).hexdigest()
        entries: dict[str, str] = {}
        for line in text.splitlines():
            sha256, separator, path = line.partition("  ")
            if not separator or not re.fullmatch("[0-9a-f]{64}", sha256):
                self._fault(name, f"the line {line[:100]!r} is not a hash and a path")
            elif path in entries:
                self._fault(name, f"{path} stands in it twice")
            entries[path] = sha256
        for path in sorted(entries.keys() - set(self.names)):
            self._fault(path, "stands in the manifest but is missing")
        for path in sorted(set(self.names) - entries.keys() - {MANIFEST}):
            self._fault(path, "does not stand in the manifest")
        return entries

    def _hash(self, name: str, manifest: Mapping[str, str], read: Callable[[str, IO[bytes]], None] | None) -> None:
        """Read a file once: hashed, and checked by what it is."""
        try:
            with self.archive.open(name) as stream:
                hashed = _HashedReader(stream)
                with io.BufferedReader(cast(io.RawIOBase, hashed), _BLOCK) as buffered:
                    if read is not None:
                        read(name, cast(IO[bytes], buffered))
                    while buffered.read(_BLOCK):
                        pass
        except (*UNREADABLE, ValueError) as error:
            self._fault(name, f"cannot be read ({type(error).__name__}: {error})")
            return
        self.hashes[name] = hashed.digest.hexdigest()
        if manifest.get(name, self.hashes[name]) != self.hashes[name]:
            self._fault(name, "is not the file that was written (its SHA-256 is not the manifest's)")
        self.found.count("files")

    # ---------------------------------------------------------------- documents

    def _documents(self, name: str, stream: IO[bytes]) -> None:
        collection = Path(name).stem
        for number, line in enumerate(lines_of(stream), 1):
            where = f"{name} line {number}"
            try:
                document = json_util.loads(line.decode(), json_options=_OPTIONS)
                faults = [f"{document.get('_id')}: {fault}" for fault in seal_faults(document)]
                self._document(name, collection, document)
            except Exception as error:  # damage can take any form; each is a fault
                faults = [f"cannot be read ({type(error).__name__}: {error})"]
            for fault in faults:
                self._fault(where, fault)

    def _document(self, name: str, collection: str, document: Mapping[str, Any]) -> None:
        id_, found = document["_id"], self.found
        if COLLECTIONS.get(document["kind"]) != collection:
            self._fault(f"{name}, {id_}", f"is a {document['kind']}, which does not belong there")
        if id_ in found.contents:
            self._fault(f"{name}, {id_}", "is there twice")
        if document.get("campaigns") not in ([], [found.campaign]):
            self._fault(f"{name}, {id_}", f"names other campaigns than {found.campaign!r}")
        found.contents[id_] = document["content"]
        found.count(collection)
        for link in document["inputs"]:
            if COLLECTIONS.get(link["id"].partition("-")[0]) != link["collection"]:
                self._fault(id_, f"its input {link['id']} does not belong to {link['collection']}")
            self.waiting.append(_Link(id_, link["id"], link["content"]))
        for reference in artifact_references([document["answer"], document["made_by"]]):
            self._file(id_, reference)
        for table, row in self.rows.get(id_, ()):
            self._row(table, row, document)

    def _file(self, id_: str, reference: dict[str, Any]) -> None:
        sha256, name = reference["sha256"], reference["name"]
        if not is_file_name(name):
            self._fault(id_, f"names a file {name!r:.100}, which could leave its folder")
            return
        known = self.found.files.setdefault(sha256, reference)
        if known["size"] != reference["size"]:
            self._fault(id_, f"the size of {sha256} differs from what others say")
        elif name < known["name"]:
            self.found.files[sha256] = reference

    def _externals(self, name: str) -> None:
        for line in read_text(self.archive, name).splitlines():
            entry = json.loads(line)
            id_, content, collection = entry["id"], entry["content"], entry["collection"]
            if id_ in self.found.externals or COLLECTIONS.get(id_.partition("-")[0]) != collection:
                self._fault(name, f"{id_} is there twice, or does not belong to {collection}")
            self.found.externals[id_] = {"id": id_, "collection": collection, "content": content}

    def _links(self) -> None:
        contents, sources = self.found.contents, dict[str, list[str]]()
        for link in self.waiting:
            if link.id in contents:
                known = contents[link.id]
                sources.setdefault(link.consumer, []).append(link.id)
            elif link.id in self.found.externals:
                known = self.found.externals[link.id]["content"]
                self.found.count("external links")
            else:
                self._fault(link.consumer, f"its input {link.id} is missing")
                continue
            if known != link.content:
                self._fault(link.consumer, f"its input {link.id} has another content than when it was used")
            self.found.count("links")
        for id_ in sorted(self.found.externals.keys() & contents.keys()):
            self._fault(id_, "is a document of the archive and noted as being elsewhere")
        for id_ in sorted(self.found.externals.keys() - {link.id for link in self.waiting}):
            self._fault(id_, "is noted as being elsewhere, but nothing was made from it")
        self.found.sources = {id_: tuple(made_from) for id_, made_from in sources.items()}

    # ---------------------------------------------------------------- artifacts

    def _artifacts(self) -> None:
        withheld = {entry["sha256"]: entry for entry in self.found.about["withheld"]}
        present = {name.partition("/")[2] for name in self.names if name.startswith(f"{ARTIFACTS}/")}
        for sha256, reference in sorted(self.found.files.items()):
            name = f"{ARTIFACTS}/{sha256}"
            if sha256 not in present and sha256 not in withheld:
                self._fault(name, f"({reference['name']}) is missing")
            elif sha256 in present and sha256 in withheld:
                self._fault(name, "is there, but archive.json says that it was withheld")
            elif sha256 in withheld and any(withheld[sha256][key] != reference[key] for key in ("size", "name")):
                self._fault(name, "was withheld with another size or name than the documents say")
            elif sha256 in present and self.hashes.get(name, sha256) != sha256:
                self._fault(name, f"({reference['name']}) is damaged: its SHA-256 is not its name")
            elif sha256 in present and self.archive.getinfo(name).file_size != reference["size"]:
                self._fault(name, f"({reference['name']}) has not the size that the documents say")
            self.found.count("artifacts" if sha256 in present else "artifacts withheld")
        for sha256 in sorted((present | withheld.keys()) - self.found.files.keys()):
            self._fault(f"{ARTIFACTS}/{sha256}", "belongs to no document")

    # ---------------------------------------------------------------- tables and metadata

    def _table(self, name: str) -> None:
        for row in json.loads(read_text(self.archive, name))["rows"]:
            self.rows.setdefault(str(row.get("id") or ""), []).append((name, row))

    def _row(self, table: str, row: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        """Numbers of a row that the document states in the field of the same name."""
        for key, value in row.items():
            stated = document["answer"].get(key)
            if isinstance(value, (bool, int, float)) and isinstance(stated, (bool, int, float)):
                if value != stated:
                    self._fault(table, f"{key} of {document['_id']} is {value}; the document says {stated}")
                self.found.count("numbers in tables")

    def _tables(self) -> None:
        for rows in self.rows.values():
            for table, row in rows:
                for id_ in sorted(set(_ID.findall(json.dumps(row)))):
                    if id_ not in self.found.contents and id_ not in self.found.externals:
                        self._fault(table, f"names {id_}, which is not in the archive")
                    self.found.count("ids in tables")

    def _description(self) -> None:
        documents = {name: self.found.counts[name] for name in COLLECTIONS.values() if name in self.found.counts}
        counted = {
            "documents": documents,
            "artifacts": self.found.counts.get("artifacts", 0),
            "externals": len(self.found.externals),
        }
        for what, number in counted.items():
            if self.found.about.get(what) != number:
                self._fault(DESCRIPTION, f"says {what}: {self.found.about.get(what)}, but there are {number}")

    def _metadata(self, name: str) -> None:
        entities = {entity["@id"]: entity for entity in json.loads(read_text(self.archive, name))["@graph"]}
        conforms = str(entities[METADATA]["conformsTo"]["@id"])
        if not conforms.startswith("https://w3id.org/ro/crate/1."):
            self._fault(name, f"conforms to {conforms!r}, which is no RO-Crate 1")
        parts = {part["@id"] for part in entities["./"]["hasPart"]}
        for path in sorted(parts ^ (set(self.names) - {METADATA})):
            self._fault(name, f"describes {path}, which is missing" if path in parts else f"does not describe {path}")
        for path in sorted(parts & self.hashes.keys()):
            if entities[path].get("sha256", self.hashes[path]) != self.hashes[path]:
                self._fault(name, f"gives another SHA-256 for {path}")
            reference = self.found.files.get(path.removeprefix(f"{ARTIFACTS}/"))
            if reference is not None and entities[path].get("name") != reference["name"]:
                self._fault(name, f"gives another name for {path} than the documents ({reference['name']})")
