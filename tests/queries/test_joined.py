"""A campaign that asked for documents after they were made sees them in every table, like the one that made them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lipsdb.queries import arrhenius, conductivity, cost, diffusion, labels, reproduce
from lipsdb.store.database import Database


@pytest.fixture
def late(database: Database, author: Any, small_campaign: dict[str, Any]) -> dict[str, Any]:
    """The campaign 'late' joins one diffusion coefficient, the Arrhenius fit and one label of 'small'."""
    author.computed(1, "pbe", -1.0, np.zeros((2, 3)), activity="ingest")
    author.computed(1, "disorder", -1.0, np.zeros((2, 3)), campaigns=["small"])
    label = next(database.query("labels", {"campaigns": "small"}))["_id"]
    author.campaign("late", [])
    database.join_campaigns([small_campaign["diffusion"][0]["id"], small_campaign["arrhenius"]["id"]], ["late"])
    database.join_campaigns([label], ["late"])
    return small_campaign


def test_tables_of_a_campaign_have_what_it_joined_and_name_all_campaigns(
    database: Database, late: dict[str, Any]
) -> None:
    (found,) = diffusion.rows(database, "late")
    assert (found.id, found.campaigns) == (late["diffusion"][0]["id"], ("small", "late"))
    assert len(diffusion.rows(database, "small")) == len(diffusion.rows(database)) == 4
    (fit,) = arrhenius.rows(database, "late")
    assert (fit.id, fit.campaigns, fit.published_Ea) == (late["arrhenius"]["id"], ("small", "late"), ())
    assert len(arrhenius.rows(database)[0].published_Ea) == 1  # of all its campaigns
    assert {row.id for row in conductivity.rows(database, "late")} == {late["arrhenius"]["id"]}
    assert [row.n_labels for row in labels.rows(database, "late")] == [1]
    (pair,) = reproduce.rows(database, "late")
    assert pair.campaigns == ("small", "late")
    assert reproduce.rows(database, "small") == [pair]


def test_work_that_a_campaign_joined_is_in_its_cost_and_counts_once_in_all(
    database: Database, late: dict[str, Any]
) -> None:
    def analyses(campaign: str | None) -> dict[str | None, int]:
        return {row.campaign: row.n_documents for row in cost.rows(database, campaign) if row.work == "analysis"}

    assert analyses("late") == {"late": 2}
    assert analyses("small") == {"small": 5}
    assert analyses(None) == {"late": 2, "small": 5}
    (overall,) = [row for row in cost.rows(database) if row.work == cost.ALL]
    everything = sum(database.count(name) for name in ("properties", "labels", "levels_of_theory", "campaigns"))
    assert overall.n_documents == everything
