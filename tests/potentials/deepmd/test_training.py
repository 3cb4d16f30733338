from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lipsdb.errors import BadInputError, RefusedError
from lipsdb.export.deepmd import write_deepmd_systems
from lipsdb.potentials.deepmd import DeepMDSettings, evaluate, train
from lipsdb.potentials.deepmd.learning_curve import drop_rows_from, read_learning_curve
from lipsdb.potentials.deepmd.training import newest_checkpoint
from lipsdb.potentials.prediction_errors import prediction_errors
from lipsdb.potentials.training_set import LabelledFrames

LENNARD_JONES = {"epsilon": 0.1, "sigma": 2.2, "rc": 4.5, "smooth": True}


def lennard_jones_frames(symbols: str, spacing: float, n_frames: int, seed: int) -> LabelledFrames:
    """Rattled 2x2x2 cubic lattices labelled by ASE's Lennard-Jones potential (the same for all pairs)."""
    from ase import Atoms
    from ase.calculators.lj import LennardJones

    grid = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * spacing
    rng = np.random.default_rng(seed)
    labelled = []
    for _ in range(n_frames):
        atoms = Atoms(symbols, positions=grid + rng.normal(0, 0.12, grid.shape), cell=[2 * spacing] * 3, pbc=True)
        atoms.calc = LennardJones(**LENNARD_JONES)
        stress = atoms.get_stress(voigt=False)
        virial = -stress * atoms.get_volume()
        labelled.append((atoms.positions, atoms.cell.array, atoms.get_potential_energy(), atoms.get_forces(), virial))
    positions, cells, energies, forces, virials = (np.array(values) for values in zip(*labelled, strict=True))
    return LabelledFrames(atoms.numbers, positions, cells, energies, forces, virials)


def tiny_settings(**changes) -> DeepMDSettings:
    stages = [
        {"steps": 300, "learning_rate": [5e-3, 1e-3], "zbl_inner_A": 0.9},
        {
            "steps": 40,
            "learning_rate": [5e-4, 1e-5],
            "prefactors": {"energy": [1, 1], "force": [1, 1], "virial": [1, 1]},
        },
    ]
    tiny = {
        "cutoff_A": 4.5,
        "embedding_neurons": [4, 8],
        "axis_neurons": 4,
        "fitting_neurons": [12, 12],
        "batch_size": 1,
        "held_batches": 1,
        "disp_freq": 20,
        "save_freq": 20,
        "stages": stages,
    }
    return DeepMDSettings.model_validate({**tiny, **changes})


@pytest.fixture(scope="module")
def frames() -> dict[str, LabelledFrames]:
    return {
        "Li4S4": lennard_jones_frames("Li4S4", 2.6, 12, 1),
        "Li4P2S2": lennard_jones_frames("Li4P2S2", 2.7, 12, 2),
    }


@pytest.fixture(scope="module")
def systems(frames, tmp_path_factory) -> tuple[list[Path], list[Path]]:
    folder = tmp_path_factory.mktemp("systems")
    elements = ["Li", "P", "S"]
    training = {name: f.select(slice(0, 9)) for name, f in frames.items()}
    held = {name: f.select(slice(9, 12)) for name, f in frames.items()}
    return (
        write_deepmd_systems(folder / "train", training, elements=elements),
        write_deepmd_systems(folder / "held", held, elements=elements),
    )


KILLED = """
import sys
from pathlib import Path
from lipsdb.potentials.deepmd import DeepMDSettings, train
arguments = __import__("json").loads(sys.argv[1])
train(Path(arguments["folder"]), DeepMDSettings.model_validate(arguments["settings"]),
      [Path(p) for p in arguments["training"]], [Path(p) for p in arguments["held"]])
"""


