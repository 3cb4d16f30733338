from __future__ import annotations

import pytest
from pydantic import ValidationError

from lipsdb.potentials.mtp.settings import MTPSettings


def test_defaults_are_the_weights_of_mlip_and_survive_a_round_trip():
    settings = MTPSettings(level=12)
    assert (settings.energy_weight, settings.force_weight, settings.stress_weight) == (1.0, 0.01, 0.001)
    assert (settings.program, settings.min_distance_A, settings.radial_size) == ("lipsdb", "auto", 8)
    assert MTPSettings.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize("level", [0, 7, 30])
def test_a_level_without_a_basis_is_refused(level):
    with pytest.raises(ValidationError, match=r"level\n.* give an even number from 2 to 28, say 12"):
        MTPSettings(level=level)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_distance_A": 5.0}, r"min_distance_A is 5\.0: it must be below cutoff_A \(5\.0\)"),
        ({"min_distance_A": "short"}, "min_distance_A"),
        ({"energy_weight": 0, "force_weight": 0, "stress_weight": 0}, "nothing to train on"),
        ({"force_weight": -1}, "greater than or equal to 0"),
        ({"radial_size": 1}, "greater than or equal to 2"),
        ({"program": "mlp", "starts": 3}, "starts is 3, which mlp does not know: leave it out, or set program: lipsdb"),
        ({"program": "mlp", "start_iterations": 3}, "start_iterations is 3, which mlp"),
        ({"program": "mlp", "checkpoint_iterations": 3}, "checkpoint_iterations is 3, which mlp"),
        ({"program": "mlip"}, "'lipsdb' or 'mlp'"),
        ({"epochs": 3}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        MTPSettings.model_validate({"level": 8, **changes})


def test_settings_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        MTPSettings(level=8).level = 10


def test_every_field_is_described():
    assert all(field.description for field in MTPSettings.model_fields.values())
