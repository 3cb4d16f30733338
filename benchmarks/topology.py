"""Seconds a snapshot for the persistence diagram of rings, beside gudhi on the open cloud and ripser.

Run it on a quiet machine: ``python benchmarks/topology.py [--atoms N ...] [--snapshots N] [--ripser-atoms N]``. The
ions are made up: a simple cubic lattice with the density of Li in β-Li3PS4 and displacements of 0.7 Å. Peers, on the
same points in the same run: gudhi's alpha complex of the ions as an open cloud, with its persistence (same library,
without the periodic images: the least that can be done), and ripser's Vietoris-Rips complex on periodic distances up to
8 Å (what the grain-boundary study's package does; another filtration, so only the cost compares). The memory is the
peak of the process so far; snapshots are analysed one by one, so that it does not grow with their number.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np

DENSITY = 12 / 645.2  # Li ions in Å³


def made_up_ions(number: int, n_snapshots: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (n_snapshots, number, 3) and cell (3, 3), Å."""
    rng = np.random.default_rng(number)
    side = int(np.ceil(number ** (1 / 3)))
    length = (number / DENSITY) ** (1 / 3)
    lattice = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    sites = rng.permutation(lattice)[:number] * length / side
    return sites + rng.normal(scale=0.7, size=(n_snapshots, number, 3)), length * np.eye(3)


def seconds(work: Callable[[], object], rounds: int = 2) -> float:
    """Wall-clock time of the quickest round."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def open_cloud(points: np.ndarray) -> None:
    from gudhi import AlphaComplex

    tree = AlphaComplex(points, precision="fast").create_simplex_tree(output_squared_values=False)
    tree.prune_above_dimension(2)
    tree.compute_persistence(min_persistence=1e-4)
    tree.persistence_pairs()


def rips(points: np.ndarray, cell: np.ndarray, longest: float = 8.0) -> None:
    from ripser import ripser
    from scipy.spatial import cKDTree

    box = cell.diagonal()
    tree = cKDTree(points % box, boxsize=box)
    ripser(tree.sparse_distance_matrix(tree, longest, output_type="coo_matrix"), distance_matrix=True, maxdim=1)


def main() -> None:
    from lipsdb.analysis.representative_rings import representative_rings
    from lipsdb.analysis.ring_topology import ring_persistence

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, nargs="+", default=[125, 512, 1000, 2000, 4000], help="numbers of ions")
    parser.add_argument("--snapshots", type=int, default=8, help="snapshots of 512 ions, for the scaling with frames")
    parser.add_argument("--ripser-atoms", type=int, default=1000, help="most ions given to ripser")
    arguments = parser.parse_args()
    print("| Li ions | rings | lipsdb s | gudhi, open cloud s | ratio | ripser s | ratio | ring sizes s | peak GiB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for number in arguments.atoms:
        positions, cell = made_up_ions(number, 1)
        everything = np.full(number, True)
        rings = len(ring_persistence(positions, cell, everything).births)  # also warms the imports up
        mine = seconds(lambda p=positions, c=cell, e=everything: ring_persistence(p, c, e))
        peer = seconds(lambda p=positions: open_cloud(p[0]))
        other = seconds(lambda p=positions, c=cell: rips(p[0], c)) if number <= arguments.ripser_atoms else np.nan
        shown = seconds(lambda p=positions, c=cell, e=everything: representative_rings(p, c, e), rounds=1)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"| {number} | {rings} | {mine:.3f} | {peer:.3f} | {mine / peer:.1f} | {other:.3f} | {mine / other:.2f} | "
            f"{shown:.2f} | {memory:.2f} |",
            flush=True,
        )
    positions, cell = made_up_ions(512, arguments.snapshots)
    one = seconds(lambda: ring_persistence(positions[:1], cell, np.full(512, True)))
    all_ = seconds(lambda: ring_persistence(positions, cell, np.full(512, True)))
    print(f"\n{arguments.snapshots} snapshots of 512 ions take {all_ / one:.1f} times as long as one.")


if __name__ == "__main__":
    main()
