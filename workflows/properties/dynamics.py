"""How far the atoms of a group move in a run, when, and in which direction.

All kernels take one thread: workers share the cores already, and the numbers do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.documents.base import Input
from lipsdb.documents.property import PropertyAsked
from lipsdb.errors import BadInputError
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Workplace
from lipsdb.workflows.properties.group import distributions_of_group, flags_of, group_name, group_positions
from lipsdb.workflows.properties.of_run import Result, known
from lipsdb.workflows.runs import LoadedRun, load_run

if TYPE_CHECKING:
    from lipsdb.analysis.non_gaussian import NonGaussianPeak

_MOST_WINDOWS = 20  # of a displacement map that are stored …
_MOST_PLACES = 500_000  # … with no more atoms in all of them: 8 MB, half of what a document holds


def measure_displacement(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """MSD in total and by axis, and its local exponent."""
    from lipsdb.analysis.fit_window import choose_lags
    from lipsdb.analysis.msd_exponent import diffusive_from, msd_with_exponent

    run, parameters = load_run(place.database, inputs[0].id), asked.parameters
    positions = group_positions(run, parameters)
    lags = choose_lags(
        len(positions), lag_count=parameters["lag_count"], longest_fraction=parameters["longest_fraction"]
    )
    found = msd_with_exponent(positions, lags, smoothing_factor=parameters["exponent_smoothing_factor"], threads=1)
    lag_ps = lags * run.frame_interval_ps
    row = {
        **_group(run, positions, parameters),
        "lag_ps": float(lag_ps[-1]),
        "msd_A2": float(found.msd[-1, 3]),
        "msd_std_A2": known(found.msd_std[-1, 3]),
        "exponent": known(found.exponent[-1]),
        "exponent_std": known(found.exponent_std[-1]),
        "diffusive_from_ps": diffusive_from(lag_ps, found.exponent),
    }
    answer = {
        "conditions": run.conditions,
        "summary": [row],
        "lag_ps": lag_ps,
        "msd_A2": found.msd[:, 3],
        "msd_std_A2": found.msd_std[:, 3],
        "msd_axes_A2": found.msd[:, :3],
        "msd_axes_std_A2": found.msd_std[:, :3],
        "exponent": found.exponent,
        "exponent_std": found.exponent_std,
    }
    return answer, place.watch.made_by(versions_of("scipy", *distributions_of_group(parameters)))


def measure_non_gaussian(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Non-Gaussian parameter and its peak."""
    from lipsdb.analysis.fit_window import choose_lags
    from lipsdb.analysis.non_gaussian import non_gaussian_parameter, non_gaussian_peak

    run, parameters = load_run(place.database, inputs[0].id), asked.parameters
    positions = group_positions(run, parameters)
    lags = choose_lags(
        len(positions), lag_count=parameters["lag_count"], longest_fraction=parameters["longest_fraction"]
    )
    groups = min(parameters["groups"], positions.shape[1])
    found = non_gaussian_parameter(positions, lags=lags, n_groups=groups, threads=1)
    lag_ps = lags * run.frame_interval_ps
    peak = non_gaussian_peak(lag_ps, found.alpha2, found.leave_one_out)
    row = {
        **_group(run, positions, parameters),
        "peak": _kind_of_peak(peak),
        "peak_time_ps": peak.time_ps,
        "peak_time_std_ps": known(peak.time_std_ps),
        "height": peak.height,
        "height_std": known(peak.height_std),
        "longest_lag_ps": float(lag_ps[-1]),
    }
    answer = {
        "conditions": run.conditions,
        "summary": [row],
        "peak_found": peak.found,
        "n_groups": groups,
        "lag_ps": lag_ps,
        "alpha2": found.alpha2,
        "alpha2_std": found.alpha2_std,
        "msd_A2": found.msd,
        "fourth_moment_A4": found.fourth,
    }
    return answer, place.watch.made_by(versions_of("scipy", *distributions_of_group(parameters)))


