"""Sealed documents with numbers that were worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from lipsdb.documents.run import RunAnswer
from lipsdb.documents.structure import StructureAnswer
from lipsdb.provenance.sealing import reference, seal
from lipsdb.store.database import Database

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class Author:
    """Writes sealed documents into a database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = START

    def put(
        self,
        kind: str,
        asked: Any,
        answer: Any,
        links: Sequence[dict[str, str]] = (),
        campaigns: Sequence[str] = (),
        origin: Any = None,
        **made: Any,
    ) -> dict[str, str]:
        self.clock += timedelta(seconds=10)
        made_by = {
            "activity": "test",
            "versions": {},
            "commit": None,
            "executable": "python",
            "host": "here",
            "started_at": self.clock - timedelta(seconds=5),
            "finished_at": self.clock,
            "core_seconds": 5.0,
            "rates": {},
            "files": [],
            "fw_id": None,
            "launch_id": None,
            "job_uuid": None,
            "launchpad": None,
        }
        document = seal(kind, asked, links, answer, made_by | made, campaigns, origin)
        self.database.insert(document)
        return reference(document)

    def campaign(self, name: str, published: Sequence[dict[str, Any]] = (), version: int = 1) -> None:
        specification = {"name": name, "published": list(published), "version": version}
        self.put("campaign", {"name": name, "specification": specification}, {"file": {}}, campaigns=[name])

    def diffusion(
        self,
        temperature: float,
        seed: int,
        D: float,
        campaigns: Sequence[str] = (),
        links: Sequence[dict[str, str]] = (),
        **changes: Any,
    ) -> dict[str, str]:
        answer = {
            "conditions": conditions()
            | {"temperature_K": temperature, "seed": seed, "length_ps": 20.0, "run_id": "run-1"},
            "species": "Li",
            "charge_e": 1.0,
            "D_cm2_s": D,
            "D_std_cm2_s": D / 10,
            "D_interval_95_cm2_s": [0.8 * D, 1.2 * D],
            "sigma_S_cm": 1e4 * D,
            "sigma_std_S_cm": 1e3 * D,
            "fit_start_ps": 1.0,
            "fit_stop_ps": 10.0,
            "intercept_A2": 0.2,
            "loglog_slope": 0.98,
            "fickian": True,
            "window_found": True,
            "framework_msd_A2": 0.5,
            "method": "kinisi",
            "msd": {"lag_ps": np.arange(3.0), "msd_A2": np.arange(3.0)},
        }
        asked = {"property": "diffusion", "parameters": {"T": temperature, "seed": seed, **changes}}
        return self.put("property", asked, answer | changes, links, campaigns)

    def arrhenius(
        self, sources: Sequence[dict[str, str]], campaigns: Sequence[str] = (), **changes: Any
    ) -> dict[str, str]:
        answer = {
            "conditions": conditions(),
            "species": "Li",
            "charge_e": 1.0,
            "points": [point(600.0, 1e-5, 1e-6, True), point(800.0, 4e-5, 2e-6, False)],
            "Ea_eV": 0.3014,
            "Ea_std_eV": 0.0236,
            "ln_D0_cm2_s": -6.0,
            "ln_D0_std": 0.4,
            "covariance": np.array([[0.16, 0.009], [0.009, 0.000557]]),
            "chi2": 3.0,
            "degrees_of_freedom": 1,
            "birge_ratio": 3.0**0.5,
            "excluded": [{"temperature": 400.0, "diffusion": 1e-9, "reason": "too few jumps"}],
            "target_temperature_K": 300.0,
            "extrapolated": True,
            "D_target_cm2_s": 2.2e-8,
            "D_target_68_cm2_s": [1.1e-8, 4.4e-8],
            "sigma_target_S_cm": 2.5e-3,
            "sigma_target_68_S_cm": [1.2e-3, 5.1e-3],
            "sigma_target_95_S_cm": [6.0e-4, 1.04e-2],
            "fickian": False,
        }
        links = [{"role": "diffusion", **source} for source in sources]
        asked = {"property": "arrhenius", "parameters": {"extrapolate_to_K": 300.0}}
        return self.put("property", asked, answer | changes, links, campaigns)

    def coordination(self, campaigns: Sequence[str] = ()) -> dict[str, str]:
        answer = {
            "conditions": conditions() | {"temperature_K": 600.0, "seed": 1, "run_id": "run-1"},
            "centre": "P",
            "neighbour": "S",
            "mean": 3.99,
            "fractions": {"4": 0.99, "3": 0.00999, "10": 0.00001},
            "mean_by_frame": np.array([4.0]),
        }
        parameters = {"centre": "P", "neighbour": "S", "cutoff_A": 2.8}
        return self.put("property", {"property": "coordination", "parameters": parameters}, answer, (), campaigns)

    def descriptor(self, kind: str, fields: Mapping[str, type], campaigns: Sequence[str] = ()) -> dict[str, str]:
        """A property with one row for its table: 'made up' and 1 in all fields."""
        row = {name: "made up" if type_ is str else type_(1) for name, type_ in fields.items()}
        known = conditions() | {"temperature_K": 600.0, "seed": 1, "run_id": "run-1"}
        answer = {"conditions": known, "summary": [row]}
        return self.put("property", {"property": kind, "parameters": {}}, answer, (), campaigns)

    def classifier(
        self,
        runs: Sequence[dict[str, str]],
        campaigns: Sequence[str] = (),
        group_by: str = "ion",
        *,
        balance: bool = True,
        **answer: Any,
    ) -> dict[str, str]:
        """A classifier of two bins, trained on runs at 600 K: 3 of 4 samples are classified rightly."""
        found = {"n_samples": 400, "n_groups": 12, "accuracy": 0.75, "accuracy_low": 0.7, "accuracy_high": 0.8}
        found |= {"balanced_accuracy": 0.74, "roc_auc": 0.82, "majority": 0.55}
        features = {"centre": "Li", "neighbours": ["S"], "cutoff_A": 4.0, "spacing_A": 2.0, "smearing_A": 0.0}
        of_run = {"structure": "beta", "temperature_K": 600.0, "n_ions": 48, "n_blocks": 4, "mean_D_cum_A": 12.0}
        of_runs = [{"run_id": run["id"], "seed": n, **of_run, "hopping_fraction": 0.5} for n, run in enumerate(runs, 1)]
        arrays = {"mean": np.ones(2), "std": np.ones(2), "weights": np.array([1.0, -1.0]), "bias": 0.0}
        labels = {"immobile_below_A": 12.0, "hopping_from_A": 12.0, "regularisation_C": 0.1}
        counts = {"n_samples": 1600, "n_left_out": 0, "grid": [], "runs": of_runs}
        whole = {"features": features, **arrays, **labels, **counts, "train": found, "test": found} | answer
        asked = {"method": "softness", "settings": {"group_by": group_by, "balance": balance}}
        return self.put("classifier", asked, whole, [{"role": "run", **run} for run in runs], campaigns)

    def level(self, name: str, how_known: str = "named", code: str | None = None, **settings: Any) -> dict[str, str]:
        """Store a level of theory, once; the link of a label to it."""
        stored = self.database.collection("levels_of_theory").find_one({"asked.name": name})
        if stored is not None:
            return {"role": "level_of_theory", **reference(stored)}
        answer = {"how_known": how_known, "reference": None, "remarks": ""}
        made = self.put("level_of_theory", {"name": name, "code": code, "settings": settings}, answer)
        return {"role": "level_of_theory", **made}

    def computed(
        self,
        frame: int,
        level: str,
        energy: float,
        forces: np.ndarray,
        virial: np.ndarray | None = None,
        repeat: int = 0,
        campaigns: Sequence[str] = (),
        source: str = "cp2k",
        **made: Any,
    ) -> dict[str, str]:
        """A label of a configuration of two atoms in a cell of 1000 Å³: computed, or ingested if `made` says so."""
        ingested, geometry = made.get("activity") == "ingest", f"{frame:032d}"
        asked = {"geometry": geometry if ingested else None, "frame": None, "level_of_theory": level, "repeat": repeat}
        arrays = {"numbers": np.array([3, 16]), "positions": np.zeros((2, 3)), "cell": 10.0 * np.eye(3)}
        answer = {"geometry": geometry, "formula": "LiS", "n_atoms": 2, "energy_eV": energy, "forces": forces}
        answer |= {"virial": virial, **arrays}
        origin = {"system": "Li2S", "source": source, "folder": "3000K" if ingested else "", "frame": frame}
        origin |= {"trajectory": False, "iteration": None, "temperatures_K": [], "pressures_bar": []}
        links = [self.level(level)]
        if not ingested:
            links.append({"role": "structure", "collection": "structures", "id": f"structure-{frame:024d}"})
            links[-1]["content"] = "0" * 64
        return self.put("label", asked, answer, links, campaigns, origin, **made)

    def refusal(
        self, level: str, frame: int, campaigns: Sequence[str] = (), source: str = "cp2k", **made: Any
    ) -> dict[str, str]:
        asked = {"document": f"label-{frame:024d}", "system": "Li2S", "source": source, "folder": "", "frame": frame}
        answer = {"gate": "scf", "reason": "the SCF did not converge in 50 steps; try another structure"}
        links = [self.level(level)]
        return self.put("refusal", {**asked, "level_of_theory": level}, answer, links, campaigns, **made)

    def labels(self, n: int, system: str, formula: str, n_atoms: int, **changes: Any) -> list[dict[str, str]]:
        settings = {
            "iteration": None,
            "temperatures": [],
            "source": "doi:10.1038/s41467-025-56322-x",
            "level": "pbe",
            "activity": "ingest",
            "campaigns": [],
            "geometry": system,
        } | changes
        made = []
        link = self.level(settings["level"])
        for frame in range(n):
            origin = {
                "system": system,
                "source": settings["source"],
                "folder": f"data/{system}",
                "frame": frame,
                "trajectory": settings["iteration"] is None,
                "iteration": settings["iteration"],
                "temperatures_K": settings["temperatures"],
                "pressures_bar": [],
            }
            arrays = dict.fromkeys(("numbers", "positions", "cell", "forces"), np.zeros(1))
            geometry = f"{settings['geometry']}-{settings['iteration']}-{frame}"
            answer = {"geometry": geometry, "formula": formula, "n_atoms": n_atoms, "energy_eV": -1.0, "virial": None}
            answer |= arrays
            asked = {"geometry": geometry, "frame": None, "level_of_theory": settings["level"], "repeat": 0}
            activity, campaigns = settings["activity"], settings["campaigns"]
            made.append(self.put("label", asked, answer, [link], campaigns, origin, activity=activity))
        return made

    def dataset(self, links: Sequence[dict[str, str]], campaigns: Sequence[str] = ()) -> dict[str, str]:
        answer = {
            "level_of_theory": ["pbe"],
            "held": np.array([False] * len(links)),
            "systems": [
                {"system": "Li2S", "n_atoms": 96, "n_training": 6, "n_held": 2},
                {"system": "Li2S", "n_atoms": 12, "n_training": 3, "n_held": 1},
            ],
            "n_training": 9,
            "n_held": 3,
        }
        inputs = [{"role": "label", **link} for link in links]
        asked = {"held_fraction": 0.25, "block_length": 1, "seed": 1, "mixed_levels_of_theory": False}
        return self.put("dataset", asked, answer, inputs, campaigns)

    def potential(
        self,
        dataset: dict[str, str],
        campaigns: Sequence[str] = (),
        engine: str = "deepmd",
        settings: Mapping[str, Any] | None = None,
        **made: Any,
    ) -> dict[str, str]:
        errors = {
            "n_frames": 3,
            "n_force_components": 90,
            "energy_mae_meV_per_atom": 4.25,
            "energy_rmse_meV_per_atom": 5.5,
            "energy_bias_meV_per_atom": -1.5,
            "force_mae_meV_per_A": 120.0,
            "force_rmse_meV_per_A": 160.0,
            "virial_mae_meV_per_atom": None,
            "virial_rmse_meV_per_atom": None,
        }
        answer = {
            "elements": ["Li", "P", "S"],
            "cutoff_A": 6.0,
            "model": {"sha256": "ab" * 32, "size": 10, "name": "model.pb"},
            "files": [],
            "learning_curve": {},
            "errors": [{"system": "all", **errors}, {"system": "Li2S", **errors}],
            "parity": {},
        }
        links = [{"role": "dataset", **dataset}]
        asked = {"engine": engine, "settings": settings or {}}
        return self.put("potential", asked, answer, links, campaigns, **made)

    def potential_choice(self, errors: Mapping[tuple[float, int], float], campaigns: Sequence[str] = ()) -> list[str]:
        """A grid search over cutoff and level with these force MAEs; level 14 takes 14 µs. Ids of choice and members.

        The cheapest within 5 % of the smallest is chosen.
        """
        dataset = self.dataset([], campaigns)
        parameters = {"over": ["cutoff_A", "level"], "criterion": "force_mae_meV_per_A", "tolerance": 0.05}
        rows, links = [], []
        for (cutoff, level), error in errors.items():
            settings = {"cutoff_A": cutoff, "level": level}
            links.append({"role": "potential", **self.potential(dataset, campaigns, "mtp", settings)})
            row = {"potential_id": links[-1]["id"], "engine": "mtp", "settings": settings, "chosen": False}
            row |= {"energy_mae_meV_per_atom": error / 30, "energy_rmse_meV_per_atom": error / 20}
            row |= {"force_mae_meV_per_A": error, "force_rmse_meV_per_A": 1.3 * error}
            row |= {"virial_mae_meV_per_atom": None, "virial_rmse_meV_per_atom": None}
            rows.append({**row, "time_us_per_atom": float(level), "training_core_seconds": 10.0 * level})
        for row in rows:
            row["good_enough"] = row["force_mae_meV_per_A"] <= 1.05 * min(errors.values())
        good = [row for row in rows if row["good_enough"]]
        chosen = min(good, key=lambda row: row["time_us_per_atom"])
        chosen["chosen"] = True
        answer = {"n_held": 3, "rows": rows, "chosen_id": chosen["potential_id"], "reason": "it is the quickest"}
        asked = {"property": "potential_choice", "parameters": parameters}
        made = self.put("property", asked, {**answer, "chosen_settings": chosen["settings"]}, links, campaigns)
        return [made["id"], *(link["id"] for link in links)]

    def watched_run(
        self, grades: Sequence[float], campaigns: Sequence[str] = (), engine: str = "mtp", **changes: Any
    ) -> dict[str, str]:
        """A run of 1000 steps at 600 K whose grades were evaluated every 100 steps from step -100 on; 10 ends it."""
        potential = self.potential(self.dataset([], campaigns), campaigns, engine)
        named = dict.fromkeys(StructureAnswer.model_fields) | {"name": "beta"}
        structure = self.put("structure", {"builder": "crystal", "parameters": {}}, named, (), campaigns)
        settings = {"ensemble": "nvt", "pressure_bar": None, "temperature_K": 600.0, "seed": 1, "timestep_fs": 2.0}
        settings |= {"n_steps": 1000, "equilibration_steps": 100}
        settings |= {"extrapolation": {"interval": 100, "select_grade": 2.0, "break_grade": 10.0}}
        steps = 100 * np.arange(len(grades)) - 100
        ended = grades[-1] >= 10.0
        extrapolation = {
            "steps": steps,
            "max_grades": np.array(grades),
            "atoms": np.zeros(len(grades), dtype=int),
            "n_selected": sum(grade >= 2.0 for grade in grades),
            "selected": None,
            "stopped_at_step": int(steps[-1]) if ended else None,
            "stopped": f"extrapolation grade {grades[-1]:.3g} of atom 0 (Li)" if ended else None,
        }
        links = [{"role": "structure", **structure}, {"role": "potential", **potential}]
        answer = dict.fromkeys(RunAnswer.model_fields) | {"extrapolation": extrapolation}
        asked = {"program": "lammps", "settings": settings | changes}
        return self.put("run", asked, answer, links, campaigns)

    def prediction_errors(
        self,
        potential: dict[str, str],
        campaigns: Sequence[str] = (),
        systems: Sequence[str] = ("Li2S",),
        levels: Sequence[str] | None = ("pbe",),
        **training_data: Any,
    ) -> dict[str, str]:
        """A test of a potential against four labels of each system, which lie 31.5 meV/atom lower."""
        errors = {
            "levels_of_theory": ["disorder"],
            "n_frames": 4,
            "n_force_components": 24,
            "energy_mae_meV_per_atom": 31.5,
            "energy_rmse_meV_per_atom": 32.0,
            "energy_bias_meV_per_atom": 31.5,
            "force_mae_meV_per_A": 90.0,
            "force_rmse_meV_per_A": 120.0,
            "virial_mae_meV_per_atom": None,
            "virial_rmse_meV_per_atom": None,
            "n_frames_without_offset": 4,
            "energy_mae_without_offset_meV_per_atom": 2.5,
            "energy_rmse_without_offset_meV_per_atom": 3.0,
            "stress_mae_GPa": None,
            "stress_rmse_GPa": None,
        }
        answer = {
            "potential_id": potential["id"],
            "engine": "deepmd",
            "n_labels": 4 * len(systems),
            "n_refused": 2,
            "levels_of_theory": ["disorder"],
            "training_levels_of_theory": None if levels is None else list(levels),
            "training_data": {"trained_by_id": 0, "held_by_id": 0, "trained_by_geometry": "unknown"} | training_data,
            "errors": [{"system": name, **errors} for name in (*systems, "all")],
            "offsets": [],
        }
        asked = {"property": "prediction_errors", "parameters": {"systems": list(systems)}}
        return self.put("property", asked, answer, [{"role": "potential", **potential}], campaigns)


