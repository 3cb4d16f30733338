"""Records go out and come into another database the same: ids, contents, files, links."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from lipsdb.cli.main import app
from lipsdb.dft.levels_of_theory import find_level, store_level
from lipsdb.documents.base import ArtifactReference
from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.export.labels import export_labels
from lipsdb.export.record import export_potential, export_record
from lipsdb.ingest.record import adopt_potential, adopt_record, read_record, reference_of_potential
from lipsdb.provenance.audit import audit
from lipsdb.provenance.lineage import lineage
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.provenance.sealing import reference, seal, withheld
from lipsdb.provenance.withdrawal import taint, withdraw
from lipsdb.settings import Settings
from lipsdb.store.database import Database, connect

SHIPPED = Path(__file__).parents[2] / "campaigns" / "quickstart" / "potential"
Reference = dict[str, str]
LEVELS = ["links", "content", "launches"]  # made-up documents follow no rules


@pytest.fixture
def other_database(database: Database, settings: Settings) -> Iterator[Database]:
    other = connect(settings.model_copy(update={"database": f"test-{uuid.uuid4().hex}"}))
    yield other
    other.client.drop_database(other.mongo.name)


class Study:
    """Documents from an ingested label to labels of frames of a run with the potential that was trained on it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.level = store_level(database, find_level("PBE"))
        self.trained_on = [self.label(frame, []) for frame in range(3)]
        asked = {"held_fraction": 0.3, "block_length": 1, "seed": 1, "mixed_levels_of_theory": False}
        counts = {"level_of_theory": ["PBE"], "systems": [], "n_training": 2, "n_held": 1}
        dataset = self.put(
            "dataset", asked, {"held": np.array([False] * 3), **counts}, self.links("label", self.trained_on)
        )
        model = database.artifacts.put(b"model", "model.pb")
        parts = {"elements": ["Li"], "cutoff_A": 6.0, "model": model, "files": [], "learning_curve": {}, "errors": []}
        self.potential = self.put(
            "potential", {"engine": "deepmd", "settings": {}}, {**parts, "parity": {}}, self.links("dataset", [dataset])
        )
        shape = {"name": "salt", "formula": "Li2", "elements": ["Li"], "n_atoms": 2, "volume_A3": 1.0}
        shape |= {"numbers": np.array([3, 3]), "positions": np.zeros((2, 3)), "cell": np.eye(3), "density_g_cm3": 1.0}
        self.structure = self.put("structure", {"builder": "crystal", "parameters": {}}, shape)
        self.run = self.md()
        self.computed = [
            self.label(10, self.links("structure", [self.structure]), log="of a structure"),
            self.label(11, self.links("run", [self.run]), log="of a frame"),
            self.label(12, self.links("label", self.trained_on[:1]), log="of a label"),
        ]

    @staticmethod
    def links(role: str, references: Sequence[Reference]) -> list[dict[str, str]]:
        return [{"role": role, **one} for one in sorted(references, key=lambda one: one["id"])]

    def put(
        self, kind: str, asked: Any, answer: Any, links: Sequence[Any] = (), origin: Any = None, **made: Any
    ) -> Any:
        made_by = Stopwatch("test").made_by(versions_of(), **made).model_dump()
        return self.database.insert(seal(kind, asked, links, answer, made_by, ["study"], origin))

    def md(self) -> Reference:
        names = {"trajectory": "trajectory.nc", "topology": "topology.xyz", "restart": "final.restart"}
        answer = {key: self.database.artifacts.put(key.encode(), name) for key, name in names.items()}
        numbers = dict.fromkeys(
            ("mean_temperature_K", "mean_pressure_bar", "mean_volume_A3", "mean_density_g_cm3"), 1.0
        )
        arrays = dict.fromkeys(("mean_stress_GPa", "rotation"), np.eye(3))
        answer |= {"n_atoms": 2, "n_frames": 1, "frame_interval_ps": 1.0, "thermo": {}, "thermo_units": {}}
        links = [*self.links("structure", [self.structure]), *self.links("potential", [self.potential])]
        return self.put("run", {"program": "lammps", "settings": {}}, {**answer, **numbers, **arrays}, links)

    def label(self, frame: int, links: Sequence[Any], log: str = "", energy: float = -1.0) -> Reference:
        geometry = f"{frame:032d}"
        asked = {"geometry": None if links else geometry, "frame": None, "level_of_theory": "PBE", "repeat": 0}
        answer = {"geometry": geometry, "formula": "Li2", "n_atoms": 2, "energy_eV": energy, "virial": None}
        answer |= {"numbers": np.array([3, 3]), "positions": np.full((2, 3), frame), "cell": np.eye(3)}
        origin = {"system": "salt", "source": "cp2k", "folder": "", "frame": frame, "trajectory": False}
        origin |= {"iteration": None, "temperatures_K": [], "pressures_bar": []}
        files = [self.database.artifacts.put(log.encode(), "cp2k.out")] if log else []
        links = [{"role": "level_of_theory", **self.level}, *links]
        return self.put("label", asked, {**answer, "forces": np.zeros((2, 3))}, links, origin, files=files)


