"""A campaign with moment tensor potentials for real: grid search, choice, MD that watches its grade, audit, rebuild."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

from rich.console import Console

from lipsdb.campaigns.load import load_campaign
from lipsdb.cli.export import _tables
from lipsdb.export.archive import export_archive
from lipsdb.export.record import export_potential
from lipsdb.export.verification import verify_archive
from lipsdb.ingest.deepmd import ingest_deepmd
from lipsdb.provenance.audit import audit
from lipsdb.provenance.audit.run import LEVELS
from lipsdb.provenance.canonical import decoded
from lipsdb.store.database import Database
from lipsdb.workflows.campaign import plan, submit
from lipsdb.workflows.local_run import run_workers
from lipsdb.workflows.reproduction import check_reproduction

CAMPAIGN = """
name: tiny-mtp
description: Moment tensor potentials of no use, trained in seconds
structures:
  crystal:
    crystal:
      spacegroup: Fm-3m
      lattice: {a_A: 5.0, b_A: 5.0, c_A: 5.0}
      sites:
        - {label: Li1, element: Li, position: [0, 0, 0], multiplicity: 4}
        - {label: S1, element: S, position: [0.5, 0.5, 0.5], multiplicity: 4}
labels:
  crystal: {systems: [crystal], level_of_theory: lennard-jones}
datasets:
  frames: {labels: [crystal], held_fraction: 0.25, block_length: 4, seed: 3}
grids:
  search:
    engine: mtp
    dataset: frames
    settings: {cutoff_A: 4.0, radial_size: 6, max_iterations: 120}
    over: {level: [2, 4]}
potentials:
  chosen:
    train:
      engine: mtp
      dataset: frames
      settings: {cutoff_A: 4.0, radial_size: 6, max_iterations: 120, level: 4}
md:
  cold: &cold
    structure: crystal
    potential: chosen
    ensemble: NVT
    temperatures_K: [600]
    seeds: [1]
    timestep_fs: 2
    equilibration_ps: 0
    production_ps: 0.1          # a Lennard-Jones crystal does not stay in rock salt for long
    dump_interval_fs: 10
    thermo_interval_fs: 10
    thermostat_damping_ps: 0.1
    checkpoint_ps: 0.06
    extrapolation: {interval_fs: 10, select_grade: 2, break_grade: 1.0e+6}
  hot:
    <<: *cold
    temperatures_K: [6000]
    extrapolation: {interval_fs: 10, select_grade: 1.5, break_grade: 3}
properties:
  choice: {kind: potential_choice, grid: search, tolerance: 0.1}
  around-lithium: {kind: coordination, of: hot, centre: Li, neighbour: S, cutoff_A: 3.0}
tables: [potential_choice, extrapolation]
"""


def test_grid_choice_and_watched_runs_are_stored_with_their_reasons(
    database: Database, lennard_jones_labels: Path, tmp_path: Path
) -> None:
    ingest_deepmd(database, lennard_jones_labels, "lennard-jones", source="made up")
    (tmp_path / "tiny.yaml").write_text(CAMPAIGN)
    file = load_campaign(tmp_path / "tiny.yaml")
    submit(database, file)
    rows = plan(database, file).rows
    wanted = {row.question.name: row.document_id for row in rows}
    summary = run_workers(Console(file=io.StringIO()), n_workers=1)

    # what stands on a run that was stopped says so, and nothing else failed
    assert [failure.name for failure in summary.failures] == ["around-lithium hot 6000 K seed 1"], summary.failures
    assert "extrapolation grade" in summary.failures[0].reason

    # a member of the grid is the potential that an entry with the same settings names: trained once
    assert wanted["train search level 4"] == wanted["train chosen"]
    assert database.collection("potentials").count_documents({}) == 2
    potential = decoded(database.find(wanted["train chosen"]))
    answer, made_by = potential["answer"], potential["made_by"]
    assert answer["active_set"]["name"] == "active-set.npz"
    assert answer["learning_curve"]["loss"][-1] < 0.1 * answer["learning_curve"]["loss"][0]
    assert {"lipsdb", "numba", "motep", "scipy"} <= set(made_by["versions"])

    choice = database.find(wanted["choice"])["answer"]
    assert [row["settings"]["level"] for row in choice["rows"]] == [2, 4]
    assert [row["chosen"] for row in choice["rows"]].count(True) == 1
    assert choice["chosen_id"] in {row["potential_id"] for row in choice["rows"]}
    assert all(row["time_us_per_atom"] > 0 for row in choice["rows"])
    assert "force MAE" in choice["reason"]

    cold, hot = (
        decoded(database.find(wanted[f"md {name} {t} K seed 1"])) for name, t in (("cold", 600), ("hot", 6000))
    )
    assert cold["answer"]["extrapolation"]["stopped"] is None
    assert cold["answer"]["n_frames"] == 11
    assert "reaches" in hot["answer"]["extrapolation"]["stopped"]
    assert hot["answer"]["n_frames"] < 11
    again = partial(check_reproduction, sample=20, seed=1)
    report = audit(database, levels=LEVELS, reproduce=again, sample=(20, 1))
    assert report.errors == []
    assert report.counts["energies of frames computed again"] > 0

    # given away without names of hosts, tables of the choice and of the grades among it
    export_archive(database, "tiny-mtp", tmp_path / "tiny.zip", _tables(database, "tiny-mtp"))
    assert verify_archive(tmp_path / "tiny.zip").faults == []

    export_potential(database, potential["_id"], tmp_path / "shipped")
    files = {path.name for path in (tmp_path / "shipped" / "artifacts").iterdir()}
    assert {answer["model"]["sha256"], answer["active_set"]["sha256"]} <= files
