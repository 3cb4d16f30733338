"""Elastic tensor of a crystal from the stresses of strained cells, and the moduli of its polycrystal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.trajectory_arrays import FloatArray
from lipsdb.errors import BadInputError

_FIRST = np.array([0, 1, 2, 1, 0, 0])  # Voigt order: xx yy zz yz xz xy
_SECOND = np.array([0, 1, 2, 2, 2, 1])
_UPPER = np.triu_indices(6)  # the 21 independent constants
_N_CONSTANTS, _N_UNKNOWNS = 21, 27


@dataclass(frozen=True)
class ElasticTensor:
    """Elastic constants in GPa with their standard errors."""

    stiffness: FloatArray  # (6, 6) GPa, symmetric, Voigt order xx yy zz yz xz xy
    standard_errors: FloatArray  # (6, 6) GPa; NaN where there are no more stresses than unknowns
    covariance: FloatArray  # (21, 21) GPa², of the upper triangle row by row
    reference_stress: FloatArray  # (6,) GPa, fitted at zero strain: near 0 if the cell was relaxed
    residual: float  # GPa, root mean square of the stresses not explained


@dataclass(frozen=True)
class ElasticModuli:
    """Moduli in GPa of a polycrystal without texture, and mechanical stability."""

    bulk_voigt: float  # GPa
    bulk_reuss: float  # GPa
    bulk: float  # GPa, Hill: mean of the two
    bulk_error: float  # GPa, NaN without a covariance
    shear_voigt: float  # GPa
    shear_reuss: float  # GPa
    shear: float  # GPa, Hill
    shear_error: float  # GPa, NaN without a covariance
    young: float  # GPa, of Hill's moduli
    poisson: float  # dimensionless, of Hill's moduli
    universal_anisotropy: float  # dimensionless, 0 for an isotropic crystal
    smallest_eigenvalue: float  # GPa, of the stiffness
    stable: bool  # Born: every eigenvalue is positive


def strain_deformations(amplitudes: Sequence[float] = (-0.01, -0.005, 0.005, 0.01)) -> FloatArray:
    """Deformation gradients (dimensionless) that strain a crystal along each of the six Voigt components.

    Parameters
    ----------
    amplitudes : sequence of float, dimensionless
        Voigt components of the Green-Lagrange strain: for the shears the engineering strain, twice the tensor's
        component. Pairs of opposite sign cancel the third-order constants.

    Returns
    -------
    (6 n_amplitudes, 3, 3) array, dimensionless
        Upper triangular F: the strained cell is ``cell @ F.T`` (rows are vectors), fractional coordinates kept. A cell
        with a along x and b in the xy plane, as LAMMPS wants it, keeps that orientation.

    Raises
    ------
    BadInputError
        An amplitude that is zero, not finite or above 0.1.

    Examples
    --------
    >>> strain_deformations([0.01]).shape
    (6, 3, 3)
    >>> bool(np.allclose(np.tril(strain_deformations(), -1), 0.0))
    True
    """
    from pymatgen.analysis.elasticity.strain import Strain

    values = np.asarray(amplitudes, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not ((np.abs(values) <= 0.1) & (values != 0)).all():
        raise BadInputError(f"strain amplitudes {list(amplitudes)}; expected non-zero values from -0.1 to 0.1")
    strains = (amplitude * np.eye(6)[component] for component in range(6) for amplitude in values)
    return np.array([Strain.from_voigt(strain).get_deformation_matrix("upper") for strain in strains], dtype=np.float64)


def _checked_pair(deformations: ArrayLike, stresses: ArrayLike) -> tuple[FloatArray, FloatArray]:
    gradients = np.asarray(deformations, dtype=np.float64)
    cauchy = np.asarray(stresses, dtype=np.float64)
    if gradients.ndim != 3 or gradients.shape[1:] != (3, 3) or cauchy.shape != gradients.shape:
        raise BadInputError(
            f"deformations of shape {gradients.shape} and stresses of shape {cauchy.shape}; "
            "expected (n, 3, 3) for both, one stress for each deformation"
        )
    if not (np.isfinite(gradients).all() and np.isfinite(cauchy).all() and (np.linalg.det(gradients) > 0).all()):
        raise BadInputError(
            "a deformation or a stress is not finite, or a deformation inverts space; expected gradients near 1 and "
            "stresses in GPa"
        )
    if np.abs(cauchy - cauchy.transpose(0, 2, 1)).max() > 1e-6 * max(1.0, float(np.abs(cauchy).max())):
        raise BadInputError("a stress is not symmetric; expected (3, 3) Cauchy stresses in GPa; check the order read")
    return gradients, cauchy


def fit_elastic_tensor(deformations: ArrayLike, stresses: ArrayLike) -> ElasticTensor:
    """Elastic constants in GPa by least squares from the stresses of deformed, relaxed cells.

    Parameters
    ----------
    deformations : (n, 3, 3) array, dimensionless
        Deformation gradients F from the reference cell; from `strain_deformations`.
    stresses : (n, 3, 3) array, GPa, tension positive
        Cauchy stresses with the atoms relaxed in each deformed cell (unrelaxed atoms give the clamped-ion constants).

    Returns
    -------
    ElasticTensor

    Raises
    ------
    BadInputError
        Arrays that do not fit together or are not finite, a stress that is not symmetric, or deformations that leave
        a constant undetermined.

    Notes
    -----
    ``S_a = S0_a + Σ_b C_ab e_b`` with the second Piola-Kirchhoff stress ``S = det(F) F⁻¹ σ F⁻ᵀ`` and the Green-Lagrange
    strain ``E = (FᵀF - 1) / 2`` in Voigt order, ``e = (E_xx, E_yy, E_zz, 2 E_yz, 2 E_xz, 2 E_xy)``: both are blind to a
    rotation in F, and the pair is work-conjugate, so that C is the second derivative of the energy per reference
    volume. The 21 constants of a symmetric C and the six stresses at zero strain are fitted together; standard errors
    are those of ordinary least squares. With a reference stress that is not small, C is not what sound waves see.

    References
    ----------
    M. de Jong et al., Sci. Data 2, 150009 (2015), doi:10.1038/sdata.2015.9 (strains, stresses and their fit); moduli of
    the study: doi:10.1039/d3ya00234a, Table 1.

    Examples
    --------
    >>> F = strain_deformations()
    >>> strain = (F.transpose(0, 2, 1) @ F - np.eye(3)) / 2
    >>> second_kind = 60.0 * strain  # C11 = 60, C12 = 0, C44 = 30 GPa
    >>> cauchy = F @ second_kind @ F.transpose(0, 2, 1) / np.linalg.det(F)[:, None, None]
    >>> (fit_elastic_tensor(F, cauchy).stiffness.diagonal() + 0.0).round(6).tolist()
    [60.0, 60.0, 60.0, 30.0, 30.0, 30.0]
    """
    gradients, cauchy = _checked_pair(deformations, stresses)
    inverse = np.linalg.inv(gradients)
    conjugate = np.linalg.det(gradients)[:, None, None] * inverse @ cauchy @ inverse.transpose(0, 2, 1)
    green = (gradients.transpose(0, 2, 1) @ gradients - np.eye(3)) / 2.0
    strain = green[:, _FIRST, _SECOND] * np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
    measured = conjugate[:, _FIRST, _SECOND]
    rows = np.zeros((len(strain), 6, _N_UNKNOWNS))
    for column, (row, other) in enumerate(zip(*_UPPER, strict=True)):
        rows[:, row, column] += strain[:, other]
        if row != other:
            rows[:, other, column] += strain[:, row]
    rows[:, np.arange(6), _N_CONSTANTS + np.arange(6)] = 1.0
    design = rows.reshape(-1, _N_UNKNOWNS)
    # Strains are some 0.01 beside the ones of the reference stress; the scale keeps the rank test meaningful.
    scale = np.linalg.norm(design, axis=0)
    solution, _, rank, _ = np.linalg.lstsq(design / np.where(scale > 0, scale, 1.0), measured.ravel(), rcond=1e-8)
    if rank < _N_UNKNOWNS:
        raise BadInputError(
            f"{len(gradients)} deformations determine {rank} of {_N_UNKNOWNS} unknowns (21 constants, 6 stresses at "
            "zero strain); expected all six strains, each with two amplitudes or more; use strain_deformations"
        )
    solution = solution / scale
    rest = measured.ravel() - design @ solution
    freedom = rest.size - _N_UNKNOWNS
    variance = float(rest @ rest) / freedom if freedom else np.nan
    inverse_normal = np.linalg.inv((design / scale).T @ (design / scale)) / np.outer(scale, scale)
    covariance = variance * inverse_normal[:_N_CONSTANTS, :_N_CONSTANTS]
    return ElasticTensor(
        stiffness=_symmetric(solution[:_N_CONSTANTS]),
        standard_errors=_symmetric(np.sqrt(covariance.diagonal())),
        covariance=covariance,
        reference_stress=solution[_N_CONSTANTS:],
        residual=float(np.sqrt(np.mean(rest**2))),
    )


def _symmetric(upper: FloatArray) -> FloatArray:
    matrix = np.zeros((6, 6))
    matrix[_UPPER] = upper
    matrix.T[_UPPER] = upper
    return matrix


def elastic_moduli(stiffness: ArrayLike, covariance: ArrayLike | None = None) -> ElasticModuli:
    """Bulk and shear modulus in GPa after Voigt, Reuss and Hill, with Young's modulus, Poisson's ratio and stability.

    Parameters
    ----------
    stiffness : (6, 6) array, GPa
        Elastic constants in Voigt order.
    covariance : (21, 21) array, GPa², optional
        Of the upper triangle row by row, from `fit_elastic_tensor`; without it the errors are NaN.

    Returns
    -------
    ElasticModuli

    Raises
    ------
    BadInputError
        A stiffness that is not a symmetric, invertible (6, 6) matrix, or a covariance of another shape.

    Notes
    -----
    ``K_V = [C11 + C22 + C33 + 2 (C12 + C13 + C23)] / 9``,
    ``G_V = [C11 + C22 + C33 - C12 - C13 - C23 + 3 (C44 + C55 + C66)] / 15``; of the compliances
    ``K_R = 1 / [S11 + S22 + S33 + 2 (S12 + S13 + S23)]`` and
    ``G_R = 15 / [4 (S11 + S22 + S33 - S12 - S13 - S23) + 3 (S44 + S55 + S66)]``; Hill the mean of the two. Errors are
    propagated to first order. The eigenvalues are of the Voigt matrix: their signs, not their sizes, are free of the
    notation.

    References
    ----------
    R. Hill, Proc. Phys. Soc. A 65, 349 (1952), doi:10.1088/0370-1298/65/5/307; F. Mouhat and F.-X. Coudert, Phys. Rev.
    B 90, 224104 (2014), doi:10.1103/PhysRevB.90.224104 (stability). The study: doi:10.1039/d3ya00234a, Table 1 (B, G).

    Examples
    --------
    >>> isotropic = np.diag([80.0, 80.0, 80.0, 30.0, 30.0, 30.0])
    >>> isotropic[:3, :3] += 20.0 * (1 - np.eye(3))
    >>> moduli = elastic_moduli(isotropic)
    >>> round(moduli.bulk, 9), round(moduli.shear, 9), moduli.stable
    (40.0, 30.0, True)
    """
    matrix = _checked_stiffness(stiffness)
    bulk_voigt, bulk_reuss, shear_voigt, shear_reuss = _averages(matrix)
    bulk, shear = (bulk_voigt + bulk_reuss) / 2.0, (shear_voigt + shear_reuss) / 2.0
    bulk_error = shear_error = np.nan
    if covariance is not None:
        spread = np.asarray(covariance, dtype=np.float64)
        if spread.shape != (_N_CONSTANTS, _N_CONSTANTS):
            raise BadInputError(f"the covariance has shape {spread.shape}; expected (21, 21) from fit_elastic_tensor")
        bulk_error, shear_error = _hill_errors(matrix, spread)
    smallest = float(np.linalg.eigvalsh(matrix)[0])
    return ElasticModuli(
        bulk_voigt=bulk_voigt,
        bulk_reuss=bulk_reuss,
        bulk=bulk,
        bulk_error=bulk_error,
        shear_voigt=shear_voigt,
        shear_reuss=shear_reuss,
        shear=shear,
        shear_error=shear_error,
        young=9.0 * bulk * shear / (3.0 * bulk + shear),
        poisson=(3.0 * bulk - 2.0 * shear) / (6.0 * bulk + 2.0 * shear),
        universal_anisotropy=5.0 * shear_voigt / shear_reuss + bulk_voigt / bulk_reuss - 6.0,
        smallest_eigenvalue=smallest,
        stable=smallest > 0,
    )


def _averages(stiffness: FloatArray) -> tuple[float, float, float, float]:
    """Bulk modulus after Voigt and Reuss, shear modulus after Voigt and Reuss, GPa."""
    compliance = np.linalg.inv(stiffness)
    (trace, total, shears), (soft_trace, soft_total, soft_shears) = (
        (float(matrix[:3, :3].trace()), float(matrix[:3, :3].sum()), float(matrix[3:, 3:].trace()))
        for matrix in (stiffness, compliance)
    )
    return (
        total / 9.0,
        1.0 / soft_total,
        (1.5 * trace - 0.5 * total + 3.0 * shears) / 15.0,
        15.0 / (6.0 * soft_trace - 2.0 * soft_total + 3.0 * soft_shears),
    )


def _hill_errors(stiffness: FloatArray, covariance: FloatArray) -> tuple[float, float]:
    """Standard errors of the bulk and of the shear modulus after Hill, GPa."""
    step = 1e-4 * float(np.abs(stiffness).max())
    units = [step * _symmetric(unit) for unit in np.eye(_N_CONSTANTS)]
    change = np.array([np.subtract(_averages(stiffness + unit), _averages(stiffness - unit)) for unit in units])
    slope = change.reshape(_N_CONSTANTS, 2, 2).mean(axis=2) / (2.0 * step)
    bulk, shear = np.sqrt(np.einsum("ai,ab,bi->i", slope, covariance, slope)).tolist()
    return bulk, shear


def symmetrised_stiffness(
    stiffness: ArrayLike, cell: ArrayLike, fractional: ArrayLike, species: Sequence[str], *, tolerance: float = 0.01
) -> FloatArray:
    """Elastic constants in GPa averaged over the point group of a crystal.

    Parameters
    ----------
    stiffness : (6, 6) array, GPa
        Elastic constants in Voigt order, in the axes in which `cell` is given.
    cell : (3, 3) array, Å
        Rows are the cell vectors of the unstrained crystal.
    fractional : (n_atoms, 3) array, dimensionless
        Fractional coordinates.
    species : (n_atoms,) sequence of str
        Chemical symbols.
    tolerance : float
        Largest distance by which an atom may miss its image under an operation, Å.

    Returns
    -------
    (6, 6) array, GPa

    Raises
    ------
    BadInputError
        A stiffness that is not a symmetric (6, 6) matrix, or atoms that do not fit together.

    Notes
    -----
    A relaxed MD snapshot has no symmetry but the identity; give the crystal it was made from.

    Examples
    --------
    >>> measured = np.diag([102.0, 99.0, 99.0, 30.0, 30.0, 30.0])
    >>> averaged = symmetrised_stiffness(measured, 3.0 * np.eye(3), [[0.0, 0.0, 0.0]], ["Cu"])
    >>> averaged.diagonal().round(6).tolist()
    [100.0, 100.0, 100.0, 30.0, 30.0, 30.0]
    """
    from pymatgen.analysis.elasticity.elastic import ElasticTensor as PymatgenElasticTensor
    from pymatgen.core.structure import Structure

    matrix = _checked_stiffness(stiffness)
    lattice = np.asarray(cell, dtype=np.float64)
    coordinates = np.asarray(fractional, dtype=np.float64)
    if lattice.shape != (3, 3) or coordinates.shape != (len(species), 3):
        raise BadInputError(
            f"a cell of shape {lattice.shape} and coordinates of shape {coordinates.shape} for {len(species)} species; "
            "expected (3, 3) and (n_atoms, 3)"
        )
    structure = Structure(lattice, list(species), coordinates)
    averaged = PymatgenElasticTensor.from_voigt(matrix).fit_to_structure(structure, symprec=tolerance)
    return np.asarray(averaged.voigt, dtype=np.float64)


def _checked_stiffness(stiffness: ArrayLike) -> FloatArray:
    matrix = np.asarray(stiffness, dtype=np.float64)
    sound = matrix.shape == (6, 6) and bool(np.isfinite(matrix).all())
    if not sound or np.abs(matrix - matrix.T).max() > 1e-6 * np.abs(matrix).max() or np.linalg.cond(matrix) > 1e12:
        raise BadInputError(
            f"a stiffness of shape {matrix.shape} that is not symmetric, finite and invertible; expected (6, 6) in "
            "GPa, Voigt order xx yy zz yz xz xy"
        )
    return (matrix + matrix.T) / 2.0
