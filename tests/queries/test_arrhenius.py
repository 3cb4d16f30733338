from __future__ import annotations

import math
from typing import Any

import pytest

from lipsdb.errors import NotFoundError
from lipsdb.queries import arrhenius, conductivity
from lipsdb.store.database import Database


def test_row_of_a_stored_fit_has_its_numbers_and_ids(database: Database, small_campaign: dict[str, Any]) -> None:
    (row,) = arrhenius.rows(database, "small")
    assert (row.structure, row.species, row.Ea_eV, row.Ea_std_eV) == ("beta", "Li", 0.3014, 0.0236)
    assert row.D0_cm2_s == pytest.approx(2.4787521766663585e-3)  # exp(-6)
    assert row.sigma_target_95_S_cm == (6.0e-4, 1.04e-2)
    assert row.covariance == ((0.16, 0.009), (0.009, 0.000557))
    assert (row.n_temperatures, row.n_replicas) == (2, (2, 2))
    assert row.id == small_campaign["arrhenius"]["id"]
    assert row.input_ids == tuple(link["id"] for link in small_campaign["diffusion"])


def test_flags_of_an_extrapolated_scaled_not_fickian_fit(database: Database, small_campaign: dict[str, Any]) -> None:
    (row,) = arrhenius.rows(database, "small")
    assert row.flags == ("extrapolated", "not Fickian", "scaled", "excluded", "replicas combined")
    assert "left out of the fit of beta: 400 K: too few jumps" in arrhenius.table([row]).footnotes()


def test_flags_of_an_interpolated_fit_through_two_points(database: Database, author: Any) -> None:
    author.arrhenius([], extrapolated=False, fickian=True, birge_ratio=1.0, degrees_of_freedom=0, excluded=[])
    (row,) = arrhenius.rows(database)
    assert row.flags == ("no freedom", "replicas combined")


def test_published_values_of_another_structure_are_not_joined(database: Database, small_campaign: Any) -> None:
    (row,) = arrhenius.rows(database, "small")
    assert [value.value for value in row.published_Ea] == [0.29]
    assert [value.value for value in row.published_sigma] == [7.4e-5]
    assert row.published_Ea[0].doi == "10.1039/d3ya00234a"


def test_published_conductivity_at_300_k_is_not_joined_to_another_target(
    database: Database, author: Any, published_entry: Any
) -> None:
    author.campaign("warm", [published_entry("sigma_300K", 7.4e-5)])
    author.arrhenius([], ["warm"], target_temperature_K=350.0)
    (row,) = arrhenius.rows(database, "warm")
    assert row.published_sigma == ()


def test_published_values_are_those_of_the_newest_submission(
    database: Database, small_campaign: Any, author: Any, published_entry: Any
) -> None:
    author.campaign("small", [published_entry("Ea", 0.31)], version=2)
    (row,) = arrhenius.rows(database, "small")
    assert [value.value for value in row.published_Ea] == [0.31]


def test_published_values_of_two_campaigns_are_joined_once_each(
    database: Database, author: Any, published_entry: Any
) -> None:
    author.campaign("one", [published_entry("Ea", 0.29), published_entry("Ea", 0.41)])
    author.campaign("two", [published_entry("Ea", 0.29)])
    author.arrhenius([], ["one", "two"])
    assert [value.value for value in arrhenius.rows(database)[0].published_Ea] == [0.29, 0.41]
    assert [value.value for value in arrhenius.rows(database, "two")[0].published_Ea] == [0.29]


def test_campaign_that_asked_for_nothing_gives_an_empty_table_with_a_next_step(database: Database, author: Any) -> None:
    author.campaign("empty")
    found = arrhenius.rows(database, "empty")
    assert found == []
    assert "lipsdb run" in arrhenius.table(found).footnotes()[0]


def test_unknown_campaign_names_those_that_exist(database: Database, author: Any) -> None:
    author.campaign("beta")
    author.campaign("alpha")
    with pytest.raises(NotFoundError, match=r"no campaign 'gamma' in this database; there are: alpha, beta"):
        arrhenius.rows(database, "gamma")


def test_unknown_campaign_in_an_empty_database_says_how_to_make_one(database: Database) -> None:
    with pytest.raises(NotFoundError, match="there is none yet; `lipsdb campaign submit FILE` makes one"):
        arrhenius.rows(database, "gamma")


def test_prefactor_of_a_row_is_the_exponential_of_its_logarithm(database: Database, author: Any) -> None:
    author.arrhenius([], ln_D0_cm2_s=math.log(2e-3))
    assert arrhenius.rows(database)[0].D0_cm2_s == pytest.approx(2e-3)


def test_potentials_of_two_engines_are_told_apart(database: Database, author: Any) -> None:
    dataset = author.dataset([])
    made = {engine: author.potential(dataset, engine=engine)["id"] for engine in ("deepmd", "mtp")}
    for seed, id_ in enumerate(made.values()):
        conditions = {"structure": "beta", "formula": "Li3PS4", "ensemble": "nvt", "potential_id": id_}
        author.arrhenius([author.diffusion(600.0, seed, 1e-5)], conditions=conditions)
    for query in (arrhenius, conductivity):
        table = query.table(query.rows(database))
        column = next(column for column in table.columns if column.name == "potential")
        assert [column.cell(row) for row in table.rows] == [row.engine for row in table.rows]
        assert ", ".join(f"{name}: {id_[:18]}" for name, id_ in made.items()) in table.notes
        assert list(dict.fromkeys(row.engine for row in table.rows)) == ["deepmd", "mtp"]


def test_two_potentials_of_one_engine_are_told_apart_by_their_ids(database: Database, author: Any) -> None:
    dataset = author.dataset([])
    made = [author.potential(dataset, engine="mtp", settings={"level": level})["id"] for level in (8, 12)]
    for seed, id_ in enumerate(made):
        conditions = {"structure": "beta", "formula": "Li3PS4", "ensemble": "nvt", "potential_id": id_}
        author.arrhenius([author.diffusion(600.0, seed, 1e-5)], conditions=conditions)
    table = arrhenius.table(arrhenius.rows(database))
    column = next(column for column in table.columns if column.name == "potential")
    assert {column.cell(row) for row in table.rows} == {f"mtp {id_.partition('-')[2][:8]}" for id_ in made}
