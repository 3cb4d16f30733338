"""Rule on levels of theory: the labels of a dataset share theirs, unless mixing was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lipsdb.provenance.audit.reading import documents
from lipsdb.provenance.audit.rules.tally import LABEL, Group, members
from lipsdb.provenance.links import links_of
from lipsdb.store.batches import batches

if TYPE_CHECKING:
    from lipsdb.provenance.audit.findings import Progress, Survey
    from lipsdb.store.database import Database


def check_levels(database: Database, survey: Survey, groups: Sequence[Group], progress: Progress) -> None:
    """Each label has one level of theory, and the labels of a dataset share it.

    What counts is the id of the level's document, not its name: two levels of one name that differ in a setting are
    two. Labels that are elsewhere are judged by what their dataset says.

    Parameters
    ----------
    database : Database
    survey : Survey
    groups : sequence of Group
        All labels, counted by level.
    progress : callable
    """
    for group in groups:
        if len(group.key["levels"]) != 1:
            for label in members(database, survey, group):
                n = len(group.key["levels"])
                fault = f"level of theory: {n} levels are among its inputs, one is expected; ingest it again"
                survey.error("rules", str(label["_id"]), fault)
    single = len({str(group.key["levels"]) for group in groups}) == 1
    names = {
        str(level["_id"]): str((level.get("asked") or {}).get("name"))
        for level in documents(database, "level_of_theory", None, {"asked.name": 1})
    }
    fields = {"inputs": 1, "asked.mixed_levels_of_theory": 1, "answer.level_of_theory": 1}
    for done, dataset in enumerate(documents(database, "dataset", survey.scope, fields), 1):
        labels = [link["id"] for link in links_of(dataset) if link["role"] == "label"]
        found = _levels_of(database, labels, groups[0].key["levels"] if single else None)
        _judge(survey, dataset, names, found, len(labels))
        progress("rules: levels of theory of datasets", done, done)


def _levels_of(database: Database, labels: Sequence[str], only: list[str] | None) -> Counter[str]:
    """How many of these labels have which level; those that are elsewhere are not counted."""
    collection, found = database.collection("labels"), Counter[str]()
    for batch in batches(labels):
        here = {"_id": {"$in": batch}}
        if only is not None:
            found[", ".join(map(str, only))] += collection.count_documents(here)
            continue
        group = {"$group": {"_id": LABEL["levels"], "n": {"$sum": 1}}}
        for entry in collection.aggregate([{"$match": here}, group]):
            found[", ".join(map(str, entry["_id"]))] += entry["n"]
    return +found


def _judge(
    survey: Survey, dataset: Mapping[str, Any], names: Mapping[str, str], found: Counter[str], n_labels: int
) -> None:
    id_, answer = str(dataset["_id"]), dataset.get("answer") or {}
    said = answer.get("level_of_theory")
    said = [str(name) for name in said] if isinstance(said, list) else []
    elsewhere = n_labels - sum(found.values())
    survey.counts["labels judged by what their dataset says"] += elsewhere
    held = ", ".join(f"{n} at {names.get(level, '?')} ({level or 'none'})" for level, n in found.most_common())
    if elsewhere:
        held = f"{held}{', ' if held else ''}{elsewhere} that are elsewhere, of {' and '.join(said) or 'none'}"
    if len(found) > 1 or (elsewhere and len(said) != 1):
        asked = dataset.get("asked") or {}
        if asked.get("mixed_levels_of_theory") is True:
            survey.note("rules", id_, f"level of theory: labels are mixed, as was asked for: {held}")
        else:
            remedy = "choose labels of one level, or ask for mixed_levels_of_theory, and withdraw this dataset"
            survey.error("rules", id_, f"level of theory: labels are of several levels: {held}; {remedy}")
    unsaid = sorted({names[level] for level in found if level in names} - set(said))
    if unsaid:
        survey.error(
            "rules",
            id_,
            f"level of theory: it says {' and '.join(said) or 'none'}, but holds labels of {', '.join(unsaid)}; "
            "freeze it again and withdraw this one",
        )
