"""Time and memory of the descriptors of motion, against other implementations on the same data in the same run.

Run it: ``OMP_NUM_THREADS=1 python benchmarks/dynamics.py [--atoms N …] [--frames N …]``. Walkers in float32 (as
trajectories are stored) are made here. For each size it prints processor seconds on one thread, seconds of wall time on
two (meaningful on a quiet machine only), the peak memory of the process so far above that of the data, and the
processor time of each peer over ours:

- MSD of all lags and origins: tidynamics (atom by atom, as MDAnalysis does for its FFT), freud's window mode, and
  pymatgen-analysis-diffusion's way of summing (a loop over lags). They are timed on fewer atoms, which are named; their
  time is proportional to the number of atoms, and is scaled by it.
- α₂ at all lags and origins: no package has it; direct sums with numpy over 50 lags.
- van Hove function at 10 lags, all origins: numpy.histogram over all atoms at each lag; and, per distance,
  pymatgen-analysis-diffusion, which does one at a time.

``--frames 10000 --atoms 10000 --no-peers`` is the largest size aimed at.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from lipsdb.analysis.displacement import mean_squared_displacement
from lipsdb.analysis.displacement_map import displacement_map
from lipsdb.analysis.fit_window import choose_lags
from lipsdb.analysis.isotropy import diffusion_isotropy
from lipsdb.analysis.non_gaussian import non_gaussian_parameter
from lipsdb.analysis.van_hove import self_van_hove

Positions = np.ndarray[Any, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, nargs="+", default=[500, 1000, 2000], help="numbers of atoms")
    parser.add_argument("--frames", type=int, nargs="+", default=[2000, 5000], help="numbers of frames")
    parser.add_argument("--peer-atoms", type=int, default=100, help="atoms that the slow peers are timed on")
    parser.add_argument("--no-peers", action="store_true", help="time only our own")
    arguments = parser.parse_args()
    print(
        "| descriptor | atoms × frames | 1 thread / CPU s | 2 threads / s | memory / MiB | peers: CPU time over ours |"
    )
    print("|---|---|---|---|---|---|")
    for n_frames in arguments.frames:
        for n_atoms in arguments.atoms:
            _compare(_walkers(n_frames, n_atoms), 0 if arguments.no_peers else min(arguments.peer_atoms, n_atoms))


def _walkers(n_frames: int, n_atoms: int) -> Positions:
    rng = np.random.default_rng(1)
    positions = np.empty((n_frames, n_atoms, 3), dtype=np.float32)
    place = rng.uniform(0.0, 50.0, (n_atoms, 3))
    for frame in range(n_frames):
        place += rng.normal(scale=0.2, size=(n_atoms, 3))
        positions[frame] = place
    return positions


def _compare(positions: Positions, peer_atoms: int) -> None:
    n_frames, n_atoms, _ = positions.shape
    lags = choose_lags(n_frames)
    few_lags = np.unique(np.rint(np.geomspace(1, n_frames // 2, 10)).astype(np.int64))

    def isotropy(some: Positions, threads: int) -> object:
        rng = np.random.default_rng(1)
        return diffusion_isotropy(some, 0.1, start_ps=1.0, stop_ps=0.02 * n_frames, rng=rng, threads=threads)

    jobs: list[tuple[str, Callable[[Positions, int], object], dict[str, Callable[[Positions], object]], int]] = [
        ("MSD, all lags", lambda some, n: mean_squared_displacement(some, threads=n), _msd_peers(), peer_atoms),
        (
            "α₂, all lags",
            lambda some, n: non_gaussian_parameter(some, threads=n),
            {f"direct sums, {lags.size} lags": lambda some: _direct_alpha2(some, lags)},
            peer_atoms,
        ),
        (
            f"van Hove, {few_lags.size} lags",
            lambda some, n: self_van_hove(some, few_lags, threads=n),
            {"numpy.histogram": lambda some: _histograms(some, few_lags)},
            peer_atoms,
        ),
        ("isotropy", isotropy, {}, 0),
        (
            "displacement map, 100 origins",
            lambda some, n: displacement_map(some, n_frames // 100, origins=np.arange(100) * (n_frames // 110)),
            {},
            0,
        ),
    ]
    data = positions.nbytes / 2**20
    for name, ours, peers, atoms in jobs:
        one, _ = _seconds(lambda ours=ours: ours(positions, 1))
        _, two = _seconds(lambda ours=ours: ours(positions, 2))
        memory = _peak_mib() - data
        ratios = {}
        if atoms:
            some = np.ascontiguousarray(positions[:, :atoms])
            for peer, run in peers.items():
                ratios[peer] = _seconds(lambda run=run, some=some: run(some))[0] * n_atoms / atoms / one
            if name.startswith("van Hove"):
                distances = n_atoms * int((n_frames - few_lags).sum())
                ratios["pymatgen-analysis-diffusion"] = _pymatgen_per_distance(some) * distances / one
        shown = ", ".join(f"{peer} {ratio:.3g}" for peer, ratio in ratios.items())
        print(f"| {name} | {n_atoms} × {n_frames} | {one:.2f} | {two:.2f} | {memory:.0f} | {shown} |", flush=True)


def _seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Processor and wall time, s."""
    begin = time.process_time(), time.perf_counter()
    run()
    return time.process_time() - begin[0], time.perf_counter() - begin[1]


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _msd_peers() -> dict[str, Callable[[Positions], object]]:
    import freud
    import tidynamics

    def each_atom(some: Positions) -> object:
        return np.mean([tidynamics.msd(some[:, atom].astype(np.float64)) for atom in range(some.shape[1])], axis=0)

    def each_lag(some: Positions) -> object:
        # As DiffusionAnalyzer with smoothed="constant" takes the mean over origins, at 50 of its lags.
        return [np.square(some[lag:] - some[:-lag]).sum(axis=2).mean() for lag in choose_lags(len(some))]

    return {
        "tidynamics": each_atom,
        "freud": lambda some: freud.msd.MSD(mode="window").compute(some).msd,
        "loop over 50 lags": each_lag,
    }


def _direct_alpha2(some: Positions, lags: Positions) -> list[float]:
    values = []
    for lag in lags.tolist():
        squares = np.square(some[lag:] - some[:-lag]).sum(axis=2)
        values.append(3.0 * np.square(squares).mean() / (5.0 * squares.mean() ** 2) - 1.0)
    return values


def _histograms(some: Positions, lags: Positions) -> list[Positions]:
    return [
        np.histogram(np.linalg.norm(some[lag:] - some[:-lag], axis=2), bins=100, range=(0.0, 10.0))[0]
        for lag in lags.tolist()
    ]


def _pymatgen_per_distance(some: Positions) -> float:
    """Seconds that the self part of pymatgen's VanHoveAnalysis takes for one distance: its inner loop, as it stands."""
    from collections import Counter

    from pymatgen.core import Lattice

    lattice, image, counts = Lattice.cubic(50.0), np.array([0, 0, 0]), Counter[int]()
    first, last = some[0] / 50.0, some[-1] / 50.0
    begin = time.process_time()
    distances = [
        lattice.get_distance_and_image(start, end, jimage=image)[0] for start, end in zip(first, last, strict=True)
    ]
    counts.update([int(distance / 0.1) for distance in distances if distance < 10.0])
    return (time.process_time() - begin) / len(some[0])


if __name__ == "__main__":
    main()
