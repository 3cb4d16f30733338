"""Joins: which campaigns asked for documents that existed already.

A document's own list ``campaigns`` tells who asked when it was made, and never changes. A campaign that asks later is
noted in the collection ``joins``, one note a campaign and document; notes are only ever added. Whoever selects by
campaign, or shows the campaigns of a document, counts both, by the stages below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

JOINS = "joins"
# by campaign for what it asked for, by document for who asked
INDEXES: list[list[tuple[str, int]]] = [
    [("campaign", 1), ("collection", 1), ("document", 1)],
    [("document", 1), ("campaign", 1)],
]

Stage = dict[str, Any]


def of_campaign(collection: str, criteria: Mapping[str, Any], campaign: str) -> list[Stage]:
    """Stages that select the documents of a collection that a campaign asked for, from the first or later.

    Examples
    --------
    >>> [next(iter(stage)) for stage in of_campaign("runs", {}, "quickstart")]
    ['$match', '$unionWith']
    """
    joined: list[Stage] = [
        {"$match": {"campaign": campaign, "collection": collection}},
        {"$lookup": {"from": collection, "localField": "document", "foreignField": "_id", "as": "found"}},
        {"$replaceWith": {"$ifNull": [{"$first": "$found"}, {"campaigns": campaign}]}},
        {"$match": {**criteria, "campaigns": {"$ne": campaign}}},
    ]
    return [{"$match": {**criteria, "campaigns": campaign}}, {"$unionWith": {"coll": JOINS, "pipeline": joined}}]


def with_joined() -> list[Stage]:
    """Stages that add to the list ``campaigns`` of each document those that joined later, by name."""
    lists = {"$concatArrays": ["$campaigns", "$joined.campaign"]}
    return [
        {"$lookup": {"from": JOINS, "localField": "_id", "foreignField": "document", "as": "joined"}},
        {"$set": {"campaigns": {"$cond": [{"$isArray": "$campaigns"}, lists, "$campaigns"]}}},
        {"$unset": "joined"},
    ]


def with_joined_in(field: str) -> list[Stage]:
    """The same for documents that stand in an array, as ``$lookup`` leaves them.

    It is not done in the pipeline of that ``$lookup``, since MongoDB 6.0 dies of explaining one in another.
    """
    own = {"$filter": {"input": "$joined", "as": "join", "cond": {"$eq": ["$$join.document", "$$one._id"]}}}
    names = {"$map": {"input": own, "as": "join", "in": "$$join.campaign"}}
    completed = {"$mergeObjects": ["$$one", {"campaigns": {"$concatArrays": ["$$one.campaigns", names]}}]}
    return [
        {"$lookup": {"from": JOINS, "localField": f"{field}._id", "foreignField": "document", "as": "joined"}},
        {"$set": {field: {"$map": {"input": f"${field}", "as": "one", "in": completed}}}},
        {"$unset": "joined"},
    ]


def missing_joins(criteria: Mapping[str, Any], campaigns: Sequence[str]) -> list[Stage]:
    """Stages that give the documents which not all of these campaigns asked for, with the names that are missing."""
    lacking = {"$match": {"campaigns": {"$not": {"$all": list(campaigns)}}}}
    missing = {"$setDifference": [list(campaigns), "$campaigns"]}
    return [
        {"$match": dict(criteria)},
        lacking,
        {"$project": {"campaigns": 1}},
        *with_joined(),
        lacking,
        {"$project": {"campaigns": missing}},
    ]


def notes(collection: str, documents: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    """The notes to be stored for what `missing_joins` gives."""
    for document in documents:
        for campaign in document["campaigns"]:
            id_ = document["_id"]
            yield {"_id": f"{id_} {campaign}", "campaign": campaign, "document": id_, "collection": collection}
