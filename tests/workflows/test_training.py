"""A potential trained for real through FireWorks, exported, and adopted by another database."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from lipsdb.campaigns.load import load_campaign
from lipsdb.errors import BadInputError
from lipsdb.export.record import export_potential
from lipsdb.ingest.deepmd import ingest_deepmd
from lipsdb.ingest.record import adopt_potential
from lipsdb.provenance.audit import audit
from lipsdb.provenance.lineage import lineage
from lipsdb.settings import Settings
from lipsdb.store.database import Database, connect
from lipsdb.workflows.campaign import plan, submit
from lipsdb.workflows.local_run import run_workers

N_FRAMES = 24
CAMPAIGN = """
name: tiny
description: A potential of no use, trained in seconds
labels:
  crystal: {systems: [crystal], level_of_theory: lennard-jones}
datasets:
  frames: {labels: [crystal], held_fraction: 0.25, block_length: 4, seed: 3}
potentials:
  small:
    train:
      engine: deepmd
      dataset: frames
      settings:
        cutoff_A: 4.0
        embedding_neurons: [4, 8]
        axis_neurons: 2
        fitting_neurons: [8, 8]
        batch_size: 1
        disp_freq: 10
        save_freq: 20
        compression_step: 0.1
        stages: [{steps: 40, learning_rate: [1.0e-3, 1.0e-4]}]
tables: [potentials]
"""


@pytest.fixture
def other_database(database: Database, settings: Settings) -> Iterator[Database]:
    other = connect(settings.model_copy(update={"database": f"test-{uuid.uuid4().hex}"}))
    yield other
    other.client.drop_database(other.mongo.name)


def test_trained_potential_can_be_adopted_elsewhere_with_its_record(
    database: Database, other_database: Database, lennard_jones_labels: Path, tmp_path: Path
) -> None:
    ingest_deepmd(database, lennard_jones_labels, "lennard-jones", source="made up")
    (tmp_path / "tiny.yaml").write_text(CAMPAIGN)
    file = load_campaign(tmp_path / "tiny.yaml")
    submit(database, file)
    wanted = {row.question.kind: row.document_id for row in plan(database, file).rows}
    summary = run_workers(Console(file=io.StringIO()), n_workers=1)
    assert summary.failures == []

    dataset, potential = database.find(wanted["dataset"]), database.find(wanted["potential"])
    assert (dataset["answer"]["n_training"], dataset["answer"]["n_held"]) == (16, 8)
    assert len(dataset["inputs"]) == N_FRAMES
    assert [errors["system"] for errors in potential["answer"]["errors"]] == ["crystal", "all"]
    assert potential["answer"]["errors"][1]["n_frames"] == 8
    assert potential["answer"]["elements"] == ["Li", "S"]
    assert {"deepmd-kit", "tensorflow"} <= set(potential["made_by"]["versions"])
    assert audit(database).errors == []

    export_potential(database, potential["_id"], tmp_path / "shipped")
    adopted = adopt_potential(other_database, tmp_path / "shipped", ["another"])
    assert adopted == {"collection": "potentials", "id": potential["_id"], "content": potential["content"]}
    assert other_database.find(adopted["id"])["seal"] == potential["seal"]
    model = potential["answer"]["model"]["sha256"]
    assert other_database.artifacts.read(model) == database.artifacts.read(model)
    found = lineage(other_database, adopted["id"]).states
    states = [state for id_, state in found.items() if id_.startswith("label-")]
    assert states == ["external"] * N_FRAMES
    assert audit(other_database).errors == []

    # as soon as the labels come in, the links resolve, and the audit checks them
    ingest_deepmd(other_database, lennard_jones_labels, "lennard-jones", source="made up")
    found = lineage(other_database, adopted["id"]).states
    states = [state for id_, state in found.items() if id_.startswith("label-")]
    assert states == ["present"] * N_FRAMES
    other_database.collection("labels").delete_one({"_id": dataset["inputs"][0]["id"]})
    errors = audit(other_database).errors
    assert any(dataset["inputs"][0]["id"] in f"{error.document} {error.message}" for error in errors)

    (tmp_path / "shipped" / "artifacts" / model).write_bytes(b"something else")
    other_database.client.drop_database(other_database.mongo.name)
    with pytest.raises(BadInputError, match="damaged"):
        adopt_potential(other_database, tmp_path / "shipped")
