"""The shipped potential against labels that it made itself, with errors put in on purpose."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from lipsdb.campaigns.load import load_campaign
from lipsdb.documents.base import Input
from lipsdb.documents.dataset import Dataset, DatasetAnswer, DatasetAsked
from lipsdb.documents.potential import Potential
from lipsdb.documents.property import Property
from lipsdb.documents.refusal import Refusal, RefusalAnswer, RefusalAsked
from lipsdb.errors import BadInputError
from lipsdb.export.labels import export_labels
from lipsdb.ingest.extxyz import EXTXYZ
from lipsdb.ingest.labels import ingest_labels
from lipsdb.ingest.record import adopt_potential
from lipsdb.provenance.audit import audit
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.queries import prediction_errors
from lipsdb.queries.tables import render
from lipsdb.settings import Settings
from lipsdb.store.database import Database, connect
from lipsdb.workflows.answering import Question, Workplace
from lipsdb.workflows.campaign import submit
from lipsdb.workflows.campaign_questions import ask
from lipsdb.workflows.potential_test import PotentialTestMaker, measure_prediction_errors
from lipsdb.workflows.refusals import in_order

CAMPAIGNS = Path(__file__).parents[2] / "campaigns"
SHIPPED = CAMPAIGNS / "quickstart" / "potential"
OFFSET_eV_PER_ATOM = 0.25
CAMPAIGN = """
name: test
description: How good is the shipped potential?
labels:
  shifted: {adopt: labels}
  here: {systems: [true], level_of_theory: itself}
potentials:
  shipped: {adopt: POTENTIAL}
datasets:
  both: {labels: [shifted, here], held_fraction: 0.5, block_length: 1, seed: 1, mixed_levels_of_theory: true}
dft:
  again: {kind: single_point, level_of_theory: disorder, labels: shifted}
properties:
  independent: {kind: prediction_errors, potential: shipped, labels: [shifted, here], dft: [again]}
tables: [prediction_errors]
"""


@pytest.fixture
def other_database(database: Database, settings: Settings) -> Iterator[Database]:
    other = connect(settings.model_copy(update={"database": f"test-{uuid.uuid4().hex}"}))
    yield other
    other.client.drop_database(other.mongo.name)


def configurations() -> list[Atoms]:
    """β-Li3PS4 (32 atoms) and its cell with one Li2S less, atoms displaced at random."""
    recipe = load_campaign(CAMPAIGNS / "quickstart.yaml").campaign.structures["beta-Li3PS4"]
    numbers, positions, cell = recipe.model_copy(update={"supercell": [1, 1, 1]}).build(CAMPAIGNS)
    crystal = Atoms(numbers, positions, cell=cell, pbc=True)
    rng = np.random.default_rng(5)
    made = []
    for number in range(5):
        atoms = crystal.copy()
        if number == 4:
            del atoms[[0, 1, 20]]
        atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
        made.append(atoms)
    return made


def write(path: Path, images: list[Atoms]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ase.io.write(path, images, format="extxyz")


def predicted(database: Database, images: list[Atoms], folder: Path) -> list[dict[str, Any]]:
    """What the potential says, through DeePMD-kit's own ASE calculator."""
    from deepmd.calculator import DP

    stored = next(database.query("potentials"))
    calculator = DP(database.artifacts.save(stored["answer"]["model"]["sha256"], folder / "model.pb"))
    results = []
    for atoms in images:
        atoms.calc = calculator
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        results.append({"energy": energy, "forces": forces, "stress": atoms.get_stress()})
    return results


def labelled(atoms: Atoms, energy: float, forces: np.ndarray, stress: np.ndarray | None) -> Atoms:
    copy = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    given = {} if stress is None else {"stress": stress}
    copy.calc = SinglePointCalculator(copy, energy=energy, forces=forces, **given)
    return copy


def measure(database: Database, question: Question, folder: Path) -> dict[str, Any]:
    """Answer a question as its job does, and store the answer."""
    folder.mkdir(exist_ok=True)
    links: list[Input] = []
    for link in question.inputs:
        links += [Input.of(*link)] if isinstance(link, tuple) else link.expand(database)
    inputs = in_order(links)
    place = Workplace(database, question.id(database), folder, 0, Stopwatch("measure_prediction_errors"), {})
    answer, made_by = measure_prediction_errors(place, question.asked, inputs)
    document = Property(asked=question.asked, inputs=inputs, answer=answer).sealed(made_by, ["test"])
    assert document["_id"] == question.id(database)
    database.insert(document)
    return answer


def references(database: Database, level: str) -> list[dict[str, str]]:
    return list(
        database.known(label["_id"] for label in database.query("labels", {"asked.level_of_theory": level})).values()
    )


