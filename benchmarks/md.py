"""Steps per second of a campaign's MD over those of bare ``lmp`` on the same input.

Run it on a quiet machine: ``python benchmarks/md.py [--steps N] [--rounds N]``. Both run β-Li3PS4 (128 atoms, 700 K)
with the quickstart's potential, in turns: a campaign's MD job (document, artifacts, restart files, progress and all, on
a database of its own), then ``lmp`` by hand on the very input, data and model file that the job used. Aim: a ratio of
0.98 or more.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=4000, help="MD steps of each run")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of runs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LIPSDB_HOME"] = str(Path(folder) / ".lipsdb")
        os.environ["LIPSDB_DATABASE"] = f"benchmark-{uuid.uuid4().hex[:8]}"
        _compare(Path(folder), arguments.steps, arguments.rounds)


def _compare(folder: Path, steps: int, rounds: int) -> None:
    from lipsdb.campaigns.load import load_campaign
    from lipsdb.ingest.record import adopt_potential
    from lipsdb.provenance.canonical import decoded
    from lipsdb.settings import read_settings
    from lipsdb.store.server import EmbeddedServer
    from lipsdb.workflows.answering import answer, worker_database
    from lipsdb.workflows.molecular_dynamics import MDMaker
    from lipsdb.workflows.structure import StructureMaker

    database = worker_database()
    file = load_campaign(ROOT / "campaigns" / "quickstart.yaml")
    potential = adopt_potential(database, file.resolve(str(file.campaign.potentials["deepmd-small"].adopt)))
    recipe = file.campaign.structures["beta-Li3PS4"].model_dump(mode="json")
    structure_job = StructureMaker("beta-Li3PS4", recipe).make()
    structure = structure_job.function(*structure_job.function_args)
    settings = next(iter(file.campaign.md["hot"].expand())) | {
        "n_steps": steps, "equilibration_steps": 0, "temperature_K": 700.0, "dump_interval": 25, "thermo_interval": 25,
    }  # fmt: skip
    rows = []
    for round_ in range(rounds):
        job = MDMaker("md", settings | {"seed": round_ + 1}, 1, 1000).make(structure, potential)
        begin = time.perf_counter()
        reference = answer.original(*job.function_args)
        job_wall = time.perf_counter() - begin
        run = decoded(database.find(reference["id"]))
        bare_folder = folder / f"bare-{round_}"
        bare_folder.mkdir()
        rate, wall = _bare(database, run, structure, bare_folder)
        rows.append((run["made_by"]["rates"]["steps_per_second"], job_wall, rate, wall))
        ours = rows[-1][0]
        print(f"round {round_ + 1}: campaign {ours:.1f} steps/s, bare lmp {rate:.1f} steps/s, ratio {ours / rate:.3f}")
        shutil.rmtree(bare_folder)
    ratios = [row[0] / row[2] for row in rows]
    wall_ratios = [row[3] / row[1] for row in rows]
    print(f"steps/s of a campaign's MD over bare lmp: median {statistics.median(ratios):.3f} of {rounds} rounds")
    print(f"whole job (start-up, files, database) over whole lmp process: median {statistics.median(wall_ratios):.3f}")
    EmbeddedServer(read_settings().home_folder).stop()


def _bare(database, run, structure, folder: Path) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Run ``lmp`` by hand on the job's own input; return steps/s of its loop and the wall time of the process."""
    from lipsdb.documents.potential import Potential
    from lipsdb.documents.structure import Structure
    from lipsdb.md.input import write_lammps_data

    script = next(file for file in run["made_by"]["files"] if file["name"] == "in.lammps")
    database.artifacts.save(script["sha256"], folder / "in.lammps")
    link = next(link for link in run["inputs"] if link["role"] == "potential")
    potential = Potential.from_stored(database.find(link["id"])).answer
    database.artifacts.save(potential.model.sha256, folder / potential.model.name)
    atoms = Structure.from_stored(database.find(structure["id"])).answer
    write_lammps_data(folder / "structure.data", atoms.numbers, atoms.positions, atoms.cell, potential.elements)
    threads = [f"{library}_{kind}_OP_PARALLELISM_THREADS" for library in ("TF", "DP") for kind in ("INTRA", "INTER")]
    environment = {**os.environ, **dict.fromkeys(["OMP_NUM_THREADS", *threads], "1")}
    lmp = Path(sys.executable).parent / "lmp"
    begin = time.perf_counter()
    subprocess.run([lmp, "-in", "in.lammps"], cwd=folder, env=environment, check=True, capture_output=True)
    wall = time.perf_counter() - begin
    loops = re.findall(r"Loop time of (\S+) on \d+ procs for (\d+) steps", (folder / "log.lammps").read_text())
    return sum(int(n) for _, n in loops) / sum(float(t) for t, _ in loops), wall


if __name__ == "__main__":
    main()
