"""The gates before a label."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lipsdb.dft.result import SinglePoint, check_single_point, virial_of_stress
from lipsdb.errors import RefusedError

NUMBERS = np.array([3, 3, 16])
POSITIONS = np.array([[0.0, 0, 0], [2, 2, 0], [2, 0, 2]])
CELL = np.diag([4.0, 4.0, 4.0])
VALENCE = {3: 3, 16: 6}
GOOD = SinglePoint(NUMBERS, POSITIONS, CELL, -680.0, np.full((3, 3), 0.1), np.eye(3), True, 12.0)


def test_result_of_the_configuration_asked_for_passes() -> None:
    check_single_point(GOOD, NUMBERS, POSITIONS, CELL, VALENCE)


@pytest.mark.parametrize(
    ("change", "gate"),
    [
        ({"converged": False}, "scf"),
        ({"numbers": NUMBERS[::-1]}, "structure"),
        ({"positions": POSITIONS + 1e-4}, "structure"),
        ({"cell": CELL * 1.001}, "structure"),
        ({"n_electrons": 11.0}, "valence"),
        ({"energy_eV": float("nan")}, "finite"),
        ({"forces": np.full((3, 3), np.inf)}, "finite"),
        ({"virial": np.full((3, 3), np.nan)}, "finite"),
        ({"forces": np.full((3, 3), 40.0)}, "size"),
        ({"virial": np.eye(3) * 1e4}, "size"),
    ],
)
def test_each_gate_refuses_what_it_is_for(change: dict[str, Any], gate: str) -> None:
    with pytest.raises(RefusedError) as error:
        check_single_point(replace(GOOD, **change), NUMBERS, POSITIONS, CELL, VALENCE)
    assert error.value.gate == gate


def test_virial_of_a_pressure_is_positive() -> None:
    # 1 GPa = 1e9 J/m3 = 1e9 / 1.602176634e-19 eV / 1e30 Å3 = 0.00624151 eV/Å3; on 100 Å3 that is 0.624151 eV
    assert np.allclose(virial_of_stress(-np.eye(3), 100.0), 0.624150907 * np.eye(3), rtol=1e-9)
