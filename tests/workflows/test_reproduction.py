"""A sample of energies computed again: with the shipped potential, of frames and labels that it made itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from lipsdb.campaigns.load import load_campaign
from lipsdb.documents.base import ArtifactReference, Input
from lipsdb.documents.potential import Parity, Potential
from lipsdb.documents.run import Run, RunAnswer, RunAsked
from lipsdb.ingest.extxyz import EXTXYZ
from lipsdb.ingest.labels import ingest_labels
from lipsdb.ingest.record import adopt_potential
from lipsdb.md.trajectory import Trajectory, write_trajectory
from lipsdb.provenance.audit.findings import Survey
from lipsdb.provenance.canonical import decode_array, decoded
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.provenance.sealing import reference, seal
from lipsdb.store.database import Database
from lipsdb.workflows.answering import answer
from lipsdb.workflows.potential import DatasetMaker
from lipsdb.workflows.reproduction import check_reproduction
from lipsdb.workflows.structure import StructureMaker

CAMPAIGNS = Path(__file__).parents[2] / "campaigns"
SHIPPED = CAMPAIGNS / "quickstart" / "potential"
SHEAR = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1]])  # another cell of the same crystal, in LAMMPS' orientation


def crystal(seed: int) -> Atoms:
    """β-Li3PS4 (32 atoms), displaced at random."""
    recipe = load_campaign(CAMPAIGNS / "quickstart.yaml").campaign.structures["beta-Li3PS4"]
    numbers, positions, cell = recipe.model_copy(update={"supercell": [1, 1, 1]}).build(CAMPAIGNS)
    atoms = Atoms(numbers, positions, cell=SHEAR @ cell, pbc=True)
    atoms.positions += np.random.default_rng(seed).normal(0, 0.05, atoms.positions.shape)
    return atoms


@pytest.fixture
def potential(database: Database) -> dict[str, str]:
    return adopt_potential(database, SHIPPED)


@pytest.fixture
def calculator(database: Database, potential: dict[str, str], tmp_path: Path) -> Any:
    """DeePMD-kit's own ASE calculator."""
    from deepmd.calculator import DP

    model = database.find(potential["id"])["answer"]["model"]["sha256"]
    return DP(database.artifacts.save(model, tmp_path / "model.pb"))


def calculated(atoms: Atoms, calculator: Any) -> Atoms:
    atoms.calc = calculator
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


def store_run(database: Database, images: list[Atoms], potential: dict[str, str], folder: Path) -> dict[str, str]:
    """A run of these frames, atoms far outside the cell; thermo output at every second frame."""
    images[0].write(folder / "start.extxyz")
    job = StructureMaker("start", {"file": str(folder / "start.extxyz")}).make()
    structure = answer.original(*job.function_args)
    away = np.random.default_rng(4).integers(-2, 3, (len(images), 32, 3))
    cells = np.array([atoms.cell.array for atoms in images])
    positions = np.array([atoms.positions for atoms in images]) + away @ cells
    write_trajectory(folder / "trajectory.nc", [Trajectory(0.1 * np.arange(len(images)), positions, cells)])
    file = ArtifactReference(**database.artifacts.put(folder / "trajectory.nc", "trajectory.nc"))
    thermo = {
        "step": np.arange(0, 50 * len(images), 100),
        "potential_energy": np.array([atoms.get_potential_energy() for atoms in images[::2]]),
    }
    settings = {"temperature_K": 300.0, "seed": 1, "ensemble": "nvt", "pressure_bar": None}
    document = Run(
        asked=RunAsked(program="lammps", settings={**settings, "dump_interval": 50, "thermo_interval": 100}),
        inputs=[Input.of("structure", structure), Input.of("potential", potential)],
        answer=RunAnswer(
            n_atoms=32, n_frames=len(images), frame_interval_ps=0.1, trajectory=file, topology=file, restart=file,
            thermo=thermo, thermo_units={"step": "1", "potential_energy": "eV"}, mean_temperature_K=300.0,
            mean_pressure_bar=0.0, mean_volume_A3=600.0, mean_density_g_cm3=1.0, mean_stress_GPa=np.zeros((3, 3)),
            rotation=np.eye(3),
        ),
    )  # fmt: skip
    return database.insert(document.sealed(Stopwatch("run_md").made_by(versions_of())))


def store_labels_and_potential(
    database: Database, images: list[Atoms], shipped: dict[str, str], folder: Path
) -> dict[str, str]:
    """Labels, half of them held out, and a potential that is the shipped one, with its energies of those."""
    ase.io.write(folder / "true.extxyz", images, format="extxyz")
    ingest_labels(database, EXTXYZ, folder, "itself", source="made up", system="true")
    selection = {"systems": ["true"], "level_of_theory": "itself", "iterations": None, "stride": 1, "limit": None}
    job = DatasetMaker(held_fraction=0.5, block_length=1).make([selection])
    dataset = answer.original(*job.function_args)
    stored = database.find(dataset["id"])
    held = [
        link["id"] for link, out in zip(stored["inputs"], decode_array(stored["answer"]["held"]), strict=True) if out
    ]
    energies = np.array([database.find(id_)["answer"]["energy_eV"] / 32 for id_ in held])
    index, few = np.zeros(len(held), "u2"), np.zeros(3)
    parity = Parity(
        system=["true"], system_index=index, energy_label=energies, energy_potential=energies,
        force_system_index=index[:1], force_label=few, force_potential=few,
    )  # fmt: skip
    like = Potential.from_stored(database.find(shipped["id"]))
    made = like.model_copy(
        update={
            "inputs": [Input.of("dataset", dataset)],
            "answer": like.answer.model_copy(update={"parity": parity}),
        }
    )
    return database.insert(made.sealed(Stopwatch("train_deepmd").made_by(versions_of())))


