"""Mechanics: the lattice of runs at constant pressure, and elastic constants of relaxed structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.documents.base import Input
from lipsdb.documents.potential import Potential
from lipsdb.documents.property import PropertyAsked
from lipsdb.documents.structure import Structure, StructureAnswer
from lipsdb.errors import BadInputError
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Question, QuestionMaker, Workplace
from lipsdb.workflows.molecular_dynamics import lammps_versions, prepare_potential
from lipsdb.workflows.properties.of_run import Result, known
from lipsdb.workflows.runs import load_run

if TYPE_CHECKING:
    from lipsdb.analysis.cell_statistics import TimeAverage
    from lipsdb.analysis.elasticity import ElasticModuli
    from lipsdb.md.coupling import Coupling
    from lipsdb.md.static import StrainedCells

_LATTICE_UNITS = {
    "a": "_A", "b": "_A", "c": "_A", "alpha": "_deg", "beta": "_deg", "gamma": "_deg", "volume": "_A3",
    "density": "_g_cm3",
}  # fmt: skip
_SHOWN_CONSTANTS = ("11", "22", "33", "44", "55", "66", "12", "13", "23")


def measure_lattice(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Lattice parameters of one unit cell and density, with errors and whether the run is long enough for them."""
    from lipsdb.analysis.cell_statistics import GRAMS_PER_CM3, cell_statistics, lattice_parameters

    run = load_run(place.database, inputs[0].id)
    if run.conditions["pressure_bar"] is None:
        raise BadInputError(
            f"{run.conditions['run_id']} was run at constant volume ({run.conditions['ensemble']}); its lattice is "
            "that of its structure; give a run with ensemble NPT"
        )
    first, second, third = asked.parameters["repeats"] or (1, 1, 1)
    found = cell_statistics(run.cell, run.masses, repeats=(first, second, third))
    averages: dict[str, TimeAverage] = {name: getattr(found, name) for name in _LATTICE_UNITS}
    converged = all(average.converged for average in averages.values())
    drifts = [average.drift_sigma for average in averages.values()]
    row: dict[str, Any] = {"converged": "yes" if converged else "no"}
    for name, average in averages.items():
        unit = _LATTICE_UNITS[name]
        row |= {f"{name}{unit}": average.mean, f"{name}_std{unit}": average.standard_error}
    series = lattice_parameters(run.cell)
    series[:, :3] /= (first, second, third)
    answer = {
        "conditions": run.conditions,
        "summary": [row | {"drift_sigma": known(max(drifts, key=abs))}],
        "frame_interval_ps": run.frame_interval_ps,
        "fluctuation": {name: average.standard_deviation for name, average in averages.items()},
        "statistical_inefficiency": {name: average.statistical_inefficiency for name, average in averages.items()},
        "drift_sigma": {name: known(average.drift_sigma) for name, average in averages.items()},
        "lattice_by_frame": series,
        "density_by_frame_g_cm3": GRAMS_PER_CM3 * run.masses.sum() / np.abs(np.linalg.det(run.cell)),
    }
    return answer, place.watch.made_by(versions_of())


@dataclass
class ElasticityMaker(QuestionMaker):
    """Strains a relaxed structure, and fits its elastic constants.

    Parameters
    ----------
    parameters : dict
        Of `lipsdb.campaigns.properties.mechanics.Elasticity`, complete.
    ranks : int
        MPI ranks; threads, where the potential is computed by a program of its own.
    """

    name: str = "elasticity"
    parameters: dict[str, Any] = field(default_factory=dict)
    ranks: int = 1

    def question(self, structure: Question | dict[str, str], potential: Question | dict[str, str]) -> Question:
        """Ask for the elastic constants."""
        return Question(
            "property",
            self.name,
            PropertyAsked(property="elasticity", parameters=self.parameters),
            (("structure", structure), ("potential", potential)),
            "lipsdb.workflows.properties:strain_structure",
            "md",
            {"ranks": self.ranks},
        )


