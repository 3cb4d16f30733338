"""jobflow's store of job outputs: the project's own database, without an address or a password in any Firework."""

from __future__ import annotations

from typing import Any

from jobflow import JobStore
from maggma.stores.mongolike import MongoStore

COLLECTION = "job_outputs"


class JobOutputs(MongoStore):
    """The collection ``job_outputs``, found on each worker by the settings that hold there."""

    def __init__(self) -> None:
        super().__init__(database="", collection_name=COLLECTION, key="uuid")

    def connect(self, force_reset: bool = False) -> None:
        """Connect as the worker's own settings say."""
        from lipsdb.workflows.answering import worker_database

        self._coll: Any = worker_database().collection(COLLECTION)

    def as_dict(self) -> dict[str, Any]:
        """Only the class: a Firework must not carry an address."""
        return {"@module": type(self).__module__, "@class": type(self).__name__}

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> JobOutputs:
        """Make it again from `as_dict`."""
        return cls()

    def __hash__(self) -> int:
        return hash(COLLECTION)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobOutputs)


def job_store() -> JobStore:
    """The store that goes into every Firework."""
    return JobStore(JobOutputs())
