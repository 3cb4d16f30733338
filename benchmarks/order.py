"""Cost of bond order, disorder parameter and amorphisation, against pyscal3 and the formula as it is printed.

``OMP_NUM_THREADS=1 python benchmarks/order.py [--atoms N ...] [--frames N]``. Synthetic data, made here: a noisy fcc
crystal of the density of 0.05 atoms/Å³. q6, q̄6 and S_j with a cutoff against pyscal3 on the same frames (its neighbour
search included, as ours is); F(z) against the same density on the same grid by direct sums of Gaussians. Prints a
Markdown table: seconds a frame, ratio to the peer (below 1: quicker), and the peak of memory that Python allocated
beyond the trajectory.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, nargs="+", default=[1000, 10000], help="atoms, about")
    parser.add_argument("--frames", type=int, nargs="+", default=[2, 8], help="frames")
    arguments = parser.parse_args()
    print("| kernel | atoms | frames | s/frame | peer | peer s/frame | ratio | peak MiB |")
    print("|---|---|---|---|---|---|---|---|")
    _compare(*_noisy_fcc(500, 1), show=False)  # imports
    for n_atoms in arguments.atoms:
        for n_frames in arguments.frames:
            _compare(*_noisy_fcc(n_atoms, n_frames))


def _noisy_fcc(n_atoms: int, n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    repeats, spacing = round((n_atoms / 4) ** (1 / 3)), (4 / 0.05) ** (1 / 3)
    corners = np.stack(np.meshgrid(*[np.arange(repeats)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    sites = spacing * (corners + basis).reshape(-1, 3)
    noise = np.random.default_rng(0).normal(0, 0.2, (n_frames, *sites.shape))
    return (sites + noise).astype(np.float32), repeats * spacing * np.eye(3)


def _compare(positions: np.ndarray, cell: np.ndarray, *, show: bool = True) -> None:
    from lipsdb.analysis.amorphisation import amorphisation
    from lipsdb.analysis.bond_order import bond_order, disorder_parameter

    every = np.full(positions.shape[1], True)
    cutoff = 0.86 * (4 / 0.05) ** (1 / 3)
    kernels: list[tuple[str, Callable[[], object], str, Callable[[], object]]] = [
        ("q6, q̄6", lambda: bond_order(positions, cell, every, every, degrees=[6], cutoff=cutoff),
         "pyscal3", lambda: _pyscal(positions, cell, cutoff, disorder=False)),
        ("q4, q6, q̄4, q̄6", lambda: bond_order(positions, cell, every, every, cutoff=cutoff), "", lambda: None),
        ("S_j, l = 6", lambda: disorder_parameter(positions, cell, every, every, cutoff=cutoff),
         "pyscal3", lambda: _pyscal(positions, cell, cutoff, disorder=True)),
        ("q6, q̄6 (Voronoi)", lambda: bond_order(positions, cell, every, every, degrees=[6]), "", lambda: None),
        ("F(z)", lambda: amorphisation(positions, cell, every), "direct sums", lambda: _direct(positions, cell)),
    ]  # fmt: skip
    for name, ours, peer, theirs in kernels:
        own, other = _seconds(ours), _seconds(theirs)
        tracemalloc.start()
        ours()
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        n_frames, n_atoms, _ = positions.shape
        compared = f"{peer} | {other / n_frames:.4f} | {own / other:.2f}" if peer else "| |"
        if show:
            print(f"| {name} | {n_atoms} | {n_frames} | {own / n_frames:.4f} | {compared} | {peak:.0f} |", flush=True)


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _pyscal(positions: np.ndarray, cell: np.ndarray, cutoff: float, *, disorder: bool) -> None:
    import pyscal3
    from ase import Atoms

    for frame in positions:
        atoms = Atoms(numbers=np.ones(len(frame)), positions=frame, cell=cell, pbc=True)
        atoms.wrap()
        pyscal3.find_neighbors(atoms, method="cutoff", cutoff=cutoff)
        if disorder:
            pyscal3.disorder(atoms, q=6)
        else:
            pyscal3.steinhardt_parameter(atoms, 6)
            pyscal3.steinhardt_parameter(atoms, 6, averaged=True)


def _direct(positions: np.ndarray, cell: np.ndarray, slab_width: float = 2.0, smoothing: float = 1.0) -> None:
    """Sum over the wave vectors that matter by matrix products, without a grid."""
    from scipy.special import erf

    length = cell[0, 0]
    most = int(5 / smoothing * length / (2 * np.pi))
    k = 2 * np.pi / length * np.arange(-most, most + 1)
    n_slabs = round(length / slab_width)
    width = length / n_slabs
    for frame in positions.astype(float):
        across, along = (np.exp(-1j * np.outer(frame[:, i], k) - 0.5 * (k * smoothing) ** 2) for i in (0, 2))
        for slab in range(n_slabs):
            distance = frame[:, 1] - (slab + 0.5) * width
            distance -= length * np.round(distance / length)
            share = 0.5 * sum(erf((width / 2 + s * distance) / (np.sqrt(2) * smoothing)) for s in (1, -1))
            near = share > 1e-7
            np.abs((across[near] * share[near, None]).T @ along[near]).sum()


if __name__ == "__main__":
    main()
