"""``lipsdb run``: several local workers, watched over, with progress bars."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymongo.errors import PyMongoError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lipsdb.errors import LipsdbError
from lipsdb.settings import read_settings
from lipsdb.store.database import Database, connect
from lipsdb.store.server import EmbeddedServer
from lipsdb.workflows.failures import Failure, failures
from lipsdb.workflows.launchpad import initialise, launchpad
from lipsdb.workflows.recovery import Recovery, recover

_POLL_S = 1.0
_SERVER_CHECK_S = 3.0
_MOST_RESTARTS = 10
_OPEN = ("READY", "WAITING", "RUNNING", "RESERVED")


@dataclass
class RunSummary:
    """What a run of workers did."""

    n_completed: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    n_waiting: int = 0  # jobs that cannot start since something before them failed


def run_workers(
    console: Console, *, n_workers: int, categories: Sequence[str] = (), campaign: str | None = None
) -> RunSummary:
    """Run what is ready with local workers until nothing is left that can run.

    Parameters
    ----------
    console : Console
        Where the progress is shown: bars on a terminal, a line for each finished job elsewhere.
    n_workers : int
        Worker processes.
    categories : sequence of str
        Only jobs of these categories; all if empty.
    campaign : str, optional
        Only jobs of this campaign.

    Returns
    -------
    RunSummary
        Also when jobs failed; what failed and why is in it.
    """
    database = connect()
    pad = launchpad(database)
    initialise(pad, database)
    _tell_recovery(console, recover(database, pad))
    watcher = _Watcher(database, campaign, list(categories))
    if not watcher.jobs_left():
        return RunSummary(failures=failures(database, campaign), n_waiting=watcher.count("WAITING"))
    workers = [_Worker(number, categories, campaign) for number in range(min(n_workers, watcher.jobs_left()))]
    begin = time.monotonic()
    already_done = watcher.count("COMPLETED")
    try:
        _watch(console, watcher, workers, pad)
    finally:
        for worker in workers:
            worker.stop()
    summary = RunSummary(seconds=time.monotonic() - begin, failures=failures(database, campaign))
    watcher.refresh()
    summary.n_completed = watcher.count("COMPLETED") - already_done
    summary.n_waiting = watcher.count("WAITING")
    return summary


def _tell_recovery(console: Console, done: Recovery) -> None:
    if done.lost:
        console.print(f"{len(done.lost)} jobs had lost their worker and run again: {done.lost}")
    if done.interrupted:
        console.print(f"{len(done.interrupted)} jobs were interrupted and run again: {done.interrupted}")
    if done.completed:
        console.print(f"{len(done.completed)} jobs had finished without the launchpad knowing: {done.completed}")


class _Worker:
    """A worker process, started again if it dies."""

    def __init__(self, number: int, categories: Sequence[str], campaign: str | None) -> None:
        settings = read_settings()
        self._folder = settings.home_folder / "launches"
        self._log = settings.home_folder / "logs" / f"worker-{number}.log"
        self._arguments = [sys.executable, "-m", "lipsdb.workflows.worker", "--folder", str(self._folder)]
        for category in categories:
            self._arguments += ["--category", category]
        if campaign is not None:
            self._arguments += ["--campaign", campaign]
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self.restarts = 0
        self.process = self._start()

    @property
    def log(self) -> Path:
        """What the worker printed."""
        return self._log

    def _start(self) -> subprocess.Popen[bytes]:
        # the home folder is found from the current folder; a worker changes its own
        environment = {**os.environ, "LIPSDB_HOME": str(read_settings().home_folder), "TF_CPP_MIN_LOG_LEVEL": "2"}
        with self._log.open("ab") as log:
            return subprocess.Popen(self._arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)

    def restart(self) -> None:
        """Start it again after it died."""
        self.restarts += 1
        self.process = self._start()

    def stop(self) -> None:
        """Stop it, and with it what it runs."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class _Watcher:
    """What the launchpad and the workers say of the jobs."""

    def __init__(self, database: Database, campaign: str | None, categories: list[str]) -> None:
        self._database = database
        self._criteria: dict[str, Any] = {"state": {"$nin": ["ARCHIVED", "DEFUSED"]}}
        if campaign is not None:
            self._criteria["spec.campaigns"] = campaign
        self._categories = categories
        self.jobs: list[dict[str, Any]] = []
        self.running: list[dict[str, Any]] = []
        self.refresh()

    def refresh(self) -> None:
        """Ask the database: two round trips."""
        fields = {"fw_id": 1, "name": 1, "state": 1, "spec.size": 1, "spec.document": 1, "spec._category": 1, "_id": 0}
        self.jobs = list(self._database.collection("fireworks").find(self._criteria, fields))
        documents = [job["spec"].get("document") for job in self.jobs if job["state"] == "RUNNING"]
        self.running = list(self._database.collection("progress").find({"_id": {"$in": documents}}))

    def count(self, state: str) -> int:
        """How many jobs are in a state."""
        return sum(job["state"] == state for job in self.jobs)

    def jobs_left(self) -> int:
        """How many jobs these workers may still get."""
        return sum(
            job["state"] in _OPEN and (not self._categories or job["spec"].get("_category") in self._categories)
            for job in self.jobs
        )

    def work(self) -> tuple[float, float]:
        """Work done and work in all, in steps."""
        sizes = {job["spec"].get("document"): float(job["spec"].get("size", 1.0)) for job in self.jobs}
        done = sum(float(job["spec"].get("size", 1.0)) for job in self.jobs if job["state"] == "COMPLETED")
        done += sum(entry["done"] / entry["total"] * sizes.get(entry["_id"], 0.0) for entry in self.running)
        return done, sum(float(job["spec"].get("size", 1.0)) for job in self.jobs)


