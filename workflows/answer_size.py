"""Whether an answer fits into a document of MongoDB."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lipsdb.documents.base import Model
from lipsdb.documents.property import PropertyAsked
from lipsdb.errors import BadInputError

LARGEST_MB, DOCUMENT_MB = 12.0, 16  # the rest is for the record of how it was made
_STEPS = ("bin", "dr_", "dq_", "bandwidth_", "slab_width_", "stride_")  # beginnings of parameters that set a size


def check_size(asked: Model, answer: Model | Mapping[str, Any]) -> None:
    """Refuse the answer of a property that is too large to be stored.

    Raises
    ------
    BadInputError
        Naming its size, its largest part, and the parameters that make it smaller.

    Examples
    --------
    >>> check_size(PropertyAsked(property="profile", parameters={}), {"density_per_A3": np.ones(1000)})
    """
    if not isinstance(asked, PropertyAsked) or not isinstance(answer, Mapping):
        return
    sizes: dict[str, float] = {}
    for name, size in _sizes(answer):
        sizes[name] = sizes.get(name, 0.0) + size / 1e6
    total = sum(sizes.values())
    if total <= LARGEST_MB:
        return
    largest = max(sizes, key=sizes.__getitem__)
    steps = [
        f"{name} (received {value:g})"
        for name, value in asked.parameters.items()
        if name.startswith(_STEPS) and isinstance(value, int | float)
    ]
    raise BadInputError(
        f"the answer {asked.property} would take {total:.0f} MB, {largest} alone {sizes[largest]:.0f} MB; a document "
        f"holds {DOCUMENT_MB} MB, of which an answer may take {LARGEST_MB:g}: "
        + (f"give a larger {' or '.join(steps)}" if steps else "ask for less, by fewer atoms or frames")
    )


def _sizes(value: Any, name: str = "") -> Iterator[tuple[str, int]]:
    """Name and size in bytes of all that a value holds; names are those of the innermost mapping."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _sizes(item, str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _sizes(item, name)
    elif isinstance(value, np.ndarray):
        yield name, value.nbytes
    else:
        yield name, len(value) if isinstance(value, str) else 16
