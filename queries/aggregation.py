"""What all queries share: one aggregation pipeline on one collection, its scope, and how it is shown and run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lipsdb.errors import NotFoundError
from lipsdb.store.joins import of_campaign, with_joined

if TYPE_CHECKING:
    from lipsdb.store.database import Database

Stage = dict[str, Any]


@dataclass(frozen=True)
class Aggregation:
    """One aggregation pipeline and the collection that it runs on.

    Attributes
    ----------
    collection : str
        Name of the collection.
    pipeline : list of dict
        Stages, of plain JSON types only, so that they can be pasted into mongosh and Compass.
    """

    collection: str
    pipeline: list[Stage]

    def run(self, database: Database) -> list[dict[str, Any]]:
        """The documents that the pipeline gives, arrays decoded."""
        from lipsdb.provenance.canonical import decoded

        return [decoded(found) for found in database.collection(self.collection).aggregate(self.pipeline)]

    def text(self) -> str:
        """The aggregation as a command for mongosh; the brackets alone are what Compass takes."""
        return pipeline_text(self.collection, self.pipeline)


def pipeline_text(collection: str, pipeline: list[Stage]) -> str:
    """Write an aggregation as a command for mongosh.

    Examples
    --------
    >>> print(pipeline_text("runs", [{"$match": {"campaigns": "quickstart"}}]))
    db.getCollection("runs").aggregate([
      {"$match": {"campaigns": "quickstart"}}
    ])
    """
    stages = ",\n".join(f"  {json.dumps(stage, ensure_ascii=False)}" for stage in pipeline)
    return f"db.getCollection({json.dumps(collection)}).aggregate([\n{stages}\n])"


def select(
    collection: str, criteria: Mapping[str, Any], campaign: str | None, *, campaigns: bool = True
) -> list[Stage]:
    """The first stages of every pipeline: which documents count.

    Parameters
    ----------
    collection : str
        Where they are.
    criteria : mapping
        On fields that an index begins with; empty for all documents.
    campaign : str or None
        Only what this campaign asked for; all if None.
    campaigns : bool
        Whether the documents' ``campaigns`` are looked at afterwards: then those that joined later are among them.

    Notes
    -----
    This is the one place through which every document enters a table. What stands on withdrawn documents passes; it is
    marked or left out afterwards, for all queries alike, by `lipsdb.queries.tainting`.
    """
    if campaign is None:
        chosen: list[Stage] = [{"$match": dict(criteria) or {"_id": {"$gte": ""}}}]
    else:
        chosen = of_campaign(collection, criteria, campaign)
    return [*chosen, *(with_joined() if campaigns else [])]


def with_engine(field: str) -> list[Stage]:
    """Stages that add ``engine``: that of the potential whose id stands in this field, if it is one.

    Examples
    --------
    >>> with_engine("answer.potential_id")[0]["$lookup"]["localField"]
    'answer.potential_id'
    """
    potential = {"from": "potentials", "localField": field, "foreignField": "_id", "as": "engine"}
    return [
        {"$lookup": {**potential, "pipeline": [{"$project": {"name": "$asked.engine"}}]}},
        {"$set": {"engine": {"$first": "$engine.name"}}},
    ]


def property_of_runs(name: str, campaign: str | None, *, of: str, series: str) -> Aggregation:
    """The pipeline for a property that each run has, sorted by structure, subject, potential and conditions.

    Parameters
    ----------
    name : str
        The property.
    campaign : str, optional
        Only what this campaign asked for.
    of : str
        Field of the answer that names the subject: 'species', 'centre' …
    series : str
        Field of the answer to leave out: its long arrays.
    """
    order = (of, "conditions.potential_id", "conditions.temperature_K", "conditions.seed")
    pipeline = [
        *select("properties", {"asked.property": name}, campaign),
        {"$project": {"asked": 1, "answer": 1, "campaigns": 1}},
        {"$unset": f"answer.{series}"},
        {"$sort": {"answer.conditions.structure": 1, **{f"answer.{field}": 1 for field in order}, "_id": 1}},
        *with_engine("answer.conditions.potential_id"),
    ]
    return Aggregation("properties", pipeline)


def check_campaign(database: Database, campaign: str | None) -> None:
    """Make sure that a campaign exists.

    Raises
    ------
    NotFoundError
        If it does not; names those that do.
    """
    if campaign is None:
        return
    campaigns = database.collection("campaigns")
    if campaigns.find_one({"asked.name": campaign}, {"_id": 1}) is None:
        names = ", ".join(sorted(campaigns.distinct("asked.name")))
        remedy = f"there are: {names}" if names else "there is none yet; `lipsdb campaign submit FILE` makes one"
        raise NotFoundError(f"no campaign {campaign!r} in this database; {remedy}")


def fetch(database: Database, aggregation: Aggregation, campaign: str | None) -> list[dict[str, Any]]:
    """Run an aggregation for a campaign that must exist (or for all)."""
    check_campaign(database, campaign)
    return aggregation.run(database)
