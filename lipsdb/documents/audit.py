"""Audits: what was looked at when, and what was found."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from lipsdb.documents.base import ArtifactReference, Document, Model


class AuditAsked(Model):
    """What was to be looked at."""

    levels: list[str] = Field(description="'links', 'content', 'launches', 'rules', 'reproduction'.")
    database: str | None = Field(None, description="Identifier of the database; None if unknown.")
    campaign: str | None = Field(description="Only this campaign and what it stands on; None for the whole database.")
    sample: int = Field(description="Properties and energies that were computed again.", ge=0)
    seed: int = Field(description="Seed of that choice.")
    started_at: datetime = Field(description="When it began (UTC).")


class AuditAnswer(Model):
    """What was found."""

    passed: bool = Field(description="Whether no error was found; notes are allowed.")
    counts: dict[str, int] = Field(description="How much was looked at.")
    findings: ArtifactReference = Field(description="Every finding with what is downstream, as `lipsdb audit --json`.")
    n_errors: int = Field(description="Findings that put numbers in doubt.")
    n_notes: int = Field(description="Findings that are harmless.")
    manifest: ArtifactReference | None = Field(
        description="Every document that was there, by its id and a hash of its seal and campaigns, one a line; None "
        "if the audit failed, or looked at a campaign only."
    )


class Audit(Document):
    """Document of `audits`."""

    kind: ClassVar[str] = "audit"
    indexes = ([("asked.started_at", -1)],)
    asked: AuditAsked
    answer: AuditAnswer
