"""How atoms share the space of the cell in a run."""

from __future__ import annotations

import numpy as np

from lipsdb.documents.base import Input
from lipsdb.documents.property import PropertyAsked
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Workplace
from lipsdb.workflows.properties.group import drift_of
from lipsdb.workflows.properties.of_run import Result, known
from lipsdb.workflows.runs import load_run


def measure_voronoi_volumes(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Volumes of Voronoi cells, by element."""
    from lipsdb.analysis.voronoi import QUANTILES, volume_distribution, voronoi_volumes

    parameters = asked.parameters
    run = load_run(place.database, inputs[0].id).every(parameters["every_ps"])
    chosen = run.atoms_of(parameters["elements"])
    volumes = voronoi_volumes(run.positions, run.cell, chosen)
    summary, distributions = [], {}
    for element in parameters["elements"]:
        of_element = volumes[:, run.symbols[chosen] == element]
        found = volume_distribution(of_element, bin_width=parameters["bin_width_A3"])
        low, _, median, _, high = found.quantiles.tolist()
        summary.append(
            {
                "of": element,
                "mean_A3": found.mean,
                "mean_std_A3": known(found.mean_error),
                "spread_A3": found.standard_deviation,
                "median_A3": median,
                "p5_A3": low,
                "p95_A3": high,
            }
        )
        distributions[element] = {
            "quantiles_A3": found.quantiles,
            "edges_A3": found.edges,
            "histogram_per_A3": found.density,
        }
    answer = {
        "conditions": run.conditions,
        "summary": summary,
        "n_frames": len(run.positions),
        "quantiles": list(QUANTILES),
        "distributions": distributions,
        "atoms": np.flatnonzero(chosen),
        "mean_of_atoms_A3": volumes.mean(axis=0, dtype=np.float64),
    }
    return answer, place.watch.made_by(versions_of("freud-analysis"))


def measure_profile(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Density, composition and smoothed concentrations along an axis."""
    from lipsdb.analysis.profiles import concentration_profile, density_profile

    parameters = asked.parameters
    run = load_run(place.database, inputs[0].id).every(parameters["every_ps"])
    drift, axis = drift_of(run, parameters["framework"]), parameters["axis"]
    slabs = density_profile(
        run.positions, run.cell, run.symbols, run.masses, axis=axis, bin_width=parameters["bin_width_A"], drift=drift
    )
    smooth = [
        concentration_profile(
            run.positions, run.cell, run.symbols == element, axis=axis, bandwidth=parameters["bandwidth_A"], drift=drift
        )
        for element in slabs.elements
    ]
    summary = []
    for element, found in zip(slabs.elements, smooth, strict=True):
        lowest, highest = int(found.relative.argmin()), int(found.relative.argmax())
        summary.append(
            {
                "axis": axis,
                "of": element,
                "mean_per_A3": float(found.concentration.mean()),
                "lowest": float(found.relative[lowest]),
                "lowest_std": known(found.relative_error[lowest]),
                "lowest_at_A": float(found.distance[lowest]),
                "highest": float(found.relative[highest]),
                "highest_std": known(found.relative_error[highest]),
                "highest_at_A": float(found.distance[highest]),
            }
        )
    answer = {
        "conditions": run.conditions,
        "summary": summary,
        "n_frames": len(run.positions),
        "elements": list(slabs.elements),
        "area_A2": slabs.area,
        "edges_A": slabs.edges,
        "number_density_per_A3": slabs.number_density,
        "number_density_std_per_A3": slabs.number_density_error,
        "mass_density_g_cm3": slabs.mass_density,
        "mass_density_std_g_cm3": slabs.mass_density_error,
        "total_mass_density_g_cm3": slabs.total_mass_density,
        "total_mass_density_std_g_cm3": slabs.total_mass_density_error,
        "fraction": slabs.fraction,
        "fraction_std": slabs.fraction_error,
        "distance_A": smooth[0].distance,
        "concentration_per_A3": np.array([found.concentration for found in smooth]),
        "concentration_std_per_A3": np.array([found.concentration_error for found in smooth]),
    }
    return answer, place.watch.made_by(versions_of("scipy"))


def measure_density_map(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Density of chosen atoms on a plane."""
    from lipsdb.analysis.profiles import density_map

    parameters = asked.parameters
    run = load_run(place.database, inputs[0].id).every(parameters["every_ps"])
    first, second = parameters["axes"]
    found = density_map(
        run.positions,
        run.cell,
        run.atoms_of(parameters["elements"]),
        axes=(first, second),
        bin_width=parameters["bin_width_A"],
        drift=drift_of(run, parameters["framework"]),
    )
    mean = float(found.density.mean())
    row = {
        "of": " ".join(parameters["elements"]),
        "plane": f"{first} {second}",
        "mean_per_A2": mean,
        "highest_per_A2": float(found.density.max()),
        "half_within_percent": 100 * _area_of_half(found.density),
    }
    answer = {
        "conditions": run.conditions,
        "summary": [row],
        "n_frames": len(run.positions),
        "axes": list(found.axes),
        "density_per_A2": found.density,
        "first_edges_A": found.first_edges,
        "second_edges_A": found.second_edges,
        "angle_deg": found.angle,
    }
    return answer, place.watch.made_by(versions_of())


def _area_of_half(density: np.ndarray) -> float:
    """Smallest share of the area that holds half of the atoms: near 0 for sharp sites, 0.5 for an even density.

    Examples
    --------
    >>> _area_of_half(np.ones((2, 2))), _area_of_half(np.array([[4.0, 0.0], [0.0, 0.0]]))
    (0.5, 0.125)
    """
    share = np.append(0.0, np.cumsum(np.sort(density, axis=None)[::-1]) / density.sum())
    return float(np.interp(0.5, share, np.linspace(0.0, 1.0, len(share))))
