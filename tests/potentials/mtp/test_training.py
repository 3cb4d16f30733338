from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lipsdb.errors import BadInputError, RefusedError
from lipsdb.potentials.mtp import checkpoint
from lipsdb.potentials.mtp.checkpoint import load_checkpoint
from lipsdb.potentials.mtp.evaluation import evaluate
from lipsdb.potentials.mtp.files import read_mtp
from lipsdb.potentials.mtp.settings import MTPSettings
from lipsdb.potentials.mtp.start import composition_energies, starting_potential
from lipsdb.potentials.mtp.training import MODEL, train
from lipsdb.potentials.mtp.training_data import training_data
from lipsdb.potentials.mtp.training_kernel import loss_terms
from lipsdb.potentials.prediction_errors import prediction_errors
from lipsdb.potentials.training_set import LabelledFrames

ELEMENTS = ["Li", "S"]
DEPTHS = {("Li", "Li"): 0.4, ("Li", "S"): 2.0, ("S", "S"): 0.8}  # eV
ATOM_EV = {"Li": -1.9, "S": -4.1}


def pair_frames(symbols: list[str], n_frames: int, seed: int, *, virials: bool = True) -> LabelledFrames:
    """Rattled rock salt cells labelled by Morse potentials of each pair of elements, of finite range, by all images."""
    from ase.data import atomic_numbers

    grid = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    rng = np.random.default_rng(seed)
    labels = [pair_labels(symbols, grid * 2.6 + rng.normal(0, 0.12, grid.shape), 5.2) for _ in range(n_frames)]
    positions, energies, forces, virial = (np.array(values) for values in zip(*labels, strict=True))
    return LabelledFrames(
        [atomic_numbers[symbol] for symbol in symbols],
        positions,
        np.tile(5.2 * np.eye(3), (n_frames, 1, 1)),
        energies,
        forces,
        virial if virials else None,
    )


def pair_labels(symbols, positions, edge):
    shifts = edge * (np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) - 1)
    vectors = positions[None, :, None] - positions[:, None, None] + shifts
    r = np.linalg.norm(vectors, axis=-1)
    near = (r > 1e-6) & (r < 4.0)
    depth = np.array([[DEPTHS[min(a, b), max(a, b)] for b in symbols] for a in symbols])[:, :, None]
    r = np.where(near, r, 4.0)
    decay, cut = np.exp(-1.5 * (r - 2.4)), (1 - (r / 4.0) ** 2) ** 2
    morse = depth * (decay**2 - 2 * decay)
    slope = depth * (-3.0 * decay**2 + 3.0 * decay) * cut + morse * 2 * (1 - (r / 4.0) ** 2) * (-2 * r / 16.0)
    pull = np.where(near, slope / r, 0.0)[..., None] * vectors
    energy = 0.5 * np.where(near, morse * cut, 0.0).sum() + sum(ATOM_EV[symbol] for symbol in symbols)
    return positions, energy, pull.sum(axis=(1, 2)), -0.5 * np.einsum("ijsa,ijsb->ab", pull, vectors)


@pytest.fixture(scope="module")
def frames() -> tuple[dict[str, LabelledFrames], dict[str, LabelledFrames]]:
    salt, rich = ["Li", "S"] * 4, ["Li"] * 5 + ["S"] * 3
    training = {"LiS": pair_frames(salt, 12, 1), "Li5S3": pair_frames(rich, 12, 2)}
    return training, {"LiS": pair_frames(salt, 4, 3), "Li5S3": pair_frames(rich, 4, 4, virials=False)}


def settings(**changes) -> MTPSettings:
    small = {"level": 4, "cutoff_A": 4.0, "radial_size": 6, "max_iterations": 60, "checkpoint_iterations": 10}
    return MTPSettings.model_validate({**small, "starts": 1, **changes})


def test_labels_of_the_tests_are_consistent(frames):
    symbols, labels = ["Li", "S"] * 4, frames[0]["LiS"]
    step = 1e-5 * np.random.default_rng(0).normal(size=(8, 3))
    there, back = (pair_labels(symbols, labels.positions[0] + s * step, 5.2)[1] for s in (1, -1))
    assert there - back == pytest.approx(-2 * np.sum(labels.forces[0] * step), rel=1e-6)


