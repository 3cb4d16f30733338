"""Structure of a run."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

from lipsdb.documents.base import Input
from lipsdb.documents.property import PropertyAsked
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Workplace
from lipsdb.workflows.properties.of_run import Result, known
from lipsdb.workflows.runs import load_run


def measure_coordination(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Distribution of coordination numbers over all frames."""
    from lipsdb.analysis.coordination import coordination_numbers

    run, parameters = load_run(place.database, inputs[0].id), asked.parameters
    centre, neighbour = run.symbols == parameters["centre"], run.symbols == parameters["neighbour"]
    counts = coordination_numbers(run.positions, run.cell, centre, neighbour, parameters["cutoff_A"])
    numbers, occurrences = np.unique(counts, return_counts=True)
    answer = {
        "conditions": run.conditions,
        "centre": parameters["centre"],
        "neighbour": parameters["neighbour"],
        "mean": float(counts.mean()),
        "fractions": {str(number): float(n / counts.size) for number, n in zip(numbers, occurrences, strict=True)},
        "mean_by_frame": counts.mean(axis=1),
    }
    return answer, place.watch.made_by(versions_of("scipy"))


def measure_radial_distribution(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Partial g(r) with peaks and coordination numbers."""
    from lipsdb.analysis.radial_distribution import coordination_between, first_peak, radial_distribution

    parameters = asked.parameters
    run = load_run(place.database, inputs[0].id).every(parameters["every_ps"])
    found = radial_distribution(
        run.positions, run.cell, run.symbols, dr_A=parameters["dr_A"], r_max_A=parameters["r_max_A"]
    )
    summary = []
    for i, j in combinations_with_replacement(range(len(found.elements)), 2):
        one, other = found.elements[i], found.elements[j]
        peak = first_peak(found.radius, found.partial[i, j])
        around, back = (
            coordination_between(found, *pair, peak.minimum) if np.isfinite(peak.minimum) else None
            for pair in ((one, other), (other, one))
        )
        summary.append(
            {
                "pair": f"{one}-{other}",
                "peak_A": known(peak.position),
                "height": known(peak.height),
                "minimum_A": known(peak.minimum),
                "neighbours": around,
                "neighbours_reversed": back,
            }
        )
    answer = {
        "conditions": run.conditions,
        "summary": summary,
        "elements": list(found.elements),
        "n_frames": found.n_frames,
        "r_A": found.radius,
        "partial": found.partial,
        "partial_std": found.partial_error,
        "total": found.total,
        "total_std": found.total_error,
        "coordination": found.coordination,
        "coordination_std": found.coordination_error,
    }
    return answer, place.watch.made_by(versions_of("freud-analysis", "scipy"))


def measure_bond_angles(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Distribution of the angles between bonds that meet at an atom."""
    from lipsdb.analysis.bond_angles import bond_angles

    parameters = asked.parameters
    run = load_run(place.database, inputs[0].id).every(parameters["every_ps"])
    centre, neighbour = parameters["centre"], parameters["neighbour"]
    found = bond_angles(
        run.positions,
        run.cell,
        run.symbols,
        centre=centre,
        neighbour=neighbour,
        cutoff_A=parameters["cutoff_A"],
        bin_width_deg=parameters["bin_width_deg"],
    )
    summary = {
        "angle": f"{neighbour}-{centre}-{neighbour}",
        "mean_deg": found.mean,
        "mean_std_deg": known(found.mean_error),
        "spread_deg": found.standard_deviation,
        "peak_deg": found.peak,
        "bonds_per_centre": found.bonds_per_centre,
    }
    answer = {
        "conditions": run.conditions,
        "summary": [summary],
        "n_frames": len(run.positions),
        "n_angles": found.n_angles,
        "edges_deg": found.edges,
        "density_per_deg": found.density,
        "density_std_per_deg": found.density_error,
    }
    return answer, place.watch.made_by(versions_of("pymatgen", "scipy"))


def measure_thiophosphate_units(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Units by the graph of bonds, and how P is coordinated."""
    from lipsdb.analysis.thiophosphate_units import thiophosphate_units

    parameters = asked.parameters
    run = load_run(place.database, inputs[0].id).every(parameters["every_ps"])
    found = thiophosphate_units(
        run.positions,
        run.cell,
        run.symbols == "P",
        run.symbols == "S",
        cutoff_p_s=parameters["cutoff_p_s_A"],
        cutoff_p_p=parameters["cutoff_p_p_A"],
        cutoff_s_s=parameters["cutoff_s_s_A"],
    )
    of_p, of_anions, of_s = found.fraction_of_phosphorus, found.fraction_of_anions, found.fraction_of_sulfur
    percent = {name: 100 * float(of_p[:, kind].mean()) for kind, name in enumerate(found.names)}
    named = {f"{name}_percent": percent[name] for name in ("PS4", "P2S6", "P2S7", "P3S10")}
    four = found.coordination[:, 4] / found.coordination.sum(axis=1)
    summary = {
        **named,
        "others_percent": 100 - sum(named.values()),
        "P_four_coordinated_percent": 100 * float(four.mean()),
        "bridging_S_percent": 100 * float(of_s[:, 2].mean()),
        "free_S_percent": 100 * float(of_s[:, 0].mean()),
    }
    answer = {
        "conditions": run.conditions,
        "summary": [summary],
        "units": list(found.names),
        "counts": found.counts,
        "of_phosphorus": of_p,
        "of_anions": of_anions,
        "of_sulfur": of_s,
        "coordination": found.coordination,
        "other": [[formula, number] for formula, number in found.other],
    }
    return answer, place.watch.made_by(versions_of("freud-analysis", "scipy"))
