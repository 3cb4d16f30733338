"""Cost of g(r), S(Q) and bond angles, against the fastest other implementation on the same data.

Run it on a quiet machine: ``OMP_NUM_THREADS=1 python benchmarks/pair_structure.py [--atoms N ...] [--frames N]``. The
data are made here: P with four S around it, and Li, at random in a cubic cell with the density of β-Li3PS4. Each row
is one function on one number of atoms; times are per frame, the best of ``--rounds``; the peers see the same frames in
the same run, one thread each. The last column is the largest difference from the peer. The peers are MDAnalysis
(InterRDF, six pairs; its neighbour search and calc_angles), freud's own RDF (six pairs, to see what is lost around it)
and dynasor's compiled kernel at the same wave vectors.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from lipsdb.analysis.bond_angles import bond_angles
from lipsdb.analysis.radial_distribution import radial_distribution
from lipsdb.analysis.structure_factor import _densities

TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 2.05 / 3**0.5


def made_up_run(n_atoms: int, n_frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames of n_atoms / 8 PS4 units and three times as many Li; unwrapped."""
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(0)
    units = n_atoms // 8
    length = (8 * units / 0.0496) ** (1 / 3)
    frames = []
    for _ in range(n_frames):
        centres = rng.random((units, 3)) * length
        turns = Rotation.random(units, rng=rng).as_matrix()
        corners = centres[:, None] + TETRAHEDRON @ turns + rng.normal(scale=0.08, size=(units, 4, 3))
        lithium = rng.random((3 * units, 3)) * length
        frames.append(np.concatenate([lithium, centres, corners.reshape(-1, 3)]))
    symbols = np.repeat(["Li", "P", "S"], [3 * units, units, 4 * units])
    return np.array(frames, dtype=np.float32), length * np.eye(3), symbols


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, nargs="+", default=[128, 1000, 10000], help="numbers of atoms")
    parser.add_argument("--frames", type=int, default=2, help="frames at 10,000 atoms; more at fewer")
    parser.add_argument("--rounds", type=int, default=2, help="repetitions, of which the best counts")
    parser.add_argument("--r-max", type=float, default=10.0, help="range of g(r), Å, where the cell allows it")
    arguments = parser.parse_args()
    import freud

    freud.parallel.set_num_threads(1)
    print("| function | atoms | frames | s/frame | peer | its s/frame | peer/ours | largest difference |")
    print("|---|---|---|---|---|---|---|---|")
    for n_atoms in arguments.atoms:
        n_frames = arguments.frames * max(1, min(20, 10000 // n_atoms))
        run = made_up_run(n_atoms, n_frames)
        r_max = min(arguments.r_max, 0.499 * run[1][0, 0])
        for compare in (against_mdanalysis_rdf, against_freud_rdf, against_dynasor, against_mdanalysis_angles):
            name, own, peer_name, peer, difference = compare(*run, r_max)
            times = [_best(function, arguments.rounds) / n_frames for function in (own, peer)]
            print(
                f"| {name} | {run[0].shape[1]} | {n_frames} | {times[0]:.4f} | {peer_name} | {times[1]:.4f} | "
                f"{times[1] / times[0]:.2f} | {difference} |",
                flush=True,
            )
    print(f"\npeak memory, peers included: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def _best(function: Callable[[], Any], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


Comparison = tuple[str, Callable[[], Any], str, Callable[[], Any], str]


def against_mdanalysis_rdf(positions: np.ndarray, cell: np.ndarray, symbols: np.ndarray, r_max: float) -> Comparison:
    import MDAnalysis
    from MDAnalysis.analysis.rdf import InterRDF

    n_bins = 200
    universe = MDAnalysis.Universe.empty(len(symbols), trajectory=True)
    universe.load_new(positions, dimensions=np.append(np.diag(cell), [90, 90, 90]))
    groups = [universe.atoms[symbols == name] for name in ("Li", "P", "S")]

    def own() -> Any:
        return radial_distribution(positions, cell, symbols, dr_A=r_max / n_bins, r_max_A=r_max)

    def peer() -> dict[tuple[int, int], np.ndarray]:
        return {
            (i, j): InterRDF(
                groups[i], groups[j], nbins=n_bins, range=(0.0, r_max), exclusion_block=(1, 1) if i == j else None
            ).run().results.count
            for i, j in combinations_with_replacement(range(3), 2)
        }  # fmt: skip

    result, counts = own(), peer()
    scale = result.n_atoms * result.n_frames
    moved = sum(
        np.abs(np.diff(result.coordination[pair], prepend=0.0) * scale[pair[0]] - count).sum()
        for pair, count in counts.items()
    )
    total = sum(count.sum() for count in counts.values())
    return "g(r)", own, "MDAnalysis InterRDF", peer, f"{moved / 2:.0f} of {total:.3g} pairs in another bin"


def against_freud_rdf(positions: np.ndarray, cell: np.ndarray, symbols: np.ndarray, r_max: float) -> Comparison:
    import freud

    n_bins = 200
    box = freud.box.Box.cube(cell[0, 0])
    functions = {pair: freud.density.RDF(n_bins, r_max) for pair in combinations_with_replacement(["Li", "P", "S"], 2)}

    def own() -> Any:
        return radial_distribution(positions, cell, symbols, dr_A=r_max / n_bins, r_max_A=r_max)

    def peer() -> None:
        for index, frame in enumerate(positions):
            points = box.wrap(frame)
            for (first, second), function in functions.items():
                function.compute(
                    (box, points[symbols == second]),
                    points[symbols == first],
                    neighbors={"mode": "ball", "r_max": r_max, "exclude_ii": first == second},
                    reset=index == 0,
                )

    result = own()
    peer()
    # Pairs may fall on either side of a bin's edge in single precision: compare beyond the sparse bins.
    far = result.radius > 0.5 * r_max
    worst = max(np.abs(result.partial[result.pair(*pair)] - f.rdf)[far].max() for pair, f in functions.items())
    return "g(r)", own, "freud RDF", peer, f"{worst:.1g} in g"


def against_dynasor(positions: np.ndarray, cell: np.ndarray, symbols: np.ndarray, r_max: float) -> Comparison:
    from dynasor.core.reciprocal import calc_rho_q
    from numba import set_num_threads

    set_num_threads(1)
    rng = np.random.default_rng(1)
    reach = int(15.0 * cell[0, 0] / (2.0 * np.pi) / 3**0.5)
    indices = rng.integers(-reach, reach + 1, (4000, 3))
    starts = np.flatnonzero(np.append(True, symbols[1:] != symbols[:-1]))
    vectors = indices @ (2.0 * np.pi * np.linalg.inv(cell).T)

    def own() -> list[np.ndarray]:
        return [_densities(frame.astype(np.float64) @ np.linalg.inv(cell), indices, starts) for frame in positions]

    def peer() -> list[list[np.ndarray]]:
        return [
            [calc_rho_q(frame[symbols == name].astype(np.float64), vectors) for name in ("Li", "P", "S")]
            for frame in positions
        ]

    densities, others = own()[0], peer()[0]
    worst = max(
        np.abs(densities[0, :, i] ** 2 + densities[1, :, i] ** 2 - np.abs(o) ** 2).max() for i, o in enumerate(others)
    )
    return "S(Q), 4000 wave vectors", own, "dynasor kernel", peer, f"{worst / len(symbols):.1g} in S"


def against_mdanalysis_angles(positions: np.ndarray, cell: np.ndarray, symbols: np.ndarray, r_max: float) -> Comparison:
    from MDAnalysis.lib.distances import calc_angles, capped_distance

    box = np.append(np.diag(cell), [90, 90, 90]).astype(np.float32)

    def own() -> Any:
        return bond_angles(positions, cell, symbols)

    def peer() -> np.ndarray:
        found = []
        for frame in positions:
            centres, ends = frame[symbols == "P"], frame[symbols == "S"]
            bonds = capped_distance(centres, ends, 2.5, box=box, return_distances=False)
            bonds = bonds[np.argsort(bonds[:, 0], kind="stable")]
            of_centre = np.split(bonds[:, 1], np.flatnonzero(np.diff(bonds[:, 0])) + 1)
            triples = [
                (sulphur[a], phosphorus, sulphur[b])
                for phosphorus, sulphur in zip(np.unique(bonds[:, 0]), of_centre, strict=True)
                for a, b in zip(*np.triu_indices(len(sulphur), 1), strict=True)
            ]
            i, j, k = np.array(triples).T
            found.append(np.degrees(calc_angles(ends[i], centres[j], ends[k], box=box)))
        return np.concatenate(found)

    result, angles = own(), peer()
    return "S-P-S angles", own, "MDAnalysis", peer, f"{abs(result.mean - angles.mean()):.1g}° in the mean"


if __name__ == "__main__":
    main()
