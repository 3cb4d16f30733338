from __future__ import annotations

import numpy as np
import pytest

from lipsdb.analysis.conductivity import nernst_einstein
from lipsdb.errors import BadInputError


def test_a_number_worked_out_by_hand() -> None:
    # n = 0.02 Å⁻³ = 2e28 m⁻³; D = 1e-6 cm²/s = 1e-10 m²/s; e² = (1.602177e-19 C)² = 2.566970e-38 C²
    # n e² D = 2e28 * 2.566970e-38 * 1e-10 = 5.133940e-20
    # k T = 1.380649e-23 * 300 = 4.141947e-21 J
    # σ = 12.39499 S/m = 0.1239499 S/cm; 10 % of it 0.01239499
    result = nernst_einstein(1e-6, 0.02, 1, 300.0, diffusion_std_cm2_s=1e-7)
    assert result.conductivity == pytest.approx(0.1239499, rel=1e-6)
    assert result.conductivity_std == pytest.approx(0.01239499, rel=1e-6)
    assert result.haven_ratio == 1.0


def test_charge_enters_squared_and_temperature_inversely() -> None:
    single = nernst_einstein(1e-6, 0.02, 1, 300.0).conductivity
    assert nernst_einstein(1e-6, 0.02, -2, 600.0).conductivity == pytest.approx(2 * single)


def test_without_an_error_of_d_there_is_none_of_sigma() -> None:
    assert nernst_einstein(1e-6, 0.02, 1, 300.0).conductivity_std is None


@pytest.mark.parametrize(
    "arguments", [(np.nan, 0.02, 1, 300.0), (1e-6, 0.0, 1, 300.0), (1e-6, 0.02, 0, 300.0), (1e-6, 0.02, 1, -1.0)]
)
def test_unphysical_values_are_refused(arguments: tuple[float, float, float, float]) -> None:
    with pytest.raises(BadInputError, match="density and temperature above 0, charge not 0"):
        nernst_einstein(*arguments)


def test_a_negative_standard_deviation_is_refused() -> None:
    with pytest.raises(BadInputError, match="expected finite numbers"):
        nernst_einstein(1e-6, 0.02, 1, 300.0, diffusion_std_cm2_s=-1e-7)
