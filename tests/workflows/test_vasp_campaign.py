"""The grain-boundary study's steps as one campaign, run by FireWorks with a stand-in for VASP at the level of files."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from jobflow import Flow, run_locally

from lipsdb.campaigns.load import load_campaign
from lipsdb.documents.label import Label
from lipsdb.documents.run import Run
from lipsdb.documents.structure import Structure
from lipsdb.errors import BadInputError
from lipsdb.md.trajectory import read_trajectory
from lipsdb.provenance.audit import audit
from lipsdb.provenance.lineage import lineage
from lipsdb.store.database import Database
from lipsdb.workflows.aimd import AimdMaker
from lipsdb.workflows.answering import answer
from lipsdb.workflows.campaign import plan, submit
from lipsdb.workflows.campaign_questions import ask
from lipsdb.workflows.estimate import Estimates
from lipsdb.workflows.jobstore import job_store
from lipsdb.workflows.potential import DatasetMaker

CAMPAIGN = """
name: {name}
description: relaxation and AIMD with PBE, single points with optB88-vdW
structures:
  start: {{file: start.extxyz}}
  relaxed:
    relax: {{structure: start, level_of_theory: grain-boundaries-pbe, cell: true, max_steps: 300}}
dft:
  heated:
    kind: aimd
    level_of_theory: grain-boundaries-pbe
    structure: relaxed
    temperatures_K: [300]
    seeds: [7]
    timestep_fs: 2
    length_ps: 0.012
    label_interval_fs: 4
  labels: {{kind: single_point, level_of_theory: grain-boundaries, aimd: heated, times_ps: [0.004, 0.01]}}
  hopeless: {{kind: single_point, level_of_theory: tight.yaml, aimd: heated, times_ps: [0.004]}}
datasets:
  points: {{dft: [labels, hopeless], held_fraction: 0.5, block_length: 1, seed: 1}}
