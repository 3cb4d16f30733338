"""A campaign small enough to run for real in a test, and a stand-in for VASP."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from lipsdb.campaigns.properties import Property
from lipsdb.documents.base import ArtifactReference, Input
from lipsdb.documents.run import Run, RunAnswer, RunAsked
from lipsdb.provenance.canonical import decoded
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.settings import Settings
from lipsdb.store.database import Database
from lipsdb.workflows.answering import answer
from lipsdb.workflows.properties import RunPropertyMaker
from lipsdb.workflows.structure import StructureMaker

VASP_STAND_IN = Path(__file__).parents[1] / "dft" / "vasp" / "vasp_stand_in.py"
REAL_TRAJECTORY = Path(__file__).parents[1] / "data" / "beta-Li3PS4-750K"
QUICKSTART = Path(__file__).parents[2] / "campaigns" / "quickstart.yaml"


@pytest.fixture
def small_campaign(tmp_path: Path) -> Callable[..., Path]:
    """Write the quickstart, cut down to one potential; keyword arguments replace entries of its MD."""

    def write(name: str = "small", potential: str = "mtp-12", **md: object) -> Path:
        yaml = YAML()
        content = yaml.load(QUICKSTART.read_text())
        content["name"] = name
        content["structures"]["beta-Li3PS4"]["supercell"] = [1, 1, 1]
        adopted = QUICKSTART.parent / content["potentials"][potential]["adopt"]
        content["potentials"] = {potential: {"adopt": str(adopted)}}
        del content["labels"], content["md"]["hot-mtp"]
        # tests of potentials are tested on their own
        content["properties"] = {
            key: value
            for key, value in content["properties"].items()
            if not key.endswith("-mtp") and value["kind"] != "prediction_errors"
        }
        content["tables"].remove("prediction_errors")
        content["md"]["hot"] |= {
            "potential": potential,
            "temperatures_K": [800, 1000, 1200],
            "seeds": [1],
            "equilibration_ps": 0.2,
            "production_ps": 2,
            "dump_interval_fs": 20,
            "thermo_interval_fs": 20,
            "checkpoint_ps": 0.2,
        } | md
        path = tmp_path / f"{name}.yaml"
        with path.open("w") as stream:
            yaml.dump(content, stream)
        return path

    return write


@pytest.fixture
def vasp(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for VASP as the worker's command, and made-up PAW data sets of Li, P and S."""
    potcars = tmp_path / "potcars"
    runpy.run_path(str(VASP_STAND_IN))["write_potcars"](potcars)
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(potcars))
    monkeypatch.setenv("LIPSDB_VASP_COMMAND", f"{sys.executable} {VASP_STAND_IN} tight")


@pytest.fixture
def lennard_jones_labels(tmp_path: Path) -> Path:
    """Folder with 24 frames of a Li-S rock-salt crystal of 8 atoms, labelled with a Lennard-Jones potential."""
    from ase import Atoms
    from ase.calculators.lj import LennardJones

    rng = np.random.default_rng(0)
    atoms = Atoms(["Li", "S"] * 4, cell=[5.0] * 3, pbc=True)
    sites = [[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0], [0.5, 0, 0.5], [0, 0, 0.5], [0, 0.5, 0.5], [0.5] * 3]
    arrays: dict[str, list[np.ndarray]] = {name: [] for name in ("coord", "box", "energy", "force", "virial")}
    for _ in range(24):
        atoms.set_scaled_positions(sites)
        atoms.positions += rng.normal(0, 0.1, (8, 3))
        atoms.calc = LennardJones(sigma=2.2, epsilon=0.5, rc=4.0)
        arrays["coord"].append(atoms.positions.ravel().copy())
        arrays["box"].append(atoms.cell.array.ravel())
        arrays["energy"].append(atoms.get_potential_energy())
        arrays["force"].append(atoms.get_forces().ravel())
        arrays["virial"].append((-atoms.get_volume() * atoms.get_stress(voigt=False)).ravel())
    folder = tmp_path / "labels" / "crystal"
    (folder / "set.000").mkdir(parents=True)
    for name, column in arrays.items():
        np.save(folder / "set.000" / f"{name}.npy", np.array(column))
    (folder / "type_map.raw").write_text("Li S")
    (folder / "type.raw").write_text("0 1 " * 4)
    return folder.parent


