"""Who and what makes a document: versions, commit, host, cost, and the launch it belongs to."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import lipsdb
from lipsdb.documents.base import ArtifactReference, MadeBy, now


@lru_cache(maxsize=1)
def source_commit() -> str | None:
    """Commit of the clone that lipsdb runs from, with '+changes' if it was modified; None when installed."""
    root = Path(lipsdb.__file__).parent.parent
    if not (root / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def versions_of(*distributions: str) -> dict[str, str]:
    """Versions of Python, lipsdb, NumPy and other installed distributions.

    Examples
    --------
    >>> sorted(versions_of("pydantic"))
    ['lipsdb', 'numpy', 'pydantic', 'python']
    """
    found = {"python": platform.python_version(), "lipsdb": lipsdb.__version__}
    return found | {name: metadata.version(name) for name in ("numpy", *distributions)}


@dataclass
class Stopwatch:
    """Started when a piece of work starts; writes its record when it ends."""

    activity: str
    cores: int = 1
    launch: Mapping[str, Any] = field(default_factory=dict)
    started_at: datetime = field(default_factory=now)
    commit: str | None = field(default_factory=source_commit)
    _start: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Wall time since the start."""
        return time.perf_counter() - self._start

    def made_by(
        self,
        versions: Mapping[str, str],
        files: Sequence[Mapping[str, Any]] = (),
        *,
        executable: str = sys.executable,
        core_seconds: float | None = None,
        rates: Mapping[str, float] | None = None,
    ) -> MadeBy:
        """The record of the work done since the start.

        Parameters
        ----------
        versions : mapping
            Programs and libraries with their versions.
        files : sequence of artifact references
            Input files and logs.
        executable : str
            The program that did the work.
        core_seconds : float, optional
            Cost, when it is not wall time × cores (work continued after an interruption).
        rates : mapping, optional
            How quickly it went.
        """
        cost = self.seconds * self.cores if core_seconds is None else core_seconds
        return MadeBy(
            activity=self.activity,
            versions=dict(versions),
            commit=self.commit,
            executable=os.path.basename(executable),
            host=platform.node(),
            started_at=self.started_at,
            finished_at=now(),
            core_seconds=round(cost, 3),
            rates=dict(rates or {}),
            files=[ArtifactReference(**file) for file in files],
            **self.launch,
        )
