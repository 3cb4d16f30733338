from __future__ import annotations

import pytest
from pydantic import ValidationError

from lipsdb.md.settings import Extrapolation, MDSettings


def test_every_field_states_its_unit() -> None:
    for name, field in (MDSettings.model_fields | Extrapolation.model_fields).items():
        assert field.description, name
        assert any(unit in field.description for unit in ("(K)", "(bar)", "(fs)", "(ps)", "(steps)", "No unit")), name


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ensemble": "npt"}, "ensemble npt needs pressure_bar"),
        ({"pressure_bar": 1.0}, "pressure_bar = 1.0 has no meaning in nvt; remove it, or choose npt"),
        ({"n_steps": 1050}, "dump_interval = 100 does not divide n_steps = 1050; .* 1000 and 1100"),
        ({"equilibration_steps": 30, "dump_interval": 10}, "thermo_interval = 100 does not divide equilibration_steps"),
        (
            {"timestep_fs": 2.0, "thermostat_damping_ps": 0.001},
            r"thermostat_damping_ps = 0.001 ps is under 5 timesteps",
        ),
        ({"ensemble": "nvpt"}, "'nvt', 'npt' or 'nve'"),
        ({"temperature_K": -5}, "greater than 0"),
        ({"temperature_K": float("nan")}, "finite"),
        ({"seed": 0}, "greater than or equal to 1"),
        ({"steps": 5}, "Extra inputs are not permitted"),
    ],
)
def test_values_that_are_not_allowed_are_refused_with_the_remedy(values, message) -> None:
    with pytest.raises(ValidationError, match=message):
        MDSettings(**{"temperature_K": 300.0, "n_steps": 1000, **values})


def test_lengths_of_50000_steps_of_2_fs() -> None:
    settings = MDSettings(temperature_K=300, n_steps=50_000, equilibration_steps=1000, dump_interval=50)
    assert (settings.production_ps, settings.total_steps, settings.n_frames) == (100.0, 51_000, 1001)
    with pytest.raises(ValidationError, match="frozen"):
        settings.seed = 2


def test_extrapolation_is_no_part_of_settings_that_do_not_ask_for_it() -> None:
    """Runs that were stored before it could be asked for stay the answers to the same questions."""
    plain = MDSettings(temperature_K=300, n_steps=1000)
    assert "extrapolation" not in plain.model_dump()
    assert "extrapolation" not in plain.model_dump(mode="json")
    assert "extrapolation" not in plain.model_dump_json()
    watch = {"interval": 50, "select_grade": 2, "break_grade": 10}
    asked = MDSettings(temperature_K=300, n_steps=1000, extrapolation=watch)
    assert asked.model_dump()["extrapolation"] == watch
    assert MDSettings.model_validate(asked.model_dump()) == asked


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"select_grade": 11}, "select_grade = 11 is above break_grade = 10; .* lower select_grade"),
        ({"select_grade": 1}, "greater than 1"),
        ({"interval": 0}, "greater than or equal to 1"),
        ({"break_grade": float("inf")}, "finite"),
    ],
)
def test_grades_that_are_not_allowed_are_refused(changes, message) -> None:
    watch = {"interval": 50, "select_grade": 2, "break_grade": 10} | changes
    with pytest.raises(ValidationError, match=message):
        MDSettings(temperature_K=300, n_steps=1000, extrapolation=watch)
