"""AIMD and its labels, and relaxations, as documents: the real CP2K and MongoDB."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from jobflow import Flow, run_locally

from lipsdb.dft.levels_of_theory import find_level, store_level
from lipsdb.documents.label import Label
from lipsdb.documents.run import Run
from lipsdb.documents.structure import Structure
from lipsdb.errors import BadInputError, InterruptedRunError
from lipsdb.md.trajectory import read_trajectory
from lipsdb.provenance.sealing import reference, seal_faults
from lipsdb.store.database import Database
from lipsdb.workflows.aimd import AimdMaker, level_with_performer
from lipsdb.workflows.answering import Question
from lipsdb.workflows.jobstore import job_store
from lipsdb.workflows.relaxation import RelaxationMaker
from lipsdb.workflows.single_points import SinglePointMaker
from lipsdb.workflows.structure import StructureMaker

LEVEL = """
name: helium-low
code: cp2k
how_known: set
settings:
  functional: PADE
  dispersion: null
  cutoff_Ry: 120.0
  rel_cutoff_Ry: 30.0
  ngrids: 2
  eps_default: 1.0e-10
  eps_scf: 1.0e-7
  kinds:
    He:
      basis: SZV-MOLOPT-SR-GTH
      basis_sha256: 2c5f35c07c3d26d3365b59d8a3b92b6ec48ed33d0f6d5a12b326a8e204e6b598
      potential: GTH-PBE-q2
      potential_sha256: fc7e0d0c9bb59eb280317d813adfc142a93632ec783e8ccb057425f6af60720b
      valence: 2
