"""Order in a run: around each atom, and in slabs along an axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lipsdb.documents.base import Input
from lipsdb.documents.property import PropertyAsked
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Workplace
from lipsdb.workflows.properties.of_run import Result, known, mean_with_error
from lipsdb.workflows.runs import LoadedRun, load_run

if TYPE_CHECKING:
    from lipsdb.analysis.amorphisation import Amorphisation, SlabPhases

_ORDER_EDGES = np.linspace(0.0, 1.0, 201)
_DISORDER_EDGES = np.linspace(0.0, 4.0, 101)


def measure_bond_order(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Bond order q_l and its average over the first shell."""
    from lipsdb.analysis.bond_order import bond_order

    parameters = asked.parameters
    run = load_run(place.database, inputs[0].id).every(parameters["every_ps"])
    centres = run.atoms_of(parameters["centres"])
    found = bond_order(
        run.positions,
        run.cell,
        centres,
        run.atoms_of(parameters["neighbours"]),
        degrees=parameters["degrees"],
        cutoff=parameters["cutoff_A"],
        number=parameters["n_neighbours"],
    )
    summary = []
    for k, degree in enumerate(found.degrees):
        q, q_std = mean_with_error(_means(found.order[:, :, k]))
        averaged, averaged_std = mean_with_error(_means(found.averaged[:, :, k]))
        summary.append(
            {
                "centres": " ".join(parameters["centres"] or ["all"]),
                "among": _neighbours(parameters),
                "neighbours": float(found.n_neighbours.mean()),
                "l": degree,
                "q": q,
                "q_std": q_std,
                "q_averaged": averaged,
                "q_averaged_std": averaged_std,
                "spread": known(float(np.nanstd(found.mean_averaged[:, k]))),
            }
        )
    answer = {
        "conditions": run.conditions,
        "summary": summary,
        "degrees": list(found.degrees),
        "n_frames": len(run.positions),
        "atoms": np.flatnonzero(centres),
        "q_of_atoms": found.mean_order,
        "q_averaged_of_atoms": found.mean_averaged,
        "edges": _ORDER_EDGES,
        "q_averaged_histogram": np.array(
            [_histogram(found.averaged[:, :, k], _ORDER_EDGES) for k in range(len(found.degrees))]
        ),
    }
    return answer, place.watch.made_by(versions_of("ase", "freud-analysis", "scipy"))


