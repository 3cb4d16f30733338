"""The command ``lipsdb ingest``: what it prints and its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lipsdb.cli.main import app
from lipsdb.store.database import Database

XYZ = """2
Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.5 pbc="T T T"
Li 0 0 0 0.1 0 0
S 2 2 2 {force} 0 0
"""
LEVEL = """
name: my-pbe
code: siesta
settings: {cutoff_Ry: 300, functional: PBE}
how_known: stated
"""


@pytest.mark.parametrize("described", [True, False])
def test_a_level_known_by_name_only_is_told_with_its_remedy(
    described: bool, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "a.xyz").write_text(XYZ.format(force=-0.1))
    (tmp_path / "level.yaml").write_text(LEVEL)
    level = str(tmp_path / "level.yaml") if described else "my-pbe"
    done = CliRunner().invoke(app, ["ingest", "extxyz", str(tmp_path / "a.xyz"), "-l", level, "--system", "salt"])
    assert done.exit_code == 0, done.output
    assert "1 files taken: 1 new labels, 0 known before; 0 refused" in done.stdout
    told = "level of theory 'my-pbe' is known by name only; to record its settings, describe it in a YAML file"
    assert (told in done.stderr) is not described
    (label,) = database.query("labels")
    assert (label["asked"]["level_of_theory"], label["origin"]["system"]) == ("my-pbe", "salt")
    (stored,) = database.query("levels_of_theory")
    assert stored["asked"]["code"] == ("siesta" if described else None)


def test_a_refused_frame_is_printed_and_gives_exit_code_1(database: Database, tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text(XYZ.format(force=-0.1) + XYZ.format(force=-70))
    done = CliRunner().invoke(app, ["ingest", "extxyz", str(tmp_path), "--level-of-theory", "my-pbe"])
    assert done.exit_code == 1
    assert "1 files taken: 1 new labels, 0 known before; 0 and 1 frames refused" in done.stdout
    assert "refused a.xyz: frame 1 has a force of 70.0 eV/Å, above the limit of 50 eV/Å (--force-limit)" in done.stderr


def test_labels_that_went_in_go_out(database: Database, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "salt.xyz").write_text(XYZ.format(force=-0.1))
    CliRunner().invoke(app, ["ingest", "extxyz", str(tmp_path / "in"), "-l", "my-pbe"])
    arguments = ["export", "labels", "-o", str(tmp_path / "out"), "-f", "cfg", "--system", "salt"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "1 labels in 1 files; types 0, 1 …: Li S" in done.stdout
    assert (tmp_path / "out" / "salt.cfg").is_file()
