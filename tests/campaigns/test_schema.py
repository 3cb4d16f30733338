"""The schema documents itself: each field says what it is and in which unit."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipsdb.campaigns.load import load_campaign
from lipsdb.campaigns.schema import Campaign

CAMPAIGNS = Path(__file__).parents[2] / "campaigns"
UNITS = {
    "_eV_A": "eV/Å",
    "_per_A": "1/Å",
    "_K": "K",
    "_ps": "ps",
    "_fs": "fs",
    "_fm": "fm",
    "_A": "Å",
    "_deg": "degrees",
    "_bar": "bar",
    "_e": "e",
}


def _fields():
    schema = Campaign.model_json_schema()
    for model in [schema, *schema["$defs"].values()]:
        for field, description in model["properties"].items():
            yield f"{model['title']}.{field}", field, description


def test_every_field_has_a_description_with_the_unit_of_its_key():
    for name, field, schema in _fields():
        assert schema.get("description"), f"{name} has no description"
        unit = next((u for suffix, u in UNITS.items() if field.endswith(suffix)), None)
        words = schema["description"].replace(",", " ").replace(";", " ").replace(":", " ").split()
        assert unit is None or unit in words, f"{name}: no {unit} in {schema['description']!r}"


def test_no_model_takes_unknown_keys():
    schema = Campaign.model_json_schema()
    assert all(model["additionalProperties"] is False for model in [schema, *schema["$defs"].values()])


def test_quickstart_is_128_atoms_of_beta_li3ps4_at_four_temperatures_with_two_seeds():
    loaded = load_campaign(CAMPAIGNS / "quickstart.yaml", check_files=False)
    campaign = loaded.campaign
    numbers, _, _ = campaign.structures["beta-Li3PS4"].build(loaded.path.parent)
    assert len(numbers) == 128
    runs = list(campaign.md["hot"].expand())
    assert len({run["temperature_K"] for run in runs}) == 4
    assert len(runs) == 8
    assert {prop.kind for prop in campaign.properties.values()} == {
        "diffusion",
        "arrhenius",
        "coordination",
        "prediction_errors",
    }


def test_quickstart_has_every_published_value_of_the_crystal():
    published = load_campaign(CAMPAIGNS / "quickstart.yaml", check_files=False).campaign.published
    values = {
        quantity: [p.value for p in published if p.quantity == quantity] for quantity in ("Ea", "sigma_300K", "D")
    }
    # Table 2 of doi 10.1039/d3ya00234a, crystalline rows; Morse-MD has no conductivity.
    assert values["Ea"] == [0.29, 0.41, 0.35, 0.24, 0.29, 0.47]
    assert values["sigma_300K"] == [7.4e-5, 8.8e-4, 1.0e-4, 4.9e-5, 3.0e-7]
    assert set(values["D"]) == {None}


def test_training_campaign_of_the_quickstart_names_nine_systems():
    campaign = load_campaign(CAMPAIGNS / "quickstart" / "train.yaml").campaign
    systems = [system for selection in campaign.labels.values() for system in selection.systems]
    assert len(set(systems)) == 9
    assert campaign.labels["glasses"].iterations == [1]  # as the study counts; the folder is iter.000000
    train = campaign.potentials["deepmd-small"].train
    assert train is not None
    assert campaign.datasets[train.dataset].held_fraction == pytest.approx(0.1)
