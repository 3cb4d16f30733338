"""Archived dumps stay readable, and those of an earlier form are migrated: known documents, real hashes."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from bson import json_util
from pymongo import MongoClient
from typer.testing import CliRunner

from lipsdb.cli.main import app
from lipsdb.documents import document_types
from lipsdb.documents.base import Input, MadeBy, Model
from lipsdb.provenance.audit import audit
from lipsdb.provenance.kinds import COLLECTIONS, RESULTS
from lipsdb.provenance.sealing import SCHEMA_VERSION, seal_faults, withheld
from lipsdb.settings import Settings
from lipsdb.store.database import Database, connect
from lipsdb.store.migrations import BOOKKEEPING, MIGRATIONS, migrate

DATA = Path(__file__).parents[1] / "data"
THIS, CLEAR_HOSTS = DATA / f"schema-{SCHEMA_VERSION}.jsonl.gz", DATA / "schema-1-clear-hosts.jsonl.gz"
(SALT_HOSTS,) = MIGRATIONS


@pytest.fixture
def database_name(mongo_uri: str) -> Iterator[str]:
    """Name of a database that nobody set up."""
    name = f"test-{uuid.uuid4().hex}"
    yield name
    with MongoClient(mongo_uri) as client:
        client.drop_database(name)


def loaded(dump: Path, settings: Settings) -> Database:
    """A new database that held these documents before this version came to it."""
    options = json_util.JSONOptions(tz_aware=True)
    with MongoClient(settings.mongo_uri) as client, gzip.open(dump, "rt") as stream:
        for line in stream:
            name, document = json_util.loads(line, json_options=options)
            client[settings.database][name].insert_one(document)
    return connect(settings)


def everything(database: Database) -> dict[str, dict[str, Any]]:
    return {one["_id"]: one for name in COLLECTIONS.values() for one in database.mongo[name].find()}


def ignore(done: int, total: int) -> None:
    pass


def cli(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_dump_of_this_schema_version_is_read_queried_and_passes_the_audit(settings: Settings) -> None:
    from lipsdb.queries.catalogue import QUERIES
    from lipsdb.queries.tables import Format, render

    database = loaded(THIS, settings)
    models, documents = document_types(), everything(database)
    assert {one["kind"] for one in documents.values()} == set(models)
    for document in documents.values():
        assert seal_faults(document) == seal_faults(withheld(document)) == []
        models[document["kind"]].from_stored(document)
        MadeBy.model_validate(document["made_by"])
        assert document["schema_version"] == SCHEMA_VERSION
    for name, query in QUERIES.items():
        for campaign in (None, "quickstart"):
            table = query.table(database, campaign)
            assert all(render(table, format) for format in get_args(Format)), name
    assert database.count("labels", {"campaigns": "quickstart-dft"}) == 3  # one of them joined later
    (fit,) = QUERIES["arrhenius"].rows(database)
    assert fit.Ea_eV == pytest.approx(0.2380199)
    assert cli("lineage", fit.id, "--up").count("run-") == 2
    for kind in models:
        cli("show", next(id_ for id_ in documents if id_.startswith(f"{kind}-")))
    report = audit(database, store=False)
    assert [finding for finding in report.findings if finding.level == "error"] == []


def test_a_dump_with_clear_hosts_is_told_of_and_migrated(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        database = loaded(CLEAR_HOSTS, settings)
        before = everything(database)
        assert len(before) == 23
        connect(settings).client.close()
    told = f"{len(before)} documents are in an older form; `lipsdb db migrate --dry-run` tells more"
    assert [record.message for record in caplog.records] == [told, told]
    assert f"salted-hosts: {SALT_HOSTS.does}; {len(before)} documents" in cli("db", "migrate", "--dry-run")
    assert everything(database) == before
    assert f"{len(before)} documents changed, 0 left" in cli("db", "migrate")
    after = everything(database)
    for id_, document in after.items():
        salt = document["made_by"].pop("salt")
        assert document["seal"] != before[id_]["seal"]
        assert {**document, "seal": ""} == {**before[id_], "seal": ""}  # ids, contents and all the rest stay
        digest = hashlib.sha256(f"{salt}\0{document['made_by']['host']}".encode()).hexdigest()
        restored = {**document, "made_by": {**document["made_by"], "host": f"withheld:{digest}"}}
        assert seal_faults(restored) == []
    assert len({one["made_by"]["salt"] for one in everything(database).values()}) == len(before)
    caplog.clear()
    connect(settings).client.close()
    assert caplog.records == []
    assert audit(database, store=False).errors == []


def test_a_migration_that_was_killed_goes_on_where_it_stopped(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lipsdb.store import migrations

    database = loaded(CLEAR_HOSTS, settings)
    monkeypatch.setattr(migrations, "_BATCH", 2)

    def kill(done: int, total: int) -> None:
        if done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrate(database, SALT_HOSTS, kill)
    waiting = SALT_HOSTS.pending(database)
    assert 0 < waiting < 20
    half = everything(database)
    outcome = migrate(database, SALT_HOSTS, ignore)
    assert (outcome.changed, outcome.left) == (waiting, {})
    after = everything(database)
    assert all(seal_faults(document) == [] for document in after.values())
    assert all(after[id_] == one for id_, one in half.items() if "salt" in one["made_by"])
    assert migrate(database, SALT_HOSTS, ignore).changed == 0


def test_a_document_whose_old_seal_does_not_hold_is_left_and_named(settings: Settings) -> None:
    database = loaded(CLEAR_HOSTS, settings)
    damaged = next(database.query("properties"))["_id"]
    database.collection("properties").update_one({"_id": damaged}, {"$set": {"made_by.host": "another"}})
    stored = database.collection("properties").find_one({"_id": damaged})
    output = cli("db", "migrate")
    assert "22 documents changed, 1 left as they are" in output
    assert f"{damaged}  left: a sealed field was changed (seal differs)" in output
    assert database.collection("properties").find_one({"_id": damaged}) == stored
    assert database.collection(BOOKKEEPING).find_one({"_id": SALT_HOSTS.note})["left"] == [damaged]


def test_nothing_waits_in_a_new_database(database: Database) -> None:
    noted = database.collection(BOOKKEEPING).find_one({"_id": SALT_HOSTS.note})
    assert noted is not None
    assert noted["pending"] == 0
    assert "0 documents wait for it" in cli("db", "migrate")


def fields_of(annotation: Any) -> dict[str, Any] | None:
    """Names of the fields of a model, of those in it too; None for other types."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return {name: fields_of(field.annotation) for name, field in sorted(annotation.model_fields.items())}
    nested = [found for one in get_args(annotation) if (found := fields_of(one)) is not None]
    return nested[0] if nested else None


