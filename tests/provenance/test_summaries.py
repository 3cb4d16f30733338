"""One line about levels of theory and refusals."""

from __future__ import annotations

from typing import Any

import pytest

from lipsdb.documents.base import MadeBy, now
from lipsdb.documents.refusal import Refusal, RefusalAnswer, RefusalAsked
from lipsdb.provenance.summaries import summary_fields, summary_of
from lipsdb.store.database import Database

REASON = "the SCF did not converge in 300 steps (last change 2e-3 eV, allowed 1e-6); " + "start from a saner cell " * 9


def level(settings: dict[str, Any], name: str = "mine", code: str | None = "cp2k", how: str = "set") -> dict[str, Any]:
    asked = {"name": name, "code": code, "settings": settings}
    return {"_id": "level_of_theory-0", "asked": asked, "answer": {"how_known": how}}


@pytest.mark.parametrize(
    ("document", "line"),
    [
        (
            level({"functional": "PBE", "dispersion": None, "cutoff_Ry": 500.0, "rel_cutoff_Ry": 50.0}),
            "level_of_theory: mine, cp2k PBE, no dispersion, 500/50 Ry (set)",
        ),
        (
            level({"functional": "PBE", "dispersion": "D3", "cutoff_Ry": 400.0}, how="stated"),
            "level_of_theory: mine, cp2k PBE, D3, 400 Ry (stated)",
        ),
        (
            level({"functional": "optB88-vdW", "encut_eV": 520.0}, code="vasp"),
            "level_of_theory: mine, vasp optB88-vdW, 520 eV (set)",
        ),
        (level({}, name="PBE", code=None, how="named"), "level_of_theory: PBE (named)"),
        ({"_id": "level_of_theory-0", "asked": {}}, "level_of_theory: its record cannot be read"),
    ],
)
def test_level_of_theory_is_told_by_the_settings_that_are_there(document: dict[str, Any], line: str) -> None:
    assert summary_of(document) == line


@pytest.mark.parametrize(("folder", "frame", "place"), [("", None, ""), ("data/3000K", 4, " (data/3000K frame 4)")])
def test_refusal_is_told_with_its_whole_reason(database: Database, folder: str, frame: int | None, place: str) -> None:
    asked = RefusalAsked(
        document=None, system="P2S5", source="cp2k", folder=folder, frame=frame, level_of_theory="disorder"
    )
    made_by = MadeBy(
        activity="label", versions={}, commit=None, executable="cp2k", host="here", started_at=now(),
        finished_at=now(), core_seconds=1.0,
    )  # fmt: skip
    sealed = Refusal(asked=asked, answer=RefusalAnswer(gate="scf", reason=REASON)).sealed(made_by)
    database.insert(sealed)
    (stored,) = database.query("refusals", {"_id": sealed["_id"]}, summary_fields("refusal"))
    assert summary_of(stored) == f"refusal: P2S5{place} at disorder: scf: {REASON}"
