"""The group of atoms that a descriptor is about, its drift removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lipsdb.errors import BadInputError
from lipsdb.workflows.properties.regions import described, masks_of_regions
from lipsdb.workflows.runs import LoadedRun


@dataclass(frozen=True)
class Group:
    """Atoms of a run.

    Attributes
    ----------
    atoms : (n_group,) array of int
        Their indices in the run, rising.
    positions : (n_frames, n_group, 3) array, Å
        Unwrapped, without the drift of the framework.
    drift : (n_frames, 3) array, Å
        Of the framework since the first frame.
    """

    atoms: np.ndarray
    positions: np.ndarray
    drift: np.ndarray


def everywhere(run: LoadedRun, parameters: Mapping[str, Any]) -> Group:
    """All atoms of the elements of a `lipsdb.campaigns.properties.group.OfIons`."""
    from lipsdb.analysis.displacement import framework_drift

    drift = framework_drift(run.positions, run.masses, run.atoms_of(parameters["framework"]))
    atoms = np.flatnonzero(run.atoms_of(parameters["elements"]))
    positions = run.positions[:, atoms].astype(np.float64)
    positions -= drift[:, None]
    return Group(atoms, positions, drift)


def group_of(run: LoadedRun, parameters: Mapping[str, Any]) -> Group:
    """The atoms of a `lipsdb.campaigns.properties.group.OfGroup`.

    Raises
    ------
    BadInputError
        If none is in the region.
    """
    from lipsdb.analysis.region_membership import share_mask

    group, region = everywhere(run, parameters), parameters["region"]
    if region is None:
        return group
    [(_, inside)] = masks_of_regions({"": region}, run, group.atoms, group.positions, group.drift)
    if parameters["assignment"] == "start":
        chosen, when = inside[0], "at the start"
    else:
        chosen, when = share_mask(inside, parameters["share"]), f"for more than {parameters['share']:.0%} of the run"
    if not chosen.any():
        raise BadInputError(
            f"no {' '.join(parameters['elements'])} of {run.conditions['run_id']} is in the region "
            f"({described(region)}) {when}; at least one must be; make it larger, or choose another assignment or share"
        )
    return Group(group.atoms[chosen], group.positions[:, chosen], group.drift)


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
    return group_of(run, parameters).positions


def group_name(parameters: Mapping[str, Any]) -> str:
    """The group in words, for tables.

    Examples
    --------
    >>> slab = {"axis": "c", "start": 0.25, "stop": 0.5, "unit": "fraction"}
    >>> group_name({"elements": ["Li"], "region": {"slab": slab}, "assignment": "start"})
    'Li, at the start in slab c 0.25 0.5 fraction'
    """
    elements, region = ", ".join(parameters["elements"]), parameters["region"]
    if region is None:
        return elements
    return f"{elements}, {'at the start ' if parameters['assignment'] == 'start' else ''}in {described(region)}"
