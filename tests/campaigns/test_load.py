"""Every kind of mistake in a campaign file gets one line that names file, line, field, value and what is allowed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lipsdb.campaigns.load import load_campaign
from lipsdb.errors import BadInputError

GOOD = """\
name: test
description: a test
structures:
  salt:
    crystal:
      spacegroup: Fm-3m
      lattice: {a_A: 5.64, b_A: 5.64, c_A: 5.64}
      sites:
        - {element: Na, position: [0, 0, 0]}
        - {element: Cl, position: [0.5, 0.5, 0.5]}
potentials:
  small:
    adopt: potential
md:
  hot:
    structure: salt
    potential: small
    ensemble: NVT
    temperatures_K: [700, 800, 900]
    seeds: [1]
    timestep_fs: 2
    equilibration_ps: 2
    production_ps: 20
    dump_interval_fs: 50
    thermo_interval_fs: 50
    thermostat_damping_ps: 0.1
    checkpoint_ps: 5
properties:
  D:
    kind: diffusion
    of: hot
    species: Na
    framework: [Cl]
    charge_e: 1
  slope:
    kind: arrhenius
    of: D
    extrapolate_to_K: 300
published:
  - structure: salt
    quantity: Ea
    value: 0.8
    unit: eV
    method: guess
    source: {doi: 10.1000/xyz, where: Table 1}