tables: [labels]
"""
# elements in turns, an atom outside of the cell, a cell that is not orthogonal
START = """6
Lattice="6.1 0 0 0.4 5.9 0 0.2 -0.3 6.3" Properties=species:S:1:pos:R:3 pbc="T T T"
Li 0.3 0.2 0.1
S 2.5 0.2 0.4
Li 0.1 2.6 0.2
P 2.4 2.7 0.3
S 0.2 0.1 2.7
Li 2.3 0.4 9.0
"""
POTCAR_TEXT = (b"PSCTR", b"VRHFIN", b"local part", b"End of Dataset")


@pytest.fixture
def campaign(tmp_path: Path, vasp: None) -> Path:
    (tmp_path / "start.extxyz").write_text(START)
    text = resources.files("lipsdb.dft").joinpath("levels/grain-boundaries.yaml").read_text(encoding="utf-8")
    tight = text.replace("name: grain-boundaries", "name: tight").replace("ediff_eV: 1.0e-5", "ediff_eV: 1.0e-9")
    (tmp_path / "tight.yaml").write_text(tight)
    path = tmp_path / "vasp.yaml"
    path.write_text(CAMPAIGN.format(name="vasp"))
    return path


def oracle(label: Label) -> Atoms:
    """The potential of the stand-in."""
    answer_ = label.answer
    atoms = Atoms(numbers=answer_.numbers, positions=answer_.positions, cell=answer_.cell, pbc=True)
    atoms.calc = LennardJones(sigma=2.0, epsilon=0.1, rc=6.0, smooth=True)
    return atoms


def test_relaxation_aimd_and_single_points_of_its_frames_become_labels_of_two_levels(
    database: Database, campaign: Path
) -> None:
    first = submit(database, load_campaign(campaign))
    assert first.n_submitted == 7  # start, relaxed, AIMD, three single points, dataset
    command = [str(Path(sys.executable).parent / "lipsdb"), "run", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

    check_relaxation(database)
    check_dynamics(database)
    check_single_points(database)
    check_refusal(database)
    check_artifacts(database)
    check_mixing(database)
    check_estimates(database, campaign)
    check_second_campaign(database, campaign)
    assert not audit(database).errors


def check_relaxation(database: Database) -> None:
    """The last structure, relaxed again from the relaxed cell until that settled."""
    start, relaxed = (next(iter(database.query("structures", {"answer.name": name}))) for name in ("start", "relaxed"))
    assert (relaxed["inputs"][0]["role"], relaxed["inputs"][0]["id"]) == ("structure", start["_id"])
    names = {file["name"] for file in relaxed["made_by"]["files"]}
    assert {"INCAR", "OUTCAR", "vasprun.xml", "INCAR-1", "OUTCAR-1", "vasprun-1.xml"} <= names
    assert relaxed["made_by"]["versions"]["vasp"] == "6.4.1"
    before, after = (Structure.from_stored(document).answer for document in (start, relaxed))
    np.testing.assert_array_equal(after.numbers, before.numbers)
    assert abs(after.volume_A3 / before.volume_A3 - 1) > 1e-3
    atoms = Atoms(numbers=after.numbers, positions=after.positions, cell=after.cell, pbc=True)
    atoms.calc = LennardJones(sigma=2.0, epsilon=0.1, rc=6.0, smooth=True)
    assert np.abs(atoms.get_forces()).max() < 0.01
    # 100 bar are 6.24e-5 eV/Å³
    assert abs(np.trace(atoms.get_stress(voigt=False)) / 3) < 6.3e-5


def check_dynamics(database: Database) -> None:
    """One run with every frame, and its labels with their lineage."""
    (stored,) = database.query("runs")
    run = Run.from_stored(database.find(stored["_id"])).answer
    assert (stored["asked"]["program"], run.n_frames) == ("vasp", 7)
    assert run.thermo["step"].tolist() == list(range(7))
    assert np.ptp(run.thermo["conserved_energy"]) < 0.02 * np.ptp(run.thermo["potential_energy"])
    assert run.mean_pressure_bar == pytest.approx(-1e4 * np.trace(run.mean_stress_GPa) / 3)
    trajectory = read_trajectory(database.artifacts.read(run.trajectory.sha256))
    documents = list(database.query("labels", {"asked.level_of_theory": "grain-boundaries-pbe"}, None, {"_id": 1}))
    labels = sorted((Label.from_stored(document) for document in documents), key=lambda one: one.origin.frame)
    assert [label.origin.frame for label in labels] == [label.asked.frame for label in labels] == [0, 2, 4, 6]
    for label in labels:
        assert [link.role for link in label.inputs] == ["level_of_theory", "run"]
        assert label.inputs[1].id == stored["_id"]
        atoms, step = oracle(label), label.origin.frame
        np.testing.assert_allclose(label.answer.forces, atoms.get_forces(), atol=1e-5)
        assert label.answer.virial is not None
        np.testing.assert_allclose(label.answer.virial, -atoms.get_volume() * atoms.get_stress(voigt=False), atol=1e-5)
        assert label.answer.energy_eV == pytest.approx(run.thermo["potential_energy"][step])
        np.testing.assert_allclose(label.answer.positions @ run.rotation, trajectory.positions[step], atol=1e-5)
    # temperature by the motion between frames: v(t) = (x(t+h) − x(t−h)) / 2h, T = Σ m v² / ((3N − 3) k_B)
    velocity = (trajectory.positions[4].astype(float) - trajectory.positions[2]) / 4e-3  # Å/ps
    masses = oracle(labels[0]).get_masses()[:, None]
    # 1 amu Å²/ps² = 1.66053906892e-23 J; k_B = 1.380649e-23 J/K
    expected = (masses * velocity**2).sum() * 1.66053906892 / 1.380649 / (3 * 6 - 3)
    assert run.thermo["temperature"][3] == pytest.approx(expected, rel=0.02)


def check_single_points(database: Database) -> None:
    """Labels of frames: the frame's energy, turned forces."""
    documents = list(database.query("labels", {"asked.level_of_theory": "grain-boundaries"}, None, {"_id": 1}))
    points = {document["asked"]["frame"]: Label.from_stored(document) for document in documents}
    assert sorted(points) == [2, 5]
    for frame, label in points.items():
        assert label.origin.system == "relaxed"
        assert (label.origin.frame, label.origin.temperatures_K) == (frame, [300.0])
        np.testing.assert_allclose(label.answer.forces, oracle(label).get_forces(), atol=1e-5)
    # from the label to the run, the relaxed structure, the structure that was relaxed, and both levels
    kinds = sorted(node.kind for node in lineage(database, documents[0]["_id"]).nodes.values())
    assert kinds == ["label", "level_of_theory", "level_of_theory", "run", "structure", "structure"]
    (same,) = database.query("labels", {"asked.level_of_theory": "grain-boundaries-pbe", "asked.frame": 2})
    # the frame was stored with single precision
    assert points[2].answer.energy_eV == pytest.approx(same["answer"]["energy_eV"], abs=1e-4)


def check_refusal(database: Database) -> None:
    """The SCF that does not converge, with its reason; the dataset has the others."""
    (refusal,) = database.query("refusals")
    assert refusal["answer"]["gate"] == "scf"
    assert "did not reach EDIFF = 1e-09 eV" in refusal["answer"]["reason"]
    assert "OUTCAR" in {file["name"] for file in refusal["made_by"]["files"]}
    (dataset,) = database.query("datasets")
    assert [link["role"] for link in dataset["inputs"]] == ["label", "label", "refused"]


