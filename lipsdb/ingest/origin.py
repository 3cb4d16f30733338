"""Where labels come from, read off the names of files and folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lipsdb.documents.label import LabelOrigin
from lipsdb.published import system_of_formula

_TEMPERATURE = re.compile(r"(\d+(?:\.\d+)?)K")
_COMPOSITION = re.compile(r"([A-Z][a-z]?\d+)+")
_SUBSTANCE = re.compile(r"([A-Z][a-z]?\d*)+")
# names that say how the data are kept, not what they are
_PLAIN = re.compile(
    r"(data|set|task|sys|iter)?[._]?\d*(\.fp)?|(data[._])?(init|iters)|init_data|deepmd|npy"
    r"|(train|training|valid|validation|test)([._]?(data|set))?"
)
# the same of files, without their suffixes
_PLAIN_FILE = re.compile(
    r"(vasprun|OUTCAR|cp2k|out|output|log|labels?|frames?|dft|md|aimd|traj(ectory)?|structures?|cfg|xyz)[._-]?\d*",
    re.IGNORECASE,
)


def _says_nothing(name: str) -> bool:
    return any(pattern.fullmatch(name) for pattern in (_TEMPERATURE, _COMPOSITION, _PLAIN))


def _system_of_path(below: Sequence[str], root: str) -> str | None:
    """Name of the system by the folders below the root, nearest first; None if they do not tell."""
    named = [part for part in below if not _says_nothing(part)]
    substances = [part for part in below[:-1] if _SUBSTANCE.fullmatch(part)]
    if named or substances:
        return (named or substances)[-1]
    is_system = all(_TEMPERATURE.fullmatch(part) or _COMPOSITION.fullmatch(part) for part in below)
    tells = not _says_nothing(root) or (below and _SUBSTANCE.fullmatch(root))
    return root if is_system and tells else None


def folder_of(path: Path, root: Path) -> str:
    """Where a file or folder lies below the root; its own name if it is the root."""
    return "/".join(path.absolute().relative_to(root.absolute()).parts) or root.absolute().name


def origin_of(path: Path, root: Path, source: str, composition: str, system: str | None = None) -> LabelOrigin:
    """Read system, iteration and temperature off the names of the folders.

    Parameters
    ----------
    path : Path
        Folder or file that holds the frames.
    root : Path
        Folder at or below which it lies.
    source : str
        Data set that it belongs to.
    composition : str
        Formula of the cell; empty if it could not be read.
    system : str, optional
        Name of the system, if it is known otherwise.

    Notes
    -----
    DP-GEN's layout ``iter.000000/02.fp/data.000`` gives the iteration; the composition then tells the system. Otherwise
    the system is the nearest folder or file whose name is no temperature (``3000K``), no composition (``Li24P8S32``),
    no number and none of the usual names (``data.000``, ``init_data``, ``train``, ``vasprun.xml`` …); then the nearest
    formula above the data's own folder (``Li2P2S6/3000K/Li16P16S48``); then the composition.
    """
    root = root.absolute()
    below = path.absolute().relative_to(root).parts
    folder = folder_of(path, root)
    if below and path.is_file():
        stem = below[-1].split(".")[0]
        below = below[:-1] if _PLAIN_FILE.fullmatch(stem) or _PLAIN.fullmatch(stem) else (*below[:-1], stem)
    parts = (root.name, *below)
    iterations = [int(match[1]) + 1 for part in parts if (match := re.fullmatch(r"iter\.(\d+)", part))]
    if system is None:
        system = system_of_formula(composition) if iterations else _system_of_path(below, root.name)
    return LabelOrigin(
        system=system or composition,
        source=source,
        folder=folder,
        frame=0,
        trajectory=not iterations,
        iteration=iterations[-1] if iterations else None,
        temperatures_K=[float(match[1]) for part in parts if (match := _TEMPERATURE.match(part))],
        pressures_bar=[],
    )
