"""Lattice and elastic constants, asked for as a campaign file does."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipsdb.campaigns.load import CampaignFile, load_campaign
from lipsdb.errors import BadInputError
from lipsdb.ingest.record import adopt_potential
from lipsdb.md import static
from lipsdb.provenance.canonical import decoded
from lipsdb.queries.catalogue import QUERIES
from lipsdb.queries.figures.descriptors import FIGURES
from lipsdb.store.database import Database
from lipsdb.workflows.agreement import compare
from lipsdb.workflows.answering import answer
from lipsdb.workflows.campaign_questions import ask
from lipsdb.workflows.performers import performer_of
from lipsdb.workflows.tolerances import tolerances_for

CAMPAIGNS = Path(__file__).parents[2] / "campaigns"
CAMPAIGN = """
name: mechanics
description: How large and how stiff is it?
structures:
  beta-Li3PS4:
    crystal:
      spacegroup: Pnma
      lattice: {a_A: 12.819, b_A: 8.2195, c_A: 6.1236}
      sites:
        - {element: Li, position: [0.3562, 0.0123, 0.4371]}
        - {element: Li, position: [0, 0, 0.5]}
        - {element: P, position: [0.0875, 0.25, 0.1718]}
        - {element: S, position: [0.1554, 0.0456, 0.2839]}
        - {element: S, position: [0.9348, 0.25, 0.2567]}
        - {element: S, position: [0.1071, 0.25, 0.8369]}
    supercell: [1, 1, 1]
potentials:
  shipped: {adopt: POTENTIAL}
md:
  cold: &md
    structure: beta-Li3PS4
    potential: shipped
    ensemble: NPT
    temperatures_K: [300]
    pressures_bar: [1]
    seeds: [1]
    timestep_fs: 2
    equilibration_ps: 1
    production_ps: 10
    npt_coupling: aniso
    dump_interval_fs: 100
    thermo_interval_fs: 100
    thermostat_damping_ps: 0.1
    barostat_damping_ps: 1
    checkpoint_ps: 1
properties:
  cell: {kind: lattice, of: cold}
  elastic: {kind: elasticity, structure: beta-Li3PS4, potential: shipped, strain_amplitudes: [-0.01, 0.01]}
published:
  - {structure: beta-Li3PS4, quantity: bulk_modulus, value: 22, unit: GPa, method: optB88, source: SOURCE}
