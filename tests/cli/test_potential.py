"""``lipsdb potential grade``: against stored potentials, on files and documents."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from click.testing import Result
from typer.testing import CliRunner

from lipsdb.cli.main import app
from lipsdb.documents.base import ArtifactReference, Input
from lipsdb.documents.potential import Parity, Potential, PotentialAnswer, PotentialAsked
from lipsdb.documents.run import Extrapolation, Run, RunAnswer, RunAsked
from lipsdb.documents.structure import Structure, StructureAnswer, StructureAsked
from lipsdb.errors import LipsdbError
from lipsdb.md.trajectory import Trajectory, write_trajectory
from lipsdb.potentials.mtp.active_set import Mode
from lipsdb.potentials.mtp.files import write_mtp
from lipsdb.potentials.mtp.grade import active_set, jacobian
from lipsdb.potentials.mtp.potential import random_start
from lipsdb.potentials.training_set import LabelledFrames
from lipsdb.provenance.machine import Stopwatch
from lipsdb.store.database import Database

SALT = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
MODEL = random_start(4, ["Na", "Cl"], min_distance_A=1.8, cutoff_A=4.5, radial_size=4, seed=1)
DATASET = Input(role="dataset", collection="datasets", id=f"dataset-{24 * '0'}", content=64 * "0")


def shaken(n_frames: int, amplitude_A: float, seed: int) -> list[Atoms]:
    frames = [SALT.copy() for _ in range(n_frames)]
    for index, atoms in enumerate(frames):
        atoms.rattle(amplitude_A, seed=seed + index)
    return frames


TRAINING = shaken(30, 0.15, 0)
FRAMES = [*shaken(3, 0.05, 100), *shaken(2, 0.6, 200)]
ALL = LabelledFrames(
    SALT.numbers, [one.positions for one in TRAINING], [one.cell.array for one in TRAINING], np.zeros(30),
    np.zeros((30, 8, 3)),
)  # fmt: skip


def grade(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["potential", "grade", *map(str, arguments)], env={"COLUMNS": "200"})


def error_of(*arguments: str | Path) -> str:
    done = grade(*arguments)
    assert isinstance(done.exception, LipsdbError), done.output
    assert "\n" not in str(done.exception)
    return str(done.exception)


def insert(database: Database, document: Any) -> str:
    if document.inputs:
        database.note_external([link.model_dump() for link in document.inputs])
    return database.insert(document.sealed(Stopwatch("test").made_by({})))["id"]


def store(database: Database, folder: Path, engine: str = "mtp", mode: Mode | None = "neighbourhood") -> str:
    write_mtp(folder / "model.mtp", MODEL)
    active = None
    if mode is not None:
        active_set(MODEL, {"salt": ALL}, mode).save(folder / "active-set.npz")
        active = ArtifactReference(**database.artifacts.put(folder / "active-set.npz", "active-set.npz"))
    none = np.empty(0)
    answer = PotentialAnswer(
        elements=["Na", "Cl"], cutoff_A=4.5, active_set=active, files=[], learning_curve={}, errors=[],
        model=ArtifactReference(**database.artifacts.put(folder / "model.mtp", "model.mtp")),
        parity=Parity(
            system=[], system_index=none, energy_label=none, energy_potential=none, force_system_index=none,
            force_label=none, force_potential=none,
        ),
    )  # fmt: skip
    asked = PotentialAsked(engine=engine, settings={"mode": mode})
    return insert(database, Potential(asked=asked, inputs=[DATASET], answer=answer))


@pytest.fixture
def potential(database: Database, tmp_path: Path) -> str:
    return store(database, tmp_path)


@pytest.fixture
def frames_file(tmp_path: Path) -> Path:
    path = tmp_path / "frames.extxyz"
    ase.io.write(path, FRAMES)
    return path


def expected(frames: list[Atoms]) -> np.ndarray:
    active = active_set(MODEL, {"salt": ALL})
    return np.array([active.grades(jacobian(MODEL, one.numbers, one.positions, one.cell.array)) for one in frames])


def test_frames_of_a_file_are_graded_in_every_format(potential, frames_file):
    grades = expected(FRAMES)
    table = grade(potential, frames_file).stdout
    assert f"all with {potential[:18]}" in table
    n_above = (int((grades.max(axis=1) > 2).sum()), int((grades.max(axis=1) > 10).sum()))
    assert n_above[0] == 2
    assert f"of 5 frames 2 have at least 2 (--select), {n_above[1]} at least 10 (--break)" in table
    assert "rank frames by the grade, don't read its magnitude" in table

    rows = json.loads(grade(potential[:18], frames_file, "--format", "json", "--atoms").stdout)["rows"]
    np.testing.assert_allclose([row["atom_grades"] for row in rows], grades, rtol=1e-6)
    assert [row["atom"] for row in rows] == grades.argmax(axis=1).tolist()
    assert [row["element"] for row in rows] == [SALT.symbols[atom] for atom in grades.argmax(axis=1)]

    read = list(csv.DictReader(io.StringIO(grade(potential, frames_file, "-f", "csv", "--atoms").stdout)))
    np.testing.assert_allclose([float(row["grade"]) for row in read], grades.max(axis=1), rtol=1e-6)
    assert [float(cell) for cell in read[0]["atom_grades"].split(";")] == pytest.approx(grades[0].tolist(), rel=1e-6)
    assert "| frame | atoms | grade | atom | element |" in grade(potential, frames_file, "-f", "md").stdout


def test_limits_are_counted_and_frames_above_are_saved(potential, frames_file, tmp_path: Path):
    grades = expected(FRAMES).max(axis=1)
    limit = float(np.sort(grades)[3])
    saved = tmp_path / "saved.xyz"
    done = grade(potential, frames_file, "--select", 0.99 * limit, "--break", 1.01 * limit, "--save", saved)
    assert "of 5 frames 2 have at least" in done.stdout
    assert f"frames written to {saved}" in done.stderr
    images = ase.io.read(saved, ":", format="extxyz")
    np.testing.assert_allclose([one.info["extrapolation_grade_max"] for one in images], grades, rtol=1e-6)
    np.testing.assert_allclose([one.arrays["extrapolation_grade"].max() for one in images], grades, rtol=1e-6)
    assert error_of(potential, frames_file, "--save", saved) == (
        f"--save {saved} is there already; give another name, or remove it"
    )
    selected, none = tmp_path / "selected.xyz", tmp_path / "none.xyz"
    assert grade(potential, frames_file, "--save", selected, "--selected").exit_code == 0
    above = ase.io.read(selected, ":", format="extxyz")
    np.testing.assert_allclose([one.positions for one in above], [one.positions for one in FRAMES[3:]], atol=1e-7)
    done = grade(potential, frames_file, "--save", none, "--selected", "--select", 1e9, "--break", 1e9)
    assert done.stderr == f"no frame has a grade of at least 1e+09 (--select): {none} is not written\n"
    assert not none.exists()
    assert not list(tmp_path.glob("*.part"))


def test_a_terminal_shows_the_largest_grades_first_and_json_all(potential, tmp_path: Path):
    frames = [*shaken(20, 0.05, 100), *shaken(2, 0.6, 200)]
    ase.io.write(tmp_path / "many.extxyz", frames)
    largest = expected(frames).max(axis=1)
    done = grade(potential, tmp_path / "many.extxyz")
    shown = [int(line.split()[0]) for line in done.stdout.splitlines() if line.split() and line.split()[0].isdigit()]
    assert shown[:20] == np.argsort(-largest)[:20].tolist()
    assert "2 more frames have no larger grade (--format json or csv has all)" in done.stdout
    assert "of 22 frames 2 have at least 2 (--select)" in done.stdout
    assert "`ase convert -s FILE.xyz" in done.stderr
    rows = json.loads(grade(potential, tmp_path / "many.extxyz", "-f", "json").stdout)["rows"]
    assert [row["frame"] for row in rows] == list(range(22))


def test_other_files_and_documents_are_graded(database, potential, frames_file, tmp_path: Path):
    grades = expected(FRAMES).max(axis=1)

    def graded(frames: str | Path) -> list[float]:
        done = grade(potential, frames, "-f", "json")
        assert done.exit_code == 0, done.exception
        return [row["grade"] for row in json.loads(done.stdout)["rows"]]

    ase.io.write(tmp_path / "POSCAR", FRAMES[3], format="vasp")
    assert graded(tmp_path / "POSCAR") == pytest.approx([grades[3]], rel=1e-6)

    cfg = tmp_path / "frames.cfg"
    cfg.write_text(_cfg(FRAMES[4]))
    assert graded(cfg) == pytest.approx([grades[4]], rel=1e-4)

    positions = np.array([one.positions for one in FRAMES])
    cells = np.array([one.cell.array for one in FRAMES])
    write_trajectory(tmp_path / "trajectory.nc", [Trajectory(np.arange(5.0), positions, cells)])
    assert "does not hold the elements; put the topology.xyz" in error_of(potential, tmp_path / "trajectory.nc")
    ase.io.write(tmp_path / "topology.xyz", FRAMES[0], format="extxyz")
    assert graded(tmp_path / "trajectory.nc") == pytest.approx(grades, rel=1e-4)

    structure = Structure(
        asked=StructureAsked(builder="file", parameters={}),
        answer=StructureAnswer(
            name="salt", formula="Na4Cl4", elements=["Na", "Cl"], n_atoms=8, numbers=SALT.numbers,
            positions=positions[4], cell=cells[4], volume_A3=179.4, density_g_cm3=2.2,
        ),
    )  # fmt: skip
    assert graded(insert(database, structure)) == pytest.approx([grades[4]])
    files = {
        name: ArtifactReference(**database.artifacts.put(tmp_path / file, file))
        for name, file in (("trajectory", "trajectory.nc"), ("topology", "topology.xyz"), ("restart", "topology.xyz"))
    }
    run = Run(
        asked=RunAsked(program="lammps", settings={}),
        answer=RunAnswer(
            n_atoms=8, n_frames=5, frame_interval_ps=1.0, **files, thermo={}, thermo_units={}, mean_temperature_K=1.0,
            mean_pressure_bar=0.0, mean_volume_A3=1.0, mean_density_g_cm3=1.0, mean_stress_GPa=np.zeros((3, 3)),
            rotation=np.eye(3),
        ),
    )  # fmt: skip
    assert graded(insert(database, run)) == pytest.approx(grades, rel=1e-4)
    none = np.empty(0)
    watch = Extrapolation(
        steps=none, max_grades=none, atoms=none, n_selected=0, selected=None, stopped_at_step=-5, stopped="grade 12"
    )
    early = run.model_copy(
        update={
            "asked": RunAsked(program="lammps", settings={"seed": 2}),
            "answer": run.answer.model_copy(update={"n_frames": 0, "extrapolation": watch}),
        }
    )
    id_ = insert(database, early)
    assert error_of(potential, id_) == (
        f"{id_} has no frames, it ended in its equilibration (grade 12); give the selected.xyz that `lipsdb export "
        "files` writes for it, or another run"
    )


def _cfg(atoms: Atoms) -> str:
    """As the MLIP program writes it, without labels and without elements."""
    cell = "\n".join("  {} {} {}".format(*row) for row in atoms.cell.array)
    types = [["Na", "Cl"].index(symbol) for symbol in atoms.symbols]
    rows = "\n".join(f"  {i + 1} {t} {x} {y} {z}" for i, (t, (x, y, z)) in enumerate(zip(types, atoms.positions)))  # noqa: B905
    return (
        f"BEGIN_CFG\n Size\n  {len(atoms)}\n Supercell\n{cell}\n"
        f" AtomData:  id type cartes_x cartes_y cartes_z\n{rows}\nEND_CFG\n"
    )


def test_no_atom_stands_out_in_configuration_mode(database, frames_file, tmp_path: Path):
    rows = json.loads(
        grade(store(database, tmp_path, mode="configuration"), frames_file, "-f", "json", "--atoms").stdout
    )["rows"]
    assert {row["atom"] for row in rows} == {None}
    assert all(set(row["atom_grades"]) == {row["grade"]} for row in rows)
    assert min(row["grade"] for row in rows[3:]) > max(row["grade"] for row in rows[:3])


def test_what_cannot_be_graded_is_told_in_one_line(database, potential, frames_file, tmp_path: Path):
    without = store(database, tmp_path, mode=None)
    assert "no active set" in error_of(without, frames_file)
    assert "engine deepmd have no extrapolation grade" in error_of(
        store(database, tmp_path, "deepmd", None), frames_file
    )
    assert error_of("potential-ffff", frames_file).startswith("no document potential-ffff in this database")
    assert "has no frames of its own; give the id of a run" in error_of(potential, potential)

    ase.io.write(tmp_path / "kalium.extxyz", [SALT, bulk("KCl", "rocksalt", a=6.3, cubic=True)])
    assert error_of(potential, tmp_path / "kalium.extxyz") == (
        "frame 1 has K, but the potential knows Na Cl; leave such frames out"
    )
    ase.io.write(tmp_path / "molecule.xyz", Atoms("NaCl", [[0, 0, 0], [0, 0, 2.4]]))
    assert "frame 0 of molecule.xyz is not periodic" in error_of(potential, tmp_path / "molecule.xyz")
    (tmp_path / "text.xyz").write_text("no frames\n")
    assert "text.xyz is no file with frames that ASE or motep can read" in error_of(potential, tmp_path / "text.xyz")
    (tmp_path / "empty.cfg").write_text("")
    assert "empty.cfg" in error_of(potential, tmp_path / "empty.cfg")
    assert "nowhere.xyz is not a file; give one with frames" in error_of(potential, "nowhere.xyz")

    assert "give 0 < select ≤ break" in error_of(potential, frames_file, "--select", 20)
    assert "--atoms does not go with --format table" in error_of(potential, frames_file, "--atoms")
    assert "--selected needs --save FILE" in error_of(potential, frames_file, "--selected")
    assert "cannot be written" in error_of(potential, frames_file, "--save", tmp_path / "none" / "x.xyz")
    assert not list(tmp_path.glob("*.part"))
