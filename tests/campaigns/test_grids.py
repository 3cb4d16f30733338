"""Grid searches in campaign files: what they expand to, and what is wrong with them, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipsdb.campaigns.load import load_campaign
from lipsdb.campaigns.potentials import Grid
from lipsdb.errors import BadInputError

CAMPAIGN = """
name: search
description: a grid search
labels:
  aimd: {systems: [crystal], level_of_theory: pbe}
datasets:
  frames: {labels: [aimd], held_fraction: 0.1, block_length: 5, seed: 1}
grids:
  passive:
    engine: mtp
    dataset: frames
    settings: {max_iterations: 10}
    over:
      cutoff_A: [4.0, 5.0]
      level: [8, 12, 14]
properties:
  choice: {kind: potential_choice, grid: passive}
tables: [potential_choice]
"""


def load(folder: Path, text: str = CAMPAIGN) -> Grid:
    path = folder / "search.yaml"
    path.write_text(text)
    return load_campaign(path).campaign.grids["passive"]


def test_every_combination_is_a_member_with_the_common_settings(tmp_path):
    members = dict(load(tmp_path).expand())
    assert len(members) == 6
    assert members["cutoff 5 Å, level 12"] == {"max_iterations": 10, "cutoff_A": 5.0, "level": 12}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("level: [8, 12, 14]", "level: [8, 13]", "grids.passive.over.level: "),
        ("level: [8, 12, 14]", "level: []", "grids.passive.over.level: must have at least 1 entries, has 0"),
        ("level: [8, 12, 14]", "level: [8, 8]", "must not hold a value twice: 8"),
        ("level: [8, 12, 14]", "level: [8, '8']", "cutoff 4 Å, level 8 and cutoff 4 Å, level 8 are the same potential"),
        ("level: [8, 12, 14]", "levle: [8]", "grids.passive.over.levle: not a setting of mtp; did you mean level?"),
        ("{max_iterations: 10}", "{max_iterations: 10, level: 8}", "must not have level in settings and in over"),
        ("{max_iterations: 10}", "{max_iterations: 0}", "grids.passive.settings.max_iterations: "),
        ("engine: mtp", "engine: mpt", 'grids.passive.engine: received "mpt", not an engine; did you mean mtp?'),
        ("grid: passive", "grid: pasive", "properties.choice.grid: received 'pasive', no entry of grids"),
        ("potential_choice, grid: passive", "potential_choice, grid: passive, tolerance: 1.5", "must be less than 1"),
    ],
)
def test_mistake_gets_its_line(tmp_path, old, new, expected):
    assert old in CAMPAIGN
    with pytest.raises(BadInputError) as error:
        load(tmp_path, CAMPAIGN.replace(old, new, 1))
    assert expected in str(error.value)


@pytest.mark.parametrize(("trained_by", "refused"), [("deepmd", True), ("mtp", False)])
def test_md_can_be_watched_only_with_a_potential_that_has_a_grade(tmp_path, trained_by, refused):
    settings = {"mtp": "{level: 8}", "deepmd": "{stages: [{steps: 10, learning_rate: [1.0e-3, 1.0e-4]}]}"}[trained_by]
    text = (
        CAMPAIGN
        + f"""
potentials:
  some: {{train: {{engine: {trained_by}, dataset: frames, settings: {settings}}}}}
structures:
  salt: {{crystal: {{spacegroup: Fm-3m, lattice: {{a_A: 5.0, b_A: 5.0, c_A: 5.0}}, sites: [
    {{label: Li, element: Li, position: [0, 0, 0], multiplicity: 4}}]}}}}
md:
  hot:
    structure: salt
    potential: some
    ensemble: NVT
    temperatures_K: [300]
    seeds: [1]
    timestep_fs: 2
    equilibration_ps: 0
    production_ps: 1
    dump_interval_fs: 100
    thermo_interval_fs: 100
    thermostat_damping_ps: 0.1
    checkpoint_ps: 1
    extrapolation: {{interval_fs: 100, select_grade: 2, break_grade: 10}}
"""
    )
    if refused:
        with pytest.raises(
            BadInputError, match="engine deepmd have no extrapolation grade: remove it, or take one of mtp"
        ):
            load(tmp_path, text)
    else:
        load(tmp_path, text)
