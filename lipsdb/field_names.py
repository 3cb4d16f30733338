"""Names of fields, which end in their unit, as people read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_UNITS = {
    "_A": "Å",
    "_A2": "Å²",
    "_A3": "Å³",
    "_per_A2": "Å⁻²",
    "_per_A": "Å⁻¹",
    "_per_A3": "Å⁻³",
    "_A2_ps": "Å²/ps",
    "_deg": "°",
    "_ps": "ps",
    "_K": "K",
    "_GPa": "GPa",
    "_cm2_s": "cm²/s",
    "_g_cm3": "g/cm³",
    "_percent": "%",
}


def unit_suffix(name: str) -> str:
    """The end of a field's name that says its unit; empty if there is none.

    Examples
    --------
    >>> unit_suffix("peak_std_A"), unit_suffix("level")
    ('_A', '')
    """
    return max((end for end in _UNITS if name.endswith(end)), key=len, default="")


def in_words(name: str) -> tuple[str, str]:
    """A field's name without the unit, in words, and the unit; this is empty if there is none.

    Examples
    --------
    >>> in_words("min_distance_A"), in_words("level")
    (('min distance', 'Å'), ('level', ''))
    """
    suffix = unit_suffix(name)
    return name.removesuffix(suffix).replace("_", " "), _UNITS.get(suffix, "")


def value_in_words(value: Any) -> str:
    """A setting's value as people write it.

    Examples
    --------
    >>> value_in_words(5.0), value_in_words("auto"), value_in_words([25, 50])
    ('5', 'auto', '[25, 50]')
    """
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def settings_in_words(settings: Mapping[str, Any]) -> str:
    """Settings with their units, which only numbers have.

    Examples
    --------
    >>> settings_in_words({"cutoff_A": 5.0, "level": 14, "min_distance_A": "auto"})
    'cutoff 5 Å, level 14, min distance auto'
    """
    words = []
    for key, value in settings.items():
        name, unit = in_words(key)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        words.append(f"{name} {value_in_words(value)}" + (f" {unit}" if unit and is_number else ""))
    return ", ".join(words)