def measure_van_hove(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Distribution of the distance moved, after each time."""
    from lipsdb.analysis.van_hove import self_van_hove

    run, parameters = load_run(place.database, inputs[0].id), asked.parameters
    times = parameters["times_ps"]
    lags = [run.frames_in(time, "one of times_ps") for time in times]
    positions = group_positions(run, parameters)
    found = self_van_hove(positions, lags, bin_width=parameters["dr_A"], largest=parameters["r_max_A"], threads=1)
    summary = [
        {
            **_group(run, positions, parameters),
            "time_ps": time,
            "most_probable_A": float(most_probable),
            "r_max_A": float(found.edges[-1]),
            "beyond_percent": 100 * float(beyond),
        }
        for time, most_probable, beyond in zip(times, found.most_probable, found.beyond, strict=True)
    ]
    answer = {
        "conditions": run.conditions,
        "summary": summary,
        "times_ps": np.array(times),
        "r_A": found.centres,
        "density_per_A": found.density,
        "beyond": found.beyond,
    }
    return answer, place.watch.made_by(versions_of(*distributions_of_group(parameters)))


def measure_displacement_map(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Which atoms moved how far during a window, from windows one after another."""
    from lipsdb.analysis.displacement_map import displacement_map

    run, parameters = load_run(place.database, inputs[0].id), asked.parameters
    window = run.frames_in(parameters["window_ps"], "window_ps")
    positions = group_positions(run, parameters)
    found = displacement_map(positions, window)
    n_windows, n_atoms = found.distances.shape
    most = min(_MOST_WINDOWS, n_windows, max(1, _MOST_PLACES // n_atoms))
    stored = np.unique(np.linspace(0, n_windows - 1, most).round().astype(int))
    mobile, means = found.mobile_fraction(parameters["mobile_threshold_A"]), found.distances.mean(axis=1)
    row = {
        **_group(run, positions, parameters),
        "window_ps": parameters["window_ps"],
        "windows": n_windows,
        "mobile_beyond_A": parameters["mobile_threshold_A"],
        "mobile_percent": 100 * float(mobile.mean()),
        "mobile_std_percent": None if n_windows == 1 else 100 * float(mobile.std(ddof=1)),
        "displacement_A": float(means.mean()),
        "displacement_std_A": None if n_windows == 1 else float(means.std(ddof=1)),
    }
    answer = {
        "conditions": run.conditions,
        "summary": [row],
        "plane": parameters["plane"],
        "mobile_fraction": mobile,
        "mean_displacement_A": means,
        "start_time_ps": found.origins[stored] * run.frame_interval_ps,
        "cell_A": run.cell[found.origins[stored]],
        "start_A": _wrapped(found.starts[stored], run.cell[found.origins[stored]]).astype(np.float32),
        "moved_A": found.distances[stored].astype(np.float32),
    }
    return answer, place.watch.made_by(versions_of(*distributions_of_group(parameters)))


def measure_isotropy(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Slope of the MSD along the normal over the larger one in the plane."""
    from lipsdb.analysis.isotropy import diffusion_isotropy

    run, parameters = load_run(place.database, inputs[0].id), asked.parameters
    for name in ("start_ps", "stop_ps"):
        run.frames_in(parameters[name], name)
    positions = group_positions(run, parameters)
    if positions.shape[1] < 2:
        remedy = "make the region larger" if parameters["region"] is not None else "name more elements"
        raise BadInputError(f"the group ({group_name(parameters)}) has 1 atom; at least 2 are needed; {remedy}")
    found = diffusion_isotropy(
        positions,
        run.frame_interval_ps,
        start_ps=parameters["start_ps"],
        stop_ps=parameters["stop_ps"],
        rng=np.random.default_rng(parameters["seed"]),
        normal_axis="xyz".index(parameters["normal_axis"]),  # type: ignore[arg-type]
        n_resamples=parameters["resamples"],
        threads=1,
    )
    low, high = found.isotropic_interval_95
    row: dict[str, Any] = {
        **_group(run, positions, parameters),
        "normal": parameters["normal_axis"],
        "from_ps": found.start_ps,
        "to_ps": found.stop_ps,
        "xi": known(found.xi),
        "xi_std": known(found.xi_std),
        "isotropic_from": known(low),
        "isotropic_to": known(high),
    }
    for axis, slope, error in zip("xyz", found.slopes, found.slopes_std, strict=True):
        row |= {f"m_{axis}_A2_ps": float(slope), f"m_{axis}_std_A2_ps": float(error)}
    answer = {
        "conditions": run.conditions,
        "summary": [row],
        "xi_interval_95": [known(value) for value in found.interval_95],
    }
    return answer, place.watch.made_by(versions_of("scipy", *distributions_of_group(parameters)))


def _group(run: LoadedRun, positions: np.ndarray, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {"of": group_name(parameters), "atoms": int(positions.shape[1]), "flags": flags_of(run)}


def _kind_of_peak(peak: NonGaussianPeak) -> str:
    if peak.found:
        return "found"
    if peak.at_edge:
        return "at the edge"
    return "without an error" if np.isnan(peak.height_std) else "within its error"


def _wrapped(positions: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Positions (n_windows, n_atoms, 3) within the cell of each window."""
    fractional = positions @ np.linalg.inv(cells)
    fractional -= np.floor(fractional)
    wrapped: np.ndarray = fractional @ cells
    return wrapped