def test_field_names_of_all_documents_are_those_of_the_schema_version() -> None:
    found = {kind: fields_of(model) for kind, model in document_types().items()}
    found |= {"made_by": fields_of(MadeBy), "input": fields_of(Input)}
    pinned = json.loads((DATA / f"schema-{SCHEMA_VERSION}-fields.json").read_text())
    assert found == pinned, (
        f"fields changed, but SCHEMA_VERSION is {SCHEMA_VERSION} as before. Stored documents do not have them: give "
        "new fields a default that leaves old documents valid and their hashes as they are; or raise SCHEMA_VERSION "
        "(in lipsdb/provenance/sealing.py), register a migration, and make a dump by tests/data/condense.py. Then "
        "write the new names into tests/data/schema-VERSION-fields.json."
    )


def test_dumps_are_small_and_name_no_machine() -> None:
    for dump in (THIS, CLEAR_HOSTS):
        assert dump.stat().st_size < 100_000
        with gzip.open(dump, "rt") as stream:
            documents = [json_util.loads(line)[1] for line in stream]
        hosts = {one["made_by"]["host"] for one in documents if "made_by" in one}
        assert hosts == {"example.org"}
        later = {"classifier"} if dump == CLEAR_HOSTS else set()  # kinds that came when hosts were salted already
        assert {one.get("kind") for one in documents} >= set(RESULTS) - later