def _watch(console: Console, watcher: _Watcher, workers: list[_Worker], pad: Any) -> None:
    """Show the progress until all workers have ended; keep the server and the workers alive."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    settings = read_settings()
    last_check = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        display = _Display(console, bars, watcher)
        while any(worker.process.poll() is None for worker in workers):
            time.sleep(_POLL_S)
            if settings.mongo_uri is None and time.monotonic() - last_check > _SERVER_CHECK_S:
                last_check = time.monotonic()
                server = EmbeddedServer(settings.home_folder)
                if server.running() is None:
                    console.print("the MongoDB server went away; it is started again")
                    server.start()
            with contextlib.suppress(PyMongoError):
                watcher.refresh()
                display.update()
            for worker in workers:
                if worker.process.poll() not in {None, 0}:
                    if worker.restarts >= _MOST_RESTARTS:
                        raise LipsdbError(
                            f"a worker died {worker.restarts} times, last with exit code {worker.process.returncode}; "
                            f"its log is {worker.log}"
                        )
                    console.print(f"a worker ended with exit code {worker.process.returncode}; another one goes on")
                    with contextlib.suppress(PyMongoError):
                        _tell_recovery(console, recover(connect(), pad))
                    worker.restart()
        watcher.refresh()
        display.update()


class _Display:
    """Bars for the whole and for each running job; without a terminal a line for each finished job."""

    def __init__(self, console: Console, bars: Progress, watcher: _Watcher) -> None:
        self._console, self._bars, self._watcher = console, bars, watcher
        self._reported = {job["fw_id"] for job in watcher.jobs if job["state"] in {"COMPLETED", "FIZZLED"}}
        self._total = bars.add_task("all jobs", total=1.0, rate="")
        self._tasks: dict[str, TaskID] = {}

    def update(self) -> None:
        """Show the present state."""
        watcher = self._watcher
        done, total = watcher.work()
        count = f"{watcher.count('COMPLETED')} of {len(watcher.jobs)} jobs"
        self._bars.update(self._total, completed=done, total=max(total, 1.0), description=count)
        present = {entry["_id"]: entry for entry in watcher.running}
        for id_ in set(self._tasks) - set(present):
            self._bars.remove_task(self._tasks.pop(id_))
        for id_, entry in present.items():
            if id_ not in self._tasks:
                self._tasks[id_] = self._bars.add_task(entry["name"], total=entry["total"], rate="")
            elapsed = (entry["updated_at"] - entry["started_at"]).total_seconds()
            rate = f"{entry['done'] / elapsed:.0f} {entry['unit']}/s" if elapsed > 1 else ""
            said = ", ".join(part for part in (rate, entry.get("note")) if part)
            self._bars.update(self._tasks[id_], completed=entry["done"], rate=said)
        ended = [job for job in watcher.jobs if job["state"] in {"COMPLETED", "FIZZLED"}]
        for job in ended:
            if job["fw_id"] not in self._reported:
                self._reported.add(job["fw_id"])
                if not self._console.is_terminal:
                    verb = "done" if job["state"] == "COMPLETED" else "FAILED"
                    percent = 100.0 * done / max(total, 1.0)
                    self._console.print(f"{len(ended)}/{len(watcher.jobs)} {percent:3.0f} % {job['name']}: {verb}")