LONG = settings(max_iterations=300, starts=4, start_iterations=50)


@pytest.fixture(scope="module")
def trained(frames, tmp_path_factory):
    folder, seen = tmp_path_factory.mktemp("trained"), []
    result = train(folder, LONG, *frames, elements=ELEMENTS, progress=lambda *call: seen.append(call))
    return folder, result, seen


def test_a_training_learns_a_pair_potential_from_few_frames(trained, frames):
    _, result, _ = trained
    held = frames[1]
    predicted = evaluate(result.model_path, held)
    errors = prediction_errors((held[name], predicted[name]) for name in held)
    spread = np.concatenate([labels.forces.ravel() for labels in held.values()]).std()
    assert errors.force_rmse_meV_per_A < 0.03 * 1000 * spread
    assert errors.energy_rmse_meV_per_atom < 3
    assert result.program == result.executable == "lipsdb"
    assert set(result.versions) == {"numba", "scipy"}


def test_the_learning_curve_ends_with_the_errors_of_the_potential(trained, frames):
    _, result, _ = trained
    curve = result.learning_curve
    names = [f"rmse{what}_{part}" for what in ("", "_e", "_f", "_v") for part in ("val", "trn")]
    assert list(curve) == ["step", *names, "loss"]
    assert (np.diff(curve["step"][:-1]) == 5).all()
    assert (np.diff(curve["loss"]) <= 0).all()
    for part, systems in (("trn", frames[0]), ("val", frames[1])):
        predicted = evaluate(result.model_path, systems)
        errors = prediction_errors((systems[name], predicted[name]) for name in systems)
        last = {what: 1000 * curve[f"rmse_{what}_{part}"][-1] for what in "efv"}
        assert last["e"] == pytest.approx(errors.energy_rmse_meV_per_atom, rel=1e-6)
        assert last["f"] == pytest.approx(errors.force_rmse_meV_per_A, rel=1e-6)
        assert last["v"] == pytest.approx(errors.virial_rmse_meV_per_atom, rel=1e-6)
    np.testing.assert_allclose(curve["rmse_trn"] ** 2, curve["loss"])


def test_progress_is_told_after_each_iteration(trained):
    _, result, seen = trained
    done, total, row = seen[-1]
    assert [call[0] for call in seen] == list(range(1, done + 1))
    assert total == 450
    assert (done - 150, row["step"]) == (result.learning_curve["step"][-1],) * 2
    assert row["loss"] == result.learning_curve["loss"][-1]


def test_the_best_of_several_starts_goes_on(trained):
    folder, result, seen = trained
    tried = [call[2]["loss"] for call in seen if call[0] in (50, 100, 150, 200)]
    assert len(set(tried)) == 4
    np.testing.assert_array_equal(load_checkpoint(folder).trials, tried)
    curve = result.learning_curve
    assert curve["loss"][curve["step"] == 50] == min(tried)


def test_the_log_tells_settings_errors_and_the_end(trained):
    _, result, _ = trained
    (log,) = result.log_paths
    text = log.read_text()
    assert re.search(r"^level +4$", text, re.MULTILINE)
    assert re.search(r"^parameters +\d+$", text, re.MULTILINE)
    assert re.search(r"^Loss of 4 starts after 50 iterations.*\n( +[\d.e-]+\n){4}\n", text, re.MULTILINE)
    assert f"Ended after {result.learning_curve['step'][-1]:.0f} iterations: {result.ended}." in text
    assert len(re.findall(r"^ +\d+( +[\d.e-]+){9}$", text, re.MULTILINE)) == result.learning_curve["step"].size


def test_a_finished_training_called_again_gives_the_same_without_computing(trained, frames, monkeypatch):
    folder, result, _ = trained
    monkeypatch.setattr("lipsdb.potentials.mtp.training.loss_and_gradient", None)
    again = train(folder, LONG, *frames, elements=ELEMENTS)
    assert again.learning_curve.keys() == result.learning_curve.keys()
    for name, column in result.learning_curve.items():
        np.testing.assert_array_equal(again.learning_curve[name], column)
    assert again.wall_seconds >= result.wall_seconds
    assert again.ended == result.ended


