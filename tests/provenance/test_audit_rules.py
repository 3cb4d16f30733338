"""The rules of the audit: each on a graph that keeps it and on one that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipsdb.errors import BadInputError
from lipsdb.provenance.audit.findings import Finding, Survey
from lipsdb.provenance.audit.rules import check_rules
from lipsdb.provenance.audit.rules.known_bad import KNOWN_BAD_FILE, known_bad_versions
from lipsdb.provenance.audit.rules.labels import faults_of_label
from lipsdb.provenance.audit.rules.units import faults_of_property
from lipsdb.provenance.audit.rules.versions import VersionRange, version_of
from lipsdb.provenance.canonical import decode_array, encode
from lipsdb.provenance.kinds import COLLECTIONS

# σ = n e² D / kT by hand for n = 0.02 Å⁻³ = 2e28 m⁻³, D = 1e-10 m²/s, T = 300 K:
# 2e28 × (1.602176634e-19)² × 1e-10 / (1.380649e-23 × 300) = 12.39499 S/m = 0.1239499 S/cm
SIGMA = 2e28 * 1.602176634e-19**2 * 1e-10 / (1.380649e-23 * 300) / 100


def survey_of(graph: Any, scope: set[str] | None = None, **options: Any) -> Survey:
    survey = Survey(scope=scope)
    check_rules(graph.database, survey, lambda stage, done, total: None, **options)
    return survey


def findings(graph: Any, **options: Any) -> list[Finding]:
    return survey_of(graph, **options).findings


def change(graph: Any, id_: str, **fields: Any) -> None:
    """Set fields of a stored document, whose names have __ for a dot."""
    collection = graph.database.collection(COLLECTIONS[id_.partition("-")[0]])
    values = {field.replace("__", "."): value for field, value in fields.items()}
    assert collection.update_one({"_id": id_}, {"$set": values}).matched_count == 1


def programs(**versions: str) -> dict[str, str]:
    named = {"lipsdb": "0.1.0", "LAMMPS": "22 Jul 2025 - Update 2", "deepmd-kit": "3.2.0", "kinisi": "2.1.0"}
    return named | {name.replace("_", "-"): version for name, version in versions.items()}


def only(found: list[Finding], document: str, *words: str) -> None:
    """There is one error, about this document, and its message has these words."""
    assert [(finding.level, finding.check, finding.document) for finding in found] == [("error", "rules", document)]
    for word in words:
        assert word in found[0].message


def test_graph_that_keeps_all_rules(graph: Any) -> None:
    survey = survey_of(graph)
    assert survey.findings == []
    assert survey.counts["labels whose arrays were checked"] == 12
    assert survey.counts["uses of potentials"] == 2


# ---------------------------------------------------------------- programs and their versions


def test_potential_run_by_another_major_version(graph: Any) -> None:
    run = graph.of_kind("run")[0]
    change(graph, run, made_by__versions=programs(deepmd_kit="2.2.11"))
    only(findings(graph), run, "trained with deepmd-kit 3.2.0", "used with 2.2.11", "version 3")


def test_potential_run_by_another_minor_version(graph: Any) -> None:
    change(graph, graph.of_kind("run")[0], made_by__versions=programs(deepmd_kit="3.9.1rc1"))
    assert findings(graph) == []


def test_run_with_a_potential_that_is_missing_or_external(graph: Any) -> None:
    potential, runs = graph.of_kind("potential")[0], graph.of_kind("run")
    graph.database.collection("potentials").delete_one({"_id": potential})
    found = findings(graph)
    assert [(one.level, one.document) for one in found] == [("error", run) for run in runs]
    assert all("cannot be judged" in one.message and "not in this database" in one.message for one in found)
    graph.database.collection("externals").insert_one({"_id": potential, "collection": "potentials", "content": "0"})
    assert [(one.level, one.document) for one in findings(graph)] == [("note", run) for run in runs]
    graph.database.collection("externals").delete_one({"_id": potential})


@pytest.mark.parametrize(("kind", "program"), [("run", "LAMMPS"), ("potential", "deepmd-kit"), ("property", "kinisi")])
def test_document_without_the_version_of_its_program(graph: Any, kind: str, program: str) -> None:
    document = next(id_ for id_ in graph.of_kind(kind) if graph.documents[id_]["asked"].get("property") != "arrhenius")
    for id_ in graph.of_kind("run") if kind == "potential" else ():
        graph.database.collection("runs").delete_one({"_id": id_})
    versions = programs()
    del versions[program]
    change(graph, document, made_by__versions=versions)
    only(findings(graph), document, "cannot be judged", f"no version of {program}")


def test_label_by_cp2k_without_its_version_and_with_an_illegible_one(graph: Any) -> None:
    label = graph.of_kind("label")[0]
    change(graph, label, made_by__activity="label_by_cp2k")
    only(findings(graph), label, "no version of cp2k")
    change(graph, label, made_by__versions=programs(cp2k="unknown"))
    only(findings(graph), label, "'unknown' is no version number")
    change(graph, label, made_by__versions=programs(cp2k="2023.1"))
    assert findings(graph) == []


def test_versions_that_are_no_mapping(graph: Any) -> None:
    run = graph.of_kind("run")[0]
    change(graph, run, made_by__versions="3.2.0")
    assert {finding.document for finding in findings(graph)} == {run}


# ---------------------------------------------------------------- levels of theory


def other_level(graph: Any, name: str) -> dict[str, Any]:
    """Store a level of theory that differs from the graph's by a setting; gives the link to it."""
    level = graph.documents[graph.of_kind("level_of_theory")[0]]
    id_ = "level_of_theory-" + "0" * 24
    asked = {**level["asked"], "name": name, "settings": {**level["asked"]["settings"], "cutoff_Ry": 600.0}}
    graph.database.collection("levels_of_theory").insert_one({**level, "_id": id_, "asked": asked})
    return {"role": "level_of_theory", "collection": "levels_of_theory", "id": id_, "content": level["content"]}


