from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsdb.analysis.elasticity import (
    ElasticTensor,
    elastic_moduli,
    fit_elastic_tensor,
    strain_deformations,
    symmetrised_stiffness,
)
from lipsdb.errors import BadInputError


def cubic(c11: float, c12: float, c44: float) -> np.ndarray:
    stiffness = np.diag([c11 - c12] * 3 + [c44] * 3)
    stiffness[:3, :3] += c12
    return stiffness


def random_stiffness(rng: np.random.Generator) -> np.ndarray:
    factor = rng.normal(size=(6, 6))
    return factor @ factor.T + 20.0 * np.eye(6)


def full_tensor(stiffness: np.ndarray) -> np.ndarray:
    """C_ijkl written out index by index."""
    voigt = {(0, 0): 0, (1, 1): 1, (2, 2): 2, (1, 2): 3, (0, 2): 4, (0, 1): 5}
    tensor = np.empty((3, 3, 3, 3))
    for i, j, k, m in np.ndindex(3, 3, 3, 3):
        tensor[i, j, k, m] = stiffness[voigt[min(i, j), max(i, j)], voigt[min(k, m), max(k, m)]]
    return tensor


def cauchy_stresses(deformations: np.ndarray, stiffness: np.ndarray, prestress: float = 0.0) -> np.ndarray:
    """σ = F S Fᵀ / det F with S_ij = C_ijkl E_kl, by explicit sums over the full tensor."""
    green = (deformations.transpose(0, 2, 1) @ deformations - np.eye(3)) / 2
    second = np.einsum("ijkl,nkl->nij", full_tensor(stiffness), green) + prestress * np.eye(3)
    return deformations @ second @ deformations.transpose(0, 2, 1) / np.linalg.det(deformations)[:, None, None]


def strained_crystal(
    atoms, amplitudes: list[float], relax: Callable[[object], object] = lambda atoms: None
) -> ElasticTensor:
    from ase.units import GPa

    deformations = strain_deformations(amplitudes)
    stresses = []
    for gradient in deformations:
        strained = atoms.copy()
        strained.calc = atoms.calc
        strained.set_cell(atoms.cell.array @ gradient.T, scale_atoms=True)
        relax(strained)
        stresses.append(strained.get_stress(voigt=False) / GPa)
    return fit_elastic_tensor(deformations, stresses)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_any_triclinic_tensor_is_found_again_from_its_stresses(seed: int) -> None:
    stiffness = random_stiffness(np.random.default_rng(seed))
    deformations = strain_deformations()
    fit = fit_elastic_tensor(deformations, cauchy_stresses(deformations, stiffness, prestress=0.3))
    np.testing.assert_allclose(fit.stiffness, stiffness, atol=1e-8)
    np.testing.assert_allclose(fit.reference_stress, [0.3, 0.3, 0.3, 0, 0, 0], atol=1e-10)
    assert fit.residual < 1e-10


def test_a_rotation_in_the_deformation_changes_nothing() -> None:
    from scipy.spatial.transform import Rotation

    stiffness = random_stiffness(np.random.default_rng(1))
    deformations = strain_deformations()
    turned = Rotation.random(len(deformations), rng=np.random.default_rng(2)).as_matrix() @ deformations
    fit = fit_elastic_tensor(turned, cauchy_stresses(turned, stiffness))
    np.testing.assert_allclose(fit.stiffness, stiffness, atol=1e-8)


def test_shear_amplitude_is_the_engineering_strain() -> None:
    gradient = strain_deformations([0.02])[3]  # yz
    green = (gradient.T @ gradient - np.eye(3)) / 2
    expected = np.zeros((3, 3))
    expected[1, 2] = expected[2, 1] = 0.01
    np.testing.assert_allclose(green, expected, atol=1e-12)
    assert gradient[2, 1] == 0.0  # cell @ F.T keeps a along x and b in the xy plane


