"""A small graph of real documents, from the level of theory to properties, made by real launches."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from lipsdb.documents.base import ArtifactReference, Document, Input, MadeBy, now
from lipsdb.documents.campaign import Campaign, CampaignAnswer, CampaignAsked
from lipsdb.documents.dataset import Dataset, DatasetAnswer, DatasetAsked, DatasetSystem
from lipsdb.documents.label import Label, LabelAnswer, LabelAsked, LabelOrigin, geometry_digest
from lipsdb.documents.level_of_theory import LevelOfTheory, LevelOfTheoryAnswer, LevelOfTheoryAsked
from lipsdb.documents.potential import Parity, Potential, PotentialAnswer, PotentialAsked, SystemErrors
from lipsdb.documents.property import Property, PropertyAsked
from lipsdb.documents.run import Run, RunAnswer, RunAsked
from lipsdb.documents.structure import Structure, StructureAnswer, StructureAsked
from lipsdb.provenance.sealing import reference
from lipsdb.settings import Settings
from lipsdb.store.database import Database, connect

CAMPAIGN = "small"
# a program of its own (`test_mutations.py` runs it): its files import each other by name
collect_ignore = ["mutation.py", "mutations.py", "document_mutations.py", "launch_mutations.py"]


def made(activity: str, files: list[dict[str, Any]] | None = None, **launch: Any) -> MadeBy:
    times = {"started_at": now(), "finished_at": now(), "core_seconds": 1.5}
    programs = {"LAMMPS": "22 Jul 2025 - Update 2", "deepmd-kit": "3.2.0", "kinisi": "2.1.0"}
    versions = {"lipsdb": "0.1.0", "numpy": np.__version__, **programs}
    references = [ArtifactReference(**file) for file in files or []]
    known = {"host": "here", **times, **launch}
    return MadeBy(activity=activity, versions=versions, commit=None, executable="python", files=references, **known)


def link(role: str, document: Document) -> Input:
    return Input.of(role, reference(document.sealed(made("none"))))


def make_level(name: str = "disorder") -> LevelOfTheory:
    valences = {"Li": 3, "P": 5, "S": 6}
    kinds = {
        symbol: {
            "basis": "DZVP-MOLOPT-SR-GTH" if symbol == "Li" else "TZVP-MOLOPT-GTH", "basis_sha256": "a" * 64,
            "potential": f"GTH-PBE-q{valence}", "potential_sha256": "b" * 64, "valence": valence,
        }
        for symbol, valence in valences.items()
    }  # fmt: skip
    settings = {"functional": "PBE", "dispersion": None, "cutoff_Ry": 500.0, "rel_cutoff_Ry": 50.0, "kinds": kinds}
    settings |= {"ngrids": 4, "eps_default": 1e-12, "eps_scf": 1e-6}
    answer = LevelOfTheoryAnswer(how_known="set", reference="10.1038/s41467-025-56322-x", remarks="")
    return LevelOfTheory(asked=LevelOfTheoryAsked(name=name, code="cp2k", settings=settings), answer=answer)


LEVEL_LINK = link("level_of_theory", make_level())


def make_label(system: str, frame: int) -> Label:
    generator = np.random.default_rng([frame, len(system)])
    numbers, cell = np.array([3, 3, 3, 15, 16, 16, 16, 16], "i4"), np.diag([6.0, 6.5, 7.0])
    positions, forces = generator.random((8, 3)) * 6, generator.normal(size=(8, 3))
    origin = {"source": "test", "folder": system, "frame": frame, "trajectory": True, "iteration": None}
    geometry = geometry_digest(numbers, positions, cell)
    return Label(
        asked=LabelAsked(geometry=geometry, level_of_theory="disorder"),
        inputs=[LEVEL_LINK],
        answer=LabelAnswer(
            geometry=geometry, formula="Li3PS4", n_atoms=8, numbers=numbers, positions=positions, cell=cell,
            energy_eV=-100.0 - frame, forces=forces, virial=generator.normal(size=(3, 3)),
        ),
        origin=LabelOrigin(system=system, **origin, temperatures_K=[600.0], pressures_bar=[]),
    )  # fmt: skip


def make_dataset(labels: list[Label]) -> Dataset:
    held = np.arange(len(labels)) % 6 == 0
    counts = {"n_atoms": 8, "n_training": 5, "n_held": 1}
    systems = [DatasetSystem(system=name, **counts) for name in ("beta-Li3PS4", "gamma-Li3PS4")]
    totals = {"n_training": int((~held).sum()), "n_held": int(held.sum())}
    answer = DatasetAnswer(level_of_theory=["disorder"], held=held, systems=systems, **totals)
    links = sorted((link("label", label) for label in labels), key=lambda one: one.id)
    asked = DatasetAsked(held_fraction=0.2, block_length=2, seed=1, mixed_levels_of_theory=False)
    return Dataset(asked=asked, inputs=links, answer=answer)


def make_potential(database: Database, dataset: Dataset) -> Potential:
    pair, index = np.array([0.1, 0.2]), np.array([0, 1], "u2")
    measures = {"energy_mae_meV_per_atom": 1.0, "energy_rmse_meV_per_atom": 1.5, "energy_bias_meV_per_atom": -0.5}
    forces = {"force_mae_meV_per_A": 150.2, "force_rmse_meV_per_A": 200.0}
    virial = {"virial_mae_meV_per_atom": None, "virial_rmse_meV_per_atom": None}
    answer = PotentialAnswer(
        elements=["Li", "P", "S"], cutoff_A=6.0,
        model=ArtifactReference(**database.artifacts.put(np.random.default_rng(0).bytes(5000), "compressed.pb")),
        files=[ArtifactReference(**database.artifacts.put(np.random.default_rng(1).bytes(3000), "model.pb"))],
        learning_curve={"step": np.arange(5), "rmse": np.linspace(1, 0.1, 5)},
        errors=[SystemErrors(system="all", n_frames=2, n_force_components=48, **measures, **forces, **virial)],
        parity=Parity(
            system=["beta-Li3PS4", "gamma-Li3PS4"], system_index=index, energy_label=pair, energy_potential=pair,
            force_system_index=index, force_label=pair, force_potential=pair,
        ),
    )  # fmt: skip
    asked = PotentialAsked(engine="deepmd", settings={"cutoff_A": 6.0, "seed": 1, "stages": [{"steps": 100}]})
    return Potential(asked=asked, inputs=[link("dataset", dataset)], answer=answer)


def make_structure() -> Structure:
    numbers = np.array([3, 3, 3, 15, 16, 16, 16, 16], "i4")
    positions = np.random.default_rng(7).random((8, 3)) * 6
    size = {"volume_A3": 216.0, "density_g_cm3": 1.4, "n_atoms": 8}
    names = {"name": "beta-Li3PS4", "formula": "Li3PS4", "elements": ["Li", "P", "S"]}
    answer = StructureAnswer(**names, **size, numbers=numbers, positions=positions, cell=np.eye(3) * 6)
    return Structure(asked=StructureAsked(builder="crystal", parameters={"spacegroup": "Pnma"}), answer=answer)


def make_run(database: Database, structure: Structure, potential: Potential, seed: int) -> Run:
    def artifact(name: str) -> ArtifactReference:
        return ArtifactReference(**database.artifacts.put(f"{name} {seed} ".encode() * 300, name))

    settings = {"ensemble": "nvt", "temperature_K": 600.0, "pressure_bar": None, "seed": seed, "n_steps": 100}
    means = {"mean_temperature_K": 601.0, "mean_pressure_bar": 0.0, "mean_volume_A3": 216.0, "mean_density_g_cm3": 1.4}
    answer = RunAnswer(
        n_atoms=8, n_frames=11, frame_interval_ps=0.1, trajectory=artifact("trajectory.nc"),
        topology=artifact("topology.xyz"), restart=artifact("final.restart"),
        thermo={"Temp": np.full(3, 600.0 + seed)}, thermo_units={"Temp": "K"},
        mean_stress_GPa=np.zeros((3, 3)), rotation=np.eye(3), **means,
    )  # fmt: skip
    inputs = [link("structure", structure), link("potential", potential)]
    return Run(asked=RunAsked(program="lammps", settings=settings), inputs=inputs, answer=answer)


def make_diffusion(run: Run) -> Property:
    conditions = {"structure": "beta-Li3PS4", "temperature_K": 600.0, "seed": run.asked.settings["seed"]}
    answer = {"conditions": conditions, "species": "Li", "D_cm2_s": 1.25e-5, "D_std_cm2_s": 1e-6, "fickian": True}
    answer["msd"] = {"lag_ps": np.arange(4) * 0.1, "msd_A2": np.arange(4) ** 1.1}
    asked = PropertyAsked(property="diffusion", parameters={"species": "Li"})
    return Property(asked=asked, inputs=[link("run", run)], answer=answer)


def make_arrhenius(diffusion: list[Property]) -> Property:
    target = {"target_temperature_K": 300.0, "sigma_target_S_cm": 1e-4, "extrapolated": True}
    answer = {"conditions": {"structure": "beta-Li3PS4"}, "species": "Li", "Ea_eV": 0.25, "Ea_std_eV": 0.02, **target}
    asked = PropertyAsked(property="arrhenius", parameters={"extrapolate_to_K": 300.0})
    return Property(asked=asked, inputs=[link("diffusion", one) for one in diffusion], answer=answer)


def make_campaign(database: Database) -> Campaign:
    file = ArtifactReference(**database.artifacts.put(b"name: small\n", "small.yaml"))
    return Campaign(
        asked=CampaignAsked(name=CAMPAIGN, specification={"name": CAMPAIGN}), answer=CampaignAnswer(file=file)
    )


@dataclass
class Launcher:
    """FireWorks, as a worker uses it: real Fireworks and launches of `answer`, and jobflow's outputs."""

    database: Database
    folder: Path

    def __post_init__(self) -> None:
        from lipsdb.workflows.launchpad import initialise, launchpad

        self.pad = launchpad(self.database)
        initialise(self.pad, self.database)

    def submit(self, questions: dict[str, tuple[str, dict[str, Any]]], campaign: str | None = CAMPAIGN) -> list[int]:
        """Submit one workflow for documents: what is asked (kind and parameters) by id."""
        from fireworks import Workflow
        from jobflow.managers.fireworks import job_to_firework

        from lipsdb.workflows.answering import answer
        from lipsdb.workflows.jobstore import job_store

        fireworks = []
        for id_, (kind, asked) in questions.items():
            job = answer(kind, asked, [], "lipsdb.workflows.runs:work", {}, [campaign] if campaign else [])
            job.name = f"{kind} hot 600 K"
            job.metadata.update({"document": id_, "campaigns": [campaign] if campaign else [], "size": 1.0})
            fireworks.append(job_to_firework(job, store=job_store()))
        metadata: dict[str, Any] = {}
        if campaign is not None:
            known = self.database.collection("campaigns").find_one({"asked.name": campaign})
            metadata = {"campaign": campaign, "campaign_id": (known or {})["_id"]}
        return sorted(self.pad.add_wf(Workflow(fireworks, metadata=metadata)).values())

    def start(self, fw_id: int) -> dict[str, Any]:
        """Check a Firework out; what documents made in this launch say of it."""
        from fireworks import FWorker

        firework, launch_id = self.pad.checkout_fw(FWorker(), str(self.folder), fw_id=fw_id)
        launch = self.database.collection("launches").find_one({"launch_id": launch_id}) or {}
        return {
            "fw_id": fw_id, "launch_id": launch_id, "launchpad": self.database.identifier, "host": launch["host"],
            "job_uuid": firework.tasks[0]["job"].uuid, "started_at": now(), "finished_at": now(),
        }  # fmt: skip

    def end(self, place: dict[str, Any], output: dict[str, str] | None, state: str = "COMPLETED") -> None:
        """Complete the launch, after the job's output was stored."""
        from fireworks import FWAction

        if output is not None:
            entry = {"uuid": place["job_uuid"], "index": 1, "output": output, "metadata": {"fw_id": place["fw_id"]}}
            self.database.collection("job_outputs").insert_one(entry)
        self.pad.complete_launch(place["launch_id"], FWAction(), state=state)

    def make(self, documents: list[Document], files: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Answer questions, each by the launch of a Firework; the sealed documents, not stored."""
        by_id = {one.sealed(made("none"))["_id"]: one for one in documents}
        numbers = self.submit({id_: (one.kind, one.asked.model_dump()) for id_, one in by_id.items()})
        entries = self.database.collection("fireworks").find({"fw_id": {"$in": numbers}})
        places = {entry["spec"]["document"]: self.start(entry["fw_id"]) for entry in entries}
        sealed = []
        for id_, one in by_id.items():
            sealed.append(one.sealed(made("work", files if one.kind == "run" else [], **places[id_]), [CAMPAIGN]))
            self.end(places[id_], reference(sealed[-1]))
        return sealed


@dataclass
class Graph:
    """The documents as they were stored, and the way back to them."""

    database: Database
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    _snapshot: dict[str, list[Any]] = field(default_factory=dict)

    def of_kind(self, kind: str) -> list[str]:
        return sorted(id_ for id_ in self.documents if id_.startswith(f"{kind}-"))

    def downstream(self, id_: str) -> set[str]:
        """Everything made from it, by plain recursion over the documents as they were stored."""
        direct = {one for one, stored in self.documents.items() if id_ in [link["id"] for link in stored["inputs"]]}
        return direct.union(*(self.downstream(one) for one in direct))

    def downstream_of_artifact(self, sha256: str) -> set[str]:
        naming = {
            id_ for id_, stored in self.documents.items() if sha256 in repr((stored["answer"], stored["made_by"]))
        }
        return naming.union(*(self.downstream(one) for one in naming))

    def _raw(self, name: str) -> Any:
        """A collection whose documents are read as bytes, whatever was done to them."""
        options = CodecOptions(document_class=RawBSONDocument)
        return self.database.mongo.get_collection(name, codec_options=options)

    def remember(self) -> None:
        names = [name for name in self.database.mongo.list_collection_names() if not name.startswith("system.")]
        self._snapshot = {name: list(self._raw(name).find()) for name in names}

    def restore(self) -> None:
        for name in self.database.mongo.list_collection_names():
            collection, stored = self._raw(name), self._snapshot.get(name, [])
            if [one.raw for one in collection.find()] != [one.raw for one in stored]:
                collection.delete_many({})
                if stored:
                    collection.insert_many(stored, bypass_document_validation=True)


def build(database: Database, folder: Path) -> Graph:
    labels = [make_label(system, frame) for system in ("beta-Li3PS4", "gamma-Li3PS4") for frame in range(6)]
    dataset = make_dataset(labels)
    potential, structure = make_potential(database, dataset), make_structure()
    runs = [make_run(database, structure, potential, seed) for seed in (1, 2)]
    diffusion = [make_diffusion(run) for run in runs]
    computed = [dataset, potential, structure, *runs, *diffusion, make_arrhenius(diffusion)]
    campaign = make_campaign(database).sealed(made("submit"), [CAMPAIGN])
    database.insert(campaign)
    log = database.artifacts.put(b"LAMMPS log\n" * 50, "log.lammps")
    graph = Graph(database)
    sealed = [one.sealed(made("ingest"), []) for one in (make_level(), *labels)]
    sealed += Launcher(database, folder).make(computed, [log])
    for document in sealed:
        database.insert(document)
    sealed.append(campaign)
    graph.documents = {document["_id"]: document for document in sealed}
    graph.remember()
    return graph


@pytest.fixture(scope="module")
def whole_graph(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    folder = tmp_path_factory.mktemp("launches")
    settings = Settings(mongo_uri=mongo_uri, database=f"test-{uuid.uuid4().hex}", home=folder / ".lipsdb")
    database = connect(settings)
    yield build(database, folder)
    database.client.drop_database(settings.database)
    database.client.close()


@pytest.fixture
def graph(whole_graph: Graph) -> Iterator[Graph]:
    """The graph, undamaged; whatever a test does to it is undone."""
    yield whole_graph
    whole_graph.restore()


@pytest.fixture
def launcher(graph: Graph, tmp_path: Path) -> Launcher:
    """FireWorks on the graph's database."""
    return Launcher(graph.database, tmp_path)


@pytest.fixture
def labels() -> Callable[[int], list[Label]]:
    """So many labels, not stored."""
    return lambda number: [make_label("beta-Li3PS4", frame) for frame in range(number)]


@pytest.fixture
def level() -> LevelOfTheory:
    """The level of theory of those labels, not stored."""
    return make_level()


@pytest.fixture
def dataset_of() -> Callable[[list[Label]], Dataset]:
    """A dataset of labels, not stored."""
    return make_dataset


@pytest.fixture
def record() -> Callable[..., MadeBy]:
    """The record of who made a document."""
    return made
