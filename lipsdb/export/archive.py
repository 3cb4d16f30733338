"""A campaign as one file for strangers: an RO-Crate with everything that its numbers stand on.

Documents go out one at a time, artifacts block by block; in memory are ids, hashes and file names.
"""

from __future__ import annotations

import json
import platform
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from bson import json_util

import lipsdb
from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.export.archive_readme import readme
from lipsdb.export.crate import CrateWriter
from lipsdb.export.private import PrivateNames, private_names, signatures
from lipsdb.export.prov_file import prov_blocks
from lipsdb.export.record import artifact_references
from lipsdb.provenance.kinds import COLLECTIONS, RESULTS, counted
from lipsdb.provenance.lineage import upstream_ids
from lipsdb.provenance.links import by_collection, links_of
from lipsdb.provenance.sealing import SCHEMA_VERSION, withheld
from lipsdb.provenance.summaries import summary_fields
from lipsdb.store.batches import batches
from lipsdb.store.database import EXTERNALS, WITHHELD, Database

FORMAT = "lipsdb archive 1"
DESCRIPTION, EXTERNALS_FILE, ENVIRONMENT, PROV = "archive.json", "externals.jsonl", "environment.json", "prov.json"
DOCUMENTS, ARTIFACTS, TABLES, CAMPAIGN = "documents", "artifacts", "tables", "campaign"
_BLOCK = 1 << 20

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class WithheldFile:
    """An artifact that is known by its hash only, and why."""

    sha256: str
    size: int
    name: str
    reason: str


@dataclass(frozen=True)
class Archive:
    """What was written.

    Attributes
    ----------
    path : Path
    fingerprint : str
        SHA-256 of the manifest, which has the hash of every other file.
    documents : dict
        How many by collection.
    n_artifacts, n_externals : int
        Artifacts in it; documents that are named by id and content hash only.
    withheld : list of WithheldFile
        Artifacts that were left out since they name a host or a user.
    """

    path: Path
    fingerprint: str
    documents: dict[str, int]
    n_artifacts: int
    n_externals: int
    withheld: list[WithheldFile]