def refused(database: Database, label: dict[str, str]) -> dict[str, str]:
    asked = RefusalAsked(document=label["id"], system="x", source="", folder="", frame=0, level_of_theory="x")
    refusal = Refusal(asked=asked, answer=RefusalAnswer(gate="scf", reason="did not converge; try again"))
    return database.insert(refusal.sealed(Stopwatch("label").made_by(versions_of())))


def test_errors_are_zero_against_itself_and_those_put_in_are_found(
    database: Database, other_database: Database, tmp_path: Path
) -> None:
    potential = adopt_potential(database, SHIPPED)
    images = configurations()
    results = predicted(database, images, tmp_path)
    true = [labelled(atoms, **result) for atoms, result in zip(images, results, strict=True)]
    write(tmp_path / "itself" / "true.extxyz", true)
    ingest_labels(database, EXTXYZ, tmp_path / "itself", "itself", source="made up", system="true")

    # of a level that lies lower by 250 meV/atom; one force of each frame is off by 0.3 eV/Å; no stress
    shifted = []
    for atoms, result in zip(images[:4], results, strict=False):
        forces = result["forces"].copy()
        forces[0, 0] += 0.3
        shifted.append(labelled(atoms, result["energy"] - OFFSET_eV_PER_ATOM * len(atoms), forces, None))
    write(tmp_path / "shifted" / "beta.extxyz", shifted)
    ingest_labels(database, EXTXYZ, tmp_path / "shifted", "lower", source="made up", system="beta-Li3PS4")

    # against itself: nothing but rounding (single precision model, eight digits in the file)
    question = PotentialTestMaker().question(potential, [{"systems": ["true"], "level_of_theory": "itself"}])
    answer = measure(database, question, tmp_path / "a")
    (one, overall) = answer["errors"]
    assert (one["system"], one["levels_of_theory"], one["n_frames"]) == ("true", ["itself"], 5)
    assert {key: value for key, value in one.items() if key != "system"} == {
        key: value for key, value in overall.items() if key != "system"
    }
    for key in ("energy_mae", "energy_rmse", "energy_bias", "virial_mae", "energy_mae_without_offset"):
        assert abs(one[f"{key}_meV_per_atom"]) < 0.01, key
    assert one["force_rmse_meV_per_A"] < 0.05
    assert one["stress_rmse_GPa"] < 1e-4
    assert one["n_frames_without_offset"] == 4  # the fifth is alone with its composition
    assert {offset["composition"]: offset["n_labels"] for offset in answer["offsets"]} == {"Li3PS4": 4, "Li10P4S15": 1}

    # shifted labels, of which one was refused, together with the others
    chosen = references(database, "lower")
    missing = refused(database, {"id": "label-" + "e" * 24})
    maker = PotentialTestMaker()
    answer = measure(
        database, maker.question(potential, (), [*chosen, *references(database, "itself"), missing]), tmp_path / "b"
    )
    beta, itself, overall = answer["errors"]
    assert (beta["system"], beta["levels_of_theory"]) == ("beta-Li3PS4", ["lower"])
    assert beta["energy_bias_meV_per_atom"] == pytest.approx(1000 * OFFSET_eV_PER_ATOM, abs=0.01)
    assert beta["energy_mae_meV_per_atom"] == pytest.approx(1000 * OFFSET_eV_PER_ATOM, abs=0.01)
    assert beta["energy_rmse_without_offset_meV_per_atom"] < 0.01
    assert beta["force_mae_meV_per_A"] == pytest.approx(300 / (32 * 3), abs=0.05)
    assert beta["force_rmse_meV_per_A"] == pytest.approx(300 / (32 * 3) ** 0.5, abs=0.05)
    assert (beta["virial_mae_meV_per_atom"], beta["stress_mae_GPa"]) == (None, None)
    assert itself["energy_mae_meV_per_atom"] < 0.01
    assert (overall["n_frames"], overall["levels_of_theory"]) == (9, ["itself", "lower"])
    assert overall["energy_bias_meV_per_atom"] == pytest.approx(1000 * OFFSET_eV_PER_ATOM * 4 / 9, abs=0.01)
    assert overall["energy_mae_without_offset_meV_per_atom"] < 0.01  # an offset for each level
    assert overall["stress_mae_GPa"] < 1e-4  # where there are labels
    assert (answer["n_labels"], answer["n_refused"]) == (9, 1)
    assert answer["training_levels_of_theory"] == ["disorder-published"]
    assert answer["training_data"] == {
        "trained_by_id": 0, "held_by_id": 0, "trained_by_geometry": "unknown", "held_by_geometry": "unknown",
    }  # fmt: skip

    # the same model, as if trained on three of these configurations with one of them held out
    trained = retrained(database, references(database, "itself"))
    overlap = measure(database, maker.question(trained, (), chosen), tmp_path / "c")["training_data"]
    assert (overlap["trained_by_id"], overlap["held_by_id"]) == (0, 0)
    inside = {label["_id"] for label in database.query("labels", {"asked.level_of_theory": "itself"})}
    held = held_of(database, trained)
    geometry = {label["_id"]: label["answer"]["geometry"] for label in database.query("labels")}
    tested = [geometry[label["id"]] for label in chosen]
    assert overlap["trained_by_geometry"] == sum(geometry[id_] in tested for id_ in inside if not held[id_])
    assert overlap["held_by_geometry"] == sum(geometry[id_] in tested for id_ in inside if held[id_])
    assert overlap["trained_by_geometry"] + overlap["held_by_geometry"] == 4
    by_id = measure(database, maker.question(trained, (), references(database, "itself")), tmp_path / "d")
    assert (by_id["training_data"]["trained_by_id"], by_id["training_data"]["held_by_id"]) == (3, 2)

    # the table
    found = prediction_errors.rows(database)
    row = next(row for row in found if row.system == "beta-Li3PS4" and row.potential_id == potential["id"])
    assert (row.n_held, row.level_of_theory, row.training_level_of_theory) == (100, ("lower",), ("disorder-published",))
    assert row.held_force_mae_meV_per_A == pytest.approx(140, abs=30)
    text = render(prediction_errors.table(found), "md")
    assert "0 of its 9 labels were trained on, by id; by geometry that is unknown" in text
    assert "trained at disorder-published; 1 labels were refused" in text
    assert audit(database).errors == []

    # a campaign that adopts the shifted labels, in another database
    export_labels(database, tmp_path / "labels", "record", level_of_theory="lower")
    ingest_labels(other_database, EXTXYZ, tmp_path / "itself", "itself", source="made up", system="true")
    path = tmp_path / "campaign.yaml"
    path.write_text(CAMPAIGN.replace("POTENTIAL", str(SHIPPED)).replace("[true]", "['true']"))
    file = load_campaign(path)
    questions = ask(other_database, file)  # labels are chosen by id, before they are adopted
    adopted = {link[1]["id"] for link in questions.properties["independent"][0].inputs[2:6]}
    assert adopted == {label["id"] for label in chosen}
    assert {question.inputs[1][1]["id"] for question in questions.dft["again"]} == adopted
    submission = submit(other_database, file)
    assert submission.adopted == [potential["id"], "4 labels of labels"]
    assert submission.n_submitted == 6  # dataset, four single points, test
    names = [row.name for row in questions]
    assert names[-1] == "independent"
    stored = [label["campaigns"] for label in other_database.query("labels", {"asked.level_of_theory": "lower"})]
    assert stored == [["test"]] * 4
    assert audit(other_database).errors == []