"""
DOUBLE_ZETA = "2394eae0c5c22c4c39d4a7d3c2d15a99c25bad40cd637ef02f83ea9d50108570"
ATOMS = """3
Lattice="4.6 0.3 0.0 0.0 4.7 0.2 0.1 0.0 4.8" Properties=species:S:1:pos:R:3 pbc="T T T"
He 0.1 0.0 -0.2
He 2.4 0.2 -0.1
He 1.0 2.3 2.2
"""
SETTINGS = {"temperature_K": 600.0, "n_steps": 12, "dump_interval": 2, "label_stride": 4, "seed": 3}


@pytest.fixture
def level(tmp_path: Path, database: Database) -> str:
    path = tmp_path / "helium.yaml"
    path.write_text(LEVEL)
    store_level(database, find_level(str(path)))
    return str(path)


@pytest.fixture
def structure(tmp_path: Path, database: Database) -> dict[str, str]:
    (tmp_path / "helium.extxyz").write_text(ATOMS)
    return answered(database, StructureMaker("helium", {"file": "helium.extxyz"}, str(tmp_path)).question())


def answered(database: Database, question: Question) -> dict[str, str]:
    """Run the job as a worker does; its output."""
    job = question.job({}, ["a campaign"])
    run_locally(Flow([job]), store=job_store(), ensure_success=True, raise_immediately=True)
    return reference(database.find(question.id(database)))


def kill_cp2k_after(database: Database, run: str, rows: int) -> threading.Thread:
    """Kill the CP2K of a run once its file of energies has so many rows."""
    folder = database.settings.scratch_folder / database.mongo.name / run / "segment-000"

    def watch() -> None:
        energies = folder / "label-1.ener"
        for _ in range(12_000):
            if energies.is_file() and energies.read_text().count("\n") > rows:
                for children in Path("/proc/self/task").glob("*/children"):
                    for pid in children.read_text().split():
                        if Path(f"/proc/{pid}/cwd").resolve() == folder.resolve():
                            os.kill(int(pid), signal.SIGKILL)
                return
            time.sleep(0.005)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_killed_aimd_becomes_one_run_with_each_label_once(
    database: Database, level: str, structure: dict[str, str]
) -> None:
    question = AimdMaker("hot helium", level, SETTINGS).question(structure)
    run_id = question.id(database)
    killer = kill_cp2k_after(database, run_id, 5)
    with pytest.raises(InterruptedRunError, match="run the job again"):
        answered(database, question)
    killer.join()
    assert database.collection("labels").count_documents({}) == 0
    answered(database, question)

    stored = database.find(run_id)
    assert seal_faults(stored) == []
    names = [file["name"] for file in stored["made_by"]["files"]]
    assert names == ["cp2k.inp", "BASIS", "POTENTIAL", "cp2k.out", "cp2k-1.out"]
    run = Run.from_stored(stored).answer
    assert run.thermo["step"].tolist() == list(range(13))
    trajectory = read_trajectory(database.artifacts.read(run.trajectory.sha256))
    assert len(trajectory.time) == run.n_frames == 7
    np.testing.assert_allclose(trajectory.time, np.arange(7) * 0.001)
    assert np.abs(np.diff(trajectory.positions, axis=0)).max() < 0.2
    assert run.mean_pressure_bar == pytest.approx(-1e4 * np.trace(run.mean_stress_GPa) / 3)

    documents = list(database.query("labels", {}, None, {"origin.frame": 1}))
    assert [document["origin"]["frame"] for document in documents] == [0, 4, 8, 12]
    assert [document["asked"]["frame"] for document in documents] == [0, 2, 4, 6]
    for document in documents:
        assert seal_faults(document) == []
        assert document["campaigns"] == ["a campaign"]
        assert [link["role"] for link in document["inputs"]] == ["level_of_theory", "run"]
        label = Label.from_stored(document)
        step = label.origin.frame
        assert label.answer.energy_eV == pytest.approx(run.thermo["potential_energy"][step], abs=1e-7)
        turned = label.answer.positions @ run.rotation
        np.testing.assert_allclose(turned, trajectory.positions[step // 2], atol=1e-6)
    np.testing.assert_allclose(Label.from_stored(documents[0]).answer.positions[0], [0.1, 0.0, -0.2], atol=1e-9)

    # the same configuration as a single point of its own
    source = reference(documents[2])
    again = answered(database, SinglePointMaker("again", level).question(source))
    mine, other = (Label.from_stored(document).answer for document in (documents[2], database.find(again["id"])))
    assert other.geometry == mine.geometry
    assert other.energy_eV == pytest.approx(mine.energy_eV, abs=1e-5)
    np.testing.assert_allclose(other.forces, mine.forces, atol=2e-3)
    assert other.virial is not None
    np.testing.assert_allclose(other.virial, mine.virial, atol=5e-3)
    assert np.abs(mine.forces).max() > 0.05

    began = time.perf_counter()
    answered(database, question)
    assert time.perf_counter() - began < 2.0
    assert database.collection("labels").count_documents({}) == 5


def test_steps_whose_scf_does_not_converge_are_refused_and_the_others_are_labels(
    database: Database, tmp_path: Path, structure: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    double = LEVEL.replace("SZV-MOLOPT", "DZVP-MOLOPT").replace("helium-low", "helium-double")  # the SCF has freedom
    double = double.replace("2c5f35c07c3d26d3365b59d8a3b92b6ec48ed33d0f6d5a12b326a8e204e6b598", DOUBLE_ZETA)
    (tmp_path / "double.yaml").write_text(double)
    store_level(database, find_level(str(tmp_path / "double.yaml")))
    monkeypatch.setenv("LIPSDB_CP2K_MAX_SCF", "3")  # enough for later steps, which extrapolate, not for the first
    question = AimdMaker("cut", str(tmp_path / "double.yaml"), SETTINGS | {"n_steps": 12}).question(structure)
    answered(database, question)
    labels, refusals = (list(database.query(name, {}, None, {})) for name in ("labels", "refusals"))
    assert len(labels) == 3
    assert [refusal["asked"]["frame"] for refusal in refusals] == [0]
    assert refusals[0]["answer"]["gate"] == "scf"
    assert refusals[0]["asked"]["document"] not in {label["_id"] for label in labels}
    assert refusals[0]["asked"]["document"].startswith("label-")


def test_relaxed_structure_is_a_document_with_its_level(
    database: Database, level: str, structure: dict[str, str]
) -> None:
    maker = RelaxationMaker("relaxed helium", level, {"cell": False, "max_force_eV_A": 0.1})
    stored = database.find(answered(database, maker.question(structure))["id"])
    assert seal_faults(stored) == []
    assert stored["asked"]["builder"] == "relaxation"
    assert stored["asked"]["parameters"]["level_of_theory"] == "helium-low"
    assert {link["role"] for link in stored["inputs"]} == {"structure", "level_of_theory"}
    relaxed = Structure.from_stored(stored).answer
    assert relaxed.name == "relaxed helium"
    assert relaxed.formula == "He3"


def test_level_of_a_code_without_performer_is_refused() -> None:
    with pytest.raises(BadInputError, match="'grain-boundaries-pbe' is one of vasp; this runs with cp2k"):
        level_with_performer("grain-boundaries-pbe", {"cp2k": "lipsdb.workflows.aimd:run_aimd_by_cp2k"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dump_interval": 5}, "does not divide n_steps = 12"),
        ({"label_stride": 3}, "label_stride = 3 is no multiple of dump_interval = 2"),
        ({"thermostat_damping_ps": 1e-4}, "is under 5 timesteps"),
        ({"ensemble": "npt"}, "nvt"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    from lipsdb.dft.settings import AimdSettings

    with pytest.raises(ValueError, match=message):
        AimdSettings.model_validate(SETTINGS | change)