tables: [arrhenius]
"""


def _write(folder: Path, text: str) -> Path:
    (folder / "potential").mkdir(exist_ok=True)
    (folder / "potential" / "record.json").write_text("{}")
    path = folder / "campaign.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _errors(folder: Path, text: str) -> list[str]:
    path = _write(folder, text)
    with pytest.raises(BadInputError) as caught:
        load_campaign(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).split("\n")]


def test_good_file_is_read_and_paths_are_relative_to_it(tmp_path):
    loaded = load_campaign(_write(tmp_path, GOOD))
    assert loaded.campaign.md["hot"].temperatures_K == [700.0, 800.0, 900.0]
    assert loaded.resolve(loaded.campaign.potentials["small"].adopt) == tmp_path / "potential"
    assert loaded.text == GOOD
    numbers, _, _ = loaded.campaign.structures["salt"].build(tmp_path)
    assert len(numbers) == 8


# Replaced text, replacement, expected "line:column: field: message" (a regular expression).
MISTAKES = [
    (
        "temperatures_K: [700",
        "temperature_K: [700",
        r"19:5: md\.hot\.temperature_K: unknown key; did you mean temperatures_K\? \(allowed: barostat",
    ),
    (
        "temperatures_K: [700",
        "temperatures_K: [-700",
        r"19:22: md\.hot\.temperatures_K\[0\]: received -700, must be greater than 0 \(temperatures, K\)",
    ),
    (
        "temperatures_K: [700, 800",
        "temperatures_K: [800, 800",
        r"19:21: md\.hot\.temperatures_K: must not hold a value twice: 800",
    ),
    ("temperatures_K: [700", "temperatures_K: [hot", r"\[0\]: received \"hot\", must be a number \(temperatures, K\)"),
    ("temperatures_K: [700", "temperatures_K: ['7e2'", r"received \"7e2\", must be a number: write it without quotes"),
    ("temperatures_K: [700", "temperatures_K: [.nan", r"received NaN, must be a finite number"),
    ("temperatures_K: [700", "temperatures_K: [yes", r"received \"yes\", must be a number"),
    ("temperatures_K: [700", "temperatures_K: [true", r"received true, must be a number"),
    ("[700, 800, 900]", "700", r"19:21: .*received 700, must be a list"),
    (
        "seeds: [1]",
        "seeds: [1.5]",
        r"20:13: md\.hot\.seeds\[0\]: received 1.5, must be a whole number \(seeds of the initial",
    ),
    ("seeds: [1]", "seeds: []", r"20:12: md\.hot\.seeds: must have at least 1 entries, has 0"),
    ("    timestep_fs: 2\n", "", r"16:5: md\.hot\.timestep_fs: is missing \(time step, fs\)"),
    (
        "ensemble: NVT",
        "ensemble: NVTT",
        r"18:15: md\.hot\.ensemble: received \"NVTT\"; did you mean NVT\? \(allowed: NPT, NVE, NVT\)",
    ),
    (
        "ensemble: NVT",
        "ensemble: NVT\n    pressures_bar: [1]",
        r"md\.hot\.pressures_bar: must be left out when ensemble is NVT: choose NPT or remove it",
    ),
    (
        "production_ps: 20",
        "production_ps: 20.0005",
        r"23:20: md\.hot\.production_ps: received 20\.0005, must .* 20000\.5 fs are 10000\.25; take 20000 or 20002 fs",
    ),
    (
        "dump_interval_fs: 50",
        "dump_interval_fs: 3",
        r"dump_interval_fs: received 3(\.0)?, must be a whole number of 2 fs steps",
    ),
    (
        "dump_interval_fs: 50",
        "dump_interval_fs: 48",
        r"dump_interval_fs: received 48(\.0)?, must divide equilibration_ps \(2 ps\)",
    ),
    (
        "thermostat_damping_ps: 0.1",
        "thermostat_damping_ps: 0.001",
        r"16:5: md\.hot: thermostat_damping_ps = 0.001 ps is under 5 timesteps",
    ),
    (
        "structure: salt\n    potential",
        "structure: slat\n    potential",
        r"16:16: md\.hot\.structure: received 'slat', no entry of structures; did you mean salt\? \(allowed: salt\)",
    ),
    (
        "potential: small",
        "potential: big",
        r"17:16: md\.hot\.potential: received 'big', no entry of potentials \(allowed: small\)",
    ),
    ("of: hot", "of: cold", r"31:9: properties\.D\.of: received 'cold', no entry of md \(allowed: hot\)"),
    (
        "of: D",
        "of: slope",
        r"properties\.slope\.of: received 'slope', no entry of properties of kind diffusion.*\(allowed: D\)",
    ),
    (
        "kind: diffusion",
        "kind: difusion",
        r"D\.kind: received \"difusion\"; did you mean diffusion\? \(allowed: .*arrhenius, .*coord",
    ),
    (
        "    kind: diffusion\n",
        "",
        r"30:5: properties\.D\.kind: is missing \(allowed: .*arrhenius, .*coordination, .*prediction_errors.*\)",
    ),
    (
        "species: Na",
        "species: K",
        r"32:14: properties\.D\.species: received 'K', not in the structure salt \(allowed: Cl, Na\)",
    ),
    ("species: Na", "species: Zz", r"received \"Zz\", must be the symbol of a chemical element"),
    (
        "framework: [Cl]",
        "framework: [Cl, Br]",
        r"33:21: properties\.D\.framework\[1\]: received 'Br', not in the structure",
    ),
    ("[700, 800, 900]", "[700, 800]", r"properties\.slope\.of: received 'D', an MD at 2 temperatures"),
    ("adopt: potential", "adopt: elsewhere", r"13:12: potentials\.small\.adopt: received 'elsewhere', no such folder"),
    ("adopt: potential", "adopt: .", r"no record\.json in that folder"),
    ("    adopt: potential", "    {}", r"13:5: potentials\.small: must have exactly one of: adopt, train"),
    ("quantity: Ea", "quantity: D", r"published\[0\]\.temperature_K: is missing, must be given for D"),
    ("unit: eV", "unit: S/cm", r"43:11: published\[0\]\.unit: received \"S/cm\", must be eV for Ea"),
    ("value: 0.8", "value: null", r"published\[0\]\.note: is missing, must say why value is null"),
    ("doi: 10.1000/xyz", "doi: https://doi.org/10.1000/xyz", r"published\[0\]\.source\.doi: received .*must match"),
    (
        "tables: [arrhenius]",
        "tables: [arhenius]",
        r"46:10: tables\[0\]: received \"arhenius\"; did you mean arrhenius\?",
    ),
    (
        "ensemble: NVT",
        "ensemble: NPT\n    pressures_bar: [1, 1000]\n    npt_coupling: iso\n    barostat_damping_ps: 1",
        r"properties\.slope\.of: received 'D', an MD at 2 pressures: a fit needs one; give each an MD of its own",
    ),
    (
        "tables: [arrhenius]",
        "tables: [coordination]",
        r"tables\[0\]: received 'coordination', which needs a property of kind coordination",
    ),
    (
        "spacegroup: Fm-3m",
        "spacegroup: Pnma\n      multiplicity: 4",
        r"7:7: structures\.salt\.crystal\.multiplicity: unknown key",
    ),
    ("a_A: 5.64", "a_A: 5.65", r"structures\.salt\.crystal: space group Fm-3m is cubic"),
    (
        "position: [0, 0, 0]",
        "position: [0, 0]",
        r"9:35: structures\.salt\.crystal\.sites\[0\]\.position: must have at least 3 entries, has 2",
    ),
    ("name: test", "name: my test", r"1:7: name: received \"my test\", must be made of letters, digits"),
    ("name: test", "name: test\n700: x", r"2:1: 700: received 700, must be text: put it in quotes"),
    ("  hot:", "  7:", r"15:3: md\.7: received 7, must be text"),
    ("md:\n  hot:", "md:\n  hot: 3\n  warm:", r"15:8: md\.hot: received 3, must be a mapping"),
]


@pytest.mark.parametrize(
    ("old", "new", "expected"), MISTAKES, ids=[f"{i}-{m[1][:30]!r}" for i, m in enumerate(MISTAKES)]
)
def test_one_mistake_gets_its_line(tmp_path, old, new, expected):
    assert GOOD.count(old) >= 1
    errors = _errors(tmp_path, GOOD.replace(old, new, 1))
    assert any(re.search(expected, line) for line in errors), errors
    assert all("pydantic" not in line and "Value error" not in line for line in errors)


def test_all_mistakes_of_a_file_are_listed_in_its_order(tmp_path):
    text = (
        GOOD.replace("ensemble: NVT", "ensemble: nvt").replace("of: hot", "of: hat").replace("seeds: [1]", "seeds: [0]")
    )
    errors = _errors(tmp_path, text.replace("adopt: potential", "adopt: gone"))
    assert [int(line.split(":")[0]) for line in errors] == [13, 18, 20, 31]
    assert "did you mean NVT?" in errors[1]
    assert "did you mean hot?" in errors[3]


TRAIN = """\
name: train
description: a training
labels:
  all: {systems: [beta-Li3PS4], level_of_theory: PBE}