def test_dataset_of_two_levels_of_one_name(graph: Any) -> None:
    link = other_level(graph, "disorder")
    change(graph, graph.of_kind("label")[3], inputs=[link])
    dataset = graph.of_kind("dataset")[0]
    only(findings(graph), dataset, "11 at disorder", f"1 at disorder ({link['id']})", "mixed_levels_of_theory")


def test_dataset_of_two_levels_that_was_asked_for(graph: Any) -> None:
    change(graph, graph.of_kind("label")[3], inputs=[other_level(graph, "other")])
    dataset = graph.of_kind("dataset")[0]
    names = ["disorder", "other"]
    change(graph, dataset, asked__mixed_levels_of_theory=True, answer__level_of_theory=names)
    assert [(one.level, one.document) for one in findings(graph)] == [("note", dataset)]


def test_dataset_that_names_another_level_than_its_labels_have(graph: Any) -> None:
    dataset = graph.of_kind("dataset")[0]
    change(graph, dataset, answer__level_of_theory=["another"])
    only(findings(graph), dataset, "it says another", "labels of disorder")


def test_external_labels_are_judged_by_what_their_dataset_says(graph: Any) -> None:
    dataset = graph.of_kind("dataset")[0]
    graph.database.collection("labels").delete_many({})
    survey = survey_of(graph)
    assert survey.findings == []
    assert survey.counts["labels judged by what their dataset says"] == 12
    change(graph, dataset, answer__level_of_theory=["disorder", "other"])
    only(findings(graph), dataset, "12 that are elsewhere, of disorder and other")


def test_label_without_a_level_of_theory(graph: Any) -> None:
    label = graph.of_kind("label")[0]
    change(graph, label, inputs=[])
    assert ("error", label) in {(one.level, one.document) for one in findings(graph)}


