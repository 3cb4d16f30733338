"""Versions of programs that are known to give wrong numbers: `known_bad_versions.yaml`, read and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lipsdb.errors import BadInputError
from lipsdb.provenance.audit.rules.versions import VersionRange
from lipsdb.provenance.kinds import RESULTS

KNOWN_BAD_FILE = Path(__file__).parent / "known_bad_versions.yaml"
_FIELD = re.compile(r"(asked|answer|origin)(\.[A-Za-z_][A-Za-z0-9_]*)+")


class KnownBad(BaseModel):
    """Versions of a program that give wrong numbers, and where that is described."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    program: str = Field(description="Name, as in `made_by.versions`.", pattern=r"^[^.$]+$")
    versions: str = Field(description="Range: a PEP 440 specifier, or comparisons with release dates (LAMMPS).")
    together_with: dict[str, str] = Field(
        default={}, description="Other programs and their ranges: the fault shows only with both."
    )
    kinds: list[str] = Field(description="Kinds of documents whose numbers are wrong.", min_length=1)
    activities: list[str] = Field(default=[], description="Only documents made by these activities; all if empty.")
    conditions: dict[str, str | int | float | bool] = Field(
        default={}, description="Fields of the document and the values that they have where the fault shows."
    )
    wrong: str = Field(description="What goes wrong, in one sentence.", min_length=20)
    severity: Literal["error", "note"] = Field(
        description="'error' if stored numbers are in doubt, 'note' if the effect is small or seldom."
    )
    sources: list[str] = Field(description="URLs of the issue, the release note or the paper.", min_length=1)

    @field_validator("versions")
    @classmethod
    def _range(cls, text: str) -> str:
        VersionRange.parse(text)
        return text

    @field_validator("together_with")
    @classmethod
    def _ranges(cls, ranges: dict[str, str]) -> dict[str, str]:
        for text in ranges.values():
            VersionRange.parse(text)
        return ranges

    @field_validator("kinds")
    @classmethod
    def _kinds_known(cls, kinds: list[str]) -> list[str]:
        unknown = [kind for kind in kinds if kind not in RESULTS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no kind of document; the kinds are {', '.join(RESULTS)}")
        return kinds

    @field_validator("conditions")
    @classmethod
    def _fields(cls, conditions: dict[str, Any]) -> dict[str, Any]:
        wrong = [name for name in conditions if not _FIELD.fullmatch(name)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no field of a document; give one such as asked.settings.ensemble")
        return conditions

    @field_validator("sources")
    @classmethod
    def _urls(cls, sources: list[str]) -> list[str]:
        wrong = [source for source in sources if not source.startswith("https://") or " " in source]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no https:// address")
        return sources

    @cached_property
    def ranges(self) -> Mapping[str, VersionRange]:
        """Range of each program; the fault shows where all hold."""
        every = {self.program: self.versions, **self.together_with}
        return {name: VersionRange.parse(text) for name, text in every.items()}

    def applies(self, versions: Mapping[str, Any]) -> bool | str:
        """Whether these versions show the fault, or the name of the program without which that cannot be told."""
        undecided = ""
        for name, range_ in self.ranges.items():
            inside = range_.contains(str(versions[name])) if name in versions else None
            if inside is False or (inside is None and name == self.program and name not in versions):
                return False
            if inside is None:
                undecided = undecided or name
        return undecided or True


def known_bad_versions(path: Path = KNOWN_BAD_FILE) -> list[KnownBad]:
    """The known faults of programs.

    Parameters
    ----------
    path : Path
        A YAML file with a list of entries (`KnownBad`).

    Raises
    ------
    BadInputError
        For a file that is missing or malformed; names the entry and the field.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        entries = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise BadInputError(f"{path.name} cannot be read ({' '.join(str(error).split())}); mend the file") from error
    if not isinstance(entries, list):
        raise BadInputError(f"{path.name} holds {type(entries).__name__}; a list of entries is expected")
    found = []
    for number, entry in enumerate(entries, 1):
        try:
            found.append(KnownBad.model_validate(entry))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "entry"
            raise BadInputError(f"{path.name}, entry {number}, {where}: {first['msg']}; mend the file") from error
    return found
