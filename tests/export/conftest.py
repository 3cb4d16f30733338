"""A campaign with the quickstart's shipped labels and the runs that they come from, and its archive."""

from __future__ import annotations

import json
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipsdb.cli.export import _tables
from lipsdb.export.archive import export_archive
from lipsdb.ingest.record import adopt_record
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.provenance.sealing import reference, seal
from lipsdb.settings import Settings
from lipsdb.store.database import Database, connect
from lipsdb.store.migrations import MIGRATIONS

QUICKSTART = Path(__file__).parents[2] / "campaigns" / "quickstart"
HOST = "lab-node-17"
Put = Callable[..., dict[str, str]]


def connected(mongo_uri: str, home: Path) -> Iterator[Database]:
    database = connect(Settings(mongo_uri=mongo_uri, database=f"test-{uuid.uuid4().hex}", home=home))
    yield database
    database.client.drop_database(database.mongo.name)
    database.client.close()


def putting(database: Database) -> Put:
    def put(kind: str, asked: Any, answer: Any, links: Any = (), files: Any = ()) -> dict[str, str]:
        made_by = Stopwatch("test").made_by(versions_of("kinisi"), files).model_dump() | {"host": HOST}
        return database.insert(seal(kind, asked, list(links), answer, made_by, ["quickstart"]))

    return put


def diffusion(run: dict[str, Any], temperature: float, D: float) -> dict[str, Any]:
    conditions = {"structure": "beta", "formula": "Li3PS4", "potential_id": run["inputs"][0]["id"], "ensemble": "nvt"}
    conditions |= {"temperature_K": temperature, "seed": 1, "length_ps": 20.0, "run_id": run["_id"]}
    numbers = {"D_cm2_s": D, "D_std_cm2_s": D / 10, "sigma_S_cm": 1e4 * D, "sigma_std_S_cm": 1e3 * D, "charge_e": 1.0}
    fit = {"fit_start_ps": 1.0, "fit_stop_ps": 9.0, "intercept_A2": 0.2, "loglog_slope": 0.98, "framework_msd_A2": 0.5}
    words = {"species": "Li", "method": "kinisi", "fickian": True, "window_found": True}
    series = {"msd": {"lag_ps": np.arange(50.0), "msd_A2": np.arange(50.0) ** 0.9}}
    return {"conditions": conditions, "D_interval_95_cm2_s": [0.8 * D, 1.2 * D], **numbers, **fit, **words, **series}


def fill(database: Database) -> None:
    """The shipped labels and their runs, two diffusion coefficients, and the campaign that asked for them."""
    adopt_record(database, QUICKSTART / "labels", ["quickstart"])
    for step in MIGRATIONS:
        step.apply(database, lambda done, total: None)
    put = putting(database)
    log = database.artifacts.put(f"PROGRAM STARTED ON      {HOST}\n".encode(), "program.log")
    runs = database.query("runs", {}, sort={"_id": 1})
    for run, (temperature, D) in zip(runs, ((600.0, 1.25e-5), (800.0, 4.5e-5)), strict=True):
        asked = {"property": "diffusion", "parameters": {"T": temperature}}
        put("property", asked, diffusion(run, temperature, D), [{"role": "run", **reference(run)}], [log])
    text = (QUICKSTART.parent / "quickstart.yaml").read_bytes()
    file = database.artifacts.put(text, "quickstart.yaml")
    specification = {"name": "quickstart", "description": "Lithium diffusion", "tables": ["diffusion"]}
    put("campaign", {"name": "quickstart", "specification": specification}, {"file": file})


@pytest.fixture(scope="session")
def campaign_database(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with the campaign 'quickstart'; not to be changed."""
    for database in connected(mongo_uri, tmp_path_factory.mktemp("project") / ".lipsdb"):
        fill(database)
        yield database


@pytest.fixture(scope="session")
def _other_database(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    yield from connected(mongo_uri, tmp_path_factory.mktemp("other") / ".lipsdb")


def emptied(database: Database) -> Database:
    """A database without its documents; its collections stay, which saves a second."""
    for name in database.mongo.list_collection_names():
        if name != "lipsdb":
            database.collection(name).delete_many({})
    return database


@pytest.fixture
def empty(_other_database: Database) -> Callable[[], Database]:
    """Empties another database and gives it."""
    return lambda: emptied(_other_database)


@pytest.fixture
def empty_database(empty: Callable[[], Database]) -> Database:
    """Another database, empty."""
    return empty()


@pytest.fixture(scope="session")
def archive(campaign_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of that campaign."""
    path = tmp_path_factory.mktemp("archive") / "quickstart.zip"
    export_archive(campaign_database, "quickstart", path, _tables(campaign_database, "quickstart"))
    return path


Files = dict[str, bytes]


def written(files: Files, path: Path, *, repaired: bool) -> Path:
    """Write an archive's files as they are, or with manifest and metadata made to fit them."""
    import hashlib

    if repaired:
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        metadata = json.loads(files["ro-crate-metadata.json"])
        gone = {entity["@id"] for entity in metadata["@graph"]} - files.keys() - {"./", "ro-crate-metadata.json"}
        metadata["@graph"] = [entity for entity in metadata["@graph"] if entity["@id"] not in gone]
        for entity in metadata["@graph"]:
            if "sha256" in entity:
                entity["sha256"] = hashes[entity["@id"]]
        root = next(entity for entity in metadata["@graph"] if entity["@id"] == "./")
        root["hasPart"] = [part for part in root["hasPart"] if part["@id"] not in gone]
        files["ro-crate-metadata.json"] = json.dumps(metadata).encode()
        hashes["ro-crate-metadata.json"] = hashlib.sha256(files["ro-crate-metadata.json"]).hexdigest()
        del hashes["manifest-sha256.txt"]
        files["manifest-sha256.txt"] = "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes)).encode()
    with zipfile.ZipFile(path, "w") as target:
        for name, content in files.items():
            target.writestr(name, content)
    return path


@pytest.fixture
def forge(archive: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes a copy of the archive with its files changed; manifest and metadata are made to fit them if asked for."""

    def forged(change: Callable[[Files], None], *, repaired: bool = True) -> Path:
        with zipfile.ZipFile(archive) as source:
            files = {name: source.read(name) for name in source.namelist()}
        change(files)
        return written(files, tmp_path / f"{uuid.uuid4().hex}.zip", repaired=repaired)

    return forged