# ---------------------------------------------------------------- units


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"answer__mean_density_g_cm3": 1384.0}, "mean density 1384 g/cm³"),  # kg/m³
        ({"answer__mean_volume_A3": 0.216}, "0.027 Å³ an atom"),  # nm³
        ({"answer__mean_volume_A3": 1457.6}, "at constant volume"),  # bohr³
        ({"answer__mean_temperature_K": 0.0517}, "target of 600 K"),  # k_B T in eV
        ({"answer__mean_pressure_bar": 1e4}, "mean pressure 10000 bar"),
        ({"answer__frame_interval_ps": 100.0, "asked__settings__dump_interval": 50,
          "asked__settings__timestep_fs": 2.0}, "100 ps apart, but they are 50 steps of 2 fs"),
        ({"answer__thermo_units": {"pressure": "atm"}}, "column pressure in 'atm'; bar is expected"),
        ({"answer__mean_temperature_K": "600"}, "mean temperature nan"),
    ],
)  # fmt: skip
def test_run_in_other_units(graph: Any, fields: dict[str, Any], words: str) -> None:
    run = graph.of_kind("run")[0]
    change(graph, run, **fields)
    found = findings(graph)
    assert {(one.level, one.document) for one in found} == {("error", run)}
    assert any(words in one.message for one in found)


def test_pressure_is_minus_a_third_of_the_trace_of_the_stress(graph: Any) -> None:
    run = graph.of_kind("run")[0]
    stress = encode(np.diag([-1.0, -2.0, -3.0]))[0]  # GPa, so compressed by 2 GPa = 20,000 bar
    change(graph, run, answer__mean_stress_GPa=stress, answer__mean_pressure_bar=20_000.0)
    assert findings(graph) == []
    change(graph, run, answer__mean_pressure_bar=-20_000.0)
    only(findings(graph), run, "mean pressure -20000 bar", "makes 20000 bar")


def test_structure_of_another_density(graph: Any) -> None:
    structure = graph.of_kind("structure")[0]
    change(graph, structure, answer__density_g_cm3=0.84)  # amu/Å³
    only(findings(graph), structure, "density 0.84 g/cm³", "1.384")


def diffusion(**changes: float) -> dict[str, Any]:
    conditions = {"temperature_K": 300.0, "volume_A3": 400.0, "formula": "Li8P2"}
    answer = {"species": "Li", "charge_e": 1.0, "D_cm2_s": 1e-6, "D_std_cm2_s": 1e-7, "number_density_A3": 0.02}
    answer |= {"sigma_S_cm": SIGMA, "sigma_std_S_cm": SIGMA / 10, "conditions": conditions}
    return {"answer": answer | changes}


def test_nernst_einstein_worked_out_by_hand() -> None:
    assert pytest.approx(0.1239499, rel=1e-6) == SIGMA
    assert list(faults_of_property(diffusion())) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sigma_S_cm": 100 * SIGMA, "sigma_std_S_cm": 10 * SIGMA}, "Nernst–Einstein gives 0.12394"),  # S/m
        ({"D_cm2_s": 1e-10, "D_std_cm2_s": 1e-11}, "from D 1e-10 cm²/s"),  # m²/s
        ({"charge_e": 2.0}, "charge 2"),
        ({"sigma_S_cm": SIGMA * (1 + 3e-6)}, "Nernst–Einstein"),
        ({"sigma_std_S_cm": SIGMA}, "their relative uncertainties differ"),
        ({"sigma_S_cm": float("nan")}, "σ nan"),
        ({"number_density_A3": 20.0, "D_cm2_s": 1e-9, "D_std_cm2_s": 1e-10}, "8 Li in 400 Å³"),  # nm⁻³
    ],
)
def test_conductivity_in_other_units(changes: dict[str, float], words: str) -> None:
    assert any(words in fault for fault in faults_of_property(diffusion(**changes)))


def arrhenius(**changes: Any) -> dict[str, Any]:
    # ln D at 300 K = ln D0 − Ea/kT = −7 − 0.25 / (8.617333262e-5 × 300) = −16.670399…
    target = float(np.exp(-7 - 0.25 / (8.617333262e-5 * 300)))
    sigma = SIGMA * target / 1e-6
    answer = {"charge_e": 1.0, "Ea_eV": 0.25, "ln_D0_cm2_s": -7.0, "target_temperature_K": 300.0}
    answer |= {"D_target_cm2_s": target, "D_target_68_cm2_s": [target / 2, target * 2]}
    answer |= {"sigma_target_S_cm": sigma, "sigma_target_68_S_cm": [sigma / 2, sigma * 2]}
    return {"answer": answer | {"points": [{"temperature_K": 600.0, "number_density_A3": 0.02}], **changes}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"Ea_eV": 24.1}, "Ea 24.1 eV"),  # kJ/mol
        ({"ln_D0_cm2_s": -7 / np.log(10)}, "ln D0"),  # a decimal logarithm
        ({"target_temperature_K": 26.85}, "at 26.85 K"),  # °C
        ({"sigma_target_S_cm": 1.0, "sigma_target_68_S_cm": [0.5, 2.0]}, "Nernst–Einstein gives"),
        ({"D_target_68_cm2_s": [1e-9, 2e-9]}, "not the geometric mean of D_target_68_cm2_s"),
    ],
)
def test_arrhenius_line_in_other_units(changes: dict[str, Any], words: str | None) -> None:
    faults = list(faults_of_property(arrhenius(**changes)))
    assert faults == [] if words is None else any(words in fault for fault in faults)


