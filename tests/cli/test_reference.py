"""The command-line reference is generated, complete and not stale."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import typer.main

from lipsdb.cli.main import app

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "cli.md"


def _command_names(group: object, prefix: str = "lipsdb") -> list[str]:
    names = []
    for name, command in getattr(group, "commands", {}).items():
        names += [f"{prefix} {name}", *_command_names(command, f"{prefix} {name}")]
    return names


def test_every_command_stands_in_the_reference() -> None:
    text = REFERENCE.read_text()
    names = _command_names(typer.main.get_command(app))
    assert len(names) > 20
    assert [name for name in names if f"`{name}`" not in text] == []


def test_reference_is_what_make_docs_writes(tmp_path: Path) -> None:
    fresh = tmp_path / "cli.md"
    program = Path(sys.executable).parent / "typer"
    arguments = ["lipsdb.cli.main", "utils", "docs", "--name", "lipsdb", "--title", "The command line", "--output"]
    subprocess.run([program, *arguments, fresh], check=True, capture_output=True, cwd=ROOT)
    assert fresh.read_text() == REFERENCE.read_text(), "run `make docs`"


def test_every_command_has_help() -> None:
    def missing(group: object, prefix: str) -> list[str]:
        found = []
        for name, command in getattr(group, "commands", {}).items():
            found += [] if command.help else [f"{prefix} {name}"]
            found += missing(command, f"{prefix} {name}")
        return found

    assert missing(typer.main.get_command(app), "lipsdb") == []
