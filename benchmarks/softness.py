"""Seconds and memory of D²_min, radial structure functions and the classifier, beside plain peers on the same data.

Run it on a quiet machine: ``OMP_NUM_THREADS=1 python benchmarks/softness.py [--atoms N N …] [--frames N N …]``. Atoms
placed at random with the density and composition of Li3PS4 move by small steps; cutoffs 6 Å (D²_min) and 10 Å
(features). The peers are ASE's and freud's neighbour lists (freud's only where the cell is wide enough), followed by
least squares atom by atom, or by one histogram; freud's distances are in single precision, so that a pair close to an
edge may fall into the next bin. Each row is measured in a process of its own; the memory is the most that it held,
imports and trajectory among it. Seconds are of processor time, all threads added, so that a busy machine does little
harm; modules are loaded before.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

DENSITY = 0.0497  # atoms/Å³
CUTOFF = {"D²_min": 6.0, "features": 10.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, nargs="+", default=[128, 1000, 10000], help="sizes of the system")
    parser.add_argument("--frames", type=int, nargs="+", default=[2, 10], help="windows, or frames with features")
    parser.add_argument("--peer-atoms", type=int, default=1000, help="largest system that the peers are run on")
    parser.add_argument("--samples", type=int, nargs="+", default=[2000, 20000], help="sizes of the training set")
    arguments = parser.parse_args()
    print("| quantity | atoms | frames | s | s/frame | peak MB | peer: s, ratio, largest difference |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for name in ("D²_min", "features"):
        for atoms in arguments.atoms:
            for frames in arguments.frames:
                with_peers = atoms <= arguments.peer_atoms and frames == min(arguments.frames)
                print(_alone(_descriptor_row, name, atoms, frames, with_peers), flush=True)
    for samples in arguments.samples:
        print(_alone(_classifier_row, samples), flush=True)


def _alone(function: Callable[..., str], *arguments: Any) -> str:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def _trajectory(n_atoms: int, n_frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    length = (n_atoms / DENSITY) ** (1 / 3)
    cell = np.array([[length, 0, 0], [0.2 * length, length, 0], [-0.1 * length, 0.3 * length, length]])
    positions = np.empty((n_frames, n_atoms, 3), dtype=np.float32)
    positions[0] = rng.random((n_atoms, 3)) @ cell
    for frame in range(1, n_frames):
        positions[frame] = positions[frame - 1] + 0.2 * rng.normal(size=(n_atoms, 3))
    return positions, cell, np.resize(np.array(["Li", "Li", "Li", "P", "S", "S", "S", "S"]), n_atoms)


def _timed(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    begin = time.process_time()
    result = function(*arguments)
    return time.process_time() - begin, result


def _descriptor_row(name: str, n_atoms: int, n_frames: int, with_peers: bool) -> str:
    ours, peers = (_squared, PEERS_SQUARED) if name == "D²_min" else (_features, PEERS_FEATURES)
    ours(*_trajectory(128, 2), 1)  # loads the modules
    data = _trajectory(n_atoms, n_frames + 1)
    seconds, result = _timed(ours, *data, n_frames)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    compared = []
    for peer, function in peers.items() if with_peers else ():
        width = 1 / np.linalg.norm(np.linalg.inv(data[1]), axis=0).max()
        if "freud" in peer and width <= 2 * CUTOFF[name]:
            continue
        function(*_trajectory(1000, 2), 1)
        peer_seconds, expected = _timed(function, *data, n_frames)
        largest = np.abs(result - expected).max()
        compared.append(f"{peer}: {peer_seconds:.3f}, {peer_seconds / seconds:.1f}, {largest:.1e}")
    row = [name, n_atoms, n_frames, f"{seconds:.3f}", f"{seconds / n_frames:.4f}", f"{memory:.0f}", "; ".join(compared)]
    return "| " + " | ".join(map(str, row)) + " |"


def _squared(positions: np.ndarray, cell: np.ndarray, symbols: np.ndarray, n_frames: int) -> np.ndarray:
    from lipsdb.analysis.nonaffine import nonaffine_squared_displacement

    lithium, everything = symbols == "Li", np.full(len(symbols), True)
    return nonaffine_squared_displacement(
        positions, cell, lithium, everything, cutoff=CUTOFF["D²_min"], window=1
    ).squared


def _features(positions: np.ndarray, cell: np.ndarray, symbols: np.ndarray, n_frames: int) -> np.ndarray:
    from lipsdb.analysis.radial_features import radial_structure_functions

    return radial_structure_functions(positions[:n_frames], cell, symbols)


def _list_of_ase(position: np.ndarray, cell: np.ndarray, cutoff: float) -> tuple[np.ndarray, ...]:
    from ase import Atoms
    from ase.neighborlist import neighbor_list

    atoms = Atoms(numbers=np.ones(len(position)), positions=position.astype(np.float64), cell=cell, pbc=True)
    return neighbor_list("ijdS", atoms, cutoff)


def _list_of_freud(position: np.ndarray, cell: np.ndarray, cutoff: float) -> tuple[np.ndarray, ...]:
    from freud.box import Box
    from freud.locality import AABBQuery

    home = np.floor(position @ np.linalg.inv(cell) + 0.5)
    points = position - home @ cell
    search = AABBQuery(Box.from_matrix(cell.T), points).query(points, {"r_max": cutoff, "exclude_ii": True})
    found = search.toNeighborList()
    first, second = found.query_point_indices, found.point_indices
    shift = np.rint((found.vectors - points[second] + points[first]) @ np.linalg.inv(cell))
    return first, second, found.distances, shift - home[second] + home[first]


def _slow_squared(
    neighbours: Callable[..., tuple[np.ndarray, ...]],
) -> Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]:
    def squared(positions: np.ndarray, cell: np.ndarray, symbols: np.ndarray, n_frames: int) -> np.ndarray:
        result = np.empty((n_frames, (symbols == "Li").sum()))
        for frame in range(n_frames):
            start, end = positions[frame : frame + 2].astype(np.float64)
            first, second, _, shift = neighbours(start, cell, CUTOFF["D²_min"])
            edges = np.searchsorted(first, np.arange(len(start) + 1))
            for row, atom in enumerate(np.flatnonzero(symbols == "Li")):
                chosen = slice(edges[atom], edges[atom + 1])
                before = start[second[chosen]] + shift[chosen] @ cell - start[atom]
                after = end[second[chosen]] + shift[chosen] @ cell - end[atom]
                strain = np.linalg.lstsq(before, after, rcond=None)[0]
                result[frame, row] = ((after - before @ strain) ** 2).sum()
        return result

    return squared


def _plain_features(
    neighbours: Callable[..., tuple[np.ndarray, ...]],
) -> Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]:
    def features(positions: np.ndarray, cell: np.ndarray, symbols: np.ndarray, n_frames: int) -> np.ndarray:
        species = np.searchsorted(["Li", "P", "S"], symbols)
        result = np.empty((n_frames, (symbols == "Li").sum(), 150))
        for frame in range(n_frames):
            first, second, distance, _ = neighbours(positions[frame], cell, CUTOFF["features"])
            columns = (species[second] * 50 + np.minimum((distance / 0.2).astype(int), 49)) + 150 * first
            counts = np.bincount(columns, minlength=150 * len(symbols)).reshape(-1, 150)
            result[frame] = counts[symbols == "Li"]
        return result

    return features


PEERS_SQUARED = {"ASE + lstsq": _slow_squared(_list_of_ase), "freud + lstsq": _slow_squared(_list_of_freud)}
PEERS_FEATURES = {"ASE": _plain_features(_list_of_ase), "freud": _plain_features(_list_of_freud)}


def _classifier_row(n_samples: int) -> str:
    from lipsdb.analysis.mobility_labels import mobility_labels
    from lipsdb.analysis.radial_features import FeatureDefinition
    from lipsdb.analysis.softness import held_out, train_classifier

    rng = np.random.default_rng(0)
    definition = FeatureDefinition()
    features = rng.poisson(4.0, size=(n_samples, definition.n_features)).astype(np.float32)
    hidden = features @ rng.normal(size=definition.n_features)
    labels = mobility_labels(hidden + 20 * rng.normal(size=n_samples), quantiles=(0.5, 0.5))
    groups = np.arange(n_samples) // 20
    held, few = held_out(groups, 0.25, rng), mobility_labels(hidden[:400], quantiles=(0.5, 0.5))
    train_classifier(features[:400], definition, few, groups[:400], held_out(groups[:400], 0.25, rng))
    seconds, trained = _timed(train_classifier, features, definition, labels, groups, held)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"| classifier, {definition.n_features} features | {n_samples} samples | | {seconds:.3f} | | {memory:.0f} | "
        f"test accuracy {trained.test.accuracy:.3f} |"
    )


if __name__ == "__main__":
    main()
