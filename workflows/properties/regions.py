"""Which atoms of a run are in a region of a campaign file, frame by frame."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lipsdb.errors import BadInputError
from lipsdb.workflows.properties.order import slabs_by_phase
from lipsdb.workflows.runs import LoadedRun

_Given = Mapping[str, Any]


def masks_of_regions(
    regions: Mapping[str, _Given], run: LoadedRun, atoms: np.ndarray, drift: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Whether each of some atoms is in each region in each frame.

    Parameters
    ----------
    regions : mapping of str to mapping
        By name a `lipsdb.campaigns.properties.regions.Region`, as it is stored.
    run : LoadedRun
    atoms : (n_group,) array of int
        Indices of the atoms in the run, rising.
    drift : (n_frames, 3) array, Å
        Of the framework: regions move with it.

    Yields
    ------
    str, (n_frames, n_group) array of bool
        The name of the region, and whether each atom is there.

    Raises
    ------
    BadInputError
        If the phases of the slabs cannot be told, or a time does not fit the run's frames.
    """
    told: dict[str, np.ndarray] = {}  # phases of slabs and bond order, which several regions may share
    for name, region in regions.items():
        if "bond_order" in region:
            inside = _by_bond_order(region["bond_order"], run, atoms, told)
        elif "amorphisation" in region:
            inside = _by_place(_phase(region["amorphisation"], run, drift, told), run, atoms, drift)
        else:
            inside = _by_place(_shape(region), run, atoms, drift)
        yield name, ~inside if region.get("outside", False) else inside


def distributions_of(regions: Iterable[_Given]) -> tuple[str, ...]:
    """Libraries that decide which atoms are in regions.

    Examples
    --------
    >>> distributions_of([{"slab": {}}, {"amorphisation": {}}, {"bond_order": {}, "outside": True}])
    ('ase', 'freud-analysis', 'scipy')
    """
    needed = {"bond_order": ("ase", "freud-analysis", "scipy"), "amorphisation": ("scipy",)}
    return tuple(sorted({name for region in regions for kind in region for name in needed.get(kind, ())}))


def described(region: _Given) -> str:
    """A region in words: what a campaign file says of it, in one line.

    Examples
    --------
    >>> near = {"axis": "c", "planes": [0.0, 0.5], "unit": "fraction", "distance_A": 10.0}
    >>> described({"near_planes": near, "outside": True})
    'outside near planes c 0 0.5 fraction 10 Å'
    """
    parts = ["outside"] if region.get("outside", False) else []
    parts += [f"{name.replace('_', ' ')} {_words(value)}" for name, value in region.items() if name != "outside"]
    return " ".join(parts)


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        units = {"_A": " Å", "_ps": " ps"}
        known = [(name, part) for name, part in value.items() if part is not None]
        return " ".join(_words(part) + units.get(name[name.rfind("_") :], "") for name, part in known)
    if isinstance(value, list):
        return " ".join(map(_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _by_place(region: Any, run: LoadedRun, atoms: np.ndarray, drift: np.ndarray) -> np.ndarray:
    from lipsdb.analysis.regions import region_mask
    from lipsdb.analysis.trajectory_arrays import blocks

    inside = np.empty((len(run.positions), len(atoms)), dtype=np.bool_)
    for frames in blocks(len(inside), 8 * 3 * len(atoms)):
        inside[frames] = region_mask(region, run.positions[frames][:, atoms], run.cell[frames], drift=drift[frames])
    return inside


def _shape(region: _Given) -> Any:
    from lipsdb.analysis.regions import Box, NearPlanes, Slab

    if "slab" in region:
        return Slab(**region["slab"])
    if "box" in region:
        return Box(tuple(Slab(**slab) for slab in region["box"]))
    near = region["near_planes"]
    return NearPlanes(near["axis"], tuple(near["planes"]), near["distance_A"], near["unit"])


def _phase(given: _Given, run: LoadedRun, drift: np.ndarray, told: dict[str, np.ndarray]) -> Any:
    from lipsdb.analysis.amorphisation import PHASES
    from lipsdb.analysis.regions import ProfileRange

    slabs = json.dumps({**given, "phase": None}, sort_keys=True)
    if slabs not in told:
        told[slabs] = _phases_of_slabs(given, run, drift)
    number = PHASES.index(given["phase"])
    return ProfileRange(given["axis"], told[slabs], number - 0.5, number + 0.5)


def _phases_of_slabs(given: _Given, run: LoadedRun, drift: np.ndarray) -> np.ndarray:
    sampled = run.every(given["every_ps"])
    moved = drift[_frames(run, given["every_ps"])].astype(np.float32)  # as the positions: half of the memory
    at_rest = replace(sampled, positions=sampled.positions - moved[:, None])
    _, slabs = slabs_by_phase(at_rest, given)
    if slabs is None:
        raise BadInputError(
            f"no slab of {run.conditions['run_id']} has F below {given['crystal_below']:g}, so that its phases cannot "
            "be told; expected crystal and glass; give as reference the highest sum of a run with glass, or raise "
            "crystal_below"
        )
    return slabs.phases.astype(np.float64)


def _by_bond_order(given: _Given, run: LoadedRun, atoms: np.ndarray, told: dict[str, np.ndarray]) -> np.ndarray:
    from lipsdb.analysis.region_membership import scalar_mask

    order = json.dumps({**given, "lower": None, "upper": None, "time_average": None}, sort_keys=True)
    if order not in told:
        told[order] = _averaged_order(given, run, atoms)
    return scalar_mask(
        told[order],
        len(run.positions),
        lower=-np.inf if given["lower"] is None else given["lower"],
        upper=np.inf if given["upper"] is None else given["upper"],
        averaged=given["time_average"],
        sampled_frames=_frames(run, given["every_ps"]),
    )


def _averaged_order(given: _Given, run: LoadedRun, atoms: np.ndarray) -> np.ndarray:
    from lipsdb.analysis.bond_order import bond_order

    sampled = run.every(given["every_ps"])
    found = bond_order(
        sampled.positions,
        sampled.cell,
        np.isin(np.arange(len(run.symbols)), atoms),
        run.atoms_of(given["neighbours"]),
        degrees=[given["degree"]],
        cutoff=given["cutoff_A"],
        number=given["n_neighbours"],
    )
    return found.averaged[:, :, 0]


def _frames(run: LoadedRun, every_ps: float | None) -> np.ndarray:
    """Indices of the frames that `LoadedRun.every` takes."""
    return np.arange(len(run.positions))[:: 1 if every_ps is None else run.frames_in(every_ps, "every_ps")]
