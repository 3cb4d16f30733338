from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray


@dataclass(frozen=True)
class Crystal:
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    cell: NDArray[np.float64]


def argon_crystal(n: int, lattice_constant: float = 5.3) -> Crystal:
    """n × n × n face-centred cubic cells of argon."""
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    corners = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    positions = (corners + basis).reshape(-1, 3) * lattice_constant
    return Crystal(np.full(len(positions), 18), positions, np.eye(3) * n * lattice_constant)


@pytest.fixture
def argon() -> Crystal:
    return argon_crystal(3)
