"""MD speed of moment tensor potentials: lipsdb's kernel and motep's engine under one driver, DeePMD beside them.

Run it on a quiet machine: ``python benchmarks/mtp.py [--levels 8 12] [--steps N] [--threads N]``. 256 atoms of Li, P
and S at the density of β-Li3PS4, r_c 5 Å (26 neighbours), radial size 8, NVE at 300 K. The potentials are not trained:
their first radial function is a Lennard-Jones potential, the other terms are too small for atoms to feel them, but cost
what they cost in a trained one. The engines run in turns, and must agree on the first energy; figures are medians of
LAMMPS' own loop times. DeePMD runs the quickstart's crystal with its model. If the ``lmp`` that is found has a native
pair style, or ``LIPSDB_MTP_PLUGIN`` names one, it runs, too. Aims at level 12: 4 times motep, 70 % of a native style.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
ELEMENTS = ("Li", "P", "S")
CUTOFF_A, SKIN_A = 5.0, 0.5
SCALE = 1e-6
LATTICE_A, SIGMA_A, EPSILON_eV = 4.32, 2.75, 0.03  # of the face-centred cubic start; Lennard-Jones


class MotepForces:
    """motep's C engine, with a list of neighbours that serves several steps (its own, from ASE, is slower)."""

    def __init__(self, model: Path, elements: Sequence[str], types: np.ndarray) -> None:
        from ase import Atoms
        from ase.data import atomic_numbers
        from motep.calculator import make_mtp_engine
        from motep.io.mlip.mtp import read_mtp

        data = read_mtp(str(model))
        data.species = np.array([atomic_numbers[element] for element in elements])
        self.engine: Any = make_mtp_engine("cext")(data)
        self.engine.update_neighbor_list = self.update
        self.atoms = Atoms(numbers=data.species[types], pbc=True)
        self.listed: np.ndarray | None = None

    def update(self, atoms: Any) -> bool:
        from lipsdb.potentials.mtp.neighbours import neighbour_list

        positions = atoms.positions
        if self.listed is not None and np.abs(positions - self.listed).max() < SKIN_A / np.sqrt(12):
            return False
        self.listed = positions.copy()
        found = neighbour_list(positions, atoms.cell.array, CUTOFF_A + SKIN_A)
        counts = np.diff(found.first)
        rank = np.arange(found.index.size) - found.first[found.centre]
        self.engine._neighbors = np.full((len(atoms), counts.max()), -1, dtype=np.int32)
        self.engine._neighbors[found.centre, rank] = found.index
        self.engine._offsets = np.zeros((len(atoms), counts.max(), 3))
        self.engine._offsets[found.centre, rank] = found.vectors - positions[found.index] + positions[found.centre]
        return True

    def compute(
        self, positions: np.ndarray, cell: np.ndarray, rebuild: bool = False
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.atoms.set_cell(cell)
        self.atoms.positions = positions
        found = self.engine.calculate(self.atoms)
        xx, yy, zz, yz, xz, xy = -self.atoms.get_volume() * found["stress"]
        return found["energies"], found["forces"], np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def driver() -> int:
    """The same driver as for lipsdb's kernel, with motep's forces."""
    from lipsdb.potentials.mtp.lammps import main as lammps_main

    return lammps_main(None, lambda model, elements, types, threads: MotepForces(model, elements, types))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--levels", type=int, nargs="+", default=[8, 10, 12, 14], help="levels of the basis")
    parser.add_argument("--steps", type=int, default=2000, help="steps of each run with lipsdb's kernel")
    parser.add_argument("--rounds", type=int, default=3, help="turns")
    parser.add_argument("--threads", type=int, default=1, help="threads of lipsdb's kernel")
    parser.add_argument("--deepmd", type=Path, help="compressed DeePMD model for Li P S, by default the quickstart's")
    asked = parser.parse_args()
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    model = asked.deepmd or _quickstart_model()
    atoms = _lattice()
    print(f"{len(atoms)} atoms; katom-step/s (median of {asked.rounds})")
    rates = [_rate(_crystal(), asked.steps // 10, 1, deepmd=model)[0] for _ in range(asked.rounds)]
    print(f"DeePMD: {statistics.median(rates):.1f}", flush=True)
    for level in asked.levels:
        ours, theirs = [], []
        for _ in range(asked.rounds):
            rate, energy = _rate(atoms, asked.steps, asked.threads, level=level)
            other_rate, other_energy = _rate(atoms, max(asked.steps // 4, 100), 1, level=level, motep=True)
            assert abs(energy - other_energy) < 1e-8 * abs(energy), (energy, other_energy)
            ours.append(rate)
            theirs.append(other_rate)
        ratio = statistics.median(ours) / statistics.median(theirs)
        print(
            f"level {level}: lipsdb {statistics.median(ours):.1f}, motep {statistics.median(theirs):.1f}, "
            f"ratio {ratio:.1f}",
            flush=True,
        )
        native = [_rate(atoms, asked.steps, asked.threads, level=level, native=True) for _ in range(asked.rounds)]
        if None not in native:
            rate = statistics.median(one[0] for one in native if one is not None)
            print(f"  native pair style {rate:.1f}, lipsdb over it {statistics.median(ours) / rate:.2f}", flush=True)


def _lattice() -> Any:
    """Li, P and S at random on a lattice."""
    from ase.build import bulk

    atoms = bulk("S", "fcc", a=LATTICE_A, cubic=True).repeat(4)
    atoms.numbers = np.random.default_rng(0).choice([3, 15, 16], len(atoms), p=[0.375, 0.125, 0.5])
    return atoms


def _potential(level: int) -> Any:
    """Lennard-Jones in the first scalar; all other terms are there, and small."""
    from lipsdb.potentials.mtp.potential import random_start

    start = random_start(level, ELEMENTS, min_distance_A=2.2, cutoff_A=CUTOFF_A, radial_size=8, seed=1)
    r = np.linspace(2.2, CUTOFF_A - 0.3, 200)
    x, gap = (SIGMA_A / r) ** 6, CUTOFF_A - r
    xi = (2 * r - 2.2 - CUTOFF_A) / (CUTOFF_A - 2.2)
    radial = start.radial_coefficients.copy()
    radial[:, :, 0] = np.polynomial.chebyshev.chebfit(xi, 2 * EPSILON_eV * (x**2 - x) / gap**2, 7, w=gap**2)
    moments = SCALE * start.moment_coefficients
    moments[start.basis.scalars == 0] = 1.0
    return replace(start, moment_coefficients=moments, radial_coefficients=radial, species_coefficients=np.zeros(3))


def _crystal() -> Any:
    """The quickstart's crystal, twice."""
    from ase import Atoms

    from lipsdb.campaigns.load import load_campaign

    file = load_campaign(ROOT / "campaigns" / "quickstart.yaml")
    numbers, positions, cell = file.campaign.structures["beta-Li3PS4"].build(ROOT)
    return Atoms(numbers=numbers, positions=positions, cell=cell, pbc=True).repeat((1, 1, 2))


def _quickstart_model() -> Path:
    """The quickstart's compressed DeePMD model, from its record."""
    folder = ROOT / "campaigns" / "quickstart" / "potential"
    documents = json.loads((folder / "record.json").read_text())["documents"]
    answer = next(document["answer"] for document in documents if document["kind"] == "potential")
    return folder / "artifacts" / str(answer["model"]["sha256"])


def _rate(
    atoms: Any,
    steps: int,
    threads: int,
    *,
    level: int = 0,
    motep: bool = False,
    deepmd: Path | None = None,
    native: bool = False,
) -> tuple[float, float] | None:
    """Thousand atom-steps per second, and the energy of the first step (eV); None if there is no native pair style."""
    from lipsdb.md.coupling import EXTERNAL_COMMANDS, Coupling
    from lipsdb.md.run import run_lammps
    from lipsdb.md.settings import MDSettings
    from lipsdb.potentials.deepmd import pair_commands
    from lipsdb.potentials.engines import engine
    from lipsdb.potentials.mtp.files import write_mtp
    from lipsdb.potentials.mtp.lammps import __name__ as own

    steps -= steps % 100
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if deepmd is not None:
            (folder / "model.pb").symlink_to(deepmd.resolve())
            coupling = Coupling(pair_commands("model.pb", ELEMENTS), plugins=True)
        else:
            write_mtp(folder / "model.mtp", _potential(level))
            words = (Path(__file__).stem if motep else own, "model.mtp", "--elements", *ELEMENTS)
            coupling = Coupling(EXTERNAL_COMMANDS, driver=words)
            if native:
                coupling = engine("mtp").coupling(folder / "model.mtp", ELEMENTS)
                if coupling.driver is not None:
                    return None
        settings = MDSettings(ensemble="nve", temperature_K=300, n_steps=steps, timestep_fs=1)
        result = run_lammps(
            folder, settings, coupling, atoms.numbers, atoms.positions, atoms.cell.array,
            ELEMENTS, ranks=threads, restart_interval=steps,
        )  # fmt: skip
        return result.steps_per_second * len(atoms) / 1000, float(result.thermo["potential_energy"][0])


if __name__ == "__main__":
    if "-in" in sys.argv:
        sys.exit(driver())
    main()