@pytest.fixture
def study(database: Database) -> Study:
    return Study(database)


def kinds(record: Path) -> list[str]:
    return [document["_id"].partition("-")[0] for document in read_record(record.parent).documents]


def test_labels_come_with_what_they_were_made_from_and_their_files(
    study: Study, other_database: Database, tmp_path: Path
) -> None:
    database = study.database
    ids = [one["id"] for one in study.computed]
    path = export_record(database, ids, tmp_path)
    # three labels and the one recomputed, its level, structure and run; not the potential, its dataset, its labels
    assert sorted(kinds(path)) == ["label"] * 4 + ["level_of_theory", "run", "structure"]
    documents = read_record(tmp_path).documents
    place = {document["_id"]: number for number, document in enumerate(documents)}
    for document in documents:
        assert all(place[link["id"]] < place[document["_id"]] for link in document["inputs"] if link["id"] in place)
        assert document["campaigns"] == []
    logs = {"of a structure", "of a frame", "of a label"}
    assert {file.read_text() for file in (tmp_path / "artifacts").iterdir()} == logs | {
        "trajectory",
        "topology",
        "restart",
    }

    adopted = adopt_record(other_database, tmp_path, ["check"], kind="label")
    assert sorted(adopted, key=lambda one: one["id"]) == sorted(study.computed, key=lambda one: one["id"])
    for document in documents:
        here, there = database.find(document["_id"]), other_database.find(document["_id"])
        assert {**withheld(here), "campaigns": []} == {**there, "campaigns": []}
        assert there["campaigns"] == (["check"] if document["_id"] in ids else [])
    report = audit(other_database, levels=LEVELS)
    assert report.errors == []
    assert [(finding.check, finding.document) for finding in report.findings] == [("links", study.run["id"])]
    states = {node.id: node.state for node in lineage(other_database, study.computed[1]["id"]).nodes.values()}
    assert states[study.potential["id"]] == "external"
    assert set(states.values()) == {"present", "external"}

    # again: nothing is new, another campaign joins; and out again from there, the record is the same
    adopt_record(other_database, tmp_path, ["more"])
    assert other_database.find(ids[0])["campaigns"] == ["check", "more"]
    assert export_record(other_database, ids, tmp_path / "again").read_bytes() == path.read_bytes()


def test_potential_comes_with_its_dataset_but_labels_by_hash_only(
    study: Study, other_database: Database, tmp_path: Path
) -> None:
    path = export_potential(study.database, study.potential["id"][:16], tmp_path)
    assert kinds(path) == ["dataset", "potential"]
    assert reference_of_potential(tmp_path) == study.potential == adopt_potential(other_database, tmp_path, ["check"])
    states = [node.state for node in lineage(other_database, study.potential["id"]).nodes.values()]
    assert sorted(states) == ["external"] * 3 + ["present"] * 2
    assert audit(other_database, levels=LEVELS).errors == []
    # labels that are adopted later take the place of those that were elsewhere
    export_record(study.database, [one["id"] for one in study.trained_on], tmp_path / "labels")
    adopt_record(other_database, tmp_path / "labels")
    assert {node.state for node in lineage(other_database, study.potential["id"]).nodes.values()} == {"present"}
    # what is itself elsewhere stays so when it goes on to a third
    assert kinds(export_potential(other_database, study.potential["id"], tmp_path / "on")) == ["dataset", "potential"]


def test_record_of_the_first_format_is_read(tmp_path: Path) -> None:
    first = json.loads((SHIPPED / "record.json").read_text())
    del first["wanted"]
    (tmp_path / "record.json").write_text(json.dumps(first | {"format": "lipsdb potential record 1"}))
    record = read_record(tmp_path)
    assert [document["kind"] for document in record.documents] == ["dataset", "potential"]
    assert record.wanted == [record.documents[-1]["_id"]]
    assert reference_of_potential(tmp_path)["id"] == record.wanted[0]


def test_exported_selection_of_labels_is_a_record(study: Study, tmp_path: Path) -> None:
    written = export_labels(
        study.database, tmp_path, "record", systems=["salt"], level_of_theory="PBE", campaign="study"
    )
    assert (written.paths, written.n_labels) == ([tmp_path / "record.json"], 6)
    assert len(read_record(tmp_path).references("label")) == 6
    with pytest.raises(NotFoundError, match="no labels match"):
        export_labels(study.database, tmp_path, "record", systems=["ice"])


