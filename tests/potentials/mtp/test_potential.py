from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from motep.potentials.mtp.data import MTPData

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.basis import moment_basis
from lipsdb.potentials.mtp.potential import MomentTensorPotential, random_start


@pytest.fixture
def start() -> MomentTensorPotential:
    return random_start(8, ["Li", "P", "S"], min_distance_A=1.5, cutoff_A=5.0, radial_size=6, seed=4)


def test_parameters_are_in_the_order_of_motep(start):
    data = MTPData(
        moment_coeffs=start.moment_coefficients,
        species_coeffs=start.species_coefficients,
        radial_coeffs=start.radial_coefficients,
    )
    np.testing.assert_array_equal(start.parameters, data.parameters)


def test_parameters_can_be_put_back(start):
    other = start.with_parameters(np.arange(start.n_parameters))
    np.testing.assert_array_equal(other.parameters, np.arange(start.n_parameters))
    assert other.moment_coefficients[-1] == 8
    assert other.species_coefficients.tolist() == [9, 10, 11]
    assert other.radial_coefficients[0, 1, 0, 2] == 12 + 2 * 6 + 2
    assert other.radial_coefficients.shape == start.radial_coefficients.shape == (3, 3, 2, 6)


def test_the_same_seed_gives_the_same_start_and_another_another():
    kwargs = {"min_distance_A": 1.5, "cutoff_A": 5.0}
    one, same, other = (random_start(moment_basis(8), ["Li", "S"], seed=seed, **kwargs) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.parameters, same.parameters)
    assert not np.isclose(one.parameters, other.parameters).any()
    assert 4.0 < abs(one.moment_coefficients).max() < 5.0
    assert 0.09 < abs(one.radial_coefficients).max() < 0.1


def test_coefficients_are_copied_and_cannot_be_changed(start):
    moments = np.zeros(9)
    potential = replace(start, moment_coefficients=moments)
    moments[:] = 1.0
    assert not potential.moment_coefficients.any()
    with pytest.raises(ValueError, match="read-only"):
        potential.moment_coefficients[0] = 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"elements": ("Li", "P")}, r"radial coefficients have the shape \(3, 3, 2, 6\), but 2 elements"),
        ({"elements": ("Li", "P", "Li")}, "Li is named twice"),
        ({"elements": ("Li", "P", "Q")}, "'Q' is no chemical symbol"),
        ({"elements": "LiPS"}, "give a list of chemical symbols"),
        ({"min_distance_A": 5.0}, "smallest distance is 5 Å and the cutoff 5 Å"),
        ({"min_distance_A": -0.1}, "must not be negative"),
        ({"cutoff_A": np.inf}, "below the cutoff"),
        ({"scaling": np.nan}, "the scaling is nan"),
        ({"moment_coefficients": np.zeros(8)}, r"moment coefficients have the shape \(8,\).* need \(9,\)"),
        ({"species_coefficients": [0.0, np.nan, 0.0]}, "species coefficients are not all finite"),
        ({"radial_coefficients": np.zeros((3, 3, 2, 0))}, r"shape \(3, 3, 2, 0\)"),
        ({"radial_coefficients": 1.0}, r"shape \(\)"),
    ],
)
def test_what_does_not_fit_is_refused(start, change, message):
    with pytest.raises(BadInputError, match=message):
        replace(start, **change)


def test_a_vector_of_another_length_is_refused(start):
    with pytest.raises(BadInputError, match=r"have the shape \(119,\); this potential has \(120,\)"):
        start.with_parameters(start.parameters[:-1])


def test_a_start_without_polynomials_is_refused():
    with pytest.raises(BadInputError, match="0 Chebyshev polynomials are too few"):
        random_start(8, ["Li"], min_distance_A=1.5, cutoff_A=5.0, radial_size=0)
