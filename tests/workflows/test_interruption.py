"""``kill -9`` of LAMMPS, of a worker and of MongoDB, each in the middle of MD: nothing lost, nothing doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lipsdb.campaigns.load import load_campaign
from lipsdb.provenance.audit import audit
from lipsdb.settings import Settings
from lipsdb.store.database import connect
from lipsdb.store.server import EmbeddedServer
from lipsdb.workflows.campaign import plan, submit

LIPSDB = Path(sys.executable).parent / "lipsdb"
SEARCH_S = 90.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with an embedded server of its own, which a test may kill."""
    for name in [name for name in os.environ if name.startswith("LIPSDB_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / ".lipsdb"
    monkeypatch.setenv("LIPSDB_HOME", str(folder))
    yield folder
    EmbeddedServer(folder).stop()


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield int(child)
            yield from _descendants(int(child))


def _find(run: subprocess.Popen[bytes], name: str, argument: str) -> int:
    """Process below `run` that has this program name and argument."""
    deadline = time.monotonic() + SEARCH_S
    while time.monotonic() < deadline:
        for pid in _descendants(run.pid):
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
                program = Path(f"/proc/{pid}/comm").read_text().strip()
            except OSError:
                continue
            if name in program and argument in line:
                return pid
        time.sleep(0.05)
    raise AssertionError(f"no process {name} {argument} below {run.pid}")


def _wait_for_steps(home: Path) -> None:
    """Wait until an MD run has written a restart file, so that there is something to lose."""
    deadline = time.monotonic() + SEARCH_S
    while time.monotonic() < deadline:
        if any(home.glob("scratch/*/run-*/*restart*")):
            return
        time.sleep(0.05)
    raise AssertionError("no MD run has begun")


@pytest.mark.parametrize("victim", ["lmp", "worker", "mongod"])
def test_killed_program_costs_a_segment_at_most(victim: str, home: Path, small_campaign: Callable[..., Path]) -> None:
    potential = "deepmd-small" if victim == "lmp" else "mtp-12"
    file = load_campaign(small_campaign(potential=potential, production_ps=4))
    database = connect(Settings())
    submit(database, file)
    wanted = {row.document_id for row in plan(database, file).rows}

    run = subprocess.Popen([LIPSDB, "run", "--workers", "1"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _wait_for_steps(home)
        if victim == "lmp":
            os.kill(_find(run, "lmp", "in"), signal.SIGKILL)
        elif victim == "worker":
            os.kill(_find(run, "python", "lipsdb.workflows.worker"), signal.SIGKILL)
        else:
            record = EmbeddedServer(home).record()
            assert record is not None
            os.kill(record.pid, signal.SIGKILL)
        run.wait(240)
    finally:
        if run.poll() is None:
            run.terminate()
            run.wait(30)
    again = subprocess.run([LIPSDB, "run", "--workers", "1"], capture_output=True, text=True, timeout=240)
    assert again.returncode == 0, again.stderr

    database = connect(Settings())
    for collection in ("structures", "runs", "properties"):
        found = [document["_id"] for document in database.collection(collection).find({}, {"_id": 1})]
        assert set(found) <= wanted
    assert set(database.known(wanted)) == wanted
    for document in database.collection("runs").find({}, {"answer.n_frames": 1, "answer.thermo.step": 1}):
        assert document["answer"]["n_frames"] == 201
    assert database.collection("fireworks").count_documents({"state": {"$ne": "COMPLETED"}}) == 0
    assert audit(database).errors == []