def test_stored_property_with_a_conductivity_in_siemens_a_metre(graph: Any) -> None:
    property_ = next(id_ for id_ in graph.of_kind("property") if "D_cm2_s" in graph.documents[id_]["answer"])
    fields = {"answer__charge_e": 1.0, "answer__number_density_A3": 0.02, "answer__D_cm2_s": 1e-6}
    change(graph, property_, **fields, answer__sigma_S_cm=SIGMA / 2)  # the graph's is at 600 K
    assert findings(graph) == []
    change(graph, property_, answer__sigma_S_cm=SIGMA * 50)
    only(findings(graph), property_, "units: σ", "withdraw")


def test_label_with_its_energy_in_hartree_among_others_in_electronvolts(graph: Any) -> None:
    labels = graph.of_kind("label")
    for label in labels:
        change(graph, label, answer__energy_eV=-1900.0)
    assert findings(graph) == []
    change(graph, labels[5], answer__energy_eV=-1900.0 / 27.211386)
    only(findings(graph), labels[5], "-8.72", "median", "-237.5")


@pytest.mark.parametrize("energy", [float("nan"), float("inf"), "a"])
def test_label_whose_energy_is_no_number(graph: Any, energy: Any) -> None:
    label = graph.of_kind("label")[0]
    change(graph, label, answer__energy_eV=energy)
    only(findings(graph), label, "no finite number of eV")


def rocksalt(scale: float = 1.0, **changes: Any) -> dict[str, Any]:
    """Lithium fluoride, a 4.026 Å, eight atoms; lengths times a factor."""
    cell = np.eye(3) * 4.026 * scale
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    positions = np.concatenate([corners, corners + np.array([0.5, 0, 0])]) @ cell
    arrays = {"numbers": np.array([3] * 4 + [9] * 4, "u1"), "positions": positions, "cell": cell}
    arrays |= {"forces": np.full((8, 3), 0.5), "virial": np.eye(3), **changes}
    return {"answer": {name: encode(array)[0] for name, array in arrays.items()}}


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (rocksalt(), None),
        (rocksalt(0.1), "0.00816 Å³ an atom"),  # nm
        (rocksalt(1 / 0.529177), "times the sum of their covalent radii"),  # bohr
        (rocksalt(forces=np.full((8, 3), np.nan)), "forces not finite"),
        (rocksalt(forces=np.full((8, 3), 1e3)), "a force of 1732 eV/Å"),
        (rocksalt(virial=np.eye(3) * 4.026**3 * 10), "a stress of 1602 GPa"),
    ],
)
def test_label_in_other_units(label: Mapping[str, Any], words: str | None) -> None:
    faults = list(faults_of_label(label))
    assert faults == [] if words is None else any(words in fault for fault in faults)


def test_molecules_in_vacuum_and_noble_gases_are_let_pass() -> None:
    pair = np.array([[0, 0, 0], [3.5, 0, 0]])
    forces = np.zeros((2, 3))
    torn = rocksalt(numbers=np.array([3, 16]), positions=pair, cell=np.eye(3) * 25, forces=forces, virial=None)
    cluster = rocksalt(cell=np.eye(3) * 30, virial=np.zeros((3, 3)))
    argon = rocksalt(5.26 / 4.026, numbers=np.full(8, 18))
    assert [list(faults_of_label(label)) for label in (torn, cluster, argon)] == [[], [], []]


