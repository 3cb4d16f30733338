"""Files of a format, at or below a path."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path

from lipsdb.errors import BadInputError


def find_files(
    path: Path, patterns: Sequence[str], what: str, fits: Callable[[Path], bool] | None = None
) -> list[Path]:
    """The file itself, or the files below a folder with one of these names.

    Parameters
    ----------
    path : Path
    patterns : sequence of str
        Names, with wildcards.
    what : str
        What such files hold, for messages.
    fits : callable, optional
        Whether a file with a right name is one.

    Raises
    ------
    BadInputError
        If there is nothing at the path, or no such file below it.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise BadInputError(f"{path} is not a file or folder; give {what}, or a folder that holds such files")
    named = {found for pattern in patterns for found in path.rglob(pattern) if found.is_file()}
    found = sorted(one for one in named if fits is None or fits(one))
    if not found:
        raise BadInputError(f"no {what} below {path}; expected files named {', '.join(patterns)}")
    return found


def text_of(path: Path) -> str:
    """Text of a file, which may be compressed with gzip.

    Raises
    ------
    BadInputError
        If it cannot be unpacked.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise BadInputError(f"{path.name} cannot be read ({error}); copy it again") from error
    return raw.decode(errors="replace")
