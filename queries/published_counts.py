"""The published counts of labels, and which labels of the database they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lipsdb.published import disorder_labels

By = Literal["system", "iteration", "level"]


@dataclass(frozen=True)
class PublishedCount:
    """One count of Table S1 (initial) or S2 (explored) of the disorder study."""

    system: str
    formula: str
    n_atoms: int
    part: str
    iteration: int | None
    temperatures_K: tuple[float, ...]
    pressures_bar: tuple[float, ...]
    n_labels: int


def published_counts() -> list[PublishedCount]:
    """All counts of Tables S1 and S2.

    Examples
    --------
    >>> len(published_counts()), sum(count.n_labels for count in published_counts())
    (53, 60315)
    """
    tables = disorder_labels()
    counts = [
        PublishedCount(
            row["system"], row["formula"], row["n_atoms"], "initial", None, (3000.0,), (), int(row["n_labels"])
        )
        for row in tables["initial"]
    ]
    composition = {count.system: count for count in counts}
    for iteration, temperatures, pressures, *numbers in tables["explored"]["rows"]:
        for system, number in zip(tables["explored"]["columns"][3:], numbers, strict=True):
            known, kelvin, bar = composition[system], tuple(map(float, temperatures)), tuple(map(float, pressures))
            counts.append(
                PublishedCount(system, known.formula, known.n_atoms, "explored", iteration, kelvin, bar, number)
            )
    return counts


def match_published(groups: Sequence[Mapping[str, Any]], by: By) -> list[tuple[PublishedCount, ...]]:
    """The published counts that belong to each group of labels; each count belongs to one group at most.

    Only ingested labels can be the published ones: of the same system, composition and number of atoms, explored or
    not, of the same iteration, and from the same temperature where one is known. If several groups fit, the one
    whose source is the study's DOI comes first, then the largest.
    """
    doi = disorder_labels()["doi"]
    preferred = sorted(range(len(groups)), key=lambda i: (doi not in str(groups[i]["_id"]["source"]), -groups[i]["n"]))
    matches: list[tuple[PublishedCount, ...]] = [()] * len(groups)
    left = published_counts()
    for index in preferred:
        group = groups[index]
        if by == "level":
            fits = left if doi in str(group["_id"]["source"]) else []
        else:
            fits = [count for count in left if _fits(group, count, by)]
        matches[index] = tuple(fits)
        left = [count for count in left if count not in fits]
    return matches


def _fits(group: Mapping[str, Any], count: PublishedCount, by: By) -> bool:
    key, temperatures = group["_id"], union_of(group["temperatures"])
    same = all(key[name] == getattr(count, name) for name in ("system", "formula", "n_atoms", "part"))
    return (
        same
        and "ingest" in key["activity"]
        and (by != "iteration" or key["iteration"] == count.iteration)
        and set(temperatures) <= (set(count.temperatures_K) or set(temperatures))
    )


def union_of(arrays: Iterable[Iterable[float]]) -> tuple[float, ...]:
    """All numbers that stand in any of the arrays, once each, sorted."""
    return tuple(sorted({float(value) for array in arrays for value in array}))
