"""CPU seconds and memory of thiophosphate units, Voronoi volumes, profiles and heat maps, and their ratio to peers.

Run it on a quiet machine: ``python benchmarks/local_structure.py [--atoms N ...] [--frames N ...] [--threads N]``.
Frames are of a made-up Li3PS4: PS4 tetrahedra turned at random on a grid, Li between them, all shaken anew in every
frame. Kernel and peer get the same arrays, each in a process of its own; a slow peer gets the first few frames and its
time is per frame. Times are of the CPU, all threads together. Ratio: the peer's time over ours, so above 1 we are
quicker. Memory is what the process grew by.

Peers: MDAnalysis' capped distances with scipy's connected components (which name no unit), scipy's Voronoi of the
atoms and their images with a convex hull an atom, MDAnalysis' LinearDensity (total mass only), scipy's Gaussian kernel
density of the atoms and their images, numpy's histogram2d frame by frame.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import resource
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SPACING = 5.44  # Å between PS4: that of Li3PS4
MASSES = {"Li": 6.94, "P": 30.974, "S": 32.06}
BANDWIDTH = 1.0


@dataclass(frozen=True)
class Trajectory:
    positions: np.ndarray  # (n_frames, n_atoms, 3) Å, float32
    cell: np.ndarray
    symbols: np.ndarray

    @property
    def dimensions(self) -> np.ndarray:
        return np.array([*np.diag(self.cell), 90, 90, 90], dtype=np.float32)

    def first(self, n_frames: int) -> Trajectory:
        return Trajectory(self.positions[:n_frames], self.cell, self.symbols)


def made_up(n_atoms: int, n_frames: int) -> Trajectory:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(0)
    side = max(2, round((n_atoms / 8) ** (1 / 3)))
    sites = np.argwhere(np.ones((side, side, side))) * SPACING
    tetrahedron = 2.05 / 3**0.5 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    turned = np.einsum("kj,nji->nki", tetrahedron, Rotation.random(len(sites), rng=rng).as_matrix())
    lithium = sites[:, None] + SPACING / 2 * np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1]])
    one = np.concatenate([sites[:, None], sites[:, None] + turned, lithium], axis=1).reshape(-1, 3)
    positions = np.empty((n_frames, *one.shape), dtype=np.float32)
    for frame in positions:
        frame[:] = one + rng.normal(scale=0.1, size=one.shape)
    return Trajectory(positions, side * SPACING * np.eye(3), np.tile(["P", *["S"] * 4, *["Li"] * 3], len(sites)))


def our_units(run: Trajectory) -> object:
    from lipsdb.analysis.thiophosphate_units import thiophosphate_units

    return thiophosphate_units(run.positions, run.cell, run.symbols == "P", run.symbols == "S")


def peer_units(run: Trajectory) -> object:
    from MDAnalysis.lib.distances import self_capped_distance
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    kept = run.symbols != "Li"
    is_p = run.symbols[kept] == "P"
    counts = []
    for frame in run.positions[:, kept]:
        pairs, distances = self_capped_distance(frame, 2.6, box=run.dimensions)
        bonded = distances < np.array([2.4, 2.5, 2.6])[is_p[pairs].sum(axis=1)]
        first, second = pairs[bonded].T
        graph = coo_array((np.ones(first.size, dtype=np.int8), (first, second)), shape=(is_p.size, is_p.size))
        counts.append(connected_components(graph, directed=False)[0])
    return counts


def our_volumes(run: Trajectory) -> object:
    from lipsdb.analysis.voronoi import voronoi_volumes

    return voronoi_volumes(run.positions, run.cell, run.symbols == "Li")


def peer_volumes(run: Trajectory) -> object:
    from scipy.spatial import ConvexHull, Voronoi

    length, margin = run.cell[0, 0], 7.0
    shifts = np.stack(np.meshgrid(*[[0, -1, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * length
    volumes = []
    for frame in run.positions.astype(np.float64) % length:
        images = (shifts[:, None] + frame).reshape(-1, 3)
        own = np.arange(len(images)) < len(frame)
        near = own | ((images > -margin) & (images < length + margin)).all(axis=1)
        diagram = Voronoi(images[near])
        chosen = diagram.point_region[: len(frame)][run.symbols == "Li"]
        volumes.append([ConvexHull(diagram.vertices[diagram.regions[region]]).volume for region in chosen])
    return volumes


def our_density(run: Trajectory) -> object:
    from lipsdb.analysis.profiles import density_profile

    masses = np.array([MASSES[symbol] for symbol in run.symbols])
    return density_profile(run.positions, run.cell, run.symbols, masses, bin_width=0.5)


def peer_density(run: Trajectory) -> object:
    import MDAnalysis
    from MDAnalysis.analysis.lineardensity import LinearDensity
    from MDAnalysis.transformations import wrap

    universe = MDAnalysis.Universe.empty(len(run.symbols), trajectory=True)
    universe.add_TopologyAttr("masses", [MASSES[symbol] for symbol in run.symbols])
    universe.add_TopologyAttr("charges", np.zeros(len(run.symbols)))
    universe.load_new(run.positions.copy(), dimensions=np.tile(run.dimensions, (len(run.positions), 1)))
    universe.trajectory.add_transformations(wrap(universe.atoms))
    return LinearDensity(universe.atoms, binsize=0.5).run().results.z.mass_density


def our_concentration(run: Trajectory) -> object:
    from lipsdb.analysis.profiles import concentration_profile

    return concentration_profile(run.positions, run.cell, run.symbols == "Li", bandwidth=BANDWIDTH)


def peer_concentration(run: Trajectory) -> object:
    from scipy.stats import gaussian_kde

    length = run.cell[2, 2]
    z = (run.positions[:, run.symbols == "Li", 2].astype(np.float64) % length).ravel()
    images = np.concatenate([z, z - length, z + length])
    kernel = gaussian_kde(images, bw_method=BANDWIDTH / images.std(ddof=1))
    return kernel(np.arange(0.0, length, BANDWIDTH / 16))


def our_map(run: Trajectory) -> object:
    from lipsdb.analysis.profiles import density_map

    return density_map(run.positions, run.cell, run.symbols == "Li")


def peer_map(run: Trajectory) -> object:
    length = run.cell[0, 0]
    edges = np.linspace(0.0, length, round(length / 0.2) + 1)
    counts = np.zeros((len(edges) - 1, len(edges) - 1))
    for frame in run.positions[:, run.symbols == "Li"]:
        wrapped = frame % length
        counts += np.histogram2d(wrapped[:, 0], wrapped[:, 2], bins=[edges, edges])[0]
    return counts


@dataclass(frozen=True)
class Case:
    name: str
    ours: Callable[[Trajectory], object]
    peer: Callable[[Trajectory], object]
    most: int = 10**9  # atoms × frames that we get
    most_for_peer: int = 300_000


CASES = [
    Case("units", our_units, peer_units),
    Case("Voronoi volumes of Li", our_volumes, peer_volumes, 50_000, 10_000),
    Case("density profile", our_density, peer_density),
    Case("smoothed concentration", our_concentration, peer_concentration, most_for_peer=10_000),
    Case("heat map", our_map, peer_map),
]


def measured(kernel: Callable[[Trajectory], object], run: Trajectory, threads: int) -> tuple[float, float]:
    """Seconds of CPU, without imports, and growth in MiB in a child process."""
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def child() -> None:
        import freud

        warnings.simplefilter("ignore")
        freud.parallel.set_num_threads(threads)
        kernel(run.first(1))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begin = time.process_time()
        kernel(run)
        seconds = time.process_time() - begin
        sender.send((seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    return receiver.recv()  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, nargs="+", default=[1000, 10000], help="about so many, whole cubes of PS4")
    parser.add_argument("--frames", type=int, nargs="+", default=[10, 40], help="numbers of frames")
    parser.add_argument("--threads", type=int, default=1, help="of freud")
    arguments = parser.parse_args()
    for module in ("freud", "MDAnalysis.analysis.lineardensity", "scipy.stats", "scipy.sparse.csgraph"):
        importlib.import_module(module)  # before the processes part
    print("| kernel | atoms | frames | CPU s | ms a frame | grows by MiB | peer's ms a frame | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for n_atoms in arguments.atoms:
        for n_frames in arguments.frames:
            run = made_up(n_atoms, n_frames)
            for case in CASES:
                number = run.positions.shape[1]
                ours = max(1, min(n_frames, case.most // number))
                few = max(1, min(n_frames, case.most_for_peer // number))
                seconds, growth = measured(case.ours, run.first(ours), arguments.threads)
                theirs, _ = measured(case.peer, run.first(few), arguments.threads)
                each, peer_each = 1e3 * seconds / ours, 1e3 * theirs / few
                times = f"{seconds:.3f} | {each:.3f} | {growth:.0f} | {peer_each:.3f} | {peer_each / each:.1f}"
                print(f"| {case.name} | {number} | {ours} | {times} |", flush=True)


if __name__ == "__main__":
    main()
