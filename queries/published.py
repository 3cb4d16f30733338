"""Published values of a campaign, joined to what it found by structure, quantity and temperature."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lipsdb.queries.aggregation import Stage

_TEMPERATURE_TOLERANCE_K = 1e-6


@dataclass(frozen=True)
class PublishedValue:
    """One published value.

    Attributes
    ----------
    quantity : str
        'D' (cm^2/s), 'Ea' (eV), 'sigma_300K' (S/cm), 'bulk_modulus' or 'shear_modulus' (GPa), 'a', 'b', 'c' (A),
        'density' (g/cm^3).
    temperature_K : float or None
        For D.
    value : float or None
        In `unit`; None if it is printed in a figure only.
    unit, method, doi, where : str
        How it was obtained and where it is printed.
    cites : str or None
        The original work, if the publication quotes another.
    note : str or None
        A remark.
    """

    quantity: str
    temperature_K: float | None
    value: float | None
    unit: str
    method: str
    doi: str
    where: str
    cites: str | None = None
    note: str | None = None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> PublishedValue:
        """Read an entry of a campaign's section ``published``."""
        source = entry["source"]
        return cls(
            quantity=entry["quantity"],
            temperature_K=entry.get("temperature_K"),
            value=entry.get("value"),
            unit=entry["unit"],
            method=entry["method"],
            doi=source["doi"],
            where=source["where"],
            cites=source.get("cites"),
            note=entry.get("note"),
        )


def published_stages(campaign: str | None, structure_field: str) -> list[Stage]:
    """Join the published values of the same structure, as the field ``published``.

    Parameters
    ----------
    campaign : str or None
        Its values only; None joins those of all campaigns that asked for the document.
    structure_field : str
        Field of the document with the structure's name, such as ``$answer.conditions.structure``.

    Notes
    -----
    Of a campaign that was submitted several times, the newest submission counts.
    """
    only = [] if campaign is None else [{"$match": {"asked.name": campaign}}]
    newest = [
        {"$sort": {"made_by.finished_at": -1, "_id": 1}},
        {"$group": {"_id": "$asked.name", "published": {"$first": "$asked.specification.published"}}},
        {"$sort": {"_id": 1}},
        {"$unwind": "$published"},
        {"$replaceWith": "$published"},
    ]
    join = {"from": "campaigns", "localField": "campaigns", "foreignField": "asked.name", "as": "published"}
    same = {"input": "$published", "as": "entry", "cond": {"$eq": ["$$entry.structure", structure_field]}}
    return [{"$lookup": {**join, "pipeline": only + newest}}, {"$set": {"published": {"$filter": same}}}]


def published_values(
    entries: Iterable[Mapping[str, Any]], quantity: str, temperature_K: float | None = None
) -> tuple[PublishedValue, ...]:
    """Those of the joined entries that are of this quantity, at this temperature if the quantity has one.

    Examples
    --------
    >>> entry = {"quantity": "D", "temperature_K": 700.0, "value": None, "unit": "cm^2/s", "method": "MD",
    ...          "source": {"doi": "10.1/x", "where": "Fig. 1"}, "note": "figure only"}
    >>> len(published_values([entry, entry], "D", 700.0)), len(published_values([entry], "D", 800.0))
    (1, 0)
    """
    found = [PublishedValue.of(entry) for entry in entries if entry["quantity"] == quantity]
    return tuple(dict.fromkeys(value for value in found if _at(value.temperature_K, temperature_K)))


def _at(published_K: float | None, wanted_K: float | None) -> bool:
    if published_K is None or wanted_K is None:
        return published_K is wanted_K
    return math.isclose(published_K, wanted_K, rel_tol=0, abs_tol=_TEMPERATURE_TOLERANCE_K)


def published_sigma(entries: Iterable[Mapping[str, Any]], temperature_K: float) -> tuple[PublishedValue, ...]:
    """Published conductivities at this temperature; the campaign file knows those at 300 K."""
    return published_values(entries, "sigma_300K") if _at(300.0, temperature_K) else ()
