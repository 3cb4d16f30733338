"""Seconds and memory of the MSD of a region with a time-dependent mask, against direct sums and a static mask.

    python benchmarks/regions.py                             # under a minute
    python benchmarks/regions.py --sizes 3750x10000          # the Li of 10,000 atoms, 10,000 frames: some minutes

Brownian walkers (float32, as a trajectory is stored) in a periodic cell with two boundaries; the region is 10 Å to
either side of them, half of the cell, so that nearly every atom is in it at some time.

"start" is `regional_msd` at all lags by FFT, "start, 50" and "followed, 50" at 50 lags, evenly spaced in their
logarithm. "direct" is the plain sum for "start" at those lags, vectorised with numpy in blocks of atoms; what it would
take at all lags is worked out from the number of displacements. "plain" is `mean_squared_displacement`, all lags, and
"tidynamics" the same by that library, atom by atom: both without a mask, so the least that a mask could cost. Best of
the rounds. The ratio is to the time of "start". Memory is the peak of what numpy allocated beside trajectory and mask.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from lipsdb.analysis.displacement import mean_squared_displacement
from lipsdb.analysis.fit_window import choose_lags
from lipsdb.analysis.region_membership import residence
from lipsdb.analysis.regional_diffusion import regional_diffusion
from lipsdb.analysis.regional_displacement import regional_msd
from lipsdb.analysis.regions import NearPlanes, region_mask

CELL = np.diag([30.0, 30.0, 40.0])
REGION = NearPlanes("c", (0.0, 0.5), 5.0, "fraction")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="*", default=["200x1000", "400x1000", "400x2000", "400x4000"])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print("| atoms × frames | what | s | ratio | peak MiB |")
    print("|---|---|---|---|---|")
    for size in arguments.sizes:
        n_atoms, n_frames = (int(part) for part in size.split("x"))
        _compare(n_atoms, n_frames, arguments.rounds)


def _compare(n_atoms: int, n_frames: int, rounds: int) -> None:
    positions = _walkers(n_atoms, n_frames)
    mask = region_mask(REGION, positions, CELL)
    lags = choose_lags(n_frames)
    share = n_frames * (n_frames + 1) / 2 / (n_frames - lags).sum()
    timed = [
        ("start", lambda: regional_msd(positions, mask), 1.0),
        ("start, 50", lambda: regional_msd(positions, mask, lags=lags), 1.0),
        ("followed, 50", lambda: regional_msd(positions, mask, lags=lags, assignment="followed"), 1.0),
        ("D, followed", lambda: regional_diffusion(positions, 0.1, mask, least_retention=0.0), 1.0),
        ("region_mask", lambda: region_mask(REGION, positions, CELL), 1.0),
        ("residence, 50", lambda: residence(mask, lags), 1.0),
        ("direct, 50", lambda: _direct(positions, mask, lags), 1.0),
        ("direct (from 50)", lambda: _direct(positions, mask, lags), share),
        ("plain", lambda: mean_squared_displacement(positions), 1.0),
        ("tidynamics", lambda: _tidynamics(positions), 1.0),
    ]
    reference = None
    for name, run, factor in timed:
        seconds = min(_seconds(run) for _ in range(rounds)) * factor
        reference = reference or seconds
        memory = "" if factor != 1.0 else f"{_peak(run):.0f}"
        print(f"| {n_atoms} × {n_frames} | {name} | {seconds:.3f} | {seconds / reference:.2f} | {memory} |", flush=True)
    ours = regional_msd(positions, mask, lags=lags).msd[:, :3]
    difference = np.abs(ours / _direct(positions, mask, lags) - 1.0).max()
    print(f"| {n_atoms} × {n_frames} | largest relative difference of start and direct | {difference:.1e} | | |")


def _walkers(n_atoms: int, n_frames: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    positions = np.empty((n_frames, n_atoms, 3), dtype=np.float32)
    now = rng.uniform(0.0, 1.0, (n_atoms, 3)) @ CELL
    for frame in positions:
        frame[:] = now
        now += rng.normal(0.0, 0.3, now.shape)
    return positions


def _direct(positions: np.ndarray, mask: np.ndarray, lags: np.ndarray) -> np.ndarray:
    n_frames, n_atoms, _ = positions.shape
    sums, counts = np.zeros((len(lags), 3)), np.zeros(len(lags))
    for first in range(0, n_atoms, 16):
        path = positions[:, first : first + 16].astype(np.float64)
        weights = mask[:, first : first + 16].astype(np.float64)
        for index, lag in enumerate(lags):
            steps = path[lag:] - path[: n_frames - lag]
            steps *= steps
            sums[index] += np.einsum("fac,fa->c", steps, weights[: n_frames - lag])
            counts[index] += weights[: n_frames - lag].sum()
    return sums / counts[:, None]


def _tidynamics(positions: np.ndarray) -> np.ndarray:
    import tidynamics

    total = np.zeros(len(positions))
    for atom in range(positions.shape[1]):
        total += tidynamics.msd(positions[:, atom].astype(np.float64))
    return total / positions.shape[1]


def _seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def _peak(run: Callable[[], object]) -> float:
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


if __name__ == "__main__":
    main()