def test_a_shear_stress_of_one_gpa_at_one_percent_of_engineering_strain_is_a_modulus_of_100() -> None:
    amplitudes = [-0.01, 0.01]
    deformations = strain_deformations(amplitudes)
    stresses = cauchy_stresses(deformations, cubic(200.0, 100.0, 100.0))
    assert stresses[7, 1, 2] == pytest.approx(1.0, rel=0.02)
    assert fit_elastic_tensor(deformations, stresses).stiffness[3, 3] == pytest.approx(100.0)


def test_fit_agrees_with_pymatgen() -> None:
    from pymatgen.analysis.elasticity.elastic import ElasticTensor as PymatgenElasticTensor
    from pymatgen.analysis.elasticity.strain import Strain
    from pymatgen.analysis.elasticity.stress import Stress

    stiffness = random_stiffness(np.random.default_rng(3))
    deformations = strain_deformations()
    cauchy = cauchy_stresses(deformations, stiffness)
    strains = [Strain.from_deformation(gradient) for gradient in deformations]
    stresses = [Stress(s).piola_kirchoff_2(f) for s, f in zip(cauchy, deformations, strict=True)]
    theirs = PymatgenElasticTensor.from_independent_strains(strains, stresses, eq_stress=np.zeros((3, 3)), vasp=False)
    np.testing.assert_allclose(fit_elastic_tensor(deformations, cauchy).stiffness, theirs.voigt, atol=1e-6)


def test_standard_errors_are_the_scatter_of_repeated_fits() -> None:
    rng = np.random.default_rng(4)
    deformations = strain_deformations()
    clean = cauchy_stresses(deformations, cubic(60.0, 30.0, 15.0))
    noise = rng.normal(scale=0.02, size=(60, *clean.shape))
    noise[:, :, [1, 2, 2], [0, 0, 1]] = noise[:, :, [0, 0, 1], [1, 2, 2]]
    fits = [fit_elastic_tensor(deformations, clean + each) for each in noise]
    scatter = np.std([fit.stiffness for fit in fits], axis=0, ddof=1)
    stated = np.mean([fit.standard_errors for fit in fits], axis=0)
    np.testing.assert_allclose(stated, scatter, rtol=0.4)
    assert stated.mean() == pytest.approx(scatter.mean(), rel=0.1)
    moduli = [elastic_moduli(fit.stiffness, fit.covariance) for fit in fits]
    assert np.mean([m.bulk_error for m in moduli]) == pytest.approx(np.std([m.bulk for m in moduli]), rel=0.3)
    assert np.mean([m.shear_error for m in moduli]) == pytest.approx(np.std([m.shear for m in moduli]), rel=0.3)


