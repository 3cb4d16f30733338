"""A stand-in for VASP and POTCAR files made up for it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lipsdb.dft.levels_of_theory import find_level
from lipsdb.dft.vasp.level import VaspLevel

# read before fixtures clear the environment of LIPSDB_*
PUBLISHED_LABELS = os.environ.get("LIPSDB_PUBLISHED_LABELS")
STAND_IN = Path(__file__).with_name("vasp_stand_in.py")
ZVAL = {"Li_sv": 3.0, "P": 5.0, "S": 6.0}
POTCAR = """  PAW_PBE {symbol} 01Jan2000
 {zval:.8f}
 parameters from PSCTR are:
   VRHFIN ={element}: made up
   LEXCH  = PE
   EATOM  =   100.0000 eV,    7.3500 Ry

   TITEL  = PAW_PBE {symbol} 01Jan2000
   LULTRA =        F    use ultrasoft PP ?
   POMASS =    1.000; ZVAL   =    {zval:.3f}    mass and valenz
   ENMAX  =  250.000; ENMIN  =  200.000 eV
END of PSCTR-controll parameters
 local part
 0.1E+00 0.2E+00
End of Dataset
"""


@pytest.fixture
def potcar_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Made-up PAW data sets of Li_sv, P and S, where pymatgen looks for them."""
    folder = tmp_path / "potcars"
    for symbol, zval in ZVAL.items():
        file = folder / "POT_GGA_PAW_PBE_54" / symbol / "POTCAR"
        file.parent.mkdir(parents=True)
        file.write_text(POTCAR.format(symbol=symbol, element=symbol.split("_")[0], zval=zval))
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