def _text(old: str, new: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        text = (folder / "record.json").read_text()
        assert old in text
        (folder / "record.json").write_text(text.replace(old, new, 1))

    return damage


def _files(change: Callable[[Path], Any]) -> Callable[[Path], None]:
    return lambda folder: change(sorted((folder / "artifacts").iterdir())[0])


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "energy": (_text('{"$numberDouble":"-1.0"}', '{"$numberDouble":"-1.5"}'), r"label-\w+: the answer is not the one"),
    "origin": (_text('"source":"cp2k"', '"source":"vasp"'), r"label-\w+: a sealed field was changed"),
    "question": (_text('"repeat":{"$numberInt":"0"}', '"repeat":{"$numberInt":"1"}'), "the identity does not follow"),
    "no answer": (_text('"answer":', '"reply":'), "the field 'answer' is missing"),
    "array": (_text('"dtype":"<f8"', '"dtype":"<f4"'), r"record\.json: "),
    "wanted": (_text('"wanted":["label-', '"wanted":["label-0'), "'wanted' must name documents of the record"),
    "format": (_text("lipsdb record 2", "lipsdb record 9"), "is not a 'lipsdb record 2'; `lipsdb export potential ID"),
    "not JSON": (lambda folder: (folder / "record.json").write_text("{"), "is not JSON"),
    "no record": (lambda folder: (folder / "record.json").unlink(), "record.json is missing; `lipsdb export"),
    "documents": (_text('"documents":', '"papers":'), "its documents cannot be read"),
    "file changed": (_files(lambda file: file.write_bytes(b"x")), r"is damaged: its SHA-256 is not its name"),
    "file gone": (_files(Path.unlink), r"is missing; copy the whole folder"),
}  # fmt: skip


def test_damaged_record_is_refused_and_leaves_nothing(study: Study, other_database: Database, tmp_path: Path) -> None:
    export_record(study.database, [one["id"] for one in study.computed], tmp_path / "good")
    for name, (damage, message) in DAMAGES.items():
        folder = tmp_path / name
        shutil.copytree(tmp_path / "good", folder)
        damage(folder)
        with pytest.raises(BadInputError, match=message) as caught:
            adopt_record(other_database, folder)
        assert "\n" not in str(caught.value), name
    for collection in ("labels", "runs", "structures", "levels_of_theory", "artifacts", "externals"):
        assert other_database.collection(collection).count_documents({}) == 0


def test_files_with_names_that_leave_their_folder_are_not_adopted(
    study: Study, other_database: Database, tmp_path: Path
) -> None:
    answer = study.database.find(study.potential["id"])["answer"]
    (link,) = study.database.find(study.potential["id"])["inputs"]
    for number, name in enumerate(("../model.pb", "/tmp/model.pb", "..", "a\nshell rm")):
        forged = answer | {"model": answer["model"] | {"name": name}}
        made = study.put("potential", {"engine": "deepmd", "settings": {"seed": number}}, forged, [link])
        export_potential(study.database, made["id"], tmp_path / str(number))
        with pytest.raises(BadInputError, match=r"names a file .*, which could leave its folder; do not trust it"):
            adopt_potential(other_database, tmp_path / str(number))
        with pytest.raises(ValidationError, match="is not the bare name of a file"):
            ArtifactReference.model_validate(forged["model"])
    assert other_database.count("potentials") == 0


def test_withdrawals_go_with_what_stands_on_them(study: Study, other_database: Database, tmp_path: Path) -> None:
    first, second, *_ = (one["id"] for one in study.trained_on)
    withdraw(study.database, [second], "wrong cell", "Ann")
    withdraw(study.database, [second], "it was right", "Ann", undo=True)
    withdraw(study.database, [first], "SCF did not converge", "Ann")
    call = CliRunner().invoke
    done = call(app, ["export", "potential", study.potential["id"], "-o", str(tmp_path / "potential")])
    assert done.exit_code == 0, done.output
    told = f"the potential stands on withdrawn documents: {first} (by Ann: SCF did not converge)"
    assert told in done.stderr.replace("\n", " ")
    adopt_potential(other_database, tmp_path / "potential")
    assert other_database.count("withdrawals") == 3
    assert [one.document for one in taint(other_database).of(study.potential["id"])] == [first]
    assert audit(other_database, levels=LEVELS).errors == []

    # labels in other formats hold no withdrawals: it is told, or they stay behind
    arguments = ["export", "labels", "-f", "extxyz", "-o", str(tmp_path / "labels")]
    done = call(app, arguments)
    assert "6 labels in 1 files" in done.stdout
    assert f"1 of the labels that match stand on withdrawn documents (--exclude-tainted leaves them out): {first}" in (
        done.stderr.replace("\n", " ")
    )
    done = call(app, [*arguments, "--exclude-tainted"])
    assert "5 labels in 1 files" in done.stdout
    assert "1 of the labels that match are left out" in done.stderr
    withdraw(study.database, [study.level["id"]], "cutoff too low", "Ann")
    with pytest.raises(NotFoundError, match="all 6 labels that match stand on withdrawn documents"):
        export_labels(study.database, tmp_path, "record", exclude_tainted=True)
    written = export_labels(study.database, tmp_path / "all", "record")
    assert (written.n_labels, written.n_tainted) == (6, 6)


