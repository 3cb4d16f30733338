"""Settings that belong to another part of the program: found by name, checked by that part's own model."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pydantic import BaseModel, ValidationError

from lipsdb.campaigns.problems import Problem, describe_all
from lipsdb.campaigns.yaml_file import YamlPath
from lipsdb.errors import BadInputError
from lipsdb.potentials.engines import ENGINES, engine

# What the settings are for -> (module, model); beside those of the engines of potentials.
SETTINGS_MODELS = {
    "aimd": ("lipsdb.dft.settings", "AimdSettings"),
    "md": ("lipsdb.md.settings", "MDSettings"),
}


def settings_model(owner: str) -> type[BaseModel] | None:
    """Model that checks the settings of an engine (``deepmd``) or of MD (``md``, ``aimd``); None if there is none."""
    if owner in ENGINES:
        return engine(owner).settings_model()
    if owner not in SETTINGS_MODELS:
        return None
    module, name = SETTINGS_MODELS[owner]
    model: type[BaseModel] = getattr(import_module(module), name)
    return model


def settings_problems(owner: str, settings: dict[str, Any], path: YamlPath) -> list[Problem]:
    """What the owner's model finds wrong with settings that stand at `path` in the file."""
    model = settings_model(owner)
    if model is None:
        return []
    try:
        model.model_validate(settings)
    except ValidationError as error:
        return list(describe_all(error, settings, model, path))
    except BadInputError as error:
        return [Problem(path, str(error))]
    return []
