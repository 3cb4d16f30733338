"""Labels from trees of DeePMD-kit npy folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lipsdb.ingest.deepmd_folder import find_folders, read_folder
from lipsdb.ingest.labels import ingest_labels
from lipsdb.ingest.storing import IngestSummary, LabelFormat
from lipsdb.store.database import Database

DEEPMD = LabelFormat("deepmd", find_folders, read_folder, frame_by_frame=False)


def ingest_deepmd(
    database: Database, root: Path, level_of_theory: str, *, source: str, **options: Any
) -> IngestSummary:
    """Read a tree of DeePMD npy folders into labels.

    Parameters
    ----------
    database, root, level_of_theory, source, options
        As for `lipsdb.ingest.labels.ingest_labels`.

    Returns
    -------
    IngestSummary
        A folder with a broken file or a bad frame is refused with its reason; the others go in.
    """
    return ingest_labels(database, DEEPMD, root, level_of_theory, source=source, **options)
