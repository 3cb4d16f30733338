from __future__ import annotations

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lipsdb.errors import RefusedError
from lipsdb.md.monitor import ThermoMonitor, check_thermo
from lipsdb.md.settings import MDSettings
from lipsdb.md.thermo import parse_thermo

HEADER = "---\nkeywords: ['Step', 'Temp', 'TotEng', 'Press', 'Volume', ]\ndata:\n"
NOISE = "WARNING: something - [1, 2]\n"
FOOTER = "...\nLoop time of 1.5 on 1 procs for 40 steps with 8 atoms\n"


def block(steps, energy: float = -1.0) -> str:
    rows = [f"  - [{step}, 300.5, {energy!r}, -12.5, 1000, ]\n" for step in steps]
    return HEADER + NOISE.join(rows) + FOOTER


def test_block_without_noise_agrees_with_a_yaml_parser() -> None:
    text = block([0, 10, 20], energy=-3.25e-7).replace(NOISE, "")
    document = yaml.safe_load(text.split("---\n")[1].split("...")[0])
    thermo = parse_thermo(text)
    np.testing.assert_array_equal(np.array(document["data"], dtype=float)[:, 2], thermo.columns["total_energy"])
    assert dict(thermo.units) == {
        "step": "1", "temperature": "K", "total_energy": "eV", "pressure": "bar", "volume": "Å³"
    }  # fmt: skip
    assert thermo.columns["step"].dtype == np.int64


def test_logs_of_a_run_killed_twice_give_each_row_once_from_the_last_process() -> None:
    killed = block([0, 10, 20, 30, 40], 1.0).removesuffix(FOOTER) + "  - [50, 300.5, 1.0, -1"
    text = killed + "\n" + block([20, 30], 2.0) + block([30, 40, 50, 60], 3.0)
    columns = parse_thermo(text).columns
    assert columns["step"].tolist() == [0, 10, 20, 30, 40, 50, 60]
    assert columns["total_energy"].tolist() == [1, 1, 2, 3, 3, 3, 3]


@given(st.integers(0, len(block(range(0, 50, 10)))))
def test_log_cut_at_any_byte_gives_whole_rows_or_is_refused(length) -> None:
    whole = parse_thermo(block(range(0, 50, 10))).columns
    try:
        columns = parse_thermo(block(range(0, 50, 10))[:length]).columns
    except RefusedError as error:
        assert "no row of thermo output" in str(error)  # noqa: PT017
    else:
        n = len(columns["step"])
        for name, values in columns.items():
            np.testing.assert_array_equal(values, whole[name][:n])


def test_monitor_fed_a_log_byte_by_byte_sees_every_step(tmp_path) -> None:
    path = tmp_path / "log"
    monitor = ThermoMonitor(path, MDSettings(temperature_K=300, n_steps=100), 1000.0)
    monitor.poll()
    seen = []
    with path.open("w", encoding="utf-8") as stream:
        for character in block([0, 10, 20]):
            stream.write(character)
            stream.flush()
            monitor.poll()
            seen.append(monitor.last_step)
    assert list(dict.fromkeys(seen)) == [None, 0, 10, 20]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("temperature", 1501.0, r"step 10: temperature 1501 K, allowed is under 1500 K \(5 times the target\)"),
        ("pressure", -2e6, r"step 10: pressure -2e\+06 bar, allowed is within ±1e\+06 bar"),
        ("volume", 3100.0, r"step 10: volume 3100 Å³, allowed is within a factor 3 of the 1000 Å³"),
        ("volume", 300.0, r"step 10: volume 300 Å³"),
        ("total_energy", np.nan, r"step 10: total energy nan eV, allowed is a finite number"),
        ("pressure", np.inf, r"step 10: pressure inf bar, allowed is a finite number"),
    ],
)
def test_row_beyond_a_limit_is_refused_with_its_step(name, value, message) -> None:
    columns = {key: values.copy() for key, values in parse_thermo(block([0, 10, 20])).columns.items()}
    settings = MDSettings(temperature_K=300, n_steps=100)
    check_thermo(columns, settings, 1000.0)
    columns[name][1:] = value
    with pytest.raises(RefusedError, match=message):
        check_thermo(columns, settings, 1000.0)
