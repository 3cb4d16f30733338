"""The files in docker/: what they start, with which options, from which sources. No Docker engine is needed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
DOCKER = ROOT / "docker"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return YAML(typ="safe").load(DOCKER / "compose.yaml")["services"]


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_compose_file_has_a_database_its_preparation_a_worker_and_a_submitter(services: dict[str, Any]) -> None:
    assert set(services) == {"mongodb", "prepare", "worker", "submitter"}
    assert services["worker"]["image"] == services["submitter"]["image"]
    assert "profiles" in services["submitter"]  # started by hand, not by `up`


def test_mongodb_is_an_authenticated_replica_set_on_loopback(services: dict[str, Any]) -> None:
    mongodb = services["mongodb"]
    assert mongodb["image"].startswith("mongo:7")
    assert option(mongodb["command"], "--replSet") == "lipsdb"
    keyfile = option(mongodb["command"], "--keyFile")  # asks every client for a password, too
    assert f"keyfile={keyfile}\n" in (DOCKER / "start-mongodb.sh").read_text()
    assert {"MONGO_INITDB_ROOT_USERNAME", "MONGO_INITDB_ROOT_PASSWORD"} <= set(mongodb["environment"])
    assert all(port.startswith("127.0.0.1:") for port in mongodb["ports"])


def test_replica_set_member_is_found_under_the_service_s_name(services: dict[str, Any]) -> None:
    script = (DOCKER / "replica-set.js").read_text()
    assert 'host: "mongodb:27017"' in script
    assert '_id: "lipsdb"' in script
    assert services["mongodb"]["hostname"] == "mongodb"
    assert services["mongodb"]["healthcheck"]["test"][-1] == "/lipsdb/replica-set.js"


def test_services_of_lipsdb_wait_for_a_healthy_database_and_name_it(services: dict[str, Any]) -> None:
    for name, user in (("prepare", "root"), ("worker", "worker"), ("submitter", "manager")):
        conditions = {needed: one["condition"] for needed, one in services[name]["depends_on"].items()}
        prepared = {} if name == "prepare" else {"prepare": "service_completed_successfully"}
        assert conditions == {"mongodb": "service_healthy"} | prepared
        uri = urlsplit(re.sub(r"\$\{[^}]*\}", "filled", services[name]["environment"]["LIPSDB_MONGO_URI"]))
        assert (uri.scheme, uri.username, uri.hostname, uri.port) == ("mongodb", user, "mongodb", 27017)
        assert parse_qs(uri.query) == {"replicaSet": ["lipsdb"], "authSource": ["admin"]}
    assert services["worker"]["healthcheck"]["test"] == ["CMD", "lipsdb", "db", "status"]
    assert "hostname" not in services["worker"]  # several workers need several names


def test_mounted_files_exist(services: dict[str, Any]) -> None:
    mounts = [mount.split(":")[0] for service in services.values() for mount in service["volumes"]]
    files = [mount for mount in mounts if mount.startswith(".")]
    assert len(files) >= 4
    assert [file for file in files if not (DOCKER / file).exists()] == []


def test_volumes_are_declared(services: dict[str, Any]) -> None:
    declared = set(YAML(typ="safe").load(DOCKER / "compose.yaml")["volumes"])
    mounts = {mount.split(":")[0] for service in services.values() for mount in service["volumes"]}
    assert {mount for mount in mounts if "/" not in mount} == declared


def test_every_variable_is_in_the_example_and_passwords_have_no_default() -> None:
    used = set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))
    lines = (DOCKER / ".env.example").read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert used == set(example) - {"COMPOSE_PROJECT_NAME"}
    assert {name: value for name, value in example.items() if "PASSWORD" in name} == {
        "MONGO_ROOT_PASSWORD": "",
        "LIPSDB_MANAGER_PASSWORD": "",
        "LIPSDB_WORKER_PASSWORD": "",
    }
    for name in ("MONGO_ROOT_PASSWORD", "LIPSDB_MANAGER_PASSWORD", "LIPSDB_WORKER_PASSWORD"):
        assert f"${{{name}:?" in (DOCKER / "compose.yaml").read_text()  # refuses to start without


def test_filled_in_passwords_reach_neither_git_nor_the_image() -> None:
    assert ".env" in (DOCKER / ".gitignore").read_text().split()
    kept = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert "!docker" not in kept


def test_image_is_built_from_the_pinned_versions_and_from_files_that_the_build_gets() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    assert re.search(r"^RUN pip install .*-c constraints\.txt \.$", text, re.MULTILINE)
    assert re.search(r"^USER (?!root)\w+$", text, re.MULTILINE)
    sources = [name for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE) for name in line.split()[:-1]]
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert {"pyproject.toml", "constraints.txt", "lipsdb", "workflows", "queries"} <= set(sources)
    assert [name for name in sources if f"!{name}" not in ignore] == []
    assert [name for name in sources if not (ROOT / name).exists()] == []
    for name in (".git", ".venv", ".lipsdb"):
        assert name in ignore
    for name in ("workflows", "queries"):  # links that must point into the build context
        assert (ROOT / "lipsdb" / name).readlink() == Path("..") / name


def test_users_have_the_roles_of_lipsdb_which_are_made_before(services: dict[str, Any]) -> None:
    from lipsdb.store.roles import roles, script

    assert (DOCKER / "roles.js").read_text() == script("lipsdb")  # else: lipsdb db roles > docker/roles.js
    text = (DOCKER / "create-user.js").read_text()
    users = dict(re.findall(r'\["(\w+)", "(\w+)", process\.env\.\w+\]', text))
    assert users == {"manager": "lipsdbManager", "worker": "lipsdbWorker"}
    assert set(users.values()) < set(roles("lipsdb"))
    assert set(re.findall(r"process\.env\.(\w+)", text)) < set(services["mongodb"]["environment"])
    mounts = dict(mount.split(":")[:2] for mount in services["mongodb"]["volumes"])
    assert mounts["./roles.js"] < mounts["./create-user.js"]


def test_start_script_is_valid_shell() -> None:
    bash = shutil.which("bash")
    assert bash is not None
    subprocess.run([bash, "-n", str(DOCKER / "start-mongodb.sh")], check=True)
