"""How quickly labels go in, beside bare ``insert_many`` of the very same documents.

    python benchmarks/ingest.py             # a made-up set of the published one's shape (16,307 labels, 19 folders)
    python benchmarks/ingest.py FOLDER      # a set of DeePMD npy folders
    python benchmarks/ingest.py --repeat 5

Each round fills an empty database three ways, in turn, so that other load on the machine falls on all alike:

- ``ingest``: `ingest_deepmd` of the folders: reading, checking, hashing, compressing, storing;
- ``insert_many, indexed``: pymongo's ``insert_many`` of the documents that it made, into a collection with the same
  indexes and validator;
- ``insert_many, plain``: the same into a collection with nothing but ``_id``.

``ingest again`` is a second ingest of the same folders. The table has the median of the rounds; the ratio is the rate
over that of ``insert_many, plain``. The server is the one of ``LIPSDB_MONGO_URI``, or one started for the benchmark in
a temporary folder; the database is the benchmark's own and is dropped at the end.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lipsdb.ingest.deepmd import ingest_deepmd
from lipsdb.settings import Settings
from lipsdb.store.database import Database, connect
from lipsdb.store.server import EmbeddedServer

BATCH = 1000
# (atoms in the cell, frames) of the published folders
SHAPES = [
    *((n_atoms, 950) for n_atoms in (54, 80, 96, 96, 96, 64, 125, 96, 84, 56, 48, 28, 56, 32, 64, 128)),
    *((260, 551), (253, 404), (255, 152)),
]


def write_made_up_set(root: Path) -> None:
    """Write folders of the published set's shape: jittered cubic lattices, numbers with the digits that CP2K prints."""
    rng = np.random.default_rng(1)
    for index, (n_atoms, n_frames) in enumerate(SHAPES):
        folder = root / f"system{index:02d}" / "3000K"
        (folder / "set.000").mkdir(parents=True)
        sites = int(np.ceil(n_atoms ** (1 / 3)))
        lattice = 2.7 * np.stack(np.meshgrid(*[np.arange(sites)] * 3), axis=-1).reshape(-1, 3)[:n_atoms]
        arrays = {
            "coord": (lattice + rng.uniform(-0.5, 0.5, (n_frames, n_atoms, 3))).round(8),
            "box": np.broadcast_to(2.7 * sites * np.eye(3), (n_frames, 3, 3)),
            "energy": rng.normal(-200.0 * n_atoms, 1.0, n_frames),
            "force": rng.normal(0, 2, (n_frames, n_atoms, 3)).round(8),
            "virial": rng.normal(0, 5, (n_frames, 3, 3)),
        }
        for name, array in arrays.items():
            np.save(folder / "set.000" / f"{name}.npy", array.reshape(n_frames, -1) if array.ndim > 1 else array)
        (folder / "type.raw").write_text(" ".join(str(atom % 3) for atom in range(n_atoms)))
        (folder / "type_map.raw").write_text("Li P S")


@contextmanager
def empty_database() -> Iterator[Database]:
    """A database of the benchmark's own, dropped at the end."""
    settings = Settings()
    with tempfile.TemporaryDirectory(prefix="lipsdb-benchmark-") as folder:
        server = None if settings.mongo_uri else EmbeddedServer(Path(folder))
        uri = settings.mongo_uri or (server.start().uri if server else "")
        database = connect(Settings(mongo_uri=uri, database=f"lipsdb-benchmark-{uuid.uuid4().hex[:12]}"))
        try:
            yield database
        finally:
            database.client.drop_database(database.settings.database)
            database.client.close()
            if server is not None:
                server.stop()


def seconds_to_insert(database: Database, documents: list[dict[str, Any]], name: str) -> float:
    """Time of pymongo's insert_many into an empty collection, in batches."""
    start = time.perf_counter()
    for first in range(0, len(documents), BATCH):
        database.mongo[name].insert_many(documents[first : first + BATCH], ordered=False)
    return time.perf_counter() - start


def measure(root: Path, rounds: int) -> tuple[dict[str, list[float]], int, float]:
    """Seconds of each way in each round, the number of labels, and their size in MB."""
    import bson

    seconds: dict[str, list[float]] = {}

    def note(way: str, value: float) -> None:
        seconds.setdefault(way, []).append(value)

    with empty_database() as database:
        labels = database.collection("labels")
        for _ in range(rounds):
            for way in ("ingest", "ingest again"):
                start = time.perf_counter()
                summary = ingest_deepmd(database, root, "benchmark", source="benchmark", campaigns=["benchmark"])
                note(way, time.perf_counter() - start)
            for outcome in summary.refused:
                sys.exit(f"{outcome.folder}: {outcome.refused}")
            documents = list(labels.find())
            labels.delete_many({})
            note("insert_many, indexed", seconds_to_insert(database, documents, "labels"))
            labels.delete_many({})
            note("insert_many, plain", seconds_to_insert(database, documents, "plain"))
            database.mongo["plain"].drop()
    return seconds, len(documents), sum(len(bson.encode(document)) for document in documents) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="DeePMD npy folders; made up if not given")
    parser.add_argument("--repeat", type=int, default=3, help="rounds (3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lipsdb-benchmark-set-") as made_up:
        root = options.folder or Path(made_up)
        if options.folder is None:
            write_made_up_set(root)
        seconds, n_labels, megabytes = measure(root, options.repeat)
    plain = statistics.median(seconds["insert_many, plain"])
    print(f"{n_labels} labels, {megabytes:.1f} MB of BSON, median of {options.repeat} rounds\n")
    print(f"{'':22}{'time (s)':>10}{'labels/s':>10}{'MB/s':>8}{'ratio':>8}")
    for way, values in seconds.items():
        median = statistics.median(values)
        print(f"{way:22}{median:10.2f}{n_labels / median:10.0f}{megabytes / median:8.1f}{plain / median:8.2f}")


if __name__ == "__main__":
    main()
