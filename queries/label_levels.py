"""What the counts of labels by level of theory tell beside: the level's settings, and how many labels were refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lipsdb.provenance.summaries import cutoff_of, dispersion_of, functional_of
from lipsdb.queries.aggregation import Stage, select
from lipsdb.queries.counting import Among
from lipsdb.queries.tables import Column

# a group of refused labels without labels, completed
NO_LABELS: dict[str, Any] = {"n": 0, "systems": [], "iterations": [], "temperatures": [], "pressures": []}


def describe_levels(campaign: str | None, level_of_theory: str | None, among: Among) -> list[Stage]:
    """Stages that add groups of refused labels, and to each group its level of theory."""
    if among.listed:
        return []
    refused = {"asked.level_of_theory": {"$gte": ""} if level_of_theory is None else level_of_theory}
    key = {"level_of_theory": "$asked.level_of_theory", "source": "$asked.source"}
    selected = select("refusals", refused, campaign, campaigns=False)
    count = [*selected, *among.stages(), {"$group": {"_id": key, "n_refused": {"$sum": 1}}}, {"$sort": {"_id": 1}}]
    level = {
        "from": "levels_of_theory",
        "localField": "_id.level_of_theory",
        "foreignField": "asked.name",
        "pipeline": [{"$project": {"asked": 1, "answer.how_known": 1}}],
        "as": "level",
    }
    return [{"$unionWith": {"coll": "refusals", "pipeline": count}}, {"$lookup": level}]


def share_refused(
    known: Sequence[Mapping[str, Any]], refused: Sequence[Mapping[str, Any]]
) -> tuple[list[int | None], list[Mapping[str, Any]]]:
    """Refused labels of each group of the same level and source, and the groups of refused ones without labels."""
    numbers: list[int | None] = [0] * len(known)
    places = {_level_and_source(group): index for index, group in reversed([*enumerate(known)])}
    left = []
    for group in refused:
        if _level_and_source(group) in places:
            numbers[places[_level_and_source(group)]] = group["n_refused"]
        else:
            left.append(group)
    return numbers, left


def _level_and_source(group: Mapping[str, Any]) -> tuple[str, str]:
    return group["_id"]["level_of_theory"], group["_id"]["source"]


def level_fields(group: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a row that describe the group's level of theory; None each where it is not looked up or not stored."""
    level = (group.get("level") or [None])[0]
    asked = {"code": None, "settings": {}} if level is None else level["asked"]
    return {
        "code": asked["code"],
        "functional": functional_of(asked),
        "dispersion": dispersion_of(asked),
        "cutoff": cutoff_of(asked),
        "how_known": None if level is None else level["answer"]["how_known"],
    }


def level_columns() -> list[Column]:
    """Columns that describe the level of theory."""
    return [
        Column("code", "", lambda row: row.code),
        Column("functional", "", lambda row: row.functional),
        Column("dispersion", "", lambda row: row.dispersion),
        Column("cutoff", "", lambda row: row.cutoff),
        Column("how known", "", lambda row: row.how_known),
    ]
