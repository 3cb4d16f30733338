from __future__ import annotations

from typing import Any

from lipsdb.queries import potentials
from lipsdb.queries.tables import render, short_id
from lipsdb.store.database import Database


def test_potential_made_here_has_a_row_for_each_system_and_all(database: Database, author: Any) -> None:
    dataset = author.dataset(author.labels(2, "Li2S", "Li64S32", 96))
    stored = author.potential(dataset, launchpad=database.identifier, core_seconds=120.5)
    system, overall = potentials.rows(database)
    assert (system.system, overall.system, overall.id) == ("Li2S", "all", stored["id"])
    assert (system.n_training, system.n_held) == (9, 3)  # two cells of the same system together
    assert (overall.n_training, overall.n_held, overall.n_external) == (9, 3, 0)
    assert (overall.energy_bias_meV_per_atom, overall.virial_mae_meV_per_atom) == (-1.5, None)
    assert (overall.adopted, overall.core_seconds, overall.flags) == (False, 120.5, ())


def test_potential_of_another_launchpad_with_labels_elsewhere_is_flagged(database: Database, author: Any) -> None:
    away = {"collection": "labels", "id": "label-" + "f" * 24, "content": "0" * 64}
    dataset = author.dataset([*author.labels(1, "Li2S", "Li64S32", 96), away])
    database.note_external([away])
    author.potential(dataset, launchpad="another")
    found = potentials.rows(database)
    assert found[-1].adopted
    assert found[-1].n_external == 1
    assert found[-1].flags == ("adopted", "labels external")
    assert any("1 of its 12 labels are not here" in note for note in potentials.table(found).footnotes())


def test_moment_tensor_potentials_are_told_apart_by_their_level(database: Database, author: Any) -> None:
    dataset = author.dataset([])
    author.potential(dataset)
    assert "level" not in {column.name for column in potentials.table(potentials.rows(database)).columns}
    author.potential(dataset, engine="mtp", settings={"level": 14})
    table = potentials.table(potentials.rows(database))
    level = next(column for column in table.columns if column.name == "level")
    assert [level.cell(row) for row in table.rows] == [None, None, 14, 14]


def test_a_narrow_terminal_tells_potentials_apart(database: Database, author: Any) -> None:
    dataset = author.dataset([])
    made = [author.potential(dataset, engine="mtp", settings={"level": 14, "number": number}) for number in range(2)]
    lines = render(potentials.table(potentials.rows(database)), width=80).splitlines()
    for one in made:
        assert sum(line.strip().startswith(short_id(one["id"])) for line in lines) == 2  # a row for each system