def measure_disorder_parameter(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Disorder parameter S, of all centres and by element."""
    from lipsdb.analysis.bond_order import disorder_parameter

    parameters = asked.parameters
    run = load_run(place.database, inputs[0].id).every(parameters["every_ps"])
    centres = run.atoms_of(parameters["centres"])
    found = disorder_parameter(
        run.positions,
        run.cell,
        centres,
        run.atoms_of(parameters["neighbours"]),
        degree=parameters["degree"],
        cutoff=parameters["cutoff_A"],
        number=parameters["n_neighbours"],
    )
    summary, histograms = [], {}
    for name, members in _groups(run.symbols[centres]):
        mean, error = mean_with_error(_means(found.values[:, members]))
        summary.append(
            {
                "of": name,
                "among": _neighbours(parameters),
                "neighbours": float(found.n_neighbours[:, members].mean()),
                "S": mean,
                "S_std": error,
                "spread": known(float(np.nanstd(found.mean_values[members]))),
            }
        )
        histograms[name] = _histogram(found.values[:, members], _DISORDER_EDGES)
    answer = {
        "conditions": run.conditions,
        "summary": summary,
        "n_frames": len(run.positions),
        "atoms": np.flatnonzero(centres),
        "S_of_atoms": found.mean_values,
        "edges": _DISORDER_EDGES,
        "S_histogram": histograms,
    }
    return answer, place.watch.made_by(versions_of("ase", "freud-analysis", "scipy"))


def measure_amorphisation(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Amorphisation F of slabs, their phases, and how many atoms of the species are in each phase."""
    from lipsdb.analysis.amorphisation import PHASES, atom_phases

    parameters = asked.parameters
    run = load_run(place.database, inputs[0].id).every(parameters["every_ps"])
    found, slabs = slabs_by_phase(run, parameters)
    errors = [mean_with_error(series)[1] for series in (found.sums / found.reference).T]
    boundaries = [] if slabs is None else [f"{height:.1f}" for height in slabs.boundaries]
    row = {
        "axis": parameters["axis"],
        "boundaries_A": " ".join(boundaries) or "none",
        "F_lowest": float(found.profile.min()),
        "F_lowest_std": errors[int(found.profile.argmin())],
        "F_highest": float(found.profile.max()),
        "F_highest_std": errors[int(found.profile.argmax())],
        "sum_highest": float(found.profile.max() * found.reference),
    }
    species = run.atoms_of([parameters["species"]])
    phases = atom_phases(run.positions[:, species], run.cell, slabs) if slabs is not None and species.any() else None
    for number, phase in enumerate(PHASES):
        share, error = (None, None) if phases is None else mean_with_error(100.0 * (phases == number).mean(axis=1))
        row |= {f"{phase}_percent": share, f"{phase}_std_percent": error}
    answer = {
        "conditions": run.conditions,
        "summary": [row],
        "n_frames": len(run.positions),
        "height_A": found.height,
        "heights_A": found.heights,
        "profile": found.profile,
        "profile_std": np.array([np.nan if error is None else error for error in errors]),
        "reference": found.reference,
        "phases": None if slabs is None else [PHASES[phase] for phase in slabs.phases],
        "boundaries_A": None if slabs is None else slabs.boundaries,
    }
    return answer, place.watch.made_by(versions_of("scipy"))


def slabs_by_phase(run: LoadedRun, parameters: Mapping[str, Any]) -> tuple[Amorphisation, SlabPhases | None]:
    """Amorphisation of slabs, and their phases, by a `lipsdb.campaigns.properties.order.Phases`.

    Notes
    -----
    Without a reference the largest sum of the run counts as F = 1. Where no slab is crystal against it, the whole run
    may be one crystal as well as one glass: phases are not told then (None).
    """
    from lipsdb.analysis.amorphisation import amorphisation, slab_phases

    found = amorphisation(
        run.positions,
        run.cell,
        run.atoms_of(parameters["elements"]),
        axis="abc".index(parameters["axis"]),
        slab_width=parameters["slab_width_A"],
        smoothing=parameters["smoothing_A"],
        reference=parameters["reference"],
    )
    if parameters["reference"] is None and not (found.profile < parameters["crystal_below"]).any():
        return found, None
    slabs = slab_phases(
        found,
        crystal_below=parameters["crystal_below"],
        glass_above=parameters["glass_above"],
        interface_half_width=parameters["interface_half_width_A"],
    )
    return found, slabs


def _neighbours(parameters: Mapping[str, Any]) -> str:
    """In words, which atoms are neighbours."""
    if parameters["cutoff_A"] is not None:
        how = f"within {parameters['cutoff_A']:g} Å"
    elif parameters["n_neighbours"] is not None:
        how = f"{parameters['n_neighbours']} nearest"
    else:
        how = "Voronoi"
    return f"{' '.join(parameters['neighbours'] or ['all'])}, {how}"


def _groups(symbols: NDArray[np.str_]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """All atoms, then those of each element; of one element these are the same."""
    elements = sorted(set(symbols.tolist()))
    if len(elements) > 1:
        yield "all", np.full(len(symbols), True)
    for element in elements:
        yield element, symbols == element


def _means(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean over atoms in each frame; NaN is left out."""
    defined = ~np.isnan(values)
    means = np.full(len(values), np.nan)
    total = np.sum(values, axis=1, dtype=np.float64, where=defined)
    np.divide(total, defined.sum(axis=1), out=means, where=defined.any(axis=1))
    return means


def _histogram(values: NDArray[np.float32], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability density; its integral is 1."""
    counts, _ = np.histogram(values[~np.isnan(values)], bins=edges)
    density: NDArray[np.float64] = counts / (max(1, counts.sum()) * np.diff(edges))
    return density