def test_array_of_a_stored_label_in_nanometres(graph: Any) -> None:
    label = graph.of_kind("label")[0]
    cell = decode_array(graph.documents[label]["answer"]["cell"])
    change(graph, label, answer__cell=encode(cell / 10)[0])
    found = findings(graph)
    assert {(one.level, one.document) for one in found} == {("error", label)}


def test_sample_of_labels_is_seeded_and_counted(graph: Any) -> None:
    label, labels = graph.of_kind("label")[4], set(graph.of_kind("label"))
    change(graph, label, answer__cell=encode(np.eye(3) * 0.6)[0])
    seeds = range(12)
    seen = [bool(findings(graph, sampled_labels=4, seed=seed)) for seed in seeds]
    assert seen == [bool(findings(graph, sampled_labels=4, seed=seed)) for seed in seeds]
    assert True in seen
    assert False in seen
    assert survey_of(graph, sampled_labels=4).counts["labels whose arrays were checked"] == 4
    assert survey_of(graph, scope=labels, sampled_labels=4).counts["labels whose arrays were checked"] == 4
    assert survey_of(graph, scope=labels - {label}).findings == []


def test_document_outside_the_scope_is_not_looked_at(graph: Any) -> None:
    run, other = graph.of_kind("run")
    change(graph, run, answer__mean_temperature_K=10.0)
    scope = set(graph.documents) - {run}
    assert survey_of(graph, scope=scope).findings == []
    assert {one.document for one in survey_of(graph, scope=set(graph.documents)).findings} == {run}
    assert other in scope


# ---------------------------------------------------------------- versions that are known to be bad


@pytest.mark.parametrize(
    ("range_", "inside", "outside"),
    [
        (">=2.1.0,<=2.1.4", ["2.1.0", "2.1.4"], ["2.0.3", "2.1.5", "3.2.0"]),
        ("<2.13", ["2.12.1", "1.15"], ["2.13.0rc1", "2.13.0", "2.21.0-rc1-5-ga481b10260d"]),
        ("==2.2.0", ["2.2.0", "v2.2.0"], ["2.2.0.post1", "2.2.1"]),
        ("<2023.2", ["2023.1", "9.1"], ["2023.2", "2024.1"]),
        (">=14 May 2021", ["14 May 2021", "29 Sep 2021 - Update 3"], ["8 Apr 2021"]),
        (
            ">=22 Jul 2025, <22 Jul 2025 - Update 2",
            ["22 Jul 2025", "22 Jul 2025 - Update 1"],
            ["22 Jul 2025 - Update 2", "22 Jul 2025 - Update 10", "21 Jul 2025", "29 Aug 2024 - Update 4"],
        ),
    ],
)
def test_version_ranges_at_their_edges(range_: str, inside: list[str], outside: list[str]) -> None:
    versions = VersionRange.parse(range_)
    assert [versions.contains(version) for version in inside] == [True] * len(inside)
    assert [versions.contains(version) for version in outside] == [False] * len(outside)
    assert versions.contains("unknown") is None


@pytest.mark.parametrize("range_", ["", "2.1.4", ">= a", ">=2.1, <14 May 2021", ">=14 Foo 2021"])
def test_malformed_range(range_: str) -> None:
    with pytest.raises(ValueError, match="is no range of versions; give comparisons"):
        VersionRange.parse(range_)


def test_vasp_version_with_its_build() -> None:
    assert str(version_of("5.4.4.18Apr17-6-g9f103f2a35")) == "5.4.4"


def test_packaged_list_is_valid_and_every_entry_has_https_sources() -> None:
    entries = known_bad_versions()
    assert len(entries) >= 5
    assert all(source.startswith("https://") for entry in entries for source in entry.sources)
    assert {entry.program for entry in entries} <= {"deepmd-kit", "LAMMPS", "cp2k", "vasp", "kinisi", "numpy", "scipy"}
    assert not any(entry.applies(programs()) for entry in entries)