def test_two_threads_give_the_same_bits_as_one(frames, tmp_path):
    short = settings(max_iterations=15)
    one = train(tmp_path / "one", short, *frames, elements=ELEMENTS)
    two = train(tmp_path / "two", short, *frames, elements=ELEMENTS, threads=2)
    assert one.model_path.read_bytes() == two.model_path.read_bytes()
    np.testing.assert_array_equal(one.learning_curve["loss"], two.learning_curve["loss"])


KILLED = """
import sys
from pathlib import Path
import numpy as np
from lipsdb.potentials.mtp.settings import MTPSettings
from lipsdb.potentials.mtp.training import train
from lipsdb.potentials.training_set import LabelledFrames
arguments = __import__("json").loads(sys.argv[1])
systems = [{name: LabelledFrames(**{key: value and np.array(value) for key, value in labels.items()})
            for name, labels in part.items()} for part in arguments["systems"]]
def slow(done, total, row):
    print(done, flush=True)
    done == arguments["at"] and __import__("time").sleep(600)
train(Path(arguments["folder"]), MTPSettings.model_validate(arguments["settings"]), *systems, elements=["Li", "S"],
      progress=slow)
"""


SEVERAL_STARTS = settings(starts=3, start_iterations=15, max_iterations=40)


@pytest.fixture(scope="module")
def whole(frames, tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"), SEVERAL_STARTS, *frames, elements=ELEMENTS)


def assert_goes_on_to(whole, folder, frames, first_iteration):
    seen = []
    again = train(folder, SEVERAL_STARTS, *frames, elements=ELEMENTS, progress=lambda *call: seen.append(call[0]))
    assert seen == list(range(first_iteration, 71))
    assert again.model_path.read_bytes() == whole.model_path.read_bytes()
    assert again.learning_curve.keys() == whole.learning_curve.keys()
    for name, column in whole.learning_curve.items():
        np.testing.assert_array_equal(again.learning_curve[name], column)


def test_a_training_killed_outright_goes_on_to_the_same_bits(whole, frames, tmp_path):
    plain = [
        {name: {k: None if v is None else v.tolist() for k, v in vars(f).items()} for name, f in part.items()}
        for part in frames
    ]
    asked = SEVERAL_STARTS.model_dump(mode="json")
    arguments = {"folder": str(tmp_path), "settings": asked, "systems": plain, "at": 58}
    with subprocess.Popen([sys.executable, "-c", KILLED, json.dumps(arguments)], stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            if int(line) == 58:
                break
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / MODEL).exists()
    assert_goes_on_to(whole, tmp_path, frames, 56)


@pytest.mark.parametrize(("stopped_at", "first_iteration"), [(3, 1), (15, 11), (28, 26), (31, 31), (70, 66)])
def test_a_training_interrupted_anywhere_goes_on_to_the_same_bits(whole, frames, tmp_path, stopped_at, first_iteration):
    def stop(done, total, row):
        if done == stopped_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, SEVERAL_STARTS, *frames, elements=ELEMENTS, progress=stop)
    assert_goes_on_to(whole, tmp_path, frames, first_iteration)


def test_what_an_interrupted_run_cost_is_not_lost(frames, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_SECONDS_BETWEEN", 0.0)

    def stop(done, total, row):
        if done == 12:
            time.sleep(0.2)
        if done == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, settings(), *frames, elements=ELEMENTS, progress=stop)
    before = json.loads((tmp_path / checkpoint.COST).read_text())
    result = train(tmp_path, settings(), *frames, elements=ELEMENTS)
    assert before["wall_s"] > 0.2
    assert result.wall_seconds > before["wall_s"]
    assert result.core_seconds > before["cpu_s"] > 0
    assert result.core_seconds < os.cpu_count() * result.wall_seconds + 0.1


def test_iterations_that_run_out_are_no_error(frames, tmp_path):
    result = train(tmp_path, settings(max_iterations=7), *frames, elements=ELEMENTS)
    assert not result.converged
    assert result.ended == "not converged: 7 iterations (max_iterations) are done"
    assert result.learning_curve["step"].tolist() == [0, 5, 7]


