"""How quickly lineage, impact and the audit of links answer on a campaign of a million documents.

    python benchmarks/graph.py                       # 1,000,000 documents: some five minutes
    python benchmarks/graph.py --documents 50000
    python benchmarks/graph.py --keep NAME           # keep the database, or use it again if it is there

`made_up_campaign` says what the documents look like. "first" is the first call after the documents were written (for
lineage and impact that includes gathering what labels were made from, once for each dataset); the other figure is the
median of the rounds. Both are seconds on the client's clock, from the question to the printed answer.

"$graphLookup" is the same walk by MongoDB's own stage. It walks one collection only, so it gets one: a copy of all
documents with nothing but their ids and the ids of their inputs, indexed. It finds ids, no states and no summaries.

The server is the one of ``LIPSDB_MONGO_URI``, or one started for the benchmark in a temporary folder; the database is
the benchmark's own and is dropped at the end.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from made_up_campaign import HOSTS, MadeUpCampaign
from pymongo.errors import PyMongoError

from lipsdb.provenance import impact
from lipsdb.provenance.kinds import RESULTS
from lipsdb.provenance.label_origins import LabelOrigins
from lipsdb.provenance.lineage import Lineage, as_json, as_tree, lineage
from lipsdb.settings import Settings
from lipsdb.store.database import Database, connect
from lipsdb.store.server import EmbeddedServer

PEER = "peer"
PATIENCE_MS = 300_000


@contextmanager
def server() -> Iterator[str]:
    """Address of the server in force, or of one that lives as long as the benchmark."""
    settings = Settings()
    if settings.mongo_uri:
        yield settings.mongo_uri
        return
    with tempfile.TemporaryDirectory(prefix="lipsdb-benchmark-") as folder:
        embedded = EmbeddedServer(Path(folder))
        try:
            yield embedded.start().uri
        finally:
            embedded.stop()


def fill(uri: str, name: str, documents: int) -> None:
    """Make the documents; in a process of its own, so that its memory does not count."""
    MadeUpCampaign(connect(Settings(mongo_uri=uri, database=name)), documents).fill()


def fill_peer(database: Database) -> None:
    """Copy ids and links into one collection, for `$graphLookup`."""
    database.collection(PEER).create_index("inputs")
    for name in RESULTS.values():
        stages = [{"$project": {"inputs": "$inputs.id"}}, {"$merge": PEER}]
        database.collection(name).aggregate(stages)


def graph_lookup(database: Database, id_: str, direction: str) -> int:
    """How many documents `$graphLookup` finds."""
    up = direction == "up"
    lookup = {
        "from": PEER,
        "startWith": "$inputs" if up else "$_id",
        "connectFromField": "inputs" if up else "_id",
        "connectToField": "_id" if up else "inputs",
        "as": "found",
    }
    stages: list[dict[str, Any]] = [{"$match": {"_id": id_}}, {"$graphLookup": lookup}, {"$unwind": "$found"}]
    stages.append({"$count": "n"})
    answer = database.collection(PEER).aggregate(stages, maxTimeMS=PATIENCE_MS, allowDiskUse=True)
    return next((int(entry["n"]) for entry in answer), 0)


def printed_tree(found: Lineage) -> str:
    from rich.console import Console

    stream = io.StringIO()
    Console(width=250, file=stream).print(as_tree(found))
    return stream.getvalue()


def measured(ask: Callable[[], Any], rounds: int) -> tuple[float, float, Any]:
    """Seconds of the first call, median of the following ones, and the answer."""
    times, answer = [], None
    for _ in range(rounds + 1):
        start = time.perf_counter()
        answer = ask()
        times.append(time.perf_counter() - start)
    return times[0], statistics.median(times[1:]), answer


def number_of_documents(found: Lineage | impact.Impact) -> int:
    """How many documents an answer tells of."""
    if isinstance(found, impact.Impact):
        return found.n_numbers
    if found.direction == "up":
        return len(found.states)
    return len(found.nodes) + sum(group.n for group in found.groups.values())


def questions(database: Database) -> list[tuple[str, Callable[[], Any], tuple[str, str] | None]]:
    """What is asked: in words, how, and for the peer id and direction."""
    properties, labels = database.collection("properties"), database.collection("labels")
    fit = str((properties.find_one({"asked.property": "arrhenius"}, {"_id": 1}) or {})["_id"])
    largest = database.collection("datasets").find_one({}, {"inputs.id": 1}, sort=[("answer.n_training", -1)]) or {}
    label, n_labels = str(largest["inputs"][0]["id"]), len(largest["inputs"])
    level = database.collection("levels_of_theory").find_one({}, {"asked.name": 1}) or {}
    many = f"{labels.count_documents({'inputs.id': level['_id']}):,} labels"
    runs = database.collection("runs").count_documents({"made_by.versions.LAMMPS": "29 Aug 2024"})

    def tree(id_: str, direction: Any, depth: int | None = None) -> Lineage:
        found = lineage(database, id_, direction, depth)
        printed_tree(found)
        return found

    def as_text() -> Lineage:
        found = lineage(database, fit)
        orjson.dumps(as_json(found)).decode()
        return found

    return [
        ("lineage --up of an Arrhenius fit, tree", lambda: tree(fit, "up"), (fit, "up")),
        ("lineage --up of an Arrhenius fit, json", as_text, None),
        (
            f"lineage --up --depth 1 of a dataset ({n_labels:,} labels), tree",
            lambda: tree(str(largest["_id"]), "up", 1),
            None,
        ),
        ("lineage --down of a label, tree", lambda: tree(label, "down"), (label, "down")),
        (f"lineage --down of a level ({many}), tree", lambda: tree(level["_id"], "down"), (level["_id"], "down")),
        ("impact of a label", lambda: impact.impact_of_document(database, label), None),
        (
            f"impact of a level ({many})",
            lambda: impact.impact_of_level(database, level["asked"]["name"]),
            None,
        ),
        (
            f"impact of a LAMMPS version ({runs:,} runs)",
            lambda: impact.impact_of_version(database, "LAMMPS=29 Aug 2024"),
            None,
        ),
        ("impact of a host", lambda: impact.impact_of_host(database, HOSTS[3]), None),
    ]


def peer_time(database: Database, question: tuple[str, str] | None) -> float | str | None:
    """Seconds that `$graphLookup` takes, or why it gives no answer."""
    if question is None:
        return None
    start = time.perf_counter()
    try:
        graph_lookup(database, *question)
    except PyMongoError as error:
        return str((getattr(error, "details", None) or {}).get("codeName", type(error).__name__))
    return time.perf_counter() - start


def peak_megabytes() -> float:
    """Largest memory of this very process (MB); what getrusage tells is inherited from the parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def report(database: Database, rounds: int, with_peer: bool) -> None:
    total = sum(database.collection(name).estimated_document_count() for name in RESULTS.values())
    start = time.perf_counter()
    LabelOrigins(database)
    gathered = time.perf_counter() - start
    print(
        f"{total:,} documents; gathering what the labels of all datasets were made from took {gathered:.1f} s, once\n"
    )
    print("| question | documents found | first (s) | median (s) | $graphLookup (s) | ratio |")
    print("|---|---:|---:|---:|---:|---:|")
    for words, ask, question in questions(database):
        first, median, found = measured(ask, rounds)
        other = peer_time(database, question if with_peer else None)
        seconds = f"{other:.2f}" if isinstance(other, float) else other or ""
        ratio = f"{other / median:.0f}" if isinstance(other, float) else ""
        print(
            f"| {words} | {number_of_documents(found):,} | {first:.2f} | {median:.2f} | {seconds} | {ratio} |",
            flush=True,
        )
    print(f"\npeak memory of the client so far: {peak_megabytes():.0f} MB")


