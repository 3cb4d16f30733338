"""Mechanics: the lattice and its stiffness."""

from __future__ import annotations

from lipsdb.queries.descriptors.descriptor import Descriptor

_CONSTANTS = ("11", "22", "33", "44", "55", "66", "12", "13", "23")

DESCRIPTORS = (
    Descriptor(
        "lattice",
        "Lattice parameters and density at constant pressure",
        {
            "converged": str,
            "a_A": float,
            "a_std_A": float,
            "b_A": float,
            "b_std_A": float,
            "c_A": float,
            "c_std_A": float,
            "alpha_deg": float,
            "alpha_std_deg": float,
            "beta_deg": float,
            "beta_std_deg": float,
            "gamma_deg": float,
            "gamma_std_deg": float,
            "volume_A3": float,
            "volume_std_A3": float,
            "density_g_cm3": float,
            "density_std_g_cm3": float,
            "drift_sigma": float,
        },
        (
            "of one unit cell; means over frames with standard errors that respect the correlation in time",
            "converged: no if a run is too short for that, errors are then lower bounds; drift: largest difference of "
            "the means of the two halves over its standard error, above 3 not in equilibrium",
        ),
        published={"a_A": "a", "b_A": "b", "c_A": "c", "density_g_cm3": "density"},
    ),
    Descriptor(
        "elasticity",
        "Elastic moduli and constants of the relaxed crystal at 0 K",
        {
            "symmetry": str,
            "symmetry_relaxed": str,
            "stable": str,
            "B_GPa": float,
            "B_std_GPa": float,
            "G_GPa": float,
            "G_std_GPa": float,
            "E_GPa": float,
            "nu": float,
            **{f"C{pair}{std}_GPa": float for pair in _CONSTANTS for std in ("", "_std")},
            "smallest_eigenvalue_GPa": float,
            "reference_stress_GPa": float,
            **{f"{axis}{std}_A": float for axis in "abc" for std in ("", "_std")},
        },
        (
            "B, G: after Hill, with the standard error of the fit to the stresses, the potential's own error aside; "
            "E, nu: Young's modulus and Poisson's ratio that follow; C: Voigt's notation, a along x, b in the xy plane",
            "symmetry: space group of the structure, over whose point group C is averaged, and of what it relaxed to; "
            "stable: all eigenvalues of C are positive",
            "reference stress: largest component left in the relaxed cell; a, b, c: of that cell, as large as the "
            "structure's, with what that stress strains them by",
        ),
        of_run=False,
        published={"B_GPa": "bulk_modulus", "G_GPa": "shear_modulus"},
    ),
)
