"""Named levels of theory, those from files, and those known by name only."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipsdb.dft.cp2k import Cp2kLevel
from lipsdb.dft.levels_of_theory import find_level, packaged_levels, reference_of, runnable_level, store_level
from lipsdb.errors import BadInputError
from lipsdb.store.database import Database


def test_packaged_levels_are_those_of_both_studies() -> None:
    levels = packaged_levels()
    assert {"disorder", "disorder-printed", "disorder-published", "grain-boundaries", "grain-boundaries-pbe"} <= {
        *levels
    }
    for level in levels.values():
        assert level.answer.reference in {"10.1038/s41467-025-56322-x", "10.1039/d3ya00234a"}


def test_the_printed_level_of_the_disorder_study_has_every_printed_setting() -> None:
    printed = Cp2kLevel.model_validate(find_level("disorder-printed").asked.settings)
    assert (printed.functional, printed.dispersion) == ("PBE", "D3")
    assert (printed.cutoff_Ry, printed.rel_cutoff_Ry, printed.ngrids) == (500, 50, 4)
    basis_sets = {element: kind.basis for element, kind in printed.kinds.items()}
    assert basis_sets == {"Li": "DZVP-MOLOPT-SR-GTH", "P": "TZVP-MOLOPT-GTH", "S": "TZVP-MOLOPT-GTH"}
    assert {element: kind.valence for element, kind in printed.kinds.items()} == {"Li": 3, "P": 5, "S": 6}
    assert all(kind.potential.startswith("GTH-PBE-q") for kind in printed.kinds.values())


def test_reference_of_a_level_is_the_one_it_gets_when_stored(database: Database) -> None:
    level = find_level("disorder")
    assert store_level(database, level) == reference_of(level)
    assert store_level(database, level) == reference_of(level)
    assert database.collection("levels_of_theory").count_documents({}) == 1


def test_another_level_of_the_same_name_is_refused(database: Database, small_level: Path) -> None:
    store_level(database, find_level(str(small_level)))
    small_level.write_text(small_level.read_text().replace("150.0", "160.0"))
    with pytest.raises(
        BadInputError, match=r"'small' is in this database with other settings \(cutoff_Ry 150.0, here 160"
    ):
        store_level(database, find_level(str(small_level)))


def test_level_that_is_known_by_name_only_cannot_be_run() -> None:
    assert find_level("somebody's").answer.how_known == "named"
    with pytest.raises(BadInputError, match="is named, not set; use one of disorder"):
        runnable_level("somebody's")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("cutoff_Ry: 150.0", "cutoff_Ry: -1.0"), "cutoff_Ry"),
        (("functional: PBE", "functional: PBX"), "functional"),
        (("ngrids: 4", "ngrids: 4\n  spin: 2"), "spin"),
        (("settings:", "settings: [1]\nother:"), "may hold"),
        (("name: small", "name: [unclosed"), "not YAML"),
    ],
)
def test_level_file_with_a_mistake_is_refused_by_name(small_level: Path, change: tuple[str, str], message: str) -> None:
    small_level.write_text(small_level.read_text().replace(*change))
    with pytest.raises(BadInputError, match=message):
        find_level(str(small_level))


def test_missing_level_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="is not a file; give a level's name"):
        find_level(str(tmp_path / "none.yaml"))