datasets:
  set: {labels: [all], held_fraction: 0.1, block_length: 20, seed: 1}
potentials:
  small:
    train:
      engine: deepmd
      dataset: set
      settings:
        cutoff_A: 6
        stages: [{steps: 100}]
"""


def test_training_settings_are_checked_by_the_engine_s_model(tmp_path):
    assert load_campaign(_write(tmp_path, TRAIN)).campaign.potentials["small"].train.dataset == "set"
    errors = _errors(tmp_path, TRAIN.replace("cutoff_A", "cutof_A").replace("steps: 100", "steps: -1"))
    assert "13:9: potentials.small.train.settings.cutof_A: unknown key; did you mean cutoff_A?" in errors[0]
    assert errors[1].startswith(
        "14:26: potentials.small.train.settings.stages[0].steps: received -1, must be greater than 0"
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "labels: [all]",
            "labels: [al]",
            "datasets.set.labels[0]: received 'al', no entry of labels; did you mean all?",
        ),
        (
            "dataset: set",
            "dataset: sets",
            "potentials.small.train.dataset: received 'sets', no entry of datasets; did you mean set?",
        ),
        (
            "engine: deepmd",
            "engine: deepmdd",
            'potentials.small.train.engine: received "deepmdd", not an engine; did you mean deepmd?',
        ),
        ("held_fraction: 0.1", "held_fraction: 1", "datasets.set.held_fraction: received 1, must be less than 1"),
    ],
)
def test_mistake_in_a_training_campaign_gets_its_line(tmp_path, old, new, expected):
    assert any(expected in line for line in _errors(tmp_path, TRAIN.replace(old, new, 1)))


def test_structure_file_is_read_with_ase_and_repeated(tmp_path):
    from ase.build import bulk

    bulk("NaCl", "rocksalt", a=5.64, cubic=True).write(tmp_path / "salt.cif")
    start, end = GOOD.index("    crystal:"), GOOD.index("potentials:")
    text = GOOD[:start] + "    file: salt.cif\n    supercell: [1, 1, 2]\n" + GOOD[end:]
    loaded = load_campaign(_write(tmp_path, text))
    numbers, positions, cell = loaded.campaign.structures["salt"].build(tmp_path)
    assert (len(numbers), positions.shape, cell[2, 2]) == (16, (16, 3), pytest.approx(11.28))
    assert (
        "structures.salt.file: received 'gone.cif', no such file"
        in _errors(tmp_path, text.replace("salt.cif", "gone.cif"))[0]
    )
    (tmp_path / "salt.cif").write_text("not a crystal")
    assert "structures.salt.file: cannot read" in _errors(tmp_path, text)[0]


def test_campaign_that_asks_for_nothing_is_refused(tmp_path):
    assert _errors(tmp_path, "name: a\ndescription: b\n") == [
        "1:1: asks for nothing: give at least one of structures, labels, potentials"
    ]


TEST = """\
name: test
description: a test of a potential
labels:
  shipped: {adopt: labels}
  glasses: {systems: [glass], level_of_theory: PBE}