def export_archive(
    database: Database,
    campaign: str,
    path: Path,
    tables: Mapping[str, str],
    *,
    with_hosts: bool = False,
    progress: Progress | None = None,
) -> Archive:
    """Write a campaign with everything upstream of it into one file.

    Parameters
    ----------
    database : Database
    campaign : str
        Its name.
    path : Path
        The zip file; an existing one is replaced once the new one is complete.
    tables : mapping
        The campaign's tables as texts, by file name.
    with_hosts : bool
        Whether names of hosts and users may stand in it.
    progress : callable, optional
        Called with stage, how many are done, and how many there are.

    Returns
    -------
    Archive
        The same campaign gives the same bytes, as long as nothing was added to it.

    Raises
    ------
    NotFoundError
        If there is no such campaign, or something that it stands on is missing or damaged.
    BadInputError
        If the file cannot be written, or a document names a host or user in what is sealed.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise BadInputError(
            f"{str(path)!r} cannot be written; give a file in a folder that exists, such as {campaign}.zip"
        )
    newest = _newest(database, campaign)
    asked_for, ids, externals = _what_belongs(database, campaign)
    names = None if with_hosts else private_names(database, ids)
    temporary = path.with_name(f".{path.name}.part")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            check = partial(_check_text, None if names is None else names.signed(signatures(database, ids)))
            crate = CrateWriter(archive, check)
            writing = _Writing(database, crate, names, check, progress or (lambda stage, done, total: None))
            writing.documents(ids, asked_for, campaign)
            writing.artifacts()
            about = writing.about(campaign, len(externals))
            writing.texts(ids, newest, tables, externals, about)
            what = str(newest["asked"]["specification"].get("description") or f"Campaign {campaign}")
            fingerprint = crate.close(f"lipsdb campaign {campaign}", what, newest["made_by"]["finished_at"])
        temporary.replace(path)
    except OSError as error:
        raise BadInputError(f"{str(path)!r} cannot be written: {error.strerror}; give another file") from error
    finally:
        temporary.unlink(missing_ok=True)
    return Archive(path, fingerprint, writing.counts, about["artifacts"], len(externals), writing.left_out)


def _check_text(names: PrivateNames | None, where: str, text: str) -> None:
    found = None if names is None else names.found_in(text)
    if found is not None:
        raise BadInputError(f"{where} {found}, and it cannot be changed; write it as it is with --with-hosts")


def _newest(database: Database, campaign: str) -> dict[str, Any]:
    """The campaign as it was submitted last."""
    newest_first = {"made_by.finished_at": -1, "_id": 1}
    for document in database.query("campaigns", {"asked.name": campaign}, sort=newest_first, limit=1):
        return document
    names = ", ".join(sorted(database.collection("campaigns").distinct("asked.name")))
    remedy = f"there are: {names}" if names else "there is none yet; `lipsdb campaign submit FILE` makes one"
    raise NotFoundError(f"no campaign {campaign!r} in this database; {remedy}")


def _what_belongs(database: Database, campaign: str) -> tuple[set[str], list[str], list[dict[str, str]]]:
    """Ids that the campaign asked for; of all documents, records about them included; entries of those elsewhere."""
    roots = {
        entry["_id"] for name in RESULTS.values() for entry in database.query(name, {"campaigns": campaign}, ["_id"])
    }
    named = upstream_ids(database, sorted(roots))
    present: set[str] = set()
    for name, wanted in by_collection(named).items():
        present |= database.existing(next(kind for kind in COLLECTIONS if COLLECTIONS[kind] == name), wanted)
    externals: list[dict[str, str]] = []
    for batch in batches(sorted(named - present)):
        found = database.collection(EXTERNALS).find({"_id": {"$in": batch}})
        externals += [{"id": one["_id"], "collection": one["collection"], "content": one["content"]} for one in found]
    missing = sorted(named - present - {entry["id"] for entry in externals})
    if missing:
        raise NotFoundError(
            f"{len(missing)} of the documents that {campaign!r} stands on are not in this database ({missing[0]} …); "
            "`lipsdb audit` tells what is missing"
        )
    records, before = _records(database, campaign, named)
    externals = sorted([*externals, *before], key=lambda entry: entry["id"])
    return roots, sorted(present | records), externals


def _records(database: Database, campaign: str, named: Set[str]) -> tuple[set[str], list[dict[str, str]]]:
    """Ids of withdrawals of what is named and of audits of the campaign; entries of the audits before these.

    An audit of the whole database names what other campaigns hold: it stays at home.
    """
    records: set[str] = set()
    for batch in batches(sorted(named)):
        found = database.collection(COLLECTIONS["withdrawal"]).find({"inputs.id": {"$in": batch}}, {"_id": 1})
        records.update(entry["_id"] for entry in found)
    audits = list(database.query(COLLECTIONS["audit"], {"asked.campaign": campaign}, ["inputs"]))
    records.update(audit["_id"] for audit in audits)
    links = {link["id"]: link for audit in audits for link in links_of(audit) if link["id"] not in records}
    return records, [{key: link[key] for key in ("id", "collection", "content")} for link in links.values()]


def _json(value: Any) -> str:
    return json_util.dumps(
        value,
        json_options=json_util.CANONICAL_JSON_OPTIONS,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )


@dataclass
class _Writing:
    """What goes into the crate, and what was met on the way through the documents."""

    database: Database
    crate: CrateWriter
    names: PrivateNames | None  # that must not stand in it; None if all may
    check: Callable[[str, str], None]  # of its texts
    report: Progress
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    versions: dict[str, set[str]] = field(default_factory=dict)
    commits: set[str] = field(default_factory=set)
    left_out: list[WithheldFile] = field(default_factory=list)

    def documents(self, ids: Sequence[str], asked_for: Set[str], campaign: str) -> None:
        """One file a collection, sorted by id."""
        for collection, wanted in by_collection(ids).items():
            self.counts[collection] = len(wanted)
            lines = self._lines(collection, wanted, asked_for, campaign)
            self.crate.add(f"{DOCUMENTS}/{collection}.jsonl", lines, counted(len(wanted), collection))

    def _lines(self, collection: str, ids: Sequence[str], asked_for: Set[str], campaign: str) -> Iterator[bytes]:
        for done, stored in enumerate(_read(self.database, collection, ids)):
            document = stored if self.names is None else withheld(stored)
            if self.names is not None and not document["made_by"]["host"].startswith("withheld:"):
                raise BadInputError(
                    f"{document['_id']} was sealed with the name of its host, which cannot be withheld so; bring the "
                    "database up to date (`lipsdb db migrate`), or write it as it is with --with-hosts"
                )
            self._note(document)
            text = _json(document | {"campaigns": [campaign] if document["_id"] in asked_for else []})
            self.check(document["_id"], text)
            yield f"{text}\n".encode()
            self.report(collection.replace("_", " "), done + 1, len(ids))

    def _note(self, document: Mapping[str, Any]) -> None:
        for reference in artifact_references([document["answer"], document["made_by"]]):
            known = self.files.setdefault(reference["sha256"], reference)
            if reference["name"] < known["name"]:  # one that does not depend on the order
                self.files[reference["sha256"]] = reference
        for program, version in document["made_by"]["versions"].items():
            self.versions.setdefault(program, set()).add(version)
        if document["made_by"].get("commit"):
            self.commits.add(document["made_by"]["commit"])

    def artifacts(self) -> None:
        """The files; those that give a name away are left out, with the reason."""
        noted = {entry["_id"]: entry["reason"] for entry in self.database.query(WITHHELD)}
        here = {entry["_id"] for entry in self.database.query("artifacts", {}, ["_id"])} if noted else set()
        for done, sha256 in enumerate(sorted(self.files)):
            self.report("artifacts", done, len(self.files))
            size, name = self.files[sha256]["size"], self.files[sha256]["name"]
            elsewhere = sha256 in noted and sha256 not in here
            reason = noted[sha256] if elsewhere else self._gives_away(sha256, name)
            if reason is not None:
                self.left_out.append(WithheldFile(sha256, size, name, reason))
                continue
            with self.database.artifacts.open(sha256) as stream:
                blocks = iter(partial(stream.read, _BLOCK), b"")
                if self.crate.add(f"{ARTIFACTS}/{sha256}", blocks, name, name=name, size=size) != sha256:
                    raise NotFoundError(f"the artifact {sha256} ({name}) is damaged; see `lipsdb audit`")

    def _gives_away(self, sha256: str, name: str) -> str | None:
        if self.names is None:
            return None
        with self.database.artifacts.open(sha256) as stream:
            return self.names.found_in(name) or self.names.found_in_stream(stream)

    def about(self, campaign: str, n_externals: int) -> dict[str, Any]:
        """What ``archive.json`` says."""
        return {
            "format": FORMAT,
            "campaign": campaign,
            "schema_version": SCHEMA_VERSION,
            "hosts": "included" if self.names is None else "withheld",
            "documents": self.counts,
            "artifacts": len(self.files) - len(self.left_out),
            "externals": n_externals,
            "withheld": [asdict(file) for file in self.left_out],
        }

    def texts(
        self,
        ids: Sequence[str],
        newest: Mapping[str, Any],
        tables: Mapping[str, str],
        externals: Sequence[Mapping[str, str]],
        about: Mapping[str, Any],
    ) -> None:
        """Everything else."""
        crate, file = self.crate, newest["answer"]["file"]
        if file["sha256"] not in {withheld.sha256 for withheld in self.left_out}:
            content = self.database.artifacts.read(file["sha256"])
            crate.add(f"{CAMPAIGN}/{Path(file['name']).name}", [content], "the campaign file as it was submitted last")
        for name, text in sorted(tables.items()):
            crate.add_text(f"{TABLES}/{name}", text, f"table {Path(name).stem}")
        lines = "".join(f"{_json(entry)}\n" for entry in externals)
        crate.add_text(EXTERNALS_FILE, lines, "documents that are known by id and content hash only")
        crate.add_text(ENVIRONMENT, _environment(self.versions, self.commits), "versions of programs and libraries")
        self.report("PROV", 0, 0)
        blocks = prov_blocks(_for_prov(self.database, ids), set(ids), hosts=self.names is None)
        crate.add(PROV, blocks, "W3C PROV of the documents")
        crate.add_text(DESCRIPTION, json.dumps(about, indent=1, sort_keys=True) + "\n", "what this archive holds")
        crate.add_text("README.md", readme(about, newest, lipsdb.__version__), "what this is and how to verify it")


def _read(
    database: Database, collection: str, ids: Sequence[str], fields: Iterable[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Documents in the order of their ids, a few at a time."""
    projection = None if fields is None else dict.fromkeys(fields, 1)
    for batch in batches(ids):
        found = database.collection(collection).find({"_id": {"$in": batch}}, projection, batch_size=100)
        yield from found.sort("_id", 1)


def _environment(versions: Mapping[str, set[str]], commits: set[str]) -> str:
    """What wrote the archive, and what made the documents."""
    installed = {each.metadata["Name"]: each.version for each in metadata.distributions() if each.metadata["Name"]}
    environment = {
        "exported_with": {
            "lipsdb": lipsdb.__version__,
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "system": platform.system(),
            "machine": platform.machine(),
            "distributions": dict(sorted(installed.items())),
        },
        "made_with": {program: sorted(found) for program, found in sorted(versions.items())},
        "commits": sorted(commits),
    }
    return json.dumps(environment, indent=1) + "\n"


def _for_prov(database: Database, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    for collection, wanted in by_collection(ids).items():
        yield from _read(database, collection, wanted, _fields_in_prov(collection))


def _fields_in_prov(collection: str) -> list[str]:
    kind = next(kind for kind, name in COLLECTIONS.items() if name == collection)
    return [*summary_fields(kind), "kind", "content", "inputs", "made_by"]
