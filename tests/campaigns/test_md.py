"""Durations become whole steps, exactly as typed; each run of an MD is settings that the MD engine takes."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsdb.campaigns.md import MolecularDynamics, whole_steps
from lipsdb.md.settings import MDSettings

CONDITIONS = {
    "structure": "a",
    "potential": "b",
    "ensemble": "NVT",
    "temperatures_K": [600, 800.5],
    "seeds": [3, 1],
    "timestep_fs": 2,
    "equilibration_ps": 2,
    "production_ps": 20,
    "dump_interval_fs": 50,
    "thermo_interval_fs": 100,
    "thermostat_damping_ps": 0.1,
    "checkpoint_ps": 5,
}


def test_nvt_expands_into_a_run_for_each_temperature_and_seed():
    md = MolecularDynamics.model_validate(CONDITIONS)
    runs = [MDSettings.model_validate(run) for run in md.expand()]
    assert [(run.temperature_K, run.seed) for run in runs] == [(600, 3), (600, 1), (800.5, 3), (800.5, 1)]
    # By hand: 20 ps / 2 fs, 2 ps / 2 fs, 50 fs / 2 fs, 100 fs / 2 fs, 5 ps / 2 fs.
    first = runs[0]
    assert (first.n_steps, first.equilibration_steps, first.dump_interval, first.thermo_interval) == (
        10000,
        1000,
        25,
        50,
    )
    assert md.steps("checkpoint_ps") == 2500
    assert (first.ensemble, first.pressure_bar) == ("nvt", None)


def test_npt_expands_over_pressures_with_barostat_and_coupling():
    npt = {"ensemble": "NPT", "pressures_bar": [0, 1000], "barostat_damping_ps": 1, "npt_coupling": "aniso"}
    runs = [MDSettings.model_validate(run) for run in MolecularDynamics.model_validate(CONDITIONS | npt).expand()]
    assert [(run.temperature_K, run.pressure_bar) for run in runs[::2]] == [
        (600, 0),
        (600, 1000),
        (800.5, 0),
        (800.5, 1000),
    ]
    assert {(run.barostat_damping_ps, run.npt_coupling) for run in runs} == {(1.0, "aniso")}


@pytest.mark.parametrize("left_out", ["pressures_bar", "barostat_damping_ps", "npt_coupling"])
def test_npt_without_what_it_needs_is_refused(left_out):
    npt = {"ensemble": "NPT", "pressures_bar": [0], "barostat_damping_ps": 1, "npt_coupling": "iso"}
    del npt[left_out]
    with pytest.raises(ValueError, match=rf"{left_out}\n.*must be given when ensemble is NPT"):
        MolecularDynamics.model_validate(CONDITIONS | npt)


@given(steps=st.integers(1, 10**9), timestep=st.decimals("0.01", "10", places=2))
def test_any_whole_number_of_steps_typed_in_decimals_is_found_again(steps, timestep):
    assert whole_steps(Fraction(timestep) * steps, float(timestep)) == steps


def test_duration_between_two_steps_is_refused_with_the_neighbours():
    with pytest.raises(ValueError, match=r"of 0.5 fs steps: 1.3 fs are 2.6; take 1 or 1.5 fs"):
        whole_steps(Fraction("1.3"), 0.5)


def test_extrapolation_becomes_steps_and_is_left_out_if_it_is_not_asked_for():
    assert all("extrapolation" not in run for run in MolecularDynamics.model_validate(CONDITIONS).expand())
    watched = CONDITIONS | {"extrapolation": {"interval_fs": 50, "select_grade": 2, "break_grade": 10}}
    runs = [MDSettings.model_validate(run) for run in MolecularDynamics.model_validate(watched).expand()]
    # By hand: 50 fs / 2 fs.
    assert {run.extrapolation.interval for run in runs} == {25}
    assert {(run.extrapolation.select_grade, run.extrapolation.break_grade) for run in runs} == {(2, 10)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"break_grade": 1.5}, r"extrapolation.break_grade\n.*must not be below select_grade \(2\)"),
        ({"select_grade": 1}, r"extrapolation.select_grade\n.*greater than 1"),
        ({"interval_fs": 25}, r"extrapolation\n.*interval_fs must be a whole number of 2 fs steps.* take 24 or 26 fs"),
    ],
)
def test_extrapolation_that_is_not_allowed_is_refused(changes, message):
    watch = {"interval_fs": 50, "select_grade": 2, "break_grade": 10} | changes
    with pytest.raises(ValueError, match=message):
        MolecularDynamics.model_validate(CONDITIONS | {"extrapolation": watch})
