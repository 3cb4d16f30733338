"""A made-up campaign of any size, shaped as real ones are: documents sealed as real ones, with small arrays.

Four studies, each at its own level of theory, each with ten generations of active learning: the labels of generation 0
are data sets that were read in; those of later ones come from MD runs with the potential before. Datasets are nested
and grow to their full size; each trains a potential, whose errors on labels are measured. The last potentials make the
production runs, with a diffusion coefficient and a coordination number each, and an Arrhenius fit for six of them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from lipsdb.documents.base import MadeBy
from lipsdb.provenance.canonical import Encoded
from lipsdb.provenance.sealing import encoded_made_by, reference, seal
from lipsdb.store.database import Database

STUDIES, GENERATIONS, PER_RUN, PER_FIT, TESTED = 4, 10, 30, 6, 2000
SYSTEMS = ["beta-Li3PS4", "gamma-Li3PS4", "Li7P3S11", "Li7PS6", "Li2S", "P2S5", "glass-67", "glass-70", "glass-75"]
VERSIONS = {
    "ingest": ("lipsdb", ["0.1.0", "0.2.0"]),
    "dft": ("CP2K", ["2023.1", "2024.3"]),
    "md": ("LAMMPS", ["2 Aug 2023", "29 Aug 2024", "22 Jul 2025"]),
    "train": ("deepmd-kit", ["3.1.0", "3.2.0"]),
    "analysis": ("kinisi", ["2.1.0"]),
    "build": ("pymatgen", ["2026.10.1"]),
}
HOSTS = [f"node{index:02d}" for index in range(12)]
TIME = datetime(2026, 11, 1, tzinfo=UTC)
BATCH = 2000
FILE = {"sha256": "0" * 64, "size": 1, "name": "made-up"}

Reference = dict[str, str]


@dataclass
class MadeUpCampaign:
    """A database that is filled."""

    database: Database
    documents: int
    full_dataset: int = 60_000
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))
    written: int = 0
    waiting: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    records: dict[tuple[str, int], Encoded] = field(default_factory=dict)

    def fill(self) -> None:
        """Make all documents."""
        vectors = np.round(self.rng.normal(size=(8, 3)), 6)
        self.vectors, self.cell = Encoded.of(vectors), Encoded.of(np.eye(3) * 6.5)
        self.numbers = Encoded.of(np.array([3, 3, 3, 15, 16, 16, 16, 16], "i4"))
        structures = [self._structure(index) for index in range(max(STUDIES, self.documents // 1000))]
        for study in range(STUDIES):
            self._study(study, structures)
        for kind in list(self.waiting):
            self._store(kind)

    def _study(self, study: int, structures: Sequence[Reference]) -> None:
        campaign, n_labels = [f"study-{study}"], int(0.9 * self.documents / STUDIES)
        level = self._level(study)
        pool = [self._label(level, study, index, None, []) for index in range(int(0.6 * n_labels))]
        explored = (n_labels - len(pool)) // (GENERATIONS - 1)
        full, chosen, potentials = min(self.full_dataset, n_labels // 2), [], []
        for generation in range(GENERATIONS):
            if generation:
                pool = self._explored(level, study, generation, potentials[-1], structures, explored)
            wanted = full * (generation + 1) // GENERATIONS - len(chosen)
            chosen = chosen + [pool[index] for index in self.rng.permutation(len(pool))[:wanted]]
            potentials.append(self._trained(study, generation, chosen, campaign))
            self._tested(potentials[-1], [pool[index] for index in self.rng.permutation(len(pool))[:TESTED]], campaign)
        fitted: list[Reference] = []
        for index in range(int(0.03 * self.documents / STUDIES)):
            temperature = 500.0 + index % PER_FIT * 100
            structure = structures[index // PER_FIT % len(structures)]
            run = self._run(structure, potentials[-1 - index % 3], index, temperature, campaign)
            fitted.append(self._diffusion(run, temperature, campaign))
            self._coordination(run, temperature, campaign)
            if len(fitted) == PER_FIT:
                self._arrhenius(fitted, campaign)
                fitted = []

    # ---------------------------------------------------------------- documents

    def _put(self, kind: str, asked: Any, links: list[dict[str, str]], answer: Any, activity: str, campaigns: list[str], origin: Any = None) -> Reference:  # fmt: skip # noqa: E501
        self.written += 1
        choice = int(self.rng.integers(len(HOSTS) * len(VERSIONS[activity][1])))
        document = seal(kind, asked, links, answer, self._made_by(activity, choice), campaigns, origin)
        waiting = self.waiting.setdefault(kind, [])
        waiting.append(document)
        if len(waiting) >= (1 if kind == "dataset" else BATCH):
            self._store(kind)
        return reference(document)

    def _store(self, kind: str) -> None:
        self.database.insert_many(self.waiting.pop(kind))
        if sys.stderr.isatty():
            print(f"\r{self.written} documents", end="", file=sys.stderr)

    def _made_by(self, activity: str, choice: int) -> Encoded:
        if (activity, choice) not in self.records:
            program, versions = VERSIONS[activity]
            host, version = HOSTS[choice % len(HOSTS)], versions[choice // len(HOSTS)]
            record = MadeBy(
                activity=activity, versions={"lipsdb": "0.2.0", "python": "3.11.2", program: version}, commit=None,
                executable="python", host=host, started_at=TIME, finished_at=TIME, core_seconds=1.0,
            )  # fmt: skip
            self.records[activity, choice] = encoded_made_by(record.model_dump())
        return self.records[activity, choice]

    def _level(self, study: int) -> Reference:
        asked = {"name": f"level-{study}", "code": "cp2k", "settings": {"functional": "PBE", "cutoff_Ry": 500.0}}
        answer = {"how_known": "set", "reference": None, "remarks": "made up"}
        return self._put("level_of_theory", asked, [], answer, "ingest", [])

    def _structure(self, index: int) -> Reference:
        asked = {"builder": "crystal", "parameters": {"number": index}}
        answer = {"name": SYSTEMS[index % len(SYSTEMS)], "formula": "Li3PS4", "elements": ["Li", "P", "S"]}
        answer |= {"n_atoms": 8, "volume_A3": 274.6, "density_g_cm3": 1.1}
        parts = {key: Encoded.of(value) for key, value in answer.items()}
        parts |= {"numbers": self.numbers, "positions": self.vectors, "cell": self.cell}
        return self._put("structure", asked, [], Encoded.mapping(parts), "build", [])

    def _label(self, level: Reference, study: int, index: int, generation: int | None, links: list[dict[str, str]]) -> Reference:  # fmt: skip # noqa: E501
        geometry = Encoded.of(self.rng.bytes(16).hex())
        asked = {"geometry": geometry, "frame": Encoded.of(None), "repeat": Encoded.of(0)}
        asked["level_of_theory"] = Encoded.of(f"level-{study}")
        answer = {"geometry": geometry, "formula": Encoded.of("Li3PS4"), "n_atoms": Encoded.of(8)}
        answer |= {"numbers": self.numbers, "positions": self.vectors, "forces": self.vectors}
        answer |= {"cell": self.cell, "virial": self.cell, "energy_eV": Encoded.of(float(self.rng.normal(-200, 1)))}
        system = SYSTEMS[index // 950 % len(SYSTEMS)]
        folder = f"study{study}/{system}/{600 + index // 950 % 7 * 200}K" if generation is None else "run"
        origin = {"system": system, "source": f"10.0000/{study}", "folder": folder, "frame": index % 950}
        origin |= {"trajectory": True, "iteration": generation, "temperatures_K": [600.0], "pressures_bar": []}
        links = [{"role": "level_of_theory", **level}, *links]
        activity = "ingest" if generation is None else "dft"
        return self._put("label", Encoded.mapping(asked), links, Encoded.mapping(answer), activity, [], origin)

    def _explored(self, level: Reference, study: int, generation: int, potential: Reference, structures: Sequence[Reference], number: int) -> list[Reference]:  # fmt: skip # noqa: E501
        labels: list[Reference] = []
        while len(labels) < number:
            structure = structures[int(self.rng.integers(len(structures)))]
            run = self._run(structure, potential, len(labels) + generation, 900.0, [f"study-{study}"])
            links = [{"role": "run", **run}]
            start, several = len(labels), min(PER_RUN, number - len(labels))
            labels += [self._label(level, study, start + index, generation, links) for index in range(several)]
        return labels

    def _trained(self, study: int, generation: int, labels: Sequence[Reference], campaigns: list[str]) -> Reference:
        links = [{"role": "label", **label} for label in sorted(labels, key=lambda one: one["id"])]
        held = np.arange(len(links)) % 10 == 0
        counts = {"n_training": int((~held).sum()), "n_held": int(held.sum())}
        systems = [{"system": name, "n_atoms": 8, "n_training": 0, "n_held": 0} for name in SYSTEMS]
        answer = {"level_of_theory": [f"level-{study}"], "held": held, "systems": systems, **counts}
        asked = {"held_fraction": 0.1, "block_length": 10, "seed": generation, "mixed_levels_of_theory": False}
        dataset = self._put("dataset", asked, links, answer, "analysis", campaigns)
        asked = {"engine": "deepmd", "settings": {"cutoff_A": 6.0, "seed": generation}}
        errors = [{"system": "all", "force_mae_meV_per_A": 80.0 - generation}]
        answer = {"elements": ["Li", "P", "S"], "cutoff_A": 6.0, "model": FILE, "files": [], "learning_curve": {}}
        answer |= {"errors": errors, "parity": {"study": study}}
        return self._put("potential", asked, [{"role": "dataset", **dataset}], answer, "train", campaigns)

    def _tested(self, potential: Reference, labels: Sequence[Reference], campaigns: list[str]) -> None:
        links = [{"role": "potential", **potential}, *({"role": "label", **label} for label in labels)]
        errors = [{"system": "all", "energy_mae_meV_per_atom": 2.0, "force_mae_meV_per_A": 90.0}]
        answer = {"conditions": {}, "errors": errors, "n_labels": len(labels)}
        self._put("property", {"property": "prediction_errors", "parameters": {}}, links, answer, "analysis", campaigns)

    def _run(self, structure: Reference, potential: Reference, seed: int, temperature: float, campaigns: list[str]) -> Reference:  # fmt: skip # noqa: E501
        settings = {"ensemble": "nvt", "temperature_K": temperature, "pressure_bar": None, "seed": seed}
        answer = {"n_atoms": 8, "n_frames": 1001, "frame_interval_ps": 0.1, "topology": FILE, "restart": FILE}
        answer |= {"trajectory": {**FILE, "sha256": self.rng.bytes(32).hex()}, "thermo_units": {"Temp": "K"}}
        answer |= {"thermo": {"Temp": self.rng.normal(temperature, 10, 200)}, "mean_temperature_K": temperature}
        answer |= {"mean_pressure_bar": 0.0, "mean_volume_A3": 274.6, "mean_density_g_cm3": 1.1}
        answer |= {"mean_stress_GPa": np.zeros((3, 3)), "rotation": np.eye(3)}
        links = [{"role": "structure", **structure}, {"role": "potential", **potential}]
        return self._put("run", {"program": "lammps", "settings": settings}, links, answer, "md", campaigns)

    def _diffusion(self, run: Reference, temperature: float, campaigns: list[str]) -> Reference:
        value = float(10 ** -self.rng.uniform(4, 6))
        answer = {"conditions": {"temperature_K": temperature}, "species": "Li", "D_cm2_s": value}
        answer |= {"D_std_cm2_s": 0.1 * value, "msd": {"msd_A2": self.rng.random(50)}}
        asked = {"property": "diffusion", "parameters": {"species": "Li"}}
        return self._put("property", asked, [{"role": "run", **run}], answer, "analysis", campaigns)

    def _coordination(self, run: Reference, temperature: float, campaigns: list[str]) -> None:
        answer = {"conditions": {"temperature_K": temperature}, "centre": "P", "neighbour": "S", "mean": 4.0}
        asked = {"property": "coordination", "parameters": {"pair": "P-S"}}
        self._put("property", asked, [{"role": "run", **run}], answer, "analysis", campaigns)

    def _arrhenius(self, diffusion: Sequence[Reference], campaigns: list[str]) -> None:
        answer = {"conditions": {}, "species": "Li", "Ea_eV": float(self.rng.uniform(0.2, 0.5)), "Ea_std_eV": 0.02}
        answer |= {"target_temperature_K": 300.0, "sigma_target_S_cm": 1e-4, "extrapolated": True}
        asked = {"property": "arrhenius", "parameters": {"extrapolate_to_K": 300.0}}
        links = [{"role": "diffusion", **one} for one in diffusion]
        self._put("property", asked, links, answer, "analysis", campaigns)
