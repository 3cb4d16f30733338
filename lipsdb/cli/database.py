"""``lipsdb db``: the MongoDB server."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from lipsdb.cli.terminal import next_step, out, progress_bar
from lipsdb.errors import BadInputError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

app = typer.Typer(help="Start, stop and look at the MongoDB server.", no_args_is_help=True)


@app.command()
def start() -> None:
    """Start the embedded server (it also starts by itself when a command needs it)."""
    from lipsdb.settings import read_settings
    from lipsdb.store.server import EmbeddedServer

    settings = read_settings()
    if settings.mongo_uri is not None:
        raise BadInputError(
            "LIPSDB_MONGO_URI is set, so that server is used and none is started; unset it for an embedded one"
        )
    server = EmbeddedServer(settings.home_folder)
    record = server.start()
    out.print(f"mongod (process {record.pid}) serves {record.uri}\ndata in {server.folder / 'data'}")
    next_step("lipsdb campaign plan campaigns/quickstart.yaml")


@app.command()
def stop() -> None:
    """Stop the embedded server; the data stay."""
    from lipsdb.settings import read_settings
    from lipsdb.store.server import EmbeddedServer

    stopped = EmbeddedServer(read_settings().home_folder).stop()
    out.print("stopped" if stopped else "it was not running")


@app.command()
def status() -> None:
    """Tell which server is used, whether it runs, and what it holds. Exit code 1 if it does not run."""
    from lipsdb.settings import read_settings
    from lipsdb.store.database import connect, redacted
    from lipsdb.store.server import EmbeddedServer

    settings = read_settings()
    if settings.mongo_uri is None:
        server = EmbeddedServer(settings.home_folder)
        if server.running() is None:
            out.print(f"the embedded server of {settings.home_folder} is not running")
            next_step("lipsdb db start")
            raise typer.Exit(1)
    database = connect(settings)
    build = database.client.server_info()
    kind = "your server" if settings.mongo_uri else f"embedded, data in {settings.home_folder / 'mongod' / 'data'}"
    out.print(f"MongoDB {build['version']} at {redacted(database.uri)} ({kind}), database {database.mongo.name}")
    from lipsdb.provenance.kinds import COLLECTIONS

    names = [*COLLECTIONS.values(), "artifacts"]
    out.print(", ".join(f"{name} {database.collection(name).estimated_document_count()}" for name in names))


@app.command()
def uri() -> None:
    """Print the connection string, password included, for mongosh, Compass or a script."""
    from lipsdb.store.database import server_uri

    print(server_uri())


@app.command()
def prepare() -> None:
    """Make collections, validators and indexes as this version wants them; on a server of yours as an administrator.

    Every other command does so too, where its user may.
    """
    from lipsdb.store.database import connect

    database = connect()
    out.print(f"the database {database.mongo.name} is set up, identifier {database.identifier}")
    next_step("lipsdb db roles" if database.settings.mongo_uri else "lipsdb db status")


@app.command()
def roles(
    create: Annotated[
        bool, typer.Option("--create", help="Create or update them with the rights of LIPSDB_MONGO_URI's user.")
    ] = False,
) -> None:
    """Print the roles for users of a server of yours, as a script for mongosh; or create them.

    lipsdbReader finds; lipsdbWorker runs jobs and adds documents; lipsdbManager also submits and tends campaigns.
    None of them can change or delete a document.
    """
    from lipsdb.settings import read_settings
    from lipsdb.store.database import connect
    from lipsdb.store.roles import create_roles, script

    if not create:
        print(script(read_settings().database), end="")
        return
    database = connect(prepare=False)
    for role, new in create_roles(database).items():
        out.print(f"{role}: {'created' if new else 'brought up to date'} in {database.mongo.name}")
    next_step("make users with them: the first lines of `lipsdb db roles` tell how")


def _show(bar: Progress, task: TaskID, done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)


@app.command()
def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
) -> None:
    """Bring documents of earlier versions to the form of this one; their ids and contents stay.

    It can be stopped and run again.
    """
    from lipsdb.store.database import connect
    from lipsdb.store.migrations import MIGRATIONS
    from lipsdb.store.migrations import migrate as apply

    database = connect()
    for step in MIGRATIONS:
        pending = step.pending(database)
        out.print(f"{step.name}: {step.does}; {pending} documents wait for it", markup=False)
        if dry_run or not pending:
            continue
        with progress_bar() as bar:
            task = bar.add_task(step.name, total=pending)
            outcome = apply(database, step, partial(_show, bar, task))
        out.print(f"{outcome.changed} documents changed, {len(outcome.left)} left as they are")
        for id_, reason in outcome.left.items():
            out.print(f"{id_}  left: {reason}", markup=False)
    next_step("lipsdb db migrate" if dry_run else "lipsdb audit")
