from __future__ import annotations

import numpy as np
import pytest

from lipsdb.errors import BadInputError
from lipsdb.potentials.prediction_errors import Predictions, prediction_errors
from lipsdb.potentials.training_set import LabelledFrames


def labels_and_predictions(n_atoms, energy_errors, force_error, virial_error):
    n = len(energy_errors)
    rng = np.random.default_rng(n_atoms)
    forces, virials, energies = rng.normal(size=(n, n_atoms, 3)), rng.normal(size=(n, 3, 3)), rng.normal(size=n)
    labels = LabelledFrames(
        numbers=np.full(n_atoms, 3),
        positions=np.zeros((n, n_atoms, 3)),
        cells=np.zeros((n, 3, 3)),
        energies=energies,
        forces=forces,
        virials=None if virial_error is None else virials,
    )
    predicted = Predictions(energies + energy_errors, forces + force_error, virials + (virial_error or 0.0))
    return labels, predicted


def test_errors_of_two_hand_worked_systems_and_of_both_together():
    # Two atoms: +10 and -30 meV are +5 and -15 meV/atom. Four atoms: +40 meV is +10 meV/atom.
    small = labels_and_predictions(2, [0.010, -0.030], 0.1, 0.004)
    large = labels_and_predictions(4, [0.040], -0.2, None)
    alone = prediction_errors([small])
    assert alone.energy_mae_meV_per_atom == pytest.approx(10)
    assert alone.energy_bias_meV_per_atom == pytest.approx(-5)
    assert alone.energy_rmse_meV_per_atom == pytest.approx(np.sqrt((25 + 225) / 2))
    assert alone.virial_mae_meV_per_atom == pytest.approx(2)
    both = prediction_errors([small, large])
    assert (both.n_frames, both.n_force_components) == (3, 24)
    assert both.energy_mae_meV_per_atom == pytest.approx((5 + 15 + 10) / 3)
    assert both.energy_bias_meV_per_atom == pytest.approx(0, abs=1e-9)
    # 12 components of 100 meV/Å and 12 of -200.
    assert both.force_mae_meV_per_A == pytest.approx(150)
    assert both.force_rmse_meV_per_A == pytest.approx(np.sqrt((100**2 + 200**2) / 2))
    assert both.virial_rmse_meV_per_atom == pytest.approx(2)
    assert prediction_errors([large]).virial_mae_meV_per_atom is None


def test_no_frames_are_refused():
    with pytest.raises(BadInputError, match="no frame to compare with"):
        prediction_errors([])