def test_lennard_jones_fcc_has_the_second_derivatives_of_its_lattice_sum() -> None:
    from ase.build import bulk
    from ase.calculators.lj import LennardJones
    from ase.units import GPa

    cutoff = 4.0
    # Zero pressure and constants by sums over the shells of fcc, ε = σ = 1, cut off without smoothing.
    grid = np.array(np.meshgrid(*[np.arange(-6, 7)] * 3)).reshape(3, -1).T
    sites = grid[(grid.sum(axis=1) % 2 == 0) & grid.any(axis=1)] / 2

    def derivatives(a: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        vectors = a * sites
        r = np.linalg.norm(vectors, axis=1)
        near = r < cutoff
        vectors, r = vectors[near], r[near]
        return vectors, -48 / r**13 + 24 / r**7, 624 / r**14 - 168 / r**8

    def pressure(a: float) -> float:
        vectors, first, _ = derivatives(a)
        return float((first * np.linalg.norm(vectors, axis=1)).sum())

    from scipy.optimize import brentq

    a = brentq(pressure, 1.5, 1.6, xtol=1e-13)
    vectors, first, second = derivatives(a)
    r = np.linalg.norm(vectors, axis=1)
    weight = (second - first / r) / r**2 / (2 * a**3 / 4)
    c11 = (weight * vectors[:, 0] ** 4).sum()
    c12 = (weight * vectors[:, 0] ** 2 * vectors[:, 1] ** 2).sum()
    atoms = bulk("Ar", "fcc", a=a)
    atoms.calc = LennardJones(epsilon=1.0, sigma=1.0, rc=cutoff, smooth=False)
    fit = strained_crystal(atoms, [-0.001, 0.001])
    np.testing.assert_allclose(fit.stiffness * GPa, cubic(c11, c12, c12), atol=0.01)  # Cauchy: C12 = C44
    # Full lattice sums give B = 75.2 ε/σ³ (Ashcroft and Mermin, Solid State Physics, 1976, chapter 20).
    assert elastic_moduli(fit.stiffness).bulk * GPa == pytest.approx(75.2, rel=0.03)


def test_silicon_of_tersoff_has_its_published_constants_relaxed_and_clamped() -> None:
    from ase.build import bulk
    from ase.calculators.tersoff import Tersoff, TersoffParameters
    from ase.optimize import BFGS

    # J. Tersoff, Phys. Rev. B 38, 9902 (1988), doi:10.1103/PhysRevB.38.9902: its parameters, and C11 1.43,
    # C12 0.75, C44 0.69 and without relaxation 1.19 Mbar.
    parameters = TersoffParameters(
        m=3.0, gamma=1.0, lambda3=0.0, c=1.0039e5, d=16.217, h=-0.59825, n=0.78734, beta=1.0999e-6, lambda2=1.7322,
        B=471.18, R=2.85, D=0.15, lambda1=2.4799, A=1830.8,
    )  # fmt: skip
    silicon = bulk("Si", "diamond", a=5.432)
    silicon.calc = Tersoff({("Si", "Si", "Si"): parameters})
    relaxed = strained_crystal(silicon, [-0.005, 0.005], lambda atoms: BFGS(atoms, logfile=None).run(fmax=1e-3))
    np.testing.assert_allclose(relaxed.stiffness, cubic(143.0, 75.0, 69.0), atol=0.6)
    clamped = strained_crystal(silicon, [-0.005, 0.005])
    np.testing.assert_allclose(clamped.stiffness, cubic(143.0, 75.0, 119.0), atol=0.6)
    assert np.abs(relaxed.reference_stress).max() < 0.02


def test_isotropic_tensor_has_its_moduli_exactly() -> None:
    bulk, shear = 30.5, 9.8
    moduli = elastic_moduli(cubic(bulk + 4 * shear / 3, bulk - 2 * shear / 3, shear))
    for value in (moduli.bulk_voigt, moduli.bulk_reuss, moduli.bulk):
        assert value == pytest.approx(bulk, rel=1e-12)
    for value in (moduli.shear_voigt, moduli.shear_reuss, moduli.shear):
        assert value == pytest.approx(shear, rel=1e-12)
    assert moduli.young == pytest.approx(9 * bulk * shear / (3 * bulk + shear))
    assert moduli.poisson == pytest.approx((3 * bulk - 2 * shear) / (2 * (3 * bulk + shear)))
    assert moduli.universal_anisotropy == pytest.approx(0.0, abs=1e-12)
    assert moduli.stable
    assert np.isnan(moduli.bulk_error)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_moduli_do_not_depend_on_the_orientation_of_the_crystal(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    stiffness = random_stiffness(rng)
    rotation = Rotation.random(rng=rng).as_matrix()
    turned = np.einsum("ai,bj,ck,dl,ijkl->abcd", *[rotation] * 4, full_tensor(stiffness))
    pairs = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    other = np.array([[turned[i, j, k, m] for k, m in pairs] for i, j in pairs])
    one, two = elastic_moduli(stiffness), elastic_moduli(other)
    names = ("bulk_voigt", "bulk_reuss", "shear_voigt", "shear_reuss", "young", "poisson", "universal_anisotropy")
    for name in names:
        assert getattr(one, name) == pytest.approx(getattr(two, name), rel=1e-9)
    assert one.bulk_reuss <= one.bulk <= one.bulk_voigt


def test_moduli_agree_with_pymatgen() -> None:
    from pymatgen.analysis.elasticity.elastic import ElasticTensor as PymatgenElasticTensor

    stiffness = random_stiffness(np.random.default_rng(10))
    mine, theirs = elastic_moduli(stiffness), PymatgenElasticTensor.from_voigt(stiffness)
    values = [mine.bulk_voigt, mine.bulk_reuss, mine.bulk, mine.shear_voigt, mine.shear_reuss, mine.shear]
    names = ["k_voigt", "k_reuss", "k_vrh", "g_voigt", "g_reuss", "g_vrh"]
    np.testing.assert_allclose(values, [getattr(theirs, name) for name in names], rtol=1e-9)
    assert mine.young * 1e9 == pytest.approx(theirs.y_mod, rel=1e-9)
    assert mine.poisson == pytest.approx(theirs.homogeneous_poisson, rel=1e-9)
    assert mine.universal_anisotropy == pytest.approx(theirs.universal_anisotropy, rel=1e-9)


def test_cubic_crystal_with_c11_below_c12_is_unstable() -> None:
    assert not elastic_moduli(cubic(60.0, 70.0, 20.0)).stable
    assert elastic_moduli(cubic(60.0, 50.0, 20.0)).stable


def test_point_group_of_orthorhombic_thiophosphate_leaves_nine_constants() -> None:
    from ase.spacegroup import crystal

    sites = [(0.3562, 0.0123, 0.4371), (0, 0, 0.5), (0.0875, 0.25, 0.1718), (0.1554, 0.0456, 0.2839)]
    sites += [(0.9348, 0.25, 0.2567), (0.1071, 0.25, 0.8369)]
    atoms = crystal(
        ["Li", "Li", "P", "S", "S", "S"], sites, spacegroup=62, cellpar=[12.819, 8.2195, 6.1236, 90, 90, 90]
    )
    assert len(atoms) == 32
    stiffness = random_stiffness(np.random.default_rng(9))
    averaged = symmetrised_stiffness(
        stiffness, atoms.cell.array, atoms.get_scaled_positions(), atoms.get_chemical_symbols()
    )
    kept = np.zeros((6, 6), dtype=bool)
    kept[:3, :3] = True
    kept[[3, 4, 5], [3, 4, 5]] = True
    np.testing.assert_allclose(averaged, np.where(kept, stiffness, 0.0), atol=1e-9)


@pytest.mark.parametrize(
    ("deformations", "stresses", "message"),
    [
        (np.eye(3), np.eye(3), r"deformations of shape \(3, 3\) and stresses of shape \(3, 3\); expected \(n, 3, 3\)"),
        (np.tile(np.eye(3), (4, 1, 1)), np.full((4, 3, 3), np.nan), "a stress is not finite"),
        (np.tile(-np.eye(3), (4, 1, 1)), np.zeros((4, 3, 3)), "a deformation inverts space"),
        (np.tile(np.eye(3), (4, 1, 1)), np.tile(np.eye(3, k=1), (4, 1, 1)), "a stress is not symmetric"),
        (strain_deformations([0.01])[:5], np.zeros((5, 3, 3)), r"5 deformations determine \d+ of 27 unknowns"),
    ],
)
def test_bad_input_is_refused_in_one_line(deformations: np.ndarray, stresses: np.ndarray, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        fit_elastic_tensor(deformations, stresses)


def test_bad_stiffness_amplitudes_and_atoms_are_refused() -> None:
    with pytest.raises(BadInputError, match=r"strain amplitudes \[0.0\]; expected non-zero values from -0.1 to 0.1"):
        strain_deformations([0.0])
    with pytest.raises(BadInputError, match=r"a stiffness of shape \(3, 3\)"):
        elastic_moduli(np.eye(3))
    with pytest.raises(BadInputError, match="symmetric, finite and invertible"):
        elastic_moduli(np.zeros((6, 6)))
    with pytest.raises(BadInputError, match=r"the covariance has shape \(6, 6\); expected \(21, 21\)"):
        elastic_moduli(np.eye(6), np.eye(6))
    with pytest.raises(BadInputError, match=r"coordinates of shape \(1, 3\) for 2 species"):
        symmetrised_stiffness(np.eye(6), np.eye(3), np.zeros((1, 3)), ["Li", "Li"])