ENTRY = """
- program: deepmd-kit
  versions: "<=2.0.1"
  kinds: [run]
  wrong: neighbours are missing from the lists
  severity: error
  sources: [https://example.org/1]
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTRY.replace("<=2.0.1", "old"), "entry 1, versions: .*'old' is no range"),
        (ENTRY.replace("[run]", "[walk]"), "entry 1, kinds: .*'walk' is no kind of document"),
        (ENTRY.replace("https://example.org/1", "somewhere"), "entry 1, sources: .*'somewhere' is no https"),
        (ENTRY.replace("[https://example.org/1]", "[]"), "entry 1, sources: "),
        (ENTRY.replace("error", "fatal"), "entry 1, severity: "),
        (ENTRY + "  remark: none\n", "entry 1, remark: "),
        (ENTRY + "  conditions: {made_by.host: here}\n", "'made_by.host' is no field"),
        (ENTRY + ENTRY.replace("  kinds: [run]\n", ""), "entry 2, kinds: Field required"),
        ("program: deepmd-kit\n", "a list of entries is expected"),
        ("- [", "cannot be read"),
    ],
)
def test_malformed_list(graph: Any, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "known.yaml"
    path.write_text(text)
    with pytest.raises(BadInputError, match=rf"^known\.yaml.*{message}"):
        findings(graph, known_bad=path)


def test_missing_list(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"known\.yaml cannot be read"):
        known_bad_versions(tmp_path / "known.yaml")


def only_severities(found: list[Finding]) -> set[tuple[str, str]]:
    return {(one.level, one.document) for one in found if "known-bad" in one.message}


def test_run_by_versions_that_miss_neighbours_together(graph: Any) -> None:
    run = graph.of_kind("run")[0]
    change(graph, run, made_by__versions=programs(deepmd_kit="2.0.1", LAMMPS="14 May 2021"))
    assert only_severities(findings(graph)) == {("error", run)}
    change(graph, run, made_by__versions=programs(deepmd_kit="2.0.1", LAMMPS="8 Apr 2021"))
    assert only_severities(findings(graph)) == set()
    change(graph, run, made_by__versions=programs(deepmd_kit="2.0.2", LAMMPS="14 May 2021"))
    assert only_severities(findings(graph)) == set()


def test_fault_of_one_ensemble_only(graph: Any) -> None:
    run = graph.of_kind("run")[0]
    change(graph, run, made_by__versions=programs(LAMMPS="12 Dec 2018"))
    assert findings(graph) == []
    change(graph, run, asked__settings__ensemble="npt")
    assert only_severities(findings(graph)) == {("note", run)}
    change(graph, run, made_by__versions=programs(LAMMPS="13 Dec 2018"))
    assert findings(graph) == []


def test_fault_with_a_program_that_is_not_named(graph: Any) -> None:
    potential = graph.of_kind("potential")[0]
    graph.database.collection("runs").delete_many({})
    change(graph, potential, made_by__versions=programs(deepmd_kit="2.2.3"))
    only(findings(graph), potential, "cannot be judged", "no legible version of tensorflow", "issues/2866")
    change(graph, potential, made_by__versions=programs(deepmd_kit="2.2.3", tensorflow="2.12.0"))
    assert findings(graph) == []


def test_list_of_ones_own_names_activity_and_source(graph: Any, tmp_path: Path) -> None:
    path = tmp_path / "known.yaml"
    path.write_text(ENTRY.replace("<=2.0.1", "==3.2.0") + "  activities: [work]\n")
    found = findings(graph, known_bad=path)
    assert {(one.level, one.document) for one in found} == {("error", run) for run in graph.of_kind("run")}
    assert all("deepmd-kit 3.2.0" in one.message and "https://example.org/1" in one.message for one in found)
    path.write_text(path.read_text().replace("[work]", "[play]"))
    assert findings(graph, known_bad=path) == []


def test_list_is_shipped_with_the_package() -> None:
    assert KNOWN_BAD_FILE.is_file()
    assert 'provenance/audit/rules/*.yaml"' in (Path(__file__).parents[2] / "pyproject.toml").read_text()


def test_progress_is_told(graph: Any) -> None:
    told: list[str] = []
    report: Callable[[str, int, int], None] = lambda stage, done, total: told.append(stage)  # noqa: E731
    check_rules(graph.database, Survey(), report)
    assert {"rules: versions of labels", "rules: arrays of labels", "rules: units of runs"} <= set(told)
