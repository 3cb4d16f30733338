"""A campaign small enough to run for real in a test, and a stand-in for VASP."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lipsdb.settings import Settings

VASP_STAND_IN = Path(__file__).parents[1] / "dft" / "vasp" / "vasp_stand_in.py"
QUICKSTART = Path(__file__).parents[2] / "campaigns" / "quickstart.yaml"


@pytest.fixture
def small_campaign(tmp_path: Path) -> Callable[..., Path]:
    """Write the quickstart, cut down, under another name; keyword arguments replace entries of its MD."""

    def write(name: str = "small", **md: object) -> Path:
        yaml = YAML()
        content = yaml.load(QUICKSTART.read_text())
        content["name"] = name
        content["structures"]["beta-Li3PS4"]["supercell"] = [1, 1, 1]
        adopted = content["potentials"]["deepmd-small"]["adopt"]
        content["potentials"]["deepmd-small"]["adopt"] = str(QUICKSTART.parent / adopted)
        del content["labels"], content["properties"]["test-on-dft"]  # tested on their own
        content["tables"].remove("prediction_errors")
        content["md"]["hot"] |= {
            "temperatures_K": [800, 1000, 1200],
            "seeds": [1],
            "equilibration_ps": 0.2,
            "production_ps": 2,
            "dump_interval_fs": 20,
            "thermo_interval_fs": 20,
            "checkpoint_ps": 0.2,
        } | md
        path = tmp_path / f"{name}.yaml"
        with path.open("w") as stream:
            yaml.dump(content, stream)
        return path

    return write


@pytest.fixture
def vasp(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for VASP as the worker's command, and made-up PAW data sets of Li, P and S."""
    potcars = tmp_path / "potcars"
    runpy.run_path(str(VASP_STAND_IN))["write_potcars"](potcars)
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(potcars))
    monkeypatch.setenv("LIPSDB_VASP_COMMAND", f"{sys.executable} {VASP_STAND_IN} tight")
