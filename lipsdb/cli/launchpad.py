"""``lipsdb lpad``, ``rlaunch`` and ``qlaunch``: FireWorks' own commands, with the connection filled in."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import typer

from lipsdb.errors import MissingProgramError

_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    for program, text in (
        ("lpad", "FireWorks' lpad on this project's database, such as: lipsdb lpad get_wflows -d more."),
        ("rlaunch", "FireWorks' rlaunch on this project's database, such as: lipsdb rlaunch rapidfire."),
        ("qlaunch", "FireWorks' qlaunch on this project's database (needs a my_qadapter.yaml; see docs/cluster.md)."),
    ):
        app.command(program, help=text, context_settings=_PASS_ON, add_help_option=False)(_passing_on(program))


def _passing_on(program: str):  # type: ignore[no-untyped-def]
    def command(context: typer.Context) -> None:
        from lipsdb.store.database import connect
        from lipsdb.workflows.launchpad import initialise, launchpad, write_fireworks_files

        beside = Path(sys.executable).parent / program
        found = str(beside) if beside.exists() else shutil.which(program)
        if found is None:
            raise MissingProgramError(f"`{program}` is not installed; pip install fireworks")
        database = connect()
        initialise(launchpad(database), database)
        home = database.settings.home_folder
        files = write_fireworks_files(database, home / "fireworks")
        environment = {**os.environ, "FW_CONFIG_FILE": str(files[-1]), "LIPSDB_HOME": str(home)}
        if program == "qlaunch":
            adapter = home.parent / "my_qadapter.yaml"
            if adapter.exists() and "-q" not in context.args:
                context.args[:0] = ["-q", str(adapter)]
        os.execve(found, [found, *context.args], environment)

    return command