def test_without_held_out_frames_and_virials_the_columns_are_of_the_training_frames(frames, tmp_path):
    bare = {"LiS": replace(frames[0]["LiS"], virials=None)}
    result = train(tmp_path, settings(max_iterations=5), bare, {}, elements=ELEMENTS)
    assert list(result.learning_curve) == ["step", "rmse", "rmse_e", "rmse_f", "rmse_v", "loss"]
    assert np.isnan(result.learning_curve["rmse_v"]).all()


@pytest.mark.parametrize("change", ["settings", "frames", "elements"])
def test_a_folder_of_another_training_is_refused(trained, frames, change):
    folder, _, _ = trained
    asked, systems, elements = LONG, frames, ELEMENTS
    if change == "settings":
        asked = LONG.model_copy(update={"seed": 2})
    elif change == "frames":
        systems = ({**frames[0], "LiS": frames[0]["LiS"].select(slice(0, 11))}, frames[1])
    else:
        elements = ["S", "Li"]
    with pytest.raises(BadInputError, match=r"asked.json is of another training .*: use an empty folder"):
        train(folder, asked, *systems, elements=elements)


def test_without_a_training_frame_there_is_no_training(frames, tmp_path):
    with pytest.raises(BadInputError, match="there is no training frame"):
        train(tmp_path, settings(), {"LiS": frames[0]["LiS"].select([])}, frames[1], elements=ELEMENTS)


def test_frames_with_an_element_that_is_not_named_are_refused(frames, tmp_path):
    with pytest.raises(BadInputError, match="system 'LiS' has S, but the potential knows Li: leave it out"):
        train(tmp_path, settings(), *frames, elements=["Li"])
    assert not list(tmp_path.iterdir()), "the folder is free for the corrected call"


@pytest.mark.parametrize("program", ["lipsdb", "mlp"])
def test_held_out_frames_with_an_unknown_element_are_refused_before_the_training(frames, tmp_path, program):
    only_sulfur = {"S": replace(frames[0]["LiS"], numbers=np.full(8, 16))}
    asked = MTPSettings(program=program, level=2, cutoff_A=4.0)
    with pytest.raises(BadInputError, match="system 'LiS' has Li, but the potential knows S: leave it out"):
        train(tmp_path, asked, only_sulfur, frames[1], elements=["S"])
    assert not list(tmp_path.iterdir())


def test_weights_of_labels_that_no_frame_has_are_refused(frames, tmp_path):
    asked = settings(energy_weight=0, force_weight=0, max_iterations=1)
    with pytest.raises(BadInputError, match="no training frame has a virial label: there is nothing to train on"):
        train(tmp_path, asked, {"LiS": replace(frames[0]["LiS"], virials=None)}, frames[0], elements=ELEMENTS)
    train(tmp_path, asked, frames[0], {}, elements=ELEMENTS)


@pytest.mark.parametrize("content", [b"", b"\0" * 300, b"PK\3\4 torn"])
def test_what_a_power_cut_left_of_cost_and_checkpoint_is_not_in_the_way(frames, tmp_path, content):
    short = settings(max_iterations=12)
    whole = train(tmp_path, short, *frames, elements=ELEMENTS)
    for name in (checkpoint.COST, checkpoint.CHECKPOINT):
        (tmp_path / name).write_bytes(content)
    seen = []
    again = train(tmp_path, short, *frames, elements=ELEMENTS, progress=lambda *call: seen.append(call[0]))
    assert seen == list(range(1, 13))
    assert again.model_path.read_bytes() == whole.model_path.read_bytes()
    assert again.core_seconds > 0
    (tmp_path / checkpoint.ASKED).write_bytes(content)
    with pytest.raises(BadInputError, match=r"asked.json cannot be read .*: empty the folder"):
        train(tmp_path, short, *frames, elements=ELEMENTS)


def test_a_cutoff_within_which_there_are_no_pairs_is_refused(frames, tmp_path):
    with pytest.raises(BadInputError, match=r"no two atoms of the training frames are closer than cutoff_A \(1.2 Å\)"):
        train(tmp_path, settings(cutoff_A=1.2), *frames, elements=ELEMENTS)


