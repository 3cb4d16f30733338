from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from motep.calculator import MTP
from motep.io.mlip.mtp import read_mtp as motep_read_mtp

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.evaluation import evaluate
from lipsdb.potentials.mtp.files import write_mtp
from lipsdb.potentials.mtp.potential import random_start
from lipsdb.potentials.training_set import LabelledFrames


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "potential.mtp"
    write_mtp(path, random_start(8, ["S", "Li"], min_distance_A=1.5, cutoff_A=4.5, radial_size=6, seed=4))
    return path


def _frames(numbers, n_frames, seed):
    rng = np.random.default_rng(seed)
    sites = np.array(list(np.ndindex(2, 2, 2)))[: len(numbers)] / 2
    cells = 5.0 * np.eye(3) + rng.normal(0.0, 0.2, (n_frames, 3, 3))
    positions = (sites + rng.normal(0.0, 0.03, (n_frames, *sites.shape))) @ cells
    return LabelledFrames(numbers, positions, cells, np.zeros(n_frames), np.zeros_like(positions), np.zeros_like(cells))


@pytest.mark.parametrize("threads", [1, 2])
def test_predictions_of_each_system_are_those_of_motep(model, threads):
    systems = {"Li2S": _frames([3, 3, 16], 3, seed=1), "S": _frames([16, 16, 16, 16], 2, seed=2)}
    predictions = evaluate(model, systems, threads=threads)
    assert list(predictions) == ["Li2S", "S"]
    data = motep_read_mtp(model)
    data.species = [16, 3]
    for name, frames in systems.items():
        for k in range(frames.n_frames):
            atoms = Atoms(frames.numbers, frames.positions[k], cell=frames.cells[k], pbc=True, calculator=MTP(data))
            found = predictions[name]
            assert np.isclose(found.energies[k], atoms.get_potential_energy(), rtol=1e-10)
            np.testing.assert_allclose(found.forces[k], atoms.get_forces(), atol=1e-9)
            stress = -found.virials[k] / atoms.get_volume()
            np.testing.assert_allclose(stress, atoms.get_stress(voigt=False), atol=1e-10)


def test_an_element_that_the_potential_does_not_know_is_refused(model):
    with pytest.raises(BadInputError, match="system 'Li3P' has P, but the potential knows S Li: leave it out"):
        evaluate(model, {"Li3P": _frames([3, 3, 3, 15], 1, seed=1)})


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BadInputError, match=r"there is no potential .*none\.mtp"):
        evaluate(tmp_path / "none.mtp", {})
