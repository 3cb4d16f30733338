"""A YAML 1.2 file as plain data, with the line and column of every key and value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from lipsdb.errors import BadInputError

YamlPath = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlFile:
    """Content of a YAML file and where each part of it stands."""

    path: Path
    text: str
    data: Any
    root: Node

    def position(self, path: YamlPath, *, key: bool = False) -> tuple[int, int]:
        """Line and column (from 1) of the value at `path`, or of its key; of the nearest mapping if it isn't there."""
        node, mark = self.root, self.root.start_mark
        for part in path:
            if isinstance(node, MappingNode):
                # A merged mapping (<<) stands before the mapping's own keys, which override it.
                found = next(((k, v) for k, v in reversed(node.value) if str(k.value) == str(part)), None)
                if found is None:
                    break
                node = found[1]
                mark = found[0].start_mark if key else node.start_mark
            elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                mark = node.start_mark
            else:
                break
        return mark.line + 1, mark.column + 1


def read_yaml(path: Path) -> YamlFile:
    """Read one YAML document.

    Numbers follow YAML 1.2, so that ``1e-5`` is a number and ``no`` is text, whatever a ``%YAML`` line says.

    Raises
    ------
    BadInputError
        Missing, unreadable or empty file; not UTF-8; not YAML (tabs included); a key that stands twice in a mapping
        (each is listed); more than one document.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise BadInputError(f"{path}: no such file: give the path of a campaign file (YAML)") from error
    except UnicodeDecodeError as error:
        raise BadInputError(
            f"{path}: byte {error.start} is not UTF-8: give a campaign file in YAML, saved as UTF-8"
        ) from error
    except OSError as error:
        raise BadInputError(
            f"{path}: cannot be read ({error.strerror}): give the path of a campaign file (YAML)"
        ) from error
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(_without_version(text))
        if root is None:
            raise BadInputError(f"{path}: the file is empty: a campaign needs at least name and description")
        twice = [f"{path}:{line}:{column}: {message}" for line, column, message in _repeated_keys(root)]
        if twice:
            raise BadInputError("\n".join(twice))
        data = yaml.constructor.construct_document(root)
    except MarkedYAMLError as error:
        raise BadInputError(f"{path}{_explain(error, text)}") from error
    except (YAMLError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise BadInputError(f"{path}: not YAML ({reason}): correct the file") from error
    if not isinstance(data, dict):
        line, column = root.start_mark.line + 1, root.start_mark.column + 1
        raise BadInputError(f"{path}:{line}:{column}: a {_kind(root)} stands at the top, a mapping (name: …) is needed")
    return YamlFile(path, text, data, root)


def _without_version(text: str) -> str:
    """Text with a ``%YAML`` directive blanked, since version 1.1 reads numbers and booleans differently."""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if line.startswith("%YAML"):
            lines[i] = "#" + line[1:]
        elif line.startswith("---"):
            break
    return "\n".join(lines)


def _kind(node: Node) -> str:
    return {MappingNode: "mapping", SequenceNode: "list", ScalarNode: "single value"}[type(node)]


def _repeated_keys(root: Node) -> Iterator[tuple[int, int, str]]:
    """Line, column and message of each key that its mapping holds already."""
    waiting, seen = [root], {id(root)}
    while waiting:
        node = waiting.pop(0)
        children = list(node.value) if isinstance(node, SequenceNode) else []
        if isinstance(node, MappingNode):
            first: dict[str, int] = {}
            for key, value in node.value:
                children.append(value)
                if not isinstance(key, ScalarNode):
                    yield (
                        key.start_mark.line + 1,
                        key.start_mark.column + 1,
                        "a key must be a single value, not a list or mapping",
                    )
                elif key.value in first:
                    yield (
                        key.start_mark.line + 1,
                        key.start_mark.column + 1,
                        f"key {key.value!r} stands twice in this mapping (line {first[key.value]} too): remove one",
                    )
                else:
                    first[key.value] = key.start_mark.line + 1
        for child in children:
            if id(child) not in seen:
                seen.add(id(child))
                waiting.append(child)


def _explain(error: MarkedYAMLError, text: str) -> str:
    """Position and reason of a YAML error in one line."""
    mark = error.problem_mark or error.context_mark
    where = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
    problem = " ".join(str(error.problem or error.context or "not YAML").split())
    lines = text.split("\n")
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return f"{where}: tab character in the indentation: YAML allows spaces only"
    if "another document" in problem:
        return f"{where}: a second document (---) starts here: one campaign a file"
    return f"{where}: not YAML: {problem}: check indentation, colons and brackets here and just above"