@pytest.fixture
def real_run(database: Database) -> dict[str, str]:
    """A stored run with a real trajectory: β-Li3PS4, 128 atoms, NVT at 750 K, 401 frames in 20 ps."""
    return _store_run(database, "beta-Li3PS4", REAL_TRAJECTORY)


@pytest.fixture
def stored_run(database: Database, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Store a run with a made-up trajectory: positions (n_frames, n_atoms, 3) and cell (of all frames or each) in Å,
    symbols, interval in ps; keyword arguments replace its settings.
    """
    from ase import Atoms
    from ase.io import write

    from lipsdb.md.trajectory import Trajectory, write_trajectory

    def store(
        positions: np.ndarray, cell: np.ndarray, symbols: list[str], interval_ps: float, **settings: object
    ) -> dict[str, str]:
        n_frames, n_atoms, _ = positions.shape
        cells = np.broadcast_to(cell, (n_frames, 3, 3))
        write_trajectory(
            tmp_path / "trajectory.nc", [Trajectory(interval_ps * np.arange(n_frames), positions, np.array(cells))]
        )
        edge = np.arange(np.ceil(n_atoms ** (1 / 3)))
        places = np.stack(np.meshgrid(edge, edge, edge), axis=-1).reshape(-1, 3)[:n_atoms] / len(edge)
        write(tmp_path / "topology.xyz", Atoms(symbols, scaled_positions=places, cell=cells[0], pbc=True))
        return _store_run(database, "made-up", tmp_path, **settings)

    return store


def _store_run(database: Database, name: str, folder: Path, **changed: object) -> dict[str, str]:
    from lipsdb.md.trajectory import read_trajectory

    frames = read_trajectory(folder / "trajectory.nc")
    job = StructureMaker(name, {"file": str(folder / "topology.xyz")}).make()
    links = [
        Input.of("structure", answer.original(*job.function_args)),
        Input(role="potential", collection="potentials", id=f"potential-{24 * '0'}", content=64 * "0"),
    ]
    database.note_external([links[1].model_dump()])
    files = {
        name: ArtifactReference(**database.artifacts.put(folder / file, file))
        for name, file in (("trajectory", "trajectory.nc"), ("topology", "topology.xyz"), ("restart", "topology.xyz"))
    }
    (n, n_atoms, _), volume = frames.positions.shape, float(np.linalg.det(frames.cell[0]))
    interval_ps = round(float(frames.time[1] - frames.time[0]), 6)
    settings = {"temperature_K": 750.0, "seed": 1, "ensemble": "nvt", "pressure_bar": None} | changed
    document = Run(
        asked=RunAsked(program="lammps", settings={**settings, "dump_interval": 25, "thermo_interval": 25}),
        inputs=links,
        answer=RunAnswer(
            n_atoms=n_atoms, n_frames=n, frame_interval_ps=interval_ps, **files, thermo={"step": 25 * np.arange(n)},
            thermo_units={"step": "1"}, mean_temperature_K=750.0, mean_pressure_bar=0.0, mean_volume_A3=volume,
            mean_density_g_cm3=1.9, mean_stress_GPa=np.zeros((3, 3)), rotation=np.eye(3),
        ),
    )  # fmt: skip
    return database.insert(document.sealed(Stopwatch("run_md").made_by(versions_of())))


@pytest.fixture
def measured(database: Database) -> Callable[..., dict[str, Any]]:
    """Ask for a property of a run, as a campaign file would, and answer; gives the stored document, arrays decoded."""

    def measure(kind: str, run: dict[str, str], **settings: Any) -> dict[str, Any]:
        wanted = TypeAdapter(Property).validate_python({"kind": kind, "of": "md", **settings})
        job = RunPropertyMaker(kind, wanted.kind, wanted.parameters()).make(run)
        return decoded(database.find(answer.original(*job.function_args)["id"]))

    return measure
