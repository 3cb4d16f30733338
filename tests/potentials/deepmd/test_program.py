from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

import pytest

from lipsdb.errors import InterruptedRunError, LipsdbError, MissingProgramError
from lipsdb.potentials.deepmd import program
from lipsdb.potentials.deepmd.program import last_meaningful_line, run_dp


def children() -> list[int]:
    return [int(child) for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def test_dp_with_an_unknown_command_is_reported_with_its_own_words(tmp_path):
    with pytest.raises(LipsdbError, match=r"dp trian failed with exit code 2: .*invalid choice: 'trian'"):
        run_dp(["trian"], folder=tmp_path, log=tmp_path / "log")


def test_dp_stopped_by_a_signal_is_an_interruption(tmp_path):
    before = children()

    def stop(seconds: float) -> None:
        for child in set(children()) - set(before):
            os.kill(child, signal.SIGTERM)

    with pytest.raises(InterruptedRunError, match=r"dp train was stopped by SIGTERM .*run the job again"):
        run_dp(["train", "input.json"], folder=tmp_path, log=tmp_path / "log", poll=stop)


def test_dp_inherits_the_lock_and_is_stopped_when_the_watcher_refuses(tmp_path):
    locked = []

    def refuse(seconds: float) -> None:
        (child,) = set(children()) - set(before)
        links = [os.readlink(fd) for fd in Path(f"/proc/{child}/fd").iterdir()]
        locked.append(str(tmp_path / "lock") in links)
        raise LipsdbError("refused")

    before = children()
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LipsdbError, match="refused"):
            run_dp(
                ["train", "input.json"],
                folder=tmp_path,
                log=tmp_path / "log",
                lock_fd=lock.fileno(),
                poll=refuse,
            )
    assert locked == [True]
    assert children() == before


def test_no_dp_anywhere_is_a_missing_program(tmp_path, monkeypatch):
    monkeypatch.setattr(program.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgramError, match=r"dp is neither beside .*python nor on PATH: install DeePMD-kit"):
        program.find_dp()


def test_the_last_error_line_of_a_log_is_found_among_noise(tmp_path):
    log = tmp_path / "log"
    log.write_text("old.Error: before\n")
    begin = log.stat().st_size
    with log.open("a") as file:
        file.write("Traceback\n  File x\nValueError: No systems provided\nimplib-gen: libcudart.so.12: failed\n\n")
    assert last_meaningful_line(log, begin) == "ValueError: No systems provided"
    (tmp_path / "quiet").touch()
    assert last_meaningful_line(tmp_path / "quiet") == "it wrote nothing"
