"""The engine's training: what comes after the minimisation, too, is counted, told and kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from lipsdb.potentials.mtp import grade
from lipsdb.potentials.mtp.active_set import ActiveSet
from lipsdb.potentials.mtp.engine import ACTIVE_SET, MTP
from lipsdb.potentials.mtp.settings import MTPSettings
from lipsdb.potentials.training_set import LabelledFrames

SETTINGS = MTPSettings(level=4, cutoff_A=4.5, radial_size=4, starts=2, start_iterations=2, max_iterations=5)


def salt() -> dict[str, LabelledFrames]:
    atoms, rng = bulk("NaCl", "rocksalt", a=5.64, cubic=True), np.random.default_rng(1)
    shape = (6, len(atoms), 3)
    cells = np.broadcast_to(atoms.cell.array, (6, 3, 3))
    positions = atoms.positions + rng.normal(0, 0.1, shape)
    return {"salt": LabelledFrames(atoms.numbers, positions, cells, rng.normal(-27, 0.1, 6), rng.normal(size=shape))}


def train(folder: Path, settings: MTPSettings = SETTINGS, progress=None):
    return MTP().train(folder, settings, salt(), {}, threads=1, progress=progress, lock_fd=None)


def test_the_active_set_is_told_and_counted_and_chosen_once(tmp_path, monkeypatch):
    seen = []

    def stop(done, total, row):
        seen.append((done, total, row["step"]))
        if len(seen) == 10:  # seven iterations, and the third frame
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, progress=stop)
    assert seen[-3:] == [(7, 7, 5.0)] * 3
    assert not (tmp_path / ACTIVE_SET).exists()
    before = json.loads((tmp_path / "train" / "cost.json").read_text())["cpu_s"]

    result = train(tmp_path)
    first = result.active_set.read_bytes()
    assert result.core_seconds == json.loads((tmp_path / "train" / "cost.json").read_text())["cpu_s"] > before
    with monkeypatch.context() as patch:
        patch.setattr(grade, "select_active", None)
        assert train(tmp_path).active_set.read_bytes() == first

    (tmp_path / ACTIVE_SET).write_bytes(first[:1000])  # what a power cut may leave
    assert train(tmp_path).active_set.read_bytes() == first
    other = train(tmp_path, SETTINGS.model_copy(update={"grade_mode": "configuration"}))
    assert ActiveSet.load(other.active_set).mode == "configuration"
    (tmp_path / "active-set.json").write_text("")
    assert train(tmp_path).active_set.read_bytes() == first
