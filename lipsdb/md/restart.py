"""The state of a run's folder: its segments, their restart files, and which of these can be trusted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lipsdb.md.input import RESTART_PREFIX

#: LAMMPS writes this at both ends of a restart file; a torn file lacks the second.
RESTART_MAGIC = b"LammpS RestartT\x00"

_SEGMENT = re.compile(r"segment-(\d+)-from-(\d+)\.in$")


@dataclass(frozen=True)
class Segment:
    """One process of LAMMPS in a run: the first, or one that continued after an interruption.

    Attributes
    ----------
    folder : Path
        The run's folder.
    index : int
        0, 1, …: how many processes were started before.
    start_step : int
        Where it began; steps are counted from the start of the equilibration.
    """

    folder: Path
    index: int
    start_step: int

    def path(self, ending: str) -> Path:
        """Path of one of the segment's files: in, log, out, dcd, grades, selected.xyz."""
        return self.folder / f"segment-{self.index:04d}-from-{self.start_step:012d}.{ending}"


def list_segments(folder: Path) -> list[Segment]:
    """Segments that were started in a folder, oldest first."""
    matches = [match for path in folder.glob("segment-*.in") if (match := _SEGMENT.match(path.name))]
    return sorted((Segment(folder, int(m.group(1)), int(m.group(2))) for m in matches), key=lambda s: s.index)


def is_whole_restart(path: Path) -> bool:
    """Whether a restart file is complete: it begins and ends with LAMMPS' magic string.

    Parameters
    ----------
    path : Path
        The file; may be missing or empty.

    Returns
    -------
    bool
        False for a file that was being written when LAMMPS was killed.
    """
    if not path.is_file() or path.stat().st_size < 2 * len(RESTART_MAGIC):
        return False
    with path.open("rb") as stream:
        first = stream.read(len(RESTART_MAGIC))
        stream.seek(-len(RESTART_MAGIC), 2)
        return first == RESTART_MAGIC and stream.read() == RESTART_MAGIC


def restart_files(folder: Path) -> list[tuple[int, Path]]:
    """Periodic restart files with their steps, newest first, whole or not."""
    found = [
        (int(path.name.removeprefix(RESTART_PREFIX)), path)
        for path in folder.glob(f"{RESTART_PREFIX}*")
        if path.name.removeprefix(RESTART_PREFIX).isdigit()
    ]
    return sorted(found, reverse=True)


def newest_restart(folder: Path) -> tuple[int, Path] | None:
    """Step and path of the newest whole restart file; torn ones are removed."""
    for step, path in restart_files(folder):
        if is_whole_restart(path):
            return step, path
        path.unlink()
    return None


def prune_restarts(folder: Path, keep: int = 3) -> None:
    """Remove all but the newest `keep` restart files (the newest may be torn by a kill at any moment)."""
    for _, path in restart_files(folder)[keep:]:
        path.unlink(missing_ok=True)