structures:
  salt: {file: salt.cif}
dft:
  points: {kind: single_point, level_of_theory: disorder, labels: shipped}
  dynamics:
    {kind: aimd, level_of_theory: disorder, structure: salt, temperatures_K: [600], seeds: [1], length_ps: 1,
     label_interval_fs: 50}
datasets:
  both: {labels: [shipped, glasses], held_fraction: 0.1, block_length: 1, seed: 1}
potentials:
  small: {adopt: potential}
properties:
  errors: {kind: prediction_errors, potential: small, labels: [shipped], dft: [points]}
tables: [prediction_errors]
"""


def _adopting(folder: Path) -> None:
    from ase.build import bulk

    (folder / "labels").mkdir()
    (folder / "labels" / "record.json").write_text("{}")
    bulk("LiS", "rocksalt", a=5.64, cubic=True).write(folder / "salt.cif")


def test_campaign_that_adopts_labels_and_tests_a_potential_is_read(tmp_path):
    _adopting(tmp_path)
    loaded = load_campaign(_write(tmp_path, TEST))
    assert loaded.resolve(loaded.campaign.labels["shipped"].adopt) == tmp_path / "labels"
    assert loaded.campaign.properties["errors"].dft == ["points"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "{adopt: labels}",
            "{adopt: lables}",
            "4:20: labels.shipped.adopt: received 'lables', no such folder: give a folder with labels and record.json",
        ),
        (
            "{adopt: labels}",
            "{adopt: potential/..}",
            "4:20: labels.shipped.adopt: received 'potential/..', no record.json",
        ),
        ("{adopt: labels}", "{}", "4:12: labels.shipped: must have exactly one of: systems, adopt"),
        ("{adopt: labels}", "{adopt: labels, systems: [a], level_of_theory: b}", "exactly one of: systems, adopt"),
        (
            "{adopt: labels}",
            "{adopt: labels, stride: 2}",
            "labels.shipped: must not have stride with adopt: all labels",
        ),
        (", level_of_theory: PBE", "", "5:12: labels.glasses: must have level_of_theory with systems"),
        (
            "potential: small",
            "potential: smal",
            "errors.potential: received 'smal', no entry of potentials; did you mean",
        ),
        ("labels: [shipped], dft", "labels: [x], dft", "properties.errors.labels[0]: received 'x', no entry of labels"),
        ("dft: [points]", "dft: [dynamics]", "received 'dynamics', no entry of dft of kind single_point"),
        (", labels: [shipped], dft: [points]", "", "properties.errors: must have labels, dft, or both"),
        (
            "  errors: {kind: prediction_errors, potential: small, labels: [shipped], dft: [points]}",
            "  {}",
            "received 'prediction_errors', which needs a property of kind prediction_errors: add one",
        ),
    ],
)
def test_mistake_in_a_campaign_that_tests_a_potential_gets_its_line(tmp_path, old, new, expected):
    _adopting(tmp_path)
    assert TEST.count(old) == 1
    errors = _errors(tmp_path, TEST.replace(old, new, 1))
    assert any(expected in line for line in errors), errors


DFT = """\
name: test
description: a test of what the section dft can ask for
structures:
  salt: {file: salt.cif}
  relaxed: {relax: {structure: salt, level_of_theory: grain-boundaries-pbe, cell: true}}
potentials:
  small: {adopt: potential}
md:
  hot:
    {structure: relaxed, potential: small, ensemble: NVT, temperatures_K: [700], seeds: [1], timestep_fs: 2,
     equilibration_ps: 2, production_ps: 10, dump_interval_fs: 100, thermo_interval_fs: 100,
     thermostat_damping_ps: 0.1, checkpoint_ps: 5}
dft:
  frames: {kind: single_point, level_of_theory: mine.yaml, md: hot, times_ps: [0, 0.3, 10]}
  dynamics:
    {kind: aimd, level_of_theory: grain-boundaries-pbe, structure: relaxed, temperatures_K: [600, 700],
     seeds: [1, 900000000], timestep_fs: 1, length_ps: 1, label_interval_fs: 50}
  again: {kind: single_point, level_of_theory: grain-boundaries, aimd: dynamics, times_ps: [0.5]}
