"""The report of a campaign of known numbers, opened in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from lipsdb.analysis.arrhenius import BOLTZMANN_EV_PER_K
from lipsdb.analysis.conductivity import nernst_einstein
from lipsdb.documents.base import Document, Input, MadeBy
from lipsdb.documents.campaign import Campaign, CampaignAnswer, CampaignAsked
from lipsdb.documents.dataset import Dataset, DatasetAnswer, DatasetAsked, DatasetSystem
from lipsdb.documents.label import Label, LabelAnswer, LabelAsked, LabelOrigin, geometry_digest
from lipsdb.documents.level_of_theory import LevelOfTheory, LevelOfTheoryAnswer, LevelOfTheoryAsked
from lipsdb.documents.potential import Parity, Potential, PotentialAnswer, PotentialAsked, SystemErrors
from lipsdb.documents.property import Property, PropertyAsked
from lipsdb.documents.run import Extrapolation, Run, RunAnswer, RunAsked
from lipsdb.documents.structure import Structure, StructureAnswer, StructureAsked
from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.provenance.audit import audit
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.provenance.withdrawal import withdraw
from lipsdb.queries.report import write_report
from lipsdb.store.database import Database
from lipsdb.workflows.answering import Workplace
from lipsdb.workflows.properties import fit_arrhenius_line

NAME = "trial"
TEMPERATURES_K = (600.0, 700.0, 850.0, 1000.0)
SEEDS = (1, 2)
EA_EV, D0_CM2_S, DENSITY_A3 = 0.3, 1.0e-3, 0.008  # one Li in 125 Å³
N_ENERGIES, N_FORCES = 20, 600
HOSTILE = "<script>document.title='taken over'</script><img src=x onerror=alert(1)> \"quoted\" & 50 %{x}"
DOI = "10.1000/example"
TABLES = ("runs", "diffusion", "coordination", "arrhenius", "conductivity", "potentials")
FIGURES = ("comparison", "arrhenius", "msd", "parity-energy", "parity-force", "learning", "coordination", "runs")


class Stored:
    """Documents of one campaign, made one by one."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def made_by(self, activity: str, **rates: float) -> MadeBy:
        versions = versions_of("kinisi", "deepmd-kit") | {"LAMMPS": "29 Aug 2024"}
        return Stopwatch(activity).made_by(versions, rates=rates)

    def add(self, document: Document, activity: str, **rates: float) -> dict[str, str]:
        return self.database.insert(document.sealed(self.made_by(activity, **rates), [NAME]))

    def level(self) -> Input:
        settings = {"functional": "PBE", "dispersion": None, "cutoff_Ry": 500.0, "rel_cutoff_Ry": 50.0}
        answer = LevelOfTheoryAnswer(how_known="set", reference=DOI, remarks="")
        level = LevelOfTheory(
            asked=LevelOfTheoryAsked(name="trial", code="cp2k", settings=settings), answer=answer
        ).sealed(self.made_by("describe"))
        return Input.of("level_of_theory", self.database.insert(level))

    def label(self, system: str, frame: int, *, stored: bool = True) -> Input:
        numbers, cell = np.array([3, 16]), 5.0 * np.eye(3)
        positions = np.array([[0.0, 0.0, 0.0], [2.0 + 0.01 * frame, 0.0, 0.0]])
        origin = LabelOrigin(
            system=system,
            source=DOI,
            folder=system,
            frame=frame,
            trajectory=True,
            iteration=None,
            temperatures_K=[],
            pressures_bar=[],
        )
        geometry = geometry_digest(numbers, positions, cell) + system
        answer = LabelAnswer(
            geometry=geometry,
            formula="LiS",
            n_atoms=2,
            numbers=numbers,
            positions=positions,
            cell=cell,
            energy_eV=-10.0,
            forces=np.zeros((2, 3)),
            virial=None,
        )
        asked = LabelAsked(geometry=geometry, level_of_theory="trial")
        label = Label(asked=asked, inputs=[self.level()], answer=answer, origin=origin)
        if stored:
            return Input.of("label", self.database.insert(label.sealed(self.made_by("ingest"))))
        elsewhere = label.sealed(self.made_by("ingest"))
        reference = {"collection": "labels", "id": elsewhere["_id"], "content": elsewhere["content"]}
        self.database.note_external([reference])
        return Input.of("label", reference)

    def dataset(self) -> dict[str, str]:
        labels = [self.label("alpha", i) for i in range(12)] + [self.label("beta", i) for i in range(9)]
        labels += [self.label("beta", 9 + i, stored=False) for i in range(3)]
        labels.sort(key=lambda link: link.id)
        systems = [DatasetSystem(system=name, n_atoms=2, n_training=10, n_held=2) for name in ("alpha", "beta")]
        dataset = Dataset(
            asked=DatasetAsked(held_fraction=0.1, block_length=2, seed=1, mixed_levels_of_theory=False),
            inputs=labels,
            answer=DatasetAnswer(
                level_of_theory=["trial"], held=np.arange(24) < 4, systems=systems, n_training=20, n_held=4
            ),
        )
        return self.add(dataset, "freeze_dataset")

    def potential(
        self,
        engine: str = "deepmd",
        settings: dict[str, Any] | None = None,
        dataset: dict[str, str] | None = None,
    ) -> dict[str, str]:
        errors = SystemErrors(
            system="all",
            n_frames=4,
            n_force_components=24,
            energy_mae_meV_per_atom=1.0,
            energy_rmse_meV_per_atom=1.3,
            energy_bias_meV_per_atom=0.1,
            force_mae_meV_per_A=80.0,
            force_rmse_meV_per_A=110.0,
            virial_mae_meV_per_atom=None,
            virial_rmse_meV_per_atom=None,
        )
        rng = np.random.default_rng(3)
        energy, force = rng.normal(-5.0, 0.02, N_ENERGIES), rng.normal(0, 1, N_FORCES)
        parity = Parity(
            system=["alpha", HOSTILE],
            system_index=np.arange(N_ENERGIES) % 2,
            energy_label=energy,
            energy_potential=energy + 0.001,
            force_system_index=np.arange(N_FORCES) % 2,
            force_label=force,
            force_potential=force + rng.normal(0, 0.1, N_FORCES),
        )
        steps = np.arange(0.0, 5000.0, 100.0)
        curve = {"step": steps, "rmse_e_val": 0.1 * np.exp(-steps / 2e3), "rmse_f_val": np.exp(-steps / 2e3)}
        model = self.database.artifacts.put(b"model", "model.pb")
        return self.add(
            Potential(
                asked=PotentialAsked(engine=engine, settings=settings or {}),
                inputs=[Input.of("dataset", dataset or self.dataset())],
                answer=PotentialAnswer(
                    elements=["Li", "S"],
                    cutoff_A=6.0,
                    model=model,
                    files=[],
                    learning_curve=curve,
                    errors=[errors],
                    parity=parity,
                ),
            ),
            "train_deepmd" if engine == "deepmd" else "train_potential",
        )

    def structure(self) -> dict[str, str]:
        answer = StructureAnswer(
            name="alpha",
            formula="LiS",
            elements=["Li", "S"],
            n_atoms=2,
            numbers=np.array([3, 16]),
            positions=np.zeros((2, 3)),
            cell=5.0 * np.eye(3),
            volume_A3=125.0,
            density_g_cm3=0.518,
        )
        return self.add(Structure(asked=StructureAsked(builder="crystal", parameters={}), answer=answer), "build")

    def run(
        self,
        structure: dict[str, str],
        potential: dict[str, str],
        temperature_K: float,
        seed: int,
        grades: Sequence[float] = (),
    ) -> Any:
        """A run; with extrapolation grades at each 1000 steps, of which the last has ended it in the equilibration."""
        blob = self.database.artifacts.put(b"trajectory", "trajectory.nc")
        rng = np.random.default_rng(seed)
        thermo = {
            "step": np.arange(0, 10000, 25),
            "temperature": rng.normal(temperature_K, 30, 400),
            "pressure": rng.normal(0, 500, 400),
            "potential_energy": rng.normal(-20, 0.01, 400),
        }
        settings = {"ensemble": "nvt", "temperature_K": temperature_K, "pressure_bar": None, "timestep_fs": 2.0}
        answer = RunAnswer(
            n_atoms=2,
            n_frames=401,
            frame_interval_ps=0.05,
            trajectory=blob,
            topology=blob,
            restart=blob,
            thermo=thermo,
            thermo_units={"step": "1", "temperature": "K", "pressure": "bar", "potential_energy": "eV"},
            mean_temperature_K=temperature_K,
            mean_pressure_bar=0.0,
            mean_volume_A3=125.0,
            mean_density_g_cm3=0.518,
            mean_stress_GPa=np.zeros((3, 3)),
            rotation=np.eye(3),
        )
        if grades:
            settings |= {
                "n_steps": 10000,
                "equilibration_steps": 5000,
                "extrapolation": {"interval": 1000, "select_grade": 2.0, "break_grade": 10.0},
            }
            steps = 1000 * np.arange(-len(grades), 0)
            extrapolation = Extrapolation(
                steps=steps,
                max_grades=np.array(grades),
                atoms=np.zeros(len(grades)),
                n_selected=1,
                selected=blob,
                stopped_at_step=-1000,
                stopped=f"extrapolation grade of atom 0 (Li) {HOSTILE}",
            )
            thermo = {name: column[:0] for name, column in thermo.items()}
            answer = answer.model_copy(update={"extrapolation": extrapolation, "n_frames": 0, "thermo": thermo})
        inputs = [Input.of("structure", structure), Input.of("potential", potential)]
        asked = RunAsked(program="lammps", settings={**settings, "seed": seed})
        return self.add(Run(asked=asked, inputs=inputs, answer=answer), "run_md", steps_per_second=60.0)

    def property(self, kind: str, parameters: dict[str, Any], inputs: list[Input], answer: dict[str, Any]) -> Any:
        asked = PropertyAsked(property=kind, parameters=parameters)
        return self.add(Property(asked=asked, inputs=inputs, answer=answer), f"measure_{kind}")

    def choice(self, members: dict[int, dict[str, str]]) -> None:
        """A choice among potentials by level; the first is chosen."""
        errors = {"energy_mae_meV_per_atom": 3.0, "energy_rmse_meV_per_atom": 4.0, "force_rmse_meV_per_A": 120.0}
        errors |= {"virial_mae_meV_per_atom": None, "virial_rmse_meV_per_atom": None}
        rows = [
            {
                **{"potential_id": member["id"], "engine": "mtp", "settings": {"level": level}, **errors},
                **{"force_mae_meV_per_A": 100.0, "time_us_per_atom": float(level), "training_core_seconds": 30.0},
                "chosen": number == 0,
                "good_enough": number == 0,
            }
            for number, (level, member) in enumerate(members.items())
        ]
        first = rows[0]
        answer = {"n_held": 4, "rows": rows, "chosen_id": first["potential_id"], "chosen_settings": first["settings"]}
        parameters = {"over": ["level"], "criterion": "force_mae_meV_per_A", "tolerance": 0.05}
        inputs = [Input.of("potential", member) for member in members.values()]
        self.property("potential_choice", parameters, inputs, {**answer, "reason": "it is quick"})

    def diffusion(self, run: dict[str, str], conditions: dict[str, Any]) -> dict[str, str]:
        diffusion = D0_CM2_S * float(np.exp(-EA_EV / (BOLTZMANN_EV_PER_K * conditions["temperature_K"])))
        sigma = nernst_einstein(diffusion, DENSITY_A3, 1.0, conditions["temperature_K"]).conductivity
        lag = np.geomspace(0.1, 10.0, 25)
        msd = 6e4 * diffusion * lag + 0.5
        answer = {
            "conditions": conditions,
            "species": "Li",
            "charge_e": 1.0,
            "D_cm2_s": diffusion,
            "D_std_cm2_s": 0.1 * diffusion,
            "D_interval_95_cm2_s": [0.8 * diffusion, 1.2 * diffusion],
            "sigma_S_cm": sigma,
            "sigma_std_S_cm": 0.1 * sigma,
            "number_density_A3": DENSITY_A3,
            "fit_start_ps": float(lag[10]),
            "fit_stop_ps": 10.0,
            "window_found": True,
            "intercept_A2": 0.2,
            "loglog_slope": 0.97,
            "fickian": True,
            "method": "kinisi",
            "framework_msd_A2": 0.4,
            "msd": {"lag_ps": lag, "msd_A2": msd, "msd_std_A2": 0.05 * msd, "msd_axes_A2": np.stack([msd / 3] * 3, 1)},
        }
        parameters = {"species": "Li", "framework": ["S"], "charge_e": 1.0, "seed": 0}
        return self.property("diffusion", parameters, [Input.of("run", run)], answer)

    def coordination(self, run: dict[str, str], conditions: dict[str, Any]) -> None:
        answer = {
            "conditions": conditions,
            "centre": "P",
            "neighbour": "S",
            "mean": 3.9,
            "fractions": {"3": 0.1, "4": 0.9},
            "mean_by_frame": np.full(401, 3.9),
        }
        parameters = {"centre": "P", "neighbour": "S", "cutoff_A": 2.5}
        self.property("coordination", parameters, [Input.of("run", run)], answer)

    def arrhenius(self, diffusions: list[dict[str, str]], folder: Path) -> None:
        inputs = [Input.of("diffusion", reference) for reference in diffusions]
        asked = PropertyAsked(property="arrhenius", parameters={"extrapolate_to_K": 300.0})
        place = Workplace(self.database, "", folder, 0, Stopwatch("fit"), {})
        answer, made_by = fit_arrhenius_line(place, asked, inputs)
        self.database.insert(Property(asked=asked, inputs=inputs, answer=answer).sealed(made_by, [NAME]))

    def campaign(self, name: str, text: str) -> None:
        source = {"doi": DOI, "where": "Table 1", "cites": HOSTILE}
        common = {"structure": "alpha", "temperature_K": None, "method": "AC impedance", "source": source, "note": None}
        published = [
            {**common, "quantity": "Ea", "unit": "eV", "value": 0.41},
            {**common, "quantity": "sigma_300K", "unit": "S/cm", "value": 3e-7},
        ]
        specification = {
            "name": name,
            "description": HOSTILE,
            "references": [{"doi": "10.1000/other", "what": "the cell"}],
            "published": published,
        }
        file = self.database.artifacts.put(text.encode(), f"{name}.yaml")
        campaign = Campaign(
            asked=CampaignAsked(name=name, specification=specification), answer=CampaignAnswer(file=file)
        )
        self.database.insert(campaign.sealed(self.made_by("submit"), [name]))


