"""A real trajectory that independent implementations are compared on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "data" / "beta-Li3PS4-750K"


@dataclass(frozen=True)
class RealRun:
    """β-Li3PS4, 128 atoms, NVT at 750 K: 20 ps of a run of the quickstart, a frame every 0.05 ps.

    Its files, trajectory.nc (AMBER NetCDF, unwrapped) and topology.xyz, are in `folder`.
    """

    positions: np.ndarray  # (401, 128, 3) Å, unwrapped, float32
    cell: np.ndarray  # (401, 3, 3) Å, rows are vectors
    symbols: np.ndarray  # (128,)
    frame_interval_ps: float
    folder: Path


@pytest.fixture(scope="session")
def real_run() -> RealRun:
    from ase.io import read

    from lipsdb.md.trajectory import read_trajectory

    trajectory = read_trajectory(FOLDER / "trajectory.nc")
    symbols = np.array(read(FOLDER / "topology.xyz").get_chemical_symbols())
    interval = float(trajectory.time[1] - trajectory.time[0])
    return RealRun(trajectory.positions, trajectory.cell, symbols, interval, FOLDER)
