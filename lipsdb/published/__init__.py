"""Numbers that the studies published, to stand beside our own."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any


@lru_cache(maxsize=1)
def disorder_labels() -> dict[str, Any]:
    """Label counts of the disorder study, Tables S1 and S2."""
    from ruamel.yaml import YAML

    text = resources.files("lipsdb.published").joinpath("disorder.yaml").read_text(encoding="utf-8")
    return dict(YAML(typ="safe").load(text))


def system_of_formula(formula: str) -> str | None:
    """Name of the explored (glass) system with this composition; None if the study has none."""
    explored = set(disorder_labels()["explored"]["columns"][3:])
    for row in disorder_labels()["initial"]:
        if row["formula"] == formula and row["system"] in explored:
            return str(row["system"])
    return None
