"""Opening an archive that came from anywhere: nothing is unpacked, and what could do harm is refused first."""

from __future__ import annotations

import contextlib
import json
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from lipsdb.errors import BadInputError
from lipsdb.export.archive import DESCRIPTION, FORMAT

UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
MAX_TEXT = 1 << 30  # bytes of a file that is read as a whole, or of a line
_MAX_RATIO, _ALWAYS_ALLOWED = 200, 1 << 30  # an archive of more than 1 GiB may not unpack to 200 times its size
_WRITES = "`lipsdb export archive CAMPAIGN -o FILE` writes one"


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive for reading.

    Raises
    ------
    BadInputError
        If it is no zip file, is cut off, holds names that could harm (``..``, links, doubles), would unpack to an
        absurd size, or is in another format.
    """
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise BadInputError(f"{path} does not exist; {_WRITES}") from error
    except (*UNREADABLE, OSError, ValueError) as error:
        raise BadInputError(f"{path} is not a zip file, or its end is missing ({error}); {_WRITES}") from error
    with archive:
        _refuse_harmful(path, archive)
        _check_format(path, archive)
        yield archive


def _refuse_harmful(path: Path, archive: zipfile.ZipFile) -> None:
    seen: set[str] = set()
    packed = unpacked = 0
    for entry in archive.infolist():
        name, parts = entry.filename, PurePosixPath(entry.filename).parts
        mode = entry.external_attr >> 16
        if name in seen:
            raise BadInputError(f"{path} holds {name!r} twice: which of them counts is open; do not trust it")
        if not parts or ".." in parts or name.startswith("/") or name != "/".join(parts) or set(name) & set("\\:\0\n"):
            raise BadInputError(f"{path} holds a file named {name!r}, which could leave its folder; do not trust it")
        if stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
            raise BadInputError(f"{path} holds {name!r}, which is a link or no file; do not trust it")
        if entry.flag_bits & 0x1:
            raise BadInputError(f"{path}: {name!r} is encrypted; ask for the archive without a password")
        seen.add(name)
        packed, unpacked = packed + entry.compress_size, unpacked + entry.file_size
    size = path.stat().st_size
    if packed > size or unpacked > max(_ALWAYS_ALLOWED, _MAX_RATIO * size):
        raise BadInputError(
            f"{path} ({size} bytes) would unpack to {unpacked} bytes, more than {_MAX_RATIO} times its size; "
            "do not trust it"
        )


def _check_format(path: Path, archive: zipfile.ZipFile) -> None:
    try:
        found = description(archive).get("format")
    except KeyError as error:
        raise BadInputError(f"{path} holds no {DESCRIPTION}: it is no archive of lipsdb; {_WRITES}") from error
    except (*UNREADABLE, ValueError, AttributeError) as error:
        raise BadInputError(f"{path}: {DESCRIPTION} cannot be read ({error}); {_WRITES}") from error
    if found != FORMAT:
        raise BadInputError(
            f"{path} has the format {found!r}; this lipsdb reads {FORMAT!r}: use the version it is from"
        )


def description(archive: zipfile.ZipFile) -> dict[str, Any]:
    """The content of ``archive.json``."""
    found: dict[str, Any] = json.loads(read_text(archive, DESCRIPTION))
    return found


def read_text(archive: zipfile.ZipFile, name: str) -> str:
    """A file as text; BadZipFile if it is too long to be one."""
    if archive.getinfo(name).file_size > MAX_TEXT:
        raise zipfile.BadZipFile(f"{name} is longer than {MAX_TEXT} bytes")
    return archive.read(name).decode()


def lines_of(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines of a file, one at a time; BadZipFile if one is too long."""
    while line := stream.readline(MAX_TEXT):
        if len(line) >= MAX_TEXT:
            raise zipfile.BadZipFile(f"a line is longer than {MAX_TEXT} bytes")
        yield line