def test_import_tells_what_became_tainted(study: Study, other_database: Database, tmp_path: Path) -> None:
    run = study.run["id"]
    withdraw(study.database, [run], "thermostat was off", "Ann")
    export_record(study.database, [run], tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIPSDB_DATABASE", other_database.mongo.name)
        done = CliRunner().invoke(app, ["ingest", "record", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "tainted now: 1 run\n" in done.stdout


def test_record_of_something_else_is_told(study: Study, other_database: Database, tmp_path: Path) -> None:
    export_potential(study.database, study.potential["id"], tmp_path / "potential")
    export_record(study.database, [study.computed[0]["id"]], tmp_path / "labels")
    with pytest.raises(BadInputError, match="holds potentials, not labels; give the folder of a record of those"):
        adopt_record(other_database, tmp_path / "potential", kind="label")
    with pytest.raises(BadInputError, match="holds labels, not potentials"):
        adopt_potential(other_database, tmp_path / "labels")
    with pytest.raises(BadInputError, match="is a label; give the id of a potential"):
        export_potential(study.database, study.computed[0]["id"], tmp_path)
    with pytest.raises(NotFoundError, match=r"1 of the documents to write are not in this database \(label-00000000"):
        export_record(study.database, ["label-" + "0" * 24], tmp_path)


def test_what_contradicts_the_database_is_told(study: Study, other_database: Database, tmp_path: Path) -> None:
    export_record(study.database, [one["id"] for one in study.computed], tmp_path)
    # the same question was answered otherwise there, and a label of the record was made from the record's answer
    there = Study.__new__(Study)
    there.database, there.level = other_database, store_level(other_database, find_level("PBE"))
    there.label(0, [], energy=-2.0)
    with pytest.raises(BadInputError, match=r"label-\w+ is in this database with another answer.*LIPSDB_DATABASE"):
        adopt_record(other_database, tmp_path)
    assert other_database.collection("labels").count_documents({}) == 1


def test_answer_that_nothing_else_was_made_from_stays_as_it_is_here(
    study: Study, other_database: Database, tmp_path: Path
) -> None:
    (label, *others) = study.trained_on
    export_record(study.database, [one["id"] for one in study.trained_on], tmp_path)
    there = Study.__new__(Study)
    there.database, there.level = other_database, store_level(other_database, find_level("PBE"))
    kept = there.label(0, [], energy=-2.0)
    assert kept["id"] == label["id"]
    adopted = adopt_record(other_database, tmp_path)
    assert kept in adopted
    assert label not in adopted
    assert all(one in adopted for one in others)
    assert audit(other_database, levels=LEVELS).errors == []


def test_level_of_the_same_name_with_other_settings_is_told(
    study: Study, other_database: Database, tmp_path: Path
) -> None:
    export_record(study.database, [study.computed[0]["id"]], tmp_path)
    asked = {"name": "PBE", "code": "vasp", "settings": {"encut_eV": 500.0}}
    answer = {"how_known": "stated", "reference": None, "remarks": ""}
    other_database.insert(
        seal("level_of_theory", asked, [], answer, Stopwatch("x").made_by(versions_of()).model_dump())
    )
    with pytest.raises(BadInputError, match=r"the level of theory 'PBE' of .* is in this database with other settings"):
        adopt_record(other_database, tmp_path)


def test_adopting_many_labels_takes_few_round_trips(study: Study, other_database: Database, tmp_path: Path) -> None:
    from pymongo import monitoring

    labels = [study.label(frame, []) for frame in range(100, 160)]
    export_record(study.database, [one["id"] for one in labels], tmp_path)
    commands: list[str] = []

    class Listener(monitoring.CommandListener):
        def started(self, event: monitoring.CommandStartedEvent) -> None:
            if event.database_name == other_database.mongo.name:
                commands.append(event.command_name)

        def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

        def failed(self, event: monitoring.CommandFailedEvent) -> None: ...

    from pymongo import MongoClient

    with MongoClient(other_database.uri, tz_aware=True, event_listeners=[Listener()]) as client:
        watched = Database(client, other_database.uri, other_database.settings)
        assert len(adopt_record(watched, tmp_path, ["check"])) == 60
    assert len(commands) < 20
    assert reference(other_database.find(labels[0]["id"])) == labels[0]
