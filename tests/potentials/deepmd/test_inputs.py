from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from lipsdb.errors import BadInputError
from lipsdb.potentials.deepmd import DeepMDSettings, pair_commands, training_input
from lipsdb.potentials.deepmd.zbl import write_zbl_table, zbl_energy

PUBLISHED = {  # doi 10.1038/s41467-025-56322-x, Methods
    "cutoff_A": 6.5,
    "descriptor": "se_e2_a",
    "embedding_neurons": [25, 50, 100],
    "fitting_neurons": [240, 240, 240],
    "stages": [
        {
            "steps": 6000000,
            "learning_rate": [1e-3, 1e-9],
            "prefactors": {"energy": [0.02, 2], "force": [1000, 1], "virial": [0.02, 0.2]},
            "zbl_inner_A": 0.9,
        },
        {
            "steps": 6000000,
            "learning_rate": [1e-5, 1e-8],
            "prefactors": {"energy": [1, 1], "force": [1, 1], "virial": [1, 1]},
            "zbl_inner_A": None,
        },
    ],
}


def test_the_published_two_stage_training_becomes_two_inputs():
    settings = DeepMDSettings.model_validate(PUBLISHED)
    first, second = (
        training_input(settings, stage, ["../a", "../b"], ["../c"], elements=["Li", "P", "S"])
        for stage in settings.stages
    )
    assert first["learning_rate"] == {"type": "exp", "start_lr": 1e-3, "stop_lr": 1e-9, "decay_steps": 30000}
    assert first["loss"] == {
        "type": "ener",
        **{"start_pref_e": 0.02, "limit_pref_e": 2, "start_pref_f": 1000, "limit_pref_f": 1},
        **{"start_pref_v": 0.02, "limit_pref_v": 0.2},
    }
    assert first["model"]["sw_rmin"] == 0.9
    assert "sw_rmin" not in second["model"]
    assert first["model"]["descriptor"] == second["model"]["descriptor"]
    assert first["training"]["training_data"]["auto_prob"] == "prob_uniform"


def test_weights_of_systems_become_probabilities_and_must_fit_the_systems():
    settings = DeepMDSettings.model_validate({**PUBLISHED, "system_weights": [3, 1]})
    made = training_input(settings, settings.stages[0], ["a", "b"], [], elements=["Li", "S"])
    assert made["training"]["training_data"]["sys_probs"] == [0.75, 0.25]
    assert "validation_data" not in made["training"]
    with pytest.raises(BadInputError, match="system_weights has 2 numbers for 3 training systems"):
        training_input(settings, settings.stages[0], ["a", "b", "c"], [], elements=["Li", "S"])
    with pytest.raises(BadInputError, match="no training system"):
        training_input(settings, settings.stages[0], [], [], elements=["Li", "S"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"save_freq": 150, "disp_freq": 100}, "save_freq is 150.*multiple of disp_freq"),
        ({"stages": PUBLISHED["stages"][::-1]}, "a stage with ZBL follows one without"),
        ({"smoothing_start_A": 7.0}, "smoothing_start_A is 7.0: it must be below cutoff_A"),
        ({"selection": "auto:0.5"}, "selection is 'auto:0.5'"),
        ({"batch_size": "many"}, "batch_size is 'many'"),
        ({"axis_neurons": 101}, "axis_neurons is 101: at most the last"),
        ({"system_weights": [0, 0]}, "not all zero"),
        ({"stages": [{"steps": 1, "learning_rate": [1e-5, 1e-3]}]}, "it must fall"),
        ({"stages": [{"steps": 1, "zbl_inner_A": 1.0, "zbl_outer_A": 0.8}]}, "must lie beyond zbl_inner_A"),
        ({"epochs": 3}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_are_not_allowed_are_named(changes, message):
    with pytest.raises(ValidationError, match=message):
        DeepMDSettings.model_validate({**PUBLISHED, **changes})


def test_every_setting_is_described():
    for model in (DeepMDSettings, *(type(stage) for stage in DeepMDSettings.model_validate(PUBLISHED).stages)):
        assert all(field.description for field in model.model_fields.values())


def test_zbl_of_lithium_and_sulphur_at_one_angstrom_is_the_hand_worked_18_12_ev():
    # a = 0.4685 / (3^0.23 + 16^0.23) = 0.14734 Å, x = 6.787; φ = 8.5e-4 + 0.01820 + 0.00717 = 0.02622;
    # 14.3996 eV Å · 48 / 1 Å · 0.02622 = 18.12 eV
    assert zbl_energy(1.0, 3, 16) == pytest.approx(18.12, abs=0.02)


def test_the_zbl_table_has_a_column_a_pair_is_exact_inside_and_zero_at_the_cutoff(tmp_path):
    table = np.loadtxt(write_zbl_table(tmp_path / "zbl.txt", ["Li", "P", "S"], unchanged_to_A=1.1, cutoff_A=4.5))
    r = table[:, 0]
    assert table.shape[1] == 1 + 6
    np.testing.assert_allclose(np.diff(r), r[1] - r[0], rtol=1e-6)
    inside = r <= 1.1
    numbers = {"Li": 3, "P": 15, "S": 16}
    pairs = [("Li", "Li"), ("Li", "P"), ("Li", "S"), ("P", "P"), ("P", "S"), ("S", "S")]
    for column, (a, b) in enumerate(pairs, start=1):
        np.testing.assert_allclose(table[inside, column], zbl_energy(r[inside], numbers[a], numbers[b]), rtol=1e-9)
    assert (table[r >= 4.5, 1:] == 0).all()
    assert (np.diff(table[:, 1:], axis=0) <= 0).all()


def test_a_model_file_name_with_a_blank_is_refused():
    with pytest.raises(BadInputError, match="has blanks"):
        pair_commands("my model.pb", ["Li"])
