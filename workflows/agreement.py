"""Do two answers to the same question agree? Field by field, within stated tolerances."""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

import numpy as np

from lipsdb.provenance.canonical import decoded

Outcome = Literal["equal", "within tolerance", "statistically", "different", "failed"]
# What the documents were made from is the same; agrees within tolerances; or is another sample of the same thing
Regime = Literal["same", "near", "diverged", "resampled"]
Regimes = Mapping[Regime, "tuple[Tolerance, ...]"]

ROUNDING = 1e-9


@dataclass(frozen=True)
class Field:
    """One field of an answer, then and now, with what stands around it: beside it, then beside its parents."""

    path: str
    before: Any
    after: Any
    around_before: Mapping[str, Any]
    around_after: Mapping[str, Any]


@dataclass(frozen=True)
class Tolerance:
    """How far a field may be off.

    Attributes
    ----------
    fields : tuple of str
        Patterns of field names, as 'points.*.D_cm2_s'.
    allowed : callable or None
        The largest difference allowed, from the field; None: the field is not compared.
    text : str
        The same for people.
    reason : str
        Why so much.
    measure : callable, optional
        What is compared with it; by default the largest difference of two numbers.
    """

    fields: tuple[str, ...]
    allowed: Callable[[Field], float] | None
    text: str
    reason: str
    measure: Callable[[Field], float] | None = None

    def ratio(self, field: Field) -> float:
        """The difference in units of what is allowed; infinite where numbers cannot be compared."""
        if self.allowed is None:
            return 0.0
        difference = (self.measure or _largest_difference)(field)
        if difference == 0:
            return 0.0
        allowed = self.allowed(field)
        return difference / allowed if allowed > 0 else math.inf

    def covers(self, path: str) -> bool:
        """Whether it is meant for this field."""
        return any(fnmatchcase(path, pattern) for pattern in self.fields)


@dataclass(frozen=True)
class Difference:
    """A field that differs: both values (of an array the element that differs most), and by how much of the allowed."""

    field: str
    before: Any
    after: Any
    ratio: float


@dataclass(frozen=True)
class Comparison:
    """Whether two answers agree.

    Attributes
    ----------
    outcome : str
        'equal': the same content hash. 'within tolerance'. 'statistically': another sample of the same thing.
        'different'.
    first, largest : Difference or None
        Of the fields that differ (if the outcome is 'different': that differ too much), the first and the worst. Where
        the work diverged, the first is where it left the tolerances for the same work.
    tolerances : tuple of Tolerance
        Those that were used.
    """

    outcome: Outcome
    first: Difference | None = None
    largest: Difference | None = None
    tolerances: tuple[Tolerance, ...] = ()


def largest(field: Field) -> float:
    """The largest number in a field, then or now, without its sign."""
    found = _numbers(field)
    return 0.0 if found is None else float(max(np.nan_to_num(np.abs(one)).max() for one in found))


EXACT = Tolerance(
    ("*",),
    lambda field: ROUNDING * largest(field),
    f"{ROUNDING:g} of the array's largest number; text, counts and flags: none",
    "the same numbers in another order of summation (other processor, other library) round differently",
)


def compare(
    regimes: Regimes, before: Mapping[str, Any], after: Mapping[str, Any], inputs: Outcome = "equal"
) -> Comparison:
    """Compare two answers to one question.

    Parameters
    ----------
    regimes : mapping
        Tolerances by how the inputs compare, as `lipsdb.workflows.tolerances.TOLERANCES` has them for each activity;
        without an entry those of 'same' count, and `EXACT` for a field that none covers. With an entry 'diverged',
        the work is chaotic, and may give another sample from the same inputs.
    before, after : mapping
        Documents as stored: at least ``content`` and ``answer``.
    inputs : str
        How what they were made from compares.

    Returns
    -------
    Comparison
    """
    if before["content"] == after["content"]:
        return Comparison("equal")
    resampled = inputs == "statistically"
    regime: Regime = "resampled" if resampled else "same" if inputs == "equal" else "near"
    fields = list(_fields(decoded(before["answer"]), decoded(after["answer"]), "", (ChainMap(), ChainMap())))
    chosen = regimes.get(regime, regimes.get("same", ()))
    found = _compared(fields, chosen, "statistically" if resampled else "within tolerance")
    if found.outcome == "different" and not resampled and "diverged" in regimes:
        diverged = _compared(fields, regimes["diverged"], "statistically")
        found = diverged if diverged.outcome == "different" else replace(diverged, first=found.first)
    return found


