"""The group of atoms that a descriptor is about, its drift removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lipsdb.workflows.runs import LoadedRun


def group_positions(run: LoadedRun, parameters: Mapping[str, Any]) -> np.ndarray:
    """Unwrapped positions of a group, without the drift of the framework.

    Parameters
    ----------
    run : LoadedRun
    parameters : mapping
        Of a `lipsdb.campaigns.properties.group.OfGroup`.

    Returns
    -------
    (n_frames, n_group, 3) array, Å
    """
    from lipsdb.analysis.regional_displacement import framework_drift

    drift = framework_drift(run.positions, run.masses, np.isin(run.symbols, parameters["framework"]))
    members = np.flatnonzero(np.isin(run.symbols, parameters["elements"]))
    positions = run.positions[:, members].astype(np.float64)
    positions -= drift[:, None]
    return positions
