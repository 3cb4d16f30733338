"""The ions of a run by region: how fast they are there, how many, how long, and on which paths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.documents.base import Input
from lipsdb.documents.property import PropertyAsked
from lipsdb.errors import BadInputError
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Workplace
from lipsdb.workflows.properties.group import (
    distributions_of_group,
    drift_of,
    everywhere,
    flags_of,
    group_name,
    group_of,
)
from lipsdb.workflows.properties.of_run import Result, known, mean_with_error
from lipsdb.workflows.properties.regions import distributions_of, masks_of_regions
from lipsdb.workflows.runs import LoadedRun, load_run

if TYPE_CHECKING:
    from lipsdb.analysis.regional_diffusion import RegionalDiffusion

_MOST_LAGS = 200  # of a survival function
_MOST_BYTES = 8_000_000  # of paths: half of what a document holds


def measure_regional_diffusion(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """D of the ions of each region by direction.

    Raises
    ------
    BadInputError
        If a region holds too few ions, or they leave it too soon; says which.
    """
    from lipsdb.analysis.region_membership import bridged_mask
    from lipsdb.analysis.regional_diffusion import regional_diffusion

    run, parameters = load_run(place.database, inputs[0].id), asked.parameters
    bridge = _frames(run, parameters, "bridge_ps")
    stride = _frames(run, parameters, "origin_stride_ps")
    _frames(run, parameters, "fit_start_ps")
    group, drift = everywhere(run, parameters), drift_of(run, parameters["framework"])
    summary, curves = [], []
    for name, inside in masks_of_regions(parameters["regions"], run, group.atoms, drift):
        try:
            found = regional_diffusion(
                group.positions,
                run.frame_interval_ps,
                bridged_mask(inside, bridge),
                assignment=parameters["assignment"],
                normal_axis="xyz".index(parameters["normal_axis"]),
                least_retention=parameters["least_retention"],
                share=parameters["share"],
                fit_start_ps=parameters["fit_start_ps"],
                origin_stride=max(1, stride),
            )
        except BadInputError as error:
            raise BadInputError(f"region {name}: {error}") from error
        row = _row(name, found, parameters)
        row["flags"] += flags_of(run)
        summary.append(row)
        curves.append(
            {
                "region": name,
                "lag_ps": found.lag_times_ps,
                "msd_A2": found.msd,
                "msd_std_A2": found.msd_std,
                "retention": found.retention,
                "n_displacements": found.n_displacements,
                "intercept_A2": found.intercept,
                "loglog_slope": found.loglog_slope,
                "n_atoms": found.n_atoms,
                "n_effective": found.n_effective,
            }
        )
    answer = {"conditions": run.conditions, "summary": summary, "curves": curves}
    versions = versions_of("scipy", *distributions_of(parameters["regions"].values()))
    return answer, place.watch.made_by(versions)


def measure_region_fractions(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Fraction of the ions in each region over time, and how long they stay."""
    from lipsdb.analysis.region_membership import bridged_mask, region_fractions, residence

    run, parameters = load_run(place.database, inputs[0].id), asked.parameters
    bridge = _frames(run, parameters, "bridge_ps")
    ions, drift = np.flatnonzero(run.atoms_of(parameters["elements"])), drift_of(run, parameters["framework"])
    half = max(1, len(run.positions) // 2)
    lags = np.unique(np.append(0, np.geomspace(1, half, _MOST_LAGS)).round().astype(np.int64))
    lag_ps = lags * run.frame_interval_ps
    summary, fractions, stays = [], [], []
    for name, inside in masks_of_regions(parameters["regions"], run, ions, drift):
        (fraction,) = region_fractions({name: inside}, np.full(len(ions), True)).values()
        stay = residence(bridged_mask(inside, bridge), lags)
        mean, error = mean_with_error(100.0 * fraction)
        summary.append(
            {
                "region": name,
                "of": ", ".join(parameters["elements"]),
                "ions": float(fraction.mean()) * len(ions),
                "share_percent": mean,
                "share_std_percent": error,
                "residence_ps": _falls_below(lag_ps, stay.stayed, 1 / math.e),
            }
        )
        fractions.append(fraction)
        stays.append({"region": name, "present": stay.present, "stayed": stay.stayed})
    answer = {
        "conditions": run.conditions,
        "summary": summary,
        "n_ions": len(ions),
        "regions": list(parameters["regions"]),
        "time_ps": np.arange(len(run.positions)) * run.frame_interval_ps,
        "fractions": np.array(fractions),
        "lag_ps": lag_ps,
        "stays": stays,
    }
    return answer, place.watch.made_by(versions_of(*distributions_of(parameters["regions"].values())))


def measure_ion_paths(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Paths of the ions that get farthest.

    Raises
    ------
    BadInputError
        If the paths have more points than a document can hold.
    """
    from lipsdb.analysis.ion_paths import ion_paths, most_mobile

    run, parameters = load_run(place.database, inputs[0].id), asked.parameters
    stride, smoothing = _frames(run, parameters, "stride_ps"), _frames(run, parameters, "smoothing_ps")
    group = group_of(run, parameters)
    chosen = most_mobile(group.positions, np.full(len(group.atoms), True), parameters["ions"])
    size = 25 * len(chosen) * -(-len(run.positions) // stride)
    if size > _MOST_BYTES:
        raise BadInputError(
            f"the paths of {len(chosen)} ions with a point each {parameters['stride_ps']:g} ps take {size / 1e6:.0f} "
            f"MB; at most {_MOST_BYTES / 1e6:.0f} MB can be stored; raise stride_ps or ask for fewer ions"
        )
    found = ion_paths(group.positions, run.cell, chosen, stride=stride, smoothing_frames=smoothing // 2 * 2 + 1)
    away = np.linalg.norm(group.positions[:, chosen] - group.positions[0, chosen], axis=2)
    summary = [
        {
            "of": group_name(parameters),
            "ion": int(ion),
            "farthest_A": float(distances.max()),
            "net_A": float(distances[-1]),
            "flags": flags_of(run),
        }
        for ion, distances in zip(group.atoms[chosen], away.T, strict=True)
    ]
    answer = {
        "conditions": run.conditions,
        "summary": summary,
        "plane": parameters["plane"],
        "ions": group.atoms[chosen],
        "time_ps": found.frames * run.frame_interval_ps,
        "cell_A": run.cell[0],
        "unwrapped_A": found.unwrapped.astype(np.float32),
        "wrapped_A": found.wrapped.astype(np.float32),
        "crossings": found.crossings,
    }
    return answer, place.watch.made_by(versions_of(*distributions_of_group(parameters)))


def _frames(run: LoadedRun, parameters: Mapping[str, Any], name: str) -> int:
    """Frames in a time; 0 if there is none."""
    return run.frames_in(parameters[name], name) if parameters[name] else 0


def _row(name: str, found: RegionalDiffusion, parameters: Mapping[str, Any]) -> dict[str, Any]:
    flags = {"not Fickian": not found.fickian, "no window": not found.window_found}
    row: dict[str, Any] = {
        "region": name,
        "of": f"{', '.join(parameters['elements'])}, {parameters['assignment']}",
        "ions": found.mean_occupation,
        "retention_percent": 100 * float(found.retention[-1]),
        "from_ps": found.fit_start_ps,
        "to_ps": found.fit_stop_ps,
        "xi": known(found.xi),
        "xi_std": known(found.xi_std),
        "flags": [flag for flag, holds in flags.items() if holds],
    }
    for direction, value, error in zip(("_x", "_y", "_z", ""), found.diffusion, found.diffusion_std, strict=True):
        row |= {f"D{direction}_cm2_s": float(value), f"D{direction}_std_cm2_s": float(error)}
    return row


def _falls_below(times: np.ndarray, values: np.ndarray, level: float) -> float | None:
    """Time at which values first cross a level from above, linear between two; None if they do not.

    Examples
    --------
    >>> _falls_below(np.arange(3.0), np.array([1.0, 0.8, 0.4]), 0.5)
    1.75
    """
    (below,) = np.nonzero(values < level)
    if not len(below) or below[0] == 0:
        return None
    first = int(below[0])
    part = (values[first - 1] - level) / (values[first - 1] - values[first])
    return float(times[first - 1] + part * (times[first] - times[first - 1]))
