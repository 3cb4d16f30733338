"""Errors of a campaign file in the user's words: the value received, what is allowed, what was probably meant.

Works from the data and the models' JSON schema, so that it serves every model (an engine's settings too).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lipsdb.campaigns.base import NAME_PATTERN
from lipsdb.campaigns.yaml_file import YamlPath

Schema = dict[str, Any]
MARKS = ("refers_to", "refers_to_kind", "path_to", "is_element")

# pydantic's error type -> what is needed instead.
NEEDED = {
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list, such as [a, b]",
    "dict_type": "must be a mapping (name: …)",
    "model_type": "must be a mapping (key: value)",
    "model_attributes_type": "must be a mapping (key: value)",
    "invalid_key": "must be text: put it in quotes",
    "finite_number": "must be a finite number",
}


@dataclass(frozen=True)
class Problem:
    """One error: where in the data, what, and whether the key (not the value) is at fault."""

    path: YamlPath
    message: str
    at_key: bool = False

    @property
    def field(self) -> str:
        """The path as a user writes it, such as ``md.hot.seeds[0]``."""
        text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)
        return text.removeprefix(".")


def did_you_mean(value: object, allowed: Iterable[str]) -> str:
    """The rest of a sentence: the nearest allowed value, and all of them."""
    names = sorted(allowed)
    by_lower_case = {name.lower(): name for name in names}
    near = difflib.get_close_matches(str(value).lower(), by_lower_case, n=1, cutoff=0.6)
    meant = f"; did you mean {by_lower_case[near[0]]}?" if near else ""
    return f"{meant} (allowed: {', '.join(names) or 'none is defined'})"


def shown(value: object, width: int = 60) -> str:
    """A value as it stands in the file, cut to one short line."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(value)
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


def describe_all(
    error: ValidationError, data: object, model: type[BaseModel], prefix: YamlPath = ()
) -> Iterator[Problem]:
    """Each error of a validation as a problem; `prefix` is where `data` stands in the file."""
    schema = model.model_json_schema()
    for detail in error.errors(include_url=False):
        if detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]:
            continue  # pydantic counts only the entries that are valid, and those that aren't are reported themselves
        problem = _describe(detail, data, schema)
        yield Problem(prefix + problem.path, problem.message, problem.at_key)


def _describe(detail: ErrorDetails, data: object, schema: Schema) -> Problem:
    """Errors of keys and choices; the others go to `_describe_value`."""
    kind, context, received = detail["type"], detail.get("ctx", {}), detail["input"]
    path = _data_path(detail["loc"], data, is_missing=kind == "missing")
    if kind == "missing":
        return Problem(path, f"is missing{_meaning(schema, path, data)}")
    if kind == "extra_forbidden":
        parent = schema_at(schema, schema, path[:-1], data)
        return Problem(path, f"unknown key{did_you_mean(path[-1], parent.get('properties', {}))}", at_key=True)
    if kind == "literal_error":
        node = schema_at(schema, schema, path, data)
        allowed = node.get("enum") or [node.get("const", context["expected"])]
        return Problem(path, f"received {shown(received)}{did_you_mean(received, map(str, allowed))}")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        key, tags = context["discriminator"].strip("'"), _tags(schema, path, data)
        if kind == "union_tag_not_found":
            return Problem((*path, key), f"is missing (allowed: {', '.join(tags)})")
        return Problem((*path, key), f"received {shown(context['tag'])}{did_you_mean(context['tag'], tags)}")
    return _describe_value(detail, path, data, schema)


def _describe_value(detail: ErrorDetails, path: YamlPath, data: object, schema: Schema) -> Problem:
    kind, context, received = detail["type"], detail.get("ctx", {}), detail["input"]
    at_key = detail["loc"][-1:] == ("[key]",) or kind == "invalid_key"
    message = NEEDED.get(kind) or detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if kind.startswith(("float", "int")) and isinstance(received, str) and _is_number(received):
        message += ": write it without quotes"
    elif kind == "string_pattern_mismatch":
        of_names = context["pattern"] == NAME_PATTERN
        message = "must be made of letters, digits, . _ - only" if of_names else f"must match {context['pattern']}"
    elif kind in ("too_short", "too_long"):
        most = kind == "too_long"
        limit = context["max_length"] if most else context["min_length"]
        message = f"must have at {'most' if most else 'least'} {limit} entries, has {context['actual_length']}"
    if not at_key and not is_in(data, path):
        return Problem(path, f"is missing, {message}{_meaning(schema, path, data)}")
    if isinstance(received, dict | list) and kind not in NEEDED:
        return Problem(path, message, at_key)
    return Problem(path, f"received {shown(received)}, {message}{_meaning(schema, path, data)}", at_key)