def check_artifacts(database: Database) -> None:
    """POTCAR files are licensed: nothing of them is stored but names and hashes."""
    files = {
        file["sha256"]: file["name"]
        for name in ("structures", "runs", "labels", "refusals")
        for document in database.query(name)
        for file in document["made_by"]["files"]
    }
    assert {"INCAR", "POTCAR.spec"} <= set(files.values())
    assert "POTCAR" not in files.values()
    for sha256, name in files.items():
        text = database.artifacts.read(sha256)
        assert not [part for part in POTCAR_TEXT if part in text], name
        assert b"/potcars/" not in text
    assert re.search(
        rb"Li_sv PAW_PBE Li_sv 01Jan2000 sha256=[0-9a-f]{64}",
        database.artifacts.read(next(sha256 for sha256, name in files.items() if name == "POTCAR.spec")),
    )


def check_mixing(database: Database) -> None:
    """A dataset over both levels is refused unless the campaign says so."""
    levels = ("grain-boundaries", "grain-boundaries-pbe")
    selections = [{"systems": ["relaxed"], "level_of_theory": level, "stride": 1} for level in levels]
    with pytest.raises(BadInputError, match=r"grain-boundaries, grain-boundaries-pbe.*mixed_levels_of_theory: true"):
        make(DatasetMaker("both", 0.5, 1, 1).question(selections, []).job({}, []))
    make(DatasetMaker("both", 0.5, 1, 1, mixed_levels_of_theory=True).question(selections, []).job({}, []))
    (dataset,) = database.query("datasets", {"asked.mixed_levels_of_theory": True})
    assert dataset["answer"]["n_training"] + dataset["answer"]["n_held"] == 6


def check_estimates(database: Database, campaign: Path) -> None:
    """Labels that cost nothing of their own, and other programs' runs, say nothing about the cost."""
    asked = ask(database, load_campaign(campaign))
    estimates = Estimates(database)
    assert (estimates.core_seconds(asked.dft["labels"][0]) or 0) > 0.5
    assert (estimates.core_seconds(asked.dft["heated"][0]) or 0) > 0.5
    assert estimates.core_seconds(asked.dft["hopeless"][0]) is None
    other = AimdMaker("other", "disorder", {"temperature_K": 300, "n_steps": 6}).question(asked.structures["start"])
    assert estimates.core_seconds(other) is None


def check_second_campaign(database: Database, campaign: Path) -> None:
    """Asking again computes nothing; another campaign that asks for the same run has its labels, too."""
    assert {row.state for row in plan(database, load_campaign(campaign)).rows} == {"known", "refused"}
    assert submit(database, load_campaign(campaign)).n_submitted == 0
    second = campaign.with_name("second.yaml")
    text = CAMPAIGN.format(name="second")
    second.write_text(text[: text.index("  labels:")] + "tables: [labels]\n")
    assert submit(database, load_campaign(second)).n_submitted == 0
    of_second = list(database.query("labels", {"campaigns": "second"}))
    assert {label["asked"]["level_of_theory"] for label in of_second} == {"grain-boundaries-pbe"}
    assert len(of_second) == 4
    job = ask(database, load_campaign(second)).dft["heated"][0]
    (run,) = database.query("runs")
    structure = next(dict(link) for link in run["inputs"] if link["role"] == "structure")
    del structure["role"]
    sources = {id(parent): structure for parent in job.parents()}
    answer.original(*job.job(sources, ["third"]).function_args)
    assert database.count("labels", {"campaigns": "third"}) == 4


def make(job: object) -> None:
    run_locally(Flow([job]), store=job_store(), ensure_success=True, raise_immediately=True)


def test_seed_that_vasp_does_not_take_is_refused_when_asked() -> None:
    settings = {"temperature_K": 300, "n_steps": 6, "seed": 900_000_001}
    reference = {"collection": "structures", "id": "structure-x", "content": "x"}
    with pytest.raises(BadInputError, match="the seed 900000001 is too large for vasp; take one from 1 to 900000000"):
        AimdMaker("aimd", "grain-boundaries-pbe", settings).question(reference)
    AimdMaker("aimd", "disorder", settings).question(reference)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ("[0.014]", r"times_ps.*received 0\.014, must not be after the end of the run \(0\.012 ps\)"),
        ("[0.003]", r"times_ps.*received 0\.003, must be a whole number of 2 fs steps"),
        ("null", "must have times_ps with md or aimd, and only then"),
    ],
)
def test_frames_that_an_aimd_does_not_have_are_bad_input(times: str, message: str, campaign: Path) -> None:
    campaign.write_text(campaign.read_text().replace("times_ps: [0.004, 0.01]", f"times_ps: {times}"))
    with pytest.raises(BadInputError, match=message):
        load_campaign(campaign)
