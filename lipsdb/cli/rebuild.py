"""``lipsdb rebuild``: compute stored documents again and compare."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lipsdb.cli.options import CampaignOption
from lipsdb.cli.terminal import next_step, out, print_json, progress_bar
from lipsdb.errors import BadInputError

if TYPE_CHECKING:
    from lipsdb.store.database import Database
    from lipsdb.workflows.agreement import Difference
    from lipsdb.workflows.rebuild import Rebuilt


class RebuildStart(StrEnum):
    """From where on everything is computed again."""

    trajectory = "trajectory"
    labels = "labels"


class RebuildFormat(StrEnum):
    """Output formats of a rebuild."""

    table = "table"
    json = "json"


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(rebuild)


def rebuild(
    what: Annotated[
        str,
        typer.Argument(
            metavar="TABLE|ID",
            help="A table (arrhenius …: all documents behind its rows), or the id of a document, or its beginning.",
            show_default=False,
        ),
    ],
    campaign: CampaignOption = None,
    start: Annotated[
        RebuildStart,
        typer.Option(
            "--from",
            help="trajectory: properties and classifiers, from the stored runs; labels: datasets, potentials "
            "(training), runs, too.",
        ),
    ] = RebuildStart.trajectory,
    folder: Annotated[
        Path | None,
        typer.Option(help="Empty folder to compute in; it is kept.", show_default="a temporary one"),
    ] = None,
    format_: Annotated[RebuildFormat, typer.Option("--format", "-f", help="How it is printed.")] = RebuildFormat.table,
) -> None:
    """Compute documents again from what they were made from, in isolation, and compare. Exit code 1 if any differs.

    A document is equal (the same content hash), within tolerance, statistically the same (another sample, where
    trajectories or trainings diverge), or different. Your database stays as it is: the work is done in a MongoDB
    server of its own.
    """
    from lipsdb.store.database import connect
    from lipsdb.workflows.isolation import isolated
    from lipsdb.workflows.rebuild import rebuild as rebuild_documents

    source = connect()
    ids = _ids(source, what, campaign)
    with isolated(folder) as scratch, progress_bar() as bar:
        task = bar.add_task("rebuild", total=None)
        found = rebuild_documents(
            source,
            ids,
            scratch,
            start.value,
            lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total),
        )
    if format_ is RebuildFormat.json:
        print_json(_as_json(found, what, start.value, folder))
    else:
        _print(found)
        if folder is not None:
            next_step(f"cd {folder} && lipsdb show {found[0].id}")
    if not all(one.agrees for one in found):
        raise typer.Exit(1)


def _ids(source: Database, what: str, campaign: str | None) -> list[str]:
    """The documents that are meant."""
    from lipsdb.provenance.kinds import COLLECTIONS
    from lipsdb.queries.catalogue import QUERIES

    if what in QUERIES:
        rows = QUERIES[what].rows(source, campaign)
        ids = [getattr(row, "recomputed_id", None) or getattr(row, "id", None) for row in rows]
        found = [id_ for id_ in dict.fromkeys(ids) if isinstance(id_, str) and id_.partition("-")[0] in COLLECTIONS]
        if not found:
            raise BadInputError(
                f"no row of the table {what!r} is a document that can be computed again; "
                f"`lipsdb query {what}` shows the table, `lipsdb rebuild ID` rebuilds one document"
            )
        return found
    if what.partition("-")[0] not in COLLECTIONS:
        raise BadInputError(f"{what!r} is neither a table ({', '.join(QUERIES)}) nor the id of a document")
    return [str(source.find(what)["_id"])]


def _print(found: Sequence[Rebuilt]) -> None:
    from rich.markup import escape

    from lipsdb.workflows.rebuild import tolerances_of

    colours = {"equal": "green", "within tolerance": "green", "statistically": "yellow"}
    for one in found:
        outcome, compared = one.comparison.outcome, one.comparison
        out.print(
            f"[{colours.get(outcome, 'red')}]{outcome:16}[/] {one.id}  {escape(one.summary)}  {one.seconds:.1f} s"
        )
        if one.reason:
            out.print(f"  {one.reason}", markup=False)
        if compared.first is not None and compared.first != compared.largest:
            out.print(f"  first: {_text(compared.first)}", markup=False)
        if compared.largest is not None:
            out.print(f"  largest: {_text(compared.largest)}", markup=False)
        if outcome != "equal" and not one.reason:
            changes = ", ".join(f"{name} {then} → {now}" for name, (then, now) in one.versions.items())
            out.print(f"  versions then → now: {changes or 'all the same'}", markup=False)
    tolerances = tolerances_of(found)
    if tolerances:
        out.print("Tolerances:")
    for tolerance in tolerances:
        out.print(f"  {', '.join(tolerance.fields)}: {tolerance.text} ({tolerance.reason})", markup=False)
    counts = Counter(one.comparison.outcome for one in found)
    words = {"statistically": "statistically the same", "failed": "could not be computed"}
    parts = [f"{n} {words.get(outcome, outcome)}" for outcome, n in counts.items()]
    passed = all(one.agrees for one in found)
    style = "bold green" if passed else "bold red"
    out.print(f"[{style}]Rebuilt {len(found)} document{'' if len(found) == 1 else 's'}: {', '.join(parts)}.[/]")


def _text(difference: Difference | None) -> str:
    """As 'D_cm2_s 6.22e-06 → 6.24e-06 (0.4 of what is allowed)'."""
    if difference is None:
        return ""
    before, after = (
        f"{value:.10g}" if isinstance(value, float) else str(value) for value in (difference.before, difference.after)
    )
    how = "no tolerance" if math.isinf(difference.ratio) else f"{difference.ratio:.2g} of what is allowed"
    return f"{difference.field} {before} → {after} ({how})"


def _as_json(found: Sequence[Rebuilt], what: str, start: str, folder: Path | None) -> dict[str, Any]:
    from lipsdb.workflows.rebuild import tolerances_of

    def difference(one: Difference | None) -> dict[str, Any] | None:
        if one is None:
            return None
        ratio = None if math.isinf(one.ratio) else one.ratio
        return {"field": one.field, "before": one.before, "after": one.after, "of_allowed": ratio}

    return {
        "what": what,
        "from": start,
        "folder": None if folder is None else str(folder),
        "passed": all(one.agrees for one in found),
        "documents": [
            {
                "id": one.id,
                "summary": one.summary,
                "outcome": one.comparison.outcome,
                "reason": one.reason,
                "first_difference": difference(one.comparison.first),
                "largest_difference": difference(one.comparison.largest),
                "versions": {name: {"then": then, "now": now} for name, (then, now) in one.versions.items()},
                "core_seconds_then": one.core_seconds,
                "seconds_now": round(one.seconds, 3),
            }
            for one in found
        ],
        "tolerances": [
            {"fields": list(one.fields), "allowed": one.text, "reason": one.reason} for one in tolerances_of(found)
        ],
    }