def strain_structure(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Elastic constants and moduli at zero temperature, from stresses of strained cells with relaxed atoms."""
    from ase.data import chemical_symbols

    from lipsdb.analysis.elasticity import (
        elastic_moduli,
        fit_elastic_tensor,
        strain_deformations,
        symmetrised_stiffness,
    )

    parameters, by_role = asked.parameters, {link.role: link for link in inputs}
    structure = Structure.from_stored(place.database.find(by_role["structure"].id)).answer
    potential = Potential.from_stored(place.database.find(by_role["potential"].id))
    deformations = strain_deformations(parameters["strain_amplitudes"])
    coupling = prepare_potential(place, structure, potential)
    strained = _strained_cells(place, parameters, structure, potential, coupling, deformations)
    tensor = fit_elastic_tensor(deformations, strained.stresses_GPa[1:])
    species = [chemical_symbols[number] for number in structure.numbers]
    given = structure.positions @ np.linalg.inv(structure.cell)
    relaxed = strained.positions @ np.linalg.inv(strained.cells[0])
    tolerance, stiffness = parameters["symmetry_tolerance_A"], tensor.stiffness
    if parameters["symmetrise"]:
        stiffness = symmetrised_stiffness(stiffness, strained.original_cell, given, species, tolerance=tolerance)
    moduli = elastic_moduli(stiffness, tensor.covariance)
    row = {
        "symmetry": _space_group(structure.cell, species, given, tolerance),
        "symmetry_relaxed": _space_group(strained.cells[0], species, relaxed, tolerance),
        **_moduli_and_constants(moduli, stiffness, tensor.standard_errors),
        **_lattice_left(strained.cells[0], strained.stresses_GPa[0], stiffness if parameters["relax_cell"] else None),
    }
    answer = {
        "conditions": {
            "structure": structure.name,
            "formula": structure.formula,
            "potential_id": by_role["potential"].id,
        },
        "summary": [row],
        "stiffness_GPa": stiffness,
        "stiffness_as_fitted_GPa": tensor.stiffness,
        "covariance_GPa2": tensor.covariance,
        "fit_residual_GPa": tensor.residual,
        "bulk_voigt_reuss_GPa": [moduli.bulk_voigt, moduli.bulk_reuss],
        "shear_voigt_reuss_GPa": [moduli.shear_voigt, moduli.shear_reuss],
        "universal_anisotropy": moduli.universal_anisotropy,
        "deformations": deformations,
        "stresses_GPa": strained.stresses_GPa[1:],
        "energies_eV": strained.energies_eV,
        "max_forces_eV_A": strained.max_forces_eV_A,
        "reference_cell_A": strained.cells[0],
        "reference_positions_A": strained.positions,
        "reference_stress_GPa": strained.stresses_GPa[0],
        "rotation": strained.rotation,
    }
    made_by = place.watch.made_by(
        versions_of("pymatgen", "spglib") | lammps_versions(coupling, strained.lammps_version),
        [place.put_text(strained.script_path, "in.lammps"), place.put_text(strained.log_path, "log.lammps")],
        executable=strained.program,
        core_seconds=strained.wall_seconds * int(place.options.get("ranks", 1)),
    )
    return answer, made_by


def _strained_cells(
    place: Workplace,
    parameters: Mapping[str, Any],
    structure: StructureAnswer,
    potential: Potential,
    coupling: Coupling,
    deformations: np.ndarray,
) -> StrainedCells:
    from lipsdb.md.static import relax_strained_cells

    return relax_strained_cells(
        place.folder,
        coupling,
        structure.numbers,
        structure.positions,
        structure.cell,
        potential.answer.elements,
        deformations,
        relax_cell=parameters["relax_cell"],
        max_force_eV_A=parameters["max_force_eV_A"],
        max_steps=parameters["max_steps"],
        ranks=int(place.options.get("ranks", 1)),
        progress=lambda done, total: place.progress(done, total, "cells"),
        lock_fd=place.lock_fd,
    )


def _space_group(cell: np.ndarray, species: Sequence[str], fractional: np.ndarray, tolerance: float) -> str:
    """Symbol of the space group of a crystal."""
    from pymatgen.core.structure import Structure as Crystal
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    return SpacegroupAnalyzer(Crystal(cell, list(species), fractional), symprec=tolerance).get_space_group_symbol()


def _lattice_left(cell: np.ndarray, stress: np.ndarray, stiffness: np.ndarray | None) -> dict[str, Any]:
    """Lengths of a relaxed cell; their errors are what the stress that is left strains them by."""
    row: dict[str, Any] = {"reference_stress_GPa": float(np.abs(stress).max())}
    strain = np.full((3, 3), np.nan)
    if stiffness is not None:
        xx, yy, zz, yz, xz, xy = np.linalg.solve(stiffness, stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]])
        strain = np.array([[xx, xy / 2, xz / 2], [xy / 2, yy, yz / 2], [xz / 2, yz / 2, zz]])
    for name, vector in zip("abc", cell, strict=True):
        length = float(np.linalg.norm(vector))
        row |= {f"{name}_A": length, f"{name}_std_A": known(abs(vector @ strain @ vector) / length)}
    return row


def _moduli_and_constants(moduli: ElasticModuli, stiffness: np.ndarray, errors: np.ndarray) -> dict[str, Any]:
    """Moduli and constants as a table shows them."""
    row: dict[str, Any] = {
        "stable": "yes" if moduli.stable else "no",
        "B_GPa": moduli.bulk,
        "B_std_GPa": known(moduli.bulk_error),
        "G_GPa": moduli.shear,
        "G_std_GPa": known(moduli.shear_error),
        "E_GPa": moduli.young,
        "nu": moduli.poisson,
    }
    for pair in _SHOWN_CONSTANTS:
        place = int(pair[0]) - 1, int(pair[1]) - 1
        row |= {f"C{pair}_GPa": float(stiffness[place]), f"C{pair}_std_GPa": known(errors[place])}
    return row | {"smallest_eigenvalue_GPa": moduli.smallest_eigenvalue}
