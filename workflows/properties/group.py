"""The group of atoms that a descriptor is about, its drift removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lipsdb.errors import BadInputError
from lipsdb.workflows.properties.regions import described, distributions_of, masks_of_regions
from lipsdb.workflows.runs import LoadedRun


@dataclass(frozen=True)
class Group:
    """Atoms of a run.

    Attributes
    ----------
    atoms : (n_group,) array of int
        Their indices in the run, rising.
    positions : (n_frames, n_group, 3) array, Å
        Unwrapped, the framework's centre of mass at rest.
    """

    atoms: np.ndarray
    positions: np.ndarray


def everywhere(run: LoadedRun, parameters: Mapping[str, Any]) -> Group:
    """All atoms of the elements of a `lipsdb.campaigns.properties.group.OfIons`."""
    atoms = np.flatnonzero(run.atoms_of(parameters["elements"]))
    return Group(atoms, _without_drift(run, atoms, parameters["framework"]))


def group_of(run: LoadedRun, parameters: Mapping[str, Any]) -> Group:
    """The atoms of a `lipsdb.campaigns.properties.group.OfGroup`.

    Raises
    ------
    BadInputError
        If none is in the region.
    """
    from lipsdb.analysis.region_membership import share_mask

    region = parameters["region"]
    if region is None:
        return everywhere(run, parameters)
    atoms, drift = np.flatnonzero(run.atoms_of(parameters["elements"])), drift_of(run, parameters["framework"])
    [(_, inside)] = masks_of_regions({"": region}, run, atoms, drift)
    if parameters["assignment"] == "start":
        chosen, when = inside[0], "at the start"
    else:
        chosen, when = share_mask(inside, parameters["share"]), f"for more than {parameters['share']:.0%} of the run"
    if not chosen.any():
        raise BadInputError(
            f"no {' '.join(parameters['elements'])} of {run.conditions['run_id']} is in the region "
            f"({described(region)}) {when}; at least one must be; make it larger, or choose another assignment or share"
        )
    return Group(atoms[chosen], _without_drift(run, atoms[chosen], parameters["framework"]))


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


def drift_of(run: LoadedRun, framework: list[str] | None) -> np.ndarray:
    """Displacement of the framework within the cell since the first frame, Å; none without a framework."""
    from lipsdb.analysis.displacement import framework_drift

    if framework is None:
        return np.zeros((len(run.positions), 3))
    return framework_drift(run.positions, run.masses, run.atoms_of(framework), run.cell)


def flags_of(run: LoadedRun) -> list[str]:
    """What a table must say of displacements in this run."""
    return ["NPT"] if run.conditions["ensemble"] == "npt" else []


def distributions_of_group(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Libraries that decide which atoms are in a group."""
    return () if parameters["region"] is None else distributions_of([parameters["region"]])


def _without_drift(run: LoadedRun, atoms: np.ndarray, framework: list[str]) -> np.ndarray:
    """Positions with the framework's centre of mass at rest, as for a diffusion coefficient.

    In a cell that breathes this is not the drift within the cell, which tells where an atom is: an atom that keeps its
    place in the cell is displaced the less the nearer it is to the centre.
    """
    from lipsdb.analysis.displacement import framework_drift
    from lipsdb.analysis.trajectory_arrays import blocks

    drift = framework_drift(run.positions, run.masses, run.atoms_of(framework))
    positions = np.empty((len(run.positions), len(atoms), 3))
    for frames in blocks(len(positions), positions[0].nbytes):
        positions[frames] = run.positions[frames][:, atoms]
    positions -= drift[:, None]
    return positions


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
