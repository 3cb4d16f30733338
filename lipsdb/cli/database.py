"""``lipsdb db``: the MongoDB server."""

from __future__ import annotations

import typer

from lipsdb.cli.terminal import next_step, out
from lipsdb.errors import BadInputError

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