"""
PACKAGED = "(allowed: a .yaml file, disorder, disorder-printed, grain-boundaries, grain-boundaries-pbe)"


def _level_file(folder: Path) -> Path:
    """The level of the disorder study in a file, for Li and S only."""
    from importlib import resources

    packaged = resources.files("lipsdb.dft").joinpath("levels/disorder.yaml").read_text(encoding="utf-8")
    text = re.sub(r"    P:\n(?: {6}.*\n)+", "", packaged.replace("name: disorder", "name: mine"))
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_campaign_with_relaxation_aimd_and_frames_at_exact_times_is_read(tmp_path):
    _adopting(tmp_path)
    _level_file(tmp_path)
    loaded = load_campaign(_write(tmp_path, DFT))
    assert [loaded.campaign.md["hot"].frame_at(time) for time in (0, 0.3, 10)] == [0, 3, 100]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "grain-boundaries, aimd",
            "grain-boundarys, aimd",
            "18:48: dft.again.level_of_theory: received 'grain-boundarys', no level of theory; did you mean "
            f"grain-boundaries? {PACKAGED}",
        ),
        (
            "grain-boundaries, aimd",
            "disorder-published, aimd",
            "18:48: dft.again.level_of_theory: received 'disorder-published', a level that is inferred, not one to "
            f"run; did you mean disorder-printed? {PACKAGED}",
        ),
        (
            "structure: salt, level_of_theory: grain-boundaries-pbe",
            "structure: salt, level_of_theory: PBE",
            f"5:55: structures.relaxed.relax.level_of_theory: received 'PBE', no level of theory {PACKAGED}",
        ),
        (
            "mine.yaml",
            "yours.yaml",
            "14:49: dft.frames.level_of_theory: received 'yours.yaml': yours.yaml is not a file; give a level's name",
        ),
        (
            "timestep_fs: 1,",
            "timestep_fs: 10,",
            "17:42: dft.dynamics.timestep_fs: received 10.0, must be less than or equal to 5",
        ),
        (
            "label_interval_fs: 50}",
            "label_interval_fs: 50, thermostat_damping_ps: 0.001}",
            "16:5: dft.dynamics: thermostat_damping_ps = 0.001 ps is under 5 timesteps (0.005 ps); raise it",
        ),
        (
            "900000000",
            "900000001",
            "17:17: dft.dynamics.seeds[1]: received 900000001, too large for vasp: from 1 to 900000000",
        ),
        (
            "0.3, 10]",
            "0.35, 10]",
            "14:83: dft.frames.times_ps[1]: received 0.35, must be a whole number of dump_interval_fs (100 fs): take "
            "0.3 or 0.4 ps",
        ),
        (
            "0.3, 10]",
            "0.3, 10.1]",
            "14:88: dft.frames.times_ps[2]: received 10.1, must not be after the end of the production (10 ps)",
        ),
    ],
)
def test_dft_that_a_plan_could_not_take_gets_its_line(tmp_path, old, new, expected):
    _adopting(tmp_path)
    _level_file(tmp_path)
    assert DFT.count(old) == 1
    errors = _errors(tmp_path, DFT.replace(old, new, 1))
    assert len(errors) == 1
    assert errors[0].startswith(expected), errors


def test_level_file_that_is_only_stated_is_not_run(tmp_path):
    _adopting(tmp_path)
    level = _level_file(tmp_path)
    level.write_text(level.read_text().replace("how_known: set", "how_known: stated"))
    (error,) = _errors(tmp_path, DFT)
    assert "dft.frames.level_of_theory: received 'mine.yaml': the level of theory 'mine.yaml' cannot be run" in error
    assert str(tmp_path) not in error


def test_structure_with_elements_that_the_levels_lack_is_told_at_each_of_them(tmp_path):
    from ase.build import bulk

    _adopting(tmp_path)
    _level_file(tmp_path)
    bulk("NaS", "rocksalt", a=5.64, cubic=True).write(tmp_path / "salt.cif")
    no_data_set = "which has no PAW data set for Na (it has Li, P, S)"
    assert [error.split(": add to its")[0].split(": ", 1)[1] for error in _errors(tmp_path, DFT)] == [
        f"structures.relaxed.relax.level_of_theory: received 'grain-boundaries-pbe', {no_data_set}",
        "dft.frames.level_of_theory: received 'mine', which has no basis set for Na (it has Li, S)",
        f"dft.dynamics.level_of_theory: received 'grain-boundaries-pbe', {no_data_set}",
        f"dft.again.level_of_theory: received 'grain-boundaries', {no_data_set}",
    ]
