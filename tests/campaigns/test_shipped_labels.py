"""The DFT labels that are shipped with the quickstart."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipsdb.dft.levels_of_theory import find_level, reference_of
from lipsdb.ingest.record import read_record
from lipsdb.provenance.sealing import reference

QUICKSTART = Path(__file__).parents[2] / "campaigns" / "quickstart"


@pytest.mark.parametrize("folder", ["labels", "check"])
def test_shipped_labels_are_of_the_packaged_level_of_theory(folder: str) -> None:
    record = read_record(QUICKSTART / folder)
    (level,) = (document for document in record.documents if document["kind"] == "level_of_theory")
    # the remarks of a level are part of its content: reworded, the shipped labels would no longer fit
    assert reference(level) == reference_of(find_level("disorder"))
    assert all(label["made_by"]["versions"]["cp2k"] for label in record.documents if label["kind"] == "label")
