"""What all documents share: the fields around question and answer, and the types of their values."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from lipsdb.provenance.canonical import decode_array, is_stored_array
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.sealing import identity, seal


def _as_array(value: Any) -> np.ndarray:
    return decode_array(value) if is_stored_array(value) else np.asarray(value)


# An array: compressed binary in MongoDB, a NumPy array in Python.
Array = Annotated[np.ndarray, BeforeValidator(_as_array), PlainSerializer(lambda array: array)]


class Model(BaseModel):
    """Base of the parts of documents: unknown fields are refused, nothing changes after it is made."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def is_file_name(name: Any) -> bool:
    """Whether something is the name of a file and nothing more: joined to a folder, it stays in that folder.

    Examples
    --------
    >>> is_file_name("model.pb"), is_file_name("../model.pb"), is_file_name("/etc/passwd"), is_file_name("..")
    (True, False, False, False)
    """
    return isinstance(name, str) and name not in {"", ".", ".."} and name.isprintable() and "/" not in name


def _file_name(name: str) -> str:
    if not is_file_name(name):
        raise ValueError(f"{name!r} is not the bare name of a file, such as 'model.pb'")
    return name


class ArtifactReference(Model):
    """A blob that belongs to a document."""

    sha256: str = Field(description="SHA-256 of the uncompressed bytes, hexadecimal; the artifact's id.")
    size: int = Field(description="Size in bytes, uncompressed.")
    name: Annotated[str, AfterValidator(_file_name)] = Field(description="File name under which it was made; no path.")


class Input(Model):
    """A document that another one was made from."""

    role: str = Field(description="What it was used as: 'potential', 'structure', 'label' …")
    collection: str = Field(description="Collection that holds it.")
    id: str = Field(description="Its _id.")
    content: str = Field(description="Its content hash when it was used.")

    @classmethod
    def of(cls, role: str, reference: Mapping[str, str]) -> Self:
        """Use a reference (collection, id, content) in a role."""
        return cls(role=role, **reference)


def now() -> datetime:
    """The time, UTC, with the millisecond resolution that MongoDB keeps."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


class MadeBy(Model):
    """Who and what made a document."""

    activity: str = Field(description="What was done: 'ingest', 'train', 'md', 'analysis' …")
    versions: dict[str, str] = Field(description="Versions of the programs and libraries that took part.")
    commit: str | None = Field(description="Commit of lipsdb, when it ran from a clone; '+changes' if it was modified.")
    executable: str = Field(description="The interpreter or program that ran.")
    host: str = Field(description="Name of the machine; sealed as a salted digest, so that it can be withheld.")
    salt: str = Field(default_factory=lambda: secrets.token_hex(16), description="Salt of that digest; not sealed.")
    started_at: datetime = Field(description="Start (UTC).")
    finished_at: datetime = Field(description="End (UTC).")
    core_seconds: float = Field(description="Cost: wall time × cores used (s).", ge=0)
    rates: dict[str, float] = Field(default={}, description="How quickly it went, such as steps_per_second.")
    files: list[ArtifactReference] = Field(default=[], description="Input files and logs.")
    fw_id: int | None = Field(None, description="Firework that did it; None when it was done outside FireWorks.")
    launch_id: int | None = Field(None, description="Launch of that Firework.")
    job_uuid: str | None = Field(None, description="jobflow's job.")
    launchpad: str | None = Field(None, description="Identifier of the database whose launchpad has that Firework.")


class Document(Model):
    """A question, its answer, and what the answer was made from.

    Subclasses give `kind` and the types of `asked` and `answer`.
    """

    kind: ClassVar[str]
    # MongoDB indexes beside those that every collection has: [(field, direction), …] each
    indexes: ClassVar[Sequence[Sequence[tuple[str, int]]]] = ()

    asked: Any = Field(description="What was asked: every parameter that changes the answer.")
    inputs: list[Input] = Field(default=[], description="The documents that it was made from.")
    answer: Any = Field(description="The result.")
    origin: Any = Field(None, description="Where it comes from, for labels; sealed, but no part of the content.")
    attempt: int = Field(0, description="How often the answer to this question was withdrawn before.", ge=0)

    @classmethod
    def collection(cls) -> str:
        """Name of the collection that holds this kind."""
        return COLLECTIONS[cls.kind]

    @classmethod
    def identity_of(cls, asked: Model, inputs: Sequence[Input], attempt: int = 0) -> str:
        """The ``_id`` that a question will have, known before it is answered."""
        return identity(cls.kind, asked.model_dump(), [link.model_dump() for link in inputs], attempt)

    def sealed(self, made_by: MadeBy, campaigns: Sequence[str] = ()) -> dict[str, Any]:
        """The complete document for MongoDB."""
        return seal(
            self.kind,
            self.asked.model_dump(),
            [link.model_dump() for link in self.inputs],
            self.answer if isinstance(self.answer, dict) else self.answer.model_dump(),
            made_by.model_dump(),
            campaigns,
            self.origin.model_dump() if self.origin is not None else None,
            self.attempt,
        )

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> Self:
        """Read a document from MongoDB."""
        return cls.model_validate({key: stored[key] for key in cls.model_fields if key in stored})
