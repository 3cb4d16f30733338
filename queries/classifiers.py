"""Classifiers of ions: what they were trained on, how they were chosen, and how well they do on what was held out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lipsdb.queries.aggregation import Aggregation, fetch, select
from lipsdb.queries.tables import Column, Table, short_id

if TYPE_CHECKING:
    from lipsdb.store.database import Database

_NORMAL_95 = 1.96


@dataclass(frozen=True)
class ClassifierRow:
    """One classifier; accuracies are fractions of 1, on the groups held out."""

    id: str
    method: str
    species: str
    structures: tuple[str, ...]
    temperatures_K: tuple[float, ...]
    n_runs: int
    group_by: str
    n_samples_train: int
    n_samples_test: int
    n_groups_train: int
    n_groups_test: int
    immobile_below_A: float
    hopping_from_A: float
    cutoff_A: float
    spacing_A: float
    regularisation_C: float
    n_choices: int
    accuracy: float
    accuracy_interval_95: tuple[float, float]
    balanced_accuracy: float
    roc_auc: float
    majority: float
    accuracy_train: float
    flags: tuple[str, ...]
    campaigns: tuple[str, ...]
    withdrawals: tuple[str, ...] = ()


def aggregation(campaign: str | None = None) -> Aggregation:
    """The pipeline: classifiers without their arrays."""
    settings = ["asked.settings.group_by", "asked.settings.balance"]
    kept = ["asked.method", *settings, "campaigns", "made_by.finished_at"]
    kept += [f"answer.{name}" for name in ("features", "regularisation_C", "immobile_below_A", "hopping_from_A")]
    kept += [f"answer.{name}" for name in ("train", "test", "runs")]
    n_choices = {"$size": {"$ifNull": ["$answer.grid", []]}}
    pipeline = [
        *select("classifiers", {"asked.method": {"$gte": ""}}, campaign),
        {"$project": {**dict.fromkeys(kept, 1), "n_choices": n_choices}},
        {"$sort": {"made_by.finished_at": 1, "_id": 1}},
    ]
    return Aggregation("classifiers", pipeline)


def rows(database: Database, campaign: str | None = None) -> list[ClassifierRow]:
    """Run the query.

    Raises
    ------
    NotFoundError
        If there is no such campaign.
    """
    return [_row_of(found) for found in fetch(database, aggregation(campaign), campaign)]


def _row_of(found: Mapping[str, Any]) -> ClassifierRow:
    answer, train, test = found["answer"], found["answer"]["train"], found["answer"]["test"]
    return ClassifierRow(
        id=found["_id"],
        method=found["asked"]["method"],
        species=answer["features"]["centre"],
        structures=tuple(sorted({run["structure"] for run in answer["runs"]})),
        temperatures_K=tuple(sorted({run["temperature_K"] for run in answer["runs"]})),
        n_runs=len(answer["runs"]),
        group_by=found["asked"]["settings"]["group_by"],
        n_samples_train=train["n_samples"],
        n_samples_test=test["n_samples"],
        n_groups_train=train["n_groups"],
        n_groups_test=test["n_groups"],
        immobile_below_A=answer["immobile_below_A"],
        hopping_from_A=answer["hopping_from_A"],
        cutoff_A=answer["features"]["cutoff_A"],
        spacing_A=answer["features"]["spacing_A"],
        regularisation_C=answer["regularisation_C"],
        n_choices=max(found["n_choices"], 1),
        accuracy=test["accuracy"],
        accuracy_interval_95=(test["accuracy_low"], test["accuracy_high"]),
        balanced_accuracy=test["balanced_accuracy"],
        roc_auc=test["roc_auc"],
        majority=test["majority"],
        accuracy_train=train["accuracy"],
        flags=() if _beats_chance(test, balanced=found["asked"]["settings"]["balance"]) else ("no better than chance",),
        campaigns=tuple(found["campaigns"]),
    )


def _beats_chance(test: Mapping[str, Any], *, balanced: bool) -> bool:
    """Whether a test is surely above chance: accuracy above the larger class or, if balanced, balanced above 1/2.

    A balanced fit gives accuracy away for the smaller class, and may be far from chance with an accuracy below the
    larger class. Its balanced accuracy is given a 95 % interval as the accuracy's: Wilson's, with the ``n`` samples
    that the accuracy's interval counted. Of classes of ``m n`` and ``(1 - m) n`` samples they are worth
    ``4 m (1 - m) n``, since the mean of both fractions varies as ``(1 / m + 1 / (1 - m)) / (4 n)``. Wilson's lower end
    lies above 1/2 where the value does by more than ``1.96 / (2 sqrt(4 m (1 - m) n))``.

    Examples
    --------
    >>> test = {"accuracy": 0.85, "accuracy_low": 0.83, "majority": 0.95, "balanced_accuracy": 0.85}
    >>> _beats_chance(test, balanced=True), _beats_chance(test, balanced=False)
    (True, False)
    """
    low, majority = test["accuracy_low"], test["majority"]
    if not balanced:
        return bool(low > majority)
    below = (test["accuracy"] - low) ** 2
    variance = below / (_NORMAL_95**2 * low * (1 - low)) if low > 0 else math.inf  # 1 / n
    excess = test["balanced_accuracy"] - 0.5
    return bool(excess > 0 and excess**2 > _NORMAL_95**2 * variance / (16 * majority * (1 - majority)))


def table(found: Sequence[ClassifierRow]) -> Table:
    """Lay the rows out as a table."""
    columns = [
        Column("classifier", "", lambda row: short_id(row.id)),
        Column("of", "", lambda row: row.species),
        Column("trained on", "", _trained_on),
        Column("samples", "train/test", lambda row: f"{row.n_samples_train}/{row.n_samples_test}"),
        Column("groups", "train/test", lambda row: f"{row.n_groups_train}/{row.n_groups_test} {row.group_by}s"),
        Column("accuracy", "test", lambda row: f"{row.accuracy:.2f} [{_interval(row)}]"),
        Column("majority", "test", lambda row: f"{row.majority:.2f}"),
        Column("balanced accuracy", "test", lambda row: f"{row.balanced_accuracy:.2f}"),
        Column("AUC", "test", lambda row: f"{row.roc_auc:.2f}"),
        Column("accuracy", "train", lambda row: f"{row.accuracy_train:.2f}", detail=True),
        Column("D_c", "Å", _thresholds),
        Column("C", "", lambda row: f"{row.regularisation_C:g}"),
        Column("cutoff", "Å", lambda row: f"{row.cutoff_A:g}", detail=True),
        Column("bins", "Å", lambda row: f"{row.spacing_A:g}", detail=True),
        Column("tried", "choices", lambda row: row.n_choices, detail=True),
        Column("flags", "", lambda row: row.flags),
    ]
    notes = [
        "test: groups held out, which had no say in any choice; in brackets the 95 % interval, which counts a group "
        "whose samples are right or wrong together as little more than one; majority: the accuracy of always answering "
        "the larger class"
    ]
    if any(row.group_by == "ion" for row in found):
        notes.append("held-out ions are neighbours of those trained on, in the same runs: their test is too kind")
    todo = "a campaign trains one (section `classifiers`): `lipsdb campaign submit FILE`, then `lipsdb run`"
    title = "Classifiers of ions and their performance on what was held out"
    return Table("classifiers", title, columns, found, notes if found else (), ClassifierRow, todo)


def _interval(row: ClassifierRow) -> str:
    low, high = row.accuracy_interval_95
    return f"{low:.2f}, {high:.2f}"


def _trained_on(row: ClassifierRow) -> str:
    temperatures = ", ".join(f"{one:g}" for one in row.temperatures_K)
    return f"{', '.join(row.structures)}: {row.n_runs} runs at {temperatures} K"


def _thresholds(row: ClassifierRow) -> str:
    low, high = row.immobile_below_A, row.hopping_from_A
    return f"{high:.3g}" if low == high else f"{low:.3g} and {high:.3g}"
