"""Archives in: a campaign that was exported elsewhere, with its ids, contents and seals as they are."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import islice
from pathlib import Path
from typing import Any

from lipsdb.errors import BadInputError
from lipsdb.export.archive import ARTIFACTS, DOCUMENTS, Progress
from lipsdb.export.archive_zip import open_archive
from lipsdb.export.verification import Verification, stored_documents, verify_archive
from lipsdb.ingest.record import check_levels
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.links import by_collection
from lipsdb.store.database import WITHHELD, Database

_AT_ONCE = 500
_LEVELS = f"{DOCUMENTS}/{COLLECTIONS['level_of_theory']}.jsonl"


@dataclass(frozen=True)
class Imported:
    """What came in: campaign, new documents by collection, how many were here, and files that were withheld."""

    campaign: str
    new: dict[str, int]
    n_known: int
    n_artifacts: int
    withheld: list[dict[str, Any]]


def import_archive(
    database: Database, path: Path, campaigns: Sequence[str] = (), progress: Progress | None = None
) -> Imported:
    """Take an archive into the database; what is there already stays.

    Parameters
    ----------
    database : Database
    path : Path
        As `lipsdb.export.archive.export_archive` writes it.
    campaigns : sequence of str
        Who asks for its documents, beside the campaign that it was exported from.
    progress : callable, optional
        Called with stage, how many are done, and how many there are.

    Raises
    ------
    BadInputError
        If the archive is not verified, or contradicts what is here. Then nothing is stored.
    """
    report = progress or (lambda stage, done, total: None)
    found = verify_archive(path, report)
    if not found.verified:
        raise BadInputError(
            f"{path} has {len(found.faults)} faults, the first: {found.faults[0]}; `lipsdb verify {path}` lists them; "
            "get it again from where it was made"
        )
    known = database.known(found.contents)
    for id_, reference in known.items():
        if reference["content"] != found.contents[id_]:
            raise BadInputError(
                f"{id_} is in this database with another answer than in {path}; import it into another database "
                "(LIPSDB_DATABASE)"
            )
    with open_archive(path) as archive:
        if _LEVELS in archive.namelist():
            with archive.open(_LEVELS) as stream:
                levels = {level["asked"]["name"]: level["_id"] for level in stored_documents(stream)}
            check_levels(database, path, levels)
        n_artifacts = _put_artifacts(database, archive, found, report)
        _note_elsewhere(database, found)
        names = [found.campaign, *(name for name in campaigns if name != found.campaign)]
        joining: list[str] = []
        new: dict[str, int] = {}
        for batch in _in_order(archive, found):
            joining += [document["_id"] for document in batch if document["_id"] in known and document["campaigns"]]
            missing = [
                document | {"campaigns": names if document["campaigns"] else []}
                for document in batch
                if document["_id"] not in known
            ]
            collection = COLLECTIONS[batch[0]["kind"]]
            new[collection] = new.get(collection, 0) + database.insert_many(missing)
            report("documents", sum(new.values()), len(found.contents) - len(known))
    for ids in by_collection(joining).values():
        database.join_campaigns(ids, names)
    return Imported(found.campaign, new, len(known), n_artifacts, found.about["withheld"])


def _put_artifacts(database: Database, archive: zipfile.ZipFile, found: Verification, report: Progress) -> int:
    """Store the files that are not here, one at a time, under the names that the archive's documents give them."""
    wanted = [name for name in archive.namelist() if name.startswith(f"{ARTIFACTS}/")]
    here = {entry["_id"] for entry in database.query("artifacts", {"_id": {"$in": sorted(found.files)}}, ["_id"])}
    n_new = 0
    with tempfile.TemporaryDirectory() as folder:
        for done, name in enumerate(wanted):
            report("artifacts", done, len(wanted))
            sha256 = name.partition("/")[2]
            if sha256 in here:
                continue
            path = Path(folder) / "artifact"
            with archive.open(name) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            database.artifacts.put(path, found.files[sha256]["name"])
            n_new += 1
    return n_new


def _note_elsewhere(database: Database, found: Verification) -> None:
    """Documents that are known by id and content only, and files that were withheld."""
    database.note_external(list(found.externals.values()))
    here, files = database.collection(WITHHELD), found.about["withheld"]
    noted = {entry["_id"] for entry in here.find({"_id": {"$in": [file["sha256"] for file in files]}}, {"_id": 1})}
    entries = [
        {"_id": file["sha256"], **{key: file[key] for key in ("size", "name", "reason")}}
        for file in files
        if file["sha256"] not in noted
    ]
    if entries:
        here.insert_many(entries)


def _generations(sources: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How many steps each document is from those that were made from nothing; these are left out."""
    generations: dict[str, int] = {}
    for id_ in TopologicalSorter(sources).static_order():
        if sources.get(id_):
            generations[id_] = 1 + max(generations.get(source, 0) for source in sources[id_])
    return generations


def _in_order(archive: zipfile.ZipFile, found: Verification) -> Iterator[list[dict[str, Any]]]:
    """Documents of one collection, a few at a time, such that what others were made from comes first.

    A crash then leaves no link without its end. The files are read once for each generation of documents in them.
    """
    generations = _generations(found.sources)
    collections = by_collection(found.contents)
    wanted = sorted({(generations.get(id_, 0), name) for name, ids in collections.items() for id_ in ids})
    for generation, name in wanted:
        with archive.open(f"{DOCUMENTS}/{name}.jsonl") as stream:
            chosen = (one for one in stored_documents(stream) if generations.get(one["_id"], 0) == generation)
            while batch := list(islice(chosen, _AT_ONCE)):
                yield batch
