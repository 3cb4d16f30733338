"""Named levels of theory: those of the two studies come with the package, others from a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from lipsdb.documents.level_of_theory import LevelOfTheory, LevelOfTheoryAnswer, LevelOfTheoryAsked
from lipsdb.errors import BadInputError
from lipsdb.provenance.canonical import digest
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.provenance.sealing import reference
from lipsdb.store.database import Database


@lru_cache(maxsize=1)
def packaged_levels() -> dict[str, LevelOfTheory]:
    """The levels of theory that come with the package, by name."""
    found = {}
    for path in sorted(resources.files("lipsdb.dft").joinpath("levels").iterdir(), key=lambda path: path.name):
        level = _level_of_text(path.read_text(encoding="utf-8"), path.name)
        found[level.asked.name] = level
    return found


def find_level(name: str) -> LevelOfTheory:
    """A level of theory by the name of a packaged one, or by the path of a YAML file.

    A name that is neither gives a level of which nothing but the name is known (`how_known` is 'named'), so that
    published labels can be taken before their level is described.

    Raises
    ------
    BadInputError
        For a file that is missing or does not describe a level.
    """
    if name in packaged_levels():
        return packaged_levels()[name]
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise BadInputError(
                f"{path} is not a file; give a level's name ({_names()}) or a YAML file that describes it"
            )
        return _level_of_text(path.read_text(encoding="utf-8"), name)
    if not name.strip() or "/" in name:
        raise BadInputError(f"{name!r} is not a level of theory; give a name ({_names()}) or a .yaml file")
    return LevelOfTheory(
        asked=LevelOfTheoryAsked(name=name, code=None, settings={}),
        answer=LevelOfTheoryAnswer(how_known="named", reference=None, remarks=""),
    )


def runnable_level(name: str) -> LevelOfTheory:
    """A level with which calculations can be run.

    Raises
    ------
    BadInputError
        If it is not one to run; names those that are.
    """
    level = find_level(name)
    if level.answer.how_known == "set":
        return level
    there = ", ".join(name for name, one in packaged_levels().items() if one.answer.how_known == "set")
    raise BadInputError(
        f"the level of theory {name!r} cannot be run: it is {level.answer.how_known}, not set; use one of {there}, or "
        "a YAML file with `how_known: set`"
    )


def reference_of(level: LevelOfTheory) -> dict[str, str]:
    """The reference that a level has in every database: its content does not depend on who stores it."""
    return {
        "collection": level.collection(),
        "id": level.identity_of(level.asked, []),
        "content": digest(level.answer.model_dump()),
    }


def store_level(database: Database, level: LevelOfTheory) -> dict[str, str]:
    """Store a level of theory, once.

    Returns
    -------
    dict
        Its reference.

    Raises
    ------
    BadInputError
        If the database has another level of the same name.
    """
    stored = database.collection("levels_of_theory").find_one({"asked.name": level.asked.name})
    if stored is not None and stored["_id"] != reference_of(level)["id"]:
        raise BadInputError(
            f"the level of theory {level.asked.name!r} is in this database with other settings "
            f"({_difference(stored['asked'], level.asked.model_dump())}); give this one another name"
        )
    if stored is not None:
        return reference(stored)
    return database.insert(level.sealed(Stopwatch("describe").made_by(versions_of())))


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """First setting in which two levels differ."""
    if old["code"] != new["code"]:
        return f"code {old['code']}, here {new['code']}"
    for key in sorted({*old["settings"], *new["settings"]}):
        before, after = old["settings"].get(key), new["settings"].get(key)
        if before != after:
            return f"{key} {before}, here {after}"
    return "no visible difference"


def _names() -> str:
    return ", ".join(packaged_levels())


_FIELDS = {"name", "code", "settings", "how_known", "reference", "remarks"}


def _level_of_text(text: str, file: str) -> LevelOfTheory:
    """Read one level's YAML; settings are checked by the code's own model and completed with its defaults."""
    from pydantic import ValidationError
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise BadInputError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict) or set(data) - _FIELDS or not {"name", "code", "settings", "how_known"} <= set(data):
        raise BadInputError(f"{file} must hold name, code, settings and how_known, and may hold reference and remarks")
    try:
        asked = LevelOfTheoryAsked(
            name=data["name"], code=data["code"], settings=_settings(data["code"], data["settings"])
        )
        answer = LevelOfTheoryAnswer(
            how_known=data["how_known"],
            reference=data.get("reference"),
            remarks=" ".join(str(data.get("remarks") or "").split()),
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInputError(f"{file}: {where}: {first['msg'].removeprefix('Value error, ')}") from error
    return LevelOfTheory(asked=asked, answer=answer)


def _settings(code: str | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    if code == "cp2k":
        from lipsdb.dft.cp2k.level import Cp2kLevel

        return Cp2kLevel.model_validate(settings).model_dump()
    if code == "vasp":
        from lipsdb.dft.vasp.level import VaspLevel

        return VaspLevel.model_validate(settings).model_dump()
    return dict(settings)
