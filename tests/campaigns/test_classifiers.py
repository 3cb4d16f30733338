"""The section `classifiers` of a campaign file: what it is trained on, and what does not fit together."""

from __future__ import annotations

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
        - {element: Li, position: [0, 0, 0]}
        - {element: S, position: [0.5, 0.5, 0.5]}
potentials:
  small:
    adopt: potential
md:
  hot:
    structure: salt
    potential: small
    ensemble: NVT
    temperatures_K: [700, 800, 900]
    seeds: [1, 2]
    timestep_fs: 2
    equilibration_ps: 2
    production_ps: 20
    dump_interval_fs: 50
    thermo_interval_fs: 50
    thermostat_damping_ps: 0.1
    checkpoint_ps: 5
classifiers:
  soft:
    md: [hot]
    surroundings: {elements: [S, Li]}
    group_by: ion
properties:
  how-soft:
    kind: softness
    of: hot
    classifier: soft
  motion:
    kind: nonaffine_displacement
    of: hot
tables: [classifiers, softness, nonaffine_displacement]
"""


def load(folder: Path, text: str = GOOD):
    path = folder / "campaign.yaml"
    path.write_text(text, encoding="utf-8")
    return load_campaign(path, check_files=False)


def test_defaults_are_complete_and_the_runs_are_no_settings(tmp_path: Path) -> None:
    campaign = load(tmp_path).campaign
    settings = campaign.classifiers["soft"].settings()
    assert settings["quantiles"] == [[0.5, 0.5]]
    assert settings["surroundings"]["elements"] == ["Li", "S"]  # in any order
    assert settings["motion"] == {
        "neighbours": None, "cutoff_A": 5.0, "per_neighbour": True, "window_ps": 0.5, "increments": 10
    }  # fmt: skip
    assert not settings.keys() & {"md", "temperatures_K", "method"}
    parameters = campaign.properties["how-soft"].parameters()
    assert not parameters.keys() & {"of", "kind", "classifier"}
    assert parameters["order_degree"] == 6


def test_given_thresholds_are_not_joined_by_the_median(tmp_path: Path) -> None:
    campaign = load(tmp_path, GOOD.replace("group_by: ion", "group_by: ion\n    thresholds_A: [12, 14]")).campaign
    settings = campaign.classifiers["soft"].settings()
    assert (settings["thresholds_A"], settings["quantiles"]) == ([12.0, 14.0], [])
    assert campaign.classifiers["soft"].n_choices == 10


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("classifier: soft", "classifier: sft", "received 'sft', no entry of classifiers; did you mean soft?"),
        ("md: [hot]", "md: [cold]", "received 'cold', no entry of md"),
        ("md: [hot]", "md: [hot]\n    temperatures_K: [750]", "received 750, no run has it (allowed: 700, 800, 900)"),
        (
            "group_by: ion",
            "group_by: run",
            "6 runs, 2 of them held out, cannot be cross-validated in 5 folds: take folds: 4 or more runs",
        ),
        (
            "md: [hot]\n    surroundings: {elements: [S, Li]}\n    group_by: ion",
            "md: [hot]\n    surroundings: {elements: [S, Li]}\n    group_by: run\n    test_fraction: 0.9",
            "received 'run', but there are 6 runs, of which 6 are held out: add seeds, or use ion",
        ),
        ("{elements: [S, Li]}", "{elements: [S, P]}", "received 'hot', whose structure salt has no P (it has Li, S)"),
        (
            "{elements: [S, Li]}",
            "{elements: [S], cutoffs_A: [5], spacings_A: [0.2, 0.3]}",
            "must have spacings_A that are multiples of the smallest, 0.2, not 0.3",
        ),
        (
            "{elements: [S, Li]}",
            "{elements: [S], cutoffs_A: [5.1]}",
            "must have cutoffs_A that are multiples of each of spacings_A, not 5.1",
        ),
        ("group_by: ion", "group_by: ion\n    quantiles: [[0.8, 0.2]]", "must be two fractions in order"),
        (
            "group_by: ion",
            "group_by: ion\n    motion: {window_ps: 0.33}",
            "classifiers.soft.motion.window_ps: received 0.33, must be a whole number of dump_interval_fs",
        ),
        (
            "group_by: ion",
            "group_by: ion\n    motion: {increments: 50}",
            "a block of 50 windows lasts 25 ps, must not be longer than the production of hot (20 ps)",
        ),
        (
            "nonaffine_displacement\n    of: hot",
            "nonaffine_displacement\n    of: hot\n    window_ps: 0.33",
            "properties.motion.window_ps: received 0.33, must be a whole number of dump_interval_fs",
        ),
        (
            "classifier: soft\n",
            "classifier: soft\n    order_cutoff_A: 3.0\n    order_n_neighbours: 4\n",
            "must have at most one of order_cutoff_A, order_n_neighbours",
        ),
    ],
)
def test_what_does_not_fit_is_told_before_anything_runs(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(BadInputError) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert message in str(caught.value)