def _compared(fields: Sequence[Field], tolerances: Sequence[Tolerance], passed: Outcome) -> Comparison:
    differing, used = [], []
    for field in fields:
        tolerance = next((one for one in tolerances if one.covers(field.path)), EXACT)
        ratio = tolerance.ratio(field)
        if ratio > 0:
            differing.append((ratio, field))
        if tolerance not in used and (ratio > 0 or tolerance.allowed is None):
            used.append(tolerance)
    outcome = passed if all(ratio <= 1 for ratio, _ in differing) else "different"
    named = [_difference(field, ratio) for ratio, field in differing if outcome != "different" or ratio > 1]
    largest = max(named, key=lambda one: one.ratio, default=None)
    return Comparison(outcome, named[0] if named else None, largest, tuple(used))


_ABSENT = "(absent)"


def _fields(
    before: Any, after: Any, path: str, around: tuple[ChainMap[str, Any], ChainMap[str, Any]]
) -> Iterator[Field]:
    """The fields of two answers, in the order of the first."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        around = around[0].new_child(dict(before)), around[1].new_child(dict(after))
        for key in (*before, *(key for key in after if key not in before)):
            name = f"{path}.{key}" if path else str(key)
            yield from _fields(before.get(key, _ABSENT), after.get(key, _ABSENT), name, around)
    elif _is_list_of_mappings(before) and _is_list_of_mappings(after) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _fields(one, other, f"{path}.{number}", around)
    else:
        yield Field(path, before, after, *around)


def _is_list_of_mappings(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _numbers(field: Field) -> tuple[np.ndarray, np.ndarray] | None:
    """Both values as arrays of numbers of the same shape, if they are that."""
    try:
        before, after = np.asarray(field.before), np.asarray(field.after)
    except ValueError:  # lists of unequal lengths
        return None
    numeric = all(array.dtype.kind in "iuf" for array in (before, after))
    return (before, after) if numeric and before.shape == after.shape and before.size else None


def _apart(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Distance of each number: none of two that are no numbers, infinite of one that is not."""
    one, other = before.astype(float), after.astype(float)
    missing_in_both = np.isnan(one) & np.isnan(other)
    return np.asarray(np.nan_to_num(np.where(missing_in_both, 0.0, np.abs(other - one)), nan=np.inf))


def _largest_difference(field: Field) -> float:
    found = _numbers(field)
    if found is None:
        same = (
            np.array_equal(field.before, field.after)
            if isinstance(field.before, np.ndarray) and isinstance(field.after, np.ndarray)
            else type(field.before) is type(field.after)
            and not isinstance(field.before, np.ndarray)
            and field.before == field.after
        )
        return 0.0 if same else math.inf
    return float(_apart(*found).max())


def _difference(field: Field, ratio: float) -> Difference:
    found = _numbers(field)
    if found is None or not found[0].ndim:
        return Difference(field.path, _short(field.before), _short(field.after), ratio)
    before, after = found
    at = np.unravel_index(int(_apart(before, after).argmax()), before.shape)
    name = f"{field.path}[{', '.join(str(int(i)) for i in at)}]"
    return Difference(name, before[at].item(), after[at].item(), ratio)


def _short(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {'×'.join(map(str, value.shape))}"
    return value if value is None or isinstance(value, (int, float)) else str(value)[:80]
