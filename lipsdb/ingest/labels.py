"""Labels in: a file, or a tree of files, of any of the formats that are read."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from lipsdb.dft.levels_of_theory import find_level, store_level
from lipsdb.documents.base import Input
from lipsdb.ingest.storing import Ingest, IngestSummary, LabelFormat, PartOutcome
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.provenance.sealing import encoded_made_by
from lipsdb.settings import Settings
from lipsdb.store.database import Database, connect


def ingest_labels(
    database: Database,
    format: LabelFormat,
    path: Path,
    level_of_theory: str,
    *,
    source: str,
    system: str | None = None,
    campaigns: Sequence[str] = (),
    force_limit_eV_A: float = 50.0,
    progress: Callable[[PartOutcome, int, int], None] | None = None,
) -> IngestSummary:
    """Read labels of one format.

    Parameters
    ----------
    database : Database
        Where they go.
    format : LabelFormat
        How they are found and read.
    path : Path
        A file, or a folder at or below which the data lie.
    level_of_theory : str
        The level of theory that made them: a packaged name, a YAML file, or a name alone (`find_level`). What output
        of VASP and CP2K says of its settings is compared with those of the level; a file that contradicts is refused.
    source : str
        What the data set is: a DOI or a name.
    system : str, optional
        Name of the system; read off the names of files and folders by default.
    campaigns : sequence of str
        Campaigns that ask for these labels.
    force_limit_eV_A : float
        A frame with a larger force is refused; in DeePMD folders, the folder.
    progress : callable, optional
        Called after each file or folder with its last outcome, those done and their number.

    Returns
    -------
    IngestSummary
        What cannot be read or cannot be right is refused, with its reason, and noted as a `refusal` document; the rest
        goes in. A second time, nothing is new.
    """
    level = find_level(level_of_theory)
    found = format.find(path)
    link = Input.of("level_of_theory", store_level(database, level))
    made_by = encoded_made_by(Stopwatch("ingest").made_by(versions_of("pymongo")).model_dump())
    root = path.parent if path.is_file() else path
    ingest = Ingest(format, root, level.asked, link, source, system, tuple(campaigns), force_limit_eV_A, made_by)
    summary = IngestSummary()
    for done, outcomes in enumerate(_outcomes(database, ingest, found), 1):
        summary.folders += outcomes
        if progress is not None:
            progress(outcomes[-1], done, len(found))
    return summary


def _outcomes(database: Database, ingest: Ingest, paths: Sequence[Path]) -> Iterator[list[PartOutcome]]:
    """Outcomes in the order of the files; several at a time where processes can be forked."""
    n_processes = min(os.cpu_count() or 1, len(paths))
    if n_processes == 1 or "fork" not in multiprocessing.get_all_start_methods():
        yield from (ingest.of(database, path) for path in paths)
        return
    fork = multiprocessing.get_context("fork")  # a fresh interpreter's imports would cost what it saves
    with ProcessPoolExecutor(n_processes, fork, _start_process, (database.settings, ingest)) as pool:
        yield from pool.map(_of_process, paths, chunksize=max(1, min(16, len(paths) // (4 * n_processes))))


_of_this_process: tuple[Database, Ingest] | None = None  # MongoDB's clients must not cross a fork


def _start_process(settings: Settings, ingest: Ingest) -> None:
    global _of_this_process  # noqa: PLW0603
    _of_this_process = connect(settings), ingest


def _of_process(path: Path) -> list[PartOutcome]:
    assert _of_this_process is not None
    database, ingest = _of_this_process
    return ingest.of(database, path)
