"""What `lipsdb qlaunch` adds to FireWorks' command."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipsdb.cli.launchpad import queue_arguments
from lipsdb.errors import BadInputError
from lipsdb.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LIPSDB_HOME", str(tmp_path / ".lipsdb"))
    monkeypatch.setenv("LIPSDB_MONGO_URI", "mongodb://db.example")
    return Settings()


def test_adapter_beside_the_home_folder_and_launch_folder_are_filled_in(project: Settings, tmp_path: Path) -> None:
    adapter = tmp_path / "my_qadapter.yaml"
    adapter.touch()
    launches = tmp_path / ".lipsdb" / "launches"
    expected = ["-q", str(adapter), "--launch_dir", str(launches), "-r", "rapidfire", "-m", "4"]
    assert queue_arguments(["-r", "rapidfire", "-m", "4"], project) == expected
    assert launches.is_dir()


@pytest.mark.parametrize("adapter", ["-q", "--queueadapter_file", "--queueadapter_file=x.yaml", "-c"])
def test_what_the_user_names_stays(adapter: str, project: Settings) -> None:
    arguments = [adapter, "x.yaml", "--launch_dir=.", "singleshot"]
    assert queue_arguments(arguments, project) == arguments


def test_no_adapter_is_refused_with_the_place_where_it_is_looked_for(project: Settings, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=f"no {tmp_path}/my_qadapter.yaml.*copy docs/my_qadapter.yaml there"):
        queue_arguments(["singleshot"], project)


def test_embedded_server_is_warned_of_since_other_machines_do_not_reach_it(
    project: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LIPSDB_MONGO_URI")
    queue_arguments(["-q", "x.yaml", "singleshot"], Settings())
    assert "set LIPSDB_MONGO_URI" in capsys.readouterr().err


def test_adapter_of_the_documentation_makes_a_job_script_that_runs_one_job(tmp_path: Path) -> None:
    from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter
    from ruamel.yaml import YAML

    adapter = CommonAdapter.from_dict(YAML(typ="safe").load(ROOT / "docs" / "my_qadapter.yaml"))
    script = adapter.get_script_str(str(tmp_path))
    for line in ("#SBATCH --ntasks=1", "#SBATCH --partition=main", f"cd {tmp_path}", "lipsdb rlaunch singleshot"):
        assert line in script.splitlines()