def audit_links(uri: str, name: str) -> None:
    """The audit of links, in a process of its own, so that its memory is its own."""
    from lipsdb.provenance.audit.findings import Survey
    from lipsdb.provenance.audit.links import check_links

    database, survey = connect(Settings(mongo_uri=uri, database=name)), Survey()
    start = time.perf_counter()
    check_links(database, survey, lambda stage, done, total: None)
    seconds, errors = time.perf_counter() - start, sum(one.level == "error" for one in survey.findings)
    memory = f"{peak_megabytes():.0f} MB of memory at most"
    print(f"audit of {survey.counts['links']:,} links: {seconds:.1f} s, {errors} errors, {memory}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1_000_000, help="so many, about (1,000,000)")
    parser.add_argument("--repeat", type=int, default=5, help="rounds (5)")
    parser.add_argument("--keep", metavar="NAME", help="name of a database to keep, or to use again")
    parser.add_argument("--without-peer", action="store_true", help="leave $graphLookup out")
    options = parser.parse_args()
    name = options.keep or f"lipsdb-benchmark-{uuid.uuid4().hex[:12]}"
    with server() as uri:
        database, apart = connect(Settings(mongo_uri=uri, database=name)), multiprocessing.get_context("spawn")

        def alone(work: Callable[..., None], *arguments: Any) -> None:
            process = apart.Process(target=work, args=(uri, name, *arguments))
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(process.exitcode)

        try:
            if not database.collection("labels").estimated_document_count():
                start = time.perf_counter()
                alone(fill, options.documents)
                print(f"documents made in {time.perf_counter() - start:.0f} s")
            if not options.without_peer and not database.collection(PEER).estimated_document_count():
                fill_peer(database)
            report(database, options.repeat, not options.without_peer)
            alone(audit_links)
        finally:
            if not options.keep:
                database.client.drop_database(name)
            database.client.close()


if __name__ == "__main__":
    main()
