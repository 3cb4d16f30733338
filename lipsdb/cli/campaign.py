"""``lipsdb campaign``: from a campaign file to jobs in the launchpad."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from lipsdb.cli.options import CampaignFileArgument, JsonOption
from lipsdb.cli.terminal import next_step, out, print_json

if TYPE_CHECKING:
    from lipsdb.workflows.campaign import Plan

app = typer.Typer(help="Validate, plan and submit campaign files; look at how they go.", no_args_is_help=True)


@app.command()
def validate(file: CampaignFileArgument) -> None:
    """Check a campaign file; each error in one line with its place in the file."""
    from lipsdb.campaigns.load import load_campaign

    campaign = load_campaign(file).campaign
    n_runs = sum(len(list(md.expand())) for md in campaign.md.values())
    n_members = sum(len(list(grid.expand())) for grid in campaign.grids.values())
    out.print(
        f"{file} is valid: campaign {campaign.name} with {len(campaign.structures)} structures, "
        f"{len(campaign.potentials)} potentials, {f'{n_members} in grids, ' if n_members else ''}{n_runs} MD runs, "
        f"{len(campaign.dft)} DFT entries, "
        f"{len(campaign.properties)} properties"
    )
    next_step(f"lipsdb campaign plan {file}")


def duration(core_seconds: float) -> str:
    """A time for people.

    Examples
    --------
    >>> duration(42.4), duration(5000), duration(200_000)
    ('42 s', '1 h 23 min', '2 d 7 h')
    """
    if core_seconds < 100:
        return f"{core_seconds:.0f} s"
    minutes = round(core_seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


@app.command()
def plan(file: CampaignFileArgument, json_: JsonOption = False) -> None:
    """Show what would be computed, what is known already, and what it would cost (from this database's own records)."""
    from rich.box import SIMPLE
    from rich.table import Column, Table

    from lipsdb.campaigns.load import load_campaign
    from lipsdb.store.database import connect
    from lipsdb.workflows import campaign as campaigns

    planned = campaigns.plan(connect(), load_campaign(file))
    if json_:
        found = [
            {
                "job": row.question.name,
                "document": row.document_id,
                "state": row.state,
                "fw_id": row.fw_id,
                "core_seconds": row.core_seconds,
                "withdrawn": [{"document": one.document, "reason": one.reason} for one in row.withdrawn],
            }
            for row in planned.rows
        ]
        print_json({"rows": found, "blocked": planned.blocked})
        return
    id_column = Column("document", no_wrap=True)
    distinct = {row.document_id: row for row in reversed(planned.rows)}  # two names may ask for the same
    rows = list(reversed(distinct.values()))
    table = Table("job", id_column, "state", "core time", title=f"Plan of {file}", title_justify="left", box=SIMPLE)
    for row in rows:
        cost = "" if row.answered else ("unknown" if row.core_seconds is None else duration(row.core_seconds))
        state = row.state if row.fw_id is None else f"{row.state} (Firework {row.fw_id})"
        table.add_row(row.question.name, row.document_id, state, cost)
    out.print(table)
    known, refused = (sum(row.state == state for row in rows) for state in ("known", "refused"))
    to_do = sum(row.state == "to do" for row in rows)
    estimates = [row.core_seconds for row in rows if not row.answered]
    priced = [cost for cost in estimates if cost is not None]
    waiting = len(estimates) - to_do
    text = f"{known} known, {waiting} waiting or running, {to_do} to do"
    if refused:
        text += f", {refused} refused (`lipsdb list refused` says why)"
    tainted = sum(row.state == "tainted" for row in rows)
    if tainted:
        text += f", {tainted} tainted"
    if priced:
        text += f"; about {duration(sum(priced))} of core time"
    if len(priced) < len(estimates):
        text += f"; no record of like work for {len(estimates) - len(priced)} of them yet"
    out.print(text)
    for line in _withdrawals(planned):
        out.print(line)
    if planned.blocked:
        out.print(f"[yellow]the rest cannot be planned yet:[/yellow] {planned.blocked}")
    elif to_do:
        next_step(f"lipsdb campaign submit {file}")
    elif known + refused == len(rows):
        tables = load_campaign(file).campaign.tables or ["labels"]
        next_step(f"everything is known: lipsdb query {tables[0]}")


def _withdrawals(planned: Plan) -> Iterator[str]:
    """What the plan has to do with withdrawn documents, a line each."""
    again = {one.document: one for row in planned.rows if not row.answered for one in row.withdrawn}
    tainted = {one.document: one for row in planned.rows if row.state == "tainted" for one in row.withdrawn}
    for one in again.values():
        yield f"asked again, with what was made from it: {one.document} ({one.reason})"
    for one in tainted.values():
        yield (
            f"[yellow]tainted[/yellow] by {one.document} ({one.reason}): this campaign cannot ask for it again; give "
            "it another potential, level or record, or train without it"
        )


@app.command()
def submit(file: CampaignFileArgument) -> None:
    """Put what is to be computed into the launchpad as one FireWorks workflow; what is known is not computed again."""
    from lipsdb.campaigns.load import load_campaign
    from lipsdb.store.database import connect
    from lipsdb.workflows import campaign as campaigns
    from lipsdb.workflows.launchpad import write_fireworks_files

    loaded = load_campaign(file)
    database = connect()
    result = campaigns.submit(database, loaded)
    write_fireworks_files(database, database.settings.home_folder / "fireworks")
    for id_ in result.adopted:
        out.print(f"adopted {id_}")
    tainted = f", {result.n_tainted} tainted (`lipsdb campaign plan {file}` says why)" if result.n_tainted else ""
    out.print(
        f"{result.n_known} documents known, {result.n_waiting} waiting already, {result.n_submitted} jobs submitted"
        + tainted
    )
    next_step(
        "lipsdb run"
        if result.n_submitted or result.n_waiting
        else f"lipsdb report {loaded.campaign.name} -o report.html"
    )


@app.command()
def status(
    file: CampaignFileArgument,
    json_: JsonOption = False,
    all_: Annotated[bool, typer.Option("--all", help="List also what is finished.")] = False,
) -> None:
    """Show how far a campaign is, what runs, and what failed and why."""
    from rich.box import SIMPLE
    from rich.table import Column, Table

    from lipsdb.campaigns.load import load_campaign
    from lipsdb.store.database import connect
    from lipsdb.workflows import campaign as campaigns
    from lipsdb.workflows.failures import failures

    loaded, database = load_campaign(file), connect()
    planned = campaigns.plan(database, loaded)
    failed = failures(database, loaded.campaign.name)
    counts: dict[str, int] = {}
    for row in planned.rows:
        counts[row.state] = counts.get(row.state, 0) + 1
    if json_:
        print_json({"counts": counts, "failures": [vars(failure) for failure in failed]})
        return
    table = Table("job", "state", "Firework", Column("document", no_wrap=True), box=SIMPLE)
    for row in planned.rows:
        if all_ or row.state != "known":
            table.add_row(row.question.name, row.state, "" if row.fw_id is None else str(row.fw_id), row.document_id)
    if table.row_count:
        out.print(table)
    out.print(f"campaign {loaded.campaign.name}: " + ", ".join(f"{n} {state}" for state, n in counts.items()))
    for failure in failed:
        out.print(f"[red]Firework {failure.fw_id}[/red] {failure.name}: {failure.reason}")
    again = next((failure.fw_id for failure in failed if failure.may_rerun), None)
    if again is not None:
        next_step(f"mend the cause, then: lipsdb lpad rerun_fws -i {again}")
    elif failed:
        next_step("mend the campaign file as the messages say, then: lipsdb campaign submit FILE; lipsdb run")
    elif set(counts) - {"known", "refused", "tainted"}:
        next_step("lipsdb run")
    else:
        next_step(f"lipsdb report {loaded.campaign.name} -o report.html")