def is_in(data: object, path: YamlPath) -> bool:
    """Whether `data` holds something at `path`."""
    here: Any = data
    try:
        for part in path:
            here = here[part]
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _data_path(location: Sequence[str | int], data: object, *, is_missing: bool) -> YamlPath:
    """pydantic's location without what is not in the data (names of union members, marks of keys)."""
    path: list[str | int] = []
    here = data
    for i, part in enumerate(location):
        if isinstance(here, dict):
            found = next((key for key in here if key == part or str(key) == str(part)), None)
            if found is not None:
                here = here[found]
                path.append(str(part))
            elif is_missing and i == len(location) - 1:
                path.append(part)
            elif i == len(location) - 1 and part not in ("[key]", here.get("kind")):
                path.append(part)  # a default that fails its check: the key is not in the file
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
            path.append(part)
    return tuple(path)


def _meaning(schema: Schema, path: YamlPath, data: object) -> str:
    """The description of the field, or of the list that holds it, in brackets."""
    for end in (len(path), len(path) - 1):
        if end > 0 and end >= len(path) - isinstance(path[-1], int):
            text = _raw_node(schema, path[:end], data).get("description")
            if text and "\n" not in text:
                return f" ({text})"
    return ""


def _raw_node(root: Schema, path: YamlPath, data: object) -> Schema:
    """The field's own schema, where its description stands, before references are followed."""
    parent = schema_at(root, root, path[:-1], data)
    value: Schema = parent.get("properties", {}).get(path[-1], {})
    return value


def _resolved(root: Schema, node: Schema, value: object) -> Schema:
    """Follow references and unions to the schema that fits `value`; marks of the outer nodes are kept."""
    if "$ref" in node:
        target: Schema = root.get("$defs", {})[node["$ref"].rsplit("/", 1)[-1]]
        return _resolved(root, target, value)
    if "discriminator" in node:
        tag = value.get(node["discriminator"]["propertyName"]) if isinstance(value, dict) else None
        reference = node["discriminator"]["mapping"].get(tag) if isinstance(tag, str) else None
        return _resolved(root, {"$ref": reference}, value) if reference else node
    options = node.get("anyOf", [])
    if options:
        wanted = "object" if isinstance(value, dict) else "array" if isinstance(value, list) else None
        members = [_resolved(root, option, value) for option in options if option.get("type") != "null"]
        member = next((m for m in members if m.get("type") == wanted), members[0] if members else {})
        return {**member, **{k: v for k, v in node.items() if k in MARKS}}
    return node


def schema_at(root: Schema, node: Schema, path: YamlPath, data: object) -> Schema:
    """JSON schema of what stands at `path` in `data`; empty where the schema says nothing."""
    node, here = _resolved(root, node, data), data
    for part in path:
        if isinstance(part, int):
            items = node.get("items")
            node = items if isinstance(items, dict) else {}
            here = here[part] if isinstance(here, list) and part < len(here) else None
        else:
            others = node.get("additionalProperties")
            fallback = (
                others if isinstance(others, dict) else next(iter(node.get("patternProperties", {}).values()), {})
            )
            node = node.get("properties", {}).get(part, fallback)
            here = here.get(part) if isinstance(here, dict) else None
        node = _resolved(root, node, here)
    return node


def _tags(schema: Schema, path: YamlPath, data: object) -> list[str]:
    """Values that choose a member of the union at `path`."""
    node = schema_at(schema, schema, path, data)
    return sorted(node.get("discriminator", {}).get("mapping", {}))


def marked_values(root: Schema, data: object) -> Iterator[tuple[YamlPath, Schema, object]]:
    """Path, schema and value of everything in `data` whose schema carries a mark (see `lipsdb.campaigns.base`)."""

    def walk(path: YamlPath, value: object) -> Iterator[tuple[YamlPath, Schema, object]]:
        node = schema_at(root, root, path, data)
        if any(mark in node for mark in MARKS):
            yield path, node, value
        elif isinstance(value, dict) and node:
            for key, item in value.items():
                yield from walk((*path, key), item)
        elif isinstance(value, list) and node:
            for i, item in enumerate(value):
                yield from walk((*path, i), item)

    return walk((), data)
