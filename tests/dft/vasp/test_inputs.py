"""Written INCAR, KPOINTS, POSCAR and POTCAR hold what the study prints and what is chosen here, and nothing else."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from pymatgen.io.vasp.inputs import Incar, Kpoints, Poscar, Potcar

from lipsdb.dft.levels_of_theory import find_level, packaged_levels
from lipsdb.dft.settings import AimdSettings, RelaxationSettings
from lipsdb.dft.vasp.inputs import VaspInputs, aimd_inputs, nose_mass, relaxation_inputs, static_inputs
from lipsdb.dft.vasp.level import VaspLevel
from lipsdb.dft.vasp.run import ENERGY_CHANGE_LIMIT_eV
from lipsdb.errors import BadInputError

NUMBERS = [3, 16, 3, 15]
POSITIONS = [[0.1, 0.2, 0.3], [2.1, 0.2, 0.3], [0.1, 2.7, 0.3], [0.1, 0.2, -2.6]]
CELL = [[6.0, 0.0, 0.0], [0.3, 6.2, 0.0], [0.0, 0.1, 6.4]]

# Printed in the study (doi 10.1039/d3ya00234a, "Moment tensor potential development")
PRINTED = {"ENCUT": 520, "EDIFF": 1e-5}
OPTB88 = {"GGA": "BO", "LUSE_VDW": True, "AGGAC": 0.0, "PARAM1": 0.1833333333, "PARAM2": 0.22}
CHOSEN = {
    **{"ISMEAR": 0, "SIGMA": 0.05, "PREC": "Accurate", "ADDGRID": False, "LASPH": True, "ISPIN": 1, "ISYM": 0},
    **{"ALGO": "Normal", "NELM": 100, "ISTART": 0, "ICHARG": 2, "LWAVE": False, "LCHARG": False},
}
AIMD = AimdSettings(temperature_K=2000, timestep_fs=2.0, n_steps=500, thermostat_damping_ps=0.1, seed=11)


def written(folder: Path, inputs: VaspInputs) -> dict[str, object]:
    inputs.write(folder)
    return dict(Incar.from_file(folder / "INCAR"))


def whole(tags: dict[str, object]) -> dict[str, object]:
    """The same tags as a file's reader gives them."""
    return dict(Incar.from_str(str(Incar(tags))))


def test_static_incar_is_optb88_at_the_printed_thresholds_and_whole(tmp_path: Path, vdw_level: VaspLevel) -> None:
    inputs = static_inputs(vdw_level, NUMBERS, POSITIONS, CELL, potcars=False)
    expected = {**PRINTED, **OPTB88, **CHOSEN, "LREAL": False, "IBRION": -1, "NSW": 0, "ISIF": 2}
    assert written(tmp_path, inputs) == whole(expected)


def test_relaxation_incar_is_pbe_with_the_printed_force_criterion_and_whole(
    tmp_path: Path, pbe_level: VaspLevel
) -> None:
    settings = RelaxationSettings(max_steps=99)
    inputs = relaxation_inputs(pbe_level, settings, NUMBERS, POSITIONS, CELL, potcars=False)
    ionic = {"IBRION": 2, "ISIF": 3, "NSW": 99, "EDIFFG": -0.01}
    assert written(tmp_path, inputs) == whole({**PRINTED, "GGA": "PE", **CHOSEN, "LREAL": "Auto", **ionic})
    assert ENERGY_CHANGE_LIMIT_eV == 2e-2  # printed; compared after the run, for EDIFFG holds one criterion
    fixed = relaxation_inputs(pbe_level, RelaxationSettings(cell=False), NUMBERS, POSITIONS, CELL, potcars=False)
    assert written(tmp_path, fixed)["ISIF"] == 2


def test_dynamics_incar_is_pbe_with_thermostat_and_seed_and_whole(tmp_path: Path, pbe_level: VaspLevel) -> None:
    inputs = aimd_inputs(pbe_level, AIMD, NUMBERS, POSITIONS, CELL, potcars=False)
    ionic = {
        **{"IBRION": 0, "MDALGO": 2, "NSW": 501, "POTIM": 2.0, "TEBEG": 2000, "TEEND": 2000, "ISIF": 2},
        **{"NBLOCK": 1, "NELMIN": 4, "RANDOM_SEED": [11, 0, 0]},
    }
    found = written(tmp_path, inputs)
    # by hand: 9 × 1.380649e-23 J/K × 2000 K × (1e-13 s)² = 2.48517e-45 kg m²; 1 amu × (6 Å)² = 5.97794e-46 kg m²
    assert found.pop("SMASS") == pytest.approx(4.15722, abs=1e-4)
    assert found == whole({**PRINTED, "GGA": "PE", **CHOSEN, "LREAL": "Auto", **ionic})


def test_nose_mass_for_a_period_of_forty_steps_is_the_one_that_vasp_takes_for_zero() -> None:
    # SMASS = Q / (amu |a1|²) with Q = 2 N k_B T (period / 2π)² (Nosé 1984), in SI units
    period, degrees, length = 40 * 2e-15, 3 * 32 - 3, 10e-10
    expected = 2 * degrees * 1.380649e-23 * 300 * (period / (2 * np.pi)) ** 2 / (1.66053906892e-27 * length**2)
    damping_ps = period * 1e12 / (2 * np.pi) * np.sqrt(2)
    assert nose_mass(300.0, damping_ps, 32, 10.0 * np.eye(3)) == pytest.approx(expected, rel=1e-6)


