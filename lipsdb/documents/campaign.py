"""Campaigns: what was wanted, as the campaign file said it when it was submitted."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from lipsdb.documents.base import ArtifactReference, Document, Model


class CampaignAsked(Model):
    """The campaign file's meaning."""

    name: str = Field(description="Name of the campaign.")
    specification: dict[str, Any] = Field(description="The validated content of the campaign file.")


class CampaignAnswer(Model):
    """The campaign file's text."""

    file: ArtifactReference = Field(description="The campaign file as it was submitted.")


class Campaign(Document):
    """Document of `campaigns`; a changed file makes a new one of the same name."""

    kind: ClassVar[str] = "campaign"
    indexes = ([("asked.name", 1)],)
    asked: CampaignAsked
    answer: CampaignAnswer