def survey_of(database: Database, sample: int, seed: int = 1, scope: set[str] | None = None) -> Survey:
    survey = Survey(scope=scope)
    check_reproduction(database, survey, lambda *told: None, sample=sample, seed=seed)
    return survey


def test_energies_of_frames_and_held_out_labels(
    database: Database, potential: dict[str, str], calculator: Any, tmp_path: Path
) -> None:
    images = [calculated(crystal(seed), calculator) for seed in range(6)]
    (tmp_path / "labels").mkdir()
    here = store_labels_and_potential(database, images, potential, tmp_path / "labels")
    run = store_run(database, images, potential, tmp_path)

    found = survey_of(database, 10)
    assert found.findings == []
    # every second frame has thermo output; the labels of the shipped potential are not here
    assert found.counts == {"energies of frames computed again": 3, "energies of labels computed again": 3}
    assert survey_of(database, 2).counts == dict.fromkeys(found.counts, 2)
    assert survey_of(database, 10, scope={run["id"]}).counts == {"energies of frames computed again": 3}

    def shift(document: dict[str, Any]) -> None:  # by 0.01 meV/atom
        document["answer"]["thermo"]["potential_energy"] = document["answer"]["thermo"]["potential_energy"] + [
            0, 32e-5 / 32, 32e-5,
        ]  # fmt: skip

    resealed(database, "runs", run["id"], shift)
    (error,) = survey_of(database, 10).findings
    assert (error.level, error.check, error.document) == ("error", "reproduction", run["id"])
    assert error.message.startswith("the energy of frame 4 is recorded as ")
    assert float(error.message.partition(" eV: ")[2].split()[0]) == pytest.approx(0.01, abs=0.001)

    def swap(document: dict[str, Any]) -> None:
        parity = document["answer"]["parity"]
        parity["energy_potential"] = parity["energy_potential"][[1, 0, 2]]

    resealed(database, "potentials", here["id"], swap)
    wrong = [one.message for one in survey_of(database, 10, scope={here["id"]}).findings]
    assert len(wrong) == 2
    assert all("the energy of held-out label" in message for message in wrong)


def resealed(database: Database, collection: str, id_: str, change: Any) -> None:
    """Change a document and seal it again, as someone would who knows the rules."""
    document = decoded(database.find(id_))
    change(document)
    parts = (document[key] for key in ("kind", "asked", "inputs", "answer", "made_by", "campaigns"))
    database.collection(collection).replace_one({"_id": id_}, seal(*parts))
    assert reference(database.find(id_))["id"] == id_


def test_property_of_a_run_that_is_not_here_is_noted_and_a_wrong_one_is_an_error(
    database: Database, tmp_path: Path
) -> None:
    from lipsdb.documents.property import Property, PropertyAsked

    gone = {"collection": "runs", "id": "run-" + 24 * "0", "content": 64 * "0"}
    points = []
    for number, temperature in enumerate((600.0, 800.0, 1000.0)):
        conditions = {"structure": "x", "formula": "X", "potential_id": "p", "ensemble": "nvt"}
        value = {"D_cm2_s": 1e-5 * np.exp(-2000 / temperature), "D_std_cm2_s": 1e-7, "species": "Li", "charge_e": 1.0}
        more = {"number_density_A3": 0.02, "fickian": True, "loglog_slope": 1.0}
        document = Property(
            asked=PropertyAsked(property="diffusion", parameters={"seed": number}),
            inputs=[Input.of("run", gone)],
            answer={"conditions": conditions | {"temperature_K": temperature}, **value, **more},
        )
        points.append(database.insert(document.sealed(Stopwatch("measure_diffusion").made_by(versions_of()))))
    from lipsdb.workflows.properties import ArrheniusMaker

    fit = answer.original(*ArrheniusMaker("fit").make(points).function_args)
    found = survey_of(database, 10)
    assert found.counts == {"properties computed again": 1}
    assert [(one.level, one.document) for one in found.findings] == [
        ("note", id_) for id_ in sorted(point["id"] for point in points)
    ]

    resealed(database, "properties", fit["id"], lambda document: document["answer"].update(Ea_eV=0.5))
    (error,) = (one for one in survey_of(database, 10).findings if one.level == "error")
    assert error.document == fit["id"]
    assert "Ea_eV is 0.5, computed again 0.17" in error.message
