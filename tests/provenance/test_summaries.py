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


def test_moment_tensor_potential_is_told_by_its_level() -> None:
    asked = {"engine": "mtp", "settings": {"level": 14}}
    answer = {"errors": [{"system": "all", "force_mae_meV_per_A": 108.6}], "cutoff_A": 5.0}
    told = summary_of({"_id": "potential-0", "asked": asked, "answer": answer}, 130)
    assert told == "potential: mtp, level 14, cutoff 5 Å, 130 labels, F MAE 109 meV/Å"


@pytest.mark.parametrize(("step", "where"), [(-400, "100 of the 500 of the equilibration"), (400, "400 of 50000")])
def test_run_that_was_ended_says_so(step: int, where: str) -> None:
    settings = {"ensemble": "nvt", "temperature_K": 1200.0, "seed": 3, "n_steps": 50000, "equilibration_steps": 500}
    answer = {"n_atoms": 256, "n_frames": 0, "frame_interval_ps": 0.2, "extrapolation": {"stopped_at_step": step}}
    told = summary_of({"_id": "run-0", "asked": {"settings": settings}, "answer": answer})
    assert told == f"run: NVT 1200 K, 256 atoms, 0 ps, seed 3, ended at step {where}: its potential extrapolated"


def test_choice_of_a_potential_names_the_one_chosen() -> None:
    rows = [
        {"settings": {"cutoff_A": 5.0, "level": level}, "engine": "mtp", "chosen": level == 12}
        | {"force_mae_meV_per_A": 1400 / level, "time_us_per_atom": 2.5 * level}
        for level in (8, 12)
    ]
    asked = {"property": "potential_choice", "parameters": {}}
    told = summary_of({"_id": "property-0", "asked": asked, "answer": {"rows": rows}})
    assert told == (
        "property: potential choice among 2: mtp, cutoff 5 Å, level 12, F MAE 117 meV/Å, 30 µs per atom and step"
    )


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
