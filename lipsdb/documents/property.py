"""Properties: numbers derived from runs or from other properties."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from lipsdb.documents.base import Document, Model


class PropertyAsked(Model):
    """Which property, with which parameters; what it is derived from are the inputs."""

    property: str = Field(description="Name of the property: 'diffusion', 'arrhenius', 'coordination' …")
    parameters: dict[str, Any] = Field(description="Parameters of the analysis, complete.")


class Property(Document):
    """Document of `properties`; the answer is the analysis' result, with units in its field names."""

    kind: ClassVar[str] = "property"
    indexes = ([("asked.property", 1), ("_id", 1)], [("inputs.id", 1), ("asked.property", 1), ("_id", 1)])
    asked: PropertyAsked
    answer: dict[str, Any]
