"""What an audit finds, and what it keeps in mind while it reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Level = Literal["error", "note"]
Progress = Callable[[str, int, int], None]  # stage, done, total


@dataclass(frozen=True)
class Affected:
    """A document that was made from a damaged one, directly or not."""

    id: str
    summary: str


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes
    ----------
    level : 'error' or 'note'
        An error puts numbers in doubt; a note is harmless.
    check : str
        'content', 'links', 'artifacts', 'manifest', 'launches', 'rules', 'reproduction' or 'orphans'.
    document : str
        Id of the damaged document or artifact, 'firework-N' or 'blob-KEY'.
    message : str
        What is wrong, and the remedy where there is one.
    downstream : tuple of Affected
        Everything that was made from it.
    """

    level: Level
    check: str
    document: str
    message: str
    downstream: tuple[Affected, ...] = ()


@dataclass(frozen=True)
class AuditReport:
    """All findings, and how much was looked at."""

    findings: list[Finding]
    counts: dict[str, int]
    campaign: str | None = None
    levels: tuple[str, ...] = ()
    started_at: datetime | None = None
    sample: int = 0
    seed: int = 0
    record: dict[str, str] | None = None  # reference of the stored audit

    @property
    def errors(self) -> list[Finding]:
        """The findings that put numbers in doubt."""
        return [finding for finding in self.findings if finding.level == "error"]

    @property
    def passed(self) -> bool:
        """Whether nothing is in doubt; notes are allowed."""
        return not self.errors


@dataclass
class Survey:
    """What the checks tell each other: small facts about each document, never its arrays.

    Attributes
    ----------
    scope : set of str or None
        Ids to look at; None for the whole database.
    files : dict
        For what is damaged and is no document (an artifact, a Firework): the documents that it concerns.
    """

    scope: set[str] | None = None
    files: dict[str, list[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def error(self, check: str, document: str, message: str) -> None:
        """Note that something is wrong; what is downstream is added at the end."""
        self.findings.append(Finding("error", check, document, message))

    def note(self, check: str, document: str, message: str) -> None:
        """Note something harmless."""
        self.findings.append(Finding("note", check, document, message))
