"""Documents computed again from made-up trajectories: Brownian motion with a known activation energy."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from typer.testing import CliRunner

import lipsdb.workflows
from lipsdb.cli.main import app
from lipsdb.documents.base import ArtifactReference, Input
from lipsdb.documents.run import Run, RunAnswer, RunAsked
from lipsdb.errors import BadInputError
from lipsdb.md.trajectory import Trajectory, write_trajectory
from lipsdb.provenance.canonical import decoded
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.provenance.sealing import seal
from lipsdb.settings import Settings
from lipsdb.store.database import Database, connect
from lipsdb.workflows.agreement import compare
from lipsdb.workflows.answering import Workplace, answer
from lipsdb.workflows.isolation import isolated
from lipsdb.workflows.performers import OF_RUNS, PERFORMERS, performer_of
from lipsdb.workflows.properties import ArrheniusMaker, DiffusionMaker
from lipsdb.workflows.rebuild import rebuild
from lipsdb.workflows.structure import StructureMaker
from lipsdb.workflows.tolerances import TOLERANCES

POTENTIAL = {"collection": "potentials", "id": "potential-" + 24 * "0", "content": 64 * "0"}
TEMPERATURES = (600.0, 800.0, 1000.0)
N_STEPS, DUMP = 3000, 10


def ask(job: Any) -> dict[str, str]:
    """Answer as a worker does."""
    return answer.original(*job.function_args)  # type: ignore[no-any-return]


def store_run(database: Database, structure: dict[str, str], temperature: float, folder: Path) -> dict[str, str]:
    """A run whose Li atoms diffuse with Ea = 0.2 eV, slowly enough that each atom's MSD is fitted, which is quick."""
    generator = np.random.default_rng(int(temperature))
    n_frames, cell = N_STEPS // DUMP + 1, np.diag([8.0, 8.0, 8.0])
    diffusion = 1.0 * np.exp(-0.2 / (8.617333262e-5 * temperature))  # Å²/ps
    numbers = np.array([3] * 8 + [16] * 4)
    steps = generator.normal(0, np.sqrt(2 * diffusion * 0.02), (n_frames, 12, 3)) * (numbers == 3)[:, None]
    positions = steps.cumsum(axis=0) + generator.normal(0, 0.6, steps.shape)
    path = folder / f"{temperature}.nc"
    cells = np.broadcast_to(cell, (n_frames, 3, 3))
    write_trajectory(path, [Trajectory(np.arange(n_frames) * 0.02, positions, cells)])
    reference = ArtifactReference(**database.artifacts.put(path, "trajectory.nc"))
    settings = {"temperature_K": temperature, "seed": 1, "ensemble": "nvt", "pressure_bar": None, "n_steps": N_STEPS}
    settings |= {"dump_interval": DUMP, "thermo_interval": DUMP}
    document = Run(
        asked=RunAsked(program="lammps", settings=settings),
        inputs=[Input.of("structure", structure), Input.of("potential", POTENTIAL)],
        answer=RunAnswer(
            n_atoms=12, n_frames=n_frames, frame_interval_ps=0.02,
            trajectory=reference, topology=reference, restart=reference,
            thermo={"step": np.arange(n_frames) * DUMP, "potential_energy": generator.normal(-50, 1, n_frames)},
            thermo_units={"step": "1", "potential_energy": "eV"},
            mean_temperature_K=temperature, mean_pressure_bar=0.0, mean_volume_A3=512.0, mean_density_g_cm3=1.0,
            mean_stress_GPa=np.zeros((3, 3)), rotation=np.eye(3),
        ),
    )  # fmt: skip
    return database.insert(document.sealed(Stopwatch("run_md").made_by(versions_of()), ["brownian"]))


@pytest.fixture
def arrhenius(database: Database, tmp_path: Path) -> dict[str, str]:
    """Structure, three runs, three diffusion coefficients, and the fit over them; its reference."""
    random = np.random.default_rng(0).random((12, 3)) * 8
    Atoms("Li8S4", random, cell=[8, 8, 8], pbc=True).write(tmp_path / "made-up.extxyz")
    structure = ask(StructureMaker("made-up", {"file": str(tmp_path / "made-up.extxyz")}).make(campaigns=["brownian"]))
    runs = [store_run(database, structure, temperature, tmp_path) for temperature in TEMPERATURES]
    database.note_external([POTENTIAL])
    maker = DiffusionMaker("D", framework=("S",))
    measured = [ask(maker.make(run, campaigns=["brownian"])) for run in runs]
    return ask(ArrheniusMaker("fit").make(measured, campaigns=["brownian"]))


