"""``lipsdb audit``: is everything what it says it is?"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer

from lipsdb.cli.options import CampaignOption, JsonOption
from lipsdb.cli.terminal import err, out, print_json, progress_bar


class Level(StrEnum):
    """Levels of an audit."""

    links = "links"
    content = "content"
    launches = "launches"
    rules = "rules"
    reproduction = "reproduction"


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(audit)


def audit(
    level: Annotated[
        list[Level] | None,
        typer.Option(
            "--level",
            "-l",
            help="links: every input exists as it was when used; content: every hash again; launches: the launchpad "
            "tells the same story; rules: levels of theory, versions, units; reproduction: some numbers computed "
            "again. Repeatable.",
            show_default="all but reproduction",
        ),
    ] = None,
    campaign: CampaignOption = None,
    sample: Annotated[int, typer.Option(help="For reproduction: so many properties and so many energies.", min=1)] = 3,
    seed: Annotated[int, typer.Option(help="For reproduction: chooses them.")] = 1,
    store: Annotated[bool, typer.Option("--store/--no-store", help="Keep the outcome as a document.")] = True,
    json_: JsonOption = False,
) -> None:
    """Check every link, hash, launch and rule. Exit code 1 if anything is off."""
    from lipsdb.provenance import audit as audits
    from lipsdb.store.database import connect

    levels = [str(one) for one in level] if level else list(audits.DEFAULT_LEVELS)
    database = connect()
    with progress_bar() as bar:
        task = bar.add_task("audit", total=None)
        found = audits.audit(
            database,
            campaign,
            lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total or None),
            levels=levels,
            reproduce=_reproduction(sample, seed) if Level.reproduction in levels else None,
            sample=(sample, seed) if Level.reproduction in levels else (0, 0),
            store=store,
        )
    if json_:
        print_json(audits.as_json(found))
    else:
        out.print(audits.as_table(found))
        if store and found.record is None:
            err.print("not kept as a document: this user may not write; the outcome is above")
    if found.errors:
        raise typer.Exit(1)


def _reproduction(sample: int, seed: int) -> Callable[..., Any]:
    from lipsdb.workflows.reproduction import check_reproduction

    return partial(check_reproduction, sample=sample, seed=seed)