def conditions() -> dict[str, Any]:
    of_run = {"ensemble": "nvt", "pressure_bar": None}
    return {"structure": "beta", "formula": "Li3PS4", "potential_id": "potential-" + "0" * 24, **of_run}


def point(temperature: float, D: float, std: float, fickian: bool) -> dict[str, Any]:
    return {
        "temperature_K": temperature,
        "D_cm2_s": D,
        "D_std_cm2_s": std,
        "D_between_replicas_cm2_s": std / 2,
        "sigma_S_cm": 1e4 * D,
        "sigma_std_S_cm": 1e4 * std,
        "number_density_A3": 0.02,
        "n_replicas": 2,
        "fickian": fickian,
        "loglog_slopes": [0.97, 1.01],
    }


def published(
    quantity: str, value: float | None, structure: str = "beta", temperature: float | None = None
) -> dict[str, Any]:
    unit = {"D": "cm^2/s", "Ea": "eV", "sigma_300K": "S/cm"}[quantity]
    source = {"doi": "10.1039/d3ya00234a", "where": "Table 2", "cites": None}
    entry = {"structure": structure, "quantity": quantity, "temperature_K": temperature, "unit": unit, "value": value}
    return {**entry, "method": "NMR & MD", "source": source, "note": None}


@pytest.fixture
def author(database: Database) -> Author:
    """Writes sealed documents into the test's database."""
    return Author(database)


@pytest.fixture
def published_entry() -> Callable[..., dict[str, Any]]:
    """Makes an entry of a campaign's section ``published``."""
    return published


@pytest.fixture
def small_campaign(author: Author) -> dict[str, Any]:
    """A campaign 'small' with two temperatures, two seeds, one Arrhenius fit, and published values."""
    entries = [published("Ea", 0.29), published("sigma_300K", 7.4e-5), published("D", None, temperature=800.0)]
    author.campaign("small", [*entries, published("Ea", 9.9, structure="other")])
    sources = [
        author.diffusion(temperature, seed, D, ["small"])
        for temperature, D in ((600.0, 1e-5), (800.0, 4e-5))
        for seed in (1, 2)
    ]
    return {"diffusion": sources, "arrhenius": author.arrhenius(sources, ["small"])}
