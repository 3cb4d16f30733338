"""``lipsdb``: all commands, and the one place where errors become one line."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

import lipsdb
from lipsdb.cli import (
    archive,
    audit,
    campaign,
    database,
    documents,
    export,
    impact,
    ingest,
    launchpad,
    potential,
    query,
    rebuild,
    report,
    run,
    withdraw,
)
from lipsdb.errors import LipsdbError

app = typer.Typer(
    name="lipsdb",
    help="Campaigns for machine-learned potentials and ion transport, every number traceable in MongoDB.",
    epilog="Begin with: lipsdb campaign plan campaigns/quickstart.yaml",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(database.app, name="db")
app.add_typer(ingest.app, name="ingest")
app.add_typer(export.app, name="export")
app.add_typer(archive.import_app, name="import")
app.add_typer(campaign.app, name="campaign")
app.add_typer(query.app, name="query")
app.add_typer(potential.app, name="potential")
for module in (documents, impact, run, report, audit, withdraw, rebuild, launchpad, archive):
    module.add_commands(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"lipsdb {lipsdb.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    traceback: Annotated[bool, typer.Option("--traceback", help="Show the whole traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Campaigns for machine-learned potentials and ion transport, every number traceable in MongoDB."""


def main() -> None:
    """Run the command line: exit code 1 for an error, 2 for wrong usage."""
    with_traceback = "--traceback" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--traceback" or not with_traceback]
    try:
        app()
    except LipsdbError as error:
        if with_traceback:
            raise
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:  # the reader of a pipe (head, less) has seen enough
        sys.stderr.close()
        sys.exit(0)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if with_traceback or type(error).__module__.partition(".")[0] != "pymongo":
            raise
        print(f"error: MongoDB: {_in_short(error)} (run again with --traceback for more)", file=sys.stderr)
        sys.exit(1)


def _in_short(error: Exception) -> str:
    """What MongoDB says, in one line; of a command that is not allowed only its name and collection."""
    text = str(error).splitlines()[0]
    refused = re.match(r'not authorized on (\S+) to execute command \{ (\w+): "?([\w.]+)', text)
    if refused is None:
        return text
    database, command, collection = refused.groups()
    return f"this user may not {command} {collection} in {database}; docs/cluster.md tells which role may"