@pytest.fixture
def scratch(settings: Settings, tmp_path: Path) -> Iterator[Database]:
    """Another empty database, on the session's server."""
    name = f"test-{uuid.uuid4().hex}"
    other = connect(settings.model_copy(update={"database": name, "home": tmp_path / "scratch"}))
    yield other
    other.client.drop_database(name)


def change(database: Database, collection: str, id_: str, how: Callable[[dict[str, Any]], None]) -> None:
    """Change an answer and seal the document again, as someone would who knows the rules."""
    document = decoded(database.find(id_))
    how(document["answer"])
    parts = (document[key] for key in ("kind", "asked", "inputs", "answer", "made_by", "campaigns"))
    database.collection(collection).replace_one({"_id": id_}, seal(*parts))


def everything(database: Database) -> dict[str, int]:
    return {
        name: database.mongo.command("dbHash")["collections"][name]
        for name in ("structures", "runs", "properties", "artifacts")
    }


def test_table_of_brownian_runs_is_equal_and_the_database_is_untouched(
    database: Database, arrhenius: dict[str, str], tmp_path: Path
) -> None:
    before = everything(database)
    kept = tmp_path / "kept"
    done = CliRunner().invoke(app, ["rebuild", "arrhenius", "--folder", str(kept), "-f", "json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["passed"]
    assert [one["outcome"] for one in found["documents"]] == ["equal"] * 4
    assert found["documents"][-1]["id"] == arrhenius["id"]
    assert everything(database) == before
    assert (kept / ".lipsdb" / "mongod" / "data").is_dir()
    with pytest.raises(BadInputError, match="kept is not empty; give a folder that is"), isolated(kept):
        pass


def test_changed_diffusion_coefficient_is_named_with_both_values(
    database: Database, scratch: Database, arrhenius: dict[str, str]
) -> None:
    changed = database.find(arrhenius["id"])["inputs"][1]["id"]
    was = database.find(changed)["answer"]["D_cm2_s"]
    change(database, "properties", changed, lambda found: found.update(D_cm2_s=1.5 * found["D_cm2_s"]))
    found = {one.id: one for one in rebuild(database, [arrhenius["id"]], scratch)}
    assert [one.comparison.outcome for one in found.values()].count("equal") == 3  # the fit was of what was measured
    wrong = found[changed].comparison
    assert not found[changed].agrees
    assert wrong.first == wrong.largest
    assert wrong.largest is not None
    assert (wrong.largest.field, wrong.largest.before, wrong.largest.after) == ("D_cm2_s", 1.5 * was, was)
    assert wrong.largest.ratio > 1


def test_command_fails_for_a_changed_fit_and_tells_the_tolerance(
    database: Database, arrhenius: dict[str, str], scratch: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import nullcontext

    import lipsdb.workflows.isolation as module

    monkeypatch.setattr(module, "isolated", lambda folder: nullcontext(scratch))
    std = database.find(arrhenius["id"])["answer"]["Ea_std_eV"]
    change(database, "properties", arrhenius["id"], lambda found: found.update(Ea_eV=found["Ea_eV"] + 2 * std))
    done = CliRunner().invoke(app, ["rebuild", arrhenius["id"][:20]])
    assert done.exit_code == 1
    assert "largest: Ea_eV" in done.stdout
    assert "versions then → now: all the same" in done.stdout
    assert "Rebuilt 4 documents: 3 equal, 1 different." in done.stdout


def test_damaged_trajectory_is_not_computed_with(
    database: Database, scratch: Database, arrhenius: dict[str, str]
) -> None:
    measured = database.find(arrhenius["id"])["inputs"][0]["id"]
    run = database.find(measured)["inputs"][0]["id"]
    change(database, "runs", run, lambda found: found.update(n_frames=found["n_frames"] + 1))
    found = {one.id: one for one in rebuild(database, [arrhenius["id"]], scratch)}
    assert (found[measured].comparison.outcome, found[arrhenius["id"]].comparison.outcome) == ("failed", "failed")
    assert "its record says (302, 12, 3)" in found[measured].reason
    assert found[arrhenius["id"]].reason == f"its input {measured} could not be computed"


def test_what_cannot_be_rebuilt_is_told_before_anything_runs(
    database: Database, scratch: Database, arrhenius: dict[str, str]
) -> None:
    with pytest.raises(BadInputError, match=r"run-\w+ was made from 1 documents that are not in this database"):
        rebuild(database, [arrhenius["id"]], scratch, "labels")
    for arguments, text in (
        (["rebuild", "cost"], "no row of the table 'cost' is a document that can be computed again"),
        (["rebuild", "nonsense"], "neither a table"),
    ):
        assert text in str(CliRunner().invoke(app, arguments).exception)
    ingested = {"_id": "label-1", "made_by": {"activity": "ingest"}}
    with pytest.raises(BadInputError, match="was not computed"):
        performer_of(ingested)
    with pytest.raises(BadInputError, match="this version of lipsdb does not have"):
        performer_of({"_id": "property-1", "made_by": {"activity": "measure_by_eye"}})


def test_every_function_that_answers_questions_is_found_from_its_documents() -> None:
    found = set()
    for module in pkgutil.iter_modules(lipsdb.workflows.__path__, "lipsdb.workflows."):
        for name, function in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
            parameters = [parameter.annotation for parameter in inspect.signature(function).parameters.values()]
            answers = parameters[:1] == [Workplace.__name__] and parameters[2:] == ["list[Input]"]
            gives = str(inspect.signature(function).return_annotation)
            own = f"{function.__module__}.".startswith(f"{module.name}.")  # or of a module in this package
            if answers and own and ("MadeBy]" in gives or gives == "Result"):
                found.add(f"{module.name}:{name}")
    assert {performer.path for performer in PERFORMERS.values()} == found
    assert set(PERFORMERS) - set(OF_RUNS) <= set(TOLERANCES) <= set(PERFORMERS)  # those of runs have a common one


def run_answer(generator: np.random.Generator, energy: float) -> dict[str, Any]:
    """A run of 4 atoms at 300 K: noise around these means."""
    thermo = {
        "temperature": generator.normal(300, 30, 500), "pressure": generator.normal(0, 1000, 500),
        "potential_energy": generator.normal(energy, 0.1, 500),
    }  # fmt: skip
    means = {"mean_temperature_K": thermo["temperature"].mean(), "mean_pressure_bar": thermo["pressure"].mean()}
    return {"n_atoms": 4, "trajectory": {"positions": generator.random((9, 4, 3))}, "thermo": thermo, **means}


@pytest.mark.parametrize(
    ("shift", "inputs", "outcome"),
    [
        (0.0, "equal", "statistically"),  # another trajectory of the same thing
        (0.2, "equal", "different"),  # 50 meV/atom: not the same potential
        (0.06, "statistically", "statistically"),  # 15 meV/atom: a potential trained again
        (0.2, "statistically", "different"),
    ],
)
def test_run_with_another_mean_energy(shift: float, inputs: Any, outcome: str) -> None:
    before = {"content": "a", "answer": run_answer(np.random.default_rng(1), -20.0)}
    after = {"content": "b", "answer": run_answer(np.random.default_rng(2), -20.0 + shift)}
    found = compare(TOLERANCES["run_md"], before, after, inputs)
    assert found.outcome == outcome
    if outcome == "different":
        assert found.first is not None
        assert found.first.field.startswith("thermo.potential_energy")


def test_run_with_the_same_steps_but_for_rounding() -> None:
    one = run_answer(np.random.default_rng(1), -20.0)
    other = json.loads(json.dumps(one, default=lambda array: array.tolist()))
    other["thermo"]["potential_energy"] = one["thermo"]["potential_energy"] * (1 + 1e-12)
    documents = ({"content": "a", "answer": one}, {"content": "b", "answer": other})
    assert compare(TOLERANCES["run_md"], *documents).outcome == "within tolerance"


def test_diffusion_coefficient_off_by_a_tenth_and_by_half_of_its_deviation() -> None:
    before = {"D_cm2_s": 1.0e-6, "D_std_cm2_s": 1.0e-7, "fickian": True, "n": 3}
    for off, outcome in ((1e-8, "within tolerance"), (5e-8, "different")):
        after = before | {"D_cm2_s": 1.0e-6 + off}
        documents = ({"content": "a", "answer": before}, {"content": "b", "answer": after})
        found = compare(TOLERANCES["measure_diffusion"], *documents)
        assert found.outcome == outcome
        assert found.largest is not None
        assert found.largest.ratio == pytest.approx(off / 2e-8)
    for field, value in (("fickian", False), ("n", 4), ("fickian", 1), ("new", 1.0)):
        documents = ({"content": "a", "answer": before}, {"content": "b", "answer": before | {field: value}})
        found = compare(TOLERANCES["measure_diffusion"], *documents)
        assert (found.outcome, found.first.field if found.first else "") == ("different", field)


def test_numbers_that_are_missing_in_both_are_the_same() -> None:
    before = {"rmse": np.array([np.nan, 1.0])}
    for after, outcome in ((before, "within tolerance"), ({"rmse": np.array([np.nan, np.nan])}, "different")):
        documents = ({"content": "a", "answer": before}, {"content": "b", "answer": after})
        assert compare({}, *documents).outcome == outcome
