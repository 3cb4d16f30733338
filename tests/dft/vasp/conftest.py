"""A stand-in for VASP and POTCAR files made up for it."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import pytest

from lipsdb.dft.levels_of_theory import find_level
from lipsdb.dft.vasp.level import VaspLevel

# read before fixtures clear the environment of LIPSDB_*
PUBLISHED_LABELS = os.environ.get("LIPSDB_PUBLISHED_LABELS")
STAND_IN = Path(__file__).with_name("vasp_stand_in.py")


@pytest.fixture
def potcar_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Made-up PAW data sets of Li_sv, P and S, where pymatgen looks for them."""
    folder = tmp_path / "potcars"
    runpy.run_path(str(STAND_IN))["write_potcars"](folder)
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(folder))
    return folder


@pytest.fixture
def stand_in() -> str:
    """Command that runs the stand-in; a mode may follow it."""
    return f"{sys.executable} {STAND_IN}"


@pytest.fixture
def vdw_level() -> VaspLevel:
    return VaspLevel.model_validate(find_level("grain-boundaries").asked.settings)


@pytest.fixture
def pbe_level() -> VaspLevel:
    return VaspLevel.model_validate(find_level("grain-boundaries-pbe").asked.settings)


@pytest.fixture
def published_vasp() -> Path:
    """Folder of a real VASP 6.4.1 relaxation of Si2, beside the published labels."""
    assert PUBLISHED_LABELS, "set LIPSDB_PUBLISHED_LABELS to the folder of the published labels"
    return Path(PUBLISHED_LABELS).parent / "vasp"
