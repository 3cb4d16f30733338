"""The input of ``dp train``, and the line that LAMMPS needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from lipsdb.errors import BadInputError
from lipsdb.potentials.deepmd.settings import DeepMDSettings, TrainingStage

ZBL_SOFTNESS_A = 0.1  # decay of the soft minimum over neighbour distances; the value of DeePMD-kit's own example
ZBL_TABLE = "zbl.txt"
LEARNING_RATE_DROPS = 200
LEARNING_CURVE = "lcurve.out"
CHECKPOINT = "model.ckpt"


def training_input(
    settings: DeepMDSettings,
    stage: TrainingStage,
    training_systems: Sequence[str | PurePath],
    held_systems: Sequence[str | PurePath],
    *,
    elements: Sequence[str],
    frames_seed: int | None = None,
) -> dict[str, Any]:
    """Input of ``dp --tf train`` for one stage (the content of input.json).

    Parameters
    ----------
    settings, stage
        What to train, and which stage of it.
    training_systems, held_systems : sequences of path
        Folders in DeePMD-kit's npy format, as seen from the folder in which dp runs. No held-out system is allowed.
    elements : sequence of str
        Type map of the potential.
    frames_seed : int, optional
        Seed of the order of frames, by default from the settings' seed; a restarted training takes another, since
        DeePMD-kit would begin the same order again.

    Raises
    ------
    BadInputError
        If there is no training system, or a list in the settings does not fit the elements or systems.
    """
    if not training_systems:
        raise BadInputError("there is no training system: give at least one.")
    if not isinstance(settings.selection, str) and len(settings.selection) != len(elements):
        raise BadInputError(
            f"selection has {len(settings.selection)} numbers, but the elements are {list(elements)}: "
            "give one for each, or 'auto'."
        )
    data: dict[str, Any] = {
        "training_data": {
            "systems": [str(system) for system in training_systems],
            "batch_size": settings.batch_size,
            **_system_weights(settings, len(training_systems)),
        }
    }
    if held_systems:
        data["validation_data"] = {
            "systems": [str(system) for system in held_systems],
            "batch_size": settings.batch_size,
            "numb_btch": settings.held_batches,
            "auto_prob": "prob_uniform",
        }
    return {
        "model": _model(settings, stage, elements),
        "learning_rate": {
            "type": "exp",
            "start_lr": stage.learning_rate[0],
            "stop_lr": stage.learning_rate[1],
            "decay_steps": max(stage.steps // LEARNING_RATE_DROPS, 1),
        },
        "loss": {
            "type": "ener",
            "start_pref_e": stage.prefactors.energy[0],
            "limit_pref_e": stage.prefactors.energy[1],
            "start_pref_f": stage.prefactors.force[0],
            "limit_pref_f": stage.prefactors.force[1],
            "start_pref_v": stage.prefactors.virial[0],
            "limit_pref_v": stage.prefactors.virial[1],
        },
        "training": {
            **data,
            "numb_steps": stage.steps,
            "seed": 3 * settings.seed + 2 if frames_seed is None else frames_seed,
            "disp_file": LEARNING_CURVE,
            "disp_freq": settings.disp_freq,
            "save_freq": settings.save_freq,
            "save_ckpt": CHECKPOINT,
        },
    }


def _model(settings: DeepMDSettings, stage: TrainingStage, elements: Sequence[str]) -> dict[str, Any]:
    selection = settings.selection
    model: dict[str, Any] = {
        "type_map": list(elements),
        "descriptor": {
            "type": settings.descriptor,
            "sel": selection if isinstance(selection, str) else list(selection),
            "rcut": settings.cutoff_A,
            "rcut_smth": settings.smoothing_start_A,
            "neuron": list(settings.embedding_neurons),
            "axis_neuron": settings.axis_neurons,
            "resnet_dt": False,
            "type_one_side": settings.type_one_side,
            "precision": settings.precision,
            "seed": 3 * settings.seed,
        },
        "fitting_net": {
            "neuron": list(settings.fitting_neurons),
            "resnet_dt": True,
            "precision": settings.precision,
            "seed": 3 * settings.seed + 1,
        },
    }
    if stage.zbl_range_A is not None:
        inner, outer = stage.zbl_range_A
        model |= {"use_srtab": ZBL_TABLE, "smin_alpha": ZBL_SOFTNESS_A, "sw_rmin": inner, "sw_rmax": outer}
    return model


def _system_weights(settings: DeepMDSettings, n_systems: int) -> dict[str, Any]:
    weights = settings.system_weights
    if isinstance(weights, str):
        return {"auto_prob": weights}
    if len(weights) != n_systems:
        raise BadInputError(
            f"system_weights has {len(weights)} numbers for {n_systems} training systems: give one for each."
        )
    return {"sys_probs": [weight / sum(weights) for weight in weights]}


def pair_commands(model_filename: str, elements: Sequence[str]) -> str:
    """LAMMPS commands (units metal) that choose the potential.

    Parameters
    ----------
    model_filename : str
        The frozen or compressed model, as seen from the folder in which LAMMPS runs; no blanks.
    elements : sequence of str
        Element of each LAMMPS atom type, in order.

    Examples
    --------
    >>> print(pair_commands("model.pb", ["Li", "P", "S"]))
    pair_style deepmd model.pb
    pair_coeff * * Li P S
    """
    if not model_filename or any(c.isspace() for c in model_filename):
        raise BadInputError(
            f"model file name {model_filename!r} has blanks or is empty: LAMMPS would split it; rename it."
        )
    return f"pair_style deepmd {model_filename}\npair_coeff * * {' '.join(elements)}"
