"""CP2K input from a level of theory, through atomate2's input set generators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lipsdb.dft.cp2k.data_files import check_elements, entries_of
from lipsdb.dft.cp2k.level import Cp2kLevel
from lipsdb.settings import read_settings

if TYPE_CHECKING:
    from atomate2.cp2k.sets.base import Cp2kInputGenerator, Cp2kInputSet
    from pymatgen.core.structure import Structure

    from lipsdb.dft.settings import AimdSettings, RelaxationSettings

PROJECT = "label"
INNER_SCF = 50  # steps before the preconditioner is made anew
BACKUPS = 5  # older restart files that CP2K keeps
_DISPERSION = {"D3": "DFTD3", "D3(BJ)": "DFTD3(BJ)"}
# What atomate2's sets would also print: not needed for a label, and some of it slow.
_SILENT = {
    "print_dos": False,
    "print_pdos": False,
    "print_mo_cubes": False,
    "print_v_hartree": False,
    "print_e_density": False,
}


def settings_of(level: Cp2kLevel, elements: list[str]) -> dict[str, Any]:
    """The level in the terms of pymatgen's `DftSet`, with the basis sets and pseudopotentials of these elements.

    Raises
    ------
    BadInputError
        If the level lacks an element, or the installed data files are not those of the level.
    """
    from pymatgen.io.cp2k.inputs import GaussianTypeOrbitalBasisSet, GthPotential

    check_elements(level, elements)
    kinds = {}
    for element in elements:
        basis, potential = entries_of(element, level.kinds[element])
        kinds[element] = {
            "basis": GaussianTypeOrbitalBasisSet.from_str(basis),
            "potential": GthPotential.from_str(potential),
        }
    dft: dict[str, Any] = {}
    most_steps = read_settings().cp2k_max_scf
    inner = min(most_steps, INNER_SCF)
    if level.dispersion is not None:
        from lipsdb.dft.cp2k.data_files import data_folder

        dft["XC"] = {
            "VDW_POTENTIAL": {
                "POTENTIAL_TYPE": "PAIR_POTENTIAL",
                "PAIR_POTENTIAL": {
                    "TYPE": _DISPERSION[level.dispersion],
                    "REFERENCE_FUNCTIONAL": level.functional,
                    "PARAMETER_FILE_NAME": str(data_folder() / "dftd3.dat"),
                },
            }
        }
    return {
        "basis_and_potential": kinds,
        "xc_functionals": level.functional,
        "cutoff": level.cutoff_Ry,
        "rel_cutoff": level.rel_cutoff_Ry,
        "ngrids": level.ngrids,
        "eps_default": level.eps_default,
        "eps_scf": level.eps_scf,
        "multiplicity": 1,
        "spin_polarized": False,
        # Orbital transformation, for insulators. Broyden mixing is quicker where it converges (P2S5, 28 atoms: 14 steps
        # instead of 49, the same energy), but for Li7PS6 it does not.
        "ot": True,
        "minimizer": "DIIS",
        "preconditioner": "FULL_ALL",
        "energy_gap": 0.05,
        "algorithm": "STRICT",
        "rotation": False,
        "max_scf": inner,
        "outer_max_scf": -(-most_steps // inner),
        "project_name": PROJECT,
        "override_default_params": {
            "GLOBAL": {"EXTENDED_FFT_LENGTHS": False},
            "FORCE_EVAL": {"STRESS_TENSOR": "ANALYTICAL", "DFT": dft},
        },
        **_SILENT,
    }


def _written(generator: type[Cp2kInputGenerator], structure: Structure, settings: dict[str, Any]) -> Cp2kInputSet:
    made = generator(config_dict={"cp2k_input": settings}, sort_structure=False)
    return made.get_input_set(structure)


def single_point_inputs(level: Cp2kLevel, structure: Structure) -> Cp2kInputSet:
    """Input of a single point: energy, forces and analytical stress.

    Parameters
    ----------
    level : Cp2kLevel
    structure : pymatgen Structure
        Its atoms stay in their order.

    Returns
    -------
    Cp2kInputSet
        Of atomate2; ``write_input(folder)`` writes ``cp2k.inp`` and the files ``BASIS`` and ``POTENTIAL`` with just the
        entries that are used.
    """
    from atomate2.cp2k.sets.core import StaticSetGenerator

    return _written(StaticSetGenerator, structure, settings_of(level, _elements(structure)))


def aimd_inputs(
    level: Cp2kLevel, structure: Structure, settings: AimdSettings, *, remaining_steps: int, restart: str | None = None
) -> Cp2kInputSet:
    """Input of ab initio molecular dynamics: NVT with a Nosé–Hoover chain.

    Parameters
    ----------
    level : Cp2kLevel
    structure : pymatgen Structure
        Its atoms stay in their order.
    settings : AimdSettings
    remaining_steps : int
        Steps of this process.
    restart : str, optional
        CP2K's restart file that is continued: positions, velocities, thermostat and the counting of steps.

    Returns
    -------
    Cp2kInputSet
        Positions and forces go to files every `dump_interval` steps, energies and the whole stress at every step,
        the stress of the forces into the output.
    """
    from atomate2.cp2k.sets.core import MDSetGenerator
    from pymatgen.io.cp2k.inputs import Keyword, Section

    made = settings_of(level, _elements(structure))
    dumped = {"EACH": {"MD": settings.dump_interval}}
    changes = made["override_default_params"]
    changes["GLOBAL"] |= {"SEED": settings.seed, "PROJECT_NAME": PROJECT}
    changes["MOTION"] = {
        "MD": {
            "ENSEMBLE": settings.ensemble.upper(),
            "TEMPERATURE": settings.temperature_K,
            "TIMESTEP": settings.timestep_fs,
            "STEPS": remaining_steps,
            "THERMOSTAT": {
                "TYPE": "NOSE",
                "REGION": "GLOBAL",
                "NOSE": {"TIMECON": Keyword("TIMECON", settings.thermostat_damping_ps * 1000.0, units="fs")},
            },
        },
        "PRINT": {
            "TRAJECTORY": {"FORMAT": "XYZ", "UNIT": "angstrom", **dumped},
            "FORCES": {"UNIT": "hartree*bohr^-1", **dumped},
            "RESTART": {"BACKUP_COPIES": BACKUPS, "EACH": {"MD": 1}},
            "RESTART_HISTORY": Section("RESTART_HISTORY", section_parameters=["OFF"]),
        },
    }
    if restart is not None:
        changes["EXT_RESTART"] = {"RESTART_FILE_NAME": restart}
    return _written(MDSetGenerator, structure, made)


def relaxation_inputs(
    level: Cp2kLevel, structure: Structure, settings: RelaxationSettings, *, restart: str | None = None
) -> Cp2kInputSet:
    """Input of a relaxation by BFGS: of atoms and cell, or of the atoms.

    Parameters
    ----------
    level : Cp2kLevel
    structure : pymatgen Structure
        Its atoms stay in their order.
    settings : RelaxationSettings
    restart : str, optional
        CP2K's restart file that is continued.
    """
    from atomate2.cp2k.sets.core import CellOptSetGenerator, RelaxSetGenerator
    from pymatgen.io.cp2k.inputs import Section

    from lipsdb.dft.cp2k.output import HARTREE_PER_BOHR_IN_EV_PER_A

    made = settings_of(level, _elements(structure))
    changes = made["override_default_params"]
    changes["GLOBAL"] |= {"PROJECT_NAME": PROJECT}
    force = settings.max_force_eV_A / HARTREE_PER_BOHR_IN_EV_PER_A
    optimiser: dict[str, Any] = {"MAX_FORCE": force, "RMS_FORCE": force, "MAX_ITER": settings.max_steps}
    if settings.cell:
        optimiser |= {"EXTERNAL_PRESSURE": 0.0, "PRESSURE_TOLERANCE": settings.pressure_tolerance_bar}
    kind = "CELL_OPT" if settings.cell else "GEO_OPT"
    changes["MOTION"] = {
        kind: optimiser,
        "PRINT": {
            "RESTART": {"BACKUP_COPIES": BACKUPS, "EACH": {kind: 1}},
            "RESTART_HISTORY": Section("RESTART_HISTORY", section_parameters=["OFF"]),
        },
    }
    if restart is not None:
        changes["EXT_RESTART"] = {"RESTART_FILE_NAME": restart}
    return _written(CellOptSetGenerator if settings.cell else RelaxSetGenerator, structure, made)


def _elements(structure: Structure) -> list[str]:
    return [element.symbol for element in sorted(structure.composition.elements)]