@pytest.fixture
def campaign(database: Database, tmp_path: Path) -> Database:
    stored = Stored(database)
    stored.campaign(NAME, f"name: {NAME}\n# </code></pre>{HOSTILE}\n")
    structure, potential = stored.structure(), stored.potential()
    diffusions = []
    for temperature in TEMPERATURES_K:
        for seed in SEEDS:
            run = stored.run(structure, potential, temperature, seed)
            conditions = {
                "structure": "alpha",
                "formula": "LiS",
                "potential_id": potential["id"],
                "run_id": run["id"],
                "temperature_K": temperature,
                "seed": seed,
                "ensemble": "nvt",
                "volume_A3": 125.0,
                "length_ps": 20.0,
            }
            diffusions.append(stored.diffusion(run, conditions))
            stored.coordination(run, conditions)
    stored.arrhenius(diffusions, tmp_path)
    return database


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    assert program, "no chromium or google-chrome on PATH; install Debian's chromium"
    assert driver, "no chromedriver on PATH; install Debian's chromium-driver"
    options = webdriver.ChromeOptions()
    options.binary_location = program
    switches = "headless no-sandbox disable-gpu no-first-run disable-background-networking disable-component-update"
    for switch in f"{switches} disable-sync disable-quic window-size=1200,900".split():
        options.add_argument(f"--{switch}")
    options.add_argument(f"--user-data-dir={tmp_path / 'browser'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()


def figure_of(page: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.partition(f'id="data-{name}">')[2].partition("</script>")[0])
    return found


def open_page(browser: webdriver.Chrome, path: Path) -> None:
    browser.get(path.absolute().as_uri())
    deadline = time.monotonic() + 60
    while browser.execute_script("return document.documentElement.dataset.ready") != "yes":
        assert time.monotonic() < deadline, f"the page is not ready: {browser.get_log('browser')}"
        time.sleep(0.1)


def points(browser: webdriver.Chrome, name: str) -> int:
    return len(browser.find_elements(By.CSS_SELECTOR, f"[data-figure='data-{name}'] .scatterlayer .points path"))


def test_report_of_a_finished_campaign_in_a_browser(
    campaign: Database, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    found = audit(campaign, NAME)
    assert {error.message for error in found.errors} == set()
    path = write_report(campaign, NAME, tmp_path / "report.html", audit=found)
    open_page(browser, path)

    assert [entry for entry in browser.get_log("browser") if entry["level"] != "DEBUG"] == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    of_page = [url for url in asked if not url.startswith(("chrome:", "data:", "blob:"))]  # chrome: its start page
    assert of_page == [path.absolute().as_uri()]
    assert browser.title == f"{NAME} – lipsdb report"  # the hostile texts were shown, not run
    assert browser.find_elements(By.CSS_SELECTOR, "img") == []
    assert HOSTILE in browser.find_element(By.CSS_SELECTOR, "header").text

    plots = browser.find_elements(By.CSS_SELECTOR, "[data-figure]")
    assert {plot.get_dom_attribute("data-figure") for plot in plots} == {
        f"data-{name}-0" if name != "arrhenius" else "data-arrhenius" for name in FIGURES
    }
    # temperatures, runs, and σ(300 K) of the one published pair
    assert points(browser, "arrhenius") == len(TEMPERATURES_K) + len(TEMPERATURES_K) * len(SEEDS) + 1
    assert points(browser, "msd-0") == len(TEMPERATURES_K) * len(SEEDS) * 15  # those in the fitted window
    assert points(browser, "parity-energy-0") == N_ENERGIES
    assert points(browser, "parity-force-0") == N_FORCES
    assert points(browser, "comparison-0") == 4

    assert re.search(r"0\.300 ± 0\.0\d+ eV", browser.find_element(By.ID, "activation-energy-1").text)
    assert "extrapolated" in browser.find_element(By.ID, "answer").text
    assert "passed" in browser.find_element(By.ID, "audit").text
    assert browser.find_elements(By.ID, "withdrawals") == browser.find_elements(By.ID, "last-audit") == []
    check_the_same_after_withdrawals(campaign, browser, path)


def check_the_same_after_withdrawals(database: Database, browser: webdriver.Chrome, path: Path) -> None:
    """One of eight runs is withdrawn: what stands on it is marked, or left out of figures and tables."""
    run = database.collection("runs").find_one({"asked.settings": {"$exists": True}}, sort=[("_id", 1)])
    withdraw(database, [run["_id"]], f"the thermostat was off {HOSTILE}", "Ann Example")
    audit(database, store=True)

    open_page(browser, write_report(database, NAME, path))
    assert [entry for entry in browser.get_log("browser") if entry["level"] != "DEBUG"] == []
    assert browser.title == f"{NAME} – lipsdb report"
    section = browser.find_element(By.ID, "withdrawals").text
    assert all(text in section for text in ("the thermostat was off", HOSTILE, "Ann Example", "Ea of alpha"))
    assert "3 properties" in section  # its diffusion and coordination, and the fit
    assert "Last audit on record: " in browser.find_element(By.ID, "last-audit").text
    assert "tainted" in browser.find_element(By.ID, "answer").text
    marked = {
        figure.find_element(By.CSS_SELECTOR, "[data-figure]").get_dom_attribute("data-figure"): figure.text
        for figure in browser.find_elements(By.TAG_NAME, "figure")
        if figure.find_elements(By.CSS_SELECTOR, ".flag.bad")
    }
    assert set(marked) == {"data-comparison-0", "data-arrhenius", "data-msd-0", "data-coordination-0", "data-runs-0"}
    assert "1 of 8 results stand on withdrawn documents" in marked["data-msd-0"]
    rows = {name: browser.find_elements(By.CSS_SELECTOR, f"#table-{name} tr:not(.origin)") for name in TABLES}
    tainted = {name: sum("tainted" in row.text for row in found) for name, found in rows.items()}
    # of the conductivities: the fit, and the temperature of that run
    expected = {"runs": 1, "diffusion": 1, "coordination": 1, "arrhenius": 1, "conductivity": 2, "potentials": 0}
    assert tainted == expected
    below = browser.find_elements(By.CSS_SELECTOR, "#table-conductivity tr.origin")  # in sight however wide the table
    assert ["tainted" in row.text for row in below].count(True) == expected["conductivity"]

    open_page(browser, write_report(database, NAME, path, exclude_tainted=True))
    assert "no finished Arrhenius fit that stands on nothing withdrawn" in browser.find_element(By.ID, "answer").text
    assert points(browser, "msd-0") == (len(TEMPERATURES_K) * len(SEEDS) - 1) * 15
    assert "left out (--exclude-tainted): 1 row" in browser.find_element(By.ID, "tables").text
    assert "Ann Example" in browser.find_element(By.ID, "withdrawals").text
    badges = [flag.text for flag in browser.find_elements(By.CSS_SELECTOR, ".flag.bad")]
    assert "tainted" not in badges


def test_unfolding_an_answer_down_to_its_labels(campaign: Database, browser: webdriver.Chrome, tmp_path: Path) -> None:
    open_page(browser, write_report(campaign, NAME, tmp_path / "report.html"))
    card = browser.find_element(By.ID, "activation-energy-1")
    assert "labels" not in card.text
    for kind in ("made from", "arrhenius", "diffusion", "run:", "potential:", "dataset:"):
        shown = [s for s in card.find_elements(By.TAG_NAME, "summary") if s.is_displayed() and kind in s.text]
        shown[0].click()
        time.sleep(0.3)
    assert "24 labels, level of theory trial: 12 alpha, 9 beta, 3 not in this database" in card.text
    rows = browser.find_elements(By.CSS_SELECTOR, "table.data tbody tr.has-origin")
    every = browser.find_elements(By.CSS_SELECTOR, "table.data tbody tr:not(.origin)")
    assert len(rows) == len(every) > 20  # each row of each table has its tree
    wanted = {e.get_dom_attribute("data-origin") for e in browser.find_elements(By.CSS_SELECTOR, "[data-origin]")}
    assert {f"origin-{id_}" for id_ in wanted} == {
        element.get_dom_attribute("id") for element in browser.find_elements(By.TAG_NAME, "template")
    }


def test_report_of_a_campaign_of_which_nothing_is_finished(
    database: Database, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    Stored(database).campaign("empty", "name: empty\n")
    open_page(browser, write_report(database, "empty", tmp_path / "report.html"))
    assert [entry for entry in browser.get_log("browser") if entry["level"] != "DEBUG"] == []
    for section in ("answer", "arrhenius", "msd", "potential", "prediction-errors", "coordination", "runs", "audit"):
        assert browser.find_element(By.ID, section).find_elements(By.CLASS_NAME, "absent"), section


def test_potential_that_was_tested_has_its_errors_in_a_section(database: Database, tmp_path: Path) -> None:
    stored = Stored(database)
    stored.campaign(NAME, "name: trial\n")
    potential = stored.potential()
    names = ("energy_mae", "energy_rmse", "energy_bias", "energy_mae_without_offset", "energy_rmse_without_offset")
    errors = {f"{name}_meV_per_atom": 12.5 for name in names} | {
        "force_mae_meV_per_A": 77.0,
        "force_rmse_meV_per_A": 99.0,
    }
    none = ("virial_mae_meV_per_atom", "virial_rmse_meV_per_atom", "stress_mae_GPa", "stress_rmse_GPa")
    errors |= {"system": "all", "levels_of_theory": ["other"], "n_frames": 7, **dict.fromkeys(none)}
    answer = {"potential_id": potential["id"], "engine": "deepmd", "n_refused": 0, "errors": [errors], "offsets": []}
    answer |= {"training_levels_of_theory": ["trial"], "training_data": {"trained_by_id": 0, "trained_by_geometry": 0}}
    stored.property("prediction_errors", {}, [Input.of("potential", potential)], answer)
    page = write_report(database, NAME, tmp_path / "report.html").read_text()
    section = page.partition('<section id="prediction-errors">')[2].partition("</section>")[0]
    assert re.findall(r">([^<>]+)</td>", section)[:8] == [
        "all",
        "other",
        "7",
        "12.5",
        "+12.50",
        "12.5",
        "77.0",
        "99.0",
    ]
    assert "trained at trial" in section
    assert "made from" in section


def test_potentials_of_two_engines_stand_side_by_side(database: Database, tmp_path: Path) -> None:
    stored = Stored(database)
    stored.campaign(NAME, f"name: {NAME}\n")
    structure, dataset = stored.structure(), stored.dataset()
    grid = {level: stored.potential("mtp", {"level": level, "cutoff_A": 5.0}, dataset) for level in (8, 10)}
    stored.choice(grid)
    potentials = {"deepmd": stored.potential(dataset=dataset), "mtp": grid[8]}
    for potential in potentials.values():
        diffusions = []
        for temperature in TEMPERATURES_K[:2]:
            run = stored.run(structure, potential, temperature, 1)
            conditions = {"structure": "alpha", "formula": "LiS", "potential_id": potential["id"], "run_id": run["id"]}
            conditions |= {"temperature_K": temperature, "seed": 1, "ensemble": "nvt", "length_ps": 20.0}
            diffusions.append(stored.diffusion(run, conditions))
        stored.arrhenius(diffusions, tmp_path)
    ended = stored.run(structure, potentials["mtp"], 1000.0, 1, [0.5, 3.0, 12.0])
    page = write_report(database, NAME, tmp_path / "report.html").read_text()

    names = [f"{engine} {potential['id'].partition('-')[2][:8]}" for engine, potential in potentials.items()]
    legend = [trace["name"] for trace in figure_of(page, "arrhenius-0")["data"] if trace.get("showlegend", True)]
    lines = [f"{name}: Ea = 0.300 ± " for name in names]
    assert all(any(entry.startswith(line) for entry in legend) for line in lines)
    assert "AC impedance" in " ".join(legend)  # the published line, once
    rows = figure_of(page, "comparison-0")["layout"]["yaxis"]["categoryarray"]
    assert {f"<b>this campaign</b><br>{name}" for name in names} < set(rows)
    assert all(f'<span class="flag plain">{name}</span>' in page for name in names)
    assert page.count('id="data-msd-') == page.count('id="data-runs-') == 2

    assert 'id="table-potential_choice"' in page
    assert len(figure_of(page, "potential-choice-0")["data"]) == 4  # a line and a ring in each panel
    assert page.count('id="data-parity-energy-') == 2  # not of the member that was neither chosen nor used
    watched = figure_of(page, "extrapolation-0")["data"]
    assert [trace["name"] for trace in watched[2:]] == ["from 2 on frames are kept", "from 10 on the run is ended"]
    assert f'title="{ended["id"]}"' in page.partition('id="table-extrapolation"')[2]
    runs = page.partition('id="table-runs"')[2].partition("</table>")[0].split("<tr")
    row = next(row for row in runs if f'title="{ended["id"]}"' in row)
    assert re.findall(r"<td[^>]*>([^<]*)<", row)[3:7] == ["1000", "—", "—", "—"]  # it has no production to average
    references = page.partition('<section id="references">')[2]
    assert all(
        doi in references for doi in ("10.1137/15M1054183", "10.1063/5.0155600", "10.1016/j.commatsci.2017.08.031")
    )


def test_page_names_no_address_but_those_of_links(campaign: Database, tmp_path: Path) -> None:
    text = write_report(campaign, NAME, tmp_path / "report.html").read_text()
    own = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)  # plotly.js names addresses that maps would use
    assert set(re.findall(r"https?://[^/\"]+", own)) == {"https://doi.org"}
    assert not re.search(r"<(script|img|link|iframe)[^>]*(src|href)=\"(?!data:)", text)
    assert text.count("plotly.js v") == 1
    assert len(text) < 6e6
    assert list(tmp_path.glob(".report*")) == []


def test_report_when_the_campaign_file_is_gone(campaign: Database, tmp_path: Path) -> None:
    file = campaign.collection("campaigns").find_one({})["answer"]["file"]
    campaign.collection("artifacts").delete_one({"_id": file["sha256"]})
    assert "text is gone" in write_report(campaign, NAME, tmp_path / "report.html").read_text()


def test_unknown_campaign(database: Database, tmp_path: Path) -> None:
    Stored(database).campaign("empty", "name: empty\n")
    with pytest.raises(NotFoundError, match=r"no campaign 'emty'.*there are: empty"):
        write_report(database, "emty", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_folder_that_does_not_exist(database: Database, tmp_path: Path) -> None:
    Stored(database).campaign("empty", "name: empty\n")
    with pytest.raises(BadInputError, match=r"cannot be written; give a file in a folder that exists"):
        write_report(database, "empty", tmp_path / "nowhere" / "report.html")
