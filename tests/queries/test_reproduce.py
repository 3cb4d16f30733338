"""Recomputed labels beside their reference, with differences worked out by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lipsdb.errors import NotFoundError
from lipsdb.queries import reproduce
from lipsdb.queries.tables import render
from lipsdb.store.database import Database

FORCES = np.array([[0.1, -0.2, 0.3], [-0.1, 0.2, -0.3]])
EV_PER_A3_IN_GPA = 1.602176634e-19 / 1e-30 / 1e9  # by the definition of the elementary charge


def published(author: Any, frame: int, energy: float = -100.0, **changes: Any) -> str:
    made = {"activity": "ingest", "source": "doi:10.1038/s41467-025-56322-x"} | changes
    return author.computed(frame, made.pop("level", "disorder-published"), energy, FORCES, **made)["id"]


def recomputed(author: Any, frame: int, energy: float = -100.0, **changes: Any) -> str:
    forces = changes.pop("forces", FORCES)
    made = {"activity": "run_cp2k", "versions": {"lipsdb": "0.1.0", "CP2K": "2023.1"}} | changes
    return author.computed(frame, made.pop("level", "disorder"), energy, forces, **made)["id"]


def test_differences_of_two_atoms_are_those_worked_out_by_hand(database: Database, author: Any) -> None:
    virial = np.diag([1.0, 2.0, 3.0])
    shifted = FORCES.copy()
    shifted[0, 1] += 0.012  # one component of six: RMS 12/√6 meV/Å
    reference = published(author, 7, virial=virial)
    other = recomputed(author, 7, -99.9996, forces=shifted, virial=virial + 0.5 * np.eye(3), core_seconds=600.0)
    (row,) = reproduce.rows(database)
    assert (row.system, row.folder, row.frame, row.formula, row.n_atoms) == ("Li2S", "3000K", 7, "LiS", 2)
    assert (row.reference_id, row.recomputed_id, row.has_lithium) == (reference, other, True)
    assert (row.reference_level, row.recomputed_level) == ("disorder-published", "disorder")
    assert row.energy_difference_meV_per_atom == pytest.approx(0.2)
    assert row.force_rms_meV_per_A == pytest.approx(12 / math.sqrt(6))
    assert row.force_max_meV_per_A == pytest.approx(12)
    # three of nine components differ by 0.5 eV / 1000 Å³
    assert row.stress_rms_GPa == pytest.approx(0.5e-3 * EV_PER_A3_IN_GPA / math.sqrt(3))
    assert (row.agrees, row.code, row.core_seconds) == (True, "CP2K 2023.1", 600.0)
    levels = {level["asked"]["name"]: level["_id"] for level in database.collection("levels_of_theory").find()}
    assert row.reference_level_id == levels["disorder-published"]
    assert row.recomputed_level_id == levels["disorder"]


@pytest.mark.parametrize(
    ("energy_meV", "force_meV_per_A", "agrees"),
    [(0.58, 0.0, True), (-0.58, 4.9, True), (0.62, 0.0, False), (-0.62, 0.0, False), (0.0, 5.1, False)],
)
def test_agreement_ends_at_its_tolerances_per_atom_and_per_force_component(
    database: Database, author: Any, energy_meV: float, force_meV_per_A: float, agrees: bool
) -> None:
    published(author, 1)
    recomputed(author, 1, -100.0 + energy_meV / 1000, forces=FORCES + force_meV_per_A / 1000)
    (row,) = reproduce.rows(database)
    assert row.agrees is agrees


def test_configurations_with_one_label_have_no_row(database: Database, author: Any) -> None:
    published(author, 1)
    recomputed(author, 2)
    assert reproduce.rows(database) == []
    assert "nothing to show yet: no configuration has two labels" in render(reproduce.table([]))


def test_ingested_label_is_the_reference_even_if_it_came_last(database: Database, author: Any) -> None:
    first, second = recomputed(author, 1, -100.1), recomputed(author, 1, -100.2, repeat=1)
    reference = published(author, 1)
    found = reproduce.rows(database)
    assert [(row.reference_id, row.recomputed_id, row.repeat) for row in found] == [
        (reference, first, 0),
        (reference, second, 1),
    ]


def test_without_an_ingested_label_the_first_calculation_is_the_reference(database: Database, author: Any) -> None:
    repeated = recomputed(author, 1, repeat=1)
    printed = recomputed(author, 1, -100.4, level="disorder-printed", repeat=1)
    first = recomputed(author, 1)
    found = reproduce.rows(database)
    assert {row.reference_id for row in found} == {first}
    assert [row.recomputed_id for row in found] == [repeated, printed]
    assert found[1].energy_difference_meV_per_atom == pytest.approx(-200.0)


def test_levels_of_theory_choose_recomputation_and_reference(database: Database, author: Any) -> None:
    published(author, 1)
    plain = recomputed(author, 1)
    printed = recomputed(author, 1, -100.2, level="disorder-printed")
    recomputed(author, 2)
    published(author, 2)
    found = reproduce.rows(database, level_of_theory="disorder-printed")
    assert [(row.recomputed_id, row.reference_level) for row in found] == [(printed, "disorder-published")]
    found = reproduce.rows(database, level_of_theory="disorder-printed", reference="disorder")
    assert [(row.recomputed_id, row.reference_id) for row in found] == [(printed, plain)]
    assert len(reproduce.rows(database)) == 3
    with pytest.raises(
        NotFoundError, match="'scan' in this database; there are: disorder, disorder-printed, disorder-p"
    ):
        reproduce.rows(database, reference="scan")


def test_campaign_limits_the_recomputations_but_not_their_references(database: Database, author: Any) -> None:
    author.campaign("check")
    published(author, 1)
    mine = recomputed(author, 1, campaigns=["check"])
    recomputed(author, 1, repeat=1)
    published(author, 2, campaigns=["check"])
    recomputed(author, 2)
    assert [row.recomputed_id for row in reproduce.rows(database, "check")] == [mine]
    with pytest.raises(NotFoundError, match="no campaign 'other'"):
        reproduce.rows(database, "other")


def test_label_without_virial_is_compared_by_energy_and_forces(database: Database, author: Any) -> None:
    published(author, 1, virial=np.eye(3))
    recomputed(author, 1, versions={"lipsdb": "0.1.0"})
    (row,) = reproduce.rows(database)
    assert (row.stress_rms_GPa, row.code, row.agrees) == (None, None, True)


def test_table_states_the_tolerances_and_how_many_agree(database: Database, author: Any) -> None:
    for frame in (1, 2):
        published(author, frame)
        recomputed(author, frame, -100.0 + 0.01 * (frame - 1))
    table = reproduce.table(reproduce.rows(database))
    assert "agrees: |ΔE| ≤ 0.3 meV/atom and force RMS ≤ 5 meV/Å" in table.notes
    assert "disorder-published recomputed at disorder: 1 of 2 agree" in table.notes
    text = render(table, "md")
    assert (
        "| Li2S | 3000K 2 | LiS | 2 | disorder-published | disorder | +5.000 | 0 | 0 | — | no | CP2K 2023.1 |" in text
    )
    (first, _) = json.loads(render(table, "json"))["rows"]
    assert first["recomputed_id"].startswith("label-")
    assert first["geometry"] == "0" * 31 + "1"


def test_pairs_are_found_in_the_index_without_reading_other_labels(database: Database, author: Any) -> None:
    for frame in range(40):
        published(author, frame)
    recomputed(author, 3)
    query = reproduce.aggregation()
    command = {"aggregate": query.collection, "pipeline": query.pipeline, "cursor": {}}
    plan = database.mongo.command("explain", command, verbosity="executionStats")
    scan = plan["stages"][0]["$cursor"]
    lookup = next(stage for stage in plan["stages"] if stage.get("$lookup", {}).get("from") == "labels")
    assert scan["executionStats"]["totalKeysExamined"] == 41
    assert scan["executionStats"]["totalDocsExamined"] == 0
    assert int(lookup["totalDocsExamined"]) == 2
    assert len(reproduce.rows(database)) == 1


finite = st.floats(-1e3, 1e3)


@given(
    energies=st.tuples(finite, finite),
    forces=hnp.arrays(float, (2, 4, 3), elements=st.floats(-10, 10)),
    virials=hnp.arrays(float, (2, 3, 3), elements=finite),
)
def test_exchanging_reference_and_recomputed_only_turns_the_sign_of_the_energy(
    energies: tuple[float, float], forces: np.ndarray, virials: np.ndarray
) -> None:
    from datetime import UTC, datetime, timedelta

    def label(name: int, age_s: int) -> dict[str, Any]:
        answer = {"formula": "PS", "n_atoms": 4, "cell": np.eye(3) * 3, "energy_eV": energies[name]}
        made = {"activity": "run", "versions": {}, "core_seconds": 1.0}
        return {
            "_id": f"label-{name}",
            "asked": {"level_of_theory": "x", "repeat": 0},
            "answer": {**answer, "forces": forces[name], "virial": virials[name]},
            "origin": {"system": "s", "folder": "", "frame": 0},
            "made_by": {**made, "finished_at": datetime(2026, 1, 1, tzinfo=UTC) - timedelta(seconds=age_s)},
            "inputs": [],
            "campaigns": [],
        }

    (one,) = reproduce.rows_of("0", [label(0, 2), label(1, 1)])
    (other,) = reproduce.rows_of("0", [label(0, 1), label(1, 2)])
    assert (one.reference_id, other.reference_id) == ("label-0", "label-1")
    assert one.energy_difference_meV_per_atom == -other.energy_difference_meV_per_atom
    assert one.force_rms_meV_per_A == pytest.approx(np.linalg.norm(forces[1] - forces[0]) * 1000 / 12**0.5)
    assert other.force_rms_meV_per_A == one.force_rms_meV_per_A
    assert one.force_rms_meV_per_A <= one.force_max_meV_per_A * (1 + 1e-12)
    assert one.stress_rms_GPa == pytest.approx(other.stress_rms_GPa)
    assert one.agrees is other.agrees
    assert one.has_lithium is False