def test_seed_that_vasp_does_not_take_is_bad_input(pbe_level: VaspLevel) -> None:
    settings = AIMD.model_copy(update={"seed": 900_000_001})
    with pytest.raises(BadInputError, match="seed 900000001 is too large for vasp; take one from 1 to 900000000"):
        aimd_inputs(pbe_level, settings, NUMBERS, POSITIONS, CELL, potcars=False)


def test_kpoints_are_gamma_only_as_printed(tmp_path: Path, vdw_level: VaspLevel) -> None:
    static_inputs(vdw_level, NUMBERS, POSITIONS, CELL, potcars=False).write(tmp_path)
    kpoints = Kpoints.from_file(tmp_path / "KPOINTS")
    assert (kpoints.style, kpoints.num_kpts) == (Kpoints.supported_modes.Gamma, 0)
    assert [tuple(k) for k in kpoints.kpts] == [(1, 1, 1)]
    assert tuple(kpoints.kpts_shift) == (0, 0, 0)


def test_poscar_groups_the_elements_and_the_order_leads_back(tmp_path: Path, vdw_level: VaspLevel) -> None:
    inputs = static_inputs(vdw_level, NUMBERS, POSITIONS, CELL, potcars=False)
    inputs.write(tmp_path)
    structure = Poscar.from_file(tmp_path / "POSCAR").structure
    assert [site.specie.symbol for site in structure] == ["Li", "Li", "S", "P"]
    back = np.argsort(inputs.order)
    np.testing.assert_allclose(structure.cart_coords[back], POSITIONS, atol=1e-12)
    np.testing.assert_allclose(structure.lattice.matrix, CELL, atol=1e-14)


def test_potcars_are_those_of_the_level_with_hash_and_valence(
    tmp_path: Path, potcar_folder: Path, vdw_level: VaspLevel
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inputs = static_inputs(vdw_level, NUMBERS, POSITIONS, CELL)
    inputs.write(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert Potcar.from_file(tmp_path / "POTCAR").symbols == ["Li_sv", "S", "P"]
    file = (potcar_folder / "POT_GGA_PAW_PBE_54" / "S" / "POTCAR").read_text()
    sulphur = inputs.potcars[1]
    assert (sulphur.element, sulphur.symbol, sulphur.titel) == ("S", "S", "PAW_PBE S 01Jan2000")
    assert (sulphur.valence, sulphur.sha256) == (6.0, hashlib.sha256(file.encode()).hexdigest())
    assert inputs.valence == {3: 3.0, 16: 6.0, 15: 5.0}
    assert inputs.n_electrons == 2 * 3 + 6 + 5
    assert "POTCAR" not in inputs.texts()
    assert f"S PAW_PBE S 01Jan2000 sha256={sulphur.sha256}" in inputs.texts()["POTCAR.spec"]


def test_without_potcar_files_the_rest_can_be_looked_at(tmp_path: Path, vdw_level: VaspLevel) -> None:
    inputs = static_inputs(vdw_level, NUMBERS, POSITIONS, CELL, potcars=False)
    inputs.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["INCAR", "KPOINTS", "POSCAR", "POTCAR.spec"]
    assert inputs.n_electrons is inputs.valence is None
    assert [potcar.symbol for potcar in inputs.potcars] == ["Li_sv", "S", "P"]


def test_element_without_data_set_and_left_handed_cell_are_bad_input(vdw_level: VaspLevel) -> None:
    with pytest.raises(BadInputError, match="no PAW data set for Cl, only for Li, P, S; add it to potcars"):
        static_inputs(vdw_level, [3, 17], POSITIONS[:2], CELL, potcars=False)
    with pytest.raises(BadInputError, match=r"the cell has the volume -.* VASP takes right-handed cells only"):
        static_inputs(vdw_level, NUMBERS, POSITIONS, CELL[::-1], potcars=False)


def test_packaged_levels_are_runnable_cite_the_study_and_say_what_was_chosen() -> None:
    for name in ("grain-boundaries", "grain-boundaries-pbe"):
        level = find_level(name)
        assert (level.asked.code, level.answer.how_known) == ("vasp", "set")
        assert level.answer.reference == "10.1039/d3ya00234a"
        assert "Not printed" in level.answer.remarks
        settings = level.asked.settings
        assert VaspLevel.model_validate(settings).model_dump() == settings
        assert settings["potcars"] == {"Li": "Li_sv", "P": "P", "S": "S"}
    assert "2e-2 eV" in packaged_levels()["grain-boundaries-pbe"].answer.remarks


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ismear": -5}, "ismear -5 needs at least 4 k-points"),
        ({"vdw_kernel": None}, r"for optB88-vdW it must be vdw_kernel\.bindat"),
        ({"lasph": False}, "optB88-vdW needs true"),
        ({"functional_tags": {"GGA": "PE"}}, "are not those of optB88-vdW"),
        ({"potcars": {"Li": "P"}}, "its name must begin with Li"),
        ({"potcars": {"Xx": "Xx"}}, "no chemical element"),
        ({"kpoints": [1, 0, 1]}, "three positive divisions"),
        ({"encut_eV": -1.0}, "greater than 0"),
        ({"nedos": 5}, "Extra inputs"),
    ],
)
def test_level_that_contradicts_itself_is_refused(change: dict[str, object], reason: str, vdw_level: VaspLevel) -> None:
    with pytest.raises(ValidationError, match=reason):
        VaspLevel.model_validate({**vdw_level.model_dump(), **change})
