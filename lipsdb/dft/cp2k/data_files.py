"""Basis sets and pseudopotentials from the data files of a CP2K installation."""

from __future__ import annotations

import hashlib
import os
import re
from functools import lru_cache
from pathlib import Path

from lipsdb.dft.cp2k.level import Cp2kKind, Cp2kLevel
from lipsdb.errors import BadInputError

_HEADER = re.compile(r"\s*[A-Z][a-z]?\s+\S*[A-Za-z]")


def data_folder() -> Path:
    """The folder with CP2K's data files: ``CP2K_DATA_DIR``, or what the program says itself.

    Raises
    ------
    MissingProgramError
        If there is no CP2K.
    """
    from lipsdb.dft.cp2k.program import describe

    named = os.environ.get("CP2K_DATA_DIR")
    return Path(named) if named else describe().data_folder


def entry_digest(entry: str) -> str:
    """SHA-256 of an entry of a data file: its words after the line with element and names, joined by one space.

    Examples
    --------
    >>> entry_digest("H NAME\\n 1\\n 2 0 0 1 1\\n") == entry_digest("H OTHER-NAME NAME\\n1\\n2  0 0 1 1")
    True
    """
    return hashlib.sha256(" ".join(entry.split("\n", 1)[1].split()).encode()).hexdigest()


@lru_cache(maxsize=16)
def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]


def find_entry(path: Path, element: str, name: str) -> str | None:
    """The entry of an element under a name in a data file, comments left out; None if there is none."""
    lines = _lines(path)
    for start, line in enumerate(lines):
        words = line.split()
        if words[0] == element and name in words[1:]:
            entry = [line.strip()]
            for following in lines[start + 1 :]:
                if _HEADER.match(following):
                    break
                if not following.lstrip().startswith("#"):
                    entry.append(following.rstrip())
            return "\n".join(entry) + "\n"
    return None


def _checked_entry(pattern: str, element: str, name: str, sha256: str, what: str) -> str:
    folder = data_folder()
    found = None
    for path in sorted(folder.glob(pattern)):
        found = find_entry(path, element, name)
        if found is not None and entry_digest(found) == sha256:
            return found
    if found is not None:
        raise BadInputError(
            f"the {what} {name} of {element} in {folder} is not the one of this level of theory (SHA-256 of its "
            f"numbers {entry_digest(found)[:12]}…, expected {sha256[:12]}…); set CP2K_DATA_DIR to the right data "
            "files"
        )
    raise BadInputError(
        f"no {what} {name} for {element} in {folder}/{pattern}; set CP2K_DATA_DIR to a folder that has it"
    )


def entries_of(element: str, kind: Cp2kKind) -> tuple[str, str]:
    """Basis set and pseudopotential of an element, as the level of theory names them.

    Returns
    -------
    tuple of str
        Both entries, checked against the level's hashes.

    Raises
    ------
    BadInputError
        If this installation has none of that name, or other numbers under it.
    """
    basis = _checked_entry("*BASIS*", element, kind.basis, kind.basis_sha256, "basis set")
    return basis, _checked_entry("*POTENTIALS*", element, kind.potential, kind.potential_sha256, "pseudopotential")


def check_elements(level: Cp2kLevel, elements: list[str]) -> None:
    """Refuse elements for which a level has no basis set.

    Raises
    ------
    BadInputError
        Names them, and those that the level has.
    """
    absent = [element for element in elements if element not in level.kinds]
    if absent:
        raise BadInputError(
            f"the level of theory has no basis set for {', '.join(absent)}; it has {', '.join(level.kinds)}"
        )