tables: [lattice, elasticity]
""".replace("SOURCE", "{doi: 10.1039/d3ya00234a, where: Table 1}")


@pytest.fixture
def campaign(tmp_path: Path) -> Callable[..., CampaignFile]:
    """Read the campaign with some of its text replaced."""

    def read(**replaced: str) -> CampaignFile:
        text = CAMPAIGN.replace("POTENTIAL", str(CAMPAIGNS / "quickstart" / "potential"))
        for old, new in replaced.items():
            text = text.replace({"supercell": "[1, 1, 1]"}.get(old, old), new)
        (tmp_path / "mechanics.yaml").write_text(text)
        return load_campaign(tmp_path / "mechanics.yaml")

    return read


def test_lattice_parameters_are_those_of_one_unit_cell(
    database: Database, stored_run: Callable[..., dict[str, str]], measured: Callable[..., dict[str, Any]]
) -> None:
    rng = np.random.default_rng(3)
    breathing = 1.0 + 0.01 * rng.normal(size=(200, 3))
    cells = np.array([np.diag([24.0, 9.0, 10.0] * scale) for scale in breathing])
    positions = np.zeros((200, 8, 3)) + np.arange(8)[:, None]
    run = stored_run(positions, cells, ["S"] * 8, 0.1, ensemble="npt", pressure_bar=1.0)
    document = measured("lattice", run, repeats=[2, 1, 1])
    (row,) = QUERIES["lattice"].rows(database)
    for name, length in (("a", 12.0), ("b", 9.0), ("c", 10.0)):
        value, error = getattr(row, f"{name}_A"), getattr(row, f"{name}_std_A")
        assert value == pytest.approx(length, abs=4 * error)
        assert error == pytest.approx(0.01 * length / np.sqrt(200), rel=0.3)
    assert row.alpha_deg == pytest.approx(90.0)
    assert row.volume_A3 == pytest.approx(1080.0, rel=0.005)
    assert row.density_g_cm3 == pytest.approx(8 * 32.06 / 2160.0 * 1.66054, rel=0.005)  # amu/Å³ to g/cm³
    assert row.converged == "yes"
    assert abs(row.drift_sigma) < 4
    figure = FIGURES["lattice"].draw([document])
    assert [note.text for note in figure.layout.annotations] == ["a (Å)", "b (Å)", "c (Å)", "density (g/cm³)"]


def test_a_run_at_constant_volume_has_no_lattice(
    campaign: Callable[..., CampaignFile], real_run: dict[str, str], measured: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(BadInputError, match=r"run at constant volume \(nvt\).*give a run with ensemble NPT"):
        measured("lattice", real_run)
    at_constant_pressure = ["pressures_bar: [1]", "npt_coupling: aniso", "barostat_damping_ps: 1"]
    without = {f"    {line}\n": "" for line in at_constant_pressure}
    with pytest.raises(BadInputError, match=r"cell\.of: received 'cold', an MD at constant volume \(NVT\)"):
        campaign(**{"ensemble: NPT": "ensemble: NVT", **without})
    with pytest.raises(BadInputError, match=r"an MD with 11 stored frames: errors need 16 or more"):
        campaign(**{"production_ps: 10": "production_ps: 1"})


def test_the_supercell_of_the_structure_says_what_one_unit_cell_is(
    database: Database, campaign: Callable[..., CampaignFile]
) -> None:
    file = campaign(supercell="[1, 2, 3]")
    (cell,) = ask(database, file).properties["cell"]
    assert cell.asked.parameters == {"repeats": [1, 2, 3]}
    (given,) = ask(database, campaign(**{"of: cold": "of: cold, repeats: [1, 2, 2]"})).properties["cell"]
    assert given.asked.parameters == {"repeats": [1, 2, 2]}


def test_bad_strains_are_found_before_anything_runs(campaign: Callable[..., CampaignFile]) -> None:
    with pytest.raises(BadInputError, match="other than 0"):
        campaign(**{"[-0.01, 0.01]": "[0.0, 0.01]"})
    with pytest.raises(BadInputError, match="at least 2"):
        campaign(**{"[-0.01, 0.01]": "[0.01]"})
    with pytest.raises(BadInputError, match=r"less than or equal to 0\.1"):
        campaign(**{"[-0.01, 0.01]": "[0.01, 1.0]"})


def test_elastic_constants_with_the_shipped_potential(
    database: Database, campaign: Callable[..., CampaignFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static, "POLL_SECONDS", 0.05)
    adopt_potential(database, CAMPAIGNS / "quickstart" / "potential", ["mechanics"])
    questions = ask(database, campaign())
    structure = answer.original(*questions.structures["beta-Li3PS4"].job({}, ["mechanics"]).function_args)
    (elastic,) = questions.properties["elastic"]
    assert elastic.category == "md"
    sources = {id(parent): structure for parent in elastic.parents()}
    stored = database.find(answer.original(*elastic.job(sources, ["mechanics"]).function_args)["id"])
    found = decoded(stored)["answer"]
    assert {"LAMMPS", "pymatgen", "spglib"} <= stored["made_by"]["versions"].keys()

    (row,) = QUERIES["elasticity"].rows(database)
    assert row.stable == "yes"
    assert row.symmetry == "Pnma"
    assert 20 < row.B_GPa < 80
    assert 2 < row.G_GPa < row.B_GPa
    assert row.E_GPa == pytest.approx(9 * row.B_GPa * row.G_GPa / (3 * row.B_GPa + row.G_GPa))
    assert row.reference_stress_GPa < static.STRESS_LIMIT_GPa
    assert found["max_forces_eV_A"].max() <= 1e-3
    np.testing.assert_allclose(found["stiffness_GPa"][3:, :3], 0.0, atol=1e-6)  # mmm
    # By energies, which the fit does not see: E(e) + E(-e) - 2 E(0) = C e² V.
    curvature = found["energies_eV"][1:].reshape(6, 2).sum(axis=1) - 2 * found["energies_eV"][0]
    by_energy = curvature / 1e-4 / np.linalg.det(found["reference_cell_A"]) * 160.2177  # eV/Å³ in GPa
    np.testing.assert_allclose(by_energy, found["stiffness_GPa"].diagonal(), rtol=0.1, atol=1.0)
    assert {file["name"] for file in stored["made_by"]["files"]} == {"in.lammps", "log.lammps"}
    assert FIGURES["elasticity"].draw([decoded(stored)]).data[0].z.shape == (6, 6)

    assert performer_of(stored).path == "lipsdb.workflows.properties:strain_structure"
    for factor, outcome in ((1.005, "within tolerance"), (1.03, "different")):
        again = deepcopy(stored) | {"content": "other"}
        again["answer"]["summary"][0]["B_GPa"] *= factor
        assert compare(tolerances_for(stored), stored, again).outcome == outcome


def test_published_moduli_stand_beside_ours(database: Database, campaign: Callable[..., CampaignFile]) -> None:
    entry = campaign().campaign.published[0]
    assert (entry.quantity, entry.unit) == ("bulk_modulus", "GPa")
    with pytest.raises(BadInputError, match="must be GPa for bulk_modulus"):
        campaign(**{"unit: GPa": "unit: eV"})
