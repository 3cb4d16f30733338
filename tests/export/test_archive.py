"""A campaign goes out as one file and comes back the same; what is damaged, harmful or tells names is refused."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bson import json_util
from typer.testing import CliRunner

from lipsdb.cli.export import _tables
from lipsdb.cli.main import app
from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.export.archive import export_archive
from lipsdb.export.verification import verify_archive
from lipsdb.ingest.archive import import_archive
from lipsdb.provenance.audit import audit
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.provenance.sealing import seal, withheld
from lipsdb.provenance.withdrawal import withdraw, withdrawn
from lipsdb.store.database import Database

HOST = "lab-node-17"
Files = dict[str, bytes]


def documents(database: Database) -> dict[str, dict[str, Any]]:
    return {one["_id"]: one for name in COLLECTIONS.values() for one in database.query(name)}


def numbers(tables: dict[str, str]) -> dict[str, str]:
    """Tables but for that of costs, which tells where the work was done."""
    return {name: text for name, text in tables.items() if not name.startswith("cost")}


def test_campaign_comes_back_with_the_same_ids_and_tables(
    campaign_database: Database, empty_database: Database, archive: Path, tmp_path: Path
) -> None:
    taken = import_archive(empty_database, archive)
    there, here = documents(campaign_database), documents(empty_database)
    assert taken.campaign == "quickstart"
    assert taken.new == {
        "campaigns": 1,
        "labels": 3,
        "levels_of_theory": 1,
        "properties": 2,
        "runs": 2,
        "structures": 1,
    }
    assert here.keys() == there.keys()
    for id_, document in here.items():
        assert document == withheld(there[id_]) | {"campaigns": document["campaigns"]}
        assert document["campaigns"] == [name for name in there[id_]["campaigns"] if name == "quickstart"]
    tables = numbers(_tables(campaign_database, "quickstart"))
    assert tables.keys() >= {"diffusion.json", "diffusion.csv", "diffusion.md", "labels.json"}
    assert numbers(_tables(empty_database, "quickstart")) == tables
    report = audit(empty_database)
    assert report.errors == []
    notes = {finding.document for finding in report.findings if "withheld from the archive" in finding.message}
    assert notes == {file["sha256"] for file in taken.withheld} != set()

    # again: nothing is new, another campaign joins; and out again from there it is the same but for the cost
    again = import_archive(empty_database, archive, ["more"])
    assert (sum(again.new.values()), again.n_artifacts, again.n_known) == (0, 0, len(here))
    assert len(list(empty_database.query("properties", {"campaigns": "more"}))) == 2
    export_archive(empty_database, "quickstart", tmp_path / "on.zip", tables)
    with zipfile.ZipFile(archive) as first, zipfile.ZipFile(tmp_path / "on.zip") as second:
        for name in second.namelist():
            if name not in {"ro-crate-metadata.json", "manifest-sha256.txt"}:
                assert first.read(name) == second.read(name), name


def test_same_campaign_gives_the_same_bytes_and_no_part_is_left(
    campaign_database: Database, archive: Path, tmp_path: Path
) -> None:
    (tmp_path / "again.zip").write_bytes(b"old")
    tables = _tables(campaign_database, "quickstart")
    written = export_archive(campaign_database, "quickstart", tmp_path / "again.zip", tables)
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()
    assert [path.name for path in tmp_path.glob("*again*")] == ["again.zip"]
    found = verify_archive(archive)
    assert (found.faults, found.fingerprint) == ([], written.fingerprint)
    assert found.counts["numbers in tables"] == 20
    assert found.counts["artifacts"] == written.n_artifacts


def test_no_host_leaves_unless_asked_for(campaign_database: Database, archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive) as crate:
        texts = {name: crate.read(name) for name in crate.namelist()}
        about = json.loads(texts["archive.json"])
    assert [name for name, text in texts.items() if HOST.encode() in text] == []
    assert "program.log" in {file["name"] for file in about["withheld"]}
    assert {file["reason"] for file in about["withheld"]} == {"names a host"}
    assert not any(f"artifacts/{file['sha256']}" in texts for file in about["withheld"])
    everything = export_archive(campaign_database, "quickstart", tmp_path / "all.zip", {}, with_hosts=True)
    assert (everything.withheld, verify_archive(tmp_path / "all.zip").faults) == ([], [])
    with zipfile.ZipFile(tmp_path / "all.zip") as crate:
        assert HOST.encode() in crate.read("documents/properties.jsonl")


def test_ro_crate_and_prov_are_read_by_their_libraries(archive: Path, tmp_path: Path) -> None:
    from prov.model import ProvDocument, ProvEntity
    from rocrate.rocrate import ROCrate

    crate = ROCrate(archive)
    names = {entity.id: entity for entity in crate.data_entities}
    assert crate.name == "lipsdb campaign quickstart"
    assert names["tables/diffusion.csv"]["encodingFormat"] == "text/csv"
    assert "trajectory.nc" in {entity["name"] for entity in names.values()}
    with zipfile.ZipFile(archive) as opened:
        assert set(opened.namelist()) == names.keys() | {"ro-crate-metadata.json"}
        (tmp_path / "prov.json").write_bytes(opened.read("prov.json"))
    described = ProvDocument.deserialize(str(tmp_path / "prov.json"))
    found = verify_archive(archive)
    entities = {str(entity.identifier).removeprefix("lipsdb:") for entity in described.get_records(ProvEntity)}
    assert entities == found.contents.keys() | found.externals.keys()


def test_withdrawals_and_audits_of_the_campaign_come_along(
    archive: Path,
    empty_database: Database,
    empty: Callable[[], Database],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import_archive(empty_database, archive)
    run = next(empty_database.query("runs"))["_id"]
    withdraw(empty_database, [run], "thermostat was off", "A. Student")
    audit(empty_database, "quickstart", store=True)
    written = export_archive(empty_database, "quickstart", tmp_path / "more.zip", {})
    assert (written.documents["withdrawals"], written.documents["audits"]) == (1, 1)
    assert verify_archive(tmp_path / "more.zip").faults == []
    settings = empty().settings
    monkeypatch.setenv("LIPSDB_MONGO_URI", str(settings.mongo_uri))
    monkeypatch.setenv("LIPSDB_DATABASE", settings.database)
    monkeypatch.setenv("LIPSDB_HOME", str(settings.home))
    done = CliRunner().invoke(app, ["import", "archive", str(tmp_path / "more.zip")])
    assert "tainted now: 1 property, 1 run\n" in done.stdout
    assert withdrawn(empty_database)[run].reason == "thermostat was off"


def test_audits_of_the_whole_database_stay_at_home(
    archive: Path, empty_database: Database, empty: Callable[[], Database], tmp_path: Path
) -> None:
    import_archive(empty_database, archive)
    made_by = Stopwatch("test").made_by(versions_of()).model_dump()
    other = seal("structure", {"builder": "x", "parameters": {}}, [], _shape(empty_database), made_by, ["secret"])
    empty_database.insert(other)
    levels = ("links", "content")
    (before, own, last) = [
        audit(empty_database, campaign, levels=levels, store=True) for campaign in (None, "quickstart", None)
    ]
    assert before.record is not None
    assert own.record is not None
    assert last.passed
    written = export_archive(empty_database, "quickstart", tmp_path / "x.zip", {})
    assert written.documents["audits"] == 1
    with zipfile.ZipFile(tmp_path / "x.zip") as crate:
        assert [name for name in crate.namelist() if other["_id"].encode() in crate.read(name)] == []
        externals = [json.loads(line) for line in crate.read("externals.jsonl").splitlines()]
    (elsewhere,) = [one for one in externals if one["collection"] == "audits"]
    assert elsewhere == {"id": before.record["id"], "collection": "audits", "content": before.record["content"]}
    assert verify_archive(tmp_path / "x.zip").faults == []
    there = empty()
    import_archive(there, tmp_path / "x.zip")
    assert [one["_id"] for one in there.query("audits")] == [own.record["id"]]
    assert audit(there, levels=levels).errors == []


def test_signature_with_an_account_name_does_not_stop_the_export(
    archive: Path, empty_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "annabel")
    import_archive(empty_database, archive)
    (run, other) = sorted(one["_id"] for one in empty_database.query("runs"))
    withdraw(empty_database, [run], "thermostat was off", "annabel")
    export_archive(empty_database, "quickstart", tmp_path / "x.zip", {"x.md": "withdrawn by annabel"})
    assert verify_archive(tmp_path / "x.zip").counts["withdrawals"] == 1
    withdraw(empty_database, [other], "see /home/annabel/notes", "annabel")
    with pytest.raises(BadInputError, match=r"withdrawal-\w+ names a home folder"):
        export_archive(empty_database, "quickstart", tmp_path / "x.zip", {})


def test_missing_file_is_excused_only_if_it_was_withheld_from_an_import(
    archive: Path, empty_database: Database
) -> None:
    taken = import_archive(empty_database, archive)
    levels, notes = ("links", "content"), empty_database.collection("withheld")
    report = audit(empty_database, levels=levels)
    assert (report.errors, report.counts["files withheld"]) == ([], len(taken.withheld))
    (file, *_) = taken.withheld
    for change in ({"size": file["size"] + 1}, {"name": "other.log"}):
        notes.update_one({"_id": file["sha256"]}, {"$set": change})
        assert [one.document for one in audit(empty_database, levels=levels).errors] == [file["sha256"]], change
        notes.update_one({"_id": file["sha256"]}, {"$set": {key: file[key] for key in change}})
    # a document that was made here names the same file
    run = next(empty_database.query("runs"))
    made_by = Stopwatch("test").made_by(versions_of()).model_dump()
    reference_ = {key: file[key] for key in ("sha256", "size", "name")}
    made_by |= {"files": [reference_]}
    empty_database.insert(seal("run", {"program": "x", "settings": {}}, [], run["answer"], made_by))
    assert [one.document for one in audit(empty_database, levels=levels).errors] == [file["sha256"]]


def test_files_with_names_that_leave_their_folder_are_not_imported(
    forge: Callable[..., Path], empty_database: Database
) -> None:
    def named(name: str) -> Callable[[Files], None]:
        def change(files: Files) -> None:
            options = json_util.JSONOptions(tz_aware=True)
            one = json_util.loads(files["documents/campaigns.jsonl"].decode(), json_options=options)
            answer = {"file": one["answer"]["file"] | {"name": name}}
            new = seal("campaign", one["asked"], one["inputs"], answer, one["made_by"], one["campaigns"])
            text = json_util.dumps(new, json_options=json_util.CANONICAL_JSON_OPTIONS)
            files["documents/campaigns.jsonl"] = f"{text}\n".encode()

        return change

    for name in ("../quickstart.yaml", "/tmp/quickstart.yaml", "..", "x\nshell rm", "x\0"):
        with pytest.raises(BadInputError, match=r"campaign-\w+: names a file .*, which could leave its folder") as told:
            import_archive(empty_database, forge(named(name)))
        assert "\n" not in str(told.value)
    assert verify_archive(forge(named("quickstart.yaml"))).faults == []
    assert documents(empty_database) == {}


def test_names_of_the_crate_are_those_of_the_documents(forge: Callable[..., Path]) -> None:
    def change(files: Files) -> None:
        metadata = json.loads(files["ro-crate-metadata.json"])
        entity = next(one for one in metadata["@graph"] if one.get("name") == "trajectory.nc")
        entity["name"] = "renamed"
        files["ro-crate-metadata.json"] = json.dumps(metadata).encode()

    (fault,) = verify_archive(forge(change)).faults
    assert fault.startswith("ro-crate-metadata.json: gives another name for artifacts/")
    assert fault.endswith("than the documents (trajectory.nc)")


def test_list_of_withheld_files_of_another_shape_is_a_fault(forge: Callable[..., Path]) -> None:
    for bad in ([{"name": "x"}], ["x"], {"x": 1}, None):

        def change(files: Files, bad: Any = bad) -> None:
            files["archive.json"] = json.dumps(json.loads(files["archive.json"]) | {"withheld": bad}).encode()

        faults = verify_archive(forge(change)).faults
        assert "archive.json: 'withheld' must list files, each once, with sha256, size, name and reason" in faults


def test_forged_archive_is_not_imported(forge: Callable[..., Path], empty_database: Database) -> None:
    def change(files: Files) -> None:
        files["documents/properties.jsonl"] = files["documents/properties.jsonl"].replace(b"1.25e-05", b"1.26e-05")

    path = forge(change)
    with pytest.raises(BadInputError, match=r"has \d+ faults, the first: .*property-.*lipsdb verify"):
        import_archive(empty_database, path)
    assert documents(empty_database) == {}
    assert empty_database.count("artifacts") == 0


def test_number_in_a_table_must_be_the_one_of_its_document(forge: Callable[..., Path]) -> None:
    def change(files: Files) -> None:
        files["tables/diffusion.json"] = files["tables/diffusion.json"].replace(
            b'D_cm2_s": 1.25e-05', b'D_cm2_s": 1.26e-05'
        )

    (fault,) = verify_archive(forge(change)).faults
    assert fault.startswith("tables/diffusion.json: D_cm2_s of property-")
    assert fault.endswith("is 1.26e-05; the document says 1.25e-05")


def test_archive_that_contradicts_the_database_is_refused(archive: Path, empty_database: Database) -> None:
    with zipfile.ZipFile(archive) as crate:
        line = crate.read("documents/structures.jsonl").decode()
    document = json_util.loads(line, json_options=json_util.JSONOptions(tz_aware=True))
    made_by = Stopwatch("test").made_by(versions_of()).model_dump()
    other = seal("structure", document["asked"], [], document["answer"] | {"volume_A3": 1.0}, made_by)
    empty_database.insert(other)
    assert other["_id"] == document["_id"]
    with pytest.raises(BadInputError, match=r"structure-\w+ is in this database with another answer.*LIPSDB_DATABASE"):
        import_archive(empty_database, archive)
    assert list(documents(empty_database)) == [other["_id"]]


def zipped(path: Path, *entries: tuple[str | zipfile.ZipInfo, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, text in entries:
            target.writestr(name, text)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_is_no_archive_or_could_harm_is_refused(archive: Path, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("artifacts/x")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    (tmp_path / "text").write_text("no archive")
    (tmp_path / "cut").write_bytes(archive.read_bytes()[:-100])
    about = ("archive.json", '{"format": "lipsdb archive 1"}')
    harmful = {
        "is not a zip file": [tmp_path / "text", tmp_path / "cut"],
        "does not exist": [tmp_path / "nowhere.zip"],
        "holds no archive.json": [zipped(tmp_path / "other", ("x", ""))],
        "has the format 'lipsdb archive 9'": [zipped(tmp_path / "9", (about[0], about[1].replace("1", "9")))],
        "could leave its folder": [
            zipped(tmp_path / "up", about, ("../x", "")),
            zipped(tmp_path / "root", about, ("/etc/x", "")),
            zipped(tmp_path / "folder", about, ("a/", "")),
        ],
        "twice": [zipped(tmp_path / "double", about, ("x", "1"), ("x", "2"))],
        "is a link": [zipped(tmp_path / "link", about, (link, "/etc/passwd"))],
        "times its size": [zipped(tmp_path / "bomb", about, ("x", "0" * (1 << 20)))],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lipsdb.export.archive_zip._ALWAYS_ALLOWED", 1 << 16)
        for message, paths in harmful.items():
            for path in paths:
                with pytest.raises(BadInputError, match=message) as caught:
                    verify_archive(path)
                assert "\n" not in str(caught.value)


def test_export_that_cannot_be_tells_why_and_leaves_what_was_there(
    campaign_database: Database, empty_database: Database, archive: Path, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError, match=r"no campaign 'slow' in this database; there are: quickstart"):
        export_archive(campaign_database, "slow", tmp_path / "x.zip", {})
    with pytest.raises(BadInputError, match="cannot be written; give a file in a folder that exists"):
        export_archive(campaign_database, "quickstart", tmp_path / "no" / "x.zip", {})
    (tmp_path / "x.zip").write_bytes(b"old")
    with pytest.raises(BadInputError, match=r"tables/x.md names a host, .*--with-hosts"):
        export_archive(campaign_database, "quickstart", tmp_path / "x.zip", {"x.md": f"made on {HOST}"})
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir() if path.is_file()] == [("x.zip", b"old")]
    # what was sealed before hosts could be withheld
    import_archive(empty_database, archive)
    run = next(empty_database.query("runs"))
    made_by = {key: value for key, value in run["made_by"].items() if key != "salt"} | {"host": "vm"}
    old = seal(
        "structure", {"builder": "crystal", "parameters": {"x": 1}}, [], _shape(empty_database), made_by, ["quickstart"]
    )
    empty_database.insert(old)
    with pytest.raises(BadInputError, match=rf"{old['_id']} was sealed with the name of its host.*lipsdb db migrate"):
        export_archive(empty_database, "quickstart", tmp_path / "x.zip", {})


def _shape(database: Database) -> dict[str, Any]:
    found: dict[str, Any] = next(database.query("structures"))["answer"]
    return found


def test_verify_needs_no_database_and_tells_by_its_exit_code(
    forge: Callable[..., Path], archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPSDB_MONGO_URI", "mongodb://127.0.0.1:9")
    done = CliRunner().invoke(app, ["verify", str(archive)])
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1].startswith("verified")
    assert "withheld: program.log" in done.stdout
    forged = forge(lambda files: files.pop("environment.json") and None, repaired=False)
    done = CliRunner().invoke(app, ["verify", str(forged), "--json"])
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert (found["verified"], found["faults"][0][:16]) == (False, "environment.json")
