from __future__ import annotations

import fcntl
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from lipsdb.errors import InterruptedRunError, LipsdbError, MissingProgramError, RefusedError
from lipsdb.ingest.mlip_cfg import read_mlip_cfg
from lipsdb.potentials import program
from lipsdb.potentials.mtp import mlp
from lipsdb.potentials.mtp.checkpoint import COST
from lipsdb.potentials.mtp.evaluation import evaluate
from lipsdb.potentials.mtp.files import read_mtp
from lipsdb.potentials.mtp.settings import MTPSettings
from lipsdb.potentials.mtp.training import train
from lipsdb.potentials.prediction_errors import prediction_errors
from lipsdb.potentials.training_set import LabelledFrames

# A stand-in for MLIP's program, at the level of its files: it trains what stands in the .mtp and .cfg files that it is
# given, by lipsdb's kernel, prints what mlp prints, and writes a potential whose scaling is not 1.
STAND_IN = """#!{python}
import json, os, shutil, signal, sys, time
from pathlib import Path
if sys.argv[1:] == ["help"]:
    print("mlp serial version, (C) A. Shapeev, E. Podryabinkin, I. Novikov (Skoltech).")
    sys.exit()
if sys.argv[1:] == ["help", "train"]:
    print("mlp train potential.mtp train_set.cfg [options]:\\n  --trained-pot-name=<string>: filename")
    sys.exit()
Path("called.json").write_text(json.dumps([sys.argv[1:], os.environ["OMP_NUM_THREADS"], os.getpid()]))
command, potential_file, training_file = sys.argv[1:4]
options = dict(option[2:].split("=") for option in sys.argv[4:])
what = os.environ.get("STAND_IN", "")
if what == "nothing":
    sys.exit()
print("MTPR serial(?!?) training started")
if what == "fail":
    sys.exit("ERROR: cannot read train.cfg")
if what == "finish":
    for iteration in range(int(options["max-iter"])):
        print(f"BFGS iter {{iteration}}: f={{5.5 - iteration / 10}}", flush=True)
    print("BFGS ended due to small decr. in 50 iterations")
    sys.exit(shutil.copy(potential_file, options["trained-pot-name"]) and 0)
if what in ("stop", "nan"):
    for iteration in range(4):
        print(f"BFGS iter {{iteration}}: f={{8.5 - iteration}}", flush=True)
    if what == "nan":
        print("BFGS iter 4: f=-nan", flush=True)
        time.sleep(600)
    shutil.copy(potential_file, options["curr-pot-name"])
    os.kill(os.getpid(), signal.SIGTERM)

from dataclasses import replace
from lipsdb.ingest.mlip_cfg import read_mlip_cfg
from lipsdb.potentials.mtp.files import read_mtp, write_mtp
from lipsdb.potentials.mtp.optimisation import advance, start
from lipsdb.potentials.mtp.training_data import training_data
from lipsdb.potentials.mtp.training_kernel import LossWeights, loss_and_gradient
from lipsdb.potentials.training_set import LabelledFrames
potential = read_mtp(Path(potential_file))
systems = {{
    str(i): LabelledFrames(f.numbers, f.positions, f.cells, f.energies, f.forces, f.virials)
    for i, f in enumerate(read_mlip_cfg(Path(training_file)).frames)
}}
data = training_data(systems, potential.elements, potential.cutoff_A)
weights = LossWeights(*(float(options[name + "-weight"]) for name in ("energy", "force", "stress")))
objective = lambda x: loss_and_gradient(potential.with_parameters(x), data, weights)[:2]
def note(iteration, x, loss):
    print(f"BFGS iter {{iteration}}: f={{loss:.8g}}", flush=True)
state = start(objective, potential.parameters)
note(0, state.parameters, state.losses[0])
limit = int(options["max-iter"]) - 1
while not state.ended:
    state = advance(objective, state, iterations=25, max_iterations=limit, tolerance=0, on_iteration=note)
print("step limit reached")
trained = potential.with_parameters(state.parameters)
trained = replace(trained, scaling=0.5, radial_coefficients=2 * trained.radial_coefficients)
write_mtp(Path(options["trained-pot-name"]), trained)
"""
ELEMENTS = ["Li", "S"]


def labels(n_frames: int, seed: int) -> LabelledFrames:
    """Rattled cubic cells, labelled by ASE's Lennard-Jones potential."""
    from ase import Atoms
    from ase.calculators.lj import LennardJones

    grid = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * 2.6
    rng, found = np.random.default_rng(seed), []
    for _ in range(n_frames):
        atoms = Atoms("Li4S4", positions=grid + rng.normal(0, 0.1, grid.shape), cell=[5.2] * 3, pbc=True)
        atoms.calc = LennardJones(epsilon=0.1, sigma=2.2, rc=4.5, smooth=True)
        virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
        found.append((atoms.positions, atoms.cell.array, atoms.get_potential_energy(), atoms.get_forces(), virial))
    positions, cells, energies, forces, virials = (np.array(values) for values in zip(*found, strict=True))
    return LabelledFrames(atoms.numbers, positions, cells, energies, forces, virials)


TRAINING, HELD = {"LiS": labels(10, 1)}, {"LiS": labels(3, 2)}
SETTINGS = MTPSettings(
    program="mlp", level=4, cutoff_A=4.5, radial_size=5, max_iterations=30, convergence_tolerance=1e-5, seed=3
)


@pytest.fixture
def stand_in(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "bin" / "mlp"
    path.parent.mkdir()
    path.write_text(STAND_IN.format(python=sys.executable))
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent))
    monkeypatch.setattr(program, "POLL_SECONDS", 0.02)
    return path


