"""Structure factors of a run, and how far they are from measured ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.documents.base import Input
from lipsdb.documents.property import PropertyAsked
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Workplace
from lipsdb.workflows.properties.of_run import Result, known
from lipsdb.workflows.runs import LoadedRun, load_run

if TYPE_CHECKING:
    from lipsdb.analysis.scattering_curves import ScatteringCurve
    from lipsdb.analysis.structure_factor import StructureFactor


def measure_structure_factor(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Partial structure factors, what neutrons and X-rays see of them, and Wright's factor for each experiment."""
    from lipsdb.analysis.scattering_curves import first_sharp_peak, neutron_structure_factor, xray_structure_factor

    parameters = asked.parameters
    run = load_run(place.database, inputs[0].id)
    frames = run.snapshots(parameters["n_snapshots"])
    factor = _partials(replace(run, positions=run.positions[frames], cell=run.cell[frames]), parameters)
    summary, compared = [], []
    curves: dict[str, np.ndarray] = {}
    for radiation in parameters["radiations"]:
        if radiation == "neutron":
            curve, unit = neutron_structure_factor(factor, parameters["scattering_lengths_fm"]), "fm2"
        else:
            curve, unit = xray_structure_factor(factor), "e2"
        peak = first_sharp_peak(curve.q, curve.normalised)
        row = {
            "radiation": radiation,
            "method": parameters["method"],
            "peak_per_A": known(peak.q),
            "height": known(peak.height),
        }
        own = [_compared(curve, one) for one in parameters["experiments"] if one["radiation"] == radiation]
        summary += [row | _in_table(one) for one in own] or [row]
        compared += own
        curves |= {f"S_{radiation}": curve.normalised, f"interference_{radiation}_{unit}": curve.interference}
    answer = {
        "conditions": run.conditions,
        "summary": summary,
        "elements": list(factor.elements),
        "n_snapshots": len(frames),
        "resolution_per_A": factor.resolution,
        "q_per_A": factor.q,
        "partial": factor.partial,
        **curves,
        "experiments": compared,
    }
    return answer, place.watch.made_by(versions_of("freud-analysis", "pymatgen", "scipy"))


def _partials(run: LoadedRun, parameters: Mapping[str, Any]) -> StructureFactor:
    """By the method that is asked for; shells of Q without a wave vector are left out."""
    from lipsdb.analysis.radial_distribution import radial_distribution
    from lipsdb.analysis.structure_factor import StructureFactor, structure_factor_direct, structure_factor_from_rdf

    largest, width = parameters["q_max_per_A"], parameters["dq_per_A"]
    if parameters["method"] == "fourier":
        q = width * (np.arange(int(np.floor(largest / width + 1e-9))) + 0.5)
        distribution = radial_distribution(run.positions, run.cell, run.symbols)
        return structure_factor_from_rdf(distribution, q, window=parameters["window"])
    found = structure_factor_direct(
        run.positions,
        run.cell,
        run.symbols,
        np.random.default_rng(parameters["seed"]),
        q_max=largest,
        dq=width,
        vectors_per_shell=parameters["vectors_per_shell"],
    )
    filled = np.isfinite(found.partial[0, 0])
    return StructureFactor(
        found.elements, found.fractions, found.q[filled], found.partial[..., filled], found.resolution
    )


def _compared(curve: ScatteringCurve, experiment: Mapping[str, Any]) -> dict[str, Any]:
    """An experiment as S(Q), and Wright's factor in the form that it is given in."""
    from lipsdb.analysis.scattering_curves import wright_factor

    q, values, form = np.array(experiment["q_per_A"]), np.array(experiment["values"]), experiment["form"]
    first, last = max(curve.q[0], q.min()), min(curve.q[-1], q.max())
    found = wright_factor(
        curve.q,
        curve.in_form(form),
        q,
        values,
        q_min=max(first, experiment["from_per_A"] or first),
        q_max=min(last, experiment["to_per_A"] or last),
    )
    return {
        "name": experiment["name"],
        "radiation": experiment["radiation"],
        "form": form,
        "R_c_percent": found.value,
        "from_per_A": found.q_min,
        "to_per_A": found.q_max,
        "n_points": found.n_points,
        "q_per_A": q,
        "S": curve.normalised_from(q, values, form),
    }


def _in_table(compared: Mapping[str, Any]) -> dict[str, Any]:
    fields = ("form", "R_c_percent", "from_per_A", "to_per_A")
    return {"experiment": compared["name"], **{name: compared[name] for name in fields}}
