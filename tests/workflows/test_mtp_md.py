"""A run with a stored moment tensor potential: asked, computed, recorded; and one that is ended is no whole run."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from lipsdb.documents.base import ArtifactReference, Input
from lipsdb.documents.potential import Parity, Potential, PotentialAnswer, PotentialAsked
from lipsdb.documents.run import Run
from lipsdb.errors import BadInputError, StoppedRunError
from lipsdb.md.coupling import Coupling
from lipsdb.md.settings import MDSettings
from lipsdb.potentials.mtp.files import write_mtp
from lipsdb.potentials.mtp.grade import active_set
from lipsdb.potentials.training_set import LabelledFrames
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.provenance.sealing import seal_faults
from lipsdb.store.database import Database
from lipsdb.workflows.answering import answer
from lipsdb.workflows.failures import Failure
from lipsdb.workflows.molecular_dynamics import MDMaker, lammps_versions
from lipsdb.workflows.rebuild import comparable
from lipsdb.workflows.runs import load_run
from lipsdb.workflows.single_points import _frame_of_run
from lipsdb.workflows.structure import StructureMaker

ARGON_LIKE = Path(__file__).parents[1] / "potentials" / "mtp" / "argon_like.py"
HOT = {"temperature_K": 400.0, "n_steps": 20_000, "timestep_fs": 4.0, "dump_interval": 10, "thermo_interval": 10}
WATCH = {"interval": 10, "select_grade": 3.0, "break_grade": 100.0}


@pytest.fixture
def argon(database: Database, tmp_path: Path) -> dict[str, str]:
    """A stored crystal of argon, 32 atoms."""
    ase.io.write(tmp_path / "argon.xyz", bulk("Ar", "fcc", a=5.4, cubic=True).repeat(2), format="extxyz")
    job = StructureMaker("argon", {"file": str(tmp_path / "argon.xyz")}).make()
    reference: dict[str, str] = answer.original(*job.function_args)
    return reference


@pytest.fixture
def stored_mtp(database: Database, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Store a moment tensor potential for argon, with or without the active set of a crystal that vibrates."""

    def store(*, with_active_set: bool) -> dict[str, str]:
        potential = runpy.run_path(str(ARGON_LIKE))["argon_like"]()
        write_mtp(tmp_path / "potential.mtp", potential)
        file = None
        if with_active_set:
            atoms = bulk("Ar", "fcc", a=5.4, cubic=True).repeat(2)
            frames = atoms.positions + np.random.default_rng(0).normal(0, 0.08, (6, 32, 3))
            trained = LabelledFrames(
                atoms.numbers, frames, np.tile(atoms.cell.array, (6, 1, 1)), np.zeros(6), np.zeros((6, 32, 3))
            )
            active_set(potential, {"crystal": trained}).save(tmp_path / "active-set.npz")
            file = ArtifactReference(**database.artifacts.put(tmp_path / "active-set.npz", "active-set.npz"))
        none = np.zeros(0)
        document = Potential(
            asked=PotentialAsked(engine="mtp", settings={}),
            inputs=[Input(role="dataset", collection="datasets", id=f"dataset-{24 * '0'}", content=64 * "0")],
            answer=PotentialAnswer(
                elements=["Kr", "Ar"], cutoff_A=6.0, files=[], active_set=file, learning_curve={}, errors=[],
                model=ArtifactReference(**database.artifacts.put(tmp_path / "potential.mtp", "potential.mtp")),
                parity=Parity(
                    system=[], system_index=none, energy_label=none, energy_potential=none, force_system_index=none,
                    force_label=none, force_potential=none,
                ),
            ),
        )  # fmt: skip
        database.note_external([document.inputs[0].model_dump()])
        return database.insert(document.sealed(Stopwatch("train_potential").made_by(versions_of())))

    return store


def simulate(structure: dict[str, str], potential: dict[str, str], settings: dict[str, Any]) -> str:
    job = MDMaker("md", settings, checkpoint_steps=200).make(structure, potential)
    return str(answer.original(*job.function_args)["id"])