def test_mlp_gets_frames_start_and_weights_and_its_potential_is_read_back(stand_in, tmp_path):
    seen, folder = [], tmp_path / "train"
    asked = SETTINGS.model_copy(update={"force_weight": 0.02})
    result = train(
        folder, asked, TRAINING, HELD, elements=ELEMENTS, threads=2, progress=lambda *call: seen.append(call)
    )
    arguments, threads, _ = json.loads((folder / "called.json").read_text())
    assert arguments == [
        "train",
        "start.mtp",
        "training.cfg",
        "--trained-pot-name=trained.mtp.tmp",
        "--curr-pot-name=current.mtp",
        "--energy-weight=1.0",
        "--force-weight=0.02",
        "--stress-weight=0.001",
        "--bfgs-conv-tol=1e-05",
        "--weighting=structures",
        "--valid-cfgs=held.cfg",
        "--max-iter=30",
    ]
    assert threads == "2"
    assert read_mlip_cfg(folder / "held.cfg").n_frames == 3
    potential = read_mtp(result.model_path)
    assert (potential.scaling, potential.elements) == (0.5, ("Li", "S"))
    curve = result.learning_curve
    assert list(curve) == ["step", "rmse", "loss"]
    np.testing.assert_array_equal(curve["step"], np.arange(30))
    assert curve["loss"][-1] < 0.2 * curve["loss"][0]
    own = asked.model_copy(update={"max_iterations": 1, "starts": 1, "program": "lipsdb"})
    same_start = train(tmp_path / "own", own, TRAINING, {}, elements=ELEMENTS)
    assert curve["loss"][0] == pytest.approx(same_start.learning_curve["loss"][0], rel=1e-5)
    errors = prediction_errors([(TRAINING["LiS"], evaluate(result.model_path, TRAINING)["LiS"])])
    weighted = (errors.energy_rmse_meV_per_atom**2 + 3 * 0.02 * errors.force_rmse_meV_per_A**2) / 1e6
    weighted += 9 * 0.001 * errors.virial_rmse_meV_per_atom**2 / 1e6
    assert curve["loss"][-1] == pytest.approx(weighted, rel=1e-3)
    assert [call[:2] for call in seen] == [(i, 30) for i in range(30)]
    assert (result.program, result.executable) == ("mlp", str(stand_in))
    assert result.versions["mlp"].startswith("mlp serial version (sha256 ")
    assert {path.name for path in result.log_paths} == {"training.log", "mlp.log"}
    assert result.ended == "step limit reached"
    assert not result.converged
    assert result.core_seconds > 0


def test_an_interrupted_mlp_goes_on_from_its_current_potential(stand_in, tmp_path, monkeypatch):
    folder = tmp_path / "train"
    monkeypatch.setenv("STAND_IN", "stop")
    with pytest.raises(InterruptedRunError, match=r"mlp train was stopped by SIGTERM .*at iteration 4 of 30"):
        train(folder, SETTINGS, TRAINING, HELD, elements=ELEMENTS)
    before = json.loads((folder / COST).read_text())["wall_s"]
    monkeypatch.setenv("STAND_IN", "finish")
    result = train(folder, SETTINGS, TRAINING, HELD, elements=ELEMENTS)
    assert result.wall_seconds > before > 0
    arguments, _, _ = json.loads((folder / "called.json").read_text())
    loss = result.learning_curve["loss"]
    assert arguments[-1] == "--max-iter=26"
    np.testing.assert_allclose(loss, [8.5, 7.5, 6.5, 5.5, *(5.5 - np.arange(26) / 10)])
    assert (result.converged, result.ended) == (True, "BFGS ended due to small decr. in 50 iterations")
    assert (folder / "start.mtp").read_bytes() == (folder / "current.mtp").read_bytes()


def test_mlp_inherits_the_lock_and_is_stopped_when_its_loss_is_not_a_number(stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN", "nan")
    folder, locked = tmp_path / "train", []

    def look(done, total, row):
        _, _, pid = json.loads((folder / "called.json").read_text())
        links = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]
        locked.append((pid, str(tmp_path / "lock") in links))

    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RefusedError, match="the loss is nan at iteration 4 of mlp: the training diverged"):
            train(folder, SETTINGS, TRAINING, HELD, elements=ELEMENTS, progress=look, lock_fd=lock.fileno())
    assert all(has for _, has in locked)
    assert not Path(f"/proc/{locked[0][0]}").exists()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("fail", r"mlp train failed with exit code 1: ERROR: cannot read train.cfg \(all of its output: .*mlp.log\)"),
        ("nothing", r"mlp train wrote no potential: it wrote nothing \(all of its output: .*mlp.log\)"),
    ],
)
def test_a_failure_is_told_in_the_words_of_mlp(stand_in, tmp_path, monkeypatch, what, message):
    monkeypatch.setenv("STAND_IN", what)
    with pytest.raises(LipsdbError, match=message):
        train(tmp_path / "train", SETTINGS, TRAINING, HELD, elements=ELEMENTS)


def test_no_mlp_is_a_missing_program(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgramError, match=r"mlp is not on PATH: install MLIP-2 .* or set program: lipsdb"):
        train(tmp_path / "train", SETTINGS, TRAINING, {}, elements=ELEMENTS)


def test_another_program_called_mlp_is_told_apart(tmp_path, monkeypatch):
    other = tmp_path / "mlp"
    other.write_text("#!/bin/sh\necho usage: mlp [--save_to]\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(MissingProgramError, match="does not know `mlp train --trained-pot-name`: install MLIP-2"):
        mlp.find_mlp()