def retrained(database: Database, labels: list[dict[str, str]]) -> dict[str, str]:
    """The stored potential, linked to a dataset of these labels, two of them held out."""
    inputs = in_order([Input.of("label", label) for label in labels])
    held = np.array([False, True, False, True, False])
    dataset = Dataset(
        asked=DatasetAsked(held_fraction=0.4, block_length=1, seed=1, mixed_levels_of_theory=False),
        inputs=inputs,
        answer=DatasetAnswer(level_of_theory=["itself"], held=held, systems=[], n_training=3, n_held=2),
    )
    made_by = Stopwatch("train").made_by(versions_of("deepmd-kit"))
    frozen = database.insert(dataset.sealed(made_by))
    potential = Potential.from_stored(next(database.query("potentials")))
    return database.insert(potential.model_copy(update={"inputs": [Input.of("dataset", frozen)]}).sealed(made_by))


def held_of(database: Database, potential: dict[str, str]) -> dict[str, bool]:
    dataset = Dataset.from_stored(database.find(database.find(potential["id"])["inputs"][0]["id"]))
    return dict(zip([link.id for link in dataset.inputs], map(bool, dataset.answer.held), strict=True))


def test_only_refused_labels_to_test_against_are_told(database: Database, tmp_path: Path) -> None:
    potential = adopt_potential(database, SHIPPED)
    question = PotentialTestMaker().question(potential, (), [refused(database, {"id": "label-" + "e" * 24})])
    with pytest.raises(BadInputError, match="all labels to test against were refused; `lipsdb list refused`"):
        measure(database, question, tmp_path)
