"""``lipsdb show``, ``list`` and ``lineage``: documents and what they were made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lipsdb.cli.options import CampaignOption, IdArgument, JsonOption, LineageFormat
from lipsdb.cli.terminal import err, next_step, out, print_json
from lipsdb.errors import BadInputError
from lipsdb.provenance.kinds import COLLECTIONS, RECORDS

if TYPE_CHECKING:
    from lipsdb.store.database import Database

_NAMED = 3  # withdrawals named above a document

_ALSO_CALLED = {
    "refused": "refusal",
    "withdrawn": "withdrawal",
    "level": "level_of_theory",
    "levels": "level_of_theory",
    "level-of-theory": "level_of_theory",
    "levels-of-theory": "level_of_theory",
} | {collection: kind for kind, collection in COLLECTIONS.items()}


def kind_called(word: str) -> str:
    """The kind of document that people mean: its name, its collection's, or a short form.

    Raises
    ------
    BadInputError
        If there is none.

    Examples
    --------
    >>> kind_called("label"), kind_called("labels"), kind_called("refused"), kind_called("levels")
    ('label', 'label', 'refusal', 'level_of_theory')
    """
    kind = _ALSO_CALLED.get(word, word)
    if kind not in COLLECTIONS:
        raise BadInputError(f"{word!r} is not a kind of document; the kinds are {', '.join(COLLECTIONS)}")
    return kind


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(show)
    app.command("list")(list_documents)
    app.command()(lineage)


def _readable(value: Any) -> Any:
    """A document for people: arrays by their shape, dates as text."""
    import numpy as np

    if isinstance(value, np.ndarray):
        return value.tolist() if value.size <= 9 else f"array {value.dtype} {'×'.join(map(str, value.shape))}"
    if isinstance(value, dict):
        return {key: _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value[:20]] + ([f"… {len(value) - 20} more"] if len(value) > 20 else [])
    return value


def show(
    id_: IdArgument,
    arrays: Annotated[bool, typer.Option("--arrays", help="Print arrays in full.")] = False,
) -> None:
    """Show a document: what was asked, what was answered, from what, by whom."""
    from lipsdb.provenance.canonical import decoded
    from lipsdb.store.database import connect

    database = connect()
    document = decoded(database.find(id_))
    for line in _standing(database, document["_id"]):
        err.print(line, markup=False)
    if arrays:
        import numpy as np

        def full(value: Any) -> Any:
            return value.tolist() if isinstance(value, np.ndarray) else str(value)

        import json

        print(json.dumps(document, indent=2, default=full, ensure_ascii=False))
    else:
        print_json(_readable(document))


def _standing(database: Database, id_: str) -> list[str]:
    """Whether a document is withdrawn, or what it stands on is: a line each, the first few."""
    from lipsdb.provenance.withdrawal import taint

    found = sorted(taint(database).of(id_), key=lambda said: (said.document != id_, said.document))
    lines = []
    for said in found[:_NAMED]:
        what = "withdrawn" if said.document == id_ else f"tainted: it stands on {said.document}, withdrawn"
        lines.append(f"{what} by {said.by} on {said.at:%Y-%m-%d}: {said.reason} ({said.record})")
    return lines + (
        [f"and {len(found) - _NAMED} more; `lipsdb list withdrawal` has all"] if len(found) > _NAMED else []
    )


def list_documents(
    kind: Annotated[str, typer.Argument(help=f"One of: {', '.join(COLLECTIONS)}; also 'refused'.", show_default=False)],
    campaign: CampaignOption = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", "-w", help="FIELD=VALUE, such as asked.settings.temperature_K=600; repeatable."),
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many; 0 for all.", min=0)] = 50,
    json_: JsonOption = False,
) -> None:
    """List the documents of a kind."""
    from lipsdb.store.database import connect

    kind = kind_called(kind)
    criteria = _criteria(where or [])
    if campaign:
        criteria["campaigns"] = campaign
    database = connect()
    from lipsdb.provenance.summaries import summary_fields, summary_of
    from lipsdb.provenance.withdrawal import Taint, taint

    found = list(database.query(COLLECTIONS[kind], criteria, summary_fields(kind), {"_id": 1}, limit))
    total = database.count(COLLECTIONS[kind], criteria)
    stands = Taint() if kind in RECORDS else taint(database)
    listed = [
        {
            "id": document["_id"],
            "summary": summary_of(document),
            "withdrawals": [withdrawal.document for withdrawal in stands.of(document["_id"])],
        }
        for document in found
    ]
    if json_:
        print_json(listed)
        return
    for entry in listed:
        state = "withdrawn" if entry["id"] in stands.withdrawn else "tainted" if entry["withdrawals"] else ""
        out.print(f"{entry['id']}  {entry['summary']}{f'  [{state}]' if state else ''}", markup=False)
    out.print(f"{len(found)} of {total}" if total > len(found) else f"{total} in all")
    if found:
        next_step(f"lipsdb show {found[0]['_id']}")


def _criteria(conditions: list[str]) -> dict[str, Any]:
    import json

    criteria: dict[str, Any] = {}
    for condition in conditions:
        field, equals, text = condition.partition("=")
        if not equals or not field:
            raise BadInputError(f"{condition!r} is not a condition; write FIELD=VALUE, such as asked.settings.seed=1")
        try:
            criteria[field] = json.loads(text)
        except ValueError:
            criteria[field] = text
    return criteria


def lineage(
    id_: IdArgument,
    down: Annotated[
        bool, typer.Option("--down/--up", help="What was made from it, instead of what it was made from.")
    ] = False,
    depth: Annotated[int | None, typer.Option(help="At most so many steps.", min=1, show_default="all")] = None,
    format_: Annotated[LineageFormat, typer.Option("--format", "-f", help="How it is printed.")] = LineageFormat.tree,
) -> None:
    """Show what a document was made from, down to each label, or what was made from it."""
    import orjson

    from lipsdb.provenance import lineage as lineages
    from lipsdb.store.database import connect

    database = connect()
    found = lineages.lineage(database, database.find(id_)["_id"], "down" if down else "up", depth)
    if format_ is LineageFormat.svg:
        from lipsdb.provenance.lineage.svg import as_svg

        print(as_svg(found))
        return
    if format_ is LineageFormat.prov_json:
        from lipsdb.provenance.lineage.prov_json import prov_of_lineage

        print(prov_of_lineage(database, found).serialize(indent=2))
        return
    if format_ is LineageFormat.tree:
        from rich.console import Console

        # ids stand at the end of the lines: let the terminal wrap them rather than cut them off
        Console(highlight=False, width=max(out.width, 250)).print(lineages.as_tree(found))
    elif format_ is LineageFormat.json:
        print(orjson.dumps(lineages.as_json(found)).decode())  # one line: there may be 100,000 labels
    else:
        print(lineages.as_dot(found))
