"""Versions of programs as they print them, and ranges of them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

_RELEASE = re.compile(r"v?(\d+(?:\.\d+(?![0-9A-Za-z]))*(?:-?(?:a|b|rc)\d+)?)")  # of '2.21.0-rc1-5-g…', '5.4.4.18Apr17'
_DATE = re.compile(r"(\d{1,2} [A-Z][a-z]{2} \d{4})(?: - Update (\d+))?")  # LAMMPS: '22 Jul 2025 - Update 2'
_PART = re.compile(r"(<=|>=|==|!=|<|>)\s*(.+)")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip

Dated = tuple[date, int]  # release date and number of the update


def version_of(text: str) -> Version | None:
    """A version as PEP 440 has it, None if there is no number in it that can be compared.

    Examples
    --------
    >>> [str(version_of(text)) for text in ("3.2.0", "2.21.0-rc1-5-ga481b10260d", "5.4.4.18Apr17-6-g9f103f2a35")]
    ['3.2.0', '2.21.0rc1', '5.4.4']
    >>> version_of("unknown") is None
    True
    """
    try:
        return Version(text)
    except InvalidVersion:
        found = _RELEASE.match(text)
        return Version(found[1]) if found else None


def dated_version_of(text: str) -> Dated | None:
    """Date and update of a version that is named after its date, None if it is not.

    A development version counts as the release that it was made from.

    Examples
    --------
    >>> dated_version_of("22 Jul 2025 - Update 2")
    (datetime.date(2025, 7, 22), 2)
    """
    found = _DATE.match(text)
    if found is None:
        return None
    try:
        return datetime.strptime(found[1], "%d %b %Y").replace(tzinfo=UTC).date(), int(found[2] or 0)
    except ValueError:
        return None


@dataclass(frozen=True)
class VersionRange:
    """Versions between limits: a PEP 440 specifier, or comparisons with release dates.

    Attributes
    ----------
    text : str
        As it was written.
    dated : bool
        Whether versions are compared by date.

    Examples
    --------
    >>> recent = VersionRange.parse(">=14 May 2021, <=22 Jul 2025 - Update 1")
    >>> recent.contains("22 Jul 2025 - Update 1"), recent.contains("22 Jul 2025 - Update 2")
    (True, False)
    >>> VersionRange.parse("<=2.0.1").contains("2.0.1")
    True
    """

    text: str
    dated: bool
    _limits: tuple[tuple[str, Dated], ...]
    _specifier: SpecifierSet

    @classmethod
    def parse(cls, text: str) -> VersionRange:
        """Read a range.

        Raises
        ------
        ValueError
            If it is neither a PEP 440 specifier nor comparisons with dates such as '14 May 2021'.
        """
        parts = [_PART.fullmatch(part.strip()) for part in text.split(",")]
        limits = [(part[1], dated_version_of(part[2])) for part in parts if part]
        known = tuple((comparison, limit) for comparison, limit in limits if limit is not None)
        if known and len(known) == len(parts):
            return cls(text, True, known, SpecifierSet())
        try:
            specifier = SpecifierSet(text)
        except InvalidSpecifier:
            specifier = SpecifierSet()
        if known or not len(specifier):
            raise ValueError(
                f"{text!r} is no range of versions; give comparisons joined by commas, with versions (>=2.1,<2.1.5) or "
                "with release dates (>=14 May 2021, <22 Jul 2025 - Update 2)"
            )
        return cls(text, False, (), specifier)

    def contains(self, version: str) -> bool | None:
        """Whether a version is in the range; None if that cannot be told."""
        if self.dated:
            own = dated_version_of(version)
            return None if own is None else all(_COMPARE[how](own, limit) for how, limit in self._limits)
        number = version_of(version)
        return None if number is None else self._specifier.contains(number, prereleases=True)