def processes_in(folder: Path) -> list[int]:
    """Ids of the processes whose working folder is this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(folder.resolve()):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def wait_until(condition, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def trained(systems, tmp_path_factory):
    """A training of two stages whose process was killed outright in the first and that was then called again."""
    folder = tmp_path_factory.mktemp("training")
    settings = tiny_settings()
    arguments = {
        "folder": str(folder),
        "settings": settings.model_dump(mode="json"),
        "training": [str(p) for p in systems[0]],
        "held": [str(p) for p in systems[1]],
    }
    stage = folder / "stage-1"
    process = subprocess.Popen([sys.executable, "-c", KILLED, json.dumps(arguments)])
    try:
        wait_until(lambda: (newest_checkpoint(stage) or 0) >= 40 or process.poll() is not None, 120)
        assert process.poll() is None, "the training ended before it could be killed"
        assert processes_in(stage)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_until(lambda: not processes_in(stage), 5)
    killed_at = newest_checkpoint(stage)
    before = read_learning_curve(stage / "lcurve.out")
    seen = []
    result = train(folder, settings, *systems, progress=lambda *call: seen.append(call))
    return folder, settings, result, seen, killed_at, before


def test_a_training_killed_outright_and_called_again_has_each_row_of_the_learning_curve_once(trained):
    _, _, result, seen, killed_at, before = trained
    assert 40 <= killed_at < 300
    curve = result.learning_curve
    first, second = curve["stage"] == 1, curve["stage"] == 2
    np.testing.assert_array_equal(curve["step"][first], np.arange(0, 301, 20))
    np.testing.assert_array_equal(curve["step"][second], np.arange(0, 41, 20))
    kept = before["step"] < killed_at
    np.testing.assert_array_equal(curve["rmse_f_trn"][first][: kept.sum()], before["rmse_f_trn"][kept])
    assert np.isfinite(curve["rmse_v_val"]).all()
    assert [(done, total) for done, total, _ in seen] == [
        *((step, 340) for step in range(killed_at, 301, 20)),
        *((300 + step, 340) for step in range(0, 41, 20)),
    ]
    assert curve["lr"][second][0] == pytest.approx(5e-4)


def test_the_second_stage_starts_from_the_network_of_the_first_and_drops_zbl(trained):
    folder, _, result, *_ = trained
    assert result.inputs[0]["model"]["use_srtab"] == "zbl.txt"
    assert (result.inputs[0]["model"]["sw_rmin"], result.inputs[0]["model"]["sw_rmax"]) == pytest.approx((0.9, 1.1))
    assert "use_srtab" not in result.inputs[1]["model"]
    forces = result.learning_curve["rmse_f_trn"]
    stage, step = result.learning_curve["stage"], result.learning_curve["step"]
    start_of_first = forces[(stage == 1) & (step == 0)]
    start_of_second = forces[(stage == 2) & (step == 0)]
    assert start_of_second < 0.5 * start_of_first
    assert "initialize from model" in (folder / "stage-2" / "train.log").read_text()


def test_the_finished_training_names_its_versions_and_cost_and_is_not_run_again(trained, systems):
    folder, settings, result, *_ = trained
    assert result.versions["deepmd-kit"].startswith("3.")
    assert result.versions["tensorflow"].startswith("2.")
    assert result.core_seconds == result.wall_seconds > 1
    start = time.monotonic()
    again = train(folder, settings, *systems)
    assert time.monotonic() - start < 2
    assert again.wall_seconds == result.wall_seconds
    assert again.inputs == result.inputs


def test_other_settings_in_the_same_folder_are_refused(trained, systems):
    with pytest.raises(BadInputError, match=r"stage-1/input\.json is of another training.*use an empty folder"):
        train(trained[0], tiny_settings(seed=2), *systems)


def test_frozen_and_compressed_models_agree_and_follow_lennard_jones(trained, frames):
    result = trained[2]
    held = {name: f.select(slice(9, 12)) for name, f in frames.items()}
    frozen, compressed = evaluate(result.model_path, held), evaluate(result.compressed_path, held)
    for name in held:
        np.testing.assert_allclose(frozen[name].forces, compressed[name].forces, atol=2e-4, err_msg=name)
    spread = np.concatenate([labels.forces.ravel() for labels in held.values()]).std() * 1000
    errors = prediction_errors((held[name], frozen[name]) for name in held)
    assert errors.force_rmse_meV_per_A < 0.5 * spread
    assert errors.n_frames == 6
    assert errors.virial_mae_meV_per_atom is not None


def test_predicted_virial_is_minus_the_energy_slope_with_strain(trained, frames):
    relaxed = frames["Li4P2S2"].select([0])
    strain, component = 2e-3, (0, 1)
    deformed = []
    for sign in (1, -1):
        deformation = np.eye(3)
        deformation[component] += sign * strain
        positions, cells = relaxed.positions @ deformation, relaxed.cells @ deformation
        deformed.append(replace(relaxed, positions=positions, cells=cells))
    systems = {"plus": deformed[0], "minus": deformed[1], "none": relaxed}
    predictions = evaluate(trained[2].model_path, systems)
    slope = (predictions["plus"].energies - predictions["minus"].energies) / (2 * strain)
    virial = predictions["none"].virials[0][component]
    assert abs(virial) > 0.02
    assert -slope == pytest.approx(virial, rel=0.02)


def test_an_element_that_the_potential_does_not_know_is_refused(trained):
    alien = lennard_jones_frames("Na4S4", 2.6, 1, 3)
    with pytest.raises(BadInputError, match="system 'salt' has Na, but the potential knows Li P S"):
        evaluate(trained[2].model_path, {"salt": alien})


def test_a_learning_rate_that_makes_the_loss_nan_is_refused(systems, tmp_path):
    wild = tiny_settings(stages=[{"steps": 4000, "learning_rate": [1e30, 1e29]}])
    with pytest.raises(RefusedError, match=r"the loss is not a number at step \d+ of stage 1: the training diverged"):
        train(tmp_path, wild, *systems)


def test_systems_with_different_type_maps_are_refused(systems, tmp_path, frames):
    (other,) = write_deepmd_systems(tmp_path, {"other": frames["Li4S4"]})
    with pytest.raises(BadInputError, match=r"has the type map \['Li', 'S'\], but .* has \['Li', 'P', 'S'\]"):
        train(tmp_path / "run", tiny_settings(), [*systems[0], other])


def test_rows_from_a_step_on_half_rows_and_repeated_headers_are_dropped(tmp_path):
    curve = tmp_path / "lcurve.out"
    header = "#  step      rmse_trn    lr\n# If there is no available reference data\n"
    curve.write_text(header + "  0 3.0e1 1e-3\n 20 2.0e1 1e-3\n" + header + " 40 1.0e1 1e-3\n 60 1.")
    assert read_learning_curve(curve)["step"].tolist() == [0, 20, 40]
    drop_rows_from(curve, 40)
    assert curve.read_text() == header + "  0 3.0e1 1e-3\n 20 2.0e1 1e-3\n"
