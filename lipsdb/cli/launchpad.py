"""``lipsdb lpad``, ``rlaunch`` and ``qlaunch``: FireWorks' own commands, with the connection filled in."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lipsdb.cli.terminal import err
from lipsdb.errors import BadInputError, MissingProgramError

if TYPE_CHECKING:
    from lipsdb.settings import Settings

QUEUE_ADAPTER = "my_qadapter.yaml"
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    for program, text in (
        ("lpad", "FireWorks' lpad on this project's database, such as: lipsdb lpad get_wflows -d more."),
        ("rlaunch", "FireWorks' rlaunch on this project's database, such as: lipsdb rlaunch rapidfire."),
        ("qlaunch", f"FireWorks' qlaunch on this project's database (needs a {QUEUE_ADAPTER}; see docs/cluster.md)."),
    ):
        app.command(program, help=text, context_settings=_PASS_ON, add_help_option=False)(_passing_on(program))


def _passing_on(program: str) -> Callable[[typer.Context], None]:
    def command(context: typer.Context) -> None:
        from lipsdb.store.database import connect
        from lipsdb.workflows.launchpad import initialise, launchpad, write_fireworks_files
        from lipsdb.workflows.recovery import recover

        beside = Path(sys.executable).parent / program
        found = str(beside) if beside.exists() else shutil.which(program)
        if found is None:
            raise MissingProgramError(f"`{program}` is not installed; pip install fireworks")
        database = connect()
        pad = launchpad(database)
        initialise(pad, database)
        settings = database.settings
        files = write_fireworks_files(database, settings.home_folder / "fireworks")
        arguments = list(context.args)
        if program == "qlaunch" and any(argument in {"singleshot", "rapidfire"} for argument in arguments):
            arguments = queue_arguments(arguments, settings)
            done = recover(database, pad)
            if done.lost or done.interrupted:
                err.print(f"made ready again, their workers being gone: Fireworks {done.lost + done.interrupted}")
        # queued jobs inherit this environment and may start in any folder
        environment = {
            **os.environ,
            "FW_CONFIG_FILE": str(files[-1]),
            "LIPSDB_HOME": str(settings.home_folder),
            "LIPSDB_SCRATCH": str(settings.scratch_folder),
        }
        os.execve(found, [found, *arguments], environment)

    return command


def queue_arguments(arguments: Sequence[str], settings: Settings) -> list[str]:
    """Complete the arguments of ``qlaunch``: the queue adapter beside the ``.lipsdb`` folder, launch folders in it.

    Parameters
    ----------
    arguments : sequence of str
        As the user gave them; what they name themselves stays.
    settings : Settings

    Returns
    -------
    list of str

    Raises
    ------
    BadInputError
        If there is no queue adapter.
    """

    def named(*options: str) -> bool:
        return any(argument.partition("=")[0] in options for argument in arguments)

    added: list[str] = []
    if not named("-q", "--queueadapter_file", "-c", "--config_dir"):
        adapter = settings.home_folder.parent / QUEUE_ADAPTER
        if not adapter.is_file():
            raise BadInputError(
                f"there is no {adapter}, which says how to ask for jobs; copy docs/{QUEUE_ADAPTER} there and edit it, "
                "or name one: lipsdb qlaunch -q FILE …"
            )
        added += ["-q", str(adapter)]
    if not named("--launch_dir"):
        launches = settings.home_folder / "launches"
        launches.mkdir(parents=True, exist_ok=True)
        added += ["--launch_dir", str(launches)]
    if settings.mongo_uri is None:
        err.print(
            "note: the embedded MongoDB server answers on this machine only; for jobs on others set LIPSDB_MONGO_URI"
        )
    return [*added, *arguments]
