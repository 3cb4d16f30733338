"""``lipsdb audit``: is everything what it says it is?"""

from __future__ import annotations

import typer

from lipsdb.cli.options import CampaignOption, JsonOption
from lipsdb.cli.terminal import out, print_json, progress_bar


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(audit)


def audit(campaign: CampaignOption = None, json_: JsonOption = False) -> None:
    """Recompute every hash, follow every input, check every launch. Exit code 1 if anything is off."""
    from lipsdb.provenance import audit as audits
    from lipsdb.store.database import connect

    with progress_bar() as bar:
        task = bar.add_task("audit", total=None)
        found = audits.audit(
            connect(),
            campaign,
            lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total),
        )
    if json_:
        print_json(audits.as_json(found))
    else:
        out.print(audits.as_table(found))
    if found.errors:
        raise typer.Exit(1)
