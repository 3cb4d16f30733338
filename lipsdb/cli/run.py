"""``lipsdb run``: local workers."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from lipsdb.cli.options import CampaignOption
from lipsdb.cli.terminal import err, next_step, out
from lipsdb.errors import BadInputError

CATEGORIES = ("dft", "train", "md", "analysis")


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(run)


def run(
    workers: Annotated[
        int | None, typer.Option("--workers", "-n", help="Worker processes.", min=1, show_default="number of cores")
    ] = None,
    category: Annotated[
        list[str] | None, typer.Option(help=f"Only jobs of this category ({', '.join(CATEGORIES)}); repeatable.")
    ] = None,
    campaign: CampaignOption = None,
) -> None:
    """Run what is ready with local workers; continues what was interrupted. Exit code 1 if a job failed.

    It is a convenience over FireWorks' ``rlaunch rapidfire``, which works as well.
    """
    for name in category or []:
        if name not in CATEGORIES:
            raise BadInputError(f"--category {name!r} is not known; allowed are {', '.join(CATEGORIES)}")
    from lipsdb.workflows.local_run import run_workers

    n_workers = workers or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else workers or 1
    summary = run_workers(err, n_workers=n_workers, categories=category or [], campaign=campaign)
    if summary.n_completed:
        out.print(f"{summary.n_completed} jobs done in {summary.seconds:.0f} s")
    elif not summary.failures:
        out.print("nothing is ready to run; everything submitted is done")
    for failure in summary.failures:
        err.print(f"[red]Firework {failure.fw_id}[/red] {failure.name} failed: {failure.reason}")
    if summary.failures:
        again = [str(failure.fw_id) for failure in summary.failures if failure.may_rerun]
        if not again:
            next_step("mend the campaign file as the messages say, then: lipsdb campaign submit FILE; lipsdb run")
        else:
            next_step(f"mend the cause, then: lipsdb lpad rerun_fws -i {','.join(again)}; lipsdb run")
        raise typer.Exit(1)
    next_step("lipsdb query arrhenius, lipsdb report CAMPAIGN -o report.html")