def test_a_run_that_extrapolates_is_stored_as_far_as_it_came_and_gives_no_properties(
    database: Database,
    tmp_path: Path,
    argon: dict[str, str],
    stored_mtp: Callable[..., dict[str, str]],
    measured: Callable[..., Any],
) -> None:
    potential = stored_mtp(with_active_set=True)
    id_ = simulate(argon, potential, HOT | {"extrapolation": WATCH})
    stored = database.find(id_)
    assert seal_faults(stored) == []
    run = Run.from_stored(stored).answer
    grades = run.extrapolation
    assert grades is not None
    assert grades.max_grades[-1] >= 100 > grades.max_grades[:-1].max()
    assert grades.stopped_at_step == grades.steps[-1] == 10 * (run.n_frames - 1) == run.thermo["step"][-1]
    assert grades.selected is not None
    frames = ase.io.read(database.artifacts.save(grades.selected.sha256, tmp_path / "selected.xyz"), ":")
    assert len(frames) == grades.n_selected == (grades.max_grades >= 3).sum()
    assert stored["made_by"]["executable"] == "python -m lipsdb.potentials.mtp.lammps"
    assert {"LAMMPS", "lammps", "numba", "numpy", "motep", "vesin"} <= set(stored["made_by"]["versions"])
    message = rf"{id_} stopped at step {grades.stopped_at_step} of 20000: extrapolation grade .* it is no whole run"
    with pytest.raises(StoppedRunError, match=message + ".* a larger break_grade.* submit it anew"):
        measured("radial_distribution", _reference(stored), dr_A=0.05)
    positions = _frame_of_run(database, id_, run.n_frames - 1)[1]  # its frames can be labelled
    assert positions.shape == (32, 3)
    assert len(load_run(database, id_, stopped=True).positions) == run.n_frames


def _reference(stored: dict[str, Any]) -> dict[str, str]:
    return {"collection": "runs", "id": stored["_id"], "content": stored["content"]}


def test_what_took_no_part_in_a_run_is_not_in_its_record() -> None:
    native = Coupling("pair_style mtp", versions={"LIPSDB_MTP_PLUGIN": "mtp.so sha256 0123"})
    versions = lammps_versions(native, "22 Jul 2025")
    assert versions["LIPSDB_MTP_PLUGIN"] == "mtp.so sha256 0123"
    assert versions["LAMMPS"] == "22 Jul 2025"
    assert not {"numba", "motep", "vesin"} & set(versions)


def test_a_failure_for_a_stopped_run_is_not_run_again() -> None:
    assert not Failure(1, "msd", "lipsdb.errors.StoppedRunError: run-0 stopped at step 5 of 10").may_rerun
    assert Failure(1, "msd", "lipsdb.errors.BadInputError: no such atoms").may_rerun


def test_a_run_that_extrapolates_in_its_equilibration_is_stored_without_a_frame(
    database: Database, argon: dict[str, str], stored_mtp: Callable[..., dict[str, str]], measured: Callable[..., Any]
) -> None:
    early = HOT | {"equilibration_steps": 10_000, "extrapolation": WATCH}
    stored = database.find(id_ := simulate(argon, stored_mtp(with_active_set=True), early))
    run = Run.from_stored(stored).answer
    assert run.extrapolation is not None
    assert run.extrapolation.selected is not None
    assert (run.n_frames, run.extrapolation.n_selected > 0, run.thermo["step"].size) == (0, True, 0)
    assert 0 > run.extrapolation.stopped_at_step == run.extrapolation.steps[-1]
    assert run.mean_volume_A3 == pytest.approx((2 * 5.4) ** 3)
    assert load_run(database, id_, stopped=True).positions.shape == (0, 32, 3)
    assert comparable(stored, database)["answer"]["trajectory"]["positions"].shape == (0, 32, 3)
    with pytest.raises(BadInputError, match=rf"{id_} stopped in its equilibration: .*; it has no frame of production"):
        measured("radial_distribution", _reference(stored), dr_A=0.05)
    with pytest.raises(BadInputError, match="it ended in its equilibration and has none"):
        _frame_of_run(database, id_, 0)
    # A run that was not watched says nothing of grades: it is what it was before they could be asked for.
    assert "extrapolation" not in run.model_copy(update={"extrapolation": None}).model_dump()
    assert "extrapolation" not in MDSettings(**HOT).model_dump(mode="json")


def test_grades_without_an_active_set_are_refused_before_anything_runs(
    database: Database, argon: dict[str, str], stored_mtp: Callable[..., dict[str, str]]
) -> None:
    with pytest.raises(BadInputError, match="stored without its active set; leave `extrapolation` out"):
        simulate(argon, stored_mtp(with_active_set=False), HOT | {"extrapolation": WATCH})
