from __future__ import annotations

from typing import Any

from lipsdb.queries import cost
from lipsdb.store.database import Database


def _run(author: Any, database: Database, seed: int, **made: Any) -> None:
    answer = dict.fromkeys(
        ("n_atoms", "n_frames", "frame_interval_ps", "trajectory", "topology", "restart", "thermo", "thermo_units")
    )
    means = ("temperature_K", "pressure_bar", "volume_A3", "density_g_cm3", "stress_GPa")
    answer |= {f"mean_{name}": None for name in means} | {"rotation": None}
    settings = {"program": "lammps", "settings": {"temperature_K": 600.0, "seed": seed}}
    launch = {"activity": "molecular_dynamics:run_md", "fw_id": seed, "launchpad": database.identifier}
    author.put("run", settings, answer, (), made.pop("campaigns", ["small"]), **{**launch, **made})


def test_two_runs_are_summed_and_their_speed_averaged(database: Database, author: Any) -> None:
    author.campaign("small")
    _run(author, database, 1, core_seconds=10.0, rates={"steps_per_second": 100.0})
    _run(author, database, 2, core_seconds=30.0, rates={"steps_per_second": 50.0})
    runs, submission, overall = cost.rows(database, "small")
    assert (runs.work, runs.activity, runs.n_jobs) == ("molecular dynamics", "molecular_dynamics:run_md", 2)
    assert (runs.core_seconds, runs.steps_per_second) == (40.0, 75.0)
    assert runs.wall_span_s == 15.0  # 5 s each, the second starts 10 s after the first
    assert (submission.work, submission.n_jobs) == ("submission", 0)
    assert (overall.work, overall.core_seconds, overall.n_documents) == ("all", 45.0, 3)


def test_run_of_two_campaigns_counts_in_each_and_once_in_the_sum(database: Database, author: Any) -> None:
    _run(author, database, 1, core_seconds=10.0, campaigns=["one", "two"])
    found = cost.rows(database)
    assert [(row.campaign, row.core_seconds) for row in found] == [("one", 10.0), ("two", 10.0), (None, 10.0)]
    assert found[0].flags == ("several campaigns",)


def test_work_of_another_database_is_shown_but_not_in_the_sum(database: Database, author: Any) -> None:
    _run(author, database, 1, core_seconds=10.0, campaigns=[])
    _run(author, database, 2, core_seconds=99.0, campaigns=[], launchpad="another")
    found = {(row.work, row.elsewhere): row for row in cost.rows(database)}
    assert found["molecular dynamics", True].flags == ("elsewhere",)
    assert found["all", False].core_seconds == 10.0


def test_empty_database_costs_nothing(database: Database) -> None:
    assert cost.rows(database) == []
