"""Names of hosts and users, home folders and passwords are found where they are meant, and taken out of logs."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from lipsdb.export.private import PrivateNames, names_of_this_machine
from lipsdb.provenance.machine import Stopwatch
from lipsdb.store.database import Database
from lipsdb.workflows.answering import Workplace

NAMES = PrivateNames(
    hosts=frozenset({"vm", "node", "lab-node-17", "mongo.lab.example"}),
    users=frozenset({"root", "li", "annabel"}),
    folders=frozenset({"/data/people/annabel"}),
    secrets=frozenset({"s3cr3t!"}),
)
BANNER = " ***** **   PROGRAM STARTED ON                vm\n ***** **   PROGRAM STARTED BY                root\n"

TOLD = {
    BANNER: "names a user",
    "  PROGRAM RAN BY      root": "names a user",
    "  PROGRAM STARTED ON      elsewhere01": "names a host or user",  # adopted: nobody knows that name here
    "INFO    Running on:        gpu03": "names a host or user",
    "mpirun noticed that [vm:12345] exited": "names a host",
    "ssh root@cluster": "names a user",
    '"host": "node"': "names a host",
    "user=li": "names a user",
    "written on lab-node-17.": "names a host",
    "by (annabel)": "names a user",
    "/data/people/annabel/x": "names a user",
    "/home/someone/model.pb": "names a home folder",
    "mongodb://me:pass@10.0.0.7/": "holds a password",
    "key s3cr3t!": "holds a password",
}
FINE = [
    "the root mean square, the node of a graph, li atoms, vm",
    "PROGRAM STARTED BY                <unknown>",
    "PROGRAM STARTED ON                $HOST",
    "lab-node-170, annabella, my-lab-node-17-b",
    "/home/conda/feedstock_root/build and data/home/x",
    "mongodb://me:***@10.0.0.7/",
]


def test_names_count_where_they_are_meant() -> None:
    assert {text: NAMES.found_in(text) for text in TOLD} == TOLD
    assert [text for text in FINE if NAMES.found_in(text)] == []


def test_names_are_found_across_blocks_and_in_binary_only_if_chance_cannot_write_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lipsdb.export.private._BLOCK", 1000)
    for start in range(900, 1010, 7):
        text = b"x" * start + b" lab-node-17 " + b"x" * 2000
        assert NAMES.found_in_stream(io.BytesIO(text)) == "names a host"
    assert NAMES.found_in_stream(io.BytesIO(b"\0 vm root@ li host: vm /home/x/ " * 100)) is None
    assert NAMES.found_in_stream(io.BytesIO(b"\0" * 5000 + b" annabel ")) == "names a user"
    assert NAMES.found_in_stream(io.BytesIO(b"\0" * 5000 + b"/data/people/annabel/model")) == "names a user"
    assert NAMES.found_in_stream(io.BytesIO(b"")) is None


def test_logs_lose_names_and_nothing_else() -> None:
    log = BANNER + "Running on: lab-node-17\nroot mean square 0.1; li 3; vm\n"
    without = NAMES.without(log)
    assert (
        without.split()
        == log.replace("ON                vm", "ON $HOST")
        .replace("BY                root", "BY $USER")
        .replace("lab-node-17", "$HOST")
        .split()
    )
    assert NAMES.found_in(without) is None
    assert NAMES.without(without) == without


def test_connection_string_tells_user_password_and_server() -> None:
    names = names_of_this_machine("mongodb://ann:p%40ss@db1.lab.example:27017,10.0.0.7:27018/?replicaSet=x")
    assert {"ann"} <= names.users
    assert names.secrets == {"p%40ss", "p@ss"}
    assert {"db1.lab.example", "db1", "10.0.0.7"} <= names.hosts
    assert "127.0.0.1" not in names_of_this_machine("mongodb://127.0.0.1:27017").hosts


def test_stored_log_of_cp2k_names_neither_host_nor_user(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: "vm")
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    place = Workplace(database, "label-x", tmp_path, 0, Stopwatch("test"), {})
    (tmp_path / "cp2k.out").write_text(BANNER + " root mean square\n")
    stored = database.artifacts.read(place.put_text(tmp_path / "cp2k.out", "cp2k.out")["sha256"]).decode()
    assert "ON                $HOST\n" in stored
    assert "BY                $USER\n" in stored
    assert stored.endswith(" root mean square\n")
