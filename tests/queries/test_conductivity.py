from __future__ import annotations

from typing import Any

import pytest

from lipsdb.queries import conductivity, coordination, diffusion
from lipsdb.store.database import Database


def test_rows_are_the_temperatures_and_the_extrapolated_one(database: Database, small_campaign: dict[str, Any]) -> None:
    found = conductivity.rows(database, "small")
    assert [(row.temperature_K, row.from_fit) for row in found] == [(300.0, True), (600.0, False), (800.0, False)]
    assert found[0].flags == ("extrapolated", "from fit", "not Fickian")
    assert (found[0].D_std_cm2_s, found[0].sigma_68_S_cm) == (None, (1.2e-3, 5.1e-3))
    assert (found[1].D_cm2_s, found[1].D_std_cm2_s, found[1].sigma_S_cm) == (1e-5, 1e-6, pytest.approx(0.1))
    assert (found[1].flags, found[2].flags) == (("replicas combined",), ("not Fickian", "replicas combined"))


def test_row_of_a_temperature_names_the_diffusion_properties_of_that_temperature(
    database: Database, small_campaign: dict[str, Any]
) -> None:
    ids = [link["id"] for link in small_campaign["diffusion"]]
    target, cold, hot = conductivity.rows(database, "small")
    assert cold.diffusion_ids == tuple(ids[:2])
    assert hot.diffusion_ids == tuple(ids[2:])
    assert set(target.diffusion_ids) == set(ids)


def test_published_values_stand_at_their_temperature_only(database: Database, small_campaign: Any) -> None:
    target, cold, hot = conductivity.rows(database, "small")
    assert [value.value for value in hot.published_D] == [None]  # shown in a figure only
    assert (target.published_D, cold.published_D) == ((), ())
    assert [value.value for value in target.published_sigma] == [7.4e-5]
    assert (cold.published_sigma, hot.published_sigma) == ((), ())


def test_diffusion_rows_of_four_runs_are_ordered_and_without_curves(database: Database, small_campaign: Any) -> None:
    found = diffusion.rows(database, "small")
    assert [(row.temperature_K, row.seed) for row in found] == [(600.0, 1), (600.0, 2), (800.0, 1), (800.0, 2)]
    assert found[0].D_95_cm2_s == (pytest.approx(0.8e-5), pytest.approx(1.2e-5))
    assert "msd" not in diffusion.aggregation("small").run(database)[0]["answer"]


def test_diffusion_row_of_a_subdiffusive_run_is_flagged(database: Database, author: Any) -> None:
    author.diffusion(600.0, 1, 1e-6, fickian=False, window_found=False, loglog_slope=0.5)
    assert diffusion.rows(database)[0].flags == ("not Fickian", "no window")


def test_coordination_row_of_an_almost_perfect_framework(database: Database, author: Any) -> None:
    author.coordination()
    (row,) = coordination.rows(database)
    assert row.fractions == ((3, 0.00999), (4, 0.99), (10, 0.00001))
    headers = [column.header for column in coordination.table([row]).columns]
    assert "3-fold (%)" in headers
    assert "10-fold (%)" not in headers  # rarer than one in ten thousand