@pytest.mark.filterwarnings("ignore:overflow")
def test_labels_beyond_all_numbers_are_refused(frames, tmp_path):
    absurd = {"LiS": replace(frames[0]["LiS"], energies=np.full(12, 1e200))}
    with pytest.raises(RefusedError, match="the loss is inf at iteration 0: the training diverged"):
        train(tmp_path, settings(), absurd, {}, elements=ELEMENTS)


def test_pairs_without_data_are_told_in_the_log(frames, tmp_path):
    result = train(tmp_path, settings(max_iterations=2), *frames, elements=["Li", "P", "S"])
    assert "Li-P, P-P, P-S: what the potential says of them means nothing" in result.log_paths[0].read_text()
    assert read_mtp(result.model_path).elements == ("Li", "P", "S")


def test_the_start_knows_compositions_and_distances(frames):
    training, _ = frames
    data = training_data(training, ELEMENTS, 4.0)
    start = starting_potential(settings(), data, training)
    distances = []
    for labels in training.values():
        vectors = labels.positions[:, :, None] - labels.positions[:, None]
        r = np.linalg.norm(vectors - 5.2 * np.round(vectors / 5.2), axis=-1)
        distances.append(r[r > 0].min())
    assert start.min_distance_A == np.floor(10 * min(distances)) / 10
    assert starting_potential(settings(min_distance_A=1.25), data, training).min_distance_A == 1.25
    flat = replace(start, moment_coefficients=np.zeros_like(start.moment_coefficients))
    by_composition = {name: labels.energies.mean() / labels.n_atoms for name, labels in training.items()}
    energies = composition_energies(training, ELEMENTS)
    assert np.mean([4 * energies.sum() / 8, energies @ [5, 3] / 8]) == pytest.approx(
        np.mean(list(by_composition.values()))
    )
    assert loss_terms(flat, data)[1].energy_rmse < 0.05
    other = starting_potential(settings(seed=2), data, training)
    assert not np.array_equal(other.radial_coefficients, start.radial_coefficients)
    np.testing.assert_array_equal(other.species_coefficients, start.species_coefficients)


def published_frames(folder: Path, n_frames: int) -> tuple[LabelledFrames, LabelledFrames]:
    """Training frames spread evenly over the first 400 of a published set, and as many test frames between them."""
    from ase.data import atomic_numbers

    (parts,) = folder.glob("3000K/*/set.000")
    names = (parts.parent / "type_map.raw").read_text().split()
    types = np.loadtxt(parts.parent / "type.raw", dtype=int)
    numbers = np.array([atomic_numbers[names[t]] for t in types])
    shapes = {"coord": (-1, types.size, 3), "box": (-1, 3, 3), "energy": (-1,), "force": (-1, types.size, 3)}
    arrays = [np.load(parts / f"{name}.npy").reshape(shape) for name, shape in shapes.items()]
    frames = LabelledFrames(numbers, *arrays, np.load(parts / "virial.npy").reshape(-1, 3, 3))
    step = 400 // n_frames
    return tuple(frames.select(np.arange(n_frames) * step + shift) for shift in (0, step // 2))


@pytest.mark.published
def test_level_12_learns_the_published_labels_within_seconds(tmp_path):
    root = os.environ.get("LIPSDB_PUBLISHED_LABELS")
    assert root, "set LIPSDB_PUBLISHED_LABELS to the folder of the published labels"
    sets = {
        name: published_frames(next(Path(root).rglob(name)), n_frames)
        for name, n_frames in (("beta-Li3PS4", 80), ("gamma-Li3PS4", 50))
    }
    training, test = ({name: pair[i] for name, pair in sets.items()} for i in range(2))
    asked = MTPSettings(level=12, cutoff_A=5.0, starts=1, max_iterations=150)
    result = train(tmp_path, asked, training, test, elements=["Li", "P", "S"])
    predicted = evaluate(result.model_path, test)
    errors = prediction_errors((test[name], predicted[name]) for name in test)
    assert errors.energy_mae_meV_per_atom < 6
    assert errors.force_mae_meV_per_A < 180
