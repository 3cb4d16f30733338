"""Writing an RO-Crate as one zip file: the same content gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

MANIFEST = "manifest-sha256.txt"
METADATA = "ro-crate-metadata.json"
_TIME = (1980, 1, 1, 0, 0, 0)  # of every file: the earliest that a zip file knows
_MEDIA_TYPES = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".csv": "text/csv",
    ".md": "text/markdown",
    ".yaml": "application/yaml",
    ".txt": "text/plain",
    ".xyz": "chemical/x-xyz",
    ".extxyz": "chemical/x-xyz",
    ".nc": "application/netcdf",
    ".xml": "application/xml",
    ".gz": "application/gzip",
    ".pb": "application/octet-stream",
    ".restart": "application/octet-stream",
}


def media_type(name: str) -> str:
    """Media type of a file, by its name; inputs and logs of programs are plain text.

    Examples
    --------
    >>> media_type("trajectory.nc"), media_type("log.lammps")
    ('application/netcdf', 'text/plain')
    """
    return _MEDIA_TYPES.get(Path(name).suffix, "text/plain")


@dataclass(frozen=True)
class CrateFile:
    """A file of a crate: its path there, hash, size in bytes, media type and what people call it."""

    path: str
    sha256: str
    size: int
    media_type: str
    title: str


class CrateWriter:
    """A zip file that becomes an RO-Crate; what is written is hashed on the way.

    Parameters
    ----------
    archive : ZipFile
        Open for writing.
    check : callable
        Is given the path and text of every text before it is written; raises if that must not be given away.
    """

    def __init__(self, archive: zipfile.ZipFile, check: Callable[[str, str], None]) -> None:
        self._archive, self._check = archive, check
        self.files: list[CrateFile] = []

    def add(self, path: str, blocks: Iterable[bytes], title: str, *, name: str = "", size: int | None = None) -> str:
        """Write a file block by block.

        Parameters
        ----------
        path : str
            In the crate.
        blocks : iterable of bytes
        title : str
            What people call it.
        name : str
            The name that tells its media type; by default that of the path.
        size : int, optional
            Its size, if known before.

        Returns
        -------
        str
            SHA-256 of what was written.
        """
        digest, length = hashlib.sha256(), 0
        entry = zipfile.ZipInfo(path, _TIME)
        entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
        if size is not None:
            entry.file_size = size
        with self._archive.open(entry, "w", force_zip64=size is None) as target:
            for block in blocks:
                digest.update(block)
                length += len(block)
                target.write(block)
        self.files.append(CrateFile(path, digest.hexdigest(), length, media_type(name or path), title))
        return digest.hexdigest()

    def add_text(self, path: str, text: str, title: str) -> None:
        """Write a text."""
        self._check(path, text)
        self.add(path, [text.encode()], title)

    def close(self, name: str, description: str, date: datetime) -> str:
        """Write metadata and manifest.

        Returns
        -------
        str
            SHA-256 of the manifest: the one number that stands for the whole archive.
        """
        self.add_text(METADATA, ro_crate_metadata(self.files, name, description, date), "RO-Crate metadata")
        lines = [f"{file.sha256}  {file.path}\n" for file in sorted(self.files, key=lambda file: file.path)]
        return self.add(MANIFEST, [line.encode() for line in lines], "manifest")


def ro_crate_metadata(files: Iterable[CrateFile], name: str, description: str, date: datetime) -> str:
    """The metadata file of an RO-Crate with these files (and the manifest, which comes after it)."""
    from rocrate.model.file import File
    from rocrate.rocrate import ROCrate

    crate = ROCrate()
    crate.name, crate.description, crate.datePublished = name, description, date.isoformat()
    crate.license = "No licence is stated in this archive; ask those who publish it."
    for file in files:
        properties = {
            "name": file.title,
            "encodingFormat": file.media_type,
            "contentSize": str(file.size),
            "sha256": file.sha256,
        }
        crate.add(File(crate, None, file.path, properties=properties))
    manifest: dict[str, Any] = {"name": "SHA-256 of every other file", "encodingFormat": "text/plain"}
    crate.add(File(crate, None, MANIFEST, properties=manifest))
    return json.dumps(crate.metadata.generate(), indent=1, ensure_ascii=False) + "\n"
