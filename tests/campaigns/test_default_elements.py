"""Elements that a property has if none are named must be in its structure, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipsdb.campaigns.load import load_campaign
from lipsdb.errors import BadInputError

SALT = """\
name: salt
description: NaCl
structures:
  salt:
    crystal:
      spacegroup: Fm-3m
      lattice: {a_A: 5.6, b_A: 5.6, c_A: 5.6}
      sites:
        - {label: Na1, element: Na, position: [0, 0, 0], multiplicity: 4}
        - {label: Cl1, element: Cl, position: [0.5, 0.5, 0.5], multiplicity: 4}
    supercell: [2, 2, 2]
potentials:
  small: {adopt: ADOPTED}
md:
  hot:
    structure: salt
    potential: small
    ensemble: NVT
    temperatures_K: [500]
    seeds: [1]
    timestep_fs: 2
    equilibration_ps: 2
    production_ps: 20
    dump_interval_fs: 50
    thermo_interval_fs: 50
    thermostat_damping_ps: 0.1
    checkpoint_ps: 5
properties:
  p: {of: hot, kind: KIND}
tables: []
"""
ADOPTED = Path(__file__).parents[2] / "campaigns" / "quickstart" / "potential"


def problems(folder: Path, asked: str) -> list[str]:
    """What is wrong with a property of NaCl: each line from the field on."""
    path = folder / "salt.yaml"
    path.write_text(SALT.replace("ADOPTED", str(ADOPTED)).replace("KIND", asked))
    try:
        load_campaign(path)
    except BadInputError as error:
        return [line.partition("properties.p")[2] for line in str(error).splitlines()]
    return []


LITHIUM = "is Li if left out, but Li is not in the structure salt (it has Cl, Na): give"
FRAMEWORK = ".framework: is P, S if left out, but P, S are not in the structure salt (it has Cl, Na): give framework"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("displacement", [f".elements: {LITHIUM} elements", FRAMEWORK]),
        ("displacement, elements: [Na]", [FRAMEWORK]),
        ("displacement, elements: [Na], framework: [Cl]", []),
        ("voronoi_volumes", [f".elements: {LITHIUM} elements"]),
        ("voronoi_volumes, elements: [Na]", []),
        ("rings", [f".elements: {LITHIUM} elements"]),
        ("nonaffine_displacement", [f".species: {LITHIUM} species"]),
        ("amorphisation, axis: c", [f".species: {LITHIUM} species"]),
        (
            "thiophosphate_units",
            [".of: the structure has Cl, Na, must have P and S: name an MD of a thiophosphate"],
        ),
        ("radial_distribution", []),
    ],
)
def test_defaults_that_the_structure_lacks_are_told_with_the_field_to_give(
    tmp_path: Path, asked: str, expected: list[str]
) -> None:
    assert sorted(problems(tmp_path, asked)) == sorted(expected)
