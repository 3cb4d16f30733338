"""Overhead of one of our jobs over a bare FireWorks job.

``python benchmarks/jobs.py [--jobs N]``. All do nothing, in one worker, on the same server: a bare Firework with a
PyTask, a bare jobflow job in a Firework, and one of ours that writes a document (identity, lock, folder, hashes).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100, help="jobs of each kind")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LIPSDB_HOME"] = str(Path(folder) / ".lipsdb")
        os.environ["LIPSDB_DATABASE"] = f"benchmark-{uuid.uuid4().hex[:8]}"
        os.chdir(folder)
        _compare(arguments.jobs)


def _compare(n_jobs: int) -> None:
    from fireworks import Firework, FWorker, PyTask, Workflow
    from fireworks.core.rocket_launcher import rapidfire
    from jobflow import Flow, job
    from jobflow.managers.fireworks import flow_to_workflow

    from lipsdb.settings import read_settings
    from lipsdb.store.server import EmbeddedServer
    from lipsdb.workflows.answering import worker_database
    from lipsdb.workflows.jobstore import job_store
    from lipsdb.workflows.launchpad import initialise, launchpad
    from lipsdb.workflows.structure import StructureMaker

    database = worker_database()
    pad = launchpad(database)
    initialise(pad, database)
    time_nothing = job(time.monotonic)

    def bare() -> list[Workflow]:
        return [Workflow([Firework(PyTask(func="time.monotonic"), name="bare")]) for _ in range(n_jobs)]

    def jobflow_job() -> list[Workflow]:
        return [flow_to_workflow(Flow([time_nothing()]), store=job_store()) for _ in range(n_jobs)]

    def ours() -> list[Workflow]:
        recipe: dict[str, Any] = {"file": "atoms.xyz", "supercell": [1, 1, 1]}
        from ase import Atoms

        flows = []
        for number in range(n_jobs):
            Atoms("Ar", cell=[5.0 + number * 1e-3] * 3, pbc=True).write("atoms.xyz")
            flows.append(flow_to_workflow(Flow([StructureMaker(f"argon-{number}", recipe).make()]), store=job_store()))
        return flows

    kinds = {"bare Firework": bare, "bare jobflow job": jobflow_job, "lipsdb job with its document": ours}
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(3):
        for name, make in kinds.items():
            for workflow in make():
                pad.add_wf(workflow)
            begin = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                rapidfire(pad, FWorker(), m_dir=os.getcwd(), sleep_time=1, strm_lvl="CRITICAL")
            seconds[name].append((time.perf_counter() - begin) / n_jobs)
            database.collection("structures").delete_many({})
    base = statistics.median(seconds["bare Firework"])
    print(f"{n_jobs} jobs of each kind, three rounds, one worker; median of a job")
    for name, times in seconds.items():
        middle = statistics.median(times)
        print(f"{name:30s} {1000 * middle:7.1f} ms   {middle / base:5.2f} × bare   {1000 * (middle - base):+7.1f} ms")
    EmbeddedServer(read_settings().home_folder).stop()


if __name__ == "__main__":
    main()
